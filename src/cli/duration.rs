//! How long, as people type it.

/// Seconds out of `90s`, `30m`, `1h` or a plain number.
///
/// # Errors
/// When it is no time.
pub fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no time, as in 90s, 30m or 1h");
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3_600),
        Some(_) | None => (text, 1),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_time_has_a_unit_or_is_seconds() {
        let times = ["90", "90s", "30m", "1h", "0"].map(seconds);
        assert_eq!(times, [Ok(90), Ok(90), Ok(1_800), Ok(3_600), Ok(0)]);
        for wrong in ["", "m", "1d", "-1s", "1.5h", "99999999999999999999h"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
