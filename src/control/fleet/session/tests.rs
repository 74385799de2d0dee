//! The leader's half of a session over a real socket, with an agent that does what it should not.

use bytes::Bytes;
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use super::*;
use crate::control::events::Events;
use crate::control::gauges::Gauges;
use crate::model::id::{AgentKey, AppKey, Epoch, InstanceKey, Seq};
use crate::model::row::{Key, Row, Write};
use crate::model::view::View;
use crate::model::world::World;
use crate::store::testing;
use crate::wire::autopsy::{AutopsyRequest, NoEvidence};
use crate::wire::logs::{LogRequest, NoLog};
use crate::wire::message::{Dismissal, Hello, Refused};
use crate::wire::reverse::{Endpoints, LogSink, Opening, accept, serve};

const AGENT: AgentKey = AgentKey(1);
const APP: AppKey = AppKey(1);

/// Wants of this many instances are more than any buffer between the two ends takes.
const INSTANCES: u32 = 20_000;

/// So are this many beats.
const BEATS: u32 = 200_000;

/// Only a test that fails waits for so long.
const DEADLINE: Duration = Duration::from_mins(5);

/// An agent that reads nothing before it has said all it has; then it counts the wants it is sent.
struct Stubborn {
    outcome: std::sync::Mutex<Option<oneshot::Sender<usize>>>,
}

impl Endpoints for Stubborn {
    async fn hello(&self) -> Hello {
        unreachable!("the test opens the session itself")
    }

    fn has_left(&self) -> bool {
        false
    }

    async fn dismissed(&self, why: Dismissal) {
        panic!("turned away: {why}");
    }

    async fn session(&self, opening: Opening) -> Result<(), Refused> {
        let outcome = self.outcome.lock().expect("no panic").take().expect("one session");
        tokio::spawn(async move {
            let Opening { open: _, up, mut down, hang_up: _ } = opening;
            let say = async |frame: &Up| {
                let permit = up.reserve().await.expect("the leader reads");
                permit.send(frame).expect("a short frame");
            };
            say(&Up::Inventory(Seq(1), Box::default())).await;
            for _ in 0..BEATS {
                say(&Up::Beat).await;
            }
            let mut wanted = 0;
            while wanted < INSTANCES as usize {
                match down.recv().await.expect("a frame").expect("the session goes on") {
                    Down::Want(wants) => wanted += wants.len(),
                    Down::Spec(..) | Down::Ack(_) | Down::Synced | Down::Beat => {}
                }
            }
            outcome.send(wanted).expect("the test waits");
        });
        Ok(())
    }

    async fn logs(&self, _: LogRequest, _: LogSink) -> Result<(), NoLog> {
        Err(NoLog::Unknown)
    }

    async fn autopsy(&self, _: AutopsyRequest) -> Result<Bytes, NoEvidence> {
        Err(NoEvidence::Unknown)
    }
}

/// A view of an agent on which much is placed.
fn crowded() -> View {
    let mut world = World::default();
    let mut put = |key, row| world.apply(&Write { key, row: Some(row) });
    put(Key::Agent(AGENT), Row::Agent(Arc::new(testing::agent(AGENT.0))));
    for no in 0..INSTANCES {
        let row = testing::instance(APP.0, no);
        put(Key::Instance(row.key), Row::Instance(Arc::new(row)));
    }
    View { world, ..View::default() }
}

/// Two ends that each wait for the other to read first would wait for ever.
#[tokio::test]
async fn a_leader_with_no_room_to_send_goes_on_reading() {
    let (outcome, wanted) = oneshot::channel();
    let (near, far) = UnixStream::pair().expect("a pair of sockets");
    let stubborn = Stubborn { outcome: std::sync::Mutex::new(Some(outcome)) };
    tokio::spawn(serve(far, Arc::new(stubborn)));

    let (facts, _facts) = mpsc::channel(8);
    let (fleet, _ended) = mpsc::channel(8);
    let (events, told) = mpsc::unbounded_channel();
    let server = Server::new(facts.clone(), Events::new(&Gauges::default()));
    server.publish(crowded(), Vec::new());
    let agent = testing::agent(AGENT.0);
    let instances = (0..INSTANCES).map(|no| InstanceKey { app: APP, no }).collect();
    events.send(SessionEvent::Attached { key: AGENT, instances }).expect("the session listens");
    let session = Session {
        server,
        facts,
        clock: Clock::start(testing::AT),
        open: Open { protocol: 1, cluster: testing::cluster(), epoch: Epoch(1) },
        agent: agent.id,
        run: agent.run,
        number: 1,
        peer: accept(near).await.expect("a connection"),
        events: told,
        fleet,
        sign: Arc::default(),
    };
    tokio::spawn(session.run());
    let wanted = tokio::time::timeout(DEADLINE, wanted).await.expect("the leader reads");
    assert_eq!(wanted.expect("the agent is done"), INSTANCES as usize);
}
