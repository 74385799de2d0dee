//! Volumes: host paths, persistent space and secrets (contract 5.4), with the rules that one volume keeps by itself
//! (13.8). Which kind it is, its members tell.

use super::external::external;
use crate::contract::read::{At, Fields, Reader};
use crate::model::constraint::Expression;
use crate::model::spec::ContainerKind;
use crate::model::unit::Disk;
use crate::model::volume::{DiskKind, ExternalVolume, PersistentVolume, Volume, VolumeMode};

/// One item of `volumes`, in a container of `kind`.
pub fn volume(reader: &mut Reader<'_>, at: &At<'_>, kind: ContainerKind) -> Option<Volume> {
    let mut fields = reader.constrained(at)?;
    let volume = if fields.has("persistent") {
        persistent_volume(&mut fields)
    } else if fields.has("external") {
        external_volume(&mut fields, kind)
    } else if fields.has("secret") {
        secret_volume(&mut fields)
    } else {
        host_volume(&mut fields)
    };
    fields.done();
    volume
}

fn host_volume(fields: &mut Fields<'_, '_, '_>) -> Option<Volume> {
    let container_path = fields.need("containerPath", Reader::filled);
    let host_path = fields.need("hostPath", Reader::filled);
    let mode = fields.need("mode", mode);
    let host_path = host_path?;
    if let Some(rest) = host_path.strip_prefix('~') {
        let rest = rest.trim_start_matches('/');
        let path = format!("{}/hostPath", fields.path);
        fields.reader.breach(
            path,
            format!("'~' means nothing to an agent, did you mean \"/home/<user>/{rest}\"?"),
        );
    }
    Some(Volume::Host { container_path: container_path?, host_path, mode: mode? })
}

fn secret_volume(fields: &mut Fields<'_, '_, '_>) -> Option<Volume> {
    let container_path = fields.need("containerPath", Reader::filled);
    let secret = fields.need("secret", Reader::filled);
    // A mode has no meaning here, and is often written.
    fields.skip(&["mode"]);
    Some(Volume::Secret { container_path: container_path?, secret: secret? })
}

fn external_volume(fields: &mut Fields<'_, '_, '_>, kind: ContainerKind) -> Option<Volume> {
    let container_path = fields.need("containerPath", Reader::filled);
    let external = fields.opt("external", |reader, at| external(reader, at, kind));
    let mode = fields.need("mode", mode);
    let (container_path, external, mode) = (container_path?, external?, mode?);
    let path = fields.path.clone();
    match &external {
        ExternalVolume::Dvdi { .. } if kind == ContainerKind::Mesos => {
            let writable = mode == VolumeMode::ReadWrite;
            fields.reader.require(writable, format!("{path}/mode"), "does not equal RW");
            let named = !matches!(container_path.as_str(), "." | "..");
            let place = format!("{path}/containerPath");
            fields.reader.require(named, place, "can not be one of (.,..)");
        }
        ExternalVolume::Dvdi { .. } => {}
        ExternalVolume::Csi { access_mode, .. } => {
            let fits = !access_mode.ends_with("READER_ONLY") || mode == VolumeMode::ReadOnly;
            let error = "CSI volume must be mounted readonly with a read-only access mode";
            fields.reader.require(fits, path, error);
        }
    }
    Some(Volume::External { container_path, mode, external })
}

fn persistent_volume(fields: &mut Fields<'_, '_, '_>) -> Option<Volume> {
    let container_path = fields.need("containerPath", Reader::filled);
    let persistent = fields.opt("persistent", persistent);
    let mode = fields.need("mode", mode);
    let (container_path, mode) = (container_path?, mode?);
    let (reader, path) = (&mut *fields.reader, &fields.path);
    reader.require(mode == VolumeMode::ReadWrite, format!("{path}/mode"), "does not equal RW");
    let place = format!("{path}/containerPath");
    let named = !matches!(container_path.as_str(), "." | "..");
    reader.require(named, &place, "can not be one of (.,..)");
    reader.require(!container_path.contains('/'), place, "value must not contain \"/\"");
    Some(Volume::Persistent { container_path, mode, persistent: persistent? })
}

fn persistent(reader: &mut Reader<'_>, at: &At<'_>) -> Option<PersistentVolume> {
    let mut fields = reader.constrained(at)?;
    let said = fields.opt("type", |reader, at| {
        let choices =
            [("root", DiskKind::Root), ("path", DiskKind::Path), ("mount", DiskKind::Mount)];
        reader.choice(at, &choices)
    });
    let size = fields.need("size", Reader::long);
    let max_size = fields.opt("maxSize", Reader::long);
    let profile_name = fields.opt("profileName", Reader::string);
    let constraints = fields.list("constraints", |reader, at| reader.list(at, Reader::string));
    let constraints = constraints.unwrap_or_default();
    let path = fields.path.clone();
    fields.done();

    let empty = profile_name.as_ref().is_some_and(String::is_empty);
    reader.require(!empty, format!("{path}/profileName"), "must not be empty");
    let is_mount = said == Some(DiskKind::Mount);
    reader.require(max_size.is_none() || is_mount, &path, "Only mount volumes can have maxSize");
    let on_root = said.unwrap_or(DiskKind::Root) == DiskKind::Root;
    let fits = constraints.is_empty() || !on_root;
    reader.require(fits, &path, "Constraints on root volumes are not supported");
    for row in &constraints {
        if let Err(error) = volume_constraint(row) {
            reader.breach(format!("{path}/constraints"), error);
        }
    }
    let size = size?;
    reader.require(size > 0, format!("{path}/size"), format!("got {size}, expected more than 0"));
    let larger = max_size.is_none_or(|most| most > size);
    reader.require(larger, &path, "Max size must be larger than size");
    let unsaid = if profile_name.is_some() { DiskKind::Mount } else { DiskKind::Root };
    Some(PersistentVolume {
        kind: said.unwrap_or(unsaid),
        size: Disk::whole(size),
        max_size: max_size.map(Disk::whole),
        profile_name,
        constraints,
    })
}

fn volume_constraint(row: &[String]) -> Result<(), String> {
    let (field, operator, value) = match row {
        [] | [_] => return Err("Missing field and operator".into()),
        [field, operator] => (field, operator, None),
        [field, operator, value, ..] => (field, operator, Some(value)),
    };
    match operator.as_str() {
        "LIKE" if field == "path" && row.len() == 3 => {
            let fits = value.is_some_and(|value| Expression::is_one(value));
            if fits { Ok(()) } else { Err("Invalid regular expression".into()) }
        }
        "LIKE" => Err(format!("Unsupported constraint {}", row.join(","))),
        "UNLIKE" => Err(format!("illegal volume constraint {}", row.join(","))),
        "UNIQUE" | "CLUSTER" | "GROUP_BY" | "MAX_PER" | "IS" => {
            Err("Operator must be one of LIKE, UNLIKE".into())
        }
        other => Err(format!("unknown constraint operator {other}")),
    }
}

fn mode(reader: &mut Reader<'_>, at: &At<'_>) -> Option<VolumeMode> {
    reader.choice(at, &[("RO", VolumeMode::ReadOnly), ("RW", VolumeMode::ReadWrite)])
}
