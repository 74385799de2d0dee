//! `docker.parameters`: each is a `--key=value` of `docker run`, in order, duplicates allowed (CT-1). Pure.
//!
//! What the agent forbids is its policy's to say. What is missing here on purpose: keys that would go round the booking
//! (`memory`, `cpus`, `gpus`, `publish`) or take the container out of the agent's hands (`name`, `rm`, `restart`).

#![expect(clippy::unnecessary_wraps, reason = "all keys share one type of function")]

use std::collections::BTreeMap;

use bollard::models::DeviceMapping;

use crate::agent::docker::draft::Draft;
use crate::model::spec::Parameter;

type Apply = fn(&mut Draft, &str) -> Result<(), String>;

/// Every key that is understood.
const KNOWN: &[(&str, Apply)] = &[
    ("add-host", |draft, value| push(&mut draft.host.extra_hosts, value)),
    ("cap-add", |draft, value| push(&mut draft.host.cap_add, value)),
    ("cap-drop", |draft, value| push(&mut draft.host.cap_drop, value)),
    ("cgroup-parent", |draft, value| text(&mut draft.host.cgroup_parent, value)),
    ("cpu-period", |draft, value| number(&mut draft.host.cpu_period, value)),
    ("cpu-quota", |draft, value| number(&mut draft.host.cpu_quota, value)),
    ("cpuset-cpus", |draft, value| text(&mut draft.host.cpuset_cpus, value)),
    ("cpuset-mems", |draft, value| text(&mut draft.host.cpuset_mems, value)),
    ("device", device),
    ("dns", |draft, value| push(&mut draft.host.dns, value)),
    ("dns-option", |draft, value| push(&mut draft.host.dns_options, value)),
    ("dns-search", |draft, value| push(&mut draft.host.dns_search, value)),
    ("domainname", |draft, value| text(&mut draft.body.domainname, value)),
    ("entrypoint", entrypoint),
    ("env", env),
    ("group-add", |draft, value| push(&mut draft.host.group_add, value)),
    ("hostname", |draft, value| text(&mut draft.body.hostname, value)),
    ("init", |draft, value| flag(&mut draft.host.init, value)),
    ("ipc", |draft, value| text(&mut draft.host.ipc_mode, value)),
    ("label", |draft, value| {
        let (name, value) = value.split_once('=').unwrap_or((value, ""));
        draft.labels.insert(name.to_owned(), value.to_owned());
        Ok(())
    }),
    ("log-driver", |draft, value| text(&mut draft.log_driver, value)),
    ("log-opt", |draft, value| pair(value, &mut draft.log_options)),
    ("memory-reservation", |draft, value| size(&mut draft.host.memory_reservation, value)),
    ("memory-swap", |draft, value| size(&mut draft.host.memory_swap, value)),
    ("memory-swappiness", |draft, value| number(&mut draft.host.memory_swappiness, value)),
    ("network", |draft, value| text(&mut draft.host.network_mode, value)),
    ("oom-score-adj", |draft, value| number(&mut draft.host.oom_score_adj, value)),
    ("pid", |draft, value| text(&mut draft.host.pid_mode, value)),
    ("pids-limit", |draft, value| number(&mut draft.host.pids_limit, value)),
    ("privileged", |draft, value| flag(&mut draft.host.privileged, value)),
    ("read-only", |draft, value| flag(&mut draft.host.readonly_rootfs, value)),
    ("runtime", |draft, value| text(&mut draft.host.runtime, value)),
    ("security-opt", |draft, value| push(&mut draft.host.security_opt, value)),
    ("shm-size", |draft, value| size(&mut draft.host.shm_size, value)),
    ("stop-signal", |draft, value| text(&mut draft.body.stop_signal, value)),
    ("sysctl", |draft, value| {
        let mut pairs = BTreeMap::new();
        pair(value, &mut pairs)?;
        draft.host.sysctls.get_or_insert_default().extend(pairs);
        Ok(())
    }),
    ("tmpfs", |draft, value| {
        let (path, options) = value.split_once(':').unwrap_or((value, ""));
        draft.host.tmpfs.get_or_insert_default().insert(path.to_owned(), options.to_owned());
        Ok(())
    }),
    ("ulimit", ulimit),
    ("user", |draft, value| text(&mut draft.body.user, value)),
    ("userns", |draft, value| text(&mut draft.host.userns_mode, value)),
    ("uts", |draft, value| text(&mut draft.host.uts_mode, value)),
    ("volume", volume),
    ("volume-driver", |draft, value| text(&mut draft.host.volume_driver, value)),
    ("volumes-from", |draft, value| push(&mut draft.host.volumes_from, value)),
    ("workdir", |draft, value| text(&mut draft.body.working_dir, value)),
];

