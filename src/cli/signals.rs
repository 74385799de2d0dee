//! When the process is told to end.

use std::sync::OnceLock;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Set at the first signal. From the first wait on signals do not end the process by themselves, so one that comes while
/// nobody waits is kept for whoever waits next.
static TOLD: OnceLock<CancellationToken> = OnceLock::new();

/// Resolves at Ctrl-C, SIGTERM or SIGHUP.
pub async fn told_to_end() {
    TOLD.get_or_init(listen).cancelled().await;
}

fn listen() -> CancellationToken {
    let told = CancellationToken::new();
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let mut signals: Vec<_> = kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect();
    let tell = told.clone();
    tokio::spawn(async move {
        let waits = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
        futures::future::select_all(waits).await;
        tell.cancel();
    });
    told
}
