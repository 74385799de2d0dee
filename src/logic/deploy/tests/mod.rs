//! Deploys in a whole brain, with agents in virtual time.

mod apps;
mod chaos;
mod machine;
mod rig;
mod undo;
