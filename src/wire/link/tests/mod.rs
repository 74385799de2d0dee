//! Rules of a session, each on its own; `agree` throws everything at both ends at once.

mod agree;
mod rig;

use std::collections::BTreeSet;

use crate::model::condition::Condition;
use crate::model::fact::{Fact, Loss, Ticket};
use crate::model::have::{SpecKey, WantGoal};
use crate::model::id::{ClusterId, Epoch, Incarnation, Rev, RunId, Seq};
use crate::model::instance::{Goal, StopWhy};
use crate::model::row::{Key, Write};
use crate::model::time::{Span, Timestamp};
use crate::wire::link::agent::{AgentLink, Session};
use crate::wire::link::leader::{ATTACH, LeaderLink, Over, open_for};
use crate::wire::link::liveness::Liveness;
use crate::wire::link::want::{want_in, want_of};
use crate::wire::link::{MAX_BATCH, WINDOW, encoded_size};
use crate::wire::message::{Down, Leaving, Open, PROTOCOLS, Refused, Up};
use rig::{
    AGENT, CLUSTER, KEY, RUN, absent, agent, exited, id, instance, key, open, preparing, running,
    version, world,
};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A session of an agent that has told all its host has.
fn session(agent: &mut AgentLink) -> Session {
    agent.complete();
    let stored = agent.open(&open(1)).expect("a new leader");
    agent.opened(at(0), stored).expect("still the newest")
}

fn pull_all(agent: &mut AgentLink, session: Session) -> Vec<Up> {
    std::iter::from_fn(|| agent.pull(at(0), session, MAX_BATCH)).collect()
}

/// A leader's link that has its key.
fn attached(world: &crate::model::world::World) -> LeaderLink {
    let mut leader = LeaderLink::new(AGENT, RUN, at(0));
    leader.up(at(0), Up::Inventory(Seq(1), Box::new(rig::inventory())));
    leader.attached(KEY, world.instances.iter().map(|(key, _)| *key).collect());
    leader.facts();
    leader
}

fn send_all(leader: &mut LeaderLink, world: &crate::model::world::World) -> Vec<Down> {
    std::iter::from_fn(|| leader.pull(at(0), world, MAX_BATCH)).collect()
}

// === the agent's half ===

#[test]
fn an_agent_asks_for_many_definitions_at_once() {
    let mut agent = agent();
    let session = session(&mut agent);
    pull_all(&mut agent, session);
    for no in 1..=2_000 {
        agent.need_spec(SpecKey { app: key(1).app, version: version(no) });
    }
    let asked = pull_all(&mut agent, session).into_iter().map(|frame| match frame {
        Up::NeedSpecs(specs) => specs.len(),
        other => panic!("{other:?}"),
    });
    assert_eq!(asked.collect::<Vec<_>>(), [1_024, 976]);
}

#[test]
fn an_agent_says_what_it_is_then_all_it_has_then_that_this_was_all() {
    let mut agent = agent();
    agent.have(running(1, 1));
    agent.have(exited(2, 1, 0));
    agent.have(absent(3, 1));
    let session = session(&mut agent);
    let said = pull_all(&mut agent, session);
    let [Up::Inventory(..), Up::Have(Seq(1), haves), Up::Synced(left)] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert_eq!(*haves, [running(1, 1), exited(2, 1, 0), absent(3, 1)]);
    assert_eq!(*left, [(key(1), id(1)), (key(2), id(2))]);
}

