//! Whether a host port is free before a task is started on it, and who holds it if not.
//!
//! A task on the host's network binds its ports itself: without this look it would crash, and nobody would know why. The
//! look is a bind of our own, given back at once.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};

use crate::model::instance::Place;
use crate::model::reason::Reason;

/// The first of a place's ports that somebody else holds.
pub fn taken(place: &Place) -> Option<Reason> {
    place.ports.iter().flatten().copied().find_map(probe)
}

fn probe(port: u16) -> Option<Reason> {
    match TcpListener::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Some(Reason::PortForeign { port, holder: holder(port) })
        }
        // Any other fault, such as a port that needs more rights, is the task's own to meet.
        Ok(_) | Err(_) => None,
    }
}

/// The process that listens on a port, as far as this account may know.
fn holder(port: u16) -> String {
    let inodes: Vec<u64> = listening(port);
    let processes = procfs::process::all_processes().into_iter().flatten().flatten();
    for process in processes {
        let Ok(files) = process.fd() else { continue };
        let holds = files.flatten().any(|file| match file.target {
            procfs::process::FDTarget::Socket(inode) => inodes.contains(&inode),
            _ => false,
        });
        if holds {
            let name = process.stat().map(|stat| stat.comm).unwrap_or_default();
            return format!("{name} (pid {})", process.pid);
        }
    }
    "a process of another account".to_owned()
}

fn listening(port: u16) -> Vec<u64> {
    let tables = [procfs::net::tcp(), procfs::net::tcp6()];
    let entries = tables.into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            entry.local_address.port() == port && entry.state == procfs::net::TcpState::Listen
        })
        .map(|entry| entry.inode)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::AgentKey;
    use crate::model::unit::{Cpus, Disk, Mem};

    fn place(port: u16) -> Place {
        Place {
            agent: AgentKey(1),
            ports: vec![None, Some(port)],
            devices: Vec::new(),
            cpus: Cpus::ZERO,
            mem: Mem::ZERO,
            disk: Disk::ZERO,
        }
    }

    #[test]
    fn a_held_port_names_its_holder() {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        match taken(&place(port)) {
            Some(Reason::PortForeign { port: named, holder }) => {
                assert_eq!(named, port);
                assert!(holder.contains(&format!("pid {}", std::process::id())), "{holder}");
            }
            other => panic!("{other:?}"),
        }
        drop(listener);
        assert_eq!(taken(&place(port)), None);
    }
}
