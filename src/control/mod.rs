//! What turns the crank: the brain's thread, the store's writer, the fleet's links, the view. No decision lives here.

pub mod server;