#[test]
fn a_changed_offer_reaches_the_leader_in_the_open_session() {
    let mut agent = agent();
    let session = session(&mut agent);
    pull_all(&mut agent, session);
    let same = agent.inventory().clone();
    agent.offer(same.clone());
    assert_eq!(pull_all(&mut agent, session), [], "the same is not told again");
    let engine = crate::model::agent::Engine {
        name: "Docker".to_owned(),
        version: "28".to_owned(),
        api: "1.51".to_owned(),
    };
    let changed = crate::model::agent::Inventory { engine: Some(engine), ..same };
    agent.offer(changed.clone());
    let said = pull_all(&mut agent, session);
    assert_eq!(said, [Up::Inventory(Seq(2), Box::new(changed.clone()))]);
    let mut leader = attached(&world().rows);
    leader.up(at(1), said[0].clone());
    let told = leader.facts();
    assert!(
        matches!(&told[..], [Fact::Attached { inventory, .. }] if *inventory == changed),
        "{told:?}"
    );
    // One that was overtaken on its way, or comes twice, is not what is offered now.
    leader.up(at(2), Up::Inventory(Seq(1), Box::new(rig::inventory())));
    leader.up(at(2), said[0].clone());
    assert_eq!(leader.facts(), []);
}

#[test]
fn an_agent_does_not_claim_to_have_said_all_before_its_host_was_listed() {
    let mut agent = agent();
    agent.have(running(1, 1));
    let stored = agent.open(&open(1)).expect("a new leader");
    let session = agent.opened(at(0), stored).expect("still the newest");
    assert!(!pull_all(&mut agent, session).iter().any(|frame| matches!(frame, Up::Synced(_))));
    agent.have(running(2, 1));
    agent.complete();
    let said = pull_all(&mut agent, session);
    assert!(matches!(said.as_slice(), [Up::Have(_, _), Up::Synced(left)] if left.len() == 2));
}

#[test]
fn what_is_not_acknowledged_is_said_again_under_a_new_number() {
    let mut agent = agent();
    agent.have(exited(1, 1, 7));
    let first = session(&mut agent);
    assert_eq!(pull_all(&mut agent, first)[1], Up::Have(Seq(1), vec![exited(1, 1, 7)]));
    agent.closed(first);
    let second = session(&mut agent);
    assert_eq!(pull_all(&mut agent, second)[1], Up::Have(Seq(2), vec![exited(1, 1, 7)]));
    agent.down(at(0), second, Down::Ack(Seq(1)));
    assert!(agent.take_acked().is_empty(), "the batch of the session before acknowledges nothing");
    agent.down(at(0), first, Down::Ack(Seq(2)));
    assert!(agent.take_acked().is_empty(), "the session before is over");
    agent.down(at(0), second, Down::Ack(Seq(2)));
    assert_eq!(agent.take_acked(), [(id(1), Incarnation(1))]);
}

#[test]
fn states_coalesce_but_an_end_waits_for_its_acknowledgement() {
    let mut agent = agent();
    let session = session(&mut agent);
    pull_all(&mut agent, session);
    agent.have(preparing(1, 1));
    agent.have(running(1, 1));
    agent.have(exited(1, 1, 3));
    agent.have(absent(1, 1));
    agent.have(preparing(1, 2));
    agent.have(running(1, 2));
    let said = pull_all(&mut agent, session);
    assert_eq!(said, [Up::Have(Seq(1), vec![exited(1, 1, 3), running(1, 2)])]);
    agent.down(at(0), session, Down::Ack(Seq(1)));
    assert_eq!(agent.take_acked(), [(id(1), Incarnation(1))]);
    assert_eq!(pull_all(&mut agent, session), [Up::Have(Seq(2), vec![absent(1, 1)])]);
    agent.down(at(0), session, Down::Ack(Seq(2)));
    agent.have(running(1, 2));
    assert!(pull_all(&mut agent, session).is_empty(), "nothing new, nothing said");
}

#[test]
fn an_end_in_flight_is_not_forgotten_for_the_next_life() {
    let mut agent = agent();
    agent.have(exited(1, 1, 3));
    let first = session(&mut agent);
    pull_all(&mut agent, first);
    agent.have(running(1, 2));
    pull_all(&mut agent, first);
    agent.closed(first);
    let second = session(&mut agent);
    let said = pull_all(&mut agent, second);
    assert_eq!(said[1], Up::Have(Seq(3), vec![exited(1, 1, 3), running(1, 2)]));
}

