//! What should happen, pure: facts and rows in, row writes out.
//!
//! `Brain` turns the crank: `absorb` and `change` bring facts into rows, `round` lets `decide` make the rows want what
//! the definitions ask for, `place` finds where. README.md has the picture and the words. No I/O, no clock, no randomness.

pub mod absorb;
pub mod brain;
pub mod change;
pub mod decide;
pub mod draft;
pub mod health;
pub mod index;
pub mod place;
pub mod round;
pub mod status;

#[cfg(test)]
mod tests;
