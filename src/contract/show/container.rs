//! The `container` object of a definition with its volumes and port mappings (contract 5.10).

use std::collections::BTreeMap;

use crate::contract::show::text::{self, Object};
use crate::model::network::PortMapping;
use crate::model::spec::{ContainerKind, DockerImage, LinuxInfo, Sandbox};
use crate::model::volume::{
    CsiAccess, DiskKind, ExternalVolume, PersistentVolume, Volume, VolumeMode,
};

/// The members of `container`.
pub(super) fn sandbox(out: &mut Object<'_>, sandbox: &Sandbox) {
    out.plain(
        "type",
        match sandbox.kind {
            ContainerKind::Docker => "DOCKER",
            ContainerKind::Mesos => "MESOS",
        },
    );
    if let Some(image) = &sandbox.docker {
        out.object("docker", |docker| match sandbox.kind {
            ContainerKind::Docker => docker_image(docker, image),
            ContainerKind::Mesos => mesos_image(docker, image),
        });
    }
    if let (ContainerKind::Mesos, Some(info)) = (sandbox.kind, &sandbox.linux_info) {
        out.object("linuxInfo", |object| linux_info(object, info));
    }
    out.objects("volumes", &sandbox.volumes, volume);
    if let Some(mappings) = &sandbox.port_mappings {
        out.objects("portMappings", mappings, port_mapping);
    }
}

fn docker_image(out: &mut Object<'_>, image: &DockerImage) {
    out.raw("forcePullImage", image.force_pull);
    out.text("image", &image.image);
    out.objects("parameters", &image.parameters, |object, parameter| {
        object.text("key", &parameter.key);
        object.text("value", &parameter.value);
    });
    out.raw("privileged", image.privileged);
}

/// Parameters and privileges have no meaning for MESOS and are shown as if none were given.
fn mesos_image(out: &mut Object<'_>, image: &DockerImage) {
    if let Some(secret) = &image.pull_secret {
        out.object("pullConfig", |object| object.text("secret", secret));
    }
    out.raw("forcePullImage", image.force_pull);
    out.text("image", &image.image);
    out.texts("parameters", [] as [&str; 0]);
    out.raw("privileged", false);
}

fn linux_info(out: &mut Object<'_>, info: &LinuxInfo) {
    if let Some(seccomp) = &info.seccomp {
        out.object("seccomp", |object| {
            object.text_if("profileName", seccomp.profile_name.as_deref());
            object.raw("unconfined", seccomp.unconfined);
        });
    }
    if let Some(ipc) = &info.ipc {
        out.object("ipcInfo", |object| {
            object.plain("mode", if ipc.private { "PRIVATE" } else { "SHARE_PARENT" });
            object.raw_if("shmSize", ipc.shm_size);
        });
    }
}

fn port_mapping(out: &mut Object<'_>, mapping: &PortMapping) {
    out.raw("containerPort", mapping.container_port);
    out.raw_if("hostPort", mapping.host_port);
    out.map("labels", &mapping.labels);
    out.text_if("name", mapping.name.as_deref());
    out.plain("protocol", mapping.protocol.as_str());
    out.raw("servicePort", mapping.service_port);
    if !mapping.network_names.is_empty() {
        out.texts("networkNames", &mapping.network_names);
    }
}

fn volume(out: &mut Object<'_>, volume: &Volume) {
    out.text("containerPath", volume.container_path());
    match volume {
        Volume::Host { container_path: _, host_path, mode } => {
            out.text("hostPath", host_path);
            out.plain("mode", mode_text(*mode));
        }
        Volume::Persistent { container_path: _, mode, persistent: wanted } => {
            out.plain("mode", mode_text(*mode));
            out.object("persistent", |object| persistent(object, wanted));
        }
        Volume::External { container_path: _, mode, external: wanted } => {
            out.plain("mode", mode_text(*mode));
            out.object("external", |object| external(object, wanted));
        }
        Volume::Secret { container_path: _, secret } => out.text("secret", secret),
    }
}

fn mode_text(mode: VolumeMode) -> &'static str {
    match mode {
        VolumeMode::ReadOnly => "RO",
        VolumeMode::ReadWrite => "RW",
    }
}

fn persistent(out: &mut Object<'_>, wanted: &PersistentVolume) {
    out.plain(
        "type",
        match wanted.kind {
            DiskKind::Root => "root",
            DiskKind::Path => "path",
            DiskKind::Mount => "mount",
        },
    );
    out.raw("size", wanted.size);
    out.raw_if("maxSize", wanted.max_size);
    out.text_if("profileName", wanted.profile_name.as_deref());
    out.list("constraints", &wanted.constraints, |list, constraint| {
        text::list(list, constraint, |list, part| text::quote(list, part));
    });
}

fn external(out: &mut Object<'_>, wanted: &ExternalVolume) {
    match wanted {
        ExternalVolume::Dvdi { name, size, options, shared } => {
            out.text("name", name);
            out.plain("provider", "dvdi");
            out.raw_if("size", *size);
            map_unless_empty(out, "options", options);
            out.raw("shared", *shared);
        }
        ExternalVolume::Csi {
            name,
            plugin_name,
            access_mode,
            access,
            node_stage_secret,
            node_publish_secret,
            volume_context,
        } => {
            out.text("name", name);
            out.plain("provider", "csi");
            out.object("options", |options| {
                options.text("pluginName", plugin_name);
                options.object("capability", |object| capability(object, access_mode, access));
                options.map("nodeStageSecret", node_stage_secret);
                options.map("nodePublishSecret", node_publish_secret);
                map_unless_empty(options, "volumeContext", volume_context);
            });
        }
    }
}

fn capability(out: &mut Object<'_>, access_mode: &str, access: &CsiAccess) {
    out.text("accessMode", access_mode);
    match access {
        CsiAccess::Block => out.plain("accessType", "block"),
        CsiAccess::Mount { fs_type, flags } => {
            out.plain("accessType", "mount");
            out.text("fsType", fs_type);
            if !flags.is_empty() {
                out.texts("mountFlags", flags);
            }
        }
    }
}

fn map_unless_empty(out: &mut Object<'_>, key: &str, map: &BTreeMap<String, String>) {
    if !map.is_empty() {
        out.map(key, map);
    }
}
