//! What the host shows: a stopwatch, what processes use, whether the machine is quiet.
//!
//! The only place of the bench that reads a clock.

use std::fs;
use std::time::{Duration, Instant};

use crate::cli::failure::Failure;

/// A machine is quiet while no more of it is busy.
pub const QUIET: f64 = 0.2;

/// How long is looked before a figure begins.
const LOOK: Duration = Duration::from_millis(300);

/// Time since it was started.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

// === impl Stopwatch ===

impl Stopwatch {
    /// Starts.
    #[expect(clippy::disallowed_methods, reason = "the bench's one clock")]
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// Since then, in seconds.
    pub fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    /// Since then, in milliseconds.
    pub fn millis(self) -> f64 {
        self.seconds() * 1_000.0
    }
}

/// What machine this is.
pub fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores, {}, Linux {}", model.trim_matches([' ', '\t', ':']), kernel.trim())
}

/// How much of all cores is in use right now.
pub async fn busy_share() -> f64 {
    let before = ticks();
    tokio::time::sleep(LOOK).await;
    let after = ticks();
    let (busy, all) = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
    share(busy, all)
}

/// The resident memory of a process, in MiB.
///
/// # Errors
/// When there is no such process.
pub fn resident(pid: u32) -> Result<f64, Failure> {
    let status = read(&format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map(|kib| kib / 1_024.0)
        .ok_or_else(|| Failure::Failed(format!("process {pid} shows no memory")))
}

/// How long all threads of a process were on a core, in seconds.
///
/// # Errors
/// When there is no such process.
pub fn processor(pid: u32) -> Result<f64, Failure> {
    let dir = format!("/proc/{pid}/task");
    let threads = fs::read_dir(&dir).map_err(|error| Failure::Failed(format!("{dir}: {error}")))?;
    // A thread may end between the listing and the look.
    let nanos = threads.flatten().filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Ok(Duration::from_nanos(nanos.sum()).as_secs_f64())
}

/// Busy and all ticks of all cores.
fn ticks() -> (u64, u64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let fields: Vec<u64> =
        line.split_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
    let all = fields.iter().sum();
    // Idle and waiting for a disk.
    let idle: u64 = fields.iter().skip(3).take(2).sum();
    (all - idle, all)
}

#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

fn read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::Failed(format!("{path}: {error}")))
}
