//! Health checks, readiness checks and plain checks in a definition (contract 5.10), and what they have found (8.1, 8.2,
//! 9.1).

use crate::contract::show::text::{self, Object};
use crate::model::app::App;
use crate::model::check::{AppCheck, CheckProbe, HealthCheck, HealthProtocol, ReadinessCheck};
use crate::model::findings::{CheckResult, HealthRecord, Readiness};
use crate::model::instance::{Instance, Task};
use crate::model::world::World;

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

/// One of `healthCheckResults` (HC-10).
pub(super) fn result(out: &mut Object<'_>, app: &App, instance: &Instance, record: &HealthRecord) {
    out.raw("alive", record.is_alive());
    out.raw("consecutiveFailures", record.failures);
    for (name, at) in [
        ("firstSuccess", record.first_success),
        ("lastSuccess", record.last_success),
        ("lastFailure", record.last_failure),
    ] {
        if let Some(at) = at {
            out.plain(name, at);
        }
    }
    out.text_if("lastFailureCause", record.cause.as_deref());
    // With the word and the brackets, as Marathon prints it.
    out.plain("instanceId", format_args!("instance [{}]", instance.id.marathon(&app.path)));
}

/// `checkResult` (HC-15).
pub(super) fn plain_result(out: &mut Object<'_>, found: CheckResult) {
    match found {
        CheckResult::Http(status) => out.object("http", |object| object.raw("statusCode", status)),
        CheckResult::Tcp(succeeded) => {
            out.object("tcp", |object| object.raw("succeeded", succeeded));
        }
        CheckResult::Command(code) => out.object("command", |object| object.raw("exitCode", code)),
    }
}

/// What a readiness check has found of one task.
pub(super) struct ReadinessResult<'a> {
    app: &'a App,
    instance: &'a Instance,
    task: &'a Task,
    check: &'a ReadinessCheck,
    found: &'a Readiness,
}

/// What the readiness checks of an app have found, as long as a deployment changes it.
pub(super) fn readiness_results<'a>(
    world: &'a World,
    app: &'a App,
) -> impl Iterator<Item = ReadinessResult<'a>> {
    let to = app.part.as_ref().and_then(|part| part.to);
    let spec = to.and_then(|to| world.versions.get(&(app.key, to))).map(|row| &row.spec);
    let checks = spec.map_or(&[][..], |spec| &spec.readiness_checks);
    let instances = world
        .instances_of(app.key)
        .filter(move |one| !checks.is_empty() && to == Some(one.version) && one.is_live());
    let tasks = instances.flat_map(|one| one.tasks.iter().map(move |task| (one, task)));
    tasks.flat_map(move |(instance, task)| {
        let found = task.findings.iter().flat_map(|found| &found.readiness);
        checks.iter().zip(found).filter_map(move |(check, found)| {
            Some(ReadinessResult { app, instance, task, check, found: found.as_ref()? })
        })
    })
}

/// One of `readinessCheckResults` (contract 9.1).
pub(super) fn readiness_result(out: &mut Object<'_>, of: &ReadinessResult<'_>) {
    let ReadinessResult { app, instance, task, check, found } = of;
    out.text("name", &check.name);
    out.plain("taskId", instance.id.task(&app.path, task.name.as_str(), instance.incarnation));
    out.raw("ready", found.ready);
    if let Some(last) = &found.last {
        out.object("lastResponse", |object| {
            object.raw("status", last.status);
            object.text("contentType", &last.content_type);
            object.text("body", &last.body);
        });
    }
}

/// `readinessCheckResults` of an app.
pub(super) fn readiness_list(world: &World, app: &App) -> String {
    let mut out = String::new();
    text::list(&mut out, readiness_results(world, app), |out, of| {
        text::object(out, |object| readiness_result(object, &of));
    });
    out
}
