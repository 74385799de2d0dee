//! Looking at one instance: takes its want up, begins the next step of each of its lives where nothing stands in the
//! way, and lets go of what is over.

use crate::agent::mind::decide::{Act, Intent, Next, next};
use crate::agent::mind::life::{Busy, Host, Life};
use crate::agent::mind::{Hand, HandState, LaunchPlan, Mind, Step, Wish, lives_of};
use crate::agent::runtime::SandboxId;
use crate::model::end::End;
use crate::model::have::{SpecKey, WantGoal};
use crate::model::id::{InstanceId, InstanceKey, Rev};
use crate::model::instance::Place;
use crate::model::reason::Reason;
use crate::model::spec::Spec;
use crate::model::time::Timestamp;
use crate::planted::planted;

// === impl Mind ===

impl Mind {
    /// Looks at one instance.
    pub(super) fn look(&mut self, now: Timestamp, instance: InstanceId, out: &mut Vec<Step>) {
        self.take_up(now, instance);
        let ids: Vec<SandboxId> = self.lives.range(lives_of(instance)).map(|(id, _)| *id).collect();
        let wake = ids.into_iter().filter_map(|id| self.look_at(now, id, out)).min();
        self.alarms.set(instance, wake);
        self.report(instance);
        if self.wishes.get(&instance).is_some_and(|wish| self.is_done(wish)) {
            self.drop_wish(instance);
        }
        self.wake_followers(instance);
    }

    /// Makes a life of a want to run, unless it exists, is used up, or may exist unseen.
    fn take_up(&mut self, now: Timestamp, instance: InstanceId) {
        let Some(wish) = self.wishes.get(&instance) else { return };
        let (id, key) = (wish.id(), wish.want.key);
        let Some(spec_key) = wish.spec() else { return };
        let newest = self.lives.range(lives_of(instance)).next_back().map(|(id, _)| *id);
        if newest >= Some(id) || self.graves.get(instance).spent >= id.incarnation {
            return;
        }
        let Some(spec) = self.specs.get_for(spec_key, instance) else { return };
        let hand = Hand::of(&spec);
        let mut life = Life::new(key, spec_key, hand, self.tick);
        match self.hands.get(&hand) {
            Some(state) if planted!("adopts-nothing", state.was_listed(), true) => {}
            Some(_) => return,
            None => {
                let detail = "this agent runs without one".to_owned();
                life.refused(now, Reason::NoEngine { detail });
            }
        }
        self.lives.insert(id, life);
    }

    /// Looks at one life; gives the time at which to look again.
    fn look_at(&mut self, now: Timestamp, id: SandboxId, out: &mut Vec<Step>) -> Option<Timestamp> {
        let intent = self.intent(id);
        let synced = self.synced;
        let ready = self.is_ready(id);
        let life = self.lives.get_mut(&id)?;
        if life.missing && synced {
            life.conclude_gone(now);
        }
        match intent {
            Intent::End { .. } => life.stop.wanted = life.stop.wanted.or(Some(now)),
            Intent::Run | Intent::Leave => life.stop.wanted = None,
        }
        self.examine(now, id, intent, out);
        let life = self.lives.get_mut(&id)?;
        if life.is_nothing() && intent != Intent::Run {
            self.drop_life(id);
            return None;
        }
        if matches!(life.host, Host::Running(_)) && !life.watched && !life.doubt && ready {
            life.watched = true;
            out.push(Step::Watch(life.hand, id));
        }
        self.follow_checks(now, id, intent);
        self.make_room(id, intent);
        let life = self.lives.get(&id)?;
        if life.discard && !self.hands.contains_key(&life.hand) {
            self.drop_life(id);
            return None;
        }
        match next(life, intent, now) {
            Next::Rest => None,
            Next::Until(at) => Some(at),
            Next::Do(act) => {
                out.extend(self.begin(now, id, act));
                None
            }
        }
    }

