//! The one binary: server, agent and command line.

fn main() {}
