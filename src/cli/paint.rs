//! Colours of results, where there are any.

/// Whether and how texts are coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint(bool);

// === impl Paint ===

impl Paint {
    /// With colours, or without.
    pub const fn new(colours: bool) -> Paint {
        Paint(colours)
    }

    /// What comes.
    pub fn green(self, text: &str) -> String {
        self.of("32", text)
    }

    /// What goes, and what is wrong.
    pub fn red(self, text: &str) -> String {
        self.of("31", text)
    }

    /// What changes, and what needs a second look.
    pub fn yellow(self, text: &str) -> String {
        self.of("33", text)
    }

    /// What a paragraph is about.
    pub fn bold(self, text: &str) -> String {
        self.of("1", text)
    }

    /// What is there for completeness.
    pub fn dim(self, text: &str) -> String {
        self.of("2", text)
    }

    fn of(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Paint;

    #[test]
    fn without_colours_a_text_is_itself() {
        assert_eq!(Paint::new(false).red("a"), "a");
        assert_eq!(Paint::new(true).red("a"), "\u{1b}[31ma\u{1b}[0m");
        assert_eq!(Paint::new(true).red(""), "");
    }
}