/// The one-letter forms and old names of `docker run`.
const ALIASES: &[(&str, &str)] = &[
    ("dns-opt", "dns-option"),
    ("e", "env"),
    ("h", "hostname"),
    ("l", "label"),
    ("net", "network"),
    ("u", "user"),
    ("v", "volume"),
    ("w", "workdir"),
];

/// Adds one parameter to a draft.
///
/// # Errors
/// The text for the user, when the key is not known or the value is not one of its.
pub fn apply(draft: &mut Draft, parameter: &Parameter) -> Result<(), String> {
    let Parameter { key, value } = parameter;
    let long = ALIASES.iter().find(|(alias, _)| alias == key).map_or(key.as_str(), |found| found.1);
    let (_, apply) = KNOWN.iter().find(|(known, _)| *known == long).ok_or_else(|| unknown(key))?;
    apply(draft, value).map_err(|why| format!("docker parameter {key}={value}: {why}"))
}

fn unknown(key: &str) -> String {
    let known: Vec<&str> = KNOWN.iter().map(|(key, _)| *key).collect();
    format!("docker parameter {key} is not known; these are: {}", known.join(", "))
}

/// The entrypoint alone: the arguments stay, `-c` and the command of a `cmd` too, as `docker run` has it.
fn entrypoint(draft: &mut Draft, value: &str) -> Result<(), String> {
    draft.body.entrypoint = Some(vec![value.to_owned()]);
    Ok(())
}

fn env(draft: &mut Draft, value: &str) -> Result<(), String> {
    let (name, value) = match value.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (value, None),
    };
    if name.is_empty() {
        return Err("the variable has no name".to_owned());
    }
    draft.env.insert(name.to_owned(), value);
    Ok(())
}

/// `name=soft[:hard]`.
fn ulimit(draft: &mut Draft, value: &str) -> Result<(), String> {
    const FORM: &str = "a ulimit is name=soft or name=soft:hard";
    let (name, limits) = value.split_once('=').ok_or(FORM)?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let soft = soft.parse().map_err(|_| FORM)?;
    let hard = hard.parse().map_err(|_| FORM)?;
    draft.ulimits.insert(name.to_owned(), (soft, hard));
    Ok(())
}

/// `host[:container[:rwm]]`.
fn device(draft: &mut Draft, value: &str) -> Result<(), String> {
    let mut parts = value.splitn(3, ':');
    let on_host = parts.next().unwrap_or_default();
    let second = parts.next();
    let is_rights = |text: &str| !text.is_empty() && text.chars().all(|c| "rwm".contains(c));
    let (inside, rights) = match (second, parts.next()) {
        (Some(rights), None) if is_rights(rights) => (on_host, rights),
        (inside, rights) => (inside.unwrap_or(on_host), rights.unwrap_or("rwm")),
    };
    draft.host.devices.get_or_insert_default().push(DeviceMapping {
        path_on_host: Some(on_host.to_owned()),
        path_in_container: Some(inside.to_owned()),
        cgroup_permissions: Some(rights.to_owned()),
    });
    Ok(())
}

/// `source:target[:mode]`, or a target alone for a volume without a name.
fn volume(draft: &mut Draft, value: &str) -> Result<(), String> {
    if value.contains(':') {
        push(&mut draft.host.binds, value)
    } else {
        push(&mut draft.body.volumes, value)
    }
}

fn pair(value: &str, into: &mut BTreeMap<String, String>) -> Result<(), String> {
    let (name, value) = value.split_once('=').ok_or("expected name=value")?;
    into.insert(name.to_owned(), value.to_owned());
    Ok(())
}

fn push(list: &mut Option<Vec<String>>, value: &str) -> Result<(), String> {
    list.get_or_insert_default().push(value.to_owned());
    Ok(())
}

fn text(field: &mut Option<String>, value: &str) -> Result<(), String> {
    *field = Some(value.to_owned());
    Ok(())
}

fn number(field: &mut Option<i64>, value: &str) -> Result<(), String> {
    *field = Some(value.parse().map_err(|_| "expected a whole number")?);
    Ok(())
}

fn flag(field: &mut Option<bool>, value: &str) -> Result<(), String> {
    *field = Some(match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
        "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
        _ => return Err("expected true or false".to_owned()),
    });
    Ok(())
}

/// Bytes, or a number with `b`, `k`, `m`, `g` or `t`, each also with a `b` behind; -1 for no limit.
fn size(field: &mut Option<i64>, value: &str) -> Result<(), String> {
    *field = Some(parse_size(value).ok_or("expected a size such as 64m")?);
    Ok(())
}

fn parse_size(value: &str) -> Option<i64> {
    if value == "-1" {
        return Some(-1);
    }
    let lower = value.to_ascii_lowercase();
    let cut = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let (digits, unit) = lower.split_at(cut);
    let shift = match unit {
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        "t" | "tb" => 40,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(1 << shift)
}
