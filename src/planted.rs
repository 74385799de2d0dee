//! Bugs for the simulation to find: a simulation that finds none of them would be blind.
//!
//! `planted!("name", right, wrong)` is `right` and nothing else, but for the build that the simulation makes with the
//! feature `planted`: there it is `wrong` on a thread that has chosen this bug. Each is listed with a seed that finds it
//! in `tests/sim/planted.txt`.

#[cfg(feature = "planted")]
use std::cell::Cell;

/// `right`, or `wrong` where this bug is chosen.
#[cfg(not(feature = "planted"))]
macro_rules! planted {
    ($name:literal, $right:expr, $wrong:expr) => {
        $crate::planted::right($right)
    };
}

/// `right`, or `wrong` where this bug is chosen.
#[cfg(feature = "planted")]
macro_rules! planted {
    ($name:literal, $right:expr, $wrong:expr) => {
        if $crate::planted::is_chosen($name) { $wrong } else { $right }
    };
}

pub(crate) use planted;

/// What it is given. A call, so that a condition next to the macro is not taken for one that is always the same.
#[cfg(not(feature = "planted"))]
#[inline]
pub fn right<T>(right: T) -> T {
    right
}

#[cfg(feature = "planted")]
thread_local! {
    static CHOSEN: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Lets one bug act on this thread, or none.
#[cfg(feature = "planted")]
pub fn choose(bug: Option<&'static str>) {
    CHOSEN.set(bug);
}

/// Whether this bug acts on this thread.
#[cfg(feature = "planted")]
pub fn is_chosen(bug: &str) -> bool {
    CHOSEN.get() == Some(bug)
}
