//! Where a verb reads and writes: standard input, output and error, or what a test puts in their place.
//!
//! The one place of the command line that writes. A reader that is gone ends the verb quietly; progress and warnings
//! go to standard error, so that standard output holds results alone.

use std::fs;
use std::io::{self, IsTerminal, Read, Write};

use crate::cli::failure::Failure;

/// Input, output and error of a verb.
pub struct Console {
    input: Box<dyn Read + Send>,
    output: Box<dyn Write + Send>,
    error: Box<dyn Write + Send>,
    look: Look,
    /// Whether the last line of standard error is one that is written again and again.
    live: bool,
}

/// How what is written may look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Whether results have colours.
    pub colours: bool,
    /// Whether progress may be a line that is written again and again.
    pub live: bool,
}

/// Back to the begin of the line, and nothing on it.
const CLEAR_LINE: &str = "\r\u{1b}[K";

// === impl Look ===

impl Look {
    /// Of the process: colours for a terminal unless `NO_COLOR` is set, whatever to.
    #[expect(
        clippy::disallowed_methods,
        reason = "conventions of terminals rather than settings of this program"
    )]
    fn of_process() -> Look {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Look {
            colours: io::stdout().is_terminal() && !set("NO_COLOR") && !is_dumb,
            live: io::stderr().is_terminal() && !is_dumb && !set("CI"),
        }
    }
}

// === impl Console ===

impl Console {
    /// Those of the process.
    pub fn standard() -> Console {
        let look = Look::of_process();
        Console { look, ..Console::new(io::stdin(), io::stdout(), io::stderr()) }
    }

    /// Any.
    pub fn new(
        input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
        error: impl Write + Send + 'static,
    ) -> Console {
        let (look, live) = (Look::default(), false);
        let (input, output, error) = (Box::new(input), Box::new(output), Box::new(error));
        Console { input, output, error, look, live }
    }

    /// How what is written may look.
    pub fn look(&self) -> Look {
        self.look
    }

    /// Writes a line of the result.
    ///
    /// # Errors
    /// When nobody reads it.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Writes a part of the result as it is, at once.
    ///
    /// # Errors
    /// When nobody reads it.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.end_live();
        let written = self.output.write_all(bytes).and_then(|()| self.output.flush());
        written.map_err(|error| unwritten(&error))
    }

    /// Where the result goes, for what writes by itself; [`unwritten`] says what its errors mean.
    pub fn output(&mut self) -> &mut dyn Write {
        &mut *self.output
    }

    /// Says something that is no part of the result. Whether anybody reads it does not matter.
    pub fn note(&mut self, text: &str) {
        self.end_live();
        let _nobody_listens = writeln!(self.error, "{text}");
    }

    /// Says how far something is on a line that the next such line takes the place of; for terminals alone.
    pub fn live(&mut self, text: &str) {
        if self.look.live {
            self.live = true;
            let written = write!(self.error, "{CLEAR_LINE}{text}");
            let _nobody_looks = written.and_then(|()| self.error.flush());
        }
    }

    fn end_live(&mut self) {
        if std::mem::take(&mut self.live) {
            let _nobody_looks = write!(self.error, "{CLEAR_LINE}");
        }
    }

    /// Writes a file whole.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, file: &str, text: &str) -> Result<(), Failure> {
        fs::write(file, text)
            .map_err(|error| Failure::Failed(format!("{file} cannot be written: {error}")))
    }

    /// Reads a file whole, or standard input for `-`.
    ///
    /// # Errors
    /// When it cannot be read, or is no text.
    pub fn read(&mut self, file: &str) -> Result<String, Failure> {
        let mut text = String::new();
        let read = match file {
            "-" => self.input.read_to_string(&mut text).map(|_| text),
            file => fs::read_to_string(file),
        };
        read.map_err(|error| Failure::Usage(format!("{file} cannot be read: {error}")))
    }
}

/// What it means that a result could not be written.
pub fn unwritten(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::ReaderGone,
        _ => Failure::Failed(format!("the output cannot be written: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_is_gone_ends_the_verb_quietly() {
        let mut console = Console::new(io::empty(), Gone, Gone);
        console.note("nobody hears this");
        assert_eq!(console.line("text"), Err(Failure::ReaderGone));
    }

    #[test]
    fn a_dash_is_standard_input() {
        let mut console = Console::new(&b"{}"[..], io::sink(), io::sink());
        assert_eq!(console.read("-"), Ok("{}".to_owned()));
        assert!(matches!(console.read("/nonexistent/app.json"), Err(Failure::Usage(_))));
    }
}
