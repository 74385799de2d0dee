//! The agent's half of a session over a real socket, with a leader that does what it should not.

use bytes::Bytes;
use tokio::net::UnixStream;

use super::*;
use crate::model::have::{Have, Phase, SpecKey, TaskHave};
use crate::model::id::{
    AppKey, ClusterId, Epoch, Incarnation, InstanceId, InstanceKey, Rev, Version,
};
use crate::wire::autopsy::{AutopsyRequest, NoEvidence};
use crate::wire::link::WINDOW;
use crate::wire::message::{Down, Open, Up};
use crate::wire::reverse::{accept, serve};

const APP: AppKey = AppKey(1);

/// What fills every buffer between the two ends, said at once.
const LONG: usize = 1024 * 1024;

/// How many definitions do.
const TOLD: u32 = 64;

/// Only a test that fails waits for so long.
const DEADLINE: Duration = Duration::from_mins(5);

struct NoLogs;

impl LogReader for NoLogs {
    async fn read(&self, _: LogRequest, _: LogSink) -> Result<(), NoLog> {
        Err(NoLog::Unknown)
    }

    async fn autopsy(&self, _: AutopsyRequest) -> Result<Bytes, NoEvidence> {
        Err(NoEvidence::Unknown)
    }
}

/// An instance that fills a batch by itself.
fn have(no: u32) -> Have {
    let task = TaskHave { task: "x".repeat(MAX_BATCH), phase: Phase::Absent, findings: None };
    Have {
        instance: InstanceId(uuid::Uuid::from_u128(u128::from(no))),
        key: InstanceKey { app: APP, no },
        incarnation: Incarnation(1),
        rev_seen: Rev::default(),
        tasks: vec![task],
    }
}

fn spec(no: u32) -> SpecKey {
    SpecKey { app: AppKey(no), version: Version::default() }
}

/// Two ends that each wait for the other to read first would wait for ever.
#[tokio::test]
async fn an_agent_with_no_room_to_send_goes_on_reading() {
    let home = tempfile::tempdir().expect("a directory");
    let (words, mut heard) = mpsc::channel(8);
    let (_news, told) = mpsc::unbounded_channel();
    let owned = Home::open(home.path()).expect("a new directory");
    let run = RunId(uuid::Uuid::from_u128(3));
    let inventory = Inventory { hostname: "x".repeat(LONG), ..Inventory::default() };
    let desk = Desk::open(owned, run, inventory, Clock::start(), (words, told), NoLogs);
    for no in 0..u32::try_from(WINDOW).expect("a few") {
        desk.shared.link().have(have(no));
    }
    let (near, far) = UnixStream::pair().expect("a pair of sockets");
    tokio::spawn(serve(far, Arc::new(desk)));
    let peer = accept(near).await.expect("a connection");
    let open = Open { protocol: 1, cluster: ClusterId(uuid::Uuid::from_u128(2)), epoch: Epoch(1) };
    let (down, mut up) = peer.session(&open).await.expect("a session");
    assert!(matches!(heard.recv().await, Some(Word::Opened(_))));

    // This leader reads nothing before it has said all it has.
    let definition = Bytes::from(vec![b'x'; MAX_BATCH]);
    let speaks = async {
        for no in 0..TOLD {
            let permit = down.reserve().await.expect("the session goes on");
            permit.send(&Down::Spec(spec(no), definition.clone())).expect("a frame");
        }
    };
    let hears = async {
        for no in 0..TOLD {
            assert!(matches!(heard.recv().await, Some(Word::Spec(key, _)) if key == spec(no)));
        }
    };
    let both = async { tokio::join!(speaks, hears) };
    tokio::time::timeout(DEADLINE, both).await.expect("the agent reads");

    let mut batches = 0;
    while batches < WINDOW {
        let frame = tokio::time::timeout(DEADLINE, up.recv()).await.expect("the agent speaks");
        batches += usize::from(matches!(frame, Ok(Some(Up::Have(..)))));
    }
}
