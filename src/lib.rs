//! # Stayer keeps services running
//!
//! It speaks the REST API of Mesosphere's Marathon and needs neither Mesos nor ZooKeeper nor a JVM: one binary is the
//! server, the agent on each host and the command line. This page is the architecture; `README.md` is for users.
//!
//! One sentence: **facts come in, pure logic turns them into row writes, one commit makes these durable, and everybody
//! acts on what is durable.**
//!
//! ```text
//!  people ─ api ─┐                                                ┌─▶ api, metrics, command line
//!                ├─ Fact ─▶ Brain ── Commit ──▶ Store ── durable ─▶ View
//!  agents ─ Link ┘   ▲      (pure)              (log)             └─▶ Want ─▶ Link ═▶ Mind ─▶ Docker, processes
//!                    └─────────────────── Have ◀───────────────────────────── Link ◀══╯ (pure)
//! ```
//!
//! The middle has no I/O, no clock and no randomness: every decision can be replayed, simulated and explained. The edges
//! have no choices.
//!
//! ## Code map: imports point upwards in this list only
//!
//! | layer | folder | what it is |
//! |---|---|---|
//! | 0 | [`model`] | what things are: ids, units, rows, facts, commits, views |
//! | 1 | [`contract`] | how Marathon's JSON speaks, pure: all faults with their paths, legacy forms, defaults, echo |
//! | 1 | [`logic`] | what should happen, pure: `Brain`, `absorb`, `change`, `decide`, `deploy`, `place`, `index` |
//! | 2 | [`store`] | what is remembered, on disk or in etcd: a fenced log of commits |
//! | 2 | [`wire`] | how server and agent talk: messages, both ends of a session as pure state machines, sockets |
//! | 3 | [`agent`] | what runs things on a host: `Mind` (pure) and its hands: Docker, processes, fetch, logs |
//! | 3 | [`control`] | what turns the crank: the brain's thread, the writer, the fleet, the view, the ring of events, those who balance, deploys' questions |
//! | 4 | [`api`], [`cli`] | how programs and people ask: HTTP handlers, verbs |
//!
//! ## Architecture invariants
//!
//! 1. `model`, `contract`, `logic`, `wire::link`, `wire::message` and `agent::mind` are pure: no async, no I/O, no clock,
//!    no randomness, no log, no `HashMap`. `now` is an argument, steady, never behind any row. `tests/tidy.rs` holds it.
//! 2. `Draft::put` is the only way a row changes: it feeds commit, index and dirty marks at once.
//!    `Index::build(&world) == index` after every step of every test.
//! 3. Commit before telling, by construction: agents and clients are served from the durable [`model::view::View`] and
//!    from the events of durable commits alone. There is no outbox to get wrong.
//! 4. `decide` looks at rows and `now`, never at messages: total, deterministic, idempotent. Marking everything dirty at
//!    rest gives no commit.
//! 5. One leader writes: the store compares the epoch in the transaction of every append. Leases only tell others that a
//!    leader is there; that one has ended takes nothing from it until somebody else leads.
//! 6. A record holds at most 512 KiB; a bigger commit takes several and counts when its last is there.
//! 7. The host is the agent's ledger: a sandbox and a container named by instance and incarnation. An existing one is
//!    adopted, none is removed before its end is acknowledged.
//! 8. Absence is never a licence to kill. A row leaves only when its agent has confirmed that nothing is left of it, or an
//!    operator has forgotten that agent; what no row knows is a stray, shown and left alone. An empty or unreadable log
//!    kills nothing.
//! 9. An error from Docker, the store or the network means *unknown*, not *dead*. Every call has a deadline.
//! 10. Everything has a bound: facts waiting, commits in flight, bytes per session. At the bound the sender waits or is
//!     told 503; nothing is dropped.
//!
//! ## A walk: `POST /v2/apps` → running container → deployment done
//!
//! 1. [`api`] takes text, [`contract`] gives a spec or every fault, the handler sends a [`model::fact::Fact::Asked`].
//! 2. `Brain::step`: `logic::change` checks id, ports, circles and locks; puts version, app and deployment rows.
//! 3. Same step, `logic::decide`: the plan's step wants n, 0 exist; no backoff holds; `logic::place` picks agent and
//!    ports and puts instance rows, or keeps a verdict with every reason.
//! 4. The commit goes to the store with whatever else arrived meanwhile. Durable: the view, then the 201, then wants.
//! 5. The agent's session carries the wants, the spec once. `agent::mind` makes the sandbox, pulls, creates, starts;
//!    each change is a have.
//! 6. A have is a fact, a row, a commit, and then acknowledged to the agent.
//! 7. The agent asks its checks; what they find, as far as it changes anything, is a have like any other. The rollout
//!    finds as many healthy as wanted; the part, the step and the deployment are done.
//! 8. One that is to end is out of every answer with that commit; its agent is told once those who balance have asked again
//!    ([`control::audience`]), which comes as a fact, or when its time is over.
//! 9. Nothing arrives? `next_wake` (backoff, overdue launch, unreachable window, deadline, drain) turns the crank.
//!
//! ## Processes
//!
//! `stayer server` is `api`, `logic`, `store` and the leader's half of `wire`; `stayer agent` is `agent` and the other
//! half. The agent dials and then serves on the connection that it dialled, so that no host has an open port. `stayer dev`
//! is both in one process over a unix socket: the same code on the same directories, so either takes over from the other.
//! An agent is its `agent.json`, not its host: several share a machine and an engine, and of two processes with one
//! identity the one that is connected and answers is the agent (`control::fleet::twin`).
//!
//! ## Three machines, one simulator
//!
//! `Brain`, `Link` and `Mind` are plain structs: input with `now` in, output out, `next_wake()`. Shells bring them
//! sockets, disks and clocks; `tests/sim` brings them fakes, crashes them everywhere and checks the truth on the fake
//! host. So there is no ordering logic outside them.

pub mod agent;
pub mod api;
pub mod cli;
pub mod contract;
pub mod control;
pub mod logic;
pub mod model;
pub mod planted;
pub mod store;
pub mod wire;
