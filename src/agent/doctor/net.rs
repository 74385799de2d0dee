//! Ports, names and servers: what a host must be able to bind, be called, and reach.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use tokio::net::{TcpStream, UnixStream, lookup_host};

use crate::agent::doctor::{Finding, LOOK, text};
use crate::agent::ports;
use crate::model::agent::PortRange;
use crate::wire::dial::Address;

/// Whether a server can listen where it is to.
pub(super) fn listen(addresses: &[SocketAddr]) -> Vec<Finding> {
    addresses.iter().map(|address| listen_at(*address)).collect()
}

fn listen_at(address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::fine("ports", format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let holder = ports::holder(address.port());
            if holder.starts_with("stayer ") {
                return Finding::fine("ports", format!("{address} is held by {holder}"));
            }
            Finding::fault(
                "ports",
                format!("{address} is held by {holder}"),
                "end what holds it, or name another address with --listen or --agents-listen",
            )
        }
        Err(error) => Finding::fault(
            "ports",
            format!("{address} cannot be listened at: {error}"),
            "name an address of this host; ports below 1024 need root",
        ),
    }
}

/// Whether the ports that tasks are given are theirs.
pub(super) fn ports(root: &Path, ranges: &[PortRange]) -> Vec<Finding> {
    let shown: Vec<String> = ranges.iter().map(|r| format!("{}-{}", r.first, r.last)).collect();
    let shown = shown.join(", ");
    let mut found = Vec::new();
    if let Some((first, last)) = kernels_own(root)
        && ranges.iter().any(|range| range.first <= last && first <= range.last)
    {
        found.push(Finding::warning(
            "ports",
            format!("of the ports for tasks, {shown}, the kernel gives some to connections ({first}-{last})"),
            format!("keep them apart: --ports, or sysctl net.ipv4.ip_local_reserved_ports={shown}"),
        ));
    }
    let held: Vec<u16> = ports::listening()
        .into_iter()
        .filter(|port| ranges.iter().any(|range| range.holds(*port)))
        .collect();
    if let Some(first) = held.first() {
        let holder = ports::holder(*first);
        found.push(Finding::warning(
            "ports",
            format!("{} of the ports for tasks, {shown}, are held: {first} by {holder}", held.len()),
            "tasks of an agent on this host may hold them; what else does leaves them alone or is given others",
        ));
    }
    if found.is_empty() {
        found.push(Finding::fine("ports", format!("those for tasks, {shown}, are free")));
    }
    found
}

fn kernels_own(root: &Path) -> Option<(u16, u16)> {
    let range = text(&root.join("proc/sys/net/ipv4/ip_local_port_range"))?;
    let mut ends = range.split_whitespace().map(str::parse);
    let own = (ends.next()?.ok()?, ends.next()?.ok()?);
    // Ports that are kept back are not given.
    let reserved = text(&root.join("proc/sys/net/ipv4/ip_local_reserved_ports"));
    reserved.is_none_or(|text| text.is_empty()).then_some(own)
}

/// Whether others can be told this name.
pub(super) async fn hostname(name: &str) -> Finding {
    if name.is_empty() || name.starts_with("localhost") {
        return Finding::fault(
            "hostname",
            format!("this host is called '{name}': its tasks would be shown there"),
            "give it a name: hostnamectl set-hostname, or --hostname",
        );
    }
    match tokio::time::timeout(LOOK, lookup_host((name, 0))).await {
        Ok(Ok(_)) => Finding::fine("hostname", name),
        Ok(Err(_)) | Err(_) => Finding::warning(
            "hostname",
            format!("the name '{name}' is not resolved here: clients may not reach its tasks"),
            "enter it in DNS or /etc/hosts, or name one that resolves with --hostname",
        ),
    }
}

/// Whether the servers that an agent is to dial are there.
pub(super) async fn servers(addresses: &[Address]) -> Vec<Finding> {
    futures::future::join_all(addresses.iter().map(server)).await
}

async fn server(address: &Address) -> Finding {
    let connect = async {
        match address {
            Address::Unix(path) => UnixStream::connect(path).await.map(drop),
            Address::Tcp(name) => TcpStream::connect(name).await.map(drop),
        }
    };
    let why = match tokio::time::timeout(LOOK, connect).await {
        Ok(Ok(())) => return Finding::fine("server", format!("{address} takes connections")),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("nothing came within {} ms", LOOK.as_millis()),
    };
    Finding::fault(
        "server",
        format!("no server answers at {address}: {why}"),
        "start it with --agents-listen there, and let the port through firewalls between",
    )
}
