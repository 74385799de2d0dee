//! The rules of a whole definition (contract 13.3–13.9): those that need more than the member they are about. Rules of one
//! member alone are kept where it is read.

mod checks;
mod gpus;
mod ports;
mod storage;

use super::normal::Setting;
use super::uri::is_uri;
use crate::contract::fault::Problem;
use crate::contract::read::MOST_PROBLEMS;
use crate::model::check::HealthCheck;
use crate::model::path::AppPath;
use crate::model::spec::{EnvValue, Limit, Spec, UnreachableStrategy};
use crate::model::unit::Ratio;
use crate::model::volume::{ExternalVolume, Volume};

const RESERVED: [&str; 3] = ["restart", "tasks", "versions"];
/// The most instances of one app: a slip of a finger must not fill the memory of the server.
const MOST_INSTANCES: u32 = 1_000_000;
const SINGLE: &str = "MARATHON_SINGLE_INSTANCE_APP";

/// Collects broken rules.
#[derive(Default)]
struct Broken(Vec<Problem>);

/// Every rule that `spec` breaks. `checks` are its health checks as they were written, so that an index means the user's.
pub fn problems(
    spec: &Spec,
    checks: &[HealthCheck],
    said_resident: bool,
    setting: &Setting<'_>,
) -> Vec<Problem> {
    let mut broken = Broken::default();
    let resident = said_resident || spec.is_resident();
    identity(spec, setting, &mut broken);
    command(spec, &mut broken);
    members(spec, &mut broken);
    labels(spec, &mut broken);
    upgrade(spec, resident, &mut broken);
    roles(spec, resident, setting, &mut broken);
    ports::rules(spec, &mut broken);
    gpus::rules(spec, &mut broken);
    checks::rules(spec, checks, &mut broken);
    storage::rules(spec, &mut broken);
    broken.0
}

// === impl Broken ===

impl Broken {
    /// Notes the rule unless it is kept.
    fn unless(&mut self, kept: bool, path: impl Into<String>, error: impl Into<String>) {
        if !kept && self.0.len() < MOST_PROBLEMS {
            self.0.push(Problem::new(path, error));
        }
    }
}

fn identity(spec: &Spec, setting: &Setting<'_>, broken: &mut Broken) {
    // A path that could not be read was told already, and stands as the root.
    if spec.path.is_root() {
        let unread = AppPath::resolve(setting.id, setting.base).is_err();
        broken.unless(unread, "/", "must not be root");
        broken.unless(unread, "/id", "Path must contain at least one path element");
        return;
    }
    let last = spec.path.segments().next_back().unwrap_or_default();
    let error =
        "must not end with any of the following reserved keywords: restart, tasks, versions, ., ..";
    broken.unless(!RESERVED.contains(&last), "/id", error);
    let child = setting.base.is_root() || spec.path.parent() == *setting.base;
    broken.unless(child, "/id", format!("Identifier is not child of '{}'", setting.base));
}

fn command(spec: &Spec, broken: &mut Broken) {
    let container = spec.container();
    let one_letter = container.cmd.as_ref().is_some_and(|cmd| cmd.chars().count() < 2);
    broken.unless(!one_letter, "/", "must not be an empty string");
    let (cmd, args) = (container.cmd.is_some(), !container.args.is_empty());
    let runs = cmd != args || (!cmd && container.image().is_some());
    let error = "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.";
    broken.unless(runs, "/", error);
}

fn members(spec: &Spec, broken: &mut Broken) {
    let (count, most) = (spec.instances, MOST_INSTANCES);
    broken.unless(count <= most, "/instances", format!("got {count}, expected {most} or less"));
    let container = spec.container();
    for (index, artifact) in container.fetch.iter().enumerate() {
        let path = format!("/fetch({index})/uri");
        broken.unless(is_uri(&artifact.uri), path, "URI has invalid syntax.");
    }
    for (name, value) in &container.env {
        let known = match value {
            EnvValue::Plain(_) => true,
            EnvValue::Secret(secret) => spec.secrets.contains_key(secret),
        };
        broken.unless(known, format!("/env/{name}/secret"), "references an undefined secret");
    }
    let Some(limits) = &container.limits else { return };
    let mut limit = |member: &str, limit: Option<u64>, request: u64| {
        let error = format!(
            "resource limit must be greater than or equal to requested resource ({})",
            double(request)
        );
        broken.unless(
            limit.is_none_or(|limit| limit >= request),
            format!("/resourceLimits/{member}"),
            error,
        );
    };
    let cpus = limits.cpus.and_then(|limit| match limit {
        Limit::Unlimited => None,
        Limit::At(cpus) => Some(cpus.as_micro()),
    });
    let mem = limits.mem.and_then(|limit| match limit {
        Limit::Unlimited => None,
        Limit::At(mem) => Some(mem.as_micro()),
    });
    limit("cpus", cpus, container.cpus.as_micro());
    limit("mem", mem, container.mem.as_micro());
}

