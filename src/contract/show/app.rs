//! The App object (contract 5.10), and what live state adds to it.
//!
//! A definition never changes under its version, so its text is made once and kept by who serves it; counts, tasks and
//! deployments are spliced in behind it. An option that is unset is absent, never `null`: strict clients know a fixed
//! list of keys (contract 18.3). `restartPolicy` and `priority`, which Marathon lacks, show only when they are used.

use crate::contract::show::extras::Extras;
use crate::contract::show::text::{self, Numbers, Object};
use crate::contract::show::{checks, container};
use crate::model::app::AppVersion;
use crate::model::deployment::OnFailure;
use crate::model::id::Version;
use crate::model::network::{Network, NetworkMode, PortDefinition};
use crate::model::spec::{
    Artifact, Container, EnvValue, KillSelection, Limit, Restart, Spec, UnreachableStrategy,
};
use crate::model::time::Timestamp;

/// What counts, deployments and a few tasks take, in bytes.
const ROOM_FOR_EXTRAS: usize = 512;

/// A stored definition as REST answers show it.
pub fn definition(row: &AppVersion) -> String {
    definition_in(row, Numbers::Rest)
}

/// A stored definition with its amounts as `numbers` says.
pub fn definition_in(row: &AppVersion, numbers: Numbers) -> String {
    let changes = Some((row.last_scaling_at, row.last_config_change_at));
    write_definition(&row.spec, row.version, changes, numbers)
}

/// A definition as it was submitted: nothing is known yet of its `versionInfo` and service ports (contract 3.2).
pub fn definition_submitted(spec: &Spec, version: Version) -> String {
    definition_submitted_in(spec, version, Numbers::Rest)
}

/// A definition as it was submitted, with its amounts as `numbers` says.
pub fn definition_submitted_in(spec: &Spec, version: Version, numbers: Numbers) -> String {
    write_definition(spec, version, None, numbers)
}

/// A definition's text with what is known of the app's life.
pub fn app_info(definition: &str, extras: &Extras) -> String {
    let mut out = String::new();
    write_app_info(&mut out, definition, extras);
    out
}

/// Appends [`app_info`] to `out`.
pub fn write_app_info(out: &mut String, definition: &str, extras: &Extras) {
    text::extend(out, definition, |object| extras.write(object));
}

/// `{"apps":[…]}`, or with `*` as the key for a wildcard read.
pub fn app_list<T: AsRef<str>>(key: &str, apps: impl IntoIterator<Item = (T, Extras)>) -> String {
    text::object_text(|object| {
        object.list(key, apps, |out, (definition, extras)| {
            write_app_info(out, definition.as_ref(), &extras);
        });
    })
}

