//! Reads with 10,000 apps beside a bare axum server that answers with the same bytes.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::cli::bench::Bench;
use crate::cli::bench::child::{Helper, Server};
use crate::cli::bench::figures::{small_app, until};
use crate::cli::bench::http::Http;
use crate::cli::bench::load::gets;
use crate::cli::bench::measure::{Goal, Outcome, Ratio, Round};
use crate::cli::failure::Failure;

/// Apps.
const APPS: u32 = 10_000;
/// Apps in one PUT.
const BATCH: u32 = 2_000;
/// Connections, and answers on each, for one app.
const ONE: (usize, usize) = (64, 400);
/// The same for the list.
const LIST: (usize, usize) = (2, 30);

/// One app and the list.
pub async fn both(bench: &Bench) -> Result<Vec<Outcome>, Failure> {
    let server = Server::start(&bench.scratch, &["--no-engine"]).await?;
    let mut http = server.connect().await?;
    fill(&mut http).await?;
    let one = side_by_side(bench, &server, "/v2/apps/app-4711", ONE, 9).await?;
    let list = side_by_side(bench, &server, "/v2/apps", LIST, 5).await?;
    server.stop().await?;
    let how = (Ratio::OursToAnchor, "bare axum");
    let one_what = ("read-app", "GET of one app with 10,000 apps, 64 connections ÷ bare axum");
    let list_what = ("read-list", "GET of all 10,000 apps, 2 connections ÷ bare axum, prebuilt");
    Ok(vec![
        Outcome::ratio(one_what, "/s", &one, how, Goal::AtLeast(0.85)),
        Outcome::ratio(list_what, "/s", &list, how, Goal::AtLeast(0.5)),
    ])
}

async fn fill(http: &mut Http) -> Result<(), Failure> {
    for first in (0..APPS).step_by(BATCH as usize) {
        let apps = (first..first + BATCH).map(|number| small_app(&format!("app-{number}"), 0));
        http.put("/v2/apps", &Value::Array(apps.collect())).await?;
    }
    let over = |answer: &Value| answer.as_array().is_some_and(Vec::is_empty);
    until(http, "/v2/deployments", Duration::from_millis(5), over).await
}

async fn side_by_side(
    bench: &Bench,
    server: &Server,
    path: &str,
    (connections, each): (usize, usize),
    rounds: usize,
) -> Result<Vec<Round>, Failure> {
    let file = bench.scratch.fresh();
    let body = server.connect().await?.get(path).await?.body;
    std::fs::write(&file, body).map_err(|error| Failure::Failed(error.to_string()))?;
    let (_anchor, address) = Helper::anchor(&file).await?;
    let measure = async |address: SocketAddr| gets(address, path, connections, each).await;
    let mut measured = Vec::new();
    for _ in 0..bench.rounds(rounds) {
        let anchor = measure(address).await?;
        measured.push(Round { anchor, ours: measure(server.address).await? });
    }
    Ok(measured)
}
