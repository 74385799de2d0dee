//! How a profile changes what is asked and what is answered.

use hyper::StatusCode;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::forward::Call;
use super::profile::Profile;

/// What of a container's network settings is its networks' alone since API 1.52.
const GONE_FROM_SETTINGS: [&str; 12] = [
    "Bridge",
    "EndpointID",
    "Gateway",
    "GlobalIPv6Address",
    "GlobalIPv6PrefixLen",
    "HairpinMode",
    "IPAddress",
    "IPPrefixLen",
    "IPv6Gateway",
    "LinkLocalIPv6Address",
    "MacAddress",
    "SecondaryIPAddresses",
];
/// What an image says only if it is set, since API 1.52.
const GONE_FROM_IMAGES: [&str; 7] =
    ["Cmd", "Env", "Entrypoint", "Labels", "User", "OnBuild", "Volumes"];
/// Words that can be joined by others some day, by the field that holds them.
const WORDS: [&str; 6] = ["Status", "Isolation", "CgroupnsMode", "Type", "OSType", "Propagation"];

/// What has the names of others for its fields.
const MAPS: [&str; 12] = [
    "Annotations",
    "Config",
    "DriverOpts",
    "ExposedPorts",
    "Labels",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "Runtimes",
    "Sysctls",
    "Volumes",
];

/// Changes a request as this engine would read it.
///
/// # Errors
/// The status and the text with which it refuses.
pub fn request(profile: &Profile, call: &mut Call) -> Result<(), (StatusCode, String)> {
    if !call.is("POST", "/containers/create", "") {
        return Ok(());
    }
    let mut body: Value = serde_json::from_slice(&call.body).expect("an agent sends JSON");
    let host = &mut body["HostConfig"];
    if profile.lean {
        whole_bindings(host)?;
    }
    if profile.few_files {
        few_files(host);
    }
    if profile.rootless {
        without_groups(host)?;
    }
    call.body = Bytes::from(body.to_string());
    Ok(())
}

/// Changes what was answered to a call, line by line.
pub fn answer(profile: &Profile, call: &Call, status: StatusCode, value: &mut Value) {
    if !status.is_success() {
        return;
    }
    if call.is("GET", "/version", "") {
        version(profile, value);
    } else if call.is("GET", "/info", "") {
        info(profile, value);
    } else if profile.lean && call.is("GET", "/containers/json", "") {
        value.as_array_mut().expect("a list").iter_mut().for_each(listed);
    } else if profile.lean && call.is("GET", "/containers/", "/json") {
        inspected(value);
    } else if profile.lean && call.is("GET", "/images/", "/json") {
        image(value);
    } else if profile.lean && call.is("POST", "/images/create", "") {
        drop_fields(value, &["error"]);
    } else if profile.rootless && call.is("POST", "/containers/create", "") {
        value["Warnings"] = json!([
            "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded."
        ]);
    }
    if profile.novel {
        novel(value);
    }
}

/// An engine without root rights cannot open these ports.
pub fn refused_port(profile: &Profile, inspected: &Value) -> Option<String> {
    let bindings = inspected["HostConfig"]["PortBindings"].as_object()?;
    let all = bindings.values().filter_map(Value::as_array).flatten();
    let ports = all.filter_map(|binding| binding["HostPort"].as_str()?.parse::<u16>().ok());
    let port = ports.into_iter().find(|port| *port > 0 && *port < 1024)?;
    profile.rootless.then(|| {
        format!(
            "failed to set up container networking: driver failed programming external connectivity on endpoint a: \
             error while calling RootlessKit PortManager.AddPort(): cannot expose privileged port {port}, you can add \
             'net.ipv4.ip_unprivileged_port_start={port}' to /etc/sysctl.conf (currently 1024), or set CAP_NET_BIND_SERVICE \
             on rootlesskit binary, or choose a larger port number (>= 1024)"
        )
    })
}

/// What is left out means something else to each engine, and to this one nothing.
fn whole_bindings(host: &Value) -> Result<(), (StatusCode, String)> {
    let none = serde_json::Map::new();
    let bindings = host["PortBindings"].as_object().unwrap_or(&none);
    let all = bindings.values().flat_map(|list| list.as_array().into_iter().flatten());
    let is_whole = |it: &Value| it["HostIp"].is_string() && it["HostPort"].is_string();
    if bindings.values().all(|list| list.as_array().is_some_and(|it| !it.is_empty()))
        && all.into_iter().all(is_whole)
    {
        return Ok(());
    }
    Err((StatusCode::BAD_REQUEST, "invalid port binding".to_owned()))
}

