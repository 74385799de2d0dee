//! Health checks, readiness checks and plain checks as a definition asks for them (contract 5.5–5.7).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A check that kills what fails it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HealthCheck {
    /// How to ask.
    pub protocol: HealthProtocol,
    /// For the HTTP family.
    #[serde(default)]
    pub path: Option<String>,
    /// A fixed port; wins over the index.
    #[serde(default)]
    pub port: Option<u16>,
    /// Which port of the app.
    #[serde(default)]
    pub port_index: Option<u32>,
    /// For `COMMAND`.
    #[serde(default)]
    pub command: Option<String>,
    /// Failures before the first success are not counted for so long.
    pub grace_period_seconds: u32,
    /// Between two probes.
    pub interval_seconds: u32,
    /// For one probe.
    pub timeout_seconds: u32,
    /// 0 never kills (HC-6).
    pub max_consecutive_failures: u32,
    /// Whether an answer 1xx gives no result.
    #[serde(default)]
    pub ignore_http_1xx: bool,
    /// Over IPv6.
    #[serde(default)]
    pub ipv6: bool,
    /// Before the first probe, for those performed next to the task.
    pub delay_seconds: u32,
}

/// How a health check asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the protocols")]
pub enum HealthProtocol {
    Http,
    Https,
    Tcp,
    Command,
    MesosHttp,
    MesosHttps,
    MesosTcp,
}

/// A check that a new instance must pass once during a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadinessCheck {
    /// Name, for results.
    pub name: String,
    /// Over TLS.
    pub https: bool,
    /// Where to ask.
    pub path: String,
    /// At which named port.
    pub port_name: String,
    /// Between two probes.
    pub interval_seconds: u32,
    /// For one probe.
    pub timeout_seconds: u32,
    /// Which answers mean ready.
    pub ready_codes: BTreeSet<u16>,
    /// Whether the last answer is shown.
    pub preserve_last_response: bool,
}

/// A check whose result is shown and has no other effect (HC-15).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppCheck {
    /// How to ask.
    pub probe: CheckProbe,
    /// Between two probes.
    pub interval_seconds: u32,
    /// For one probe.
    pub timeout_seconds: u32,
    /// Before the first probe.
    pub delay_seconds: u32,
}

/// How a plain check asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckProbe {
    /// By HTTP.
    Http {
        /// Which port of the app.
        port_index: Option<u32>,
        /// A fixed port.
        port: Option<u16>,
        /// Where to ask.
        path: Option<String>,
    },
    /// By connecting.
    Tcp {
        /// Which port of the app.
        port_index: Option<u32>,
        /// A fixed port.
        port: Option<u16>,
    },
    /// By a command in the container.
    Exec {
        /// The shell text.
        shell: String,
    },
}

// === impl HealthCheck ===

impl HealthCheck {
    /// What it asks, for people: a path, a port, or a command.
    pub fn label(&self) -> String {
        match self.protocol {
            HealthProtocol::Http
            | HealthProtocol::Https
            | HealthProtocol::MesosHttp
            | HealthProtocol::MesosHttps => self.path.clone().unwrap_or_else(|| "/".to_owned()),
            HealthProtocol::Tcp | HealthProtocol::MesosTcp => match (self.port, self.port_index) {
                (Some(port), _) => format!("TCP port {port}"),
                (None, index) => format!("TCP port index {}", index.unwrap_or(0)),
            },
            HealthProtocol::Command => {
                format!("command {}", self.command.as_deref().unwrap_or_default())
            }
        }
    }

    /// How many consecutive failures kill, if any do. Where Marathon itself asked, those before the last must reach the
    /// limit; an executor killed at the limit (HC-6).
    pub const fn kills_at(&self) -> Option<u32> {
        match self.max_consecutive_failures {
            0 => None,
            most if self.protocol.is_marathons() => Some(most.saturating_add(1)),
            most => Some(most),
        }
    }
}

// === impl HealthProtocol ===

impl HealthProtocol {
    /// As Marathon writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            HealthProtocol::Http => "HTTP",
            HealthProtocol::Https => "HTTPS",
            HealthProtocol::Tcp => "TCP",
            HealthProtocol::Command => "COMMAND",
            HealthProtocol::MesosHttp => "MESOS_HTTP",
            HealthProtocol::MesosHttps => "MESOS_HTTPS",
            HealthProtocol::MesosTcp => "MESOS_TCP",
        }
    }

    /// Whether Marathon itself performed it, which sets the count at which it kills (HC-6).
    pub const fn is_marathons(self) -> bool {
        matches!(self, HealthProtocol::Http | HealthProtocol::Https | HealthProtocol::Tcp)
    }
}
