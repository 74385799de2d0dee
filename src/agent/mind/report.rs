//! What is said of it all: haves of what has changed, haves of everything, strays.

use crate::agent::mind::life::{Life, Said};
use crate::agent::mind::{Mind, Wish, lives_of};
use crate::agent::runtime::SandboxId;
use crate::model::have::{Have, Phase, SpecKey, TaskHave, WantGoal};
use crate::model::id::{APP_TASK, InstanceId, InstanceKey, Rev};

// === impl Mind ===

impl Mind {
    /// What has changed since the last call.
    pub fn haves(&mut self) -> Vec<Have> {
        let mut haves = std::mem::take(&mut self.farewells);
        let changed = std::mem::take(&mut self.changed);
        haves.extend(changed.into_iter().filter_map(|id| self.have(id)));
        haves
    }

    /// What everything is; for a new session, once [`Mind::is_listed`].
    pub fn all_haves(&self) -> Vec<Have> {
        let absent = self.wishes.values().filter(|wish| wish.absent_said).map(Wish::id);
        self.lives.keys().copied().chain(absent).filter_map(|id| self.have(id)).collect()
    }

    /// All instances of which anything is left.
    pub fn present(&self) -> Vec<(InstanceKey, InstanceId)> {
        let mut all: Vec<(InstanceKey, InstanceId)> =
            self.lives.iter().map(|(id, life)| (life.key, id.instance)).collect();
        all.dedup();
        all
    }

    /// What is here, has not ended, and is named by no want. Left alone. Nothing before the leader has sent all wants.
    pub fn strays(&self) -> Vec<(SandboxId, InstanceKey)> {
        let named = |id: &SandboxId| self.wishes.contains_key(&id.instance);
        self.lives
            .iter()
            .filter(|(id, life)| self.synced && !life.is_over() && !named(id))
            .map(|(id, life)| (*id, life.key))
            .collect()
    }

    /// Notes what is new to say of an instance.
    pub(super) fn report(&mut self, instance: InstanceId) {
        let run = self.wishes.get(&instance).filter(|wish| wish.spec().is_some()).map(Wish::id);
        for (id, life) in self.lives.range_mut(lives_of(instance)) {
            // What was made, never ran and shall not run is no task: it may be left of one whose refusal is durable.
            let silent = life.said.is_none() && !life.has_run() && life.end.is_none();
            if silent && run != Some(*id) {
                continue;
            }
            let phase = life.phase();
            let known = |said: &Said| said.phase == phase && said.findings == life.findings;
            if !life.said.as_ref().is_some_and(known) {
                life.said = Some(Said { phase, findings: life.findings.clone() });
                self.changed.insert(*id);
            }
        }
        let absent = self.wishes.get(&instance).filter(|wish| self.is_absent(wish)).map(Wish::id);
        if let (Some(id), Some(wish)) = (absent, self.wishes.get_mut(&instance))
            && !wish.absent_said
        {
            wish.absent_said = true;
            self.changed.insert(id);
        }
    }

    /// Says that nothing is left of a life that no want names, unless a newer one speaks for the instance.
    pub(super) fn say_farewell(&mut self, id: SandboxId, life: &Life) {
        let wanted = self.wishes.get(&id.instance).is_some_and(|wish| wish.id() >= id);
        let newest = self.lives.range(lives_of(id.instance)).next_back().map(|(id, _)| *id);
        if life.said.is_some() && !wanted && newest < Some(id) {
            self.changed.remove(&id);
            let names = self.names(Some(life.spec_key));
            let absent = Said { phase: Phase::Absent, findings: None };
            self.farewells.push(have(id, life.key, Rev::default(), names, &absent));
        }
    }

    /// Whether nothing of what a wish names is here, now and later.
    fn is_absent(&self, wish: &Wish) -> bool {
        let id = wish.id();
        let used_up = self.graves.get(id.instance).spent >= id.incarnation;
        let never_here = match wish.want.goal {
            WantGoal::Run { .. } => used_up,
            WantGoal::Stop { .. } | WantGoal::Forget => used_up || self.is_listed(),
        };
        let forget = matches!(wish.want.goal, WantGoal::Forget);
        let left = |(at, life): (&SandboxId, &Life)| at == &id || forget || life.is_alive();
        never_here && !self.lives.range(lives_of(id.instance)).any(left)
    }

    fn have(&self, id: SandboxId) -> Option<Have> {
        let wish = self.wishes.get(&id.instance);
        let rev_seen = wish.map_or(Rev::default(), |wish| wish.want.rev);
        let absent = Said { phase: Phase::Absent, findings: None };
        let (key, said, spec) = match self.lives.get(&id) {
            Some(life) => (life.key, life.said.as_ref()?, Some(life.spec_key)),
            None => (wish?.want.key, &absent, wish?.spec()),
        };
        Some(have(id, key, rev_seen, self.names(spec), said))
    }

    fn names(&self, spec: Option<SpecKey>) -> Vec<String> {
        match spec.and_then(|key| self.specs.get(key)) {
            Some(spec) => spec.containers.iter().map(|container| container.name.clone()).collect(),
            None => vec![APP_TASK.to_owned()],
        }
    }
}

// === impl Wish ===

impl Wish {
    /// The life that it names.
    pub(super) fn id(&self) -> SandboxId {
        SandboxId { instance: self.want.instance, incarnation: self.want.incarnation }
    }
}

/// All containers of a life share its phase: they live and end together. What was found is that of an app's only one.
fn have(id: SandboxId, key: InstanceKey, rev_seen: Rev, names: Vec<String>, said: &Said) -> Have {
    let Said { phase, findings } = said;
    let task = |task| TaskHave { task, phase: phase.clone(), findings: findings.clone() };
    let tasks = names.into_iter().map(task).collect();
    Have { instance: id.instance, key, incarnation: id.incarnation, rev_seen, tasks }
}