fn few_files(host: &mut Value) {
    let given = host["Ulimits"].as_array().cloned().unwrap_or_default();
    if !given.iter().any(|limit| limit["Name"] == "nofile") {
        let few = json!({"Name": "nofile", "Soft": 1024, "Hard": 524_288});
        host["Ulimits"] = Value::Array([given, vec![few]].concat());
    }
}

fn without_groups(host: &mut Value) -> Result<(), (StatusCode, String)> {
    if host["NanoCpus"].as_i64().unwrap_or_default() > 0 {
        let text = "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted";
        return Err((StatusCode::BAD_REQUEST, text.to_owned()));
    }
    drop_fields(host, &["Memory", "MemorySwap", "MemoryReservation", "CpuShares"]);
    Ok(())
}

fn version(profile: &Profile, value: &mut Value) {
    if profile.version.is_empty() {
        return;
    }
    let (newest, floor) = (profile.newest.to_string(), profile.floor.to_string());
    for facts in ["/Components/0/Details", ""] {
        if let Some(facts) = value.pointer_mut(facts) {
            facts["ApiVersion"] = json!(newest);
            facts["MinAPIVersion"] = json!(floor);
        }
    }
    value["Version"] = json!(profile.version);
}

fn info(profile: &Profile, value: &mut Value) {
    if !profile.version.is_empty() {
        value["ServerVersion"] = json!(profile.version);
    }
    if profile.lean {
        value["CDISpecDirs"] = json!(["/etc/cdi", "/var/run/cdi"]);
        value["DiscoveredDevices"] = json!([{"Source": "cdi", "ID": "vendor.com/device=1"}]);
        value["FirewallBackend"] = json!({"Driver": "nftables"});
        value["NRI"] = json!({"Info": []});
    }
    if profile.rootless {
        let given = value["SecurityOptions"].as_array().cloned().unwrap_or_default();
        value["SecurityOptions"] = Value::Array([given, vec![json!("name=rootless")]].concat());
        for limit in ["MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota", "CPUShares"] {
            value[limit] = json!(false);
        }
        value["Warnings"] =
            json!(["WARNING: No memory limit support", "WARNING: No cpu shares support"]);
    }
}

fn listed(container: &mut Value) {
    container["Health"] = json!({"Status": "none", "FailingStreak": 0});
    container["ImageID"] = manifest(&container["ImageID"]);
}

fn inspected(container: &mut Value) {
    drop_fields(&mut container["NetworkSettings"], &GONE_FROM_SETTINGS);
    drop_fields(&mut container["Config"], &["MacAddress"]);
    container["Image"] = manifest(&container["Image"]);
}

fn image(image: &mut Value) {
    image["Id"] = manifest(&image["Id"]);
    drop_fields(image, &["VirtualSize", "Container", "ContainerConfig", "DockerVersion", "Parent"]);
    let config = &mut image["Config"];
    let unset = |field: &&str| {
        let empty = [json!(null), json!([]), json!({}), json!("")];
        config.get(*field).is_none_or(|value| empty.contains(value))
    };
    let gone: Vec<&str> = GONE_FROM_IMAGES.into_iter().filter(unset).collect();
    drop_fields(config, &gone);
}

/// An id that is as well formed as the one of a configuration, and another.
fn manifest(id: &Value) -> Value {
    let id = id.as_str().unwrap_or_default();
    let (kind, hash) = id.split_once(':').unwrap_or(("sha256", id));
    json!(format!("{kind}:{}", hash.chars().rev().collect::<String>()))
}

/// One more field in every object that has fields of the engine's own, and one more word wherever there is a choice of words.
fn novel(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(novel),
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                if field.is_string() && WORDS.contains(&name.as_str()) {
                    *field = json!("novel");
                }
                if !MAPS.contains(&name.as_str()) {
                    novel(field);
                }
            }
            fields.insert("Novelty".to_owned(), json!({"Kind": "novel"}));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn drop_fields(value: &mut Value, names: &[&str]) {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, _| !names.contains(&name.as_str()));
    }
}
