//! The leader's half of a session.

use super::*;

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
        drains_until: None,
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
                for spec in wants.iter().filter_map(needs) {
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
        drains_until: None,
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
