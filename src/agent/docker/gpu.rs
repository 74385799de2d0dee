//! How devices reach a container, by their ids alone: never a count, never `all` (gpu.md §4.2).

use bollard::models::DeviceRequest;

use crate::model::agent::DeviceId;

/// What a container gets for its devices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gpus {
    /// For the engine.
    pub requests: Option<Vec<DeviceRequest>>,
    /// The value of [`VISIBLE`].
    pub visible: String,
}

/// What the toolkit and CUDA read. Images of CUDA set it to `all`, so a task without devices must be told `void`, or it
/// sees every device of a host whose default runtime is NVIDIA's.
pub const VISIBLE: &str = "NVIDIA_VISIBLE_DEVICES";

/// What a container gets for `devices`.
pub fn gpu_request(devices: &[DeviceId]) -> Gpus {
    if devices.is_empty() {
        return Gpus { requests: None, visible: "void".to_owned() };
    }
    let ids: Vec<String> = devices.iter().map(|device| device.0.to_string()).collect();
    let visible = ids.join(",");
    let is_real = devices.iter().all(is_real);
    Gpus { requests: is_real.then(|| vec![request(ids)]), visible }
}

fn request(ids: Vec<String>) -> DeviceRequest {
    let capabilities = ["gpu", "compute", "utility"].map(str::to_owned).to_vec();
    DeviceRequest {
        driver: Some("nvidia".to_owned()),
        device_ids: Some(ids),
        capabilities: Some(vec![capabilities]),
        ..DeviceRequest::default()
    }
}

/// Whether an id is one that NVIDIA's driver gives; all others were made up on a host without GPUs.
fn is_real(device: &DeviceId) -> bool {
    device.0.starts_with("GPU-") || device.0.starts_with("MIG-")
}
