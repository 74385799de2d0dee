//! Engines that are missing, away or back, and how much is asked of one at a time.

use super::rig::Rig;
use super::{end, one_running};
use crate::agent::mind::testing::{id, key, run};
use crate::agent::mind::{Hand, Mind, Sight};
use crate::model::end::End;
use crate::model::reason::Reason;
use crate::model::time::Span;

#[test]
fn an_agent_without_an_engine_refuses_images() {
    let mut rig = Rig::new(1);
    rig.mind = Mind::new(rig.limits, &[Hand::Process]);
    rig.mind.want(run(key(2, 0), 1, 1));
    rig.run(Span::secs(1));
    let end = end(rig.phase(id(key(2, 0), 1)));
    assert!(matches!(end, Some(End::Refused(Reason::NoEngine { .. }))), "{end:?}");
}

#[test]
fn an_engine_that_is_away_changes_nothing() {
    // reliability §4.3: API errors are unknown, not dead; listed anew before any decision.
    let mut rig = one_running(2);
    rig.host.engine_down(Hand::Docker);
    rig.see(Sight::HandDown(Hand::Docker));
    rig.said.clear();
    rig.mind.want(run(key(2, 1), 1, 2));
    rig.run(Span::secs(30));
    assert!(rig.said.iter().all(|have| have.key != key(2, 0)), "{:?}", rig.said);
    rig.host.engine_up(rig.now, Hand::Docker, true);
    rig.see(Sight::HandUp(Hand::Docker));
    rig.log.clear();
    rig.run(Span::secs(1));
    assert_eq!(rig.log[0], "list Docker");
    assert_eq!(rig.host.live().len(), 2);
    assert_eq!(rig.host.starts(id(key(2, 0), 1)), 1);
}

#[test]
fn an_engine_that_comes_back_is_listed_and_watched_anew() {
    // A watch may hang for ever on a connection that is gone.
    let mut rig = one_running(2);
    rig.see(Sight::HandUp(Hand::Docker));
    rig.run(Span::secs(1));
    assert_eq!(rig.log, ["list Docker", "watch 2/0.1"]);
}

#[test]
fn what_an_engine_lost_over_its_restart_is_told_by_its_list() {
    let mut rig = one_running(2);
    rig.host.engine_down(Hand::Docker);
    rig.see(Sight::HandDown(Hand::Docker));
    rig.host.engine_up(rig.now, Hand::Docker, false);
    rig.see(Sight::HandUp(Hand::Docker));
    rig.run(Span::secs(1));
    assert_eq!(end(rig.phase(id(key(2, 0), 1))), Some(End::Code(137)));
}

#[test]
fn one_pull_of_an_image_goes_at_a_time_then_all_start_from_the_cache() {
    let mut rig = Rig::ready(1);
    for no in 0..6 {
        rig.mind.want(run(key(2, no), 1, u64::from(no) + 1));
    }
    rig.run(Span::millis(1));
    assert_eq!(rig.log, ["prepare 2/0.1"]);
    rig.run(Span::secs(5));
    assert_eq!(rig.host.live().len(), 6);
    // The rig asserts the limits at every turn.
}
