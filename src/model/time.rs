//! Points and spans of time in milliseconds.
//!
//! A library's time never leaves this file, since its text differs from Marathon's: three fraction digits and a `Z`,
//! always (contract 14.3). Nothing here reads a clock; `now` is an argument everywhere.

use std::fmt;
use std::ops::{Add, Sub};

use jiff::fmt::temporal::DateTimeParser;
use serde::{Deserialize, Serialize};

/// A point of UTC time, in milliseconds since 1970.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp(i64);

/// A length of time in milliseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Span(u64);

/// The text is no ISO-8601 date-time with an offset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no ISO-8601 date-time with an offset")]
pub struct NoTimestamp;

// === impl Timestamp ===

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis)
    }

    /// In milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// How long ago `earlier` was, nothing when it lies ahead.
    pub fn since(self, earlier: Timestamp) -> Span {
        Span(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads any ISO-8601 date-time that carries an offset, cut to milliseconds (contract 4.4, 14.4).
    ///
    /// # Errors
    /// When the text is none, or lacks an offset.
    pub fn parse(text: &str) -> Result<Timestamp, NoTimestamp> {
        static PARSER: DateTimeParser = DateTimeParser::new();
        let parsed = PARSER.parse_timestamp(text.trim()).map_err(|_| NoTimestamp)?;
        Ok(Timestamp(parsed.as_millisecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => f.write_str("9999-12-31T23:59:59.999Z"),
        }
    }
}

impl Add<Span> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

// === impl Span ===

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// So many milliseconds.
    pub const fn millis(millis: u64) -> Span {
        Span(millis)
    }

    /// So many seconds.
    pub const fn secs(secs: u64) -> Span {
        Span(secs.saturating_mul(1_000))
    }

    /// In milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// In whole seconds, cut.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000
    }
}

impl From<Span> for std::time::Duration {
    fn from(span: Span) -> std::time::Duration {
        std::time::Duration::from_millis(span.0)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0 / 1_000, self.0 % 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_z_always() {
        let at = Timestamp::parse("2021-07-01T10:00:51.16Z").expect("a time");
        assert_eq!(at.to_string(), "2021-07-01T10:00:51.160Z");
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn any_offset_and_fraction_names_the_same_instant() {
        let at = Timestamp::parse("2015-04-17T12:27:51Z").expect("a time");
        assert_eq!(Timestamp::parse("2015-04-17T14:27:51.000000+02:00"), Ok(at));
        assert_eq!(Timestamp::parse("2015-04-17T12:27:51"), Err(NoTimestamp));
        assert_eq!(Timestamp::parse("yesterday"), Err(NoTimestamp));
    }
}
