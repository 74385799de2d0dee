//! The engine's create body in the making, for those who fill it in.

use std::collections::BTreeMap;

use bollard::models::{ContainerCreateBody, HostConfig};

/// A body in the making. What later parameters may change is kept apart until the end.
#[derive(Debug, Default)]
pub struct Draft {
    /// Everything but the host's part.
    pub body: ContainerCreateBody,
    /// The host's part.
    pub host: HostConfig,
    /// The environment; a variable without a value takes that of the image away.
    pub env: BTreeMap<String, Option<String>>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Ulimits by name, so that a parameter replaces a default.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// The log driver, if a parameter names one.
    pub log_driver: Option<String>,
    /// Its options.
    pub log_options: BTreeMap<String, String>,
}
