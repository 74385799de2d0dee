//! How a process ended, from what the shell wrote, what was asked for and what the kernel counted. Pure.

use crate::model::end::End;
use crate::model::reason::Reason;
use crate::model::unit::Mem;

/// What is known of an end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// What the shell wrote: an exit code, or 128 and a signal.
    pub code: Option<i32>,
    /// The last signal that was asked for.
    pub asked: Option<i32>,
    /// The kernel killed something of it for its memory.
    pub oom: Option<OomKill>,
    /// What was found, should nothing else say how it ended.
    pub silence: String,
}

/// A kill for memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OomKill {
    /// The most that was used, if known.
    pub peak: Option<Mem>,
}

const SIGKILL: i32 = 9;
const SIGNALS: std::ops::RangeInclusive<i32> = 129..=192;

/// How it ended (CT-13). A kill for memory is named where it explains the end: a process that ends well, or by a signal
/// that somebody sent, did not end of it.
pub fn decide(traces: Traces) -> End {
    let signal = traces.code.filter(|code| SIGNALS.contains(code)).map(|code| code - 128);
    match (traces.code, signal, traces.oom) {
        (Some(0), _, _) => End::Code(0),
        (Some(_), None | Some(SIGKILL), Some(OomKill { peak })) => End::Oom { peak },
        (Some(_), Some(signal), _) => End::Signal(signal),
        (Some(code), None, None) => End::Code(code),
        (None, _, oom) => silent(traces.asked, oom, traces.silence),
    }
}

/// The shell wrote nothing: it was killed with the rest, by us or by another.
fn silent(asked: Option<i32>, oom: Option<OomKill>, detail: String) -> End {
    match (asked, oom) {
        (Some(signal), _) => End::Signal(signal),
        (None, Some(OomKill { peak })) => End::Oom { peak },
        (None, None) => End::Gone(Reason::Vanished { detail }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(code: Option<i32>, asked: Option<i32>, oom: bool) -> End {
        let oom = oom.then_some(OomKill { peak: Some(Mem::whole(16)) });
        decide(Traces { code, asked, oom, silence: "nothing".to_owned() })
    }

    #[test]
    fn codes_above_128_are_signals() {
        // CT-13.
        assert_eq!(end(Some(0), None, false), End::Code(0));
        assert_eq!(end(Some(3), Some(15), false), End::Code(3));
        assert_eq!(end(Some(143), Some(15), false), End::Signal(15));
        assert_eq!(end(Some(255), None, false), End::Code(255));
    }

    #[test]
    fn a_kill_for_memory_is_named_where_it_explains_the_end() {
        let oom = End::Oom { peak: Some(Mem::whole(16)) };
        assert_eq!(end(Some(137), None, true), oom);
        assert_eq!(end(Some(1), None, true), oom);
        assert_eq!(end(None, None, true), oom);
        assert_eq!(end(Some(0), None, true), End::Code(0));
        assert_eq!(end(Some(143), Some(15), true), End::Signal(15));
    }

    #[test]
    fn without_a_word_it_ended_by_what_was_asked_or_nobody_knows() {
        assert_eq!(end(None, Some(9), false), End::Signal(9));
        let vanished = Reason::Vanished { detail: "nothing".to_owned() };
        assert_eq!(end(None, None, false), End::Gone(vanished));
    }
}
