//! What the host has to offer, and what its operator says about that in Mesos' words: `--resources`, `--attributes`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use crate::model::agent::{AttributeValue, Engine, Inventory, Policy, PortRange, thousandths};
use crate::model::unit::{Cpus, Disk, Mem};

/// What an operator says of resources; the rest is found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Processor share.
    pub cpus: Option<Cpus>,
    /// Memory.
    pub mem: Option<Mem>,
    /// Disk.
    pub disk: Option<Disk>,
    /// At most so many of the devices that are found; where there is no hardware, so many that are made up.
    pub gpus: Option<u32>,
    /// Ports for dynamic use.
    pub ports: Option<Vec<PortRange>>,
    /// The role that all of it is reserved for, as in `cpus(prod):4`.
    pub role: Option<String>,
}

/// All that an operator says.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// The name that tasks are shown under; else the host's.
    pub hostname: Option<String>,
    /// The host's address.
    pub address: Option<String>,
    /// Of `--attributes`.
    pub attributes: BTreeMap<String, AttributeValue>,
    /// The reservation role.
    pub role: Option<String>,
    /// Of `--resources`.
    pub resources: Resources,
    /// What it allows.
    pub policy: Policy,
    /// How many seconds a launch may go without progress.
    pub launch_seconds: Option<u32>,
}

/// A text that is not in Mesos' form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is {what}")]
pub struct BadText {
    text: String,
    what: &'static str,
}

/// Mesos' ports when nobody says anything.
const PORTS: PortRange = PortRange { first: 31_000, last: 32_000 };

/// Looks at the host, but for its devices; `data` is where sandboxes live, and so whose disk counts.
///
/// # Errors
/// When the host does not show what it has.
pub fn inventory(offer: Offer, engine: Option<Engine>, data: &Path) -> io::Result<Inventory> {
    let Offer { hostname, address, attributes, role, resources, policy, launch_seconds } = offer;
    let Resources { cpus, mem, disk, gpus: _, ports, role: reserved } = resources;
    Ok(Inventory {
        hostname: hostname.map_or_else(host_name, Ok)?,
        address,
        attributes,
        role: role.or(reserved).unwrap_or_else(|| "*".to_owned()),
        cpus: cpus.map_or_else(processors, Ok)?,
        mem: mem.map_or_else(memory, Ok)?,
        disk: disk.map_or_else(|| free_disk(data), Ok)?,
        ports: ports.unwrap_or_else(|| vec![PORTS]),
        devices: Vec::new(),
        engine,
        policy,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot: boot_id()?,
        gpu_driver: None,
        launch_seconds,
    })
}

/// Reads `cpus:4;mem:8192;disk:10240;gpus:2;ports:[31000-32000]`, each perhaps with the role it is reserved for, as in
/// `cpus(prod):4`. An agent has one role.
///
/// # Errors
/// When a part is not in this form, or names what is not known.
pub fn parse_resources(text: &str) -> Result<Resources, BadText> {
    let mut found = Resources::default();
    for part in parts(text) {
        let (name, value) = pair(part)?;
        let (name, role) = match name.strip_suffix(')').and_then(|name| name.split_once('(')) {
            Some((name, role)) => (name, Some(role)),
            None => (name, None),
        };
        if let Some(role) = role
            && found.role.get_or_insert_with(|| role.to_owned()) != role
        {
            return Err(bad(part, "of another role than the rest: an agent has one role"));
        }
        let amount = || micro(value).and_then(|micro| u64::try_from(micro).ok());
        let amount = || amount().ok_or_else(|| bad(part, "no amount"));
        match name {
            "cpus" => found.cpus = Some(Cpus::micro(amount()?)),
            "mem" => found.mem = Some(Mem::micro(amount()?)),
            "disk" => found.disk = Some(Disk::micro(amount()?)),
            "gpus" => {
                let count = value.parse().map_err(|_| bad(part, "no whole number"))?;
                found.gpus = Some(count);
            }
            "ports" => found.ports = Some(ports(value).ok_or_else(|| bad(part, "no port ranges"))?),
            _ => return Err(bad(part, "none of cpus, mem, disk, gpus, ports")),
        }
    }
    Ok(found)
}

/// Reads `31000-32000`, or several ranges with commas between them.
///
/// # Errors
/// When it is not in this form.
pub fn parse_ports(text: &str) -> Result<Vec<PortRange>, BadText> {
    ports(&format!("[{text}]")).ok_or_else(|| bad(text, "no port range, as in 31000-32000"))
}

/// Reads `rack:rack-2;zone:a`. As in Mesos, `[…]` are ranges, `{…}` is a set, a number is a scalar, all else is text; the
/// first of several with one name counts.
///
/// # Errors
/// When a part has no name or no value.
pub fn parse_attributes(text: &str) -> Result<BTreeMap<String, AttributeValue>, BadText> {
    let mut found = BTreeMap::new();
    for part in parts(text) {
        let (name, value) = pair(part)?;
        let value = if value.starts_with('[') {
            AttributeValue::Ranges(ranges(value).ok_or_else(|| bad(part, "no list of ranges"))?)
        } else if value.starts_with('{') {
            AttributeValue::Set(set(value).ok_or_else(|| bad(part, "no set"))?)
        } else if let Some(thousandths) = thousandths(value) {
            AttributeValue::Scalar(thousandths)
        } else {
            AttributeValue::Text(value.to_owned())
        };
        found.entry(name.to_owned()).or_insert(value);
    }
    Ok(found)
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split([';', '\n']).map(str::trim).filter(|part| !part.is_empty())
}

