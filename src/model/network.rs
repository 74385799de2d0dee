//! Networks and ports as a definition asks for them (contract 5.2, 15).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One network of an app. A valid spec has one host, or one bridge, or one to n container networks (NW-1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// What kind it is.
    pub mode: NetworkMode,
    /// Which one; container networks alone have names.
    #[serde(default)]
    pub name: Option<String>,
    /// Labels, for other tools.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// The kind of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// The agent's own network.
    Host,
    /// The engine's bridge.
    Bridge,
    /// A user-defined network of the engine.
    Container,
}

/// Transport of a port. Marathon's `udp,tcp` is both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// Both on one number.
    Both,
}

/// A port of an app on the host network. Its number is a service port unless the app requires its ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortDefinition {
    /// The number; 0 is replaced when the app is stored (SD-1).
    pub port: u16,
    /// Transport.
    #[serde(default)]
    pub protocol: Protocol,
    /// Name, unique in the app.
    #[serde(default)]
    pub name: Option<String>,
    /// Labels, for other tools.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// A port of a container on a bridge or a network of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// Port in the container; 0 means the host port's number.
    pub container_port: u16,
    /// Port on the agent: none is taken when absent, 0 takes any, another takes exactly that (PL-13).
    #[serde(default)]
    pub host_port: Option<u16>,
    /// Cluster-wide number for balancers; 0 is replaced when the app is stored (SD-1).
    #[serde(default)]
    pub service_port: u16,
    /// Transport.
    #[serde(default)]
    pub protocol: Protocol,
    /// Name, unique in the app.
    #[serde(default)]
    pub name: Option<String>,
    /// Labels, for other tools.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Which of several container networks it belongs to.
    #[serde(default)]
    pub network_names: Vec<String>,
}

// === impl Network ===

impl Network {
    /// The agent's network.
    pub fn host() -> Network {
        Network { mode: NetworkMode::Host, name: None, labels: BTreeMap::new() }
    }
}

// === impl Protocol ===

impl Protocol {
    /// As Marathon writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Both => "udp,tcp",
        }
    }

    /// The transports it stands for, as an engine names them.
    pub const fn transports(self) -> &'static [&'static str] {
        match self {
            Protocol::Tcp => &["tcp"],
            Protocol::Udp => &["udp"],
            Protocol::Both => &["udp", "tcp"],
        }
    }
}