#[test]
fn a_slow_leader_costs_no_memory() {
    let mut agent = agent();
    let session = session(&mut agent);
    pull_all(&mut agent, session);
    for round in 1..=100 {
        agent.have(running(1, round));
        pull_all(&mut agent, session);
    }
    // After a window of batches only the newest state waits.
    let window = Seq(u64::try_from(WINDOW).expect("small"));
    agent.down(at(0), session, Down::Ack(window));
    let said = pull_all(&mut agent, session);
    assert_eq!(said, [Up::Have(window.next(), vec![running(1, 100)])]);
}

#[test]
fn older_wants_are_ignored_i12() {
    let mut agent = agent();
    let session = session(&mut agent);
    let mut world = world();
    world.put(instance(1, 5));
    let newer = want_in(&world.rows, key(1), KEY).expect("it lives");
    let older = crate::model::have::Want { rev: Rev::default(), ..newer.clone() };
    agent.down(at(0), session, Down::Want(vec![newer.clone()]));
    agent.down(at(0), session, Down::Want(vec![older]));
    assert_eq!(agent.take_wants(), [newer]);
}

#[test]
fn lower_epochs_and_other_clusters_are_refused() {
    let mut agent = agent();
    let old = agent.open(&open(4)).expect("a new leader");
    let new = agent.open(&open(5)).expect("a newer leader");
    assert_eq!((new.epoch, new.cluster), (Epoch(5), CLUSTER));
    assert_eq!(agent.open(&open(4)), Err(Refused::Epoch(Epoch(5))));
    assert_eq!(agent.opened(at(0), old), Err(Refused::Epoch(Epoch(5))), "overtaken on the disk");
    let first = agent.opened(at(0), new).expect("the newest");
    let again = agent.open(&open(5)).expect("the same leader over a new connection");
    let second = agent.opened(at(0), again).expect("the newest");
    assert_eq!(agent.session(), Some(second));
    assert_eq!(agent.pull(at(9_000), first, MAX_BATCH), None, "the session before is over");
    let other = ClusterId(uuid::Uuid::from_u128(99));
    let foreign = Open { cluster: other, ..open(6) };
    assert_eq!(agent.open(&foreign), Err(Refused::Cluster(CLUSTER)));
    let future = Open { protocol: PROTOCOLS.end() + 1, ..open(6) };
    assert_eq!(agent.open(&future), Err(Refused::Protocol(PROTOCOLS)));
    assert_eq!(agent.hello().epoch, Epoch(5));
}

#[test]
fn a_leader_knows_beforehand_what_would_be_refused() {
    let mut agent = agent();
    assert_eq!(open_for(&agent.hello(), CLUSTER, Epoch(3)), Ok(open(3)));
    let _stored = agent.open(&open(3)).expect("a new leader");
    assert_eq!(open_for(&agent.hello(), CLUSTER, Epoch(2)), Err(Refused::Epoch(Epoch(3))));
    let other = ClusterId(uuid::Uuid::from_u128(99));
    assert_eq!(open_for(&agent.hello(), other, Epoch(3)), Err(Refused::Cluster(CLUSTER)));
    let mut hello = agent.hello();
    hello.protocols = 7..=9;
    assert_eq!(open_for(&hello, CLUSTER, Epoch(3)), Err(Refused::Protocol(7..=9)));
}

#[test]
fn an_agent_drops_a_leader_that_is_silent_for_ten_seconds() {
    let mut agent = agent();
    let session = session(&mut agent);
    agent.down(at(500), session, Down::Beat);
    let mut beats = 0;
    let mut end = at(0);
    while let Some(wake) = agent.next_wake() {
        beats += usize::from(agent.pull(wake, session, MAX_BATCH) == Some(Up::Beat));
        agent.tick(wake);
        end = wake;
    }
    assert_eq!(end, at(10_500));
    assert!(beats >= 8, "it says something every second: {beats}");
}

