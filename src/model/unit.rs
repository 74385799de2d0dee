//! Amounts with their units, as fixed-point integers so that sums are exact and order does not matter.
//!
//! Floats live in `contract` alone. Everything counts in millionths of its unit, which keeps six decimals of what a
//! user wrote and holds nine trillion MiB.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};

use serde::{Deserialize, Serialize};

const ONE: u64 = 1_000_000;

macro_rules! amounts {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(u64);

        impl $name {
            /// Nothing of it.
            pub const ZERO: $name = $name(0);

            /// So many millionths.
            pub const fn micro(micro: u64) -> $name {
                $name(micro)
            }

            /// So many whole units.
            pub const fn whole(units: u64) -> $name {
                $name(units.saturating_mul(ONE))
            }

            /// In millionths.
            pub const fn as_micro(self) -> u64 {
                self.0
            }

            /// In whole units, cut.
            pub const fn as_whole(self) -> u64 {
                self.0 / ONE
            }

            /// What is left after taking `other`, nothing when there is less.
            #[must_use]
            pub const fn saturating_sub(self, other: $name) -> $name {
                $name(self.0.saturating_sub(other.0))
            }
        }

        impl Add for $name {
            type Output = $name;
            fn add(self, other: $name) -> $name {
                $name(self.0.saturating_add(other.0))
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: $name) {
                *self = *self + other;
            }
        }

        impl Sub for $name {
            type Output = $name;
            fn sub(self, other: $name) -> $name {
                $name(self.0.saturating_sub(other.0))
            }
        }

        impl SubAssign for $name {
            fn sub_assign(&mut self, other: $name) {
                *self = *self - other;
            }
        }

        impl fmt::Display for $name {
            /// The shortest decimal text without an exponent: `0.25`, `2`.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_decimal(self.0, f)
            }
        }
    )+};
}

amounts! {
    /// Processor share, in cpus.
    Cpus;
    /// Memory, in MiB.
    Mem;
    /// Disk, in MiB.
    Disk;
    /// A plain ratio: capacities of an upgrade strategy, the backoff factor.
    Ratio;
}

impl Mem {
    /// In bytes, cut.
    pub const fn as_bytes(self) -> u64 {
        // Millionths of a MiB would overflow when multiplied first, beyond 16 TiB; that is split off.
        (self.0 / ONE) * (1 << 20) + (self.0 % ONE) * (1 << 20) / ONE
    }

    /// From bytes, cut to millionths of a MiB.
    pub const fn from_bytes(bytes: u64) -> Mem {
        Mem((bytes >> 20) * ONE + (bytes & ((1 << 20) - 1)) * ONE / (1 << 20))
    }
}

impl Ratio {
    /// The whole.
    pub const ONE: Ratio = Ratio(ONE);

    /// `count` times this, rounded up: exact decimals where doubles are not (RU-1).
    pub fn of_rounded_up(self, count: u32) -> u32 {
        let product = u64::from(count).saturating_mul(self.0);
        u32::try_from(product.div_ceil(ONE)).unwrap_or(u32::MAX)
    }

    /// `count` times this, cut (RU-1).
    pub fn of_cut(self, count: u32) -> u32 {
        let product = u64::from(count).saturating_mul(self.0);
        u32::try_from(product / ONE).unwrap_or(u32::MAX)
    }

    /// `value` times this, cut; for delays that grow by a factor.
    pub fn times(self, value: u64) -> u64 {
        let product = u128::from(value) * u128::from(self.0) / u128::from(ONE);
        u64::try_from(product).unwrap_or(u64::MAX)
    }
}

fn write_decimal(micro: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (whole, rest) = (micro / ONE, micro % ONE);
    if rest == 0 {
        return write!(f, "{whole}");
    }
    let digits = format!("{rest:06}");
    write!(f, "{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_round_as_decimals_not_as_doubles() {
        // RU-1: 100 * (1 + 0.15) is 115 and ceil(100 * 0.07) is 7.
        assert_eq!((Ratio::ONE + Ratio::micro(150_000)).of_cut(100), 115);
        assert_eq!(Ratio::micro(70_000).of_rounded_up(100), 7);
    }

    #[test]
    fn memory_converts_to_bytes_and_back() {
        assert_eq!(Mem::whole(32).as_bytes(), 33_554_432);
        assert_eq!(Mem::micro(500_000).as_bytes(), 524_288);
        assert_eq!(Mem::from_bytes(33_554_432), Mem::whole(32));
    }

    #[test]
    fn text_is_the_shortest_decimal() {
        assert_eq!(Cpus::micro(250_000).to_string(), "0.25");
        assert_eq!(Cpus::whole(2).to_string(), "2");
        assert_eq!(Cpus::micro(1).to_string(), "0.000001");
    }
}
