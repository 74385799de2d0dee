//! Whatever happens in whatever order: every step is lawful, every state is left again, and an ending is what it says.

use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

use super::rig::{judged, measured, percent, second, serving};
use crate::logic::tests::rig::{Rig, path};
use crate::model::deploy::{Ending, Finding, Phase, Plan, State};
use crate::model::deployment::OnFailure;
use crate::model::fact::{Change, Steer};
use crate::model::id::DeployId;
use crate::model::time::Span;

/// One thing that happens, drawn by a number.
fn happen(rig: &mut Rig, id: DeployId, what: u8) {
    match what {
        0..=8 => {
            rig.agents_act();
        }
        9 => crash(rig, "/web"),
        10 => crash(rig, "/web-blue"),
        11 => {
            rig.steer(id, Steer::Resume);
        }
        12 => {
            rig.steer(id, Steer::Promote);
        }
        13 => {
            rig.steer(id, Steer::RollBack);
        }
        14 => find_out(rig, id, Finding::NoTraffic),
        15 => find_out(rig, id, measured(1_000_000)),
        16..=20 => find_out(rig, id, measured(0)),
        _ => {
            let path = path(if what == 21 { "/web" } else { "/web-blue" });
            rig.ask(Change::Restart { path }, true);
        }
    }
}

fn crash(rig: &mut Rig, id: &str) {
    let known = rig.brain.world().any_app(&path(id)).is_some();
    if known && rig.healthy(id) > 0 {
        rig.crash(id);
    }
}

fn find_out(rig: &mut Rig, id: DeployId, finding: Finding) {
    if matches!(rig.state(id), State::Going(Phase::Judging { .. })) {
        rig.find_out(id, finding);
    }
}

/// Goes on without any further trouble; whoever waits for somebody is taken up again.
fn calm_down(rig: &mut Rig, id: DeployId) -> bool {
    for _ in 0..600 {
        match rig.state(id) {
            State::Over(_) => return true,
            State::Paused { .. } => {
                rig.steer(id, Steer::Resume);
            }
            State::Going(_) | State::RollingBack { .. } => {}
        }
        find_out(rig, id, measured(0));
        if rig.agents_act() == 0 {
            rig.pass(Span::secs(5));
        }
        rig.pass(Span::millis(400));
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn an_ending_is_what_it_says(
        target in 1_u32..9,
        on_failure in 0_usize..3,
        max_failures in 0_u32..3,
        turns in proptest::collection::vec((0_u8..23, 1_u64..30_000), 60),
    ) {
        let on_failure = [OnFailure::Rollback, OnFailure::Pause, OnFailure::None][on_failure];
        let steps = vec![percent(30), percent(100)];
        let mut rig = serving(target);
        let plan = Plan { steps, max_failures, on_failure, ..judged() };
        let id = rig.deploy(second(target), plan);
        for (what, millis) in turns {
            if rig.row(id).is_over() {
                break;
            }
            happen(&mut rig, id, what);
            rig.pass(Span::millis(millis));
        }
        prop_assert!(calm_down(&mut rig, id), "it hangs in {:?}", rig.row(id));
        let wanted = |rig: &Rig| (rig.wanted("/web"), rig.wanted("/web-blue"));
        let at_the_end = wanted(&rig);
        match rig.ending(id) {
            Ending::Done => prop_assert_eq!(at_the_end, (None, Some(target))),
            Ending::RolledBack(_) => prop_assert_eq!(at_the_end, (Some(target), None)),
            Ending::Failed(_) | Ending::Replaced(_) => {}
        }
        // What is over touches nothing.
        rig.run_launches();
        rig.pass(Span::secs(3_600));
        prop_assert_eq!(wanted(&rig), at_the_end);
    }
}
