//! The frame of server-sent events round a line of JSON (contract 11.1).

use crate::model::event::EventId;

/// Frames `data`, which is one line. The id comes first, so that `event:` and `data:` follow each other as in Marathon for
/// clients that read line by line. Without an id the consumer's last one stays as it is.
pub fn frame(out: &mut String, id: Option<EventId>, name: &str, data: impl FnOnce(&mut String)) {
    use std::fmt::Write as _;
    if let Some(id) = id {
        // Writing into a text cannot fail.
        let _ = write!(out, "id: {id}\r\n");
    }
    out.push_str("event: ");
    out.push_str(name);
    out.push_str("\r\ndata: ");
    data(out);
    out.push_str("\r\n\r\n");
}
