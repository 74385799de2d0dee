//! How a container ended.

use serde::{Deserialize, Serialize};

use crate::model::reason::Reason;
use crate::model::unit::Mem;

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// The kernel killed it for its memory.
    Oom {
        /// The most it used, if known.
        peak: Option<Mem>,
    },
    /// It never started.
    Refused(Reason),
    /// It was there and is not any more, and nothing says how it ended.
    Gone(Reason),
}

// === impl End ===

impl End {
    /// A short word for tables and machines.
    pub const fn kind(&self) -> &'static str {
        match self {
            End::Code(0) => "finished",
            End::Code(_) => "exit",
            End::Signal(_) => "signal",
            End::Oom { .. } => "oom",
            End::Refused(reason) | End::Gone(reason) => reason.kind(),
        }
    }

    /// For people, with Mesos' words where it had some (CT-13).
    pub fn message(&self) -> String {
        match self {
            End::Code(code) => format!("Container exited with status {code}"),
            End::Signal(signal) => {
                format!("Container terminated with signal {}", signal_name(*signal))
            }
            End::Oom { peak: Some(peak) } => {
                format!("Memory limit exceeded: killed by the kernel, peak {peak} MiB")
            }
            End::Oom { peak: None } => "Memory limit exceeded: killed by the kernel".to_owned(),
            End::Refused(reason) | End::Gone(reason) => reason.to_string(),
        }
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "Hangup",
        2 => "Interrupt",
        3 => "Quit",
        6 => "Aborted",
        9 => "Killed",
        11 => "Segmentation fault",
        13 => "Broken pipe",
        15 => "Terminated",
        other => return other.to_string(),
    };
    format!("{signal} ({name})")
}
