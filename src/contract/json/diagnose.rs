//! Where a text stops being JSON, in Jackson's words.
//!
//! Runs only after serde_json has refused a text, and finds the first byte at which no JSON can go on. serde_json's own
//! position is used where the two disagree.

use crate::contract::fault::{SyntaxFault, shortened};

/// The deepest nesting that is read.
const MAX_DEPTH: usize = 127;
/// How much of the text is shown before and after a fault, in characters.
const CONTEXT: usize = 40;

const VALUES: &str = "JSON String, Number, Array, Object or token 'null', 'true' or 'false'";

/// Describes why `text` is no JSON; `error` is serde_json's opinion.
pub fn syntax(text: &[u8], error: &serde_json::Error) -> SyntaxFault {
    let mut scan = Scan { text, at: 0 };
    let found = match scan.value(0) {
        Err(found) => found,
        Ok(()) => Found::new(offset_of(text, error), plain(error)),
    };
    let before = &text[..found.offset.min(text.len())];
    let start_of_line = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    SyntaxFault {
        line: line_of(before),
        column: String::from_utf8_lossy(&before[start_of_line..]).chars().count() + 1,
        near: near(text, &found),
        details: found.details,
        offset: found.offset,
        hint: found.hint,
    }
}

/// The first fault of a text.
struct Found {
    offset: usize,
    details: String,
    hint: Option<String>,
    /// Where the excerpt may begin, the key before the fault.
    from: usize,
}

struct Scan<'t> {
    text: &'t [u8],
    at: usize,
}

// === impl Found ===

impl Found {
    fn new(offset: usize, details: impl Into<String>) -> Found {
        Found { offset, details: details.into(), hint: None, from: 0 }
    }

    fn hint(self, hint: impl Into<String>) -> Found {
        Found { hint: Some(hint.into()), ..self }
    }

    fn from(self, from: usize) -> Found {
        Found { from, ..self }
    }
}

// === impl Scan ===

impl Scan<'_> {
    fn value(&mut self, depth: usize) -> Result<(), Found> {
        self.space();
        match self.peek() {
            Some(b'{' | b'[') if depth == MAX_DEPTH => Err(self.too_deep(depth)),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'a'..=b'z' | b'A'..=b'Z') => self.token(),
            Some(_) => {
                Err(self.unexpected(&format!("expected a valid value ({VALUES})")).hint_at(self))
            }
            None => Err(self.end("expected a value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Found> {
        let open = self.at;
        self.at += 1;
        self.space();
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.space();
            let key_at = self.at;
            self.key(open)?;
            let key = String::from_utf8_lossy(&self.text[key_at..self.at]).into_owned();
            let key = shortened(&key);
            self.space();
            if !self.take(b':') {
                return Err(self
                    .unexpected_or_end("was expecting a colon to separate field name and value")
                    .hint(format!("missing ':' after {key}"))
                    .from(key_at));
            }
            self.value(depth + 1)?;
            self.space();
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.no_comma("Object", '}', open, &key).from(key_at));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Found> {
        let open = self.at;
        self.at += 1;
        self.space();
        if self.take(b']') {
            return Ok(());
        }
        for number in 1.. {
            self.value(depth + 1)?;
            self.space();
            if self.take(b']') {
                break;
            }
            if !self.take(b',') {
                return Err(self.no_comma("Array", ']', open, &format!("item {number}")));
            }
        }
        Ok(())
    }

    fn key(&mut self, open: usize) -> Result<(), Found> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'}') => Err(self
                .unexpected("was expecting double-quote to start field name")
                .hint("a ',' stands before the closing '}'")
                .from(open)),
            Some(_) => {
                Err(self.unexpected("was expecting double-quote to start field name").hint_at(self))
            }
            None => Err(self.end(&self.unclosed("Object", open)).hint("a '}' is missing")),
        }
    }

    fn string(&mut self) -> Result<(), Found> {
        let open = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return self.utf8(open);
                }
                Some(b'\\') => self.escape()?,
                Some(code @ 0..=31) => {
                    let details = format!(
                        "Illegal unquoted character ((CTRL-CHAR, code {code})): has to be escaped using backslash to \
                         be included in string value"
                    );
                    return Err(Found::new(self.at, details)
                        .hint("a string ends on the line where it begins; is a '\"' missing?")
                        .from(open));
                }
                Some(_) => self.at += 1,
                None => {
                    let end = self.end("was expecting closing quote for a string value");
                    return Err(end.hint("a closing '\"' is missing").from(open));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<(), Found> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.unexpected_or_end(
                            "expected a hex-digit for character escape sequence",
                        ));
                    }
                    self.at += 1;
                }
                Ok(())
            }
            Some(_) => {
                let (shown, code) = self.character();
                let details = format!("Unrecognized character escape '{shown}' (code {code})");
                Err(Found::new(self.at, details).hint("write '\\\\' for a backslash"))
            }
            None => Err(self.end("in character escape sequence")),
        }
    }

    fn utf8(&self, open: usize) -> Result<(), Found> {
        match std::str::from_utf8(&self.text[open..self.at]) {
            Ok(_) => Ok(()),
            Err(error) => {
                let offset = open + error.valid_up_to();
                let byte = self.text.get(offset).copied().unwrap_or_default();
                Err(Found::new(offset, format!("Invalid UTF-8 start byte 0x{byte:x}"))
                    .hint("the body has to be UTF-8"))
            }
        }
    }

    fn number(&mut self) -> Result<(), Found> {
        self.take(b'-');
        if self.peek() == Some(b'0') && self.text.get(self.at + 1).is_some_and(u8::is_ascii_digit) {
            return Err(Found::new(self.at, "Invalid numeric value: Leading zeroes not allowed"));
        }
        self.digits()?;
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _signed = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Found> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.unexpected_or_end("expected digit (0-9)")) }
    }

    fn token(&mut self) -> Result<(), Found> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            self.at += 1;
        }
        let word = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
        if matches!(word.as_str(), "null" | "true" | "false") {
            return Ok(());
        }
        let shown = shortened(&word);
        let details = format!("Unrecognized token '{shown}': was expecting ({VALUES})");
        Err(Found::new(start, details).hint(word_hint(&word)))
    }

    fn no_comma(&self, kind: &str, close: char, open: usize, last: &str) -> Found {
        match self.peek() {
            Some(_) => self
                .unexpected(&format!("was expecting comma to separate {kind} entries"))
                .hint(format!("missing ',' after {last}")),
            None => self.end(&self.unclosed(kind, open)).hint(format!("a '{close}' is missing")),
        }
    }

    fn unclosed(&self, kind: &str, open: usize) -> String {
        let before = &self.text[..open];
        let line = line_of(before);
        let column =
            open - before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1) + 1;
        format!("expected close marker for {kind} (start marker at line: {line}, column: {column})")
    }

    fn too_deep(&self, depth: usize) -> Found {
        let (depth, most) = (depth + 1, MAX_DEPTH);
        Found::new(
            self.at,
            format!("Document nesting depth ({depth}) exceeds the maximum allowed ({most})"),
        )
    }

    fn unexpected(&self, wanted: &str) -> Found {
        let (shown, code) = self.character();
        Found::new(self.at, format!("Unexpected character ('{shown}' (code {code})): {wanted}"))
    }

    fn unexpected_or_end(&self, wanted: &str) -> Found {
        if self.peek().is_some() { self.unexpected(wanted) } else { self.end(wanted) }
    }

    fn end(&self, wanted: &str) -> Found {
        Found::new(self.text.len(), format!("Unexpected end-of-input: {wanted}"))
    }

    /// The character here and its code.
    fn character(&self) -> (char, u32) {
        let ahead = &self.text[self.at..self.text.len().min(self.at + 4)];
        let shown = String::from_utf8_lossy(ahead).chars().next().unwrap_or(' ');
        (shown, u32::from(shown))
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }
}

