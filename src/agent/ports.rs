//! Whether the host ports of a task are free before it is started on them, and who holds them if not.
//!
//! A task on the host's network binds its ports itself: without this look it would crash, and nobody would know why. The
//! look is a bind of our own, given back at once. Off the host's network the engine binds, and says so itself.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};

use crate::agent::runtime::{FoundState, Launch, Runtime, RuntimeError};
use crate::model::instance::Place;
use crate::model::network::Protocol;
use crate::model::reason::Reason;
use crate::model::spec::Spec;

/// Refuses a start on ports that somebody else has. What this very sandbox has is its own: an earlier start whose answer
/// was lost may have been done.
///
/// # Errors
/// Refused, with the holder; unknown, when the hand cannot say whether the sandbox runs.
pub async fn heed<R: Runtime>(hand: &R, launch: &Launch) -> Result<(), RuntimeError> {
    if launch.place.ports.is_empty() {
        return Ok(());
    }
    let (spec, place) = (launch.spec.clone(), launch.place.clone());
    let look = tokio::task::spawn_blocking(move || taken(&spec, &place));
    match look.await.map_err(|error| RuntimeError::Unknown(error.to_string()))? {
        Some(reason) if !runs(hand, launch).await? => Err(RuntimeError::Refused(reason)),
        Some(_) | None => Ok(()),
    }
}

async fn runs<R: Runtime>(hand: &R, launch: &Launch) -> Result<bool, RuntimeError> {
    let mut found = hand.list().await?.into_iter();
    Ok(found.any(|one| one.id == launch.id && matches!(one.state, FoundState::Running(_))))
}

/// The first of the host ports of a task on the host's network that somebody holds. Blocks for as long as it takes to
/// look through the host's processes, if one is held.
pub fn taken(spec: &Spec, place: &Place) -> Option<Reason> {
    if !spec.on_host_network() {
        return None;
    }
    let given = spec.ports().iter().zip(&place.ports);
    let mut ports = given.filter_map(|(asked, port)| Some(((*port)?, asked.protocol)));
    ports.find_map(|(port, protocol)| {
        is_taken(port, protocol).then(|| Reason::PortForeign { port, holder: holder(port) })
    })
}

fn is_taken(port: u16, protocol: Protocol) -> bool {
    let all = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
    let tcp = || in_use(TcpListener::bind(all));
    let udp = || in_use(UdpSocket::bind(all));
    match protocol {
        Protocol::Tcp => tcp(),
        Protocol::Udp => udp(),
        Protocol::Both => tcp() || udp(),
    }
}

/// Any other fault, such as a port that needs more rights, is the task's own to meet.
fn in_use<T>(bound: io::Result<T>) -> bool {
    bound.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// The process that has a port, as far as this account may know.
pub fn holder(port: u16) -> String {
    let sockets = sockets(port);
    let processes = procfs::process::all_processes().into_iter().flatten().flatten();
    for process in processes {
        let Ok(files) = process.fd() else { continue };
        let holds = files.flatten().any(|file| match file.target {
            procfs::process::FDTarget::Socket(inode) => sockets.contains(&inode),
            _ => false,
        });
        if holds {
            let name = process.stat().map(|stat| stat.comm).unwrap_or_default();
            return format!("{name} (pid {})", process.pid);
        }
    }
    "a process of another account".to_owned()
}

/// The TCP ports of this host at which somebody waits.
pub fn listening() -> BTreeSet<u16> {
    let tcp = [procfs::net::tcp(), procfs::net::tcp6()].into_iter().flatten().flatten();
    let waiting = tcp.filter(|entry| entry.state == procfs::net::TcpState::Listen);
    waiting.map(|entry| entry.local_address.port()).collect()
}

/// The inodes of the sockets that wait at a port.
fn sockets(port: u16) -> BTreeSet<u64> {
    let tcp = [procfs::net::tcp(), procfs::net::tcp6()].into_iter().flatten().flatten();
    let udp = [procfs::net::udp(), procfs::net::udp6()].into_iter().flatten().flatten();
    let listening = tcp
        .filter(|entry| entry.state == procfs::net::TcpState::Listen)
        .map(|entry| (entry.local_address, entry.inode));
    listening
        .chain(udp.map(|entry| (entry.local_address, entry.inode)))
        .filter(|(address, _)| address.port() == port)
        .map(|(_, inode)| inode)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio::sync::watch;

    use super::*;
    use crate::agent::clock::Clock;
    use crate::agent::fake::{FakeHost, FakeRuntime};
    use crate::agent::machine::free_port;
    use crate::agent::mind::testing::{id, key, spec_key};
    use crate::agent::mind::testing::{place, spec};
    use crate::model::id::AppKey;
    use crate::model::id::{AgentId, ClusterId};
    use crate::model::network::{Network, NetworkMode, PortDefinition};

    fn asks(protocol: Protocol) -> Spec {
        let port = PortDefinition { protocol, ..PortDefinition::default() };
        let networks = vec![Network::host()];
        Spec { networks, port_definitions: Some(vec![port]), ..spec(AppKey(1)) }
    }

    fn found(protocol: Protocol, port: u16) -> Option<Reason> {
        let place = Place { ports: vec![Some(port)], ..place(&[]) };
        taken(&asks(protocol), &place)
    }

    #[test]
    fn a_held_port_names_its_holder() {
        let port = free_port();
        let listener = TcpListener::bind(("0.0.0.0", port)).expect("a port");
        for protocol in [Protocol::Tcp, Protocol::Both] {
            match found(protocol, port) {
                Some(Reason::PortForeign { port: named, holder }) => {
                    assert_eq!(named, port);
                    assert!(holder.contains(&format!("pid {}", std::process::id())), "{holder}");
                }
                other => panic!("{other:?}"),
            }
        }
        drop(listener);
        assert_eq!(found(Protocol::Tcp, port), None);
    }

    #[test]
    fn one_number_is_two_ports() {
        // One whose namesake nobody has.
        let port = free_port();
        let _socket = UdpSocket::bind(("0.0.0.0", port)).expect("a port");
        let held = |protocol| found(protocol, port).is_some();
        assert_eq!([Protocol::Tcp, Protocol::Udp].map(held), [false, true]);
    }

    #[test]
    fn off_the_hosts_network_nothing_is_bound_by_the_task() {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let bridge = Network { mode: NetworkMode::Bridge, ..Network::host() };
        let spec = Spec { networks: vec![bridge], ..asks(Protocol::Tcp) };
        assert_eq!(taken(&spec, &Place { ports: vec![Some(port)], ..place(&[]) }), None);
    }

    #[tokio::test]
    async fn what_runs_already_is_not_refused_for_its_own_port() {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let launch = Launch {
            id: id(key(1, 0), 1),
            key: key(1, 0),
            spec_key: spec_key(AppKey(1)),
            spec: asks(Protocol::Tcp).into(),
            place: place(&[port]),
            cluster: ClusterId(uuid::Uuid::nil()),
            agent: AgentId(uuid::Uuid::nil()),
            env: BTreeMap::new(),
            dir: "/nowhere".into(),
        };
        let (_, hand) = FakeRuntime::both(FakeHost::default(), Clock::start());
        let (progress, _bytes) = watch::channel(0);
        hand.prepare(&launch, &progress).await.expect("prepared");
        let refused = heed(&hand, &launch).await;
        assert!(matches!(refused, Err(RuntimeError::Refused(Reason::PortForeign { .. }))));
        hand.start(&launch).await.expect("the fake host asks nobody");
        assert_eq!(heed(&hand, &launch).await, Ok(()));
    }
}
