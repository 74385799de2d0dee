//! Checks for tests.

use crate::model::check::{HealthCheck, HealthProtocol};

/// With Marathon's defaults.
pub(in crate::agent::mind) fn check(protocol: HealthProtocol) -> HealthCheck {
    let command = (protocol == HealthProtocol::Command).then(|| "true".to_owned());
    HealthCheck {
        protocol,
        path: None,
        port: None,
        port_index: None,
        command,
        grace_period_seconds: 300,
        interval_seconds: 60,
        timeout_seconds: 20,
        max_consecutive_failures: 3,
        ignore_http_1xx: false,
        ipv6: false,
        delay_seconds: 15,
    }
}
