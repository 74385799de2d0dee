//! One durable POST beside the least that durability costs: an append of as many bytes, and fdatasync; on etcd a put.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use crate::cli::bench::Bench;
use crate::cli::bench::child::Server;
use crate::cli::bench::etcd::Etcd;
use crate::cli::bench::figures::small_app;
use crate::cli::bench::host::Stopwatch;
use crate::cli::bench::http::Http;
use crate::cli::bench::measure::{Goal, Outcome, Ratio, Round, Spread};
use crate::cli::failure::Failure;

/// Calls in a round.
const CALLS: usize = 100;
/// A page of the file, which is the least that an append costs.
const BYTES: usize = 4_096;
/// About what the commit of a POST has.
const RECORD_BYTES: usize = 1_024;

/// One client, one POST after another. The apps have no instances, so that nothing else happens.
pub async fn post(bench: &Bench) -> Result<Vec<Outcome>, Failure> {
    let server = Server::start(&bench.scratch, &["--no-engine"]).await?;
    let mut http = server.connect().await?;
    let mut rounds = Vec::new();
    for round in 0..bench.rounds(9) {
        let anchor = append(&server.data.join("anchor")).map_err(failed)?;
        rounds.push(Round { anchor, ours: posts(&mut http, round).await? });
    }
    server.stop().await?;
    let what = "one durable POST of an app, one client ÷ append of 4 KiB + fdatasync";
    let how = (Ratio::OursToAnchor, "append");
    Ok(vec![Outcome::ratio(("durable-post", what), "ms", &rounds, how, Goal::AtMost(3.0))])
}

/// The same with the log on etcd, beside bare puts into that etcd.
pub async fn post_on_etcd(bench: &Bench) -> Result<Vec<Outcome>, Failure> {
    let mut etcd = Box::pin(Etcd::start(&bench.scratch)).await?;
    let store = etcd.store("durable");
    let server = Server::start(&bench.scratch, &["--no-engine", "--store", &store]).await?;
    let mut http = server.connect().await?;
    let mut rounds = Vec::new();
    for round in 0..bench.rounds(9) {
        let mut puts = Vec::new();
        for _ in 0..CALLS {
            puts.push(etcd.put(RECORD_BYTES).await?);
        }
        let anchor = Spread::of(puts).median;
        rounds.push(Round { anchor, ours: posts(&mut http, round).await? });
    }
    server.stop().await?;
    let what = "one durable POST of an app on etcd, one client ÷ a bare put of 1 KiB";
    let how = (Ratio::OursToAnchor, "put");
    Ok(vec![Outcome::ratio(("durable-post-etcd", what), "ms", &rounds, how, Goal::AtMost(1.5))])
}

async fn posts(http: &mut Http, round: usize) -> Result<f64, Failure> {
    let mut millis = Vec::new();
    for number in 0..CALLS {
        let app = small_app(&format!("durable-{round}-{number}"), 0);
        let watch = Stopwatch::start();
        http.post("/v2/apps", &app).await?;
        millis.push(watch.millis());
    }
    Ok(Spread::of(millis).median)
}

fn append(file: &Path) -> std::io::Result<f64> {
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    let bytes = vec![7; BYTES];
    let mut millis = Vec::new();
    for _ in 0..CALLS {
        let watch = Stopwatch::start();
        file.write_all(&bytes)?;
        file.sync_data()?;
        millis.push(watch.millis());
    }
    Ok(Spread::of(millis).median)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn failed(error: std::io::Error) -> Failure {
    Failure::Failed(format!("the anchor cannot be written: {error}"))
}
