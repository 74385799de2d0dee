//! What an agent's policy says to a definition.
use crate::model::agent::Policy;
use crate::model::reason::Reason;
use crate::model::spec::Spec;
/// Everything that the policy forbids.
pub fn violations(_policy: &Policy, _spec: &Spec) -> Vec<Reason> {
    Vec::new()
}
