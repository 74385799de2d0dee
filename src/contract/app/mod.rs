//! Bodies about apps: a whole app, a partial update, arrays of either, and lists of tasks (contract 4, 5.1–5.9, 13).
//!
//! The stages follow contract 13.1, each telling all it finds: types → rules for legacy members → translation and
//! defaults → rules. What needs other apps or agents (free ids, service ports, cycles, policies) is decided elsewhere.

#![expect(clippy::unnecessary_wraps, reason = "every reader has the shape that its caller takes")]

mod check;
mod constraint;
mod container;
mod draft;
mod external;
mod fields;
mod legacy;
mod network;
mod normal;
mod rules;
mod stages;
mod update;
mod uri;
mod volume;

use std::collections::BTreeSet;

use serde_json::Value;

pub use update::{AppUpdate, Update};

use self::normal::Setting;
use self::stages::{read_draft, whole};
use crate::contract::fault::{Fault, Options, Problem, Read};
use crate::contract::read::{At, MOST_PROBLEMS, MOST_WARNINGS, Reader};
use crate::model::path::AppPath;
use crate::model::spec::Spec;

/// The most apps that one array may hold.
const MOST_ITEMS: usize = 100_000;
const NO_ID: &str = "requirement failed: App Update must have app id set";

/// Reads a whole app that names itself, as seen from the group `base`.
///
/// # Errors
/// Every fault of the first stage that finds one.
pub fn read_app(value: &Value, base: &AppPath, options: &Options) -> Result<Read<Spec>, Fault> {
    let (draft, findings) = read_draft(value, true, options)?;
    let place = draft.id.clone().unwrap_or_default();
    whole(draft, findings, &Setting { id: &place, base, options, current: None })
}

/// Reads a whole app whose path is given from outside; an id in the body has to be one, and is ignored.
///
/// # Errors
/// As [`read_app`]; a body that is no object is one.
pub fn read_app_at(value: &Value, path: &AppPath, options: &Options) -> Result<Read<Spec>, Fault> {
    read_at(value, path, None, options)
}

/// Reads a whole app that replaces `current`: what it does not say is not kept, but for the right to its role.
///
/// # Errors
/// As [`read_app_at`].
pub fn read_app_over(
    value: &Value,
    current: &Spec,
    options: &Options,
) -> Result<Read<Spec>, Fault> {
    read_at(value, &current.path, Some(current), options)
}

/// Reads an array of whole apps.
///
/// # Errors
/// As [`read_app`], with the place of each item in its paths.
pub fn read_apps_array(value: &Value, options: &Options) -> Result<Read<Vec<Spec>>, Fault> {
    each(value, |item| read_app(item, &AppPath::root(), options))
}

/// Reads a partial update.
///
/// # Errors
/// As [`read_app`]; rules that need the rest of the app wait for [`AppUpdate::merge`].
pub fn read_update(value: &Value, options: &Options) -> Result<Read<Update>, Fault> {
    Ok(update::read(value, options)?.map(|(_, update)| update))
}

/// Reads an array of partial updates with the app that each one means.
///
/// # Errors
/// As [`read_update`], with the place of each item in its paths; an item without an id is one.
pub fn read_updates_array(
    value: &Value,
    options: &Options,
) -> Result<Read<Vec<(AppPath, Update)>>, Fault> {
    each(value, |item| {
        let Read { value: (id, update), warnings } = update::read(item, options)?;
        match id.and_then(|id| AppPath::parse(&id).ok()) {
            Some(path) => Ok(Read { value: (path, update), warnings }),
            None => Err(Fault::Illegal(NO_ID.into())),
        }
    })
}

/// Reads `{"ids": [task id, …]}`, each once.
///
/// # Errors
/// [`Fault::Type`].
pub fn read_task_ids(value: &Value) -> Result<Vec<String>, Fault> {
    let options = Options::default();
    let mut reader = Reader::new(&options);
    let read = reader.object(&At::root(value)).and_then(|mut fields| {
        fields.need_plain("ids", |reader, at| reader.list(at, Reader::string))
    });
    reader.finish()?;
    let mut seen = BTreeSet::new();
    let first = |id: &String| seen.insert(id.clone());
    Ok(read.unwrap_or_default().into_iter().filter(first).collect())
}

fn read_at(
    value: &Value,
    path: &AppPath,
    current: Option<&Spec>,
    options: &Options,
) -> Result<Read<Spec>, Fault> {
    if !value.is_object() {
        return Err(Fault::Type(vec![Problem::new("", "error.expected.jsobject")]));
    }
    let (draft, findings) = read_draft(value, false, options)?;
    let root = AppPath::root();
    whole(draft, findings, &Setting { id: path.as_str(), base: &root, options, current })
}

/// Reads every item of an array by `read`, and tells all faults of one kind with the item's place.
fn each<T>(
    value: &Value,
    read: impl Fn(&Value) -> Result<Read<T>, Fault>,
) -> Result<Read<Vec<T>>, Fault> {
    let Some(items) = value.as_array() else {
        return Err(Fault::Type(vec![Problem::new("", "error.expected.jsarray")]));
    };
    if items.len() > MOST_ITEMS {
        return Err(Fault::Illegal(format!("an array has more than {MOST_ITEMS} apps")));
    }
    let mut all = Read { value: Vec::new(), warnings: Vec::new() };
    let (mut types, mut invalid) = (Vec::new(), Vec::new());
    let place = |index: usize, problems: Vec<Problem>| {
        problems.into_iter().map(move |it| Problem::new(format!("({index}){}", it.path), it.error))
    };
    for (index, item) in items.iter().enumerate() {
        match read(item) {
            Ok(one) => {
                all.value.push(one.value);
                all.warnings.extend(one.warnings);
            }
            Err(Fault::Type(problems)) => types.extend(place(index, problems)),
            Err(Fault::Invalid(problems)) => invalid.extend(place(index, problems)),
            Err(other @ (Fault::Syntax(_) | Fault::Empty | Fault::Illegal(_))) => {
                return Err(other);
            }
        }
        if types.len() >= MOST_PROBLEMS {
            break;
        }
        invalid.truncate(MOST_PROBLEMS);
        all.warnings.truncate(MOST_WARNINGS);
    }
    if !types.is_empty() {
        return Err(Fault::Type(types));
    }
    if !invalid.is_empty() { Err(Fault::Invalid(invalid)) } else { Ok(all) }
}

#[cfg(test)]
mod tests;
