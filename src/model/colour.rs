//! The two names of a service that is deployed blue/green, and the labels by which marathon-lb and its tools know them
//! (behaviour 8.3).

use serde::{Deserialize, Serialize};

use crate::model::path::AppPath;
use crate::model::spec::Spec;

/// Apps with the same value are the same service.
pub const GROUP: &str = "HAPROXY_DEPLOYMENT_GROUP";
/// The service port of every other app of a group.
pub const ALT_PORT: &str = "HAPROXY_DEPLOYMENT_ALT_PORT";
/// The colour of an app.
pub const COLOUR: &str = "HAPROXY_DEPLOYMENT_COLOUR";
/// The whole count.
pub const TARGET_INSTANCES: &str = "HAPROXY_DEPLOYMENT_TARGET_INSTANCES";
/// How many of the new app there shall be for good beside the old one; 0 for all in its place.
pub const NEW_INSTANCES: &str = "HAPROXY_DEPLOYMENT_NEW_INSTANCES";
/// When an app was deployed, without a zone.
pub const STARTED_AT: &str = "HAPROXY_DEPLOYMENT_STARTED_AT";
/// The id of an app without its colour.
pub const APP_ID: &str = "HAPROXY_APP_ID";
/// The first service port of a group, the same for both colours.
pub const PORT: &str = "HAPROXY_0_PORT";

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Colour {
    /// The first.
    Blue,
    /// The second.
    Green,
}

// === impl Colour ===

impl Colour {
    /// As it stands in names and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Colour::Blue => "blue",
            Colour::Green => "green",
        }
    }

    /// The one after an app of this definition: green after blue, blue after everything else.
    pub fn after(spec: &Spec) -> Colour {
        match spec.labels.get(COLOUR) {
            Some(colour) if colour == Colour::Blue.as_str() => Colour::Green,
            Some(_) | None => Colour::Blue,
        }
    }

    /// The id of the app of this colour; none where that would be too long.
    pub fn path(self, id: &AppPath) -> Option<AppPath> {
        AppPath::parse(&format!("{id}-{}", self.as_str())).ok()
    }
}
