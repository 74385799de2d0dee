//! The `container` object (contract 5.4), with the rules that its own members keep among each other (13.8).

use super::draft::{DockerNetwork, DraftContainer};
use super::network::port_mapping;
use super::volume::volume;
use crate::contract::read::{At, Reader};
use crate::model::network::PortMapping;
use crate::model::spec::{
    ContainerKind, DockerImage, IpcInfo, LinuxInfo, Parameter, Sandbox, Seccomp,
};

/// What was read of `docker`.
#[derive(Default)]
struct Docker {
    image: Option<DockerImage>,
    network: Option<DockerNetwork>,
    port_mappings: Option<Vec<PortMapping>>,
    credential: bool,
}

/// Reads `container`.
pub fn container(reader: &mut Reader<'_>, at: &At<'_>) -> Option<DraftContainer> {
    let mut fields = reader.lenient(at);
    let kind = fields.opt("type", |reader, at| {
        reader.choice(at, &[("DOCKER", ContainerKind::Docker), ("MESOS", ContainerKind::Mesos)])
    });
    let kind = kind.unwrap_or(ContainerKind::Docker);
    let docker = fields.opt("docker", |reader, at| docker(reader, at, kind)).unwrap_or_default();
    let sandbox = Sandbox {
        kind,
        volumes: fields.list("volumes", |reader, at| volume(reader, at, kind)).unwrap_or_default(),
        port_mappings: fields.list("portMappings", port_mapping),
        linux_info: fields.opt("linuxInfo", linux_info),
        docker: docker.image,
    };
    let path = format!("{}/docker", fields.path);
    fields.done();
    let has_image = kind == ContainerKind::Mesos || sandbox.docker.is_some();
    reader.require(has_image, path, "not defined");
    Some(DraftContainer {
        sandbox,
        network: docker.network,
        port_mappings: docker.port_mappings,
        credential: docker.credential,
    })
}

fn docker(reader: &mut Reader<'_>, at: &At<'_>, kind: ContainerKind) -> Option<Docker> {
    let mut fields = reader.constrained(at)?;
    let image = fields.need("image", Reader::filled);
    let by_engine = kind == ContainerKind::Docker;
    let docker = Docker {
        image: Some(DockerImage {
            image: image.unwrap_or_default(),
            force_pull: fields.opt("forcePullImage", Reader::flag).unwrap_or(false),
            privileged: fields.opt("privileged", Reader::flag).unwrap_or(false) && by_engine,
            parameters: fields.list("parameters", parameter).unwrap_or_default(),
            pull_secret: fields.opt("pullConfig", pull_config),
        }),
        network: fields.opt("network", docker_network),
        port_mappings: fields.list("portMappings", port_mapping),
        credential: fields.opt("credential", credential).is_some(),
    };
    let pull_config = format!("{}/pullConfig", fields.path);
    let unwanted = by_engine && fields.has("pullConfig");
    fields.done();
    reader.require(!unwanted, pull_config, "pullConfig is not supported with Docker containerizer");
    Some(docker)
}

fn docker_network(reader: &mut Reader<'_>, at: &At<'_>) -> Option<DockerNetwork> {
    let choices = [
        ("BRIDGE", DockerNetwork::Bridge),
        ("HOST", DockerNetwork::Host),
        ("NONE", DockerNetwork::None),
        ("USER", DockerNetwork::User),
    ];
    reader.choice(at, &choices)
}

fn parameter(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Parameter> {
    let mut fields = reader.constrained(at)?;
    let key = fields.need("key", Reader::filled);
    let value = fields.need("value", Reader::string);
    fields.done();
    Some(Parameter { key: key?, value: value? })
}

fn pull_config(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let mut fields = reader.constrained(at)?;
    let secret = fields.need("secret", Reader::filled);
    fields.done();
    secret
}

/// Read for its types; no engine takes it (contract 13.2).
fn credential(reader: &mut Reader<'_>, at: &At<'_>) -> Option<()> {
    let mut fields = reader.object(at)?;
    fields.need_plain("principal", Reader::string);
    fields.opt("secret", Reader::string);
    fields.done();
    Some(())
}

fn linux_info(reader: &mut Reader<'_>, at: &At<'_>) -> Option<LinuxInfo> {
    let mut fields = reader.object(at)?;
    let info =
        LinuxInfo { seccomp: fields.opt("seccomp", seccomp), ipc: fields.opt("ipcInfo", ipc) };
    fields.done();
    Some(info)
}

/// A badly typed `unconfined` reads as false (contract 4.3).
fn seccomp(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Seccomp> {
    let mut fields = reader.lenient(at);
    let seccomp = Seccomp {
        profile_name: fields.opt("profileName", Reader::string),
        unconfined: fields.opt("unconfined", |_, at| at.value.as_bool()).unwrap_or(false),
    };
    let path = fields.path.clone();
    fields.done();
    match (&seccomp.profile_name, seccomp.unconfined) {
        (Some(_), true) => {
            reader.breach(path, "Seccomp unconfined can NOT be true when Profile is defined");
        }
        (None, false) => {
            reader.breach(path, "Seccomp unconfined must be true when Profile is NOT defined");
        }
        (Some(_), false) | (None, true) => {}
    }
    Some(seccomp)
}

fn ipc(reader: &mut Reader<'_>, at: &At<'_>) -> Option<IpcInfo> {
    let mut fields = reader.object(at)?;
    let private = fields.need_plain("mode", |reader, at| {
        reader.choice(at, &[("PRIVATE", true), ("SHARE_PARENT", false)])
    });
    let info = IpcInfo {
        private: private.unwrap_or(true),
        shm_size: fields.opt("shmSize", Reader::count),
    };
    let path = fields.path.clone();
    fields.done();
    let fits = info.private || info.shm_size.is_none();
    reader.require(fits, path, "ipcInfo shmSize can NOT be set when mode is SHARE_PARENT");
    Some(info)
}
