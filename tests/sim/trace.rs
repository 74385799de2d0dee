//! What happened, line by line, for people. Costs nothing while nobody reads.

use std::collections::VecDeque;

use stayer::model::time::Timestamp;

/// How many lines a failure shows.
const LAST: usize = 60;

/// Lines of a run.
#[derive(Debug, Default)]
pub struct Trace {
    mode: Mode,
    lines: VecDeque<String>,
}

/// Who reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nobody.
    #[default]
    Off,
    /// Whoever looks at the last lines.
    Last,
    /// Whoever looks on.
    Live,
}

// === impl Trace ===

impl Trace {
    /// For whoever reads.
    pub fn new(mode: Mode) -> Trace {
        Trace { mode, lines: VecDeque::new() }
    }

    /// Whether anybody reads.
    pub fn is_on(&self) -> bool {
        self.mode != Mode::Off
    }

    /// One more line.
    pub fn line(&mut self, now: Timestamp, text: &str) {
        let text = format!("{:>10} {text}", now.as_millis() - crate::sim::BEGIN.as_millis());
        match self.mode {
            Mode::Off => {}
            Mode::Live => println!("{text}"),
            Mode::Last => {
                if self.lines.len() == LAST {
                    self.lines.pop_front();
                }
                self.lines.push_back(text);
            }
        }
    }

    /// The last lines.
    pub fn last(self) -> Vec<String> {
        self.lines.into()
    }
}

/// Writes a line when somebody reads.
#[macro_export]
macro_rules! trace {
    ($sim:expr, $($text:tt)*) => {
        if $sim.trace.is_on() {
            let text = format!($($text)*);
            let now = $sim.now;
            $sim.trace.line(now, &text);
        }
    };
}
