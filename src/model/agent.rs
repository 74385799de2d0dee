//! An agent: a host that runs things, what it offers and what it allows.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::id::{AgentId, AgentKey, RunId};
use crate::model::time::Timestamp;
use crate::model::unit::{Cpus, Disk, Mem};

/// A host that runs things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its key.
    pub key: AgentKey,
    /// Its identity.
    pub id: AgentId,
    /// The run of its process that attached last.
    pub run: RunId,
    /// Whether it is heard.
    pub state: AgentState,
    /// Whether it is being emptied. Beside the state, since one that is lost meanwhile goes on being emptied.
    pub drain: Option<Drain>,
    /// What it offers and allows.
    pub inventory: Inventory,
    /// Host ports that a launch found taken by somebody else.
    pub foreign: BTreeMap<u16, Foreign>,
}

/// A host port that is not ours to give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreign {
    /// What is known of the holder.
    pub holder: String,
    /// When a launch may try it again.
    pub until: Timestamp,
}

/// Whether an agent is heard. One that an operator forgets has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AgentState {
    /// Heard.
    Up,
    /// Not heard.
    Lost {
        /// Since when.
        since: Timestamp,
    },
}

/// An agent is being emptied: it takes nothing new, and what it runs is replaced elsewhere and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Since when.
    pub since: Timestamp,
    /// When what is left is ended, replaced or not; never when absent.
    pub deadline: Option<Timestamp>,
}

/// What an agent offers and allows, as it reports itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The name that tasks are shown under and that clients resolve.
    pub hostname: String,
    /// Its address, if known.
    pub address: Option<String>,
    /// Attributes by name; the first of several with one name counts.
    pub attributes: BTreeMap<String, AttributeValue>,
    /// The reservation role of all it offers.
    pub role: String,
    /// Processor share in total.
    pub cpus: Cpus,
    /// Memory in total.
    pub mem: Mem,
    /// Disk in total.
    pub disk: Disk,
    /// Ports for dynamic use, inclusive, ascending and disjoint.
    pub ports: Vec<PortRange>,
    /// Devices, in the order in which they are given out.
    pub devices: Vec<Device>,
    /// The container engine, if one answers.
    pub engine: Option<Engine>,
    /// What it allows.
    pub policy: Policy,
    /// Its own version.
    pub version: String,
    /// Changes with every boot of the host.
    pub boot: String,
    /// The driver behind the devices, if there is one.
    pub gpu_driver: Option<GpuDriver>,
    /// How many seconds a launch here may go without progress, where its operator says so.
    pub launch_seconds: Option<u32>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttributeValue {
    /// Any text.
    Text(String),
    /// A number in thousandths (PL-18).
    Scalar(i64),
    /// Ranges of numbers.
    Ranges(Vec<(u64, u64)>),
    /// A set of texts.
    Set(BTreeSet<String>),
}

/// Ports from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// The name of a device, unique on its agent: a GPU's UUID, or one made up by `--resources gpus:N`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceId(pub Arc<str>);

/// A device that a task may hold alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its name.
    pub id: DeviceId,
    /// What it is, for people.
    pub model: String,
    /// The driver's number of it.
    pub index: u32,
    /// Its memory, if the driver says.
    pub mem: Option<Mem>,
    /// The number behind its name in `/dev`, if the driver says.
    pub minor: Option<u32>,
    /// Why it may not be given out; nothing when it may.
    pub trouble: Option<String>,
}

/// A driver of devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuDriver {
    /// Its version, if it says.
    pub version: Option<String>,
    /// The newest CUDA that it takes, if it says.
    pub cuda: Option<String>,
    /// Why it says nothing of its devices; nothing when it does.
    pub trouble: Option<String>,
}

/// Whether agents with devices are kept for apps that ask for some (PL-12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum GpuScheduling {
    /// They are.
    #[default]
    Restricted,
    /// They take any app.
    Unrestricted,
}

/// A text that is no [`GpuScheduling`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is either restricted or unrestricted")]
pub struct NoGpuScheduling;

/// A container engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// `Docker` or what it calls itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The API version that is spoken with it.
    pub api: String,
}

/// What an agent allows (reliability §5.5). Placement reads it, the agent checks again before it creates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Privileged containers.
    pub privileged: bool,
    /// Host paths that may be mounted, and all below them.
    pub volumes: Vec<String>,
    /// Keys of `docker run` parameters beyond the harmless ones.
    pub parameters: BTreeSet<String>,
}

// === impl PortRange ===

impl PortRange {
    /// Whether `port` lies in it.
    pub const fn holds(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

// === impl Inventory ===

impl Inventory {
    /// The value of a field of constraints as text; nothing where the agent lacks it. An attribute called `hostname`
    /// cannot be asked for (PL-17).
    pub fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        if name == "hostname" {
            return Some(Cow::Borrowed(&self.hostname));
        }
        self.attributes.get(name).map(AttributeValue::text)
    }
}

// === impl AttributeValue ===

impl AttributeValue {
    /// As constraints compare it (PL-18).
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            AttributeValue::Text(text) => Cow::Borrowed(text),
            AttributeValue::Scalar(_) | AttributeValue::Ranges(_) | AttributeValue::Set(_) => {
                Cow::Owned(self.to_string())
            }
        }
    }
}

impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttributeValue::Text(text) => f.write_str(text),
            AttributeValue::Scalar(thousandths) => {
                let sign = if *thousandths < 0 { "-" } else { "" };
                let (whole, rest) =
                    (thousandths.unsigned_abs() / 1_000, thousandths.unsigned_abs() % 1_000);
                let text = format!("{sign}{whole}.{rest:03}");
                f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
            }
            AttributeValue::Ranges(ranges) => {
                let mut sorted = ranges.clone();
                sorted.sort_unstable();
                let texts: Vec<String> =
                    sorted.iter().map(|(first, last)| format!("{first}-{last}")).collect();
                write!(f, "[{}]", texts.join(","))
            }
            AttributeValue::Set(items) => {
                let items: Vec<&str> = items.iter().map(String::as_str).collect();
                write!(f, "{{{}}}", items.join(","))
            }
        }
    }
}

// === impl DeviceId ===

impl DeviceId {
    /// Whether it is a name that NVIDIA's driver gives; all others were made up on a host without GPUs.
    pub fn is_real(&self) -> bool {
        self.0.starts_with("GPU-") || self.0.starts_with("MIG-")
    }
}

// === impl Device ===

impl Device {
    /// Whether it may be given out.
    pub const fn is_healthy(&self) -> bool {
        self.trouble.is_none()
    }
}

// === impl GpuScheduling ===

impl std::str::FromStr for GpuScheduling {
    type Err = NoGpuScheduling;

    fn from_str(text: &str) -> Result<GpuScheduling, NoGpuScheduling> {
        match text {
            "restricted" => Ok(GpuScheduling::Restricted),
            "unrestricted" => Ok(GpuScheduling::Unrestricted),
            _ => Err(NoGpuScheduling),
        }
    }
}

impl fmt::Display for GpuScheduling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GpuScheduling::Restricted => "restricted",
            GpuScheduling::Unrestricted => "unrestricted",
        })
    }
}

// === impl Agent ===

impl Agent {
    /// Whether it is heard.
    pub const fn is_heard(&self) -> bool {
        matches!(self.state, AgentState::Up)
    }

    /// Whether it is being emptied.
    pub const fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Whether new work may go to it.
    pub const fn takes_work(&self) -> bool {
        self.is_heard() && !self.is_draining()
    }
}

/// A plain decimal in thousandths, a half going to the even side (PL-18); nothing when the text is none.
pub fn thousandths(text: &str) -> Option<i64> {
    let (sign, plain) = text.strip_prefix('-').map_or((1, text), |plain| (-1, plain));
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let (kept, rest) = fraction.split_at(fraction.len().min(3));
    let value: i64 = format!("{whole}{kept:0<3}").parse().ok()?;
    let goes_up = match rest.trim_end_matches('0').as_bytes() {
        [] => false,
        [b'5'] => value % 2 == 1,
        [first, ..] => *first >= b'5',
    };
    value.checked_add(i64::from(goes_up)).map(|value| sign * value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_decimals_and_a_half_goes_to_the_even_side() {
        // PL-18: 0.80 is 0.8, 1.0005 is 1, 1.00051 is 1.001.
        for (text, value) in [
            ("0.80", Some(800)),
            ("1.0005", Some(1_000)),
            ("1.0015", Some(1_002)),
            ("1.00051", Some(1_001)),
            ("1.00049", Some(1_000)),
            ("-2.5", Some(-2_500)),
            ("7", Some(7_000)),
            ("1.", Some(1_000)),
            ("", None),
            (".5", None),
            ("1e3", None),
            ("1.2.3", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(thousandths(text), value, "{text}");
        }
    }

    #[test]
    fn values_have_one_text_each() {
        // PL-18.
        let set = AttributeValue::Set(["b", "a"].map(str::to_owned).into());
        for (value, text) in [
            (AttributeValue::Text("Rack 1".to_owned()), "Rack 1"),
            (AttributeValue::Scalar(800), "0.8"),
            (AttributeValue::Scalar(1_000), "1"),
            (AttributeValue::Scalar(1_001), "1.001"),
            (AttributeValue::Scalar(-1_250), "-1.25"),
            (AttributeValue::Ranges(vec![(7, 9), (1, 4)]), "[1-4,7-9]"),
            (set, "{a,b}"),
        ] {
            assert_eq!(value.text(), text);
        }
    }

    #[test]
    fn an_attribute_called_hostname_cannot_be_asked_for() {
        // PL-17.
        let shadow = AttributeValue::Text("other".to_owned());
        let inventory = Inventory {
            hostname: "a1".to_owned(),
            attributes: [("hostname".to_owned(), shadow)].into(),
            ..Inventory::default()
        };
        assert_eq!(inventory.field("hostname").as_deref(), Some("a1"));
        assert_eq!(inventory.field("rack"), None);
    }
}
