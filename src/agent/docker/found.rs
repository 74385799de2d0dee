//! What an inspected container is, in the agent's words. Pure.
//!
//! Engines leave out what they have nothing to say about, so absent counts as empty everywhere.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use crate::agent::docker::labels::{self, Identity, Owner};
use crate::agent::runtime::{Found, FoundState, Running};
use crate::model::end::End;
use crate::model::time::Timestamp;
use crate::model::unit::Mem;

/// What is read of an inspection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Inspection {
    id: Option<String>,
    /// The id of the image.
    image: Option<String>,
    state: Option<State>,
    config: Option<Config>,
    host_config: Option<HostConfig>,
    network_settings: Option<NetworkSettings>,
}

/// A container as an inspection shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The engine's id.
    pub id: String,
    /// The image it was made from, as its maker wrote it.
    pub image: String,
    /// The engine's id of that.
    pub image_id: String,
    /// Which life it is, if it is ours.
    pub identity: Option<Identity>,
    /// What it is.
    pub state: FoundState,
    /// Since when it has run, and where it is reached; kept when it has ended.
    pub running: Running,
    /// Its main process, in the engine's numbering.
    pub pid: Option<i32>,
    /// The signal that asks it to end.
    pub stop_signal: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct State {
    status: Option<String>,
    running: Option<bool>,
    #[serde(rename = "OOMKilled")]
    oom_killed: Option<bool>,
    pid: Option<i64>,
    exit_code: Option<i64>,
    started_at: Option<String>,
    finished_at: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Config {
    image: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    stop_signal: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct HostConfig {
    /// The memory limit in bytes, 0 for none.
    memory: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct NetworkSettings {
    networks: Option<BTreeMap<String, Endpoint>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Endpoint {
    #[serde(rename = "IPAddress")]
    v4: Option<String>,
    #[serde(rename = "GlobalIPv6Address")]
    v6: Option<String>,
}

/// What an inspection says of a container, seen by `owner`.
pub fn seen(inspected: Inspection, owner: Owner) -> Seen {
    let config = inspected.config.unwrap_or_default();
    let given = config.labels.unwrap_or_default();
    let state = inspected.state.unwrap_or_default();
    let limit = inspected.host_config.and_then(|host| memory_limit(host.memory?));
    let networks = inspected.network_settings.unwrap_or_default().networks.unwrap_or_default();
    let id = inspected.id.unwrap_or_default();
    let running = Running {
        at: time(state.started_at.as_deref()).unwrap_or_default(),
        ips: addresses(networks),
        handle: id.clone(),
    };
    Seen {
        id,
        image: config.image.unwrap_or_default(),
        image_id: inspected.image.unwrap_or_default(),
        identity: labels::read(owner, |name| given.get(name).map(String::as_str)),
        state: state_of(&state, limit, &running),
        running,
        pid: state.pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0),
        stop_signal: config
            .stop_signal
            .filter(|signal| !signal.is_empty())
            .unwrap_or_else(|| "SIGTERM".to_owned()),
    }
}

// === impl Seen ===

impl Seen {
    /// As a runtime lists it; none if it is not ours.
    pub fn found(self) -> Option<Found> {
        let Identity { id, key, spec_key } = self.identity?;
        Some(Found { id, key, spec_key, state: self.state })
    }
}

/// One that was made and never ran has no start time, whatever its last attempt to start left in it. Whether it runs is
/// `Running`'s to say: paused ones, and ones in a state of years to come, do too.
fn state_of(state: &State, limit: Option<Mem>, running: &Running) -> FoundState {
    let says_so = matches!(state.status.as_deref(), Some("running" | "paused"));
    let is_alive = state.running.unwrap_or(says_so);
    match (is_alive, time(state.started_at.as_deref())) {
        (true, _) => FoundState::Running(running.clone()),
        (false, None) => FoundState::Prepared,
        (false, Some(started)) => FoundState::Exited {
            at: time(state.finished_at.as_deref()).unwrap_or(started),
            end: end_of(state, limit),
        },
    }
}

/// CT-13. A shell's and an engine's way to say "by signal n" is 128 + n. The engine keeps no peak, but the kernel kills for a
/// limit only what has used all of it.
fn end_of(state: &State, limit: Option<Mem>) -> End {
    let code = state.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or(-1);
    match code {
        // A child may have been killed for memory while the task ended in its own way.
        0 => End::Code(0),
        _ if state.oom_killed == Some(true) => End::Oom { peak: limit },
        129..=192 => End::Signal(code - 128),
        _ => End::Code(code),
    }
}

fn memory_limit(bytes: i64) -> Option<Mem> {
    let bytes = u64::try_from(bytes).ok().filter(|bytes| *bytes > 0)?;
    Some(Mem::from_bytes(bytes))
}

/// The engine writes the year 1 for never.
fn time(text: Option<&str>) -> Option<Timestamp> {
    Timestamp::parse(text?).ok().filter(|at| at.as_millis() > 0)
}

/// The newest engines name addresses by network alone.
fn addresses(networks: BTreeMap<String, Endpoint>) -> Vec<IpAddr> {
    networks
        .into_values()
        .flat_map(|network| [network.v4, network.v6])
        .filter_map(|address| address?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::AgentId;
    use serde_json::json;

    fn state(value: &serde_json::Value) -> FoundState {
        read(json!({"State": value}))
    }

    fn read(inspection: serde_json::Value) -> FoundState {
        let owner = Owner { agent: AgentId(uuid::Uuid::nil()) };
        seen(serde_json::from_value(inspection).expect("an inspection"), owner).state
    }

    fn exited(code: i64, oom: bool) -> End {
        let at = "2026-05-07T21:09:36.123456789Z";
        let state = json!({"Status": "exited", "ExitCode": code, "OOMKilled": oom, "StartedAt": at, "FinishedAt": at});
        let limit = 16 * 1_024 * 1_024;
        match read(json!({"State": state, "HostConfig": {"Memory": limit}})) {
            FoundState::Exited { at, end } => {
                assert_eq!(at.to_string(), "2026-05-07T21:09:36.123Z");
                end
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn exit_codes_signals_and_memory_are_told_apart() {
        // CT-13.
        assert_eq!(exited(0, false), End::Code(0));
        assert_eq!(exited(7, false), End::Code(7));
        assert_eq!(exited(127, false), End::Code(127));
        assert_eq!(exited(137, false), End::Signal(9));
        assert_eq!(exited(143, false), End::Signal(15));
        assert_eq!(exited(255, false), End::Code(255));
        assert_eq!(exited(137, true), End::Oom { peak: Some(Mem::whole(16)) });
        assert_eq!(exited(0, true), End::Code(0));
    }

    #[test]
    fn one_that_never_ran_is_prepared_even_after_a_start_that_failed() {
        let never = "0001-01-01T00:00:00Z";
        let value =
            json!({"Status": "created", "ExitCode": 128, "StartedAt": never, "FinishedAt": never});
        assert_eq!(state(&value), FoundState::Prepared);
    }

    #[test]
    fn a_paused_one_runs_and_one_in_a_state_of_years_to_come() {
        let at = "2026-05-07T21:09:36Z";
        for value in [
            json!({"Status": "paused", "Running": true, "StartedAt": at}),
            json!({"Status": "dozing", "Running": true, "StartedAt": at}),
            json!({"Status": "running", "StartedAt": at}),
        ] {
            assert!(matches!(state(&value), FoundState::Running(_)), "{value}");
        }
    }
}
