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
    for slot in service_port_slots(spec).into_iter().filter(|port| **port == 0) {
        let free = |port: &u16| {
            !index.apps.has_service_port(*port) && !taken.contains(port) && !named.contains(port)
        };
        let port = kept.pop().or_else(|| lowest.find(free)).ok_or(Refusal::NoServicePort)?;
        taken.insert(port);
        *slot = port;
    }
    Ok(())
}

/// The places of a definition's service ports: its mappings, else its definitions (contract 15.1).
fn service_port_slots(spec: &mut Spec) -> Vec<&mut u16> {
    if spec.port_mappings().is_empty() {
        let ports = spec.port_definitions.iter_mut().flatten();
        return ports.map(|definition| &mut definition.port).collect();
    }
    let sandboxes = spec.containers.iter_mut().filter_map(|container| container.sandbox.as_mut());
    let mappings = sandboxes.flat_map(|sandbox| sandbox.port_mappings.iter_mut().flatten());
    mappings.map(|mapping| &mut mapping.service_port).collect()
}