fn labels(spec: &Spec, broken: &mut Broken) {
    let label = |name: &str| spec.labels.get(name).map_or("", String::as_str);
    let version = label("DCOS_MIGRATION_API_VERSION");
    let companions = ["DCOS_PACKAGE_FRAMEWORK_NAME", "DCOS_MIGRATION_API_PATH"];
    let complete = version == "v1" && companions.iter().all(|name| !label(name).is_empty());
    let error = "DCOS_PACKAGE_FRAMEWORK_NAME and DCOS_MIGRATION_API_PATH must be defined when using \
                 DCOS_MIGRATION_API_VERSION";
    broken.unless(version.is_empty() || complete, "/", error);
    let single = label(SINGLE) == "true";
    let error = "Single instance app may only have one instance";
    broken.unless(!single || spec.instances <= 1, "/", error);
}

fn upgrade(spec: &Spec, resident: bool, broken: &mut Broken) {
    let nothing = |ratio: Ratio| format!("got {}, expected 0.0", double(ratio.as_micro()));
    let minimum = spec.upgrade.minimum_health;
    let over = spec.upgrade.over_capacity;
    let (minimum_path, over_path) =
        ("/upgradeStrategy/minimumHealthCapacity", "/upgradeStrategy/maximumOverCapacity");
    let single = spec.labels.get(SINGLE).is_some_and(|value| value == "true");
    if single && (minimum != Ratio::ZERO || over != Ratio::ZERO) {
        broken.unless(minimum == Ratio::ZERO, minimum_path, nothing(minimum));
        broken.unless(over == Ratio::ZERO, over_path, nothing(over));
        broken.unless(false, "/isSingleInstance", "must be false");
    }
    let dvdi = spec.container().volumes().iter().any(|volume| {
        matches!(volume, Volume::External { external: ExternalVolume::Dvdi { .. }, .. })
    });
    let fits = over == Ratio::ZERO || !(resident || dvdi);
    broken.unless(fits, over_path, nothing(over));
    let disabled = spec.unreachable == UnreachableStrategy::Disabled;
    let error = "unreachableStrategy must be disabled for resident tasks";
    broken.unless(!resident || disabled, "/", error);
}

/// Which allocation and reservation roles an app may have (PL-3 with `enforceRole` off, PL-4).
fn roles(spec: &Spec, resident: bool, setting: &Setting<'_>, broken: &mut Broken) {
    let mut allowed = vec![setting.options.default_role.as_str()];
    let mut segments = spec.path.segments();
    if let (Some(group), Some(_)) = (segments.next(), segments.next()) {
        allowed.push(group);
    }
    allowed.extend(setting.current.map(|current| current.role.as_str()));
    allowed.sort_unstable();
    allowed.dedup();
    let fits = allowed.contains(&spec.role.as_str());
    let error = format!("got {}, expected one of: [{}]", spec.role, allowed.join(", "));
    broken.unless(fits, "/role", error);
    if !resident {
        return;
    }
    broken.unless(spec.role != "*", "/role", "Resident apps cannot have the role *");
    let unreserved =
        spec.accepted_roles.as_ref().is_none_or(|roles| roles.len() == 1 && roles.contains("*"));
    let error = "A resident app must have `acceptedResourceRoles = [\"*\"]`.";
    broken.unless(unreserved, "/acceptedResourceRoles", error);
}

/// Millionths as Marathon prints a double: `1.0`, `0.25`.
fn double(micro: u64) -> String {
    let text = Ratio::micro(micro).to_string();
    if text.contains('.') { text } else { format!("{text}.0") }
}