    /// What a life shall become.
    fn intent(&self, id: SandboxId) -> Intent {
        let spec = self.lives.get(&id).and_then(|life| self.specs.get(life.spec_key));
        let grace = spec.map_or(Spec::DEFAULT_GRACE, |spec| spec.kill_grace());
        let want = self.wishes.get(&id.instance).map(|wish| &wish.want);
        Intent::of(want, id.incarnation, grace)
    }

    /// Begins a step, unless something stands in the way; whatever does leads to another look when it is gone.
    fn begin(&mut self, now: Timestamp, id: SandboxId, act: Act) -> Option<Step> {
        let hand = self.lives.get(&id)?.hand;
        if act != Act::Cancel && !self.is_ready(id) {
            return None;
        }
        let step = match act {
            Act::Prepare => Step::Prepare(hand, self.launch(id, act)?),
            Act::Start => Step::Start(hand, self.launch(id, act)?),
            Act::Cancel => Step::Cancel(hand, id),
            Act::Terminate => Step::Terminate(hand, id),
            Act::Kill => Step::Kill(hand, id),
            Act::Remove => Step::Remove(hand, id),
        };
        self.tick += 1;
        let life = self.lives.get_mut(&id)?;
        life.touched = self.tick;
        life.begun(act, now);
        Some(step)
    }

    /// The plan of a launch, if its definition is here and there is room; a start also waits until its predecessors are
    /// gone. What is fetched, pulled and made before that takes nothing from them (core.md §7.6).
    fn launch(&mut self, id: SandboxId, act: Act) -> Option<LaunchPlan> {
        let wish = self.wishes.get(&id.instance)?;
        let (key, order) = (wish.want.key, wish.order);
        let WantGoal::Run { version, place, after, findings: _ } = &wish.want.goal else {
            return None;
        };
        let (place, after): (Place, Option<InstanceKey>) = (place.clone(), *after);
        let spec_key = SpecKey { app: key.app, version: *version };
        let spec = self.specs.get_for(spec_key, id.instance)?;
        if act == Act::Start && self.must_wait(id, after) {
            return None;
        }
        let hand = self.lives.get(&id)?.hand;
        let image = spec.container().image().filter(|_| act == Act::Prepare);
        let lane = self.slots.lane(hand, image.map(|image| (&*image.image, image.force_pull)));
        let plan = LaunchPlan { id, key, spec_key, spec, place };
        self.slots.take(lane, id, order).then_some(plan)
    }

    /// Whether a life may not start yet.
    fn must_wait(&mut self, id: SandboxId, after: Option<InstanceKey>) -> bool {
        let Some(after) = after.filter(|after| !self.is_gone(*after)) else {
            return !self.is_next_life(id);
        };
        self.followers.entry(after).or_default().insert(id.instance);
        true
    }

    /// Whether every older life of the instance has ended here. A life is only ever started after this was true of it,
    /// so the end of the one before stands for all; without it every hand must have shown what it has.
    fn is_next_life(&self, id: SandboxId) -> bool {
        let mut older = self.lives.range(lives_of(id.instance)).take_while(|(at, _)| **at < id);
        let known = self.is_listed()
            || id.incarnation.0 <= 1
            || older
                .clone()
                .any(|(at, life)| at.incarnation.next() == id.incarnation && life.is_over());
        known && !older.any(|(_, life)| life.is_alive())
    }

    /// Whether an instance has nothing here that runs or will run. What was made, never ran and is wanted by nobody is
    /// left of one whose end is durable.
    fn is_gone(&self, key: InstanceKey) -> bool {
        let Some(instance) = self.keys.get(&key) else { return self.is_listed() };
        let wish = self.wishes.get(instance);
        let runs_yet = wish.is_some_and(|wish| {
            let over = self.lives.get(&wish.id()).is_some_and(Life::is_over);
            wish.spec().is_some() && !over
        });
        let stays = |life: &Life| life.is_alive() && (wish.is_some() || !life.is_idle());
        let stays = self.lives.range(lives_of(*instance)).any(|(_, life)| stays(life));
        self.is_listed() && !runs_yet && !stays
    }

