//! What is known of a host's devices after one look and another. Pure.
//!
//! A device that was seen once stays known: tasks may hold it, so it is unhealthy while the driver does not show it, and
//! healthy when it is back. What the driver's silence means is that nothing is known, never that devices are gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::agent::gpu::nvml::{Facts, Look};
use crate::model::agent::{Device, DeviceId, GpuDriver};

/// What a look came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This was seen.
    Looked(Look),
    /// There is no driver, or it refused.
    Nothing(String),
    /// No answer came for so long; it may still come.
    Stalled(Duration),
}

/// What is known of a host's devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    driver: Option<GpuDriver>,
    devices: BTreeMap<DeviceId, Device>,
}

// === impl Known ===

impl Known {
    /// Takes what one more look came to.
    pub fn take(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Looked(look) => self.look(look),
            Outcome::Nothing(why) if self.driver.is_some() => {
                self.fail(format!("the driver does not answer any more: {why}"));
            }
            Outcome::Nothing(_) => {}
            Outcome::Stalled(after) => {
                self.fail(format!("the driver has not answered for {} s", after.as_secs()));
            }
        }
    }

    /// The driver, if there is one.
    pub fn driver(&self) -> Option<&GpuDriver> {
        self.driver.as_ref()
    }

    /// The first devices by the driver's numbers, at most so many.
    pub fn devices(&self, most: Option<u32>) -> Vec<Device> {
        let mut all: Vec<Device> = self.devices.values().cloned().collect();
        all.sort_by_key(|device| device.index);
        all.truncate(most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX)));
        all
    }

    fn look(&mut self, look: Look) {
        let Look { driver: version, cuda, gpus } = look;
        let mut silent = BTreeMap::new();
        let mut seen = BTreeMap::new();
        for gpu in gpus {
            match gpu.facts {
                Ok(facts) => {
                    let device = device(gpu.index, facts);
                    seen.insert(device.id.clone(), device);
                }
                Err(why) => {
                    silent.insert(gpu.index, why);
                }
            }
        }
        let nameless = |(index, why)| format!("gpu {index} cannot be read: {why}");
        let trouble = seen.is_empty().then(|| silent.clone().into_iter().map(nameless).next());
        self.driver = Some(GpuDriver { version, cuda, trouble: trouble.flatten() });
        for (id, device) in &mut self.devices {
            if seen.contains_key(id) {
                continue;
            }
            let why = silent.get(&device.index).cloned();
            device.trouble =
                Some(why.unwrap_or_else(|| "the driver does not show it any more".to_owned()));
        }
        self.devices.append(&mut seen);
    }

    fn fail(&mut self, why: String) {
        for device in self.devices.values_mut() {
            device.trouble = Some(why.clone());
        }
        let driver =
            self.driver.get_or_insert(GpuDriver { version: None, cuda: None, trouble: None });
        driver.trouble = Some(why);
    }
}

/// Devices that were made up, to try things out where there is no hardware.
pub fn made_up(count: u32) -> Vec<Device> {
    let device = |index: u32| Device {
        id: DeviceId(Arc::from(format!("gpu-{index}"))),
        model: "made up by --resources".to_owned(),
        index,
        mem: None,
        minor: None,
        trouble: None,
    };
    (0..count).map(device).collect()
}

fn device(index: u32, facts: Facts) -> Device {
    let Facts { uuid, model, mem, minor, trouble } = facts;
    let model = model.unwrap_or_else(|| "a gpu without a name".to_owned());
    Device { id: DeviceId(Arc::from(uuid)), model, index, mem, minor, trouble }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::gpu::nvml::Seen;

    fn gpu(index: u32, uuid: &str) -> Seen {
        let facts = Facts {
            uuid: uuid.to_owned(),
            model: None,
            mem: None,
            minor: Some(index),
            trouble: None,
        };
        Seen { index, facts: Ok(facts) }
    }

    fn looked(gpus: &[Seen]) -> Outcome {
        Outcome::Looked(Look { driver: Some("550".to_owned()), cuda: None, gpus: gpus.to_vec() })
    }

    fn shown(known: &Known) -> Vec<(String, Option<String>)> {
        let devices = known.devices(None).into_iter();
        devices.map(|device| (device.id.0.to_string(), device.trouble)).collect()
    }

    #[test]
    fn a_device_that_is_lost_stays_known_and_comes_back() {
        let mut known = Known::default();
        known.take(looked(&[gpu(0, "GPU-b"), gpu(1, "GPU-a")]));
        assert_eq!(shown(&known), [("GPU-b".to_owned(), None), ("GPU-a".to_owned(), None)]);
        let fallen = Seen { index: 0, facts: Err("it fell off the bus".to_owned()) };
        known.take(looked(&[fallen, gpu(1, "GPU-a")]));
        let why = Some("it fell off the bus".to_owned());
        assert_eq!(shown(&known), [("GPU-b".to_owned(), why), ("GPU-a".to_owned(), None)]);
        known.take(looked(&[gpu(0, "GPU-a")]));
        let gone = shown(&known).into_iter().find(|(id, _)| id == "GPU-b").expect("still known");
        assert_eq!(gone.1.as_deref(), Some("the driver does not show it any more"));
        known.take(looked(&[gpu(0, "GPU-b"), gpu(1, "GPU-a")]));
        assert!(shown(&known).iter().all(|(_, trouble)| trouble.is_none()));
    }

    #[test]
    fn a_driver_that_hangs_makes_every_device_unhealthy_and_none_unknown() {
        let mut known = Known::default();
        known.take(Outcome::Nothing("no such library".to_owned()));
        assert_eq!((known.driver(), shown(&known)), (None, vec![]), "a host without a driver");
        known.take(looked(&[gpu(0, "GPU-a"), gpu(1, "GPU-b")]));
        known.take(Outcome::Stalled(Duration::from_secs(5)));
        let why = "the driver has not answered for 5 s";
        let says = |text: &Option<String>| text.as_deref() == Some(why);
        assert!(shown(&known).iter().all(|(_, trouble)| says(trouble)));
        assert!(says(&known.driver().expect("there").trouble));
        known.take(looked(&[gpu(0, "GPU-a"), gpu(1, "GPU-b")]));
        assert!(shown(&known).iter().all(|(_, trouble)| trouble.is_none()));
        assert_eq!(known.driver().expect("there").trouble, None);
        assert_eq!(known.devices(Some(1)).len(), 1, "an operator offers fewer");
    }
}
