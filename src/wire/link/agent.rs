//! The agent's half of the sessions with its leaders.
//!
//! One for the life of the agent's process: what is not acknowledged, the highest epoch and the newest want of each
//! instance outlive every session. At most one session is open; a new one ends the one before.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::model::agent::Inventory;
use crate::model::have::{Have, SpecKey, Want};
use crate::model::id::{AgentId, ClusterId, Epoch, Incarnation, InstanceId, Rev, RunId, Seq};
use crate::model::time::Timestamp;
use crate::planted::planted;
use crate::wire::link::MAX_BATCH;
use crate::wire::link::haves::Haves;
use crate::wire::link::liveness::{BEAT, Liveness};
use crate::wire::message::{Down, Hello, Leaving, Open, PROTOCOLS, Refused, Up};

/// How many definitions one frame asks for.
const MAX_NEEDS: usize = 1_024;

/// The agent's half of its sessions.
#[derive(Debug)]
pub struct AgentLink {
    identity: Identity,
    run: RunId,
    inventory: Inventory,
    haves: Haves,
    /// Whether all that the host has is in `haves`.
    complete: bool,
    /// The newest want of each instance, and the life it is about.
    newest: BTreeMap<InstanceId, (Rev, Incarnation)>,
    leaving: Option<Leaving>,
    /// How many sessions there have been.
    sessions: u64,
    live: Option<Live>,
    wants: BTreeMap<InstanceId, Want>,
    specs: BTreeMap<SpecKey, Bytes>,
    acked: Vec<(InstanceId, Incarnation)>,
    /// Whether both sides have said all, and the mind does not know.
    synced_news: bool,
}

/// What outlives the agent's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who it is.
    pub agent: AgentId,
    /// Where it belongs; nowhere before its first session.
    pub cluster: Option<ClusterId>,
    /// The highest epoch it has met.
    pub epoch: Epoch,
}

/// What must be on disk before a session is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a session is accepted by `opened`, after this is on disk"]
pub struct NeedsPersist {
    /// Where the agent belongs from now on.
    pub cluster: ClusterId,
    /// Sessions of lower epochs are refused from now on.
    pub epoch: Epoch,
}

/// Which session of this process; what comes from an earlier one is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Session(u64);

/// The open session.
#[derive(Debug)]
struct Live {
    session: Session,
    leader: Liveness,
    /// When something was last sent.
    said: Timestamp,
    inventory_due: bool,
    /// The number of the inventory that was sent last.
    offered: Seq,
    needs: BTreeSet<SpecKey>,
    /// Whether the agent has said all it has.
    ours: bool,
    /// Whether the leader has sent all wants.
    theirs: bool,
}

// === impl AgentLink ===

impl AgentLink {
    /// For a process that has just started; `identity` is what its predecessor stored.
    pub fn new(identity: Identity, run: RunId, inventory: Inventory) -> AgentLink {
        AgentLink {
            identity,
            run,
            inventory,
            haves: Haves::default(),
            complete: false,
            newest: BTreeMap::new(),
            leaving: None,
            sessions: 0,
            live: None,
            wants: BTreeMap::new(),
            specs: BTreeMap::new(),
            acked: Vec::new(),
            synced_news: false,
        }
    }

    /// What the agent says of itself before a session.
    pub fn hello(&self) -> Hello {
        Hello {
            protocols: PROTOCOLS,
            cluster: self.identity.cluster,
            agent: self.identity.agent,
            run: self.run,
            epoch: self.identity.epoch,
            hostname: self.inventory().hostname.clone(),
            boot: self.inventory().boot.clone(),
        }
    }

