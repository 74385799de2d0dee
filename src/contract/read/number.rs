//! Numbers: from the decimal text, so that no noise of binary fractions gets into the fixed point, and from strings where
//! that loses nothing (seeds.md F5).

use serde_json::{Number, Value};

use super::{At, Reader};

/// The largest value of Marathon's 32-bit fields.
pub const MOST: i64 = i32::MAX as i64;

const FRACTION_DIGITS: usize = 6;

impl Reader<'_> {
    /// An integer of 32 bits from `least` to `most`.
    pub fn int(&mut self, at: &At<'_>, least: i64, most: i64) -> Option<i64> {
        let path = &at.path;
        let number = self.number(at)?;
        let Some(value) = whole(&number).filter(|value| i32::try_from(*value).is_ok()) else {
            self.fault(path, "error.expected.int");
            return None;
        };
        self.bound(path, value < least, value > most);
        Some(value.clamp(least, most))
    }

    /// A count: an integer of 32 bits from 0.
    pub fn count(&mut self, at: &At<'_>) -> Option<u32> {
        self.int(at, 0, MOST).and_then(|value| u32::try_from(value).ok())
    }

    /// A count of which there is at least one.
    pub fn at_least_one(&mut self, at: &At<'_>) -> Option<u32> {
        self.int(at, 1, MOST).and_then(|value| u32::try_from(value).ok())
    }

    /// A port: 0 to 65535.
    pub fn port(&mut self, at: &At<'_>) -> Option<u16> {
        self.int(at, 0, i64::from(u16::MAX)).and_then(|value| u16::try_from(value).ok())
    }

    /// An integer of 64 bits from 0.
    pub fn long(&mut self, at: &At<'_>) -> Option<u64> {
        let path = &at.path;
        let number = self.number(at)?;
        let Some(value) = whole(&number) else {
            self.fault(path, "error.expected.long");
            return None;
        };
        self.bound(path, value < 0, false);
        Some(u64::try_from(value).unwrap_or(0))
    }

    /// A number from 0, in millionths.
    pub fn micro(&mut self, at: &At<'_>) -> Option<u64> {
        self.micro_within(at, 0, u64::MAX)
    }

    /// A number in millionths from `least` to `most` millionths.
    pub fn micro_within(&mut self, at: &At<'_>, least: u64, most: u64) -> Option<u64> {
        let path = &at.path;
        let text = decimal(&self.number(at)?);
        let negative =
            text.starts_with('-') && text.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
        let value = if negative { Some(0) } else { millionths(text.trim_start_matches('-')) };
        let below = negative || value.is_some_and(|value| value < least);
        self.bound(path, below, value.is_none_or(|value| value > most));
        Some(value.unwrap_or(most).clamp(least, most))
    }

    /// Any number, or a string that is exactly one.
    pub fn number(&mut self, at: &At<'_>) -> Option<Number> {
        match at.value {
            Value::Number(number) => return Some(number.clone()),
            Value::String(text) if !self.strict() => {
                if let Some(number) = number_in(text) {
                    self.coerce(&at.path);
                    return Some(number);
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => {}
        }
        self.fault(&at.path, "error.expected.jsnumber");
        None
    }

    fn bound(&mut self, path: &str, below: bool, above: bool) {
        if below {
            self.fault(path, "error.min");
        }
        if above {
            self.fault(path, "error.max");
        }
    }
}

/// The number that a string holds, with nothing around it.
fn number_in(text: &str) -> Option<Number> {
    let bare = text.bytes().all(|byte| !byte.is_ascii_whitespace());
    if bare { serde_json::from_str(text).ok() } else { None }
}

/// An integer, also one that is written with an empty fraction.
fn whole(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let value = number.as_f64().filter(|value| value.fract() == 0.0)?;
        format!("{value:.0}").parse().ok()
    })
}

/// The shortest decimal text that names the number, without an exponent.
fn decimal(number: &Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() => format!("{value}"),
        Some(_) | None => number.to_string(),
    }
}

/// A decimal text in millionths, rounded half up; none when it is too large.
fn millionths(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let kept: String =
        fraction.chars().chain("0".repeat(FRACTION_DIGITS).chars()).take(FRACTION_DIGITS).collect();
    let up = fraction.as_bytes().get(FRACTION_DIGITS).is_some_and(|digit| *digit >= b'5');
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(kept.parse().ok()?)?.checked_add(u64::from(up))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_millionths_without_noise() {
        let cases = [
            ("0.1", 100_000),
            ("1.15", 1_150_000),
            ("0.3", 300_000),
            ("1e-6", 1),
            ("0.0000005", 1),
        ];
        for (text, micro) in cases {
            let number: Number = serde_json::from_str(text).expect("a number");
            assert_eq!(millionths(&decimal(&number)), Some(micro), "{text}");
        }
        assert_eq!(millionths("18446744073709.551615"), Some(u64::MAX));
        assert_eq!(millionths("18446744073709.551616"), None);
        assert_eq!(millionths(&decimal(&serde_json::from_str("1e300").expect("a number"))), None);
    }

    #[test]
    fn a_string_is_a_number_only_when_it_is_exactly_one() {
        for text in ["2", "0.25", "-1", "1e3"] {
            assert!(number_in(text).is_some(), "{text}");
        }
        for text in ["", "two", " 2", "2 ", "0x10", "1,5", "2MB", "NaN", "01", "+1"] {
            assert!(number_in(text).is_none(), "{text}");
        }
    }
}
