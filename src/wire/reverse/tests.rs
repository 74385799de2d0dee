//! Real sockets, both ends in one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::StreamExt;
use hyper::StatusCode;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;

use crate::model::evidence::MAX_BYTES;
use crate::model::have::SpecKey;
use crate::model::id::{
    AgentId, AppKey, ClusterId, Epoch, Incarnation, InstanceId, RunId, Seq, Version,
};
use crate::wire::autopsy::{AutopsyRequest, NoEvidence};
use crate::wire::dial::{Address, dial};
use crate::wire::frame::MAX_SPEC;
use crate::wire::logs::{LogRequest, NoLog, Output};
use crate::wire::message::{Dismissal, Down, Hello, Open, PROTOCOLS, Refused, Up};

const CLUSTER: ClusterId = ClusterId(uuid::Uuid::from_u128(2));

/// An agent that is a mirror: what the leader says goes to `heard`, and a beat comes back for each frame.
struct Mirror {
    dismissed: mpsc::UnboundedSender<Dismissal>,
    heard: mpsc::UnboundedSender<Down>,
    ended: mpsc::UnboundedSender<CancellationToken>,
    /// Pieces of the endless log that were written.
    written: Arc<AtomicUsize>,
}

/// What a test holds of a mirror.
struct Seen {
    dismissed: mpsc::UnboundedReceiver<Dismissal>,
    heard: mpsc::UnboundedReceiver<Down>,
    ended: mpsc::UnboundedReceiver<CancellationToken>,
    written: Arc<AtomicUsize>,
}

fn mirror() -> (Arc<Mirror>, Seen) {
    let (heard, heard_by) = mpsc::unbounded_channel();
    let (ended, ended_by) = mpsc::unbounded_channel();
    let (dismissed, dismissed_by) = mpsc::unbounded_channel();
    let written = Arc::new(AtomicUsize::new(0));
    let mirror = Mirror { dismissed, heard, ended, written: written.clone() };
    let seen = Seen { dismissed: dismissed_by, heard: heard_by, ended: ended_by, written };
    (Arc::new(mirror), seen)
}

impl Endpoints for Mirror {
    async fn hello(&self) -> Hello {
        Hello {
            protocols: PROTOCOLS,
            cluster: None,
            agent: AgentId(uuid::Uuid::from_u128(1)),
            run: RunId(uuid::Uuid::from_u128(3)),
            epoch: Epoch(5),
            hostname: "host".to_owned(),
            boot: "boot".to_owned(),
        }
    }

    fn has_left(&self) -> bool {
        false
    }

    async fn dismissed(&self, why: Dismissal) {
        let _test_is_over = self.dismissed.send(why);
    }

    async fn session(&self, opening: Opening) -> Result<(), Refused> {
        let Opening { open, up, mut down, hang_up } = opening;
        if open.epoch < Epoch(5) {
            return Err(Refused::Epoch(Epoch(5)));
        }
        let (heard, ended) = (self.heard.clone(), self.ended.clone());
        tokio::spawn(async move {
            say(&up, &Up::Inventory(Seq(1), Box::default())).await;
            while let Ok(Some(frame)) = down.recv().await {
                heard.send(frame).expect("the test listens");
                say(&up, &Up::Beat).await;
            }
            let _test_is_over = ended.send(hang_up);
        });
        Ok(())
    }

