//! Writes JSON into a text, key by key.
//!
//! Order of keys and the look of numbers are part of Marathon's answers, and the longest answers are written often;
//! hence no tree of values. What a key may be is known where it is written, so keys are not escaped.

use std::fmt::{Display, Write as _};

/// How amounts look (contract 5.10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Numbers {
    /// `1.0`, as REST answers have them.
    #[default]
    Rest,
    /// `1`, as events have them.
    Event,
}

/// An object that is being written.
pub struct Object<'a> {
    out: &'a mut String,
    empty: bool,
    numbers: Numbers,
}

// === impl Numbers ===

impl Numbers {
    /// Writes an amount, whose text has no exponent.
    pub fn write(self, out: &mut String, amount: impl Display) {
        let start = out.len();
        write(out, amount);
        if self == Numbers::Rest && !out[start..].contains('.') {
            out.push_str(".0");
        }
    }
}

// === impl Object ===

impl Object<'_> {
    /// A text, escaped.
    pub fn text(&mut self, key: &str, value: &str) {
        quote(self.key(key), value);
    }

    /// A text, if there is one.
    pub fn text_if(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    /// A text that needs no escapes, such as a time, an id or a path.
    pub fn plain(&mut self, key: &str, value: impl Display) {
        let out = self.key(key);
        out.push('"');
        write(out, value);
        out.push('"');
    }

    /// Something whose text is JSON already: a whole number, a truth value, a finished fragment.
    pub fn raw(&mut self, key: &str, value: impl Display) {
        write(self.key(key), value);
    }

    /// As [`Object::raw`], if there is one.
    pub fn raw_if(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.raw(key, value);
        }
    }

    /// An explicit `null`.
    pub fn null(&mut self, key: &str) {
        self.key(key).push_str("null");
    }

    /// An amount that Marathon has as a double.
    pub fn double(&mut self, key: &str, amount: impl Display) {
        let numbers = self.numbers;
        numbers.write(self.key(key), amount);
    }

    /// An object.
    pub fn object(&mut self, key: &str, fill: impl FnOnce(&mut Object<'_>)) {
        let numbers = self.numbers;
        object_in(self.key(key), numbers, fill);
    }

    /// A list of objects.
    pub fn objects<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        mut fill: impl FnMut(&mut Object<'_>, T),
    ) {
        let numbers = self.numbers;
        list(self.key(key), items, |out, item| {
            object_in(out, numbers, |object| fill(object, item));
        });
    }

    /// A list of anything.
    pub fn list<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        write: impl FnMut(&mut String, T),
    ) {
        list(self.key(key), items, write);
    }

    /// A list of texts.
    pub fn texts<T: AsRef<str>>(&mut self, key: &str, items: impl IntoIterator<Item = T>) {
        self.list(key, items, |out, item| quote(out, item.as_ref()));
    }

    /// A map of texts, whose keys are anybody's.
    pub fn map<'b>(
        &mut self,
        key: &str,
        entries: impl IntoIterator<Item = (&'b String, &'b String)>,
    ) {
        self.object(key, |map| {
            for (name, value) in entries {
                quote(map.entry(name), value);
            }
        });
    }

    /// The place of a value under a key that is anybody's, escaped.
    pub fn entry(&mut self, name: &str) -> &mut String {
        self.comma();
        quote(self.out, name);
        self.out.push(':');
        self.out
    }

    fn key(&mut self, key: &str) -> &mut String {
        self.comma();
        self.out.push('"');
        self.out.push_str(key);
        self.out.push_str("\":");
        self.out
    }

    fn comma(&mut self) {
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
    }
}

/// Writes an object.
pub fn object(out: &mut String, fill: impl FnOnce(&mut Object<'_>)) {
    object_in(out, Numbers::Rest, fill);
}

/// Writes an object whose amounts look as `numbers` says.
pub fn object_in(out: &mut String, numbers: Numbers, fill: impl FnOnce(&mut Object<'_>)) {
    out.push('{');
    fill(&mut Object { out, empty: true, numbers });
    out.push('}');
}

/// Writes an object that begins with all that the object `head` has, which has something.
pub fn extend(out: &mut String, head: &str, fill: impl FnOnce(&mut Object<'_>)) {
    out.push_str(head.strip_suffix('}').unwrap_or(head));
    fill(&mut Object { out, empty: false, numbers: Numbers::Rest });
    out.push('}');
}

/// An object by itself.
pub fn object_text(fill: impl FnOnce(&mut Object<'_>)) -> String {
    let mut out = String::new();
    object(&mut out, fill);
    out
}

/// Writes a list.
pub fn list<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

/// Writes a text in quotes with its escapes.
pub fn quote(out: &mut String, text: &str) {
    out.push('"');
    let mut clean = 0;
    for (index, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[clean..index]);
        clean = index + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            other => write(out, format_args!("\\u{other:04x}")),
        }
    }
    out.push_str(&text[clean..]);
    out.push('"');
}

/// Writes what prints itself. Writing into a text cannot fail.
pub fn write(out: &mut String, value: impl Display) {
    let _ = write!(out, "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::unit::Cpus;

    #[test]
    fn any_text_comes_back_from_its_quotes() {
        for text in ["", "plain", "a\"b\\c", "\n\r\t\u{1}\u{1f}", "ä€😀", "\\\"", "end\\"] {
            let mut out = String::new();
            quote(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).expect("JSON"), text, "{out}");
        }
    }

    #[test]
    fn amounts_have_a_fraction_in_rest_and_none_in_events() {
        let show = |numbers: Numbers, amount: Cpus| {
            let mut out = String::from("0.5,");
            numbers.write(&mut out, amount);
            out
        };
        assert_eq!(show(Numbers::Rest, Cpus::whole(1)), "0.5,1.0");
        assert_eq!(show(Numbers::Rest, Cpus::micro(250_000)), "0.5,0.25");
        assert_eq!(show(Numbers::Event, Cpus::whole(1)), "0.5,1");
    }

    #[test]
    fn commas_stand_between_and_nowhere_else() {
        let text = object_text(|object| {
            object.objects("none", [] as [u8; 0], |_, _| {});
            object.objects("two", [1, 2], |item, n| item.raw("n", n));
            object.texts("texts", ["a", "b"]);
            object.object("empty", |_| {});
        });
        assert_eq!(text, r#"{"none":[],"two":[{"n":1},{"n":2}],"texts":["a","b"],"empty":{}}"#);
        let mut out = String::new();
        extend(&mut out, r#"{"a":1}"#, |object| object.null("b"));
        assert_eq!(out, r#"{"a":1,"b":null}"#);
    }
}
