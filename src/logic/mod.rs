//! What should happen, pure: facts and rows in, row writes out.