    async fn logs(&self, request: LogRequest, sink: LogSink) -> Result<(), NoLog> {
        match request.task.as_str() {
            "unknown" => return Err(NoLog::Unknown),
            "broken" => return Err(NoLog::Unable("disk on fire".to_owned())),
            _ => {}
        }
        let written = self.written.clone();
        tokio::spawn(async move {
            for line in 0..request.tail.unwrap_or(u64::MAX) {
                let piece = Bytes::from(format!("{} {line}\n", request.output).repeat(1_000));
                if sink.send(piece).await.is_err() {
                    break;
                }
                written.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(())
    }

    async fn autopsy(&self, request: AutopsyRequest) -> Result<Bytes, NoEvidence> {
        match request.incarnation.0 {
            0 => Err(NoEvidence::Unknown),
            1 => Err(NoEvidence::Unable("disk on fire".to_owned())),
            _ => Ok(Bytes::from(vec![b' '; MAX_BYTES])),
        }
    }
}

async fn say<T: serde::Serialize>(sender: &FrameSender<T>, message: &T) {
    let permit = sender.reserve().await.expect("the other side reads");
    permit.send(message).expect("a short frame");
}

async fn connected() -> (Peer, Seen) {
    let (near, far) = UnixStream::pair().expect("a pair of sockets");
    let (mirror, seen) = mirror();
    tokio::spawn(serve(far, mirror));
    (accept(near).await.expect("a connection"), seen)
}

fn open(epoch: u64) -> Open {
    Open { protocol: 1, cluster: CLUSTER, epoch: Epoch(epoch) }
}

fn log_of(task: &str, tail: Option<u64>) -> LogRequest {
    LogRequest {
        instance: InstanceId(uuid::Uuid::from_u128(9)),
        incarnation: Incarnation(1),
        task: task.to_owned(),
        output: Output::Stdout,
        follow: false,
        tail,
    }
}

#[tokio::test]
async fn an_agent_says_who_it_is_and_frames_go_both_ways() {
    let (peer, mut seen) = connected().await;
    assert_eq!(peer.hello().await.expect("an answer").epoch, Epoch(5));
    let (down, mut up) = peer.session(&open(5)).await.expect("a session");
    assert_eq!(up.recv().await.expect("a frame"), Some(Up::Inventory(Seq(1), Box::default())));
    let spec = SpecKey { app: AppKey(1), version: Version::default() };
    let long = Down::Spec(spec, Bytes::from(vec![b'x'; MAX_SPEC]));
    for frame in [Down::Ack(Seq(7)), long, Down::Synced] {
        say(&down, &frame).await;
        assert_eq!(up.recv().await.expect("a frame"), Some(Up::Beat));
        assert_eq!(seen.heard.recv().await, Some(frame));
    }
    drop(down);
    assert!(seen.ended.recv().await.is_some(), "the agent sees that the leader ended the session");
    assert_eq!(up.recv().await.expect("a clean end"), None);
    assert_eq!(peer.hello().await.expect("the connection stays").epoch, Epoch(5));
}

#[tokio::test]
async fn a_lower_epoch_is_refused_with_the_one_that_counts() {
    let (peer, _seen) = connected().await;
    let refused = peer.session(&open(4)).await.expect_err("a lower epoch");
    assert!(matches!(refused, CallError::Refused(Refused::Epoch(Epoch(5)))), "{refused:?}");
}

#[tokio::test]
async fn logs_come_as_streams_beside_the_session() {
    let (peer, _seen) = connected().await;
    let log = peer.logs(&log_of("_app", Some(3))).await.expect("a log");
    let pieces: Vec<_> = log.map(|piece| piece.expect("no cut")).collect().await;
    let text = String::from_utf8(pieces.concat()).expect("text");
    assert!(text.starts_with("stdout 0\n") && text.ends_with("stdout 2\n"));
    assert_eq!(text.lines().count(), 3_000);

    let unknown = peer.logs(&log_of("unknown", None)).await.expect_err("no log");
    assert!(matches!(unknown, CallError::NoLog(NoLog::Unknown)), "{unknown:?}");
    let broken = peer.logs(&log_of("broken", None)).await.expect_err("no log");
    assert!(
        matches!(&broken, CallError::NoLog(NoLog::Unable(why)) if why == "disk on fire"),
        "{broken:?}"
    );
    let (status, _) = peer.get_stream("/v1/nothing").await.expect("an answer");
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn evidence_of_any_size_comes_whole() {
    let (peer, _seen) = connected().await;
    let of = |life| AutopsyRequest {
        instance: InstanceId(uuid::Uuid::from_u128(9)),
        incarnation: Incarnation(life),
    };
    assert_eq!(peer.autopsy(of(2)).await.expect("the longest").len(), MAX_BYTES);
    let none = peer.autopsy(of(0)).await.expect_err("none");
    assert!(matches!(none, CallError::NoEvidence(NoEvidence::Unknown)), "{none:?}");
    let broken = peer.autopsy(of(1)).await.expect_err("none");
    assert!(
        matches!(&broken, CallError::NoEvidence(NoEvidence::Unable(why)) if why == "disk on fire"),
        "{broken:?}"
    );
}

#[tokio::test]
async fn logs_that_nobody_reads_stop_their_writers_and_not_the_session() {
    let (peer, mut seen) = connected().await;
    let (down, mut up) = peer.session(&open(5)).await.expect("a session");
    up.recv().await.expect("the inventory");
    let mut unread = Vec::new();
    for _ in 0..MAX_LOGS {
        unread.push(peer.logs(&log_of("_app", None)).await.expect("a log"));
    }
    let busy = peer.logs(&log_of("_app", None)).await.expect_err("too many");
    assert!(matches!(busy, CallError::Busy), "{busy:?}");
    // All windows are full once the writers have come to rest.
    let mut before = usize::MAX;
    while before != seen.written.load(Ordering::Relaxed) {
        before = seen.written.load(Ordering::Relaxed);
        for _ in 0..50 {
            say(&down, &Down::Beat).await;
            assert_eq!(up.recv().await.expect("a frame"), Some(Up::Beat));
            assert_eq!(seen.heard.recv().await, Some(Down::Beat));
        }
    }
    assert!(before < 64 * MAX_LOGS as usize, "what is not read is not written: {before}");
    drop(unread);
    peer.logs(&log_of("_app", Some(1))).await.expect("there is room again");
}

#[tokio::test]
async fn either_side_can_hang_up() {
    let (peer, mut seen) = connected().await;
    let (_down, mut up) = peer.session(&open(5)).await.expect("a session");
    up.recv().await.expect("the inventory");
    peer.hang_up();
    peer.gone().await;
    assert!(seen.ended.recv().await.is_some());
    assert!(matches!(peer.hello().await, Err(CallError::Gone(_))));

    let (peer, mut seen) = connected().await;
    let (down, _up) = peer.session(&open(5)).await.expect("a session");
    drop(down);
    seen.ended.recv().await.expect("an end").cancel();
    peer.gone().await;
}

#[tokio::test]
async fn an_agent_that_is_not_taken_is_told_why() {
    let (peer, mut seen) = connected().await;
    let why = Dismissal::Twin { from: "10.0.0.7:4242".to_owned() };
    peer.dismiss(&why).await;
    assert_eq!(seen.dismissed.recv().await, Some(why));
    peer.gone().await;
}

#[tokio::test]
async fn what_asks_nothing_is_no_server() {
    for asks in [true, false] {
        let (near, far) = UnixStream::pair().expect("a pair of sockets");
        let (mirror, _seen) = mirror();
        let serving = tokio::spawn(serve(far, mirror));
        if asks {
            accept(near).await.expect("a connection").hello().await.expect("an answer");
        } else {
            drop(near);
        }
        assert_eq!(serving.await.expect("no panic").asked, asks);
    }
}

#[tokio::test]
async fn an_agent_dials_until_it_is_answered_and_again_when_it_is_cut() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("agents.sock");
    let (mirror, _seen) = mirror();
    let dialler = tokio::spawn(dial(Address::Unix(path.clone()), mirror));
    let listener = UnixListener::bind(&path).expect("a listener");
    for _ in 0..2 {
        let (stream, _) = listener.accept().await.expect("a connection");
        let peer = accept(stream).await.expect("a connection");
        assert_eq!(peer.hello().await.expect("an answer").epoch, Epoch(5));
        peer.hang_up();
    }
    dialler.abort();
}

#[tokio::test]
async fn an_agent_dials_hosts_too() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address").to_string();
    let (mirror, _seen) = mirror();
    let dialler = tokio::spawn(dial(address.parse().expect("an address"), mirror));
    let (stream, _) = listener.accept().await.expect("a connection");
    let peer = accept(stream).await.expect("a connection");
    assert_eq!(peer.hello().await.expect("an answer").epoch, Epoch(5));
    dialler.abort();
}
