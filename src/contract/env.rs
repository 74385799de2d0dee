//! The environment of a task (contract 8.5, behaviour §8.1): workloads read it, so names and values are Marathon's.
//!
//! Layers as EN-1 has them, later ones win: what the task is, its ports and host, what the user set. References to
//! secrets are left out: their values are not a definition's to know. What the sandbox adds is the agent's.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::id::{Incarnation, InstanceId, Version};
use crate::model::spec::{ContainerKind, EnvValue, Spec};

/// Labels with longer keys have no variable (EN-3).
const MAX_LABEL_KEY: usize = 492;
/// Labels with longer values have no variable (EN-3).
const MAX_LABEL_VALUE: usize = 511;
/// Ports that are made up begin here (EN-4).
const FIRST_RANDOM_PORT: u16 = 1025;

/// What the environment of a task follows from.
#[derive(Clone, Debug)]
pub struct TaskEnv<'a> {
    /// The definition that the task runs.
    pub spec: &'a Spec,
    /// Its version.
    pub version: Version,
    /// Which instance.
    pub instance: InstanceId,
    /// In which life.
    pub incarnation: Incarnation,
    /// The container's name.
    pub task: &'a str,
    /// Host ports in the order of the definition, a gap where a mapping has none.
    pub ports: &'a [Option<u16>],
    /// The agent's host name.
    pub hostname: &'a str,
    /// What stands before the names of the port variables and `HOST`.
    pub prefix: Option<&'a str>,
}

/// A port of a task with the numbers that count for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectivePort<'a> {
    /// Its name.
    pub name: Option<&'a str>,
    /// The number in the definition: the container port of a mapping, else the port; 0 for any.
    pub requested: u16,
    /// The number on the agent, if it has one there.
    pub host: Option<u16>,
    /// The number in the container: the host port where that is asked for, never 0.
    pub container: u16,
}

// === impl EffectivePort ===

impl EffectivePort<'_> {
    /// What its variables say: the host port, else the container port.
    pub fn value(&self) -> u16 {
        self.host.unwrap_or(self.container)
    }

    /// Whether its number was made up.
    fn is_random(&self) -> bool {
        self.host.is_none() && self.requested == 0
    }
}

// === impl TaskEnv ===

impl<'a> TaskEnv<'a> {
    /// Marathon's task id.
    pub fn task_id(&self) -> String {
        self.instance.task(&self.spec.path, self.task, self.incarnation)
    }

    /// The ports of the task in the order of its definition (EN-4).
    pub fn effective_ports(&self) -> Vec<EffectivePort<'a>> {
        let mut ports: Vec<EffectivePort<'a>> = requested(self.spec)
            .into_iter()
            .enumerate()
            .map(|(index, (requested, name))| {
                let host = self.ports.get(index).copied().flatten();
                let on_host = self.spec.port_mappings().is_empty() || requested == 0;
                let container = host.filter(|_| on_host).unwrap_or(requested);
                EffectivePort { name, requested, host, container }
            })
            .collect();
        self.make_up(&mut ports);
        ports
    }

    /// A container port of 0 without a host port is anything that the task does not use otherwise. It follows from the
    /// task's id, so that it is the same wherever and whenever it is asked for.
    fn make_up(&self, ports: &mut [EffectivePort<'_>]) {
        let mut used: BTreeSet<u16> =
            ports.iter().flat_map(|port| [port.value(), port.container]).collect();
        let seed = self.task_id();
        for (index, port) in ports.iter_mut().enumerate().filter(|(_, port)| port.is_random()) {
            let span = u64::from(u16::MAX - FIRST_RANDOM_PORT) + 1;
            let offset = u16::try_from(fnv(&format!("{seed}:{index}")) % span).unwrap_or(0);
            let first = FIRST_RANDOM_PORT + offset;
            let mut free = (first..=u16::MAX).chain(FIRST_RANDOM_PORT..first);
            port.container = free.find(|port| !used.contains(port)).unwrap_or(first);
            used.insert(port.container);
        }
    }
}

/// The environment of a task.
pub fn task_env(input: &TaskEnv<'_>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    context(&mut env, input);
    labels(&mut env, &input.spec.labels);
    host_and_ports(&mut env, input);
    for (name, value) in &input.spec.container().env {
        match value {
            EnvValue::Plain(value) => {
                env.insert(name.clone(), value.clone());
            }
            EnvValue::Secret(_) => {
                env.remove(name);
            }
        }
    }
    env
}

