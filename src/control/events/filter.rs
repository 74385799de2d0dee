//! Which events a consumer wants to see, and may.

use std::collections::BTreeSet;

use crate::contract::show::event::{self, Notice, Plans};
use crate::model::event::Event;
use crate::model::path::AppPath;

/// As a type: events of every kind, ours among them.
pub const EVERY: &str = "*";

/// The events that say that a task is ended.
const STATUS: &str = "status_update_event";
const INSTANCE: &str = "instance_changed_event";

/// Which events a consumer wants to see, and how.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Names of events, or `*`; all of Marathon's when absent.
    pub types: Option<BTreeSet<String>>,
    /// Apps or groups; an event is shown when it is about one of them or something within. All when absent.
    pub apps: Option<Vec<AppPath>>,
    /// How plans are told.
    pub plans: Plans,
}

// === impl Filter ===

impl Filter {
    /// Whether all of Marathon's events pass.
    pub fn is_open(&self) -> bool {
        self.types.is_none() && self.apps.is_none()
    }

    /// Whether an event passes.
    pub fn takes(&self, event: &Event) -> bool {
        (self.types.is_some() || !event.is_ours())
            && self.takes_type(event::name(event))
            && self.apps.as_ref().is_none_or(|apps| apps.iter().any(|group| event.concerns(group)))
    }

    /// Whether a notice for all passes: who asks for apps does not ask for other consumers.
    pub fn takes_notice(&self, notice: &Notice) -> bool {
        self.apps.is_none() && self.takes_type(notice.name())
    }

    /// Of which apps and groups it is told that tasks are ended; an empty list is all of them, none is none of them.
    pub fn tells_ends(&self) -> Option<Vec<AppPath>> {
        let told = self.takes_type(STATUS) || self.takes_type(INSTANCE);
        told.then(|| self.apps.clone().unwrap_or_default())
    }

    /// Whether events of this name pass.
    pub fn takes_type(&self, name: &str) -> bool {
        self.types.as_ref().is_none_or(|types| types.contains(name) || types.contains(EVERY))
    }
}
