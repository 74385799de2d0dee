//! What a stream says of itself. None of it is in the log, so none has an id of its own: a consumer's last id stays as it
//! is, or becomes that of the event behind which the stream begins.

use crate::contract::show::event::frame;
use crate::contract::show::text;
use crate::model::event::EventId;
use crate::model::time::Timestamp;

/// What a stream says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// `event_stream_attached`: a consumer came.
    Attached {
        /// Its address.
        remote: String,
    },
    /// `event_stream_detached`: a consumer went.
    Detached {
        /// Its address.
        remote: String,
    },
    /// `stream_gap`: what happened after the id that a consumer named is not kept, or that id is none of this log. What
    /// follows begins later; the consumer must look at the state of things anew.
    Gap {
        /// What the consumer named, as it came.
        last: String,
        /// Why it cannot go on from there.
        reason: &'static str,
        /// The first event that can still be told, when there is one.
        next: Option<EventId>,
    },
    /// `stream_overflow`, the last event of a stream: the consumer is so slow that what it would be told next is gone.
    Overflow {
        /// The last event that it was told or that was left out for it.
        last: EventId,
    },
}

// === impl Notice ===

impl Notice {
    /// Its name.
    pub const fn name(&self) -> &'static str {
        match self {
            Notice::Attached { .. } => "event_stream_attached",
            Notice::Detached { .. } => "event_stream_detached",
            Notice::Gap { .. } => "stream_gap",
            Notice::Overflow { .. } => "stream_overflow",
        }
    }
}

/// Appends a notice in its frame; with the id of an event that a consumer who comes again names as its last.
pub fn notice(out: &mut String, behind: Option<EventId>, notice: &Notice, at: Timestamp) {
    frame(out, behind, notice.name(), |out| {
        text::object(out, |object| {
            match notice {
                Notice::Attached { remote } | Notice::Detached { remote } => {
                    object.text("remoteAddress", remote);
                }
                Notice::Gap { last, reason, next } => {
                    object.text("lastEventId", last);
                    object.text("reason", reason);
                    match next {
                        Some(next) => object.plain("nextEventId", next),
                        None => object.null("nextEventId"),
                    }
                }
                Notice::Overflow { last } => object.plain("lastEventId", last),
            }
            object.plain("eventType", notice.name());
            object.plain("timestamp", at);
        });
    });
}
