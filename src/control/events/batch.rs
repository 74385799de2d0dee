//! Events of one commit as they stand in the ring, and their text, made once for all readers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::contract::show::event::{self, Notice, Plans};
use crate::control::events::weight::weight;
use crate::model::app::AppVersion;
use crate::model::commit::Commit;
use crate::model::event::{Event, EventId};
use crate::model::id::CommitNo;
use crate::model::time::Timestamp;
use crate::model::world::World;

/// The most events of one batch: what a stalled consumer may hold on to although the ring has let go of it.
const BATCH_EVENTS: usize = 64;
/// The same in bytes.
const BATCH_BYTES: usize = 32 * 1_024;

/// Events that follow each other in one commit.
#[derive(Clone, Debug)]
pub struct Published {
    /// The commit.
    pub commit: CommitNo,
    /// When it was decided.
    pub at: Timestamp,
    /// Which of the commit's events the first one is.
    pub first: u32,
    /// The events.
    pub events: Vec<Event>,
    /// The definitions that they speak of, by the place of the event among these.
    pub definitions: BTreeMap<u32, Arc<AppVersion>>,
}

/// Events as they stand in the ring.
pub(super) struct Batch {
    /// Its place in the ring: higher than all before.
    pub place: u64,
    /// The newest event's id at its end.
    pub last: EventId,
    /// About how many bytes it takes.
    pub weight: usize,
    /// What it holds.
    pub content: Content,
    /// Whether something in it is told only to those who ask for it.
    pub has_ours: bool,
    at: Timestamp,
    /// Whether its text is kept: it is so while readers that keep pace will ask for it.
    warm: AtomicBool,
    heavy: Mutex<Option<Text>>,
    light: Mutex<Option<Text>>,
}

/// What a batch holds.
pub(super) enum Content {
    /// Events of the log.
    Log {
        /// Which of the commit's events the first one is.
        first: u32,
        /// The events.
        events: Vec<Event>,
        /// The definitions that they speak of.
        definitions: BTreeMap<u32, Arc<AppVersion>>,
    },
    /// Something that is in no log.
    Passing(Notice),
}

/// The frames of a batch, one after the other.
#[derive(Clone)]
pub(super) struct Text {
    /// All of them.
    pub bytes: Bytes,
    ends: Arc<[usize]>,
}

// === impl Published ===

impl Published {
    /// The events of a commit, with the definitions as they were right after it.
    pub fn of(commit: &mut Commit) -> Published {
        let events = std::mem::take(&mut commit.events);
        Published::with_world(commit.no, commit.at, events, &commit.world)
    }

    /// Events of a commit, with the definitions that `world` has.
    pub fn with_world(
        commit: CommitNo,
        at: Timestamp,
        events: Vec<Event>,
        world: &World,
    ) -> Published {
        let definition = |(place, event): (u32, &Event)| match event {
            Event::ApiPost { app, version, .. } => {
                Some((place, world.versions.share(&(*app, *version))?))
            }
            Event::GroupChanged { .. }
            | Event::GroupChangeFailed { .. }
            | Event::StepBegan(_)
            | Event::StepDone(_)
            | Event::DeploymentDone(_)
            | Event::DeploymentFailed { .. }
            | Event::DeploymentStands(_)
            | Event::AppTerminated { .. }
            | Event::Status(_)
            | Event::InstanceChanged { .. }
            | Event::HealthChanged { .. }
            | Event::CheckFailed { .. }
            | Event::AliveChanged { .. }
            | Event::UnhealthyKill { .. }
            | Event::HealthBrake { .. }
            | Event::UnknownTerminated { .. }
            | Event::AgentLost { .. }
            | Event::AgentReturned { .. }
            | Event::BrakeHeld { .. }
            | Event::BrakeReleased { .. } => None,
        };
        let definitions = (0..).zip(&events).filter_map(definition).collect();
        Published { commit, at, first: 0, events, definitions }
    }