    fn wake_followers(&mut self, instance: InstanceId) {
        if self.followers.is_empty() {
            return;
        }
        let keys: Vec<InstanceKey> = self
            .followers
            .keys()
            .filter(|key| self.keys.get(key).is_none_or(|of| *of == instance))
            .filter(|key| self.is_gone(**key))
            .copied()
            .collect();
        for key in keys {
            self.dirty.extend(self.followers.remove(&key).unwrap_or_default());
        }
    }

    /// Whether a wish is fulfilled for good, and its leader knows it.
    fn is_done(&self, wish: &Wish) -> bool {
        let id = wish.id();
        let forget = matches!(wish.want.goal, WantGoal::Forget);
        let done = match self.lives.get(&id) {
            Some(life) => life.is_over() && life.acked && !forget,
            None => wish.absent_acked,
        };
        done && !self.has_alive(id.instance)
    }

    /// What has ended and is acknowledged goes when there is too much of it; what never ran left no logs and goes at once.
    fn make_room(&mut self, id: SandboxId, intent: Intent) {
        let Some(life) = self.lives.get_mut(&id) else { return };
        let app = life.key.app;
        let acked = planted!("removed-before-acknowledged", life.acked, true);
        let may_go = life.is_over() && acked && intent != Intent::Run;
        match &life.end {
            Some((_, End::Refused(_))) if may_go => life.discard = true,
            Some((at, _)) if may_go && !life.discard => self.kept.add(id, app, *at),
            Some(_) | None => self.kept.remove(id),
        }
        for old in self.kept.crowded_out(app, &self.limits) {
            if let Some(life) = self.lives.get_mut(&old) {
                life.discard = true;
                self.dirty.insert(old.instance);
            }
        }
    }

    /// Lets go of a life of which nothing is left. It is never begun again.
    pub(super) fn drop_life(&mut self, id: SandboxId) {
        let Some(life) = self.lives.remove(&id) else { return };
        self.kept.remove(id);
        self.turns.end(id);
        self.slots.free(id, false);
        if let Some(state) = self.hands.get_mut(&life.hand) {
            state.removed(id);
        }
        self.graves.add(id.instance, Rev::default(), id.incarnation);
        self.say_farewell(id, &life);
        self.forget_key(life.key, id.instance);
    }

    /// Lets go of a wish.
    pub(super) fn drop_wish(&mut self, instance: InstanceId) {
        let Some(wish) = self.wishes.remove(&instance) else { return };
        let spent = match self.lives.get(&wish.id()) {
            Some(_) => wish.want.incarnation,
            None => self.graves.get(instance).spent,
        };
        self.graves.add(instance, wish.want.rev, spent);
        self.forget_key(wish.want.key, instance);
        self.dirty.insert(instance);
    }

    fn forget_key(&mut self, key: InstanceKey, instance: InstanceId) {
        let left = self.wishes.contains_key(&instance)
            || self.lives.range(lives_of(instance)).next().is_some();
        if !left {
            self.keys.remove(&key);
        }
    }

    fn has_alive(&self, instance: InstanceId) -> bool {
        self.lives.range(lives_of(instance)).any(|(_, life)| life.is_alive())
    }

    fn is_ready(&self, id: SandboxId) -> bool {
        let hand = self.lives.get(&id).and_then(|life| self.hands.get(&life.hand));
        hand.is_some_and(HandState::is_ready)
    }
}

// === impl Life ===

impl Life {
    fn begun(&mut self, act: Act, now: Timestamp) {
        self.busy = Some(match act {
            Act::Prepare => Busy::Prepare { cancelled: false },
            Act::Cancel => Busy::Prepare { cancelled: true },
            Act::Start => {
                self.start_tried = true;
                Busy::Start
            }
            Act::Terminate => {
                self.stop.asked = self.stop.asked.or(Some(now));
                Busy::Terminate
            }
            Act::Kill => {
                self.stop.killed = Some(now);
                Busy::Kill
            }
            Act::Remove => Busy::Remove,
        });
    }
}
