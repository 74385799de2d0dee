//! The physical truth: what really runs on the fake host, and what should never have happened there.

use std::collections::BTreeMap;

use crate::agent::fake::host::{FakeBox, FakeHost};
use crate::agent::runtime::{FoundState, SandboxId};
use crate::model::agent::DeviceId;
use crate::model::id::{AppKey, Version};

// === impl FakeHost ===

impl FakeHost {
    /// What runs and is ours.
    pub fn live(&self) -> Vec<SandboxId> {
        self.running_boxes().map(|(id, _)| id).collect()
    }

    /// Whether this one runs.
    pub fn is_running(&self, id: SandboxId) -> bool {
        self.boxes.get(&id).is_some_and(|it| matches!(it.state, FoundState::Running(_)))
    }

    /// What runs of an app.
    pub fn live_of(&self, app: AppKey) -> Vec<SandboxId> {
        self.running_boxes().filter(|(_, it)| it.key.app == app).map(|(id, _)| id).collect()
    }

    /// How many run of each definition.
    pub fn live_by_version(&self) -> BTreeMap<(AppKey, Version), usize> {
        let mut counts = BTreeMap::new();
        for (_, it) in self.running_boxes() {
            *counts.entry((it.spec_key.app, it.spec_key.version)).or_default() += 1;
        }
        counts
    }

    /// What is here, ended ones included.
    pub fn sandboxes(&self) -> Vec<(SandboxId, FoundState)> {
        let ours = self.boxes.iter().filter(|(_, it)| !it.foreign);
        ours.map(|(id, it)| (*id, it.state.clone())).collect()
    }

    /// Host ports in use, with who holds them.
    pub fn ports(&self) -> BTreeMap<u16, SandboxId> {
        let ports = |(id, it): (SandboxId, &FakeBox)| {
            it.place.ports.iter().flatten().map(|port| (*port, id)).collect::<Vec<_>>()
        };
        self.running_boxes().flat_map(ports).collect()
    }

    /// Devices in use, with who holds them.
    pub fn devices(&self) -> BTreeMap<DeviceId, SandboxId> {
        let devices = |(id, it): (SandboxId, &FakeBox)| {
            it.place.devices.iter().map(|device| (device.clone(), id)).collect::<Vec<_>>()
        };
        self.running_boxes().flat_map(devices).collect()
    }

    /// How often a life was really started.
    pub fn starts(&self, id: SandboxId) -> u32 {
        self.starts.get(&id).copied().unwrap_or(0)
    }

    /// Everything that should never have happened: a life started twice (I11), two lives of one instance at once, a
    /// port or device held twice (I5), something foreign touched (I9).
    pub fn breaches(&self) -> &[String] {
        &self.breaches
    }

    /// Notes a start, before it changes anything.
    pub(super) fn note_start(&mut self, id: SandboxId) {
        let count = self.starts.entry(id).or_default();
        *count += 1;
        if *count > 1 {
            self.breaches.push(format!("{id} was started {count} times"));
        }
        let twins = self.running_boxes().filter(|(other, _)| other.instance == id.instance);
        let mut found: Vec<String> =
            twins.map(|(other, _)| format!("{id} was started while {other} runs")).collect();
        if let Some(it) = self.boxes.get(&id) {
            let (ports, devices) = (self.ports(), self.devices());
            found.extend(it.place.ports.iter().flatten().filter_map(|port| {
                ports.get(port).map(|other| format!("{id} and {other} both hold port {port}"))
            }));
            found.extend(it.place.devices.iter().filter_map(|device| {
                let held = devices.get(device);
                held.map(|other| format!("{id} and {other} both hold device {}", device.0))
            }));
        }
        self.breaches.extend(found);
    }

    /// Notes that somebody reaches for `id` to end it.
    pub(super) fn touch(&mut self, id: SandboxId) {
        if self.boxes.get(&id).is_some_and(|it| it.foreign) {
            self.breaches.push(format!("{id} is not ours and was touched"));
        }
    }

    fn running_boxes(&self) -> impl Iterator<Item = (SandboxId, &FakeBox)> {
        self.boxes
            .iter()
            .filter(|(id, it)| {
                let counts = !it.foreign && !self.is_disowned(**id);
                counts && matches!(it.state, FoundState::Running(_))
            })
            .map(|(id, it)| (*id, it))
    }
}
