//! Server-sent events out of bytes that are cut anywhere.

/// A whole event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Its id, if it has one.
    pub id: Option<String>,
    /// Its type.
    pub name: String,
    /// Its data.
    pub data: String,
}

/// What came and is not whole yet.
#[derive(Debug, Default)]
pub struct Frames {
    /// The beginning of a line.
    rest: Vec<u8>,
    /// The lines of the frame that is open.
    open: Frame,
}

// === impl Frames ===

impl Frames {
    /// The events that are whole with these bytes. Lines end in LF or CRLF.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Frame> {
        let mut whole = Vec::new();
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let mut lines = rest.split(|byte| *byte == b'\n');
        self.rest = lines.next_back().unwrap_or_default().to_vec();
        for line in lines {
            whole.extend(self.line(String::from_utf8_lossy(line).trim_end_matches('\r')));
        }
        whole
    }

    fn line(&mut self, line: &str) -> Option<Frame> {
        if line.is_empty() {
            let frame = std::mem::take(&mut self.open);
            return Some(frame).filter(|frame| !frame.data.is_empty());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.open.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.open.name),
            "data" => {
                if !self.open.data.is_empty() {
                    self.open.data.push('\n');
                }
                self.open.data.push_str(value);
            }
            // Comments, and what is not known.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = ": hello\n\r\nid: 1.0\r\nevent: x\r\ndata: {\"a\":\"\u{e4}\"}\r\n\r\n\r\nevent:y\ndata:1\ndata:2\n\n";

    #[test]
    fn frames_are_the_same_wherever_the_bytes_are_cut() {
        let frame = |id: Option<&str>, name: &str, data: &str| Frame {
            id: id.map(str::to_owned),
            name: name.to_owned(),
            data: data.to_owned(),
        };
        let expected = [frame(Some("1.0"), "x", "{\"a\":\"\u{e4}\"}"), frame(None, "y", "1\n2")];
        for cut in 0..=TEXT.len() {
            let mut frames = Frames::default();
            let (head, tail) = TEXT.as_bytes().split_at(cut);
            let mut taken = frames.take(head);
            taken.extend(frames.take(tail));
            assert_eq!(taken, expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_frame_without_its_end_is_none() {
        assert!(Frames::default().take(b"id: 1.0\r\nevent: x\r\ndata: {}\r\n").is_empty());
    }
}
