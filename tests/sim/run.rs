//! Running seeds: one, or many on all cores, with what they met.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::faults::Kind;
use crate::planted;
use crate::sim::{Sim, Violation};
use crate::trace::Mode;

/// A seed that violates an invariant.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Which.
    pub seed: u64,
    /// What and how.
    pub violation: Violation,
    /// The last lines, when they were asked for.
    pub lines: Vec<String>,
}

/// What many seeds came to.
#[derive(Debug, Default)]
pub struct Total {
    /// How many held.
    pub passed: u64,
    /// Those that did not.
    pub failed: Vec<Failed>,
    /// In how many seeds each kind of fault was met.
    pub met: BTreeMap<Kind, u64>,
    /// How many commits were made.
    pub commits: u64,
}

/// Runs one seed.
pub fn one(seed: u64, bug: Option<&str>, mode: Mode, total: &Mutex<Total>) -> Option<Failed> {
    planted::choose(bug);
    let mut sim = Sim::new(seed, mode);
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| sim.run())).err();
    planted::choose(None);
    let violation = match panicked {
        Some(payload) => Some(Violation { law: "panic", text: message(payload.as_ref()) }),
        None => sim.failure.take(),
    };
    let mut total = total.lock().expect("nobody panics with it");
    for kind in sim.seen.0.keys() {
        *total.met.entry(*kind).or_default() += 1;
    }
    total.commits += sim.server.commits;
    let failed = violation.map(|violation| Failed { seed, violation, lines: sim.trace.last() });
    match &failed {
        Some(failed) => total.failed.push(failed.clone()),
        None => total.passed += 1,
    }
    failed
}

/// Runs seeds on all cores, up to the first failure or to the end of them.
pub fn many(seeds: &[u64], bug: Option<&str>, stop_at_first: bool) -> Total {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let total = Mutex::new(Total::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let seed = usize::try_from(index).ok().and_then(|index| seeds.get(index));
                    let Some(seed) = seed else { break };
                    if one(*seed, bug, Mode::Off, &total).is_some() && stop_at_first {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    total.into_inner().expect("nobody panics with it")
}

fn message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}
