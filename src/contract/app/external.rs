//! External volumes: DVDI and CSI (contract 5.4) with the rules of one volume (13.8).

use std::collections::BTreeMap;

use crate::contract::read::{At, Fields, Reader};
use crate::model::spec::ContainerKind;
use crate::model::volume::{CsiAccess, ExternalVolume};

const LABEL: &str = "^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$";
const OPTION: &str =
    r"^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?/[A-Za-z0-9](?:[-A-Za-z0-9\._:]*[A-Za-z0-9])?$";
const DRIVER: &str = "dvdi/driver";
const ACCESS_MODES: [&str; 5] = [
    "SINGLE_NODE_WRITER",
    "SINGLE_NODE_READER_ONLY",
    "MULTI_NODE_READER_ONLY",
    "MULTI_NODE_SINGLE_WRITER",
    "MULTI_NODE_MULTI_WRITER",
];

/// Reads `external`, in a container of `kind`.
pub fn external(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    kind: ContainerKind,
) -> Option<ExternalVolume> {
    let mut fields = reader.object(at)?;
    let provider = fields.opt("provider", Reader::string);
    let volume = match provider.as_deref() {
        Some("csi") => csi(&mut fields),
        Some("dvdi") => dvdi(&mut fields, kind),
        other => {
            let path = format!("{}/provider", fields.path);
            unknown_provider(fields.reader, path, other);
            dvdi(&mut fields, kind)
        }
    };
    fields.done();
    volume
}

fn unknown_provider(reader: &mut Reader<'_>, path: String, provider: Option<&str>) {
    let Some(provider) = provider else { return reader.breach(path, "not defined") };
    reader.require(is_label(provider), &path, format!("must match regular expression '{LABEL}'"));
    reader.breach(path, "is unknown provider");
}

fn dvdi(fields: &mut Fields<'_, '_, '_>, kind: ContainerKind) -> Option<ExternalVolume> {
    let name = fields.opt("name", Reader::string);
    let size = fields.opt("size", Reader::count);
    let options = fields.map("options", Reader::string).unwrap_or_default();
    let shared = fields.opt("shared", Reader::flag).unwrap_or(false);
    let (reader, path) = (&mut *fields.reader, &fields.path);
    match name.as_deref() {
        None => reader.breach(format!("{path}/name"), "not defined"),
        Some(name) => {
            reader.require(!name.is_empty(), format!("{path}/name"), "must not be empty");
        }
    }
    let place = format!("{path}/size");
    reader.require(size != Some(0), &place, "got 0, expected more than 0");
    let by_engine = kind == ContainerKind::Docker;
    let bare = size.is_none() || !by_engine;
    reader.require(bare, place, "must be undefined for Docker containers");
    dvdi_options(reader, &format!("{path}/options"), &options, by_engine);
    Some(ExternalVolume::Dvdi { name: name.unwrap_or_default(), size, options, shared })
}

fn dvdi_options(
    reader: &mut Reader<'_>,
    path: &str,
    options: &BTreeMap<String, String>,
    by_engine: bool,
) {
    let no_label = format!("must match regular expression '{LABEL}'");
    if !options.keys().all(|key| is_option(key)) {
        reader.breach(format!("{path}/keys"), format!("must match regular expression '{OPTION}'"));
    }
    let only_driver = options.keys().all(|key| key == DRIVER);
    reader.require(only_driver || !by_engine, path, format!("must only contain {DRIVER}"));
    let driver = options.get(DRIVER).map(String::as_str);
    let place = format!("{path}(\"{DRIVER}\")");
    match driver {
        None => reader.breach(place, "not defined"),
        Some(driver) => reader.require(is_label(driver), place, &no_label),
    }
    if driver != Some("rexray") {
        return;
    }
    for (option, value) in options {
        let error = match option.as_str() {
            "dvdi/volumetype" | "dvdi/newfstype" if !is_label(value) => no_label.clone(),
            "dvdi/iops" if !value.parse::<i64>().is_ok_and(|value| value > 0) => {
                format!("Expected a valid, positive integer instead of {value}")
            }
            "dvdi/overwritefs" if !matches!(value.as_str(), "true" | "false") => {
                "Expected a valid boolean".to_owned()
            }
            _ => continue,
        };
        reader.breach(format!("{path}/\"{option}\""), error);
    }
}

fn csi(fields: &mut Fields<'_, '_, '_>) -> Option<ExternalVolume> {
    let name = fields.need_plain("name", Reader::string);
    fields.need_plain("options", |reader, at| {
        let mut options = reader.object(at)?;
        let plugin_name = options.need_plain("pluginName", Reader::filled);
        let capability = options.need_plain("capability", capability);
        let mut secrets = |name| options.map(name, secret_name).unwrap_or_default();
        let node_stage_secret = secrets("nodeStageSecret");
        let node_publish_secret = secrets("nodePublishSecret");
        let volume_context = options.map("volumeContext", Reader::string).unwrap_or_default();
        options.done();
        let (access_mode, access) = capability?;
        Some(ExternalVolume::Csi {
            name: name.unwrap_or_default(),
            plugin_name: plugin_name?,
            access_mode,
            access,
            node_stage_secret,
            node_publish_secret,
            volume_context,
        })
    })
}

fn secret_name(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    if at.value.is_string() {
        return reader.string(at);
    }
    let mut fields = reader.object(at)?;
    let name = fields.need_plain("secret", Reader::string);
    fields.done();
    name
}

fn capability(reader: &mut Reader<'_>, at: &At<'_>) -> Option<(String, CsiAccess)> {
    let mut fields = reader.object(at)?;
    let mode = fields.need_plain("accessMode", Reader::string);
    let kind = fields.need_plain("accessType", Reader::string);
    let fs_type = fields.opt("fsType", Reader::string);
    let flags = fields.list("mountFlags", Reader::string).unwrap_or_default();
    let path = fields.path.clone();
    fields.done();
    let (mode, kind) = (mode?, kind?);
    let known = ACCESS_MODES.contains(&mode.as_str());
    let modes = ACCESS_MODES.join(", ");
    let error = format!("got {mode}, expected one of: [{modes}]");
    reader.require(known, format!("{path}/accessMode"), error);
    let access = match (kind.as_str(), fs_type) {
        ("block", _) => CsiAccess::Block,
        ("mount", Some(fs_type)) => CsiAccess::Mount { fs_type, flags },
        ("mount", None) => {
            reader.breach(format!("{path}/fsType"), "not defined");
            CsiAccess::Block
        }
        (_, _) => {
            let error = format!("got {kind}, expected one of: [block, mount]");
            reader.breach(format!("{path}/accessType"), error);
            CsiAccess::Block
        }
    };
    Some((mode, access))
}

fn is_label(text: &str) -> bool {
    is_word(text, |char| char.is_ascii_lowercase() || char.is_ascii_digit(), "-")
}

fn is_option(text: &str) -> bool {
    text.split_once('/').is_some_and(|(label, name)| {
        is_label(label) && is_word(name, |char| char.is_ascii_alphanumeric(), "-._:")
    })
}

/// Whether `text` begins and ends with a letter, and has `more` inside at most.
fn is_word(text: &str, letter: impl Fn(char) -> bool, more: &str) -> bool {
    text.starts_with(&letter)
        && text.ends_with(&letter)
        && text.chars().all(|char| letter(char) || more.contains(char))
}
