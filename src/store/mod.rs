//! What is remembered, on disk: a fenced log of commits.
