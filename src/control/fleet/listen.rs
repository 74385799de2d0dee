//! Where agents dial: a socket of this host, or a port.

use std::io;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;
use tokio::sync::mpsc;

use crate::control::fleet::FleetEvent;
use crate::model::id::ClusterId;
use crate::wire::message::PROTOCOLS;
use crate::wire::reverse::accept;

/// Takes agents on a unix socket that only this user may open.
///
/// # Errors
/// When the socket cannot be made.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Takes agents until the fleet is gone.
pub async fn listen(listener: UnixListener, cluster: ClusterId, fleet: mpsc::Sender<FleetEvent>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(greet(stream, cluster, fleet.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "an agent could not be taken");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
        if fleet.is_closed() {
            return;
        }
    }
}

/// Asks who dialled, and refuses what belongs elsewhere.
async fn greet<S>(stream: S, cluster: ClusterId, fleet: mpsc::Sender<FleetEvent>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = match accept(stream).await {
        Ok(peer) => peer,
        Err(error) => return tracing::info!(%error, "a connection is no agent's"),
    };
    let hello = match peer.hello().await {
        Ok(hello) => hello,
        Err(error) => return tracing::info!(%error, "an agent does not say who it is"),
    };
    if hello.protocols.start() > PROTOCOLS.end() || hello.protocols.end() < PROTOCOLS.start() {
        return tracing::warn!(agent = %hello.agent, "an agent speaks another protocol; upgrade it or this server");
    }
    if hello.cluster.is_some_and(|theirs| theirs != cluster) {
        return tracing::warn!(agent = %hello.agent, "an agent belongs to another cluster");
    }
    let connected = FleetEvent::Connected { peer, agent: hello.agent, run: hello.run };
    // The fleet is gone only when the server ends.
    let _over = fleet.send(connected).await;
}
