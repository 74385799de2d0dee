//! What one instance of a definition asks of an agent.

use crate::logic::index::pool::Amounts;
use crate::model::agent::GpuScheduling;
use crate::model::pin::Pin;
use crate::model::spec::Spec;

/// What one instance asks for.
pub struct Need<'a> {
    /// The definition.
    pub spec: &'a Spec,
    /// Sums over its containers.
    pub amounts: Amounts,
    /// Its ports, in the order of their definitions.
    pub ports: Vec<PortNeed>,
    /// Whether it needs a container engine.
    pub engine: bool,
    /// Whether it asks for anything that an agent's policy may forbid.
    pub guarded: bool,
    /// The devices that it names itself, if it does.
    pub pin: Option<Pin>,
    /// Whether it is kept off agents with devices (PL-12).
    pub off_gpus: bool,
}

/// The label by which an app says for itself how agents with devices take it.
const GPU_SCHEDULING: &str = "GPU_SCHEDULING_BEHAVIOR";

/// One port that is asked for (PL-13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortNeed {
    /// None on the agent.
    Inside,
    /// Any.
    Dynamic,
    /// Exactly this.
    Fixed(u16),
}

// === impl Need ===

impl<'a> Need<'a> {
    /// What one instance of `spec` asks for, where agents with devices are kept as `scheduling` says.
    pub fn of(spec: &'a Spec, scheduling: GpuScheduling) -> Need<'a> {
        let mut amounts = Amounts::default();
        for container in &spec.containers {
            amounts.cpus += container.cpus;
            amounts.mem += container.mem;
            amounts.disk += container.disk;
            amounts.gpus += container.gpus;
        }
        let images = || spec.containers.iter().filter_map(|container| container.image());
        let guarded = images().any(|image| image.privileged || !image.parameters.is_empty())
            || spec.containers.iter().any(|container| !container.volumes().is_empty());
        // PL-12: any other value of the label is no word on it.
        let own = spec.labels.get(GPU_SCHEDULING).and_then(|text| text.parse().ok());
        Need {
            spec,
            amounts,
            ports: port_needs(spec),
            engine: images().next().is_some(),
            guarded,
            pin: Pin::of(spec),
            off_gpus: amounts.gpus == 0 && own.unwrap_or(scheduling) == GpuScheduling::Restricted,
        }
    }

    /// How many dynamic ports it asks for.
    pub fn dynamic_ports(&self) -> u32 {
        let dynamic = self.ports.iter().filter(|port| **port == PortNeed::Dynamic).count();
        u32::try_from(dynamic).unwrap_or(u32::MAX)
    }
}

fn port_needs(spec: &Spec) -> Vec<PortNeed> {
    if !spec.port_mappings().is_empty() {
        let need = |host_port: Option<u16>| match host_port {
            None => PortNeed::Inside,
            Some(0) => PortNeed::Dynamic,
            Some(port) => PortNeed::Fixed(port),
        };
        return spec.port_mappings().iter().map(|mapping| need(mapping.host_port)).collect();
    }
    let need = |port: u16| {
        if spec.require_ports && port != 0 { PortNeed::Fixed(port) } else { PortNeed::Dynamic }
    };
    spec.ports().iter().map(|definition| need(definition.port)).collect()
}
