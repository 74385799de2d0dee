//! Service ports: cluster-wide numbers for balancers, given out where a definition says 0 (SD-1).

use std::collections::BTreeSet;

use crate::logic::draft::ServicePorts;
use crate::logic::index::Index;
use crate::model::fact::Refusal;
use crate::model::spec::Spec;

/// Replaces every 0 in the definition's service ports: first by ports that the previous definition had and this one does
/// not name, in their order, then by the lowest that nobody uses. `taken` holds what this change has given out already.
///
/// # Errors
/// When no port of the range is left.
pub fn assign(
    spec: &mut Spec,
    previous: Option<&Spec>,
    index: &Index,
    range: ServicePorts,
    taken: &mut BTreeSet<u16>,
) -> Result<(), Refusal> {
    let named: BTreeSet<u16> = spec.service_ports().into_iter().filter(|port| *port != 0).collect();
    let in_range = |port: u16| (range.first..=range.last).contains(&port);
    let had = previous.map(Spec::service_ports).unwrap_or_default();
    let mut kept =
        had.into_iter().filter(|port| in_range(*port) && !named.contains(port)).collect::<Vec<_>>();
    kept.reverse();
    let mut lowest = range.first..=range.last;
    for slot in spec.service_port_slots().into_iter().filter(|port| **port == 0) {
        let free = |port: &u16| {
            !index.apps.has_service_port(*port) && !taken.contains(port) && !named.contains(port)
        };
        let port = kept.pop().or_else(|| lowest.find(free)).ok_or(Refusal::NoServicePort)?;
        taken.insert(port);
        *slot = port;
    }
    Ok(())
}