/// EN-2.
fn context(env: &mut BTreeMap<String, String>, input: &TaskEnv<'_>) {
    let runs = input.spec.container();
    let sandbox = runs.sandbox.as_ref().filter(|sandbox| sandbox.kind == ContainerKind::Docker);
    if let Some(image) = sandbox.and_then(|sandbox| sandbox.docker.as_ref()) {
        env.insert("MARATHON_APP_DOCKER_IMAGE".to_owned(), image.image.clone());
    }
    let mut put = |name: &str, value: String| env.insert(name.to_owned(), value);
    put("MESOS_TASK_ID", input.task_id());
    put("MARATHON_APP_ID", input.spec.path.to_string());
    put("MARATHON_APP_VERSION", input.version.to_string());
    put("MARATHON_APP_RESOURCE_CPUS", double(runs.cpus.as_micro()));
    put("MARATHON_APP_RESOURCE_MEM", double(runs.mem.as_micro()));
    put("MARATHON_APP_RESOURCE_DISK", double(runs.disk.as_micro()));
    put("MARATHON_APP_RESOURCE_GPUS", runs.gpus.to_string());
    // Groups have no settings of their own, so none enforces its role.
    put("MARATHON_APP_ENFORCE_GROUP_ROLE", "FALSE".to_owned());
}

/// EN-3. Of two labels whose names become one the later key wins.
fn labels(env: &mut BTreeMap<String, String>, labels: &BTreeMap<String, String>) {
    let kept = labels.iter().filter(|(key, value)| {
        key.chars().count() <= MAX_LABEL_KEY && value.chars().count() <= MAX_LABEL_VALUE
    });
    let mut names = Vec::new();
    for (key, value) in kept {
        let name = escaped(key);
        env.insert(format!("MARATHON_APP_LABEL_{name}"), value.clone());
        names.push(name);
    }
    env.insert("MARATHON_APP_LABELS".to_owned(), names.join(" "));
}

/// Each run of other characters than letters, digits and `_` becomes one `_`.
fn escaped(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    let mut in_run = false;
    for letter in key.chars() {
        let plain = letter.is_ascii_alphanumeric() || letter == '_';
        if plain {
            name.push(letter.to_ascii_uppercase());
        } else if !in_run {
            name.push('_');
        }
        in_run = !plain;
    }
    name
}

/// EN-4.
fn host_and_ports(env: &mut BTreeMap<String, String>, input: &TaskEnv<'_>) {
    let prefix = input.prefix.unwrap_or_default();
    let mut put = |name: &str, value: String| env.insert(format!("{prefix}{name}"), value);
    put("HOST", input.hostname.to_owned());
    let ports = input.effective_ports();
    if ports.is_empty() {
        return;
    }
    for (index, port) in ports.iter().enumerate() {
        let value = port.value();
        put(&format!("PORT{index}"), value.to_string());
        let asked = if port.requested == 0 { value } else { port.requested };
        put(&format!("PORT_{asked}"), value.to_string());
        if let Some(name) = port.name {
            put(&format!("PORT_{}", name.to_uppercase()), value.to_string());
        }
    }
    let on_host = ports.iter().filter_map(|port| port.host);
    let random = ports.iter().filter(|port| port.is_random()).map(|port| port.container);
    let given: Vec<String> = on_host.chain(random).map(|port| port.to_string()).collect();
    if let Some(first) = given.first() {
        put("PORT", first.clone());
    }
    put("PORTS", given.join(","));
}

/// Number and name of each port as the definition has them.
fn requested(spec: &Spec) -> Vec<(u16, Option<&str>)> {
    let mappings = spec.port_mappings();
    if mappings.is_empty() {
        spec.ports().iter().map(|port| (port.port, port.name.as_deref())).collect()
    } else {
        mappings.iter().map(|port| (port.container_port, port.name.as_deref())).collect()
    }
}

/// Java's text of a double: the shortest digits with at least one behind the point, and with an exponent below a
/// thousandth and from ten million on (EN-2).
fn double(micro: u64) -> String {
    const MILLIONTHS: usize = 6;
    if micro == 0 {
        return "0.0".to_owned();
    }
    if (1_000..10_000_000_000_000).contains(&micro) {
        let (whole, rest) = (micro / 1_000_000, format!("{:06}", micro % 1_000_000));
        return format!("{whole}.{}", at_least_one_digit(rest.trim_end_matches('0')));
    }
    let digits = micro.to_string();
    let (first, rest) = digits.split_at(1);
    let rest = at_least_one_digit(rest.trim_end_matches('0'));
    let power = match digits.len().checked_sub(MILLIONTHS + 1) {
        Some(power) => power.to_string(),
        None => format!("-{}", MILLIONTHS + 1 - digits.len()),
    };
    format!("{first}.{rest}E{power}")
}

fn at_least_one_digit(digits: &str) -> &str {
    if digits.is_empty() { "0" } else { digits }
}

/// A small hash that is the same in every release (FNV-1a).
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
