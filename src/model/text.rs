//! Texts of others, cut to what is kept of them.

/// The first `most` characters of a text.
pub fn cut(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_and_none_is_torn() {
        for (most, kept) in [(0, ""), (2, "ab"), (3, "abß"), (4, "abßc"), (9, "abßc")] {
            assert_eq!(cut("abßc", most), kept);
        }
    }
}
