//! Partial updates: what is said replaces what is stored, member by member and nothing deeper (contract 5.8), or a stored
//! definition comes back (5.9).

use serde_json::Value;

use super::draft::{Draft, DraftContainer};
use super::normal::Setting;
use super::stages::{canonical, whole};
use super::{fields, legacy};
use crate::contract::fault::{Fault, Options, Problem, Read};
use crate::contract::read::{At, Findings, Reader};
use crate::model::path::AppPath;
use crate::model::spec::Spec;
use crate::model::time::Timestamp;

/// What an update asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// The stored definition of that version.
    Rollback(Timestamp),
    /// Some members anew.
    Change(Box<AppUpdate>),
}

/// A partial update of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppUpdate {
    draft: Draft,
    problems: Vec<Problem>,
}

/// Reads an update and the id that it names.
///
/// # Errors
/// As [`super::read_update`].
pub fn read(value: &Value, options: &Options) -> Result<Read<(Option<String>, Update)>, Fault> {
    let mut reader = Reader::new(options);
    let mut object = reader.lenient(&At::root(value));
    let id = object.opt("id", fields::id);
    let version = object.opt("version", fields::version);
    let draft = fields::members(&mut object);
    object.done();
    let Findings { breaches, warnings } = reader.finish()?;
    let update = match version {
        Some(version) if draft == Draft::default() => Update::Rollback(version),
        Some(_) => {
            let error = "The 'version' field may only be combined with the 'id' field.";
            return Err(Fault::Invalid(vec![Problem::new("/", error)]));
        }
        None => Update::Change(Box::new(AppUpdate { draft, problems: breaches })),
    };
    Ok(Read { value: (id, update), warnings })
}

// === impl AppUpdate ===

impl AppUpdate {
    /// The app that `current` becomes.
    ///
    /// # Errors
    /// [`Fault::Illegal`] where legacy and canonical members contradict each other, [`Fault::Invalid`] with every rule
    /// that the result breaks.
    pub fn merge(&self, current: &Spec, options: &Options) -> Result<Spec, Fault> {
        let mut update = self.draft.clone();
        let mut problems = self.problems.clone();
        problems.extend(legacy::port_problems(&update));
        legacy::translate_update(&mut update)?;
        let mut merged = Draft::of(current);
        merged.overlay(update);
        if let Some(ports) = merged.port_mappings.take() {
            let plain = || DraftContainer::canonical(legacy::plain_sandbox());
            let sandbox = &mut merged.container.get_or_insert_with(plain).sandbox;
            sandbox.port_mappings = None;
            legacy::discover(sandbox, ports)?;
        }
        let root = AppPath::root();
        let id = current.path.as_str();
        canonical(merged, problems, &Setting { id, base: &root, options, current: Some(current) })
    }

    /// The app that this makes where there is none yet.
    ///
    /// # Errors
    /// As [`super::read_app`].
    pub fn create(&self, path: &AppPath, options: &Options) -> Result<Spec, Fault> {
        let findings = Findings { breaches: self.problems.clone(), warnings: Vec::new() };
        let root = AppPath::root();
        let setting = Setting { id: path.as_str(), base: &root, options, current: None };
        whole(self.draft.clone(), findings, &setting).map(|read| read.value)
    }

    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.draft == Draft::default()
    }
}
