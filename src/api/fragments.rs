//! Texts that are made once: definitions for as long as they are asked for, the last list until the next commit.
//!
//! A stored definition never changes under its version, so a list of ten thousand apps is a join of these fragments.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::contract::show;
use crate::model::app::{App, AppVersion};
use crate::model::id::{AppKey, CommitNo, Epoch, Version};
use crate::model::view::View;

/// The most definitions of one generation; two are kept.
const GENERATION: usize = 32_768;

/// The text of definitions, by app and version.
#[derive(Debug, Default)]
pub struct Fragments {
    generations: Mutex<Generations>,
}

/// The last answer of a list, good until the next commit. For callers of one and the same scope.
#[derive(Debug, Default)]
pub struct LastList {
    kept: Mutex<Option<Kept>>,
}

/// What is asked for often is copied from the older generation to the younger; the older one goes when the younger is
/// full.
#[derive(Debug, Default)]
struct Generations {
    young: BTreeMap<(AppKey, Version), Arc<str>>,
    old: BTreeMap<(AppKey, Version), Arc<str>>,
}

#[derive(Debug)]
struct Kept {
    epoch: Epoch,
    no: CommitNo,
    query: String,
    body: Bytes,
}

// === impl Fragments ===

impl Fragments {
    /// The definition that counts for each of `apps`.
    pub fn current<'a>(&self, view: &View, apps: &[&'a App]) -> Vec<(&'a App, Arc<str>)> {
        let mut generations = self.lock();
        apps.iter()
            .filter_map(|app| {
                let row = view.world.current(app)?;
                Some((*app, generations.text(app.key, row)))
            })
            .collect()
    }

    /// The text of one definition.
    pub fn of(&self, app: AppKey, row: &AppVersion) -> Arc<str> {
        self.lock().text(app, row)
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Generations ===

impl Generations {
    fn text(&mut self, app: AppKey, row: &AppVersion) -> Arc<str> {
        let key = (app, row.version);
        if let Some(text) = self.young.get(&key) {
            return text.clone();
        }
        let text = match self.old.get(&key) {
            Some(text) => text.clone(),
            None => Arc::from(show::app::definition(row)),
        };
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, text.clone());
        text
    }
}

// === impl LastList ===

impl LastList {
    /// The answer to `query` under `view`, made by `make` unless it is the one that was made last.
    pub fn get_or(&self, view: &View, query: &str, make: impl FnOnce() -> Bytes) -> Bytes {
        if let Some(kept) = &*self.lock()
            && (kept.epoch, kept.no, kept.query.as_str()) == (view.epoch, view.no, query)
        {
            return kept.body.clone();
        }
        let body = make();
        let (epoch, no, query) = (view.epoch, view.no, query.to_owned());
        *self.lock() = Some(Kept { epoch, no, query, body: body.clone() });
        body
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_made_anew_for_another_query_or_commit() {
        let list = LastList::default();
        let mut view = View::default();
        let body = |text: &'static str| move || Bytes::from_static(text.as_bytes());
        assert_eq!(list.get_or(&view, "", body("a")), "a");
        assert_eq!(list.get_or(&view, "", body("b")), "a");
        assert_eq!(list.get_or(&view, "id=x", body("c")), "c");
        view.no = view.no.next();
        assert_eq!(list.get_or(&view, "id=x", body("d")), "d");
    }
}