#[test]
fn an_agent_that_leaves_says_so_and_opens_nothing_more() {
    let mut agent = agent();
    let session = session(&mut agent);
    agent.leave(Leaving::Restart);
    assert_eq!(pull_all(&mut agent, session), [Up::Leaving(Leaving::Restart)]);
    assert!(matches!(agent.open(&open(2)), Err(Refused::Unable(_))));
}

#[test]
fn both_have_said_all_once_per_session() {
    let mut agent = agent();
    let session = session(&mut agent);
    agent.down(at(0), session, Down::Synced);
    assert!(!agent.is_synced() && !agent.take_synced(), "the agent itself has not");
    pull_all(&mut agent, session);
    assert!(agent.is_synced() && agent.take_synced());
    agent.down(at(0), session, Down::Synced);
    assert!(agent.is_synced() && !agent.take_synced(), "known already");
    agent.closed(session);
    assert!(!agent.is_synced());
}

// === the leader's half ===

#[test]
fn wants_follow_from_rows() {
    let grace = Span::secs(9);
    let mut row = instance(1, 5);
    let want = want_of(&row, grace, KEY).expect("it lives");
    assert_eq!(
        (want.rev, want.incarnation, want.instance),
        (Rev::default(), row.incarnation, row.id)
    );
    assert!(matches!(want.goal, WantGoal::Run { version: wanted, .. } if wanted == version(5)));
    assert_eq!(want_of(&row, grace, crate::model::id::AgentKey(8)), None, "on another agent");

    row.goal = Goal::Stop {
        then: crate::model::instance::Then::Leave,
        why: StopWhy::Upgrade,
        since: at(0),
    };
    let want = want_of(&row, grace, KEY).expect("it lives");
    assert_eq!(want.goal, WantGoal::Stop { grace, why: StopWhy::Upgrade });
    row.tasks[0].condition = Condition::UnreachableInactive;
    assert!(want_of(&row, grace, KEY).is_some(), "it may be back, and must stop then");
    row.tasks[0].condition = Condition::Killed;
    assert_eq!(want_of(&row, grace, KEY), None, "over");
    let mut waiting = instance(1, 5);
    waiting.incarnation = Incarnation(0);
    assert_eq!(want_of(&waiting, grace, KEY), None, "never launched");
}

#[test]
fn a_definition_goes_before_the_first_want_that_names_it_and_once() {
    let mut world = world();
    for no in 1..=300 {
        world.put(instance(no, 1 + no % 3));
    }
    let mut leader = attached(&world.rows);
    let mut known = BTreeSet::new();
    let mut wanted = 0;
    let said = send_all(&mut leader, &world.rows);
    for frame in &said {
        match frame {
            Down::Spec(key, _) => assert!(known.insert(*key), "{key:?} twice"),
            Down::Want(wants) => {
                assert!(encoded_size(wants) <= MAX_BATCH + 8);
                wanted += wants.len();
                for spec in wants.iter().filter_map(super::want::needs) {
                    assert!(known.contains(&spec), "{spec:?} is not known");
                }
            }
            Down::Ack(_) | Down::Synced | Down::Beat => {}
        }
    }
    assert_eq!((known.len(), wanted, said.last()), (3, 300, Some(&Down::Synced)));
    world.put(instance(301, 2));
    leader.changed([key(301)]);
    assert!(matches!(send_all(&mut leader, &world.rows).as_slice(), [Down::Want(_)]));
    leader.up(at(0), Up::NeedSpecs(vec![SpecKey { app: key(1).app, version: version(2) }]));
    assert!(matches!(send_all(&mut leader, &world.rows).as_slice(), [Down::Spec(_, _)]));
    leader.up(at(0), Up::NeedSpecs(vec![SpecKey { app: key(1).app, version: version(99) }]));
    assert!(send_all(&mut leader, &world.rows).is_empty(), "there is no such definition");
}

