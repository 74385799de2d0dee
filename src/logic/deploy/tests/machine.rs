//! On the way to the end: steps, holds, analyses, promotion, and that no move goes below the target.

use proptest::prelude::{Just, ProptestConfig, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::rig::{blue_green, canary, is_paused, judged, measured, percent, plan, second, serving};
use crate::logic::tests::rig::{Rig, app, with_cmd};
use crate::model::deploy::{Amount, Cause, Ending, Finding, Phase, Plan, State, Strategy};
use crate::model::deployment::OnFailure;
use crate::model::fact::{Answer, Steer};
use crate::model::time::Span;

/// U28: the new app grows step by step, the old one shrinks by as many and is removed in the end.
#[test]
fn blue_green_goes_step_by_step_and_removes_the_old_one() {
    let mut rig = serving(4);
    let id = rig.deploy(second(4), blue_green());
    let mut seen = vec![(rig.wanted("/web-blue"), rig.wanted("/web"))];
    for _ in 0..500 {
        if rig.row(id).is_over() {
            break;
        }
        rig.agents_act();
        rig.pass(Span::millis(20));
        let now = (rig.wanted("/web-blue"), rig.wanted("/web"));
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    let expected = [
        (Some(1), Some(4)),
        (Some(1), Some(3)),
        (Some(2), Some(3)),
        (Some(2), Some(2)),
        (Some(4), Some(2)),
        (Some(4), None),
    ];
    assert_eq!(seen, expected);
    assert_eq!(rig.ending(id), Ending::Done);
    rig.run();
    assert_eq!((rig.healthy("/web-blue"), rig.instances("/web").len()), (4, 0));
    assert_eq!(rig.deployments(), []);
}

/// The next one goes the other way round.
#[test]
fn colours_take_turns() {
    let mut rig = serving(2);
    let first = rig.deploy(second(2), blue_green());
    assert_eq!(rig.ending(first), Ending::Done);
    let next = rig.deploy(with_cmd(app("/web", 2), "sleep 3"), blue_green());
    assert_eq!(rig.row(next).new.hand.path.as_str(), "/web-green");
    assert_eq!(rig.ending(next), Ending::Done);
    assert_eq!((rig.wanted("/web-blue"), rig.wanted("/web-green")), (None, Some(2)));
}

/// Each step of a canary is held; nothing moves before.
#[test]
fn a_canary_holds_each_step() {
    let mut rig = serving(20);
    let id = rig.deploy(second(20), canary());
    for (step, new, old) in [(0, 1, 19), (1, 5, 15), (2, 20, 15)] {
        rig.until_held(id, step);
        rig.pass(Span::secs(58));
        assert_eq!((rig.wanted("/web-blue"), rig.wanted("/web")), (Some(new), Some(old)));
        assert!(matches!(rig.state(id), State::Going(Phase::Holding { .. })), "step {step}");
    }
    assert_eq!(rig.ending(id), Ending::Done);
}

/// An analysis passes at the end of each hold.
#[test]
fn an_analysis_lets_each_step_pass() {
    let mut rig = serving(20);
    let id = rig.deploy(second(20), judged());
    for step in 0..3 {
        rig.until_judged(id, step);
        rig.find_out(id, measured(10_000));
    }
    assert_eq!(rig.ending(id), Ending::Done);
}

/// An answer to an older question counts for nothing.
#[test]
fn a_late_answer_is_not_taken() {
    let mut rig = serving(20);
    let id = rig.deploy(second(20), judged());
    rig.until_judged(id, 0);
    rig.find_out(id, Finding::NoTraffic);
    let fact =
        |finding| crate::model::fact::Fact::Analysed { deploy: id, step: 0, asking: 0, finding };
    rig.tell(fact(measured(0)));
    assert!(matches!(rig.state(id), State::Going(Phase::Judging { step: 0, asking: 1, .. })));
    rig.find_out(id, measured(0));
    assert!(matches!(rig.state(id), State::Going(Phase::Growing { step: 1, .. })));
    rig.tell(fact(measured(1_000_000)));
    assert!(matches!(rig.state(id), State::Going(Phase::Growing { step: 1, .. })));
}

/// No traffic is neither good nor bad: it is asked again until the deadline, then somebody has to look, whatever `onFailure`
/// says. So it is where nobody answers.
#[test]
fn silence_pauses_at_the_deadline_and_never_passes() {
    let away = || Finding::Unanswered("connection refused".to_owned());
    for (finding, cause) in [
        (Finding::NoTraffic, Cause::NoTraffic),
        (away(), Cause::Unanswered("connection refused".to_owned())),
    ] {
        let mut rig = serving(20);
        let id = rig.deploy(second(20), judged());
        rig.until_judged(id, 0);
        for asking in 0..11 {
            assert!(
                matches!(rig.state(id), State::Going(Phase::Judging { asking: no, .. }) if no == asking)
            );
            rig.find_out(id, finding.clone());
            rig.pass(Span::secs(5));
        }
        rig.pass(Span::secs(10));
        let State::Paused { cause: paused, phase } = rig.state(id) else {
            panic!("{:?}", rig.state(id));
        };
        assert_eq!((paused, phase.step()), (cause, Some(0)));
        assert_eq!((rig.healthy("/web-blue"), rig.healthy("/web")), (1, 19));
        assert!(matches!(rig.steer(id, Steer::Resume), Answer::Deploying { .. }));
        rig.find_out(id, measured(0));
        assert!(matches!(rig.state(id), State::Going(Phase::Growing { step: 1, .. })));
    }
}

/// Steps that end before the whole wait there; `resume` and `promote` both go on to the whole.
#[test]
fn a_last_step_that_is_less_than_all_waits_to_be_promoted() {
    for how in [Steer::Resume, Steer::Promote] {
        let mut rig = serving(4);
        let id = rig.deploy(second(4), plan(Strategy::Canary, &[percent(25)]));
        rig.until(id, "paused", is_paused);
        assert!(matches!(rig.state(id), State::Paused { cause: Cause::Promotion, .. }));
        assert_eq!((rig.wanted("/web-blue"), rig.wanted("/web")), (Some(1), Some(3)));
        rig.steer(id, how);
        assert_eq!(rig.ending(id), Ending::Done, "{how:?}");
        assert_eq!((rig.wanted("/web-blue"), rig.wanted("/web")), (Some(4), None));
    }
}

/// A promotion skips holds, analyses and steps, and never the health of what takes over.
#[test]
fn a_promotion_goes_to_the_whole_at_once() {
    let mut rig = serving(20);
    let id = rig.deploy(second(20), judged());
    rig.until_held(id, 0);
    rig.steer(id, Steer::Promote);
    assert_eq!(rig.wanted("/web-blue"), Some(20));
    assert_eq!(rig.wanted("/web"), Some(19), "it serves until the new ones do");
    assert_eq!(rig.ending(id), Ending::Done);
}

/// One instance, or none: one step.
#[test]
fn one_and_none() {
    let mut rig = serving(1);
    let id = rig.deploy(second(1), canary());
    assert_eq!(rig.row(id).counts, [1]);
    rig.until_held(id, 0);
    assert_eq!((rig.healthy("/web-blue"), rig.healthy("/web")), (1, 1));
    assert_eq!(rig.ending(id), Ending::Done);

    let mut rig = serving(3);
    let id = rig.deploy(second(0), judged());
    assert_eq!(rig.ending(id), Ending::Done);
    assert_eq!((rig.wanted("/web-blue"), rig.wanted("/web")), (Some(0), None));
}

/// The first one has nothing before it.
#[test]
fn the_first_deploy_just_starts() {
    let mut rig = Rig::with_agents(1);
    let id = rig.deploy(app("/web", 3), blue_green());
    assert_eq!(rig.row(id).counts, [3]);
    assert_eq!(rig.ending(id), Ending::Done);
    assert_eq!(rig.wanted("/web-blue"), Some(3));
}

/// Rolling is an ordinary deployment under the row, held and judged once.
#[test]
fn rolling_changes_the_app_itself() {
    let mut rig = serving(4);
    let steps = [percent(100)];
    let rolling = Plan { hold: Span::secs(30), ..plan(Strategy::Rolling, &steps) };
    let id = rig.deploy(second(4), rolling);
    assert_eq!(rig.deployments().len(), 1);
    rig.until_held(id, 0);
    assert_eq!(rig.deployments(), []);
    assert_eq!(rig.ending(id), Ending::Done);
    assert_eq!((rig.wanted("/web"), rig.healthy("/web")), (Some(4), 4));
}

/// Failures up to `maxFailures` are forgiven, in each step anew; one more is not.
#[test]
fn as_many_failures_as_were_said_are_forgiven() {
    let mut rig = serving(20);
    let pause = Plan { max_failures: 1, on_failure: OnFailure::Pause, ..canary() };
    let id = rig.deploy(second(20), pause);
    for step in [0, 1] {
        rig.until_held(id, step);
        rig.crash("/web-blue");
        assert!(!is_paused(&rig.state(id)), "one is forgiven in step {step}");
    }
    rig.until_held(id, 2);
    for _ in 0..2 {
        rig.crash("/web-blue");
        rig.pass(Span::millis(1));
    }
    rig.until(id, "paused", is_paused);
    let State::Paused { cause: Cause::Failures(text), .. } = rig.state(id) else {
        panic!("{:?}", rig.state(id));
    };
    assert!(text.contains("TASK_FAILED"), "{text}");
    rig.steer(id, Steer::Resume);
    assert_eq!(rig.row(id).failures, 0, "what failed before is forgiven");
    assert_eq!(rig.ending(id), Ending::Done);
}

/// A new leader goes on where the old one stopped, in every phase (HA-10).
#[test]
fn a_new_leader_goes_on() {
    use crate::logic::brain::Brain;
    use crate::logic::draft::Limits;
    use crate::model::id::{CommitNo, Epoch};
    let mut rig = serving(4);
    let id = rig.deploy(second(4), judged());
    let mut phases = std::collections::BTreeSet::new();
    let note = |rig: &Rig, phases: &mut std::collections::BTreeSet<String>| {
        if let State::Going(phase) = rig.state(id) {
            phases.insert(format!("{phase:?}").split(' ').next().expect("a word").to_owned());
        }
    };
    for round in 0..400_u64 {
        if rig.row(id).is_over() {
            break;
        }
        note(&rig, &mut phases);
        let (world, no) = (rig.brain.world().clone(), CommitNo(1_000_000 + round));
        rig.brain = Brain::load(world, Epoch(2 + round), no, rig.now, Limits::default());
        rig.settle();
        if matches!(rig.state(id), State::Going(Phase::Judging { .. })) {
            rig.find_out(id, measured(0));
            note(&rig, &mut phases);
        }
        rig.agents_act();
        rig.pass(Span::millis(if round % 3 == 0 { 20_000 } else { 310 }));
    }
    assert_eq!(rig.ending(id), Ending::Done);
    let all = ["Finishing", "Growing", "Holding", "Judging", "Shrinking"];
    for phase in all {
        assert!(phases.iter().any(|seen| seen == phase), "{phase} was not met: {phases:?}");
    }
}

/// Deploys that are over are kept, as many as are bounded.
#[test]
fn what_is_over_is_kept_for_a_while() {
    let mut rig = serving(0);
    let first = rig.deploy(second(0), plan(Strategy::Rolling, &[percent(100)]));
    assert_eq!(rig.ending(first), Ending::Done);
    for no in 0..crate::model::deploy::MAX_OVER {
        let spec = with_cmd(app("/web", 0), &format!("sleep {no}"));
        let id = rig.deploy(spec, plan(Strategy::Rolling, &[percent(100)]));
        rig.ending(id);
    }
    assert_eq!(rig.brain.world().deploys.len(), crate::model::deploy::MAX_OVER);
    assert!(rig.brain.world().deploys.get(&first).is_none(), "the oldest went");
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Amount>> {
    prop_oneof![
        Just(vec![percent(100)]),
        Just(vec![Amount::Count(1), percent(50), percent(100)]),
        Just(vec![percent(5), percent(25), percent(100)]),
        Just((1..=10).map(|share| percent(share * 10)).collect()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// I4: whatever the steps and in whatever order agents act, what serves of both apps is never less than was asked for,
    /// as long as nothing fails by itself.
    #[test]
    fn no_move_goes_below_the_target(
        target in 1_u32..12,
        steps in steps(),
        turns in proptest::collection::vec((0_u8..4, 1_u64..900), 400),
    ) {
        let mut rig = serving(target);
        let id = rig.deploy(second(target), plan(Strategy::BlueGreen, &steps));
        for (act, millis) in turns {
            if rig.row(id).is_over() {
                break;
            }
            if act > 0 {
                rig.agents_act();
            }
            rig.pass(Span::millis(millis));
            let serve = rig.healthy("/web") + rig.healthy("/web-blue");
            prop_assert!(serve >= target as usize, "{serve} of {target} in {:?}", rig.state(id));
        }
        prop_assert_eq!(rig.ending(id), Ending::Done);
    }
}
