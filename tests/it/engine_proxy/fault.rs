//! What goes wrong between an agent and its engine, and at which calls.

use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The engine does it, and its answer is lost.
    AnswerLost,
    /// The connection ends before the engine hears of it.
    NeverAsked,
    /// The engine does it, and the connection ends in the middle of its answer.
    Half,
    /// The engine does it, and its answer comes so much later.
    Late(Duration),
    /// The engine hears of it so much later, when its asker may have given up, and its answer is lost.
    HeldBack(Duration),
    /// This is the answer; the engine never hears of it.
    Says(u16, String),
}

/// What is still to go wrong.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Vec<Planned>>>);

#[derive(Debug)]
struct Planned {
    call: &'static str,
    times: usize,
    fault: Fault,
}

// === impl Faults ===

impl Faults {
    /// The next so many calls such as `POST /containers/create` or `POST …/start` go wrong in this way.
    pub fn plan(&self, call: &'static str, times: usize, fault: Fault) {
        self.0.lock().expect("not poisoned").push(Planned { call, times, fault });
    }

    /// Whether all that was planned has happened.
    pub fn are_spent(&self) -> bool {
        self.0.lock().expect("not poisoned").iter().all(|planned| planned.times == 0)
    }

    /// What goes wrong with this call.
    pub fn next(&self, line: &str) -> Option<Fault> {
        let mut all = self.0.lock().expect("not poisoned");
        let planned = all.iter_mut().find(|it| it.times > 0 && is_such(line, it.call))?;
        planned.times -= 1;
        Some(planned.fault.clone())
    }
}

/// Whether `line`, a method and a path, is such a call: it begins so, and `…` stands for anything.
fn is_such(line: &str, call: &str) -> bool {
    match call.split_once('…') {
        None => line.starts_with(call),
        Some((begin, rest)) => line.strip_prefix(begin).is_some_and(|after| after.contains(rest)),
    }
}
