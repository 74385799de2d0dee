//! Reads typed values out of JSON and collects *all* that is wrong, each with its place in Marathon's notation.
//!
//! What a field means is not known here. Two lists are kept apart, since the stages are (contract 13.1): `faults` of
//! type stop everything else; `breaches` of rules that are best seen where a value is read are told with the other
//! rules, later.

mod number;
mod suggest;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::contract::fault::{Fault, Options, Problem, Warning, shortened};

/// The most faults, and the most broken rules, that one answer tells; a body of nothing but faults must not be answered
/// by something many times its size.
pub const MOST_PROBLEMS: usize = 1_000;
/// The most that is told beside a good answer, which travels in a header.
pub const MOST_WARNINGS: usize = 32;
const LAST_WARNING: usize = MOST_WARNINGS - 1;

/// Collects what is wrong or odd while values are read.
#[derive(Debug)]
pub struct Reader<'o> {
    options: &'o Options,
    faults: Vec<Problem>,
    breaches: Vec<Problem>,
    coerced: Vec<String>,
    warnings: Vec<Warning>,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub struct At<'v> {
    /// The value.
    pub value: &'v Value,
    /// Its place, empty for the whole body.
    pub path: String,
}

/// What reading found beside the value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Rules that are broken.
    pub breaches: Vec<Problem>,
    /// What is odd.
    pub warnings: Vec<Warning>,
}

/// The members of an object; remembers what was asked for, so that the rest is known to be unknown.
#[derive(Debug)]
pub struct Fields<'r, 'o, 'v> {
    /// Who collects.
    pub reader: &'r mut Reader<'o>,
    /// The object's place.
    pub path: String,
    value: &'v Value,
    members: Option<&'v Map<String, Value>>,
    asked: Vec<&'static str>,
}

// === impl At ===

impl<'v> At<'v> {
    /// The whole body.
    pub fn root(value: &'v Value) -> At<'v> {
        At { value, path: String::new() }
    }

    /// The items of an array with their places.
    fn items(&self) -> Option<impl Iterator<Item = At<'v>> + use<'v>> {
        let path = self.path.clone();
        let place = move |(at, value)| At { value, path: format!("{path}({at})") };
        Some(self.value.as_array()?.iter().enumerate().map(place))
    }

    /// The members of an object with their places.
    fn members(&self) -> Option<impl Iterator<Item = (&'v str, At<'v>)> + use<'v>> {
        let path = self.path.clone();
        let place = move |(key, value): (&'v String, &'v Value)| {
            (key.as_str(), At { value, path: format!("{path}/{}", shortened(key)) })
        };
        Some(self.value.as_object()?.iter().map(place))
    }
}

// === impl Reader ===

impl<'o> Reader<'o> {
    /// A reader that has seen nothing.
    pub fn new(options: &'o Options) -> Reader<'o> {
        Reader {
            options,
            faults: Vec::new(),
            breaches: Vec::new(),
            coerced: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Ends the type stage.
    ///
    /// # Errors
    /// [`Fault::Type`] with all faults of type.
    pub fn finish(self) -> Result<Findings, Fault> {
        if !self.faults.is_empty() {
            return Err(Fault::Type(self.faults));
        }
        let mut warnings = self.warnings;
        if !self.coerced.is_empty() {
            warnings.insert(0, Warning(format!("coerced {}", self.coerced.join(","))));
        }
        Ok(Findings { breaches: self.breaches, warnings })
    }

    /// Notes that a value does not fit its type.
    pub fn fault(&mut self, path: &str, error: impl Into<String>) {
        if self.faults.len() < MOST_PROBLEMS {
            self.faults.push(Problem::new(path, error));
        }
    }

    /// Notes that a rule is broken.
    pub fn breach(&mut self, path: impl Into<String>, error: impl Into<String>) {
        if self.breaches.len() < MOST_PROBLEMS {
            self.breaches.push(Problem::new(path, error));
        }
    }

    /// Notes that a rule is broken unless `fine`.
    pub fn require(&mut self, fine: bool, path: impl Into<String>, error: impl Into<String>) {
        if !fine {
            self.breach(path, error);
        }
    }

    /// Notes something odd.
    pub fn warn(&mut self, text: impl Into<String>) {
        match self.warnings.len() {
            MOST_WARNINGS => {}
            LAST_WARNING => self.warnings.push(Warning("and more".into())),
            _ => self.warnings.push(Warning(text.into())),
        }
    }

    /// Notes a number that was written as a string.
    fn coerce(&mut self, path: &str) {
        match self.coerced.len() {
            MOST_WARNINGS => {}
            LAST_WARNING => self.coerced.push("and more".into()),
            _ => self.coerced.push(path.to_owned()),
        }
    }

    /// Whether nothing more is told about strangers.
    fn told_all(&self) -> bool {
        self.faults.len() == MOST_PROBLEMS
            || (!self.strict() && self.warnings.len() == MOST_WARNINGS)
    }

    /// Whether leniency is off.
    pub fn strict(&self) -> bool {
        self.options.strict
    }

    /// An object all of whose members are optional: anything else reads as an empty one (contract 4).
    pub fn lenient<'r, 'v>(&'r mut self, at: &At<'v>) -> Fields<'r, 'o, 'v> {
        if !at.value.is_object() {
            self.warn(format!("{} is no object and is taken as an empty one", shown(&at.path)));
        }
        self.fields(at)
    }

    /// An object, else `error.expected.jsobject`.
    pub fn object<'r, 'v>(&'r mut self, at: &At<'v>) -> Option<Fields<'r, 'o, 'v>> {
        if at.value.is_object() {
            return Some(self.fields(at));
        }
        self.fault(&at.path, "error.expected.jsobject");
        None
    }

    /// An object of a type that carries constraints: anything else is told in other words (contract 2.5).
    pub fn constrained<'r, 'v>(&'r mut self, at: &At<'v>) -> Option<Fields<'r, 'o, 'v>> {
        if at.value.is_object() {
            return Some(self.fields(at));
        }
        self.fault(&at.path, format!("{} is not an object", at.value));
        None
    }

