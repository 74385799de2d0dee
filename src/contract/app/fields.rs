//! The top level of an app: which members there are, of which type, within which bounds (contract 5.1, 4.2).

use std::collections::BTreeSet;

use serde_json::Value;

use super::draft::Draft;
use super::{check, constraint, container, network};
use crate::contract::deploy;
use crate::contract::fault::shortened;
use crate::contract::read::{At, Fields, Reader};
use crate::model::deployment::{FailurePolicy, OnFailure};
use crate::model::path::{AppPath, PathError};
use crate::model::spec::{
    Artifact, EnvValue, ExecutorResources, KillSelection, Limit, ResourceLimits,
    UnreachableStrategy, UpgradeStrategy,
};
use crate::model::time::Timestamp;
use crate::model::unit::{Cpus, Disk, Mem, Ratio};

/// What clients send back from a GET; ignored without a word.
const ANSWER_ONLY: &[&str] = &[
    "deployments",
    "lastTaskFailure",
    "readinessCheckResults",
    "taskRateLimit",
    "tasks",
    "tasksHealthy",
    "tasksRunning",
    "tasksStaged",
    "tasksStats",
    "tasksUnhealthy",
    "taskStats",
    "versionInfo",
];
/// Removed from Marathon long ago, still sent by old clients.
const REMOVED: &[&str] = &["storeUrls"];

const ONE: u64 = 1_000_000;

/// Reads all members but `id` and `version`.
pub fn members(fields: &mut Fields<'_, '_, '_>) -> Draft {
    let mut draft = Draft::default();
    what(fields, &mut draft);
    resources(fields, &mut draft);
    place(fields, &mut draft);
    network(fields, &mut draft);
    life(fields, &mut draft);
    fields.opt(deploy::MEMBER, one_at_a_time);
    fields.skip(ANSWER_ONLY);
    fields.skip(REMOVED);
    draft
}

/// A deploy is of one app: where it may be asked for it is taken out before.
fn one_at_a_time(reader: &mut Reader<'_>, at: &At<'_>) -> Option<()> {
    reader.fault(&at.path, "a deploy is asked for with one app at a time");
    None
}