#[test]
fn frames_hold_what_the_budget_allows_and_at_least_one_want() {
    let mut world = world();
    (1..=50).for_each(|no| world.put(instance(no, 1)));
    let mut leader = attached(&world.rows);
    let frames = std::iter::from_fn(|| leader.pull(at(0), &world.rows, 1));
    let sizes: Vec<usize> = frames
        .filter_map(|frame| if let Down::Want(wants) = frame { Some(wants.len()) } else { None })
        .collect();
    assert_eq!(sizes, [1; 50]);
}

#[test]
fn an_outbox_is_read_when_it_is_sent() {
    let mut world = world();
    world.put(instance(1, 1));
    let mut leader = attached(&world.rows);
    send_all(&mut leader, &world.rows);
    leader.changed([key(1), key(2)]);
    let mut row = instance(1, 1);
    row.goal = Goal::Stop {
        then: crate::model::instance::Then::Leave,
        why: StopWhy::Killed,
        since: at(0),
    };
    world.put(row);
    leader.changed([key(1)]);
    let said = send_all(&mut leader, &world.rows);
    let [Down::Want(wants)] = said.as_slice() else { panic!("{said:?}") };
    assert!(matches!(wants.as_slice(), [want] if matches!(want.goal, WantGoal::Stop { .. })));
}

#[test]
fn haves_are_acknowledged_when_they_are_durable_and_not_before() {
    let world = world().rows;
    let mut leader = LeaderLink::new(AGENT, RUN, at(0));
    leader.up(at(0), Up::Inventory(Seq(1), Box::new(rig::inventory())));
    leader.up(at(0), Up::Have(Seq(7), vec![running(1, 1)]));
    leader.up(at(0), Up::Have(Seq(8), vec![running(2, 1)]));
    let facts = leader.facts();
    assert!(
        matches!(facts.as_slice(), [Fact::Attached { ticket: Ticket::Agent(_, _, ATTACH), .. }]),
        "without its key it is not said what the agent has: {facts:?}"
    );
    leader.attached(KEY, BTreeSet::new());
    let tickets = leader.facts().into_iter().map(|fact| match fact {
        Fact::Has { ticket: Ticket::Agent(AGENT, RUN, seq), agent: KEY, .. } => seq,
        other => panic!("{other:?}"),
    });
    assert_eq!(tickets.collect::<Vec<_>>(), [Seq(7), Seq(8)]);
    assert_eq!(send_all(&mut leader, &world), [Down::Synced]);
    leader.answered(RUN, Seq(3));
    leader.answered(RunId(uuid::Uuid::from_u128(99)), Seq(7));
    leader.answered(RUN, Seq(8));
    assert!(send_all(&mut leader, &world).is_empty(), "7 is not durable");
    leader.answered(RUN, Seq(7));
    assert_eq!(send_all(&mut leader, &world), [Down::Ack(Seq(8))]);
}

#[test]
fn the_core_is_told_when_both_have_said_all() {
    let mut world = world();
    world.put(instance(1, 1));
    let mut leader = attached(&world.rows);
    leader.up(at(0), Up::Synced(vec![(key(1), id(1))]));
    assert!(leader.facts().is_empty(), "the wants were not sent");
    send_all(&mut leader, &world.rows);
    let facts = leader.facts();
    let expected = Fact::Synced { agent: KEY, instances: vec![(key(1), id(1))] };
    assert_eq!(facts, [expected]);
    leader.up(at(0), Up::Synced(Vec::new()));
    assert!(leader.facts().is_empty(), "once in a session");
}