fn pair(part: &str) -> Result<(&str, &str), BadText> {
    let (name, value) = part.split_once(':').ok_or_else(|| bad(part, "no name:value"))?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || value.is_empty() {
        return Err(bad(part, "no name:value"));
    }
    Ok((name, value))
}

fn bad(text: &str, what: &'static str) -> BadText {
    BadText { text: text.to_owned(), what }
}

/// A plain decimal in millionths; more digits are cut.
fn micro(text: &str) -> Option<i64> {
    let (negative, plain) = match text.strip_prefix('-') {
        Some(plain) => (true, plain),
        None => (false, text),
    };
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let fraction: String = fraction.chars().chain(std::iter::repeat('0')).take(6).collect();
    let value: i64 = format!("{whole}{fraction}").parse().ok()?;
    Some(if negative { -value } else { value })
}

fn ranges(text: &str) -> Option<Vec<(u64, u64)>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let range = |text: &str| {
        let (first, last) = text.trim().split_once('-')?;
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first <= last).then_some((first, last))
    };
    inner.split(',').map(range).collect()
}

fn ports(text: &str) -> Option<Vec<PortRange>> {
    let mut found: Vec<PortRange> = Vec::new();
    let mut all = ranges(text)?;
    all.sort_unstable();
    for (first, last) in all {
        let (first, last) = (u16::try_from(first).ok()?, u16::try_from(last).ok()?);
        match found.last_mut() {
            Some(before) if first <= before.last.saturating_add(1) => {
                before.last = before.last.max(last);
            }
            Some(_) | None => found.push(PortRange { first, last }),
        }
    }
    Some(found)
}

fn set(text: &str) -> Option<BTreeSet<String>> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let items = inner.split(',').map(str::trim).filter(|item| !item.is_empty());
    Some(items.map(str::to_owned).collect())
}

fn host_name() -> io::Result<String> {
    Ok(nix::unistd::gethostname()?.to_string_lossy().into_owned())
}

fn processors() -> io::Result<Cpus> {
    let count = std::thread::available_parallelism()?.get();
    Ok(Cpus::whole(u64::try_from(count).unwrap_or(u64::MAX)))
}

/// As Mesos: all but 1 GiB, or half of a small host.
fn memory() -> io::Result<Mem> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    let kib = kib.ok_or_else(|| io::Error::other("/proc/meminfo has no MemTotal"))?;
    Ok(Mem::whole(share(kib / 1024, 1024)))
}

/// As Mesos: all but 5 GiB, or half of a small disk.
fn free_disk(dir: &Path) -> io::Result<Disk> {
    let stat = rustix::fs::statvfs(dir)?;
    let mib = stat.f_blocks.saturating_mul(stat.f_frsize) / (1024 * 1024);
    Ok(Disk::whole(share(mib, 5 * 1024)))
}

fn share(all: u64, spared: u64) -> u64 {
    if all >= 2 * spared { all - spared } else { all / 2 }
}

fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_read_as_mesos_writes_them() {
        let text = "cpus:1.5;mem:8192; disk:10 ;gpus:2;ports:[31000-31500, 31501-32000,80-80]";
        let read = parse_resources(text).expect("resources");
        assert_eq!(read.cpus, Some(Cpus::micro(1_500_000)));
        assert_eq!((read.mem, read.disk), (Some(Mem::whole(8192)), Some(Disk::whole(10))));
        let ports = [PortRange { first: 80, last: 80 }, PortRange { first: 31_000, last: 32_000 }];
        assert_eq!(read.ports.as_deref(), Some(&ports[..]), "ascending and disjoint");
        assert_eq!(read.gpus, Some(2));
        assert_eq!(parse_ports("31000-31500, 31501-32000").expect("ports"), ports[1..]);
        assert!(parse_ports("31000").is_err() && parse_ports("2-1").is_err());
        let read = parse_resources("cpus(prod):4;mem(prod):1024;disk:1").expect("resources");
        assert_eq!((read.cpus, read.role.as_deref()), (Some(Cpus::whole(4)), Some("prod")));
        assert!(parse_resources("cpus(prod):4;mem(test):1024").is_err());
        for text in [
            "cpus",
            "cpus:",
            "cpus:-1",
            "mem:x",
            "gpus:1.5",
            "ports:[2-1]",
            "ports:[1-70000]",
            "cpu:1",
        ] {
            assert!(parse_resources(text).is_err(), "{text}");
        }
    }

    #[test]
    fn attributes_have_the_four_kinds_of_mesos() {
        let text = "rack:rack-2;weight:2.5;ids:[1-3,7-7];tags:{a, b};rack:other;url:http://x:1";
        let read = parse_attributes(text).expect("attributes");
        assert_eq!(read["rack"], AttributeValue::Text("rack-2".to_owned()));
        assert_eq!(read["weight"], AttributeValue::Scalar(2_500));
        assert_eq!(read["ids"], AttributeValue::Ranges(vec![(1, 3), (7, 7)]));
        assert_eq!(read["tags"], AttributeValue::Set(["a", "b"].map(str::to_owned).into()));
        assert_eq!(read["url"], AttributeValue::Text("http://x:1".to_owned()));
        assert!(parse_attributes("rack").is_err());
    }

    #[test]
    fn this_host_shows_what_it_has() {
        let found = inventory(Offer::default(), None, Path::new("/tmp")).expect("a host");
        assert!(found.cpus > Cpus::ZERO && found.mem > Mem::ZERO && found.disk > Disk::ZERO);
        assert_eq!(found.ports, [PORTS]);
        assert!(!found.hostname.is_empty() && !found.boot.is_empty());
    }
}
