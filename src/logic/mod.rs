//! What should happen, pure: facts and rows in, row writes out.
//!
//! `Brain` turns the crank: `absorb` and `change` bring facts into rows, `round` lets `decide` make the rows want what
//! the definitions ask for, `place` finds where, `deploy` drives what takes several deployments. README.md has the picture
//! and the words. No I/O, no clock, no randomness.

pub mod absorb;
pub mod audience;
pub mod autopsy;
pub mod brain;
pub mod change;
pub mod decide;
pub mod deploy;
pub mod draft;
pub mod health;
pub mod index;
pub mod place;
pub mod rehearse;
pub mod round;
pub mod status;

#[cfg(test)]
mod tests;