    fn fields<'r, 'v>(&'r mut self, at: &At<'v>) -> Fields<'r, 'o, 'v> {
        let value = at.value;
        let path = at.path.clone();
        Fields { reader: self, path, value, members: value.as_object(), asked: Vec::new() }
    }

    /// Every item of an array; items that do not fit are left out, with their faults noted.
    pub fn list<'v, T>(
        &mut self,
        at: &At<'v>,
        mut read: impl FnMut(&mut Reader<'o>, &At<'v>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(items) = at.items() else {
            self.fault(&at.path, "error.expected.jsarray");
            return None;
        };
        Some(items.filter_map(|item| read(self, &item)).collect())
    }

    /// Every member of a map; members that do not fit are left out, with their faults noted.
    pub fn map<'v, T>(
        &mut self,
        at: &At<'v>,
        mut read: impl FnMut(&mut Reader<'o>, &At<'v>) -> Option<T>,
    ) -> Option<BTreeMap<String, T>> {
        let Some(members) = at.members() else {
            self.fault(&at.path, "error.expected.jsobject");
            return None;
        };
        Some(members.filter_map(|(key, at)| Some((key.to_owned(), read(self, &at)?))).collect())
    }

    /// An array as a set.
    pub fn set<'v, T: Ord>(
        &mut self,
        at: &At<'v>,
        read: impl FnMut(&mut Reader<'o>, &At<'v>) -> Option<T>,
    ) -> Option<BTreeSet<T>> {
        Some(self.list(at, read)?.into_iter().collect())
    }

    /// A text.
    pub fn string(&mut self, at: &At<'_>) -> Option<String> {
        if let Value::String(text) = at.value {
            return Some(text.clone());
        }
        self.fault(&at.path, "error.expected.jsstring");
        None
    }

    /// A text that is not empty.
    pub fn filled(&mut self, at: &At<'_>) -> Option<String> {
        self.sized(at, usize::MAX)
    }

    /// A text of 1 to `most` characters.
    pub fn sized(&mut self, at: &At<'_>, most: usize) -> Option<String> {
        let path = &at.path;
        let text = self.string(at)?;
        if text.is_empty() {
            self.fault(path, "error.minLength");
        } else if text.chars().count() > most {
            self.fault(path, "error.maxLength");
        }
        Some(text)
    }

    /// The name of a port or a network: `[a-z0-9]([-a-z0-9]*[a-z0-9])?` and what `more` allows inside.
    pub fn name(&mut self, at: &At<'_>, most: usize, more: &[char]) -> Option<String> {
        let path = &at.path;
        let text = self.sized(at, most)?;
        let edge = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
        let fits = text.chars().all(|char| edge(char) || char == '-' || more.contains(&char))
            && text.starts_with(edge)
            && text.ends_with(edge);
        if !text.is_empty() && !fits {
            self.fault(path, "error.pattern");
        }
        Some(text)
    }

    /// A boolean.
    pub fn flag(&mut self, at: &At<'_>) -> Option<bool> {
        let read = at.value.as_bool();
        if read.is_none() {
            self.fault(&at.path, "error.expected.jsboolean");
        }
        read
    }

    /// One of `choices` in any case.
    pub fn choice<T: Copy>(&mut self, at: &At<'_>, choices: &[(&str, T)]) -> Option<T> {
        let text = at.value.as_str();
        let found = choices
            .iter()
            .find(|(name, _)| text.is_some_and(|text| text.eq_ignore_ascii_case(name)));
        if found.is_none() {
            self.fault(&at.path, "error.unknown.enum.literal");
        }
        found.map(|(_, choice)| *choice)
    }
}