/// `version`: a time that names a stored definition (contract 4.4).
pub fn version(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Timestamp> {
    let path = &at.path;
    let read = Timestamp::parse(&reader.string(at)?).ok();
    if read.is_none() {
        reader.fault(path, "error.expected.date.isoformat");
    }
    read
}

/// An id as a text that names a path.
pub fn id(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let path = &at.path;
    let text = reader.filled(at)?;
    match AppPath::parse(&text) {
        Ok(_) => {}
        Err(PathError::Segment) => reader.fault(path, "error.pattern"),
        Err(PathError::TooLong) => reader.fault(path, "error.maxLength"),
    }
    Some(text)
}

fn what(fields: &mut Fields<'_, '_, '_>, draft: &mut Draft) {
    draft.cmd = fields.opt("cmd", Reader::filled);
    draft.args = fields.list("args", Reader::string);
    draft.user = fields.opt("user", Reader::string);
    draft.env = fields.map("env", env_value);
    draft.container = fields.opt("container", container::container);
    draft.fetch = fields.list("fetch", artifact);
    draft.uris = fields.list("uris", Reader::string);
    draft.secrets = fields.map("secrets", secret);
    draft.tty = fields.opt("tty", Reader::flag);
    draft.labels = fields.map("labels", Reader::string);
    for (of, map) in [
        ("env", draft.env.as_ref().map(|map| map.contains_key(""))),
        ("secrets", draft.secrets.as_ref().map(|map| map.contains_key(""))),
    ] {
        let path = format!("{}/{of}/keys(0)", fields.path);
        fields.reader.require(map != Some(true), path, "must not be empty");
    }
}

fn resources(fields: &mut Fields<'_, '_, '_>, draft: &mut Draft) {
    draft.instances = fields.opt("instances", Reader::count);
    draft.cpus = fields.opt("cpus", Reader::micro).map(Cpus::micro);
    draft.mem = fields.aliased("mem", "memory", Reader::micro).map(Mem::micro);
    draft.disk = fields.opt("disk", Reader::micro).map(Disk::micro);
    draft.gpus = fields.opt("gpus", Reader::count);
    draft.executor = fields.opt("executor", executor);
    draft.executor_resources = fields.opt("executorResources", executor_resources);
    draft.limits = fields.opt("resourceLimits", limits);
}

fn place(fields: &mut Fields<'_, '_, '_>, draft: &mut Draft) {
    draft.constraints = fields.opt("constraints", constraint::constraints);
    draft.dependencies = fields.list("dependencies", Reader::string);
    draft.accepted_roles = fields.opt("acceptedResourceRoles", accepted_roles);
    draft.role = fields.opt("role", Reader::string).filter(|role| !role.is_empty());
    draft.residency = fields.opt("residency", residency);
    draft.unreachable = fields.opt("unreachableStrategy", unreachable);
}

fn network(fields: &mut Fields<'_, '_, '_>, draft: &mut Draft) {
    draft.networks = fields.list("networks", network::network);
    draft.ip_address = fields.opt("ipAddress", network::ip_address);
    draft.port_definitions = fields.list("portDefinitions", network::port_definition);
    draft.ports =
        fields.list("ports", |reader, at| reader.int(at, i64::from(i32::MIN), i64::from(i32::MAX)));
    draft.require_ports = fields.opt("requirePorts", Reader::flag);
}

fn life(fields: &mut Fields<'_, '_, '_>, draft: &mut Draft) {
    draft.backoff_seconds = fields.opt("backoffSeconds", Reader::count);
    draft.backoff_factor = fields
        .opt("backoffFactor", |reader, at| reader.micro_within(at, ONE, u64::MAX))
        .map(Ratio::micro);
    draft.max_launch_delay_seconds = fields.opt("maxLaunchDelaySeconds", Reader::count);
    draft.health_checks = fields.list("healthChecks", check::health_check);
    draft.check = fields.opt("check", check::app_check);
    draft.readiness_checks = fields.list("readinessChecks", check::readiness_check);
    draft.upgrade = fields.opt("upgradeStrategy", upgrade);
    draft.kill_grace_seconds = fields.opt("taskKillGracePeriodSeconds", Reader::count);
    draft.drain_seconds = fields.opt("drainSeconds", Reader::count);
    draft.kill_selection = fields.opt("killSelection", |reader, at| {
        let choices = [
            ("YOUNGEST_FIRST", KillSelection::YoungestFirst),
            ("OLDEST_FIRST", KillSelection::OldestFirst),
        ];
        reader.choice(at, &choices)
    });
}

/// A text, or `{"secret": name}`; what is neither is told as the latter (contract 4.3).
fn env_value(reader: &mut Reader<'_>, at: &At<'_>) -> Option<EnvValue> {
    if let Value::String(text) = at.value {
        return Some(EnvValue::Plain(text.clone()));
    }
    let mut fields = reader.object(at)?;
    let name = fields.need_plain("secret", Reader::string);
    fields.done();
    name.map(EnvValue::Secret)
}

fn secret(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let mut fields = reader.constrained(at)?;
    let source = fields.need("source", Reader::filled);
    fields.done();
    source
}

fn artifact(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Artifact> {
    let mut fields = reader.constrained(at)?;
    let uri = fields.need("uri", |reader, at| reader.sized(at, 1024));
    let artifact = Artifact {
        uri: uri.unwrap_or_default(),
        extract: fields.opt("extract", Reader::flag).unwrap_or(true),
        executable: fields.opt("executable", Reader::flag).unwrap_or(false),
        cache: fields.opt("cache", Reader::flag).unwrap_or(false),
        dest_path: fields.opt("destPath", |reader, at| reader.sized(at, 1024)),
    };
    fields.done();
    Some(artifact)
}

/// `//cmd`, a path, or nothing.
fn executor(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let path = &at.path;
    let text = reader.string(at)?;
    let is_path = !text.ends_with('/') && !text.contains("//");
    if text != "//cmd" && !is_path {
        reader.fault(path, "error.pattern");
    }
    Some(text)
}

fn executor_resources(reader: &mut Reader<'_>, at: &At<'_>) -> Option<ExecutorResources> {
    let mut fields = reader.lenient(at);
    let mut amount = |name, least: u64, default: u64| {
        let read = fields.opt(name, |reader, at| reader.micro_within(at, least, u64::MAX));
        read.unwrap_or(default)
    };
    let resources = ExecutorResources {
        cpus: Cpus::micro(amount("cpus", 0, ONE / 10)),
        mem: Mem::micro(amount("mem", 32 * ONE, 32 * ONE)),
        disk: Disk::micro(amount("disk", 10 * ONE, 10 * ONE)),
    };
    fields.done();
    Some(resources)
}

fn limits(reader: &mut Reader<'_>, at: &At<'_>) -> Option<ResourceLimits> {
    let mut fields = reader.lenient(at);
    let limits = ResourceLimits {
        cpus: fields.opt("cpus", |reader, at| limit(reader, at, Cpus::micro)),
        mem: fields.opt("mem", |reader, at| limit(reader, at, Mem::micro)),
    };
    fields.done();
    Some(limits)
}

/// A number or `unlimited`; any other text passes the type stage (contract 13.9).
fn limit<T>(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    amount: impl FnOnce(u64) -> T,
) -> Option<Limit<T>> {
    if let Value::String(text) = at.value {
        let error =
            format!("'{text}' is an invalid resource limit. It must be 'unlimited' or a number");
        reader.require(text == "unlimited", &at.path, error);
        return Some(Limit::Unlimited);
    }
    if !at.value.is_number() {
        reader.fault(&at.path, "error.expected.jsstring");
        return None;
    }
    reader.micro(at).map(|micro| Limit::At(amount(micro)))
}

fn accepted_roles(reader: &mut Reader<'_>, at: &At<'_>) -> Option<BTreeSet<String>> {
    let path = &at.path;
    let roles = reader.list(at, Reader::string)?;
    reader.require(!roles.is_empty(), path, "must not be empty");
    for (index, role) in roles.iter().enumerate() {
        for error in role_errors(role) {
            reader.breach(format!("{path}({index})"), error);
        }
    }
    Some(roles.into_iter().collect())
}

/// What Mesos holds against a role's name (contract 13.9).
fn role_errors(role: &str) -> Vec<String> {
    let whole = match role {
        "" | "." | ".." => Some(format!("A role name must not be \"{role}\".")),
        _ => role.starts_with('-').then(|| "A role name must not start with a '-'.".to_owned()),
    };
    let named = [
        ('\t', "horizontal tab (\\x09)"),
        ('\n', "line feed (\\x0a)"),
        ('\u{b}', "vertical tab (\\x0b)"),
        ('\u{c}', "form feed (\\x0c)"),
        ('\r', "carriage return (\\x0d)"),
        (' ', "space (\\x20)"),
        ('/', "slash (\\x2f)"),
        ('\u{7f}', "backspace (\\x7f)"),
    ];
    let inside = named.iter().filter(|(char, _)| role.contains(*char));
    let inside =
        inside.map(|(_, name)| format!("A role name must not include a {name} character."));
    whole.into_iter().chain(inside).collect()
}

/// Deprecated: read for its types only.
fn residency(reader: &mut Reader<'_>, at: &At<'_>) -> Option<()> {
    let mut fields = reader.lenient(at);
    fields.opt("relaunchEscalationTimeoutSeconds", Reader::long);
    fields.opt("taskLostBehavior", |reader, at| {
        reader.choice(at, &[("WAIT_FOREVER", ()), ("RELAUNCH_AFTER_TIMEOUT", ())])
    });
    fields.done();
    Some(())
}

/// Any text means disabled (contract 4.3).
fn unreachable(reader: &mut Reader<'_>, at: &At<'_>) -> Option<UnreachableStrategy> {
    if let Value::String(text) = at.value {
        if text != "disabled" {
            let shown = shortened(text);
            reader.warn(format!("{} \"{shown}\" taken as \"disabled\"", at.path));
        }
        return Some(UnreachableStrategy::Disabled);
    }
    let path = &at.path;
    let mut fields = reader.object(at)?;
    let inactive = fields.opt("inactiveAfterSeconds", Reader::long).unwrap_or(0);
    let expunge = fields.opt("expungeAfterSeconds", Reader::long).unwrap_or(0);
    fields.done();
    reader.require(
        inactive <= expunge,
        format!("{path}/inactiveAfterSeconds"),
        format!("inactiveAfterSeconds ({inactive}) must be less or equal to expungeAfterSeconds, which is {expunge}"),
    );
    Some(UnreachableStrategy::After { inactive_seconds: inactive, expunge_seconds: expunge })
}

/// Marathon's two shares, and when a deployment counts as failed, which is ours.
fn upgrade(reader: &mut Reader<'_>, at: &At<'_>) -> Option<(UpgradeStrategy, FailurePolicy)> {
    let mut fields = reader.constrained(at)?;
    let mut share =
        |name| fields.need(name, |reader, at| reader.micro_within(at, 0, ONE)).map(Ratio::micro);
    let minimum = share("minimumHealthCapacity");
    let over = share("maximumOverCapacity");
    let failure = FailurePolicy {
        deadline_seconds: fields.opt("deadlineSeconds", Reader::at_least_one),
        max_failures: fields.opt("maxFailures", Reader::count),
        on_failure: fields.opt("onFailure", |reader, at| reader.choice(at, &OnFailure::WORDS)),
    };
    fields.done();
    Some((UpgradeStrategy { minimum_health: minimum?, over_capacity: over? }, failure))
}