/// `{"app":…}`.
pub fn app_single(definition: &str, extras: &Extras) -> String {
    let mut out = String::with_capacity(definition.len() + ROOM_FOR_EXTRAS);
    out.push_str(r#"{"app":"#);
    text::extend(&mut out, definition, |object| extras.write(object));
    out.push('}');
    out
}

fn write_definition(
    spec: &Spec,
    version: Version,
    changes: Option<(Timestamp, Timestamp)>,
    numbers: Numbers,
) -> String {
    let mut out = String::with_capacity(1024);
    text::object_in(&mut out, numbers, |object| {
        what_runs(object, spec);
        how_many(object, spec);
        where_it_listens(object, spec);
        how_it_changes(object, spec);
        object.plain("version", version);
        if let Some((scaling, config)) = changes {
            object.object("versionInfo", |info| {
                info.plain("lastScalingAt", scaling);
                info.plain("lastConfigChangeAt", config);
            });
        }
        how_it_ends(object, spec);
    });
    out
}

/// `id` to `check`.
fn what_runs(out: &mut Object<'_>, spec: &Spec) {
    let runs = spec.container();
    out.plain("id", &spec.path);
    if let Some(roles) = spec.accepted_roles.as_ref().filter(|roles| !roles.is_empty()) {
        out.texts("acceptedResourceRoles", roles);
    }
    if !runs.args.is_empty() {
        out.texts("args", &runs.args);
    }
    out.double("backoffFactor", spec.backoff.factor);
    out.raw("backoffSeconds", spec.backoff.seconds);
    out.text_if("cmd", runs.cmd.as_deref());
    constraints(out, spec);
    if let Some(sandbox) = &runs.sandbox {
        out.object("container", |object| container::sandbox(object, sandbox));
    }
    out.double("cpus", runs.cpus);
    if !spec.dependencies.is_empty() {
        out.texts(
            "dependencies",
            spec.dependencies.iter().map(crate::model::path::AppPath::as_str),
        );
    }
    out.double("disk", runs.disk);
    environment(out, runs);
    out.text("executor", &spec.executor);
    if let Some(resources) = &spec.executor_resources {
        out.object("executorResources", |object| {
            object.double("cpus", resources.cpus);
            object.double("mem", resources.mem);
            object.double("disk", resources.disk);
        });
    }
    if !runs.fetch.is_empty() {
        out.objects("fetch", &runs.fetch, artifact);
    }
    if !spec.health_checks.is_empty() {
        out.objects("healthChecks", &spec.health_checks, checks::health);
    }
    if let Some(check) = &spec.check {
        out.object("check", |object| checks::plain(object, check));
    }
}

fn constraints(out: &mut Object<'_>, spec: &Spec) {
    if spec.constraints.is_empty() {
        return;
    }
    out.list("constraints", &spec.constraints, |list, constraint| {
        let parts = [Some(constraint.field.as_str()), Some(constraint.operator.as_str())];
        let parts = parts.into_iter().chain([constraint.value.as_deref()]).flatten();
        text::list(list, parts, text::quote);
    });
}

fn environment(out: &mut Object<'_>, runs: &Container) {
    if runs.env.is_empty() {
        return;
    }
    out.object("env", |env| {
        for (name, value) in &runs.env {
            match value {
                EnvValue::Plain(value) => text::quote(env.entry(name), value),
                EnvValue::Secret(secret) => {
                    text::object(env.entry(name), |object| object.text("secret", secret));
                }
            }
        }
    });
}

fn artifact(out: &mut Object<'_>, artifact: &Artifact) {
    out.text("uri", &artifact.uri);
    out.raw("extract", artifact.extract);
    out.raw("executable", artifact.executable);
    out.raw("cache", artifact.cache);
    out.text_if("destPath", artifact.dest_path.as_deref());
}

/// `instances` to `gpus`.
fn how_many(out: &mut Object<'_>, spec: &Spec) {
    let runs = spec.container();
    out.raw("instances", spec.instances);
    out.map("labels", &spec.labels);
    out.raw("maxLaunchDelaySeconds", spec.backoff.max_seconds);
    out.double("mem", runs.mem);
    out.raw("gpus", runs.gpus);
}

/// `networks` to `readinessChecks`.
fn where_it_listens(out: &mut Object<'_>, spec: &Spec) {
    out.objects("networks", &spec.networks, network);
    if spec.on_host_network() {
        out.objects("portDefinitions", spec.ports(), port_definition);
    }
    if !spec.readiness_checks.is_empty() {
        out.objects("readinessChecks", &spec.readiness_checks, checks::readiness);
    }
}

fn network(out: &mut Object<'_>, network: &Network) {
    out.plain(
        "mode",
        match network.mode {
            NetworkMode::Host => "host",
            NetworkMode::Bridge => "container/bridge",
            NetworkMode::Container => "container",
        },
    );
    out.text_if("name", network.name.as_deref());
    if !network.labels.is_empty() {
        out.map("labels", &network.labels);
    }
}

fn port_definition(out: &mut Object<'_>, definition: &PortDefinition) {
    out.raw("port", definition.port);
    if !definition.labels.is_empty() {
        out.map("labels", &definition.labels);
    }
    out.text_if("name", definition.name.as_deref());
    out.plain("protocol", definition.protocol.as_str());
}

/// `residency` to `user`.
fn how_it_changes(out: &mut Object<'_>, spec: &Spec) {
    if spec.is_resident() {
        let escalation = match spec.unreachable {
            UnreachableStrategy::Disabled => 3600,
            UnreachableStrategy::After { inactive_seconds, expunge_seconds: _ } => inactive_seconds,
        };
        out.object("residency", |object| {
            object.raw("relaunchEscalationTimeoutSeconds", escalation);
            object.plain("taskLostBehavior", "WAIT_FOREVER");
        });
    }
    if let Some(limits) = &spec.container().limits {
        out.object("resourceLimits", |object| {
            limit(object, "cpus", limits.cpus);
            limit(object, "mem", limits.mem);
        });
    }
    out.raw("requirePorts", spec.require_ports);
    if !spec.secrets.is_empty() {
        out.object("secrets", |secrets| {
            for (name, source) in &spec.secrets {
                text::object(secrets.entry(name), |object| object.text("source", source));
            }
        });
    }
    out.raw_if("taskKillGracePeriodSeconds", spec.kill_grace_seconds);
    out.object("upgradeStrategy", |object| {
        object.double("maximumOverCapacity", spec.upgrade.over_capacity);
        object.double("minimumHealthCapacity", spec.upgrade.minimum_health);
        object.raw_if("deadlineSeconds", spec.failure.deadline_seconds);
        object.raw_if("maxFailures", spec.failure.max_failures);
        object.text_if("onFailure", spec.failure.on_failure.map(OnFailure::as_str));
    });
    out.text_if("user", spec.container().user.as_deref());
}

fn limit<T: std::fmt::Display>(out: &mut Object<'_>, key: &str, limit: Option<Limit<T>>) {
    match limit {
        None => {}
        Some(Limit::Unlimited) => out.plain(key, "unlimited"),
        Some(Limit::At(amount)) => out.double(key, amount),
    }
}

/// `killSelection` to the end.
fn how_it_ends(out: &mut Object<'_>, spec: &Spec) {
    out.plain(
        "killSelection",
        match spec.kill_selection {
            KillSelection::YoungestFirst => "YOUNGEST_FIRST",
            KillSelection::OldestFirst => "OLDEST_FIRST",
        },
    );
    match spec.unreachable {
        UnreachableStrategy::Disabled => out.plain("unreachableStrategy", "disabled"),
        UnreachableStrategy::After { inactive_seconds, expunge_seconds } => {
            out.object("unreachableStrategy", |object| {
                object.raw("inactiveAfterSeconds", inactive_seconds);
                object.raw("expungeAfterSeconds", expunge_seconds);
            });
        }
    }
    out.raw_if("tty", spec.container().tty);
    out.text("role", &spec.role);
    match spec.restart {
        Restart::Always => {}
        Restart::OnFailure => out.plain("restartPolicy", "onFailure"),
        Restart::Never => out.plain("restartPolicy", "never"),
    }
    if spec.priority != 0 {
        out.raw("priority", spec.priority);
    }
    out.raw_if("drainSeconds", spec.drain_seconds);
}

#[cfg(test)]
mod tests;
