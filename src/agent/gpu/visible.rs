//! The variables that tell a task which devices are its own. Pure.
//!
//! Images of CUDA set the first to `all`, and a process sees whatever its host has, so a task without devices must be told
//! that it has none.

use crate::model::agent::DeviceId;

/// What NVIDIA's toolkit reads when it makes a container.
pub const VISIBLE: &str = "NVIDIA_VISIBLE_DEVICES";
/// What CUDA reads in a process.
pub const CUDA_VISIBLE: &str = "CUDA_VISIBLE_DEVICES";
/// The toolkit's word for no device, and for leaving a container as it is.
pub const VOID: &str = "void";

/// The value of [`VISIBLE`].
pub fn visible(devices: &[DeviceId]) -> String {
    if devices.is_empty() { VOID.to_owned() } else { listed(devices) }
}

/// What a plain process is told. CUDA takes an empty list for no device.
pub fn for_process(devices: &[DeviceId]) -> [(String, String); 2] {
    [(VISIBLE.to_owned(), visible(devices)), (CUDA_VISIBLE.to_owned(), listed(devices))]
}

fn listed(devices: &[DeviceId]) -> String {
    let ids: Vec<&str> = devices.iter().map(|device| &*device.0).collect();
    ids.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_its_own_devices_by_uuid_or_none() {
        let none = for_process(&[]).map(|(name, value)| format!("{name}={value}"));
        assert_eq!(none, ["NVIDIA_VISIBLE_DEVICES=void", "CUDA_VISIBLE_DEVICES="]);
        let two = ["GPU-1", "GPU-2"].map(|id| DeviceId(id.into()));
        let two = for_process(&two).map(|(name, value)| format!("{name}={value}"));
        assert_eq!(two, ["NVIDIA_VISIBLE_DEVICES=GPU-1,GPU-2", "CUDA_VISIBLE_DEVICES=GPU-1,GPU-2"]);
    }
}
