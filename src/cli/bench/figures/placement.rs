//! Placement alone: the scan and the choice on 10,000 agents, on one core, without a store or a socket.

use serde_json::json;

use crate::cli::bench::Bench;
use crate::cli::bench::host::Stopwatch;
use crate::cli::bench::measure::{Goal, Outcome};
use crate::cli::bench::world::{cluster, row};
use crate::cli::failure::Failure;
use crate::logic::index::Index;
use crate::logic::place::Ask;
use crate::model::app::AppVersion;
use crate::model::id::{AppKey, InstanceId, InstanceKey};
use crate::model::time::Timestamp;
use crate::model::world::World;

const AGENTS: u32 = 10_000;

/// Apps and the instances of each.
const PLAIN: (u32, u32) = (10, 10_000);
const MIXED: (u32, u32) = (500, 200);

/// Plain: big apps of one size. Mixed: many apps of many sizes, each with a port; each finds its exact best fit. Unique
/// and group: the plain ones again, one instance to a host and evenly over 100 racks.
pub fn alone(bench: &Bench) -> Result<Vec<Outcome>, Failure> {
    let big = |constraints: serde_json::Value| json!({"cpus": 0.1, "mem": 128, "portDefinitions": [], "constraints": constraints});
    let plain_rows = rows(PLAIN.0, |_| big(json!([])))?;
    let unique_rows = rows(PLAIN.0, |_| big(json!([["hostname", "UNIQUE"]])))?;
    let group_rows = rows(PLAIN.0, |_| big(json!([["rack", "GROUP_BY"]])))?;
    let mixed_rows = rows(MIXED.0, |number| {
        let (cpus, mem) = (f64::from(number % 20 + 1) * 0.05, (number % 33 + 1) * 32);
        json!({"cpus": cpus, "mem": mem, "disk": number % 7 * 10})
    })?;
    let (mut plain, mut mixed, mut unique, mut group) = (vec![], vec![], vec![], vec![]);
    let (world, index) = cluster(AGENTS);
    for _ in 0..bench.rounds(5) {
        plain.push(rate(&world, index.clone(), &plain_rows, PLAIN.1)?);
        mixed.push(rate(&world, index.clone(), &mixed_rows, MIXED.1)?);
        unique.push(rate(&world, index.clone(), &unique_rows, PLAIN.1)?);
        group.push(rate(&world, index.clone(), &group_rows, PLAIN.1)?);
    }
    let one = ("place-plain", "placement alone, 10,000 agents, apps of 10,000 equal instances");
    let two = ("place-mixed", "the same, exact best fit, 500 sizes of 200 instances with a port");
    let three = ("place-unique", "the same as plain, hostname UNIQUE");
    let four = ("place-group-by", "the same as plain, GROUP_BY over 100 racks");
    Ok(vec![
        Outcome::absolute(one, "/s", plain, Goal::AtLeast(1_000_000.0)),
        Outcome::absolute(two, "/s", mixed, Goal::AtLeast(250_000.0)),
        Outcome::absolute(three, "/s", unique, Goal::AtLeast(1_000_000.0)),
        Outcome::absolute(four, "/s", group, Goal::AtLeast(500_000.0)),
    ])
}

/// Places all apps, one after another, and holds what they take; placements a second.
fn rate(world: &World, mut index: Index, rows: &[AppVersion], each: u32) -> Result<f64, Failure> {
    let now = Timestamp::from_millis(0);
    let ids: Vec<InstanceId> =
        (0..each).map(|no| InstanceId(uuid::Uuid::from_u64_pair(0, u64::from(no)))).collect();
    let watch = Stopwatch::start();
    let mut placed = 0;
    for (number, row) in (1..).zip(rows) {
        let app = AppKey(number);
        let places = Ask::of(world, &index, app, row, now).place(&ids, None).places;
        for (no, place) in (0..).zip(&places) {
            index.agents.hold(InstanceKey { app, no }, place);
            index.pool.hold(place);
        }
        placed += places.len();
    }
    let seconds = watch.seconds();
    if placed < rows.len() * ids.len() {
        return Err(Failure::Failed(format!("only {placed} instances were placed")));
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of placements")]
    Ok(placed as f64 / seconds)
}

fn rows(count: u32, of: impl Fn(u32) -> serde_json::Value) -> Result<Vec<AppVersion>, Failure> {
    let rows = (0..count).map(|number| row(&format!("/app-{number}"), of(number)));
    rows.collect::<Result<_, _>>().map_err(|refused| Failure::Failed(refused.to_string()))
}
