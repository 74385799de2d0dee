//! Which evidence a reader asks an agent for, as the path of a request.

use std::fmt;

use crate::model::id::{Incarnation, InstanceId};

/// The evidence of one life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutopsyRequest {
    /// Of which instance.
    pub instance: InstanceId,
    /// Of which of its lives.
    pub incarnation: Incarnation,
}

/// Why there is no evidence to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoEvidence {
    /// The agent has none of this life, not yet or not any more.
    #[error("the agent has no evidence of this task")]
    Unknown,
    /// It has, and cannot read it now.
    #[error("{0}")]
    Unable(String),
}

// === impl AutopsyRequest ===

impl fmt::Display for AutopsyRequest {
    /// As the path of a request.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/v1/instances/{}.{}/autopsy", self.instance, self.incarnation)
    }
}

impl AutopsyRequest {
    /// Reads the path of a request; none if it is no such request.
    pub fn parse(path: &str) -> Option<AutopsyRequest> {
        let name = path.strip_prefix("/v1/instances/")?.strip_suffix("/autopsy")?;
        let (instance, incarnation) = name.rsplit_once('.')?;
        Some(AutopsyRequest {
            instance: InstanceId(uuid::Uuid::try_parse(instance).ok()?),
            incarnation: Incarnation(incarnation.parse().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_its_path_and_others_are_none() {
        let instance = InstanceId(uuid::Uuid::from_u128(7));
        let request = AutopsyRequest { instance, incarnation: Incarnation(3) };
        assert_eq!(AutopsyRequest::parse(&request.to_string()), Some(request));
        for path in ["/v1/instances/x.1/autopsy", "/v1/instances/x/logs", "/v1/hello"] {
            assert_eq!(AutopsyRequest::parse(path), None, "{path}");
        }
    }
}
