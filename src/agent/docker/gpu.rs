//! How a container gets its devices, by their ids alone: never a count, never `all` (gpu.md §4.2).
//!
//! | way | for | what the engine is asked |
//! |---|---|---|
//! | CDI | an engine that has discovered the devices by their UUIDs | the devices by name; the toolkit leaves the rest alone |
//! | hook | an engine that finds `nvidia-container-runtime-hook` | a request of the driver that means the hook, and the device files, which survive a reload of the host's units that way |
//! | runtime | an engine with a runtime `nvidia` | that runtime, which reads the variable |
//! | named | Podman before 5.4, which takes requests and runtimes and ignores them | the names of CDI as devices |
//!
//! Podman does not say which devices it has discovered. From 5.4 on it takes requests of CDI, and no names for devices
//! (tried; podman#28495).
//!
//! Which it is, is asked before each of these launches: a toolkit may be installed while the agent runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bollard::models::{DeviceMapping, DeviceRequest};
use serde::Deserialize;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::agent::docker::call::{CallError, Caller};
use crate::agent::docker::connect::EngineFacts;
use crate::agent::docker::version::ApiVersion;
use crate::agent::gpu::Shelf;
use crate::agent::gpu::visible::{VOID, visible};
use crate::agent::runtime::{Launch, RuntimeError};
use crate::model::agent::DeviceId;
use crate::model::reason::Reason;

/// What a container gets for its devices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// The value of [`VISIBLE`](crate::agent::gpu::visible::VISIBLE).
    pub visible: String,
    /// The value of [`CAPABILITIES`], where nothing else says it.
    pub capabilities: Option<String>,
    /// For the engine.
    pub requests: Option<Vec<DeviceRequest>>,
    /// Device files, or names that the engine takes for them.
    pub nodes: Vec<DeviceMapping>,
    /// The runtime that brings them in.
    pub runtime: Option<String>,
}

/// What an engine offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Offers {
    /// Names that it has discovered, as CDI has them.
    discovered: BTreeSet<String>,
    /// The driver that means the hook, if the engine finds that.
    hook: Option<&'static str>,
    /// It has a runtime of this name.
    runtime: bool,
    podman: Option<Podman>,
    is_rootless: bool,
}

/// Which Podman it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Podman {
    TakesNames,
    TakesRequests,
}

/// A way to bring devices into a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Cdi,
    Hook(&'static str),
    Runtime,
    Named,
}

/// What is read of an engine's facts.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Info {
    runtimes: Value,
    discovered_devices: Option<Vec<Discovered>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Discovered {
    #[serde(rename = "ID")]
    id: Option<String>,
}

/// What of the driver the toolkit brings into a container.
pub const CAPABILITIES: &str = "NVIDIA_DRIVER_CAPABILITIES";
/// Those that engines know; another one makes them find no driver at all.
const KNOWN_CAPABILITIES: [&str; 7] =
    ["all", "compute", "compat32", "graphics", "utility", "video", "display"];
const DEFAULT_CAPABILITIES: &str = "compute,utility";
const KIND: &str = "nvidia.com/gpu";
const RUNTIME: &str = "nvidia";
const HOOK: &str = "nvidia-container-runtime-hook";
/// Since here `nvidia` prefers CDI, whose spec may be out of date, and the hook has a name of its own (moby#50228, #50717).
const HOOK_HAS_A_NAME: ApiVersion = ApiVersion { major: 1, minor: 52 };
/// Where the usual units look for programs.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the container of `launch` gets for its devices on this engine.
///
/// # Errors
/// Refused when the engine has no way to give them; unknown when it does not answer.
pub async fn given(
    caller: &Caller,
    facts: &EngineFacts,
    shelf: &Shelf,
    launch: &Launch,
) -> Result<Given, RuntimeError> {
    let devices = &launch.place.devices;
    if !devices.iter().any(DeviceId::is_real) {
        return Ok(Given::unreal(devices));
    }
    let asked = launch.env.get(CAPABILITIES).map(String::as_str);
    let offers = offers(caller, facts).await.map_err(CallError::into_unknown)?;
    let way = offers.way(devices).map_err(RuntimeError::Refused)?;
    Ok(Given::by(way, devices, asked, &files(shelf, devices)))
}

async fn offers(caller: &Caller, facts: &EngineFacts) -> Result<Offers, CallError> {
    let info: Info = caller.get("ask the engine for its devices", "/info").await?;
    let version = caller.ready().await?;
    let driver = if version >= HOOK_HAS_A_NAME { "nvidia.runtime-hook" } else { "nvidia" };
    let discovered = info.discovered_devices.unwrap_or_default();
    Ok(Offers {
        discovered: discovered.into_iter().filter_map(|device| device.id).collect(),
        hook: finds_hook(caller.socket()).await.then_some(driver),
        runtime: info.runtimes.get(RUNTIME).is_some(),
        podman: (facts.engine.name == "Podman").then(|| Podman::of(&facts.engine.version)),
        is_rootless: facts.is_rootless(),
    })
}