    /// In parts that are small enough for the ring.
    pub(super) fn parts(self) -> Vec<Published> {
        let Published { commit, at, first, events, mut definitions } = self;
        let mut parts: Vec<Published> = Vec::new();
        let mut bytes = 0;
        for (place, event) in (0..).zip(events) {
            let weight = weight(&event);
            let full = |part: &Published| {
                part.events.len() >= BATCH_EVENTS || bytes + weight > BATCH_BYTES
            };
            if parts.last().is_none_or(full) {
                bytes = 0;
                let (events, definitions) = (Vec::new(), BTreeMap::new());
                parts.push(Published { commit, at, first: first + place, events, definitions });
            }
            bytes += weight;
            let part = parts.last_mut().expect("one was pushed");
            if let Some(definition) = definitions.remove(&place) {
                part.definitions.insert(first + place - part.first, definition);
            }
            part.events.push(event);
        }
        for part in &mut parts {
            part.events.shrink_to_fit();
        }
        parts
    }
}

// === impl Batch ===

impl Batch {
    /// Events of the log at a place; there is at least one.
    pub fn log(place: u64, published: Published) -> Batch {
        let Published { commit, at, first, events, definitions } = published;
        let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
        let last = EventId { commit, index: first + count.saturating_sub(1) };
        let weight = events.iter().map(weight).sum::<usize>() + size_of::<Batch>();
        Batch::new(place, at, last, weight, Content::Log { first, events, definitions })
    }

    /// Something that is in no log, after the event `last`.
    pub fn passing(place: u64, at: Timestamp, last: EventId, notice: Notice) -> Batch {
        Batch::new(place, at, last, size_of::<Batch>(), Content::Passing(notice))
    }

    fn new(place: u64, at: Timestamp, last: EventId, weight: usize, content: Content) -> Batch {
        let (heavy, light) = (Mutex::default(), Mutex::default());
        let has_ours = match &content {
            Content::Log { events, .. } => events.iter().any(Event::is_ours),
            Content::Passing(_) => false,
        };
        let warm = AtomicBool::new(true);
        Batch { place, last, weight, content, has_ours, at, warm, heavy, light }
    }

    /// The events of the log in it.
    pub fn events(&self) -> &[Event] {
        match &self.content {
            Content::Log { events, .. } => events,
            Content::Passing(_) => &[],
        }
    }

    /// The id of its first event, when it is of the log.
    pub fn first(&self) -> Option<EventId> {
        match &self.content {
            Content::Log { first, .. } => Some(EventId { index: *first, ..self.last }),
            Content::Passing(_) => None,
        }
    }

    /// Its text. Who comes first makes it; the others wait for that.
    pub fn text(&self, plans: Plans) -> Text {
        let mut kept = self.slot(plans).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = &*kept {
            return text.clone();
        }
        let text = self.make(plans);
        if self.warm.load(Ordering::Relaxed) {
            *kept = Some(text.clone());
        }
        text
    }

    /// Lets go of its text: who comes late makes it anew.
    pub fn cool(&self) {
        self.warm.store(false, Ordering::Relaxed);
        for plans in [Plans::Heavy, Plans::Light] {
            *self.slot(plans).lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn slot(&self, plans: Plans) -> &Mutex<Option<Text>> {
        match plans {
            Plans::Heavy => &self.heavy,
            Plans::Light => &self.light,
        }
    }

    fn make(&self, plans: Plans) -> Text {
        let mut out = String::with_capacity(512 * self.events().len().max(1));
        let mut ends = Vec::with_capacity(self.events().len().max(1));
        match &self.content {
            Content::Passing(notice) => {
                event::notice(&mut out, None, notice, self.at);
                ends.push(out.len());
            }
            Content::Log { first, events, definitions } => {
                for (place, happened) in (0..).zip(events) {
                    let id = EventId { index: first + place, ..self.last };
                    let definition = definitions.get(&place).map(|row| &**row);
                    event::frame(&mut out, Some(id), event::name(happened), |out| {
                        event::write(out, happened, self.at, definition, plans);
                    });
                    ends.push(out.len());
                }
            }
        }
        Text { bytes: out.into(), ends: ends.into() }
    }
}

// === impl Text ===

impl Text {
    /// The frame of one event.
    pub fn frame(&self, place: usize) -> Bytes {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.bytes.slice(start..self.ends[place])
    }

    /// All frames from one event on.
    pub fn from(&self, place: usize) -> Bytes {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.bytes.slice(start..)
    }
}