    /// A leader asks for a session. What this gives must be on disk before [`opened`](AgentLink::opened).
    ///
    /// # Errors
    /// When the leader is not the newest, or not of this cluster, or speaks another protocol, or the agent is leaving.
    pub fn open(&mut self, open: &Open) -> Result<NeedsPersist, Refused> {
        if !PROTOCOLS.contains(&open.protocol) {
            return Err(Refused::Protocol(PROTOCOLS));
        }
        if let Some(cluster) = self.identity.cluster.filter(|own| *own != open.cluster) {
            return Err(Refused::Cluster(cluster));
        }
        if planted!("older-leader-obeyed", open.epoch < self.identity.epoch, false) {
            return Err(Refused::Epoch(self.identity.epoch));
        }
        if let Some(why) = self.leaving {
            return Err(Refused::Unable(format!("it is leaving: {why:?}")));
        }
        // Counts from now on, also if the disk fails: to refuse more than was stored is safe.
        self.identity.cluster = Some(open.cluster);
        self.identity.epoch = open.epoch;
        Ok(NeedsPersist { cluster: open.cluster, epoch: open.epoch })
    }

    /// It is on disk: the session begins, and the one before has ended.
    ///
    /// # Errors
    /// When a newer leader came meanwhile.
    pub fn opened(&mut self, now: Timestamp, stored: NeedsPersist) -> Result<Session, Refused> {
        if stored.epoch < self.identity.epoch {
            return Err(Refused::Epoch(self.identity.epoch));
        }
        self.sessions += 1;
        let session = Session(self.sessions);
        self.haves.restart();
        self.synced_news = false;
        self.live = Some(Live {
            session,
            leader: Liveness::of_leader(now),
            said: now,
            inventory_due: true,
            offered: Seq(0),
            needs: BTreeSet::new(),
            ours: false,
            theirs: false,
        });
        Ok(session)
    }

    /// The open session. The shell ends the streams of any other.
    pub fn session(&self) -> Option<Session> {
        self.live.as_ref().map(|live| live.session)
    }

    /// The leader said something.
    pub fn down(&mut self, now: Timestamp, session: Session, frame: Down) {
        let of_it =
            |live: &&mut Live| planted!("older-session-heard", live.session == session, true);
        let Some(live) = self.live.as_mut().filter(of_it) else { return };
        live.leader.heard(now);
        match frame {
            Down::Spec(key, text) => {
                live.needs.remove(&key);
                self.specs.insert(key, text);
            }
            Down::Want(wants) => wants.into_iter().for_each(|want| self.take_want(want)),
            Down::Ack(seq) => self.take_ack(seq),
            Down::Synced => {
                let before = live.is_synced();
                live.theirs = true;
                self.synced_news |= live.is_synced() && !before;
            }
            Down::Beat => {}
        }
    }

    /// The streams of a session have ended.
    pub fn closed(&mut self, session: Session) {
        if self.session() == Some(session) {
            self.live = None;
        }
    }

    /// Time has passed. Drops the session of a leader that is not heard.
    pub fn tick(&mut self, now: Timestamp) {
        let lost = self.live.as_mut().is_some_and(|live| live.leader.tick(now).is_some());
        if lost {
            self.live = None;
        }
    }