// === impl Fields ===

impl<'o, 'v> Fields<'_, 'o, 'v> {
    /// The member `name`, unless it is absent or null.
    pub fn get(&mut self, name: &'static str) -> Option<At<'v>> {
        self.asked.push(name);
        let value = self.members?.get(name).filter(|value| !value.is_null())?;
        Some(At { value, path: format!("{}/{name}", self.path) })
    }

    /// Whether `name` is given and not null, without counting it as known.
    pub fn has(&self, name: &str) -> bool {
        self.members.and_then(|members| members.get(name)).is_some_and(|value| !value.is_null())
    }

    /// The member `name` read by `read`, unless it is absent or null.
    pub fn opt<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Reader<'o>, &At<'v>) -> Option<T>,
    ) -> Option<T> {
        let at = self.get(name)?;
        read(self.reader, &at)
    }

    /// The items of the array `name`.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        read: impl FnMut(&mut Reader<'o>, &At<'v>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let at = self.get(name)?;
        self.reader.list(&at, read)
    }

    /// The members of the map `name`.
    pub fn map<T>(
        &mut self,
        name: &'static str,
        read: impl FnMut(&mut Reader<'o>, &At<'v>) -> Option<T>,
    ) -> Option<BTreeMap<String, T>> {
        let at = self.get(name)?;
        self.reader.map(&at, read)
    }

    /// The member `name`, which has to be there; told in the words of a type that carries constraints (contract 2.5).
    pub fn need<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Reader<'o>, &At<'v>) -> Option<T>,
    ) -> Option<T> {
        let value = self.value;
        self.required(name, || format!("'{name}' is undefined on object: {value}"), read)
    }

    /// The member `name`, which has to be there; told in the words of a plain type.
    pub fn need_plain<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Reader<'o>, &At<'v>) -> Option<T>,
    ) -> Option<T> {
        self.required(name, || "error.path.missing".into(), read)
    }

    fn required<T>(
        &mut self,
        name: &'static str,
        missing: impl FnOnce() -> String,
        read: impl FnOnce(&mut Reader<'o>, &At<'v>) -> Option<T>,
    ) -> Option<T> {
        self.asked.push(name);
        let path = format!("{}/{name}", self.path);
        let Some(value) = self.members.and_then(|members| members.get(name)) else {
            self.reader.fault(&path, missing());
            return None;
        };
        read(self.reader, &At { value, path })
    }

    /// `name`, or `alias` where `name` is absent; being strict, the alias is unknown.
    pub fn aliased<T>(
        &mut self,
        name: &'static str,
        alias: &'static str,
        read: impl FnOnce(&mut Reader<'o>, &At<'v>) -> Option<T>,
    ) -> Option<T> {
        if self.has(name) || self.reader.strict() || !self.has(alias) {
            return self.opt(name, read);
        }
        self.asked.push(name);
        self.reader.warn(format!("unknown {}/{alias} taken as {name}", self.path));
        self.opt(alias, read)
    }

    /// Counts `names` as known, without reading them.
    pub fn skip(&mut self, names: &[&'static str]) {
        self.asked.extend_from_slice(names);
    }

    /// Tells what nobody asked for: ignored with a warning, refused when strict (seeds.md F6).
    pub fn done(self) {
        let Some(members) = self.members else { return };
        for key in members.keys().filter(|key| !self.asked.contains(&key.as_str())) {
            if self.reader.told_all() {
                return;
            }
            let path = format!("{}/{}", self.path, shortened(key));
            let guess = suggest::nearest(key, &self.asked)
                .map_or(String::new(), |name| format!(", did you mean \"{name}\"?"));
            if self.reader.strict() {
                self.reader.fault(&path, format!("unknown field \"{}\"{guess}", shortened(key)));
            } else {
                self.reader.warn(format!("unknown {path} ignored{guess}"));
            }
        }
    }
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "the body" } else { path }
}

#[cfg(test)]
mod tests;