/// Engines do not say whether they find the hook, so it is looked for where they look: on the path of the process behind
/// the socket, or on the usual one where that is the host's first process and the engine comes after it.
async fn finds_hook(socket: &Path) -> bool {
    let peer = UnixStream::connect(socket).await.ok().and_then(|it| it.peer_cred().ok());
    let process = peer.and_then(|peer| peer.pid()).map(|pid| PathBuf::from(format!("/proc/{pid}")));
    let is_engine = |process: &PathBuf| {
        std::fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim() == "dockerd")
    };
    let process = process.filter(is_engine);
    let path = process.as_deref().and_then(path_of);
    let root = process.map_or_else(|| PathBuf::from("/"), |process| process.join("root"));
    path.as_deref().unwrap_or(USUAL_PATH).split(':').any(|dir| {
        let inside = dir.trim_start_matches('/');
        dir.starts_with('/') && root.join(inside).join(HOOK).is_file()
    })
}

/// The `PATH` of a process.
fn path_of(process: &Path) -> Option<String> {
    let environment = std::fs::read(process.join("environ")).ok()?;
    let value = environment.split(|byte| *byte == 0).find_map(|it| it.strip_prefix(b"PATH="))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// The files of devices, and those that belong to all of them, as far as the host has them.
fn files(shelf: &Shelf, devices: &[DeviceId]) -> Vec<String> {
    let own = devices.iter().filter_map(|id| shelf.minor(id));
    let own = own.map(|minor| format!("/dev/nvidia{minor}"));
    let shared = ["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"].map(|it| format!("/dev/{it}"));
    own.chain(shared).filter(|file| Path::new(file).exists()).collect()
}

// === impl Offers ===

impl Offers {
    /// The way for `devices`.
    fn way(&self, devices: &[DeviceId]) -> Result<Way, Reason> {
        let refused = |detail: String| Err(Reason::GpuEngine { detail });
        match self.podman {
            Some(Podman::TakesNames) => return Ok(Way::Named),
            Some(Podman::TakesRequests) => return Ok(Way::Cdi),
            None => {}
        }
        if devices.iter().all(|device| self.discovered.contains(&name(device))) {
            return Ok(Way::Cdi);
        }
        let first = devices.first().map(name).unwrap_or_default();
        if self.is_rootless {
            return refused(format!(
                "it runs without root rights, and such an engine must know {first}: \
                 write a CDI spec with nvidia-ctk cdi generate"
            ));
        }
        match (self.hook, self.runtime) {
            (Some(driver), _) => Ok(Way::Hook(driver)),
            (None, true) => Ok(Way::Runtime),
            (None, false) => refused(format!(
                "it does not know {first}, finds no {HOOK} and has no runtime {RUNTIME}: \
                 install NVIDIA's container toolkit and restart the engine"
            )),
        }
    }
}

// === impl Podman ===

impl Podman {
    fn of(version: &str) -> Podman {
        let mut numbers = version.split('.').map(|number| number.parse::<u16>().unwrap_or(0));
        let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if (major, minor) >= (5, 4) { Podman::TakesRequests } else { Podman::TakesNames }
    }
}

// === impl Given ===

impl Given {
    /// For a task without devices, or with such as were made up.
    pub fn unreal(devices: &[DeviceId]) -> Given {
        Given { visible: visible(devices), ..Given::default() }
    }

    /// `asked` is what the app says of capabilities.
    fn by(way: Way, devices: &[DeviceId], asked: Option<&str>, files: &[String]) -> Given {
        let names = || devices.iter().map(name).collect::<Vec<_>>();
        let default = asked.is_none().then(|| DEFAULT_CAPABILITIES.to_owned());
        match way {
            // A default runtime of NVIDIA's would bring in devices by the variable, beside those of CDI.
            Way::Cdi => Given {
                visible: VOID.to_owned(),
                requests: Some(vec![request("cdi", names(), None)]),
                ..Given::default()
            },
            Way::Named => Given {
                visible: VOID.to_owned(),
                nodes: names().iter().map(|name| node(name)).collect(),
                ..Given::default()
            },
            Way::Hook(driver) => {
                let ids = devices.iter().map(|device| device.0.to_string()).collect();
                let capabilities = capabilities(asked);
                Given {
                    visible: visible(devices),
                    requests: Some(vec![request(driver, ids, Some(capabilities))]),
                    nodes: files.iter().map(|file| node(file)).collect(),
                    ..Given::default()
                }
            }
            Way::Runtime => Given {
                visible: visible(devices),
                capabilities: default,
                runtime: Some(RUNTIME.to_owned()),
                ..Given::default()
            },
        }
    }
}

fn name(device: &DeviceId) -> String {
    format!("{KIND}={}", device.0)
}

fn capabilities(asked: Option<&str>) -> Vec<String> {
    let asked = asked.unwrap_or(DEFAULT_CAPABILITIES).split(',').map(str::trim);
    let known = asked.filter(|it| KNOWN_CAPABILITIES.contains(it));
    ["gpu"].into_iter().chain(known).map(str::to_owned).collect()
}

fn request(driver: &str, ids: Vec<String>, capabilities: Option<Vec<String>>) -> DeviceRequest {
    DeviceRequest {
        driver: Some(driver.to_owned()),
        device_ids: Some(ids),
        capabilities: capabilities.map(|all| vec![all]),
        ..DeviceRequest::default()
    }
}

fn node(path: &str) -> DeviceMapping {
    DeviceMapping {
        path_on_host: Some(path.to_owned()),
        path_in_container: Some(path.to_owned()),
        cgroup_permissions: Some("rwm".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices() -> Vec<DeviceId> {
        ["GPU-1", "GPU-2"].map(|id| DeviceId(id.into())).to_vec()
    }

    #[test]
    fn the_ways_are_tried_in_their_order() {
        // gpu.md §4.2: CDI, hook, runtime; Podman has one of its own.
        let names = devices().iter().map(name).collect();
        let all =
            Offers { discovered: names, hook: Some("nvidia"), runtime: true, ..Offers::default() };
        assert_eq!(all.way(&devices()), Ok(Way::Cdi));
        let stale = Offers { discovered: [name(&devices()[0])].into(), ..all.clone() };
        assert_eq!(stale.way(&devices()), Ok(Way::Hook("nvidia")), "its spec lacks a device");
        let late = Offers { hook: None, ..stale.clone() };
        assert_eq!(late.way(&devices()), Ok(Way::Runtime));
        let bare = Offers { runtime: false, ..late };
        let Err(Reason::GpuEngine { detail }) = bare.way(&devices()) else { panic!("no way") };
        assert!(detail.starts_with("it does not know nvidia.com/gpu=GPU-1, "), "{detail}");
        let rootless = Offers { is_rootless: true, ..stale };
        assert!(rootless.way(&devices()).is_err());
        for (version, way) in
            [("4.9.3", Way::Named), ("5.3.9", Way::Named), ("5.4.2", Way::Cdi), ("6.0", Way::Cdi)]
        {
            let podman = Offers { podman: Some(Podman::of(version)), ..Offers::default() };
            assert_eq!(podman.way(&devices()), Ok(way), "{version}");
        }
    }

    #[test]
    fn devices_are_asked_for_by_id_and_never_by_number() {
        // F13: a count means the first devices, whoever holds them.
        let files = ["/dev/nvidia0".to_owned()];
        let by = |way, asked| Given::by(way, &devices(), asked, &files);
        let hook = by(Way::Hook("nvidia"), Some("compute, video,nonsense"));
        let request = &hook.requests.as_ref().expect("a request")[0];
        assert_eq!((request.driver.as_deref(), request.count), (Some("nvidia"), None));
        assert_eq!(request.device_ids.as_deref(), Some(&["GPU-1", "GPU-2"].map(str::to_owned)[..]));
        let wanted = vec![["gpu", "compute", "video"].map(str::to_owned).to_vec()];
        assert_eq!(request.capabilities, Some(wanted));
        assert_eq!((hook.visible.as_str(), hook.nodes.len()), ("GPU-1,GPU-2", 1));
        let cdi = by(Way::Cdi, None);
        let request = &cdi.requests.as_ref().expect("a request")[0];
        assert_eq!((request.driver.as_deref(), &request.capabilities), (Some("cdi"), &None));
        let names = ["nvidia.com/gpu=GPU-1", "nvidia.com/gpu=GPU-2"].map(str::to_owned);
        assert_eq!(request.device_ids.as_deref(), Some(&names[..]));
        assert_eq!((cdi.visible.as_str(), cdi.nodes.len()), ("void", 0));
        let runtime = by(Way::Runtime, None);
        assert_eq!(runtime.runtime.as_deref(), Some("nvidia"));
        assert_eq!(runtime.capabilities.as_deref(), Some("compute,utility"));
        assert_eq!(by(Way::Runtime, Some("all")).capabilities, None, "the app says so itself");
        let named = by(Way::Named, None);
        assert_eq!(named.nodes[1].path_on_host.as_deref(), Some(names[1].as_str()));
    }
}
