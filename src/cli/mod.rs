//! How people type: the verbs of the command line, clients of the public API.