#[test]
fn a_doubled_batch_changes_nothing_and_a_hole_ends_the_session() {
    let world = world().rows;
    let mut leader = attached(&world);
    leader.up(at(0), Up::Have(Seq(1), vec![running(1, 1)]));
    leader.up(at(0), Up::Have(Seq(1), vec![running(1, 1)]));
    assert_eq!(leader.facts().len(), 1);
    leader.up(at(0), Up::Have(Seq(3), vec![running(1, 2)]));
    assert_eq!(leader.over(), Some(Over::Hole(Seq(2))));
    assert!(leader.facts().is_empty() && leader.next_wake().is_none());
    let mut stranger = LeaderLink::new(AGENT, RUN, at(0));
    stranger.up(at(0), Up::Have(Seq(1), Vec::new()));
    assert_eq!(stranger.over(), Some(Over::NotIntroduced));
}

#[test]
fn an_agent_that_does_not_wait_is_cut_off() {
    let mut leader = LeaderLink::new(AGENT, RUN, at(0));
    leader.up(at(0), Up::Inventory(Seq(1), Box::new(rig::inventory())));
    for seq in 1..1_000 {
        leader.up(at(0), Up::Have(Seq(seq), Vec::new()));
    }
    assert_eq!(leader.over(), Some(Over::Flood));
}

#[test]
fn four_silent_seconds_end_a_session_and_its_loss_is_told_after_it() {
    let world = world().rows;
    let mut leader = attached(&world);
    assert_eq!(leader.next_wake(), Some(at(1_000)));
    assert_eq!(leader.pull(at(1_000), &world, MAX_BATCH), Some(Down::Synced));
    for tick in 1..4 {
        leader.tick(at(tick * 1_000));
    }
    assert!(leader.over().is_none());
    leader.tick(at(4_000));
    assert_eq!(leader.over(), Some(Over::Silent));
    assert!(leader.facts().is_empty(), "whoever has dialled anew meanwhile is not lost");
    assert_eq!(leader.closed().tick(at(4_001)), Some(Loss::Silence));
}

#[test]
fn a_leader_that_slept_listens_before_it_judges() {
    let world = world().rows;
    let mut leader = attached(&world);
    leader.tick(at(1_000));
    leader.tick(at(120_000));
    assert!(leader.over().is_none());
    leader.up(at(120_001), Up::Beat);
    assert_eq!(leader.closed(), Liveness::of_agent(at(120_001)));
}

#[test]
fn a_cut_connection_is_no_loss_and_leaving_is_what_it_says() {
    let world = world().rows;
    let mut cut = attached(&world);
    cut.up(at(0), Up::Beat);
    let mut liveness = cut.closed();
    assert_eq!(liveness.tick(at(500)), None);

    let mut restart = attached(&world);
    restart.up(at(0), Up::Leaving(Leaving::Restart));
    assert!(restart.facts().is_empty());
    assert_eq!(restart.over(), Some(Over::Left(Leaving::Restart)));
    let mut liveness = restart.closed();
    assert!((1..60).all(|second| liveness.tick(at(second * 1_000)).is_none()));
    assert_eq!(liveness.tick(at(60_000)), Some(Loss::Silence));

    let mut shutdown = attached(&world);
    shutdown.up(at(0), Up::Leaving(Leaving::Shutdown));
    assert!(shutdown.facts().is_empty());
    assert_eq!(shutdown.closed().tick(at(1)), Some(Loss::Shutdown));
}

#[test]
fn who_is_given_up_has_no_session_and_may_join_anew() {
    let mut world = world().rows;
    let mut leader = attached(&world);
    send_all(&mut leader, &world);
    world.apply(&Write { key: Key::Agent(KEY), row: None });
    assert_eq!(leader.pull(at(1), &world, MAX_BATCH), None);
    assert_eq!(leader.over(), Some(Over::Forgotten));
}

#[test]
fn a_leader_with_nothing_to_say_beats() {
    let world = world().rows;
    let mut leader = attached(&world);
    send_all(&mut leader, &world);
    assert_eq!(leader.pull(at(999), &world, MAX_BATCH), None);
    assert_eq!(leader.pull(at(1_000), &world, MAX_BATCH), Some(Down::Beat));
    assert_eq!(leader.pull(at(1_001), &world, MAX_BATCH), None);
}
