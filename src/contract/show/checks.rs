//! Health checks, readiness checks and plain checks in a definition (contract 5.10).

use crate::contract::show::text::{self, Object};
use crate::model::check::{AppCheck, CheckProbe, HealthCheck, HealthProtocol, ReadinessCheck};

/// One of `healthChecks`.
pub(super) fn health(out: &mut Object<'_>, check: &HealthCheck) {
    if let Some(command) = &check.command {
        out.object("command", |object| object.text("value", command));
    }
    out.raw("gracePeriodSeconds", check.grace_period_seconds);
    if matches!(check.protocol, HealthProtocol::Http | HealthProtocol::Https) {
        out.raw("ignoreHttp1xx", check.ignore_http_1xx);
    }
    out.raw("intervalSeconds", check.interval_seconds);
    out.raw("maxConsecutiveFailures", check.max_consecutive_failures);
    out.text_if("path", check.path.as_deref());
    out.raw_if("port", check.port);
    out.raw_if("portIndex", check.port_index);
    out.plain("protocol", check.protocol.as_str());
    out.plain("ipProtocol", if check.ipv6 { "IPv6" } else { "IPv4" });
    out.raw("timeoutSeconds", check.timeout_seconds);
    out.raw("delaySeconds", check.delay_seconds);
}

/// One of `readinessChecks`.
pub(super) fn readiness(out: &mut Object<'_>, check: &ReadinessCheck) {
    out.text("name", &check.name);
    out.plain("protocol", if check.https { "HTTPS" } else { "HTTP" });
    out.text("path", &check.path);
    out.text("portName", &check.port_name);
    out.raw("intervalSeconds", check.interval_seconds);
    out.raw("timeoutSeconds", check.timeout_seconds);
    out.list("httpStatusCodesForReady", &check.ready_codes, text::write);
    out.raw("preserveLastResponse", check.preserve_last_response);
}

/// `check`.
pub(super) fn plain(out: &mut Object<'_>, check: &AppCheck) {
    match &check.probe {
        CheckProbe::Http { port_index, port, path } => out.object("http", |object| {
            object.raw_if("portIndex", *port_index);
            object.raw_if("port", *port);
            object.text_if("path", path.as_deref());
            object.plain("scheme", "HTTP");
        }),
        CheckProbe::Tcp { port_index, port } => out.object("tcp", |object| {
            object.raw_if("portIndex", *port_index);
            object.raw_if("port", *port);
        }),
        CheckProbe::Exec { shell } => out.object("exec", |object| {
            object.object("command", |command| command.text("shell", shell));
        }),
    }
    out.raw("intervalSeconds", check.interval_seconds);
    out.raw("timeoutSeconds", check.timeout_seconds);
    out.raw("delaySeconds", check.delay_seconds);
}
