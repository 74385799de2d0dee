//! One step of the brain: an app is posted into a world with 10,000 apps that run.

use std::collections::VecDeque;

use criterion::{BatchSize, Criterion};
use serde_json::json;
use stayer::cli::bench::world::{inventory, spec};
use stayer::logic::brain::Brain;
use stayer::logic::draft::Limits;
use stayer::model::agent::GpuScheduling;
use stayer::model::brake::Brake;
use stayer::model::fact::{Announce, Caller, Change, Expect, Fact, How, Put, Ticket};
use stayer::model::id::{AgentId, AgentKey, AppKey, ClusterId, CommitNo, Epoch, RunId, Seq};
use stayer::model::meta::Meta;
use stayer::model::time::{Span, Timestamp};
use stayer::model::world::World;
use uuid::Uuid;

const APPS: u32 = 10_000;
const AGENTS: u32 = 100;

/// Measures it.
pub fn all(criterion: &mut Criterion) {
    let mut brain = full();
    let mut now = begin();
    let mut next = APPS;
    criterion.bench_function("brain/post", |bencher| {
        bencher.iter_batched(
            || {
                next += 1;
                now = now + Span::millis(1);
                (now, VecDeque::from([post(next)]))
            },
            |(now, mut facts)| settle(&mut brain, now, &mut facts),
            BatchSize::SmallInput,
        );
    });
}

fn full() -> Brain {
    let meta = Meta {
        cluster: ClusterId(Uuid::from_u128(7)),
        next_app: AppKey(1),
        next_agent: AgentKey(1),
        next_id: 0,
        brake: Brake::default(),
        gpu_scheduling: GpuScheduling::default(),
    };
    let world = World { meta: Some(meta), ..World::default() };
    let mut brain = Brain::load(world, Epoch(1), CommitNo(0), begin(), Limits::default());
    let attach = |number: u32| {
        let id = Uuid::from_u128(u128::from(number));
        let (agent, run) = (AgentId(id), RunId(id));
        let ticket = Ticket::Agent(agent, run, Seq(0));
        Fact::Attached { ticket, agent, run, inventory: inventory(number) }
    };
    let mut facts: VecDeque<Fact> = (1..=AGENTS).map(attach).collect();
    settle(&mut brain, begin(), &mut facts);
    let mut facts: VecDeque<Fact> = (1..=APPS).map(post).collect();
    settle(&mut brain, begin(), &mut facts);
    assert_eq!(brain.world().instances.len(), APPS as usize);
    brain
}

fn begin() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

fn post(number: u32) -> Fact {
    let spec = spec(&format!("/app-{number}"), json!({"cpus": 0.001, "mem": 1}));
    let spec = spec.expect("it is well formed");
    let change =
        Change::Put { apps: vec![Put { spec, expect: Expect::None }], announce: Announce::No };
    let ticket = Ticket::Client(u64::from(number));
    Fact::Asked { ticket, who: Caller::default(), change, how: How::default() }
}

/// Takes steps until nothing is left to do now.
fn settle(brain: &mut Brain, now: Timestamp, facts: &mut VecDeque<Fact>) {
    while let Some(commit) = brain.step(now, facts) {
        brain.durable(commit.no);
    }
}
