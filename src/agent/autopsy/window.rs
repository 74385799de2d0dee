//! The end of an output that is read from somewhere before it: no more of it is held than evidence may take.

use crate::model::evidence::{MAX_BYTES, MAX_LINES, Output};

/// The last bytes of what goes by.
#[derive(Clone, Debug, Default)]
pub struct Window {
    bytes: Vec<u8>,
    /// Something went by before these.
    passed: bool,
    /// The first of them may be in the middle of a line.
    torn: bool,
}

// === impl Window ===

impl Window {
    /// More of it.
    pub fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        if self.bytes.len() > 2 * MAX_BYTES {
            self.cut();
        }
    }

    /// Something was there before, and was not looked at.
    pub fn begins_late(&mut self) {
        self.passed = true;
    }

    /// Its last lines. Bytes that are no text are shown as such.
    pub fn output(mut self) -> Output {
        self.cut();
        let mut bytes = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        // Without its begin a line is none, unless there is no other.
        if self.torn
            && let Some(end) = bytes.iter().position(|byte| *byte == b'\n')
        {
            bytes = &bytes[end + 1..];
        }
        if bytes.is_empty() {
            return Output { more: self.passed, ..Output::default() };
        }
        let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        let from = lines.len().saturating_sub(MAX_LINES);
        let text = |line: &&[u8]| String::from_utf8_lossy(line).into_owned();
        Output {
            lines: lines[from..].iter().map(text).collect(),
            more: self.passed || from > 0,
            ..Output::default()
        }
    }

    fn cut(&mut self) {
        let surplus = self.bytes.len().saturating_sub(MAX_BYTES);
        if surplus > 0 {
            self.bytes.drain(..surplus);
            (self.passed, self.torn) = (true, true);
        }
    }
}
