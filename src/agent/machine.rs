//! What the machine that tests run on says of itself. Compiled for tests alone.
#![expect(clippy::disallowed_methods, reason = "a test asks the environment of its machine")]

use std::sync::LazyLock;
use std::time::Duration;

/// Long enough for anything that is expected to happen.
pub static PATIENCE: LazyLock<Duration> = LazyLock::new(|| slow(Duration::from_secs(30)));

/// A limit of time on this machine: one under emulation is so much slower than others.
pub fn slow(limit: Duration) -> Duration {
    let factor = std::env::var("STAYER_TEST_SLOWNESS").map(|text| text.parse());
    limit * factor.map_or(1, |factor| factor.expect("STAYER_TEST_SLOWNESS is a number"))
}

/// The engine that is to be tested, if it is not the one that is found.
pub fn docker_host() -> Option<String> {
    std::env::var("DOCKER_HOST").ok()
}
