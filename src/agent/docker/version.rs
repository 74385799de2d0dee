//! The version of the engine's API that is spoken.
//!
//! Owned here, since the client library sends no version at all over a socket and an engine then answers in its newest
//! shape (engines.md §1). Ours is put in front of every path, so that an answer has a shape that was known when this
//! was built.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

/// A version of the engine's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    /// Always 1 so far.
    pub major: u16,
    /// What changes.
    pub minor: u16,
}

/// No version is spoken by both sides.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCommonVersion {
    /// The engine says nothing that is a version.
    #[error("it names no API version, so it is none that is known here")]
    Nameless,
    /// The engine no longer speaks ours.
    #[error(
        "it speaks API {floor} and later, this agent {OURS} and earlier; run a newer stayer, or let the engine speak \
         {OURS} too (DOCKER_MIN_API_VERSION, or min-api-version in its daemon.json)"
    )]
    TooNew {
        /// The engine's lowest.
        floor: ApiVersion,
    },
    /// The engine is older than all we can speak.
    #[error(
        "it speaks API {newest} and earlier, this agent needs {NEEDED}: run Docker 19.03 or later"
    )]
    TooOld {
        /// The engine's highest.
        newest: ApiVersion,
    },
}

/// The version that is spoken at present, shared with whatever writes requests.
#[derive(Debug, Default)]
pub struct Spoken(AtomicU32);

/// The newest shapes that we read.
pub const OURS: ApiVersion = ApiVersion { major: 1, minor: 53 };
/// The oldest that has all we ask for (device requests, `init`).
pub const NEEDED: ApiVersion = ApiVersion { major: 1, minor: 40 };

/// The version to speak with an engine that names its newest, and its oldest if it has such a floor.
///
/// # Errors
/// When there is none that both speak.
pub fn negotiate(newest: Option<&str>, floor: Option<&str>) -> Result<ApiVersion, NoCommonVersion> {
    let newest = newest.and_then(ApiVersion::parse).ok_or(NoCommonVersion::Nameless)?;
    match floor.and_then(ApiVersion::parse) {
        Some(floor) if floor > OURS => Err(NoCommonVersion::TooNew { floor }),
        Some(_) | None if newest < NEEDED => Err(NoCommonVersion::TooOld { newest }),
        Some(_) | None => Ok(newest.min(OURS)),
    }
}

/// `path` as asked of an engine in this version.
pub fn prefixed(version: ApiVersion, path: &str) -> String {
    format!("/v{version}{path}")
}

// === impl ApiVersion ===

impl ApiVersion {
    /// Reads `1.41`.
    pub fn parse(text: &str) -> Option<ApiVersion> {
        let (major, minor) = text.trim().split_once('.')?;
        Some(ApiVersion { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

// === impl Spoken ===

impl Spoken {
    /// The version that is spoken; none before the engine was asked, or after it went away.
    pub fn get(&self) -> Option<ApiVersion> {
        let packed = self.0.load(Ordering::Relaxed);
        let [_, major, high, low] = packed.to_be_bytes();
        (packed != 0)
            .then_some(ApiVersion { major: major.into(), minor: u16::from_be_bytes([high, low]) })
    }

    /// Speaks `version` from now on; with none the engine is asked again before the next call.
    pub fn set(&self, version: Option<ApiVersion>) {
        let packed =
            version.map_or(0, |version| u32::from(version.major) << 16 | u32::from(version.minor));
        self.0.store(packed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(minor: u16) -> ApiVersion {
        ApiVersion { major: 1, minor }
    }

    #[test]
    fn the_lower_of_both_is_spoken_and_never_below_the_floor() {
        // The profiles of engines.md §2, and an engine of years to come.
        for (newest, floor, spoken) in [
            ("1.41", "1.12", 41),
            ("1.44", "1.24", 44),
            ("1.51", "1.24", 51),
            ("1.52", "1.44", 52),
            ("1.56", "1.40", 53),
            ("1.60", "1.44", 53),
        ] {
            assert_eq!(negotiate(Some(newest), Some(floor)), Ok(version(spoken)), "{newest}");
        }
        assert_eq!(negotiate(Some("1.41"), None), Ok(version(41)), "podman may name no floor");
    }

    #[test]
    fn without_a_common_version_the_error_names_both() {
        let error = negotiate(Some("1.70"), Some("1.60")).expect_err("too new");
        let told = error.to_string();
        for part in ["API 1.60 and later", "1.53 and earlier", "DOCKER_MIN_API_VERSION"] {
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(
            negotiate(Some("1.24"), Some("1.12")),
            Err(NoCommonVersion::TooOld { newest: version(24) })
        );
        assert_eq!(negotiate(None, None), Err(NoCommonVersion::Nameless));
        assert_eq!(negotiate(Some("new"), None), Err(NoCommonVersion::Nameless));
    }

    #[test]
    fn what_is_spoken_comes_back_and_can_be_forgotten() {
        let spoken = Spoken::default();
        assert_eq!(spoken.get(), None);
        spoken.set(Some(version(41)));
        assert_eq!(spoken.get(), Some(version(41)));
        spoken.set(None);
        assert_eq!(spoken.get(), None);
    }
}
