//! One row for each life that failed, and for how long: beyond the next life, the version and the app itself.

use crate::logic::index::autopsies::MAX_IN_ALL;
use crate::logic::tests::health::{check, checked};
use crate::logic::tests::rig::{Rig, app, deployment, failing, path, with_cmd};
use crate::model::autopsy::{Autopsy, Exit, Fault, KEPT_FOR, MAX_MESSAGE, MAX_PER_APP};
use crate::model::check::HealthProtocol;
use crate::model::condition::Condition;
use crate::model::end::End;
use crate::model::fact::{Change, Fact, Loss};
use crate::model::have::Phase;
use crate::model::id::AgentKey;
use crate::model::instance::Instance;
use crate::model::reason::Reason;
use crate::model::spec::UnreachableStrategy;
use crate::model::time::Span;

// === impl Rig ===

impl Rig {
    /// The autopsies of an app, removed or not, newest first.
    fn autopsies(&self, id: &str) -> Vec<Autopsy> {
        let world = self.brain.world();
        let app = world.any_app(&path(id)).expect("an app").key;
        world.autopsies_of(app).rev().cloned().collect()
    }

    fn ends(&mut self, instance: &Instance, end: End) {
        self.have(instance, Phase::Exited { at: self.now, end });
    }

    /// The newest instance has ended with this code before anybody knew that it ran.
    fn crash_at_once(&mut self, id: &str, code: i32) {
        let newest = self.instances(id).into_iter().max_by_key(|one| one.key.no);
        let newest = newest.expect("an instance");
        self.ends(&newest, End::Code(code));
    }

    /// The only instance runs, and ends with this code.
    fn crash(&mut self, id: &str, code: i32) {
        self.run();
        let instance = self.instances(id).remove(0);
        self.ends(&instance, End::Code(code));
    }
}

fn eager(id: &str) -> crate::model::spec::Spec {
    let mut spec = app(id, 1);
    spec.backoff.seconds = 0;
    spec
}

#[test]
fn a_life_that_fails_leaves_one_row_and_one_that_is_asked_to_end_none() {
    let mut rig = Rig::with_agents(1);
    let answer = rig.put(eager("/web"));
    rig.crash_at_once("/web", 7);
    let rows = rig.autopsies("/web");
    let [row] = rows.as_slice() else { panic!("one: {rows:?}") };
    assert_eq!((row.incarnation.0, row.exit), (1, Some(Exit::Code(7))));
    assert_eq!((&row.fault, row.condition), (&Fault::Ended, Condition::Failed));
    assert_eq!(&*row.message, "Container exited with status 7");
    let agent = row.agent.as_ref().expect("it ran somewhere");
    assert_eq!(agent.key, AgentKey(1));
    let during = row.during.expect("it was being deployed");
    assert_eq!((during.deployment, during.brings), (deployment(&answer), true));
    // The next one runs well, and is killed by somebody.
    rig.run();
    let instance = rig.instances("/web").remove(0);
    let kill =
        Change::Kill { instances: vec![instance.key], how: crate::model::fact::KillHow::Restart };
    rig.ask(kill, false);
    let instance = rig.instances("/web").remove(0);
    rig.ends(&instance, End::Signal(9));
    rig.run();
    // One that ends well is no failure (SM-11).
    rig.crash("/web", 0);
    assert_eq!(rig.autopsies("/web").len(), 1);
    let last = rig.brain.world().app(&path("/web")).and_then(|app| app.last_failure.clone());
    assert_eq!(last.map(|last| last.message).as_deref(), Some(&*row.message), "5.13 as ever");
}

/// HC-7: the row is there with the kill, and gets its end when that comes; it is one all the same.
#[test]
fn a_health_kill_has_its_check_at_once_and_its_end_later() {
    let mut rig = Rig::with_agents(1);
    let mut spec = checked("/web", 1);
    spec.health_checks.clear();
    let mut http = check(HealthProtocol::Http);
    http.path = Some("/health".to_owned());
    spec.health_checks.insert(http);
    rig.put(spec);
    rig.run();
    let instance = rig.instances("/web").remove(0);
    let findings = failing(&instance, rig.now, 4);
    rig.find(&instance, rig.running(), Some(findings));
    let open = rig.autopsies("/web").remove(0);
    let Fault::Unhealthy { check, failures, cause } = &open.fault else { panic!("{open:?}") };
    assert_eq!((&**check, *failures, &**cause), ("/health", 4, "HTTP status 503"));
    assert_eq!((open.exit, open.condition), (None, Condition::Killed));
    let row = rig.brain.world().instances.get(&instance.key).cloned().expect("a row");
    rig.ends(&row, End::Signal(9));
    let rows = rig.autopsies("/web");
    assert_eq!(rows, [Autopsy { exit: Some(Exit::Signal(9)), ..open }]);
}

