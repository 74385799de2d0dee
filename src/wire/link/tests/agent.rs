//! The agent's half of a session.

use super::*;

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
