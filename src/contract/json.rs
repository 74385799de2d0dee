//! From bytes to a JSON value: what is taken, what is refused, and where it breaks.
//!
//! Built on serde_json with its limit of 128 levels. What serde_json does not tell (keys given twice, the place of a
//! fault as Jackson would name it) is found here; what the value means is not known here.

mod diagnose;

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::contract::fault::{Fault, Options, Problem, Read, Warning, shortened};

/// The most members that one object may have.
const MAX_KEYS: usize = 10_000;
/// How many repeated keys are named; more tell nothing new.
const MAX_REPEATED: usize = 16;

/// Reads the first JSON value of `text`; what follows it is ignored, as Marathon does (contract 4).
///
/// # Errors
/// [`Fault::Empty`] without any text, [`Fault::Syntax`] when it is no JSON or nested deeper than 128 levels,
/// [`Fault::Illegal`] when an object has too many members, [`Fault::Type`] for repeated keys when strict.
pub fn parse(text: &[u8], options: &Options) -> Result<Read<Value>, Fault> {
    let body = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Fault::Empty);
    }
    let mut notes = Notes::default();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    match (Tree { notes: &mut notes, place: &Place::Body }).deserialize(&mut deserializer) {
        Ok(value) => finish(value, &notes, options),
        Err(_) if notes.crowded => {
            Err(Fault::Illegal(format!("an object has more than {MAX_KEYS} members")))
        }
        Err(error) => Err(Fault::Syntax(diagnose::syntax(body, &error))),
    }
}

/// What is seen on the way.
#[derive(Default)]
struct Notes {
    repeated: BTreeSet<String>,
    crowded: bool,
}

/// Builds one value and takes notes.
struct Tree<'n> {
    notes: &'n mut Notes,
    place: &'n Place<'n>,
}

/// Where a value stands; written out only when it is told, since a text for each value would cost the square of a body.
enum Place<'p> {
    Body,
    Member(&'p Place<'p>, &'p str),
    Item(&'p Place<'p>, usize),
}

fn finish(value: Value, notes: &Notes, options: &Options) -> Result<Read<Value>, Fault> {
    if options.strict && !notes.repeated.is_empty() {
        let twice = |path: &String| Problem::new(path, "field is given more than once");
        return Err(Fault::Type(notes.repeated.iter().map(twice).collect()));
    }
    let warn =
        |path: &String| Warning(format!("{path} is given more than once, the last is taken"));
    Ok(Read { value, warnings: notes.repeated.iter().map(warn).collect() })
}

// === impl Place ===

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Body => Ok(()),
            Place::Member(outer, key) => write!(f, "{outer}/{}", shortened(key)),
            Place::Item(outer, index) => write!(f, "{outer}({index})"),
        }
    }
}

// === impl Tree ===

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let place = &Place::Item(self.place, list.len());
            match items.next_element_seed(Tree { notes: &mut *self.notes, place })? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let place = &Place::Member(self.place, &key);
            if map.contains_key(&key) {
                if self.notes.repeated.len() < MAX_REPEATED {
                    self.notes.repeated.insert(place.to_string());
                }
            } else if map.len() == MAX_KEYS {
                self.notes.crowded = true;
                return Err(A::Error::custom("too many members"));
            }
            let value = members.next_value_seed(Tree { notes: &mut *self.notes, place })?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests;