/// SM-12: what never ran has no end.
#[test]
fn an_overdue_launch_never_ran() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/slow", 1));
    let instance = rig.instances("/slow")[0].clone();
    rig.have(&instance, Phase::Preparing { pulled: 1 });
    rig.pass(Span::secs(301));
    let open = rig.autopsies("/slow").remove(0);
    assert!(matches!(open.fault, Fault::Overdue { condition: Condition::Staging, .. }), "{open:?}");
    let row = rig.instances("/slow")[0].clone();
    rig.have(&row, Phase::Absent);
    assert_eq!(rig.autopsies("/slow"), [Autopsy { exit: Some(Exit::Never), ..open }]);
}

#[test]
fn a_launch_that_is_refused_and_an_agent_that_is_lost_leave_theirs() {
    let mut rig = Rig::with_agents(1);
    let mut spec = eager("/web");
    spec.unreachable = UnreachableStrategy::After { inactive_seconds: 0, expunge_seconds: 60 };
    rig.put(spec);
    let instance = rig.instances("/web").remove(0);
    let detail = "x".repeat(10_000);
    rig.ends(&instance, End::Refused(Reason::Image { image: "a".to_owned(), detail }));
    let row = rig.autopsies("/web").remove(0);
    assert_eq!(row.exit, Some(Exit::Never));
    assert_eq!(row.message.chars().count(), MAX_MESSAGE, "a row stays small");
    rig.run();
    rig.tell(Fact::Lost { agent: AgentKey(1), why: Loss::Silence });
    rig.ask(Change::Forget { agent: AgentKey(1) }, false);
    let row = rig.autopsies("/web").remove(0);
    assert_eq!((row.fault, row.exit), (Fault::Lost, Some(Exit::Unknown)));
    assert!(row.agent.is_some_and(|agent| !agent.host.is_empty()), "it is forgotten, not this");
}

/// What a deployment brought and is taken back with it, the app even, is still known to have failed.
#[test]
fn a_rollback_takes_nothing_away() {
    let mut rig = Rig::with_agents(1);
    rig.put(eager("/web"));
    rig.run();
    let bad = rig.put(with_cmd(eager("/web"), "exit 3"));
    rig.crash_at_once("/web", 3);
    rig.ask(Change::Cancel { deployment: deployment(&bad) }, false);
    rig.run();
    let row = rig.autopsies("/web").remove(0);
    let during = row.during.expect("it was being deployed");
    assert_eq!((during.deployment, during.brings), (deployment(&bad), true));
    assert_ne!(row.version, rig.brain.world().app(&path("/web")).expect("an app").version);
    let made = rig.put(eager("/new"));
    rig.crash_at_once("/new", 1);
    rig.ask(Change::Cancel { deployment: deployment(&made) }, false);
    rig.run();
    assert!(rig.brain.world().app(&path("/new")).is_none(), "taken back");
    assert_eq!(rig.autopsies("/new").len(), 1);
    assert_eq!(rig.brain.check(), Ok(()));
}

/// A day, and so many of an app; what is outdated goes with the next that comes.
#[test]
fn rows_have_a_bound_and_an_age() {
    let mut rig = Rig::with_agents(1);
    rig.put(eager("/loop"));
    rig.put(eager("/rare"));
    rig.run();
    let of = |rig: &Rig, id: &str| rig.autopsies(id).len();
    rig.crash("/rare", 1);
    for _ in 0..MAX_PER_APP + 5 {
        rig.crash("/loop", 1);
    }
    assert_eq!((of(&rig, "/loop"), of(&rig, "/rare")), (MAX_PER_APP, 1));
    let newest = rig.autopsies("/loop").remove(0);
    assert_eq!(newest.key.no as usize, MAX_PER_APP + 4, "the newest stay");
    assert!(!newest.is_outdated(newest.at + KEPT_FOR));
    assert!(newest.is_outdated(newest.at + KEPT_FOR + Span::millis(1)));
    rig.pass(KEPT_FOR);
    rig.pass(Span::secs(60));
    rig.crash("/rare", 2);
    let left = of(&rig, "/loop");
    assert!((MAX_PER_APP - 8..MAX_PER_APP).contains(&left), "a few at a time: {left}");
    assert_eq!(of(&rig, "/rare"), 1, "the oldest of all went first");
    const { assert!(MAX_IN_ALL > 2 * MAX_PER_APP) };
}
