//! The GPUs of this host: what the driver says of them, kept up to date, and how a task sees its own and no other.
//!
//! - [`nvml`]: one look at the driver's library, on a thread of its own, since a dead device can hang a call.
//! - [`known`]: what follows from one look after another. Pure.
//! - [`watch`]: looks again and again, each time with a deadline.
//! - [`visible`]: the variables that tell a task which devices are its own. Pure.
//! - [`inside`]: which devices a running container really has.
//!
//! How an engine is asked for devices is in [`docker::gpu`](crate::agent::docker::gpu).

pub mod inside;
pub mod known;
pub mod nvml;
pub mod visible;
pub mod watch;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::agent::{Device, DeviceId};

/// What an operator says of the GPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuConfig {
    /// The driver's library; else it is found as `libnvidia-ml.so.1`.
    pub library: Option<PathBuf>,
    /// At most so many are offered; with 0 the driver is left alone.
    pub most: Option<u32>,
}

/// The devices of this host as they were last seen, for those who give them to tasks.
#[derive(Clone, Debug, Default)]
pub struct Shelf(Arc<Mutex<Vec<Device>>>);

// === impl Shelf ===

impl Shelf {
    /// These are the devices from now on.
    pub fn put(&self, devices: Vec<Device>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = devices;
    }

    /// The number of a device behind its name in `/dev`, if that is known.
    pub fn minor(&self, id: &DeviceId) -> Option<u32> {
        let devices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        devices.iter().find(|device| device.id == *id)?.minor
    }

    /// The device with this number.
    pub fn by_minor(&self, minor: u32) -> Option<DeviceId> {
        let devices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let device = devices.iter().find(|device| device.minor == Some(minor))?;
        Some(device.id.clone())
    }
}
