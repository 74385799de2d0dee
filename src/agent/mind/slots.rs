//! How many launches go at once (core.md §3): starts on the engine, pulls, processes.
//!
//! A pull is a preparation whose image may not be here. One pull of an unknown image goes at a time, the others wait for
//! it, then start from the engine's cache.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::mind::step::Hand;
use crate::agent::runtime::SandboxId;
use crate::model::id::InstanceId;

/// Image names remembered as present; beyond it the memory starts afresh, at the cost of slower first launches.
const MAX_IMAGES: usize = 4_096;

/// How many launches go at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Containers being created or started.
    pub docker: usize,
    /// Images being pulled.
    pub pulls: usize,
    /// Processes being prepared or started.
    pub processes: usize,
    /// Ended sandboxes kept for their logs, per app.
    pub kept_per_app: usize,
    /// Ended sandboxes kept for their logs, in all.
    pub kept: usize,
}

/// Where a launch has to queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    Docker,
    Process,
    /// Of this image.
    Pull(String),
}

/// Who holds and who waits for room.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    limits: Limits,
    held: BTreeMap<SandboxId, Lane>,
    docker: usize,
    processes: usize,
    /// How many pulls of each image.
    pulls: BTreeMap<String, usize>,
    present: BTreeSet<String>,
    waiting: BTreeMap<Kind, BTreeSet<(u64, InstanceId)>>,
    pulls_freed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Docker,
    Process,
    Pull,
}

// === impl Limits ===

impl Limits {
    /// For a host with so many processors.
    pub fn for_cpus(cpus: usize) -> Limits {
        Limits { docker: 2 * cpus.max(1), pulls: 3, processes: 32, kept_per_app: 5, kept: 200 }
    }
}

// === impl Slots ===

impl Slots {
    pub(super) fn new(limits: Limits) -> Slots {
        Slots {
            limits,
            held: BTreeMap::new(),
            docker: 0,
            processes: 0,
            pulls: BTreeMap::new(),
            present: BTreeSet::new(),
            waiting: BTreeMap::new(),
            pulls_freed: false,
        }
    }

    /// Where a preparation queues; `image` is there for the engine alone.
    pub(super) fn lane(&self, hand: Hand, image: Option<(&str, bool)>) -> Lane {
        match (hand, image) {
            (Hand::Process, _) => Lane::Process,
            (Hand::Docker, Some((image, force))) if force || !self.present.contains(image) => {
                Lane::Pull(image.to_owned())
            }
            (Hand::Docker, _) => Lane::Docker,
        }
    }

    /// Takes room, or remembers who waits for it, ordered by `order`.
    pub(super) fn take(&mut self, lane: Lane, id: SandboxId, order: u64) -> bool {
        if !self.has_room(&lane) {
            self.waiting.entry(lane.kind()).or_default().insert((order, id.instance));
            return false;
        }
        match &lane {
            Lane::Docker => self.docker += 1,
            Lane::Process => self.processes += 1,
            Lane::Pull(image) => *self.pulls.entry(image.clone()).or_default() += 1,
        }
        self.held.insert(id, lane);
        true
    }

    /// Gives room back. `done`: the image is here now.
    pub(super) fn free(&mut self, id: SandboxId, done: bool) {
        match self.held.remove(&id) {
            None => {}
            Some(Lane::Docker) => self.docker -= 1,
            Some(Lane::Process) => self.processes -= 1,
            Some(Lane::Pull(image)) => self.free_pull(image, done),
        }
    }

    /// Who may try again, since there is room.
    pub(super) fn wake(&mut self) -> Vec<InstanceId> {
        let mut woken = Vec::new();
        let docker = self.limits.docker.saturating_sub(self.docker);
        let processes = self.limits.processes.saturating_sub(self.processes);
        let pulls = if std::mem::take(&mut self.pulls_freed) { usize::MAX } else { 0 };
        for (kind, room) in
            [(Kind::Docker, docker), (Kind::Process, processes), (Kind::Pull, pulls)]
        {
            let Some(waiting) = self.waiting.get_mut(&kind) else { continue };
            for _ in 0..room {
                let Some((_, instance)) = waiting.pop_first() else { break };
                woken.push(instance);
            }
        }
        woken
    }

    fn has_room(&self, lane: &Lane) -> bool {
        match lane {
            Lane::Docker => self.docker < self.limits.docker,
            Lane::Process => self.processes < self.limits.processes,
            Lane::Pull(image) => {
                let all: usize = self.pulls.values().sum();
                let alone = self.present.contains(image) || !self.pulls.contains_key(image);
                all < self.limits.pulls && alone
            }
        }
    }

    fn free_pull(&mut self, image: String, done: bool) {
        self.pulls_freed = true;
        if let Some(count) = self.pulls.get_mut(&image) {
            *count -= 1;
            if *count == 0 {
                self.pulls.remove(&image);
            }
        }
        if self.present.len() >= MAX_IMAGES {
            self.present.clear();
        }
        if done {
            self.present.insert(image);
        } else {
            self.present.remove(&image);
        }
    }
}

// === impl Lane ===

impl Lane {
    const fn kind(&self) -> Kind {
        match self {
            Lane::Docker => Kind::Docker,
            Lane::Process => Kind::Process,
            Lane::Pull(_) => Kind::Pull,
        }
    }
}
