//! One look at the driver's library. Every fact but a device's UUID may be missing.
//!
//! A call can hang on a dead device for ever, so whoever looks does so on a thread that may be given up.

use std::path::PathBuf;

use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml, cuda_driver_version_major, cuda_driver_version_minor};

use crate::model::unit::Mem;

/// What the driver shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Its version.
    pub driver: Option<String>,
    /// The newest CUDA that it takes.
    pub cuda: Option<String>,
    /// Its devices, by its numbers of them.
    pub gpus: Vec<Seen>,
}

/// A device as the driver shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The driver's number of it.
    pub index: u32,
    /// What it is, or why the driver cannot say.
    pub facts: Result<Facts, String>,
}

/// What the driver says of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its name for ever.
    pub uuid: String,
    /// What it is, for people.
    pub model: Option<String>,
    /// Its memory.
    pub mem: Option<Mem>,
    /// The number behind its name in `/dev`.
    pub minor: Option<u32>,
    /// Why it may not be given out.
    pub trouble: Option<String>,
}

/// The driver shows nothing, for this reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoLook(pub String);

/// Looks at the driver.
#[derive(Debug)]
pub struct Reader {
    library: Option<PathBuf>,
    nvml: Option<Nvml>,
}

/// Whole devices alone are given out, and of one that is cut up nothing is whole.
const CUT_UP: &str = "MIG is on: it is cut into slices, and only whole gpus are given out";

// === impl Reader ===

impl Reader {
    /// With this library, or the one that the system finds.
    pub fn new(library: Option<PathBuf>) -> Reader {
        Reader { library, nvml: None }
    }

    /// Looks. After a failure the library is loaded anew, for a driver that came or was exchanged.
    ///
    /// # Errors
    /// When there is no driver, or none that answers.
    pub fn look(&mut self) -> Result<Look, NoLook> {
        let looked = self.loaded().and_then(look);
        if looked.is_err() {
            self.nvml = None;
        }
        looked.map_err(|error| NoLook(error.to_string()))
    }

    fn loaded(&mut self) -> Result<&Nvml, NvmlError> {
        let nvml = match (self.nvml.take(), &self.library) {
            (Some(nvml), _) => nvml,
            (None, Some(path)) => Nvml::builder().lib_path(path.as_os_str()).init()?,
            (None, None) => Nvml::init()?,
        };
        Ok(self.nvml.insert(nvml))
    }
}

fn look(nvml: &Nvml) -> Result<Look, NvmlError> {
    let count = nvml.device_count()?;
    let gpus = (0..count).map(|index| Seen { index, facts: facts(nvml, index) }).collect();
    let cuda = nvml.sys_cuda_driver_version().ok().map(|version| {
        format!("{}.{}", cuda_driver_version_major(version), cuda_driver_version_minor(version))
    });
    Ok(Look { driver: nvml.sys_driver_version().ok(), cuda, gpus })
}

fn facts(nvml: &Nvml, index: u32) -> Result<Facts, String> {
    let device = nvml.device_by_index(index).map_err(|error| error.to_string())?;
    let uuid = device.uuid().map_err(|error| error.to_string())?;
    let memory = device.memory_info();
    let trouble = memory.as_ref().err().and_then(lost).or_else(|| {
        let is_cut_up = device.mig_mode().is_ok_and(|mode| mode.current == MIG_ON);
        is_cut_up.then(|| CUT_UP.to_owned())
    });
    Ok(Facts {
        uuid,
        model: device.name().ok(),
        mem: memory.ok().map(|memory| Mem::from_bytes(memory.total)),
        minor: minor(&device),
        trouble,
    })
}

/// As NVML numbers the state of its features.
const MIG_ON: u32 = 1;

fn minor(device: &Device<'_>) -> Option<u32> {
    device.minor_number().ok()
}

/// What says that a device is of no use, and not only that it lacks a fact.
fn lost(error: &NvmlError) -> Option<String> {
    matches!(error, NvmlError::GpuLost | NvmlError::ResetRequired).then(|| error.to_string())
}
