//! Placement alone on 10,000 agents: a class of 1,000 instances, and one instance alone.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use serde_json::{Value, json};
use stayer::cli::bench::world::{cluster, row};
use stayer::logic::place::Ask;
use stayer::model::id::{AppKey, InstanceId};
use stayer::model::time::Timestamp;
use uuid::Uuid;

const AGENTS: u32 = 10_000;

/// Measures it.
pub fn all(criterion: &mut Criterion) {
    let (world, index) = cluster(AGENTS);
    let constraints = |list: Value| json!({"portDefinitions": [], "constraints": list});
    for (name, fields) in [
        ("plain", constraints(json!([]))),
        ("unique", constraints(json!([["hostname", "UNIQUE"]]))),
        ("group_by", constraints(json!([["rack", "GROUP_BY"]]))),
        ("like", constraints(json!([["rack", "LIKE", "rack-[1-8].*"]]))),
        // With a port, and bound in two ways.
        ("mixed", json!({"constraints": [["rack", "GROUP_BY"], ["hostname", "MAX_PER", "2"]]})),
    ] {
        let row = row("/app", fields).expect("it is well formed");
        let mut group = criterion.benchmark_group(format!("place/{name}"));
        for count in [1_u32, 1_000] {
            let ids: Vec<InstanceId> = (0..count).map(id).collect();
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

fn id(number: u32) -> InstanceId {
    InstanceId(Uuid::from_u64_pair(0, u64::from(number)))
}