    /// When to tick and pull at the latest.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let live = self.live.as_ref()?;
        let beat = live.said + BEAT;
        Some(live.leader.next_wake().map_or(beat, |wake| wake.min(beat)))
    }

    /// What a life of an instance is now.
    pub fn have(&mut self, have: Have) {
        self.haves.put(have);
    }

    /// Everything that the host has is told: from now on absence means something.
    pub fn complete(&mut self) {
        if !self.complete {
            self.complete = true;
            self.haves.mark();
        }
    }

    /// What the agent offers and allows, as it was last told.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// What the agent offers and allows has changed: the leader is told in the open session, and in every later one.
    pub fn offer(&mut self, inventory: Inventory) {
        if self.inventory != inventory {
            self.inventory = inventory;
            if let Some(live) = &mut self.live {
                live.inventory_due = planted!("changed-offer-not-told", true, false);
            }
        }
    }

    /// A want names a definition that the mind lacks.
    pub fn need_spec(&mut self, key: SpecKey) {
        if let Some(live) = &mut self.live {
            live.needs.insert(key);
        }
    }

    /// The process is about to end. Said once, then no session is open or opened.
    pub fn leave(&mut self, why: Leaving) {
        self.leaving = Some(why);
    }

    /// Whether the process is about to end.
    pub fn has_left(&self) -> bool {
        self.leaving.is_some()
    }

    /// The next frame to send, of at most about `budget` bytes. Ask again until there is none, whenever there is room.
    pub fn pull(&mut self, now: Timestamp, session: Session, budget: usize) -> Option<Up> {
        if self.session() != Some(session) {
            return None;
        }
        if let Some(why) = self.leaving {
            self.live = None;
            return Some(Up::Leaving(why));
        }
        let frame = self.next_frame(budget.min(MAX_BATCH));
        let live = self.live.as_mut()?;
        let frame = frame.or((now >= live.said + BEAT).then_some(Up::Beat))?;
        live.said = now;
        Some(frame)
    }

    /// Wants that came since the last call, the newest of each instance.
    pub fn take_wants(&mut self) -> Vec<Want> {
        std::mem::take(&mut self.wants).into_values().collect()
    }

    /// Definitions that came since the last call, as canonical JSON.
    pub fn take_specs(&mut self) -> Vec<(SpecKey, Bytes)> {
        std::mem::take(&mut self.specs).into_iter().collect()
    }

    /// Lives whose end became durable since the last call: what is left of them may be removed.
    pub fn take_acked(&mut self) -> Vec<(InstanceId, Incarnation)> {
        std::mem::take(&mut self.acked)
    }

    /// Whether, since the last call, both sides have come to have said all they had: from now on an instance without a
    /// want is a stray. True once per session.
    pub fn take_synced(&mut self) -> bool {
        std::mem::take(&mut self.synced_news)
    }

    /// Whether both sides have said all they had in the open session.
    pub fn is_synced(&self) -> bool {
        self.live.as_ref().is_some_and(Live::is_synced)
    }

    fn take_want(&mut self, want: Want) {
        let known = self.newest.get(&want.instance);
        let older = known.is_some_and(|(rev, _)| *rev > want.rev);
        if planted!("older-want-taken", older, false)
            && planted!("late-kill-hits-the-successor", true, false)
        {
            return;
        }
        self.haves.wanted((want.instance, want.incarnation));
        self.newest.insert(want.instance, (want.rev, want.incarnation));
        self.wants.insert(want.instance, want);
    }

    fn take_ack(&mut self, seq: Seq) {
        for life in self.haves.ack(seq) {
            let (instance, incarnation) = life;
            self.acked.push(life);
            // Nothing is left and nothing newer wanted: the instance is history, and so is the number of its want.
            let known = self.newest.get(&instance);
            if self.haves.newest_life(instance).is_none()
                && known.is_some_and(|(_, wanted)| *wanted <= incarnation)
            {
                self.newest.remove(&instance);
            }
        }
    }

    fn next_frame(&mut self, limit: usize) -> Option<Up> {
        let live = self.live.as_mut()?;
        if std::mem::take(&mut live.inventory_due) {
            live.offered = live.offered.next();
            return Some(Up::Inventory(live.offered, Box::new(self.inventory.clone())));
        }
        if !live.needs.is_empty() {
            let needs = std::iter::from_fn(|| live.needs.pop_first());
            return Some(Up::NeedSpecs(needs.take(MAX_NEEDS).collect()));
        }
        if !live.ours && self.complete && self.haves.is_past_mark() {
            live.ours = true;
            self.synced_news |= live.is_synced();
            return Some(Up::Synced(self.haves.left()));
        }
        let (seq, haves) = self.haves.batch(limit)?;
        Some(Up::Have(seq, haves))
    }
}

// === impl Live ===

impl Live {
    fn is_synced(&self) -> bool {
        self.ours && self.theirs
    }
}