impl Found {
    /// Adds the hint that the character at the fault suggests.
    fn hint_at(self, scan: &Scan<'_>) -> Found {
        let hint = match scan.peek() {
            Some(b'\'') => "JSON wants double quotes, '\"'",
            Some(b'/' | b'#') => "JSON has no comments",
            Some(b'@') => "to send a file write: --data-binary @FILE",
            Some(b',') => "a ',' stands where a value belongs",
            Some(b']' | b'}') => "a ',' stands before the closing bracket, or a value is missing",
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => {
                "JSON wants double quotes around names"
            }
            Some(_) | None => return self,
        };
        self.hint(hint)
    }
}

fn word_hint(word: &str) -> &'static str {
    match word.to_ascii_lowercase().as_str() {
        "true" | "false" | "null" => "JSON writes true, false and null in lower case",
        "none" | "undefined" | "nil" => "JSON writes null",
        "nan" | "infinity" | "inf" => "JSON has no such number",
        _ => "JSON wants double quotes around texts",
    }
}

/// The text around a fault without line breaks, which `curl -d @FILE` takes out: so it looks the same either way.
fn near(text: &[u8], found: &Found) -> String {
    let offset = found.offset.min(text.len());
    let before = String::from_utf8_lossy(&text[..offset]).into_owned();
    let after = String::from_utf8_lossy(&text[offset..]).into_owned();
    let from_key = String::from_utf8_lossy(&text[found.from.min(offset)..offset]).chars().count();
    let reach = if found.from == 0 || from_key > CONTEXT { CONTEXT } else { from_key };
    let skipped = before.chars().count().saturating_sub(reach);
    let left: String = before.chars().skip(skipped).filter(|char| !is_break(*char)).collect();
    let shown = after.chars().take(CONTEXT).enumerate();
    let ended = |(at, char): &(usize, char)| *at == 0 || !matches!(char, ',' | '}' | ']');
    let right: String =
        shown.take_while(ended).map(|(_, char)| char).filter(|char| !is_break(*char)).collect();
    let lead = if skipped > 0 { "…" } else { "" };
    let rest = if after.len() > right.len() { "…" } else { "" };
    format!("{lead}{left}▶{right}{rest}")
}

/// The line, from 1, that begins or goes on after `before`.
fn line_of(before: &[u8]) -> usize {
    before.split(|&byte| byte == b'\n').count()
}

fn is_break(char: char) -> bool {
    char == '\n' || char == '\r'
}

/// serde_json's line and column as a byte offset.
fn offset_of(text: &[u8], error: &serde_json::Error) -> usize {
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    let start: usize = lines.take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    (start + error.column().saturating_sub(1)).min(text.len())
}

/// serde_json's text without the position, which stands elsewhere.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rfind(" at line ").map_or(text.clone(), |cut| text[..cut].to_owned())
}
