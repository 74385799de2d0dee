//! Placement alone on 10,000 agents: a class of 1,000 instances, and one instance alone.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use serde_json::{Value, json};
use stayer::logic::index::Index;
use stayer::logic::place::Ask;
use stayer::model::agent::{Agent, AgentState};
use stayer::model::id::{AgentId, AgentKey, AppKey, InstanceId, RunId};
use stayer::model::row::{Key, Row, Write};
use stayer::model::time::Timestamp;
use stayer::model::world::World;
use uuid::Uuid;

use crate::world::{inventory, row};

const AGENTS: u32 = 10_000;

/// Measures it.
pub fn all(criterion: &mut Criterion) {
    let (world, index) = cluster();
    let constraints = |list: Value| json!({"portDefinitions": [], "constraints": list});
    for (name, fields) in [
        ("plain", constraints(json!([]))),
        ("unique", constraints(json!([["hostname", "UNIQUE"]]))),
        ("group_by", constraints(json!([["rack", "GROUP_BY"]]))),
        ("like", constraints(json!([["rack", "LIKE", "rack-[1-8].*"]]))),
        // With a port, and bound in two ways.
        ("mixed", json!({"constraints": [["rack", "GROUP_BY"], ["hostname", "MAX_PER", "2"]]})),
    ] {
        let row = row(fields);
        let mut group = criterion.benchmark_group(format!("place/{name}"));
        for count in [1_u32, 1_000] {
            let ids: Vec<InstanceId> = (0..count).map(|no| id(0, no)).map(InstanceId).collect();
            group.throughput(Throughput::Elements(u64::from(count)));
            group.bench_function(format!("{count}"), |bencher| {
                bencher.iter(|| {
                    let now = Timestamp::from_millis(0);
                    let ask = Ask::of(&world, &index, AppKey(1), &row, now);
                    let placed = ask.place(black_box(&ids), None);
                    assert_eq!(placed.places.len(), ids.len());
                    placed
                });
            });
        }
        group.finish();
    }
}

fn cluster() -> (World, Index) {
    let mut world = World::default();
    for number in 1..=AGENTS {
        let key = AgentKey(number);
        let agent = Agent {
            key,
            id: AgentId(id(1, number)),
            run: RunId(id(1, number)),
            state: AgentState::Up,
            inventory: inventory(number),
            foreign: BTreeMap::new(),
            drain: None,
        };
        world.apply(&Write { key: Key::Agent(key), row: Some(Row::Agent(Arc::new(agent))) });
    }
    let index = Index::build(&world);
    (world, index)
}

fn id(of: u64, number: u32) -> Uuid {
    Uuid::from_u64_pair(of, u64::from(number))
}
