//! A host that does not exist: sandboxes as data, for the simulator and for `stayer bench`.
//!
//! [`FakeHost`] has no clock and no I/O, its calls mirror the runtime's and can be made to fail, hang, lose their answer
//! or take the agent down with them. What it holds is the physical truth that the simulator asserts on: breaches are
//! noted at the moment they happen. [`FakeRuntime`] is the same host behind the runtime trait.

mod fault;
mod host;
mod runtime;
mod truth;

pub use self::fault::{Call, CrashPoint, Fault};
pub use self::host::{Behaviour, FakeHost};
pub use self::runtime::FakeRuntime;
