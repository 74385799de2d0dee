//! Rules of volumes and secrets among each other (contract 13.8).

use std::collections::{BTreeMap, BTreeSet};

use super::Broken;
use crate::model::spec::Spec;
use crate::model::volume::{ExternalVolume, Volume, VolumeMode};

const NOT_SHAREABLE: [&str; 2] = ["SINGLE_NODE_WRITER", "SINGLE_NODE_READER_ONLY"];
const SINGLE_WRITER: &str = "MULTI_NODE_SINGLE_WRITER";

/// What `spec` breaks of them.
pub fn rules(spec: &Spec, broken: &mut Broken) {
    let image = spec.container().image();
    if let Some(secret) = image.and_then(|image| image.pull_secret.as_ref()) {
        let error = "pullConfig.secret must refer to an existing secret";
        let known = spec.secrets.contains_key(secret);
        broken.unless(known, "/container/docker/pullConfig", error);
    }
    for (index, volume) in spec.container().volumes().iter().enumerate() {
        if let Volume::Secret { secret, .. } = volume {
            let path = format!("/container/volumes({index})");
            let error = "volume.secret must refer to an existing secret";
            broken.unless(spec.secrets.contains_key(secret), path, error);
        }
    }
    dvdi(spec, broken);
    csi(spec, broken);
    let mut names = BTreeSet::new();
    let unique = externals(spec).all(|(external, _)| names.insert(name_of(external)));
    broken.unless(unique, "/container/volumes", "Volume names must be unique");
}

fn externals(spec: &Spec) -> impl Iterator<Item = (&ExternalVolume, VolumeMode)> {
    spec.container().volumes().iter().filter_map(|volume| match volume {
        Volume::External { external, mode, .. } => Some((external, *mode)),
        Volume::Host { .. } | Volume::Persistent { .. } | Volume::Secret { .. } => None,
    })
}

fn name_of(external: &ExternalVolume) -> &str {
    match external {
        ExternalVolume::Dvdi { name, .. } | ExternalVolume::Csi { name, .. } => name,
    }
}

fn dvdi(spec: &Spec, broken: &mut Broken) {
    let path = &spec.path;
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for (external, _) in externals(spec) {
        if let ExternalVolume::Dvdi { name, shared: false, .. } = external {
            *counts.entry(name).or_default() += 1;
        }
    }
    let any = externals(spec).any(|(it, _)| matches!(it, ExternalVolume::Dvdi { .. }));
    let error =
        format!("Number of instances is limited to 1 when declaring DVDI volumes in app [{path}]");
    broken.unless(!any || spec.instances <= 1, "/", error);
    for (name, count) in counts {
        let error =
            format!("Requested DVDI volume '{name}' is declared more than once within app {path}");
        broken.unless(count == 1, "/", error);
    }
}

fn csi(spec: &Spec, broken: &mut Broken) {
    let modes: Vec<(&str, VolumeMode)> = externals(spec)
        .filter_map(|(external, mode)| match external {
            ExternalVolume::Csi { access_mode, .. } => Some((access_mode.as_str(), mode)),
            ExternalVolume::Dvdi { .. } => None,
        })
        .collect();
    let count = spec.instances;
    let alone = modes.iter().any(|(access, _)| NOT_SHAREABLE.contains(access));
    let error =
        format!("got {count}, expected 1 or less while non-shareable CSI volumes are defined");
    broken.unless(!alone || count <= 1, "/instances", error);
    let writes =
        !modes.is_empty() && modes.iter().all(|it| *it == (SINGLE_WRITER, VolumeMode::ReadWrite));
    let error = format!(
        "got {count}, expected 1 or less while a multi-node single-writer volume is defined mounted as read/write"
    );
    broken.unless(!writes || count <= 1, "/instances", error);
}
