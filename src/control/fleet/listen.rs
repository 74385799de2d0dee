//! Where agents dial: a socket of this host, or a port.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, mpsc};

use crate::control::fleet::FleetEvent;
use crate::control::fleet::twin::Newcomer;
use crate::model::id::ClusterId;
use crate::wire::dial::tune;
use crate::wire::message::{Dismissal, PROTOCOLS};
use crate::wire::reverse::accept;

/// How many that have dialled may be asked at a time who they are; others wait in the kernel.
const MAX_GREETED: usize = 1_024;

/// Where agents are taken: `unix:PATH`, or `ADDRESS:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// A socket of this host.
    Unix(PathBuf),
    /// A port.
    Tcp(SocketAddr),
}

/// The text is no place to listen at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither unix:PATH nor ADDRESS:PORT, as in 127.0.0.1:8081")]
pub struct NoDoor(String);

/// An open door.
#[derive(Debug)]
pub enum Listener {
    /// A socket of this host.
    Unix(UnixListener),
    /// A port.
    Tcp(TcpListener),
}

// === impl Door ===

impl Door {
    /// Whether only processes of this host reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Door::Unix(_) => true,
            Door::Tcp(address) => address.ip().is_loopback(),
        }
    }

    /// Opens it, and says where it is: a port 0 has become a real one.
    ///
    /// # Errors
    /// When somebody else has it, or the kernel says no.
    pub async fn open(&self) -> io::Result<(Listener, Door)> {
        match self {
            Door::Unix(path) => Ok((Listener::Unix(bind(path)?), self.clone())),
            Door::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                let address = listener.local_addr()?;
                Ok((Listener::Tcp(listener), Door::Tcp(address)))
            }
        }
    }
}

impl FromStr for Door {
    type Err = NoDoor;

    fn from_str(text: &str) -> Result<Door, NoDoor> {
        match text.strip_prefix("unix:") {
            Some("") => Err(NoDoor(text.to_owned())),
            Some(path) => Ok(Door::Unix(PathBuf::from(path))),
            None => text.parse().map(Door::Tcp).map_err(|_| NoDoor(text.to_owned())),
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Door::Unix(path) => write!(f, "unix:{}", path.display()),
            Door::Tcp(address) => write!(f, "{address}"),
        }
    }
}

// === impl Listener ===

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Listener {
        Listener::Unix(listener)
    }
}

/// Makes a unix socket that only this user may open, in place of one that a dead server left.
///
/// # Errors
/// When a server listens there, something else is there, or the socket cannot be made.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => {
            return Err(io::Error::other("a file of that name is there, and no socket"));
        }
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        Ok(_) => std::fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Takes agents until the fleet is gone.
pub async fn listen(listener: Listener, cluster: ClusterId, fleet: mpsc::Sender<FleetEvent>) {
    let greeted = Arc::new(Semaphore::new(MAX_GREETED));
    loop {
        let permit = greeted.clone().acquire_owned().await.expect("nobody closes it");
        let accepted = tokio::select! {
            accepted = dialled(&listener) => accepted,
            () = fleet.closed() => return,
        };
        match accepted {
            Ok((stream, from)) => {
                let greeting = greet(stream, from, cluster, fleet.clone());
                tokio::spawn(async move {
                    greeting.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "an agent could not be taken");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

/// The next one that dials, and from where.
async fn dialled(listener: &Listener) -> io::Result<(Box<dyn Stream>, String)> {
    match listener {
        Listener::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            let process = stream.peer_cred().ok().and_then(|peer| peer.pid());
            let from =
                process.map_or("this host".to_owned(), |pid| format!("process {pid} of this host"));
            Ok((Box::new(stream), from))
        }
        Listener::Tcp(listener) => {
            let (stream, from) = listener.accept().await?;
            tune(&stream)?;
            Ok((Box::new(stream), from.to_string()))
        }
    }
}

/// What bytes come over.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Asks who dialled, and refuses what belongs elsewhere.
async fn greet(
    stream: Box<dyn Stream>,
    from: String,
    cluster: ClusterId,
    fleet: mpsc::Sender<FleetEvent>,
) {
    let peer = match accept(stream).await {
        Ok(peer) => peer,
        Err(error) => return tracing::info!(%from, %error, "a connection is no agent's"),
    };
    let hello = match peer.hello().await {
        Ok(hello) => hello,
        Err(error) => return tracing::info!(%from, %error, "an agent does not say who it is"),
    };
    if hello.protocols.start() > PROTOCOLS.end() || hello.protocols.end() < PROTOCOLS.start() {
        tracing::warn!(agent = %hello.agent, %from, "an agent speaks another protocol; upgrade it or this server");
        return peer.dismiss(&Dismissal::Protocol { ours: PROTOCOLS }).await;
    }
    if let Some(theirs) = hello.cluster.filter(|theirs| *theirs != cluster) {
        tracing::warn!(agent = %hello.agent, %from, %theirs, ours = %cluster, "an agent belongs to another cluster");
        return peer.dismiss(&Dismissal::Cluster { ours: cluster }).await;
    }
    let newcomer = Newcomer {
        peer,
        agent: hello.agent,
        run: hello.run,
        hostname: hello.hostname,
        boot: hello.boot,
        from,
    };
    // The fleet is gone only when the server ends.
    let _over = fleet.send(FleetEvent::Connected(newcomer)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors_are_sockets_or_ports_and_say_whether_they_are_this_hosts_alone() {
        let cases = [
            ("unix:/run/a.sock", true),
            ("127.0.0.1:8081", true),
            ("[::1]:1", true),
            ("0.0.0.0:8081", false),
        ];
        for (text, local) in cases {
            let door: Door = text.parse().expect(text);
            assert_eq!((door.to_string().as_str(), door.is_local()), (text, local));
        }
        for text in ["", "unix:", "8081", "host:8081", "/run/a.sock"] {
            assert!(text.parse::<Door>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_dead_servers_socket_is_replaced_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("agents.sock");
        let first = bind(&path).expect("a socket");
        assert_eq!(bind(&path).expect_err("it is used").kind(), io::ErrorKind::AddrInUse);
        drop(first);
        let _second = bind(&path).expect("it was left behind");
        let file = dir.path().join("file");
        std::fs::write(&file, "kept").expect("a file");
        bind(&file).expect_err("it is no socket");
        assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "kept");
    }
}
