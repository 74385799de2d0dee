//! How many open files the engine can give a container.
//!
//! An engine without the right to raise limits (rootless, or inside a container) fails every start that asks for more
//! than it has itself. So the default asks for what the process behind the socket can give.

use procfs::process::{LimitValue, Process};

/// The default hard limit where the engine can give it (engines.md §1).
pub const NOFILE: i64 = 1_048_576;
/// `CAP_SYS_RESOURCE`.
const RAISES_LIMITS: u64 = 1 << 24;

/// The highest limit of open files that the engine of this process can give; [`NOFILE`] where nothing says otherwise.
pub fn nofile_of(engine: Option<i32>) -> i64 {
    engine.and_then(read).map_or(NOFILE, |(hard, capabilities)| given(hard, capabilities))
}

fn read(engine: i32) -> Option<(LimitValue, u64)> {
    let process = Process::new(engine).ok()?;
    let hard = process.limits().ok()?.max_open_files.hard_limit;
    Some((hard, process.status().ok()?.capeff))
}

fn given(hard: LimitValue, capabilities: u64) -> i64 {
    match hard {
        LimitValue::Value(hard) if capabilities & RAISES_LIMITS == 0 => {
            i64::try_from(hard).map_or(NOFILE, |hard| hard.min(NOFILE))
        }
        LimitValue::Value(_) | LimitValue::Unlimited => NOFILE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_engine_that_cannot_raise_limits_is_held_to_its_own() {
        assert_eq!(given(LimitValue::Value(20_000), !RAISES_LIMITS), 20_000);
        assert_eq!(given(LimitValue::Value(20_000), RAISES_LIMITS), NOFILE);
        assert_eq!(given(LimitValue::Value(u64::MAX), 0), NOFILE);
        assert_eq!(given(LimitValue::Unlimited, 0), NOFILE);
        assert_eq!(nofile_of(None), NOFILE);
        assert!(nofile_of(i32::try_from(std::process::id()).ok()) > 0);
    }
}
