//! Devices that an app names itself, as nvidia-docker had it: `NV_GPU=0,1` or `NV_GPU=GPU-836c0c09,GPU-b78a60a`.
//!
//! Read from the app's environment, else from its labels, and only of an app that asks for devices. Which devices these
//! are on an agent, and who holds them, is for placement to say.

use std::collections::BTreeSet;

use crate::model::spec::{EnvValue, Spec};

/// The variable, or label, that names devices.
pub const NV_GPU: &str = "NV_GPU";

/// The devices that an app names, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin(BTreeSet<Wanted>);

/// One device that an app names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// By the driver's number on its host.
    Index(u32),
    /// By its UUID, or by as much of it as means one device alone.
    Prefix(String),
}

/// Where a pin is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// In the environment.
    Env,
    /// In the labels.
    Label,
}

/// A text that names no devices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must name GPUs by index or by UUID, separated by commas, as in '0,1' or 'GPU-836c0c09'")]
pub struct NoPin;

// === impl Written ===

impl Written {
    /// As a fault names the member.
    pub fn member(self) -> String {
        match self {
            Written::Env => format!("/env/{NV_GPU}"),
            Written::Label => format!("/labels/{NV_GPU}"),
        }
    }
}

// === impl Pin ===

impl Pin {
    /// The devices that an app names, if it asks for any.
    pub fn of(spec: &Spec) -> Option<Pin> {
        let (_, text) = Pin::text(spec)?;
        Pin::parse(text).ok()
    }

    /// What an app that asks for devices writes, and where.
    pub fn text(spec: &Spec) -> Option<(Written, &str)> {
        let container = spec.containers.first().filter(|container| container.gpus > 0)?;
        match (container.env.get(NV_GPU), spec.labels.get(NV_GPU)) {
            (Some(EnvValue::Plain(text)), _) => Some((Written::Env, text)),
            (Some(EnvValue::Secret(_)) | None, Some(text)) => Some((Written::Label, text)),
            (Some(EnvValue::Secret(_)) | None, None) => None,
        }
    }

    /// Reads `0,1` or `GPU-836c0c09,GPU-b78a60a`.
    ///
    /// # Errors
    /// When it is empty, or a part of it can be no device.
    pub fn parse(text: &str) -> Result<Pin, NoPin> {
        let wanted: BTreeSet<Wanted> =
            text.split(',').map(|part| Wanted::parse(part.trim())).collect::<Result<_, _>>()?;
        Ok(Pin(wanted))
    }

    /// The devices, in their order.
    pub fn wanted(&self) -> impl Iterator<Item = &Wanted> {
        self.0.iter()
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

// === impl Wanted ===

impl Wanted {
    fn parse(part: &str) -> Result<Wanted, NoPin> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        match part.parse() {
            Ok(index) if part.chars().all(|c| c.is_ascii_digit()) => Ok(Wanted::Index(index)),
            Ok(_) | Err(_) if !part.is_empty() && part.chars().all(is_word) => {
                Ok(Wanted::Prefix(part.to_owned()))
            }
            Ok(_) | Err(_) => Err(NoPin),
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Wanted::Index(index) => write!(f, "{index}"),
            Wanted::Prefix(prefix) => f.write_str(prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F10: entries are indices or beginnings of UUIDs, and doubles collapse.
    #[test]
    fn devices_are_named_by_index_or_by_the_beginning_of_their_uuid() {
        let read = |text| Pin::parse(text).map(|pin| pin.wanted().map(Wanted::to_string).collect());
        assert_eq!(read("1, 0,1"), Ok(vec!["0".to_owned(), "1".to_owned()]));
        let short = vec!["GPU-836c0c09".to_owned(), "GPU-b78a60a".to_owned()];
        assert_eq!(read("GPU-b78a60a,GPU-836c0c09"), Ok(short));
        assert_eq!(Pin::parse("0,GPU-1").map(|pin| pin.count()), Ok(2));
        for text in ["", ",", "0,", "all of them", "-1;2", "GPU-1 GPU-2"] {
            assert_eq!(read(text), Err(NoPin), "{text}");
        }
    }
}
