//! The simulator: production's own brain, link and mind in virtual time, over a fake host, a fake wire and a log in
//! memory, with faults everywhere and the truth asserted on the host (reference: invariants I1 to I19).
//!
//! A seed is a run. `cargo test --profile sim --test sim -- --help` says how to run some, `--seed S --trace` shows one.
//!
//! - `sim`: time and the order in which everybody acts; `faults`, `strike`: what goes wrong.
//! - `server`, `fleet`: the leader, wired as `control` wires it; `agent`, `hands`: an agent, wired as its shell and its
//!   desk wire it; `wire` between them; `client`, `specs`: who asks for what.
//! - `devices`: what hosts have beside processors and memory, and who may hold it.
//! - `probes`: what apps answer to their checks; `health`: what must hold of that.
//! - `history`, `operators`, `truth`, `rest`: what must hold of durable commits, of agents that are emptied, given up or
//!   lost, of hosts, and in the end.
//! - `run`, `planted`: many seeds, and bugs that must be found.

#![expect(clippy::disallowed_macros, reason = "a program for people: it prints")]

mod agent;
mod args;
mod balancers;
mod client;
mod devices;
mod faults;
mod fleet;
mod hands;
mod health;
mod history;
mod operators;
mod planted;
mod probes;
mod rest;
mod rng;
mod run;
mod server;
mod sim;
mod specs;
mod strike;
mod trace;
mod truth;
mod wire;

use std::fs;
use std::panic;
use std::process::ExitCode;
use std::sync::Mutex;

use crate::args::Args;
use crate::faults::Kind;
use crate::run::{Failed, Total};
use crate::trace::Mode;

/// So many failures are shown.
const SHOWN: usize = 3;
/// Fewer seeds say nothing about how often a fault is met.
const ENOUGH: u64 = 1_000;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(text) => {
            println!("{text}");
            return ExitCode::from(2);
        }
    };
    // A violation is told with its seed; a panic is one more kind of it.
    panic::set_hook(Box::new(|_| {}));
    if args.search || args.planted_list {
        let blind = if args.search { planted::search(args.first) } else { planted::run_list() };
        let found = planted::names().len() - blind.len();
        return end(found as u64, blind.len() as u64);
    }
    match args.seed {
        Some(seed) => run_one(seed, &args),
        None => run_many(&args),
    }
}

fn run_one(seed: u64, args: &Args) -> ExitCode {
    let mode = if args.trace { Mode::Live } else { Mode::Last };
    let total = Mutex::new(Total::default());
    let failed = run::one(seed, args.planted.as_deref(), mode, &total);
    if let Some(failed) = &failed {
        show(failed, args);
    }
    end(u64::from(failed.is_none()), u64::from(failed.is_some()))
}

fn run_many(args: &Args) -> ExitCode {
    let mut seeds = regressions();
    seeds.extend(args.first..args.first + args.seeds);
    let bug = args.planted.as_deref();
    let mut total = run::many(&seeds, bug, bug.is_some());
    total.failed.sort_by_key(|failed| failed.seed);
    for failed in total.failed.iter().take(SHOWN) {
        let again = run::one(failed.seed, bug, Mode::Last, &Mutex::new(Total::default()));
        show(again.as_ref().unwrap_or(failed), args);
    }
    for failed in total.failed.iter().skip(SHOWN) {
        println!("seed {}: {}: {}", failed.seed, failed.violation.law, failed.violation.text);
    }
    let runs = total.passed + total.failed.len() as u64;
    let unmet = if bug.is_none() { table(&total, runs) } else { 0 };
    end(total.passed, total.failed.len() as u64 + unmet)
}

/// Every kind of fault with the share of the seeds that met it; gives how many were met too rarely.
fn table(total: &Total, runs: u64) -> u64 {
    println!("{} seeds, {} commits", runs, total.commits);
    let mut unmet = 0;
    for kind in Kind::all() {
        let met = total.met.get(&kind).copied().unwrap_or(0);
        let rare = met * 100 < runs;
        let permille = met * 1_000 / runs.max(1);
        let (whole, tenths) = (permille / 10, permille % 10);
        println!("{kind:<32} {whole:>4}.{tenths} %{}", if rare { "  too rare" } else { "" });
        unmet += u64::from(rare && runs >= ENOUGH);
    }
    unmet
}

fn show(failed: &Failed, args: &Args) {
    for line in &failed.lines {
        println!("{line}");
    }
    println!("seed {} violates {}: {}", failed.seed, failed.violation.law, failed.violation.text);
    let (features, bug) = match &args.planted {
        Some(bug) => (" --features planted", format!(" --planted {bug}")),
        None => ("", String::new()),
    };
    let seed = failed.seed;
    println!(
        "again: cargo test --profile sim{features} --test sim -- --seed {seed} --trace{bug}\n"
    );
}

/// Seeds that failed once; they come first.
fn regressions() -> Vec<u64> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sim/regressions.txt");
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

/// One line in cargo's form.
fn end(passed: u64, failed: u64) -> ExitCode {
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
