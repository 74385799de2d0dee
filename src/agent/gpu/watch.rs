//! Looks at the devices again and again, each time with a deadline.
//!
//! The library is called on a thread of its own. While a call hangs no other is made and everything else goes on: the
//! devices are told as unhealthy, and as healthy again should the call come back. A driver that is not there is looked for
//! at every turn, so that one that appears is seen within two of them.

use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::agent::gpu::known::{Known, Outcome, made_up};
use crate::agent::gpu::nvml::{Look, NoLook, Reader};
use crate::agent::gpu::{GpuConfig, Shelf};
use crate::model::agent::{Device, GpuDriver};

/// Between two looks.
const TURN: Duration = Duration::from_secs(4);
/// A look that takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(5);
/// The start of the agent waits so long for the first look.
const FIRST: Duration = Duration::from_secs(2);

/// What an agent offers of its devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// The driver, if there is one.
    pub driver: Option<GpuDriver>,
    /// The devices.
    pub devices: Vec<Device>,
}

/// Looks at the devices of this host.
#[derive(Debug)]
pub struct Watcher {
    ask: mpsc::UnboundedSender<()>,
    looks: mpsc::UnboundedReceiver<Result<Look, NoLook>>,
    /// A look has begun and not ended.
    pending: bool,
    known: Known,
    most: Option<u32>,
    /// Devices to make up while there is no driver.
    made_up: u32,
    shelf: Shelf,
}

// === impl Watcher ===

impl Watcher {
    /// Takes the first look, and gives what it shows within `FIRST`. No watcher where the operator offers no devices.
    ///
    /// # Errors
    /// When the host gives no thread.
    pub async fn start(
        config: GpuConfig,
        shelf: Shelf,
    ) -> std::io::Result<(Option<Watcher>, Offered)> {
        let GpuConfig { library, most } = config;
        if most == Some(0) {
            return Ok((None, Offered::default()));
        }
        // Made-up devices beside real hardware whose driver is late would run GPU apps without a GPU.
        let is_bare = library.is_none() && !has_hardware();
        let made_up = if is_bare { most.unwrap_or(0) } else { 0 };
        let (ask, looks) = spawn(Reader::new(library))?;
        let known = Known::default();
        let mut watcher = Watcher { ask, looks, pending: false, known, most, made_up, shelf };
        if let Some(outcome) = watcher.look(FIRST).await {
            watcher.known.take(outcome);
        }
        let offered = watcher.offered();
        Ok((Some(watcher), offered))
    }

    /// Tells what is offered whenever that has changed.
    pub async fn run(mut self, first: Offered, tell: impl Fn(Offered)) {
        let mut told = first;
        loop {
            if !self.pending {
                tokio::time::sleep(TURN).await;
            }
            let outcome = self.look(DEADLINE).await.unwrap_or(Outcome::Stalled(DEADLINE));
            self.known.take(outcome);
            let offered = self.offered();
            if offered != told {
                log(&told, &offered);
                told = offered.clone();
                tell(offered);
            }
        }
    }

    /// What the look that goes on, or else a new one, comes to; nothing when it takes longer.
    async fn look(&mut self, patience: Duration) -> Option<Outcome> {
        if !self.pending {
            self.pending = true;
            // A thread that is gone is told below.
            let _gone = self.ask.send(());
        }
        let look = tokio::time::timeout(patience, self.looks.recv()).await.ok()?;
        self.pending = false;
        Some(match look {
            Some(Ok(look)) => Outcome::Looked(look),
            Some(Err(NoLook(why))) => Outcome::Nothing(why),
            None => Outcome::Nothing("the driver's library broke".to_owned()),
        })
    }

    fn offered(&self) -> Offered {
        let driver = self.known.driver().cloned();
        let devices = match &driver {
            Some(_) => self.known.devices(self.most),
            None => made_up(self.made_up),
        };
        self.shelf.put(devices.clone());
        Offered { driver, devices }
    }
}

/// A thread that looks once for each word. It ends with the watcher, or hangs for itself alone.
#[expect(clippy::type_complexity, reason = "two ends of two channels")]
fn spawn(
    mut reader: Reader,
) -> std::io::Result<(mpsc::UnboundedSender<()>, mpsc::UnboundedReceiver<Result<Look, NoLook>>)> {
    let (ask, mut asked) = mpsc::unbounded_channel();
    let (told, looks) = mpsc::unbounded_channel();
    let work = move || {
        while asked.blocking_recv().is_some() {
            if told.send(reader.look()).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("nvml".to_owned()).spawn(work)?;
    Ok((ask, looks))
}

/// Whether a display controller of NVIDIA's is on the bus.
fn has_hardware() -> bool {
    let Ok(entries) = std::fs::read_dir("/sys/bus/pci/devices") else { return false };
    entries.filter_map(Result::ok).any(|entry| is_nvidia(&entry.path()))
}

fn is_nvidia(device: &Path) -> bool {
    let starts = |name: &str, with: &str| {
        std::fs::read_to_string(device.join(name)).is_ok_and(|text| text.starts_with(with))
    };
    starts("vendor", "0x10de") && starts("class", "0x03")
}

fn log(before: &Offered, after: &Offered) {
    for device in &after.devices {
        let was = before.devices.iter().find(|it| it.id == device.id);
        match (was.map(|it| &it.trouble), &device.trouble) {
            (was, Some(trouble)) if was != Some(&device.trouble) => {
                tracing::warn!(device = %device.id.0, %trouble, "a gpu is not given out");
            }
            (None | Some(Some(_)), None) => {
                tracing::info!(device = %device.id.0, model = %device.model, "a gpu is there");
            }
            (Some(_) | None, _) => {}
        }
    }
    let trouble = |offered: &Offered| offered.driver.as_ref()?.trouble.clone();
    if let Some(trouble) = trouble(after).filter(|_| trouble(before).is_none()) {
        tracing::warn!(%trouble, "the driver of the gpus");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_host_without_a_driver_offers_what_is_made_up_or_nothing() {
        let offered = async |config| {
            let (watcher, offered) =
                Watcher::start(config, Shelf::default()).await.expect("a thread");
            (watcher.is_some(), offered.driver, offered.devices.len())
        };
        let library = Some("/nowhere/libnvidia-ml.so.1".into());
        let config = |most| GpuConfig { library: None, most };
        assert_eq!(offered(config(Some(0))).await, (false, None, 0), "nothing is even loaded");
        let named = GpuConfig { library, most: Some(2) };
        assert_eq!(offered(named).await, (true, None, 0), "its driver may be late");
    }
}
