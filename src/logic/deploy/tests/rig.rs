//! A brain with one deploy under way, and what is seen of it.

use crate::logic::tests::rig::{Rig, app, path, with_cmd};
use crate::model::deploy::{
    Amount, Analysis, Cause, Deploy, Ending, Finding, Measure, Phase, Plan, State, Strategy, Undo,
};
use crate::model::deployment::OnFailure;
use crate::model::end::End;
use crate::model::fact::{Answer, Change, Expect, Fact, Proposal, Put, Refusal, Steer};
use crate::model::have::Phase as TaskPhase;
use crate::model::id::DeployId;
use crate::model::instance::Instance;
use crate::model::spec::Spec;
use crate::model::time::Span;
use crate::model::unit::Ratio;

/// A share of the whole.
pub fn percent(share: u64) -> Amount {
    Amount::Share(Ratio::micro(share * 10_000))
}

/// A plan that neither holds nor asks.
pub fn plan(strategy: Strategy, steps: &[Amount]) -> Plan {
    Plan {
        strategy,
        steps: steps.to_vec(),
        hold: Span::ZERO,
        analysis: None,
        deadline: Span::secs(60),
        max_failures: 0,
        on_failure: OnFailure::Rollback,
    }
}

/// A canary of three steps, watched for a minute each.
pub fn canary() -> Plan {
    let steps = [percent(5), percent(25), percent(100)];
    Plan { hold: Span::secs(60), ..plan(Strategy::Canary, &steps) }
}

/// The same, asking for at most 1 %.
pub fn judged() -> Plan {
    let analysis = Analysis {
        prometheus: "http://prometheus:9090".to_owned(),
        query: "errors".to_owned(),
        min: None,
        max: Some(Measure(10_000)),
        interval: Span::secs(5),
    };
    Plan { analysis: Some(analysis), ..canary() }
}

/// Blue/green in steps of one, a half and all.
pub fn blue_green() -> Plan {
    plan(Strategy::BlueGreen, &[Amount::Count(1), percent(50), percent(100)])
}

/// A value that an analysis measured.
pub fn measured(millionths: i64) -> Finding {
    let value = Measure(millionths);
    Finding::Measured { least: value, most: value }
}

/// The second version of `/web`.
pub fn second(instances: u32) -> Spec {
    with_cmd(app("/web", instances), "sleep 2")
}

/// A brain on which `/web` runs.
pub fn serving(instances: u32) -> Rig {
    let mut rig = Rig::with_agents(2);
    rig.put(app("/web", instances));
    rig.run();
    rig
}

// === impl Rig ===

impl Rig {
    /// Asks for a deploy.
    pub fn propose(&mut self, spec: Spec, plan: Plan, force: bool) -> Answer {
        let app = self.brain.world().app(&spec.path);
        let expect = app.map_or(Expect::None, |app| Expect::Version(app.version));
        let put = Put { spec, expect };
        self.ask(Change::Deploy(Box::new(Proposal { put, counted: true, plan })), force)
    }

    /// Begins a deploy that must be taken.
    pub fn deploy(&mut self, spec: Spec, plan: Plan) -> DeployId {
        self.deploy_forced(spec, plan, false)
    }

    /// The same, whatever is in the way.
    pub fn deploy_forced(&mut self, spec: Spec, plan: Plan, force: bool) -> DeployId {
        match self.propose(spec, plan, force) {
            Answer::Deploying { deploy } => deploy,
            other => panic!("not accepted: {other:?}"),
        }
    }

    /// What the row says.
    pub fn row(&self, id: DeployId) -> Deploy {
        self.brain.world().deploys.get(&id).expect("it is kept").clone()
    }

    /// How far it is.
    pub fn state(&self, id: DeployId) -> State {
        self.row(id).state
    }

    /// Steers a deploy.
    pub fn steer(&mut self, id: DeployId, how: Steer) -> Answer {
        self.ask(Change::Steer { deploy: id, how }, false)
    }

    /// An analysis comes to something.
    pub fn find_out(&mut self, id: DeployId, finding: Finding) {
        let State::Going(Phase::Judging { step, asking, .. }) = self.state(id) else {
            panic!("nothing is asked in {:?}", self.state(id));
        };
        self.tell(Fact::Analysed { deploy: id, step, asking, finding });
    }

    /// Agents do as they are told and time passes until a deploy is somewhere.
    pub fn until(&mut self, id: DeployId, what: &str, is: impl Fn(&State) -> bool) {
        for _ in 0..2_000 {
            if is(&self.state(id)) {
                return;
            }
            if self.agents_act() == 0 {
                self.pass(Span::millis(100));
            } else {
                self.pass(Span::millis(10));
            }
        }
        panic!("never {what}: {:?}", self.row(id));
    }

    /// Until a step is watched.
    pub fn until_held(&mut self, id: DeployId, wanted: u32) {
        self.until(
            id,
            "held",
            |state| matches!(state, State::Going(Phase::Holding { step, .. }) if *step == wanted),
        );
    }

    /// Until Prometheus is asked in a step.
    pub fn until_judged(&mut self, id: DeployId, wanted: u32) {
        self.until(
            id,
            "judged",
            |state| matches!(state, State::Going(Phase::Judging { step, .. }) if *step == wanted),
        );
    }

    /// Until it is over, and how.
    pub fn ending(&mut self, id: DeployId) -> Ending {
        self.until(id, "over", |state| matches!(state, State::Over(_)));
        let State::Over(ending) = self.state(id) else { unreachable!("just seen") };
        ending
    }

    /// Until it is taken back.
    pub fn rolled_back(&mut self, id: DeployId) -> Cause {
        match self.ending(id) {
            Ending::RolledBack(cause) => cause,
            other => panic!("ended otherwise: {other:?}"),
        }
    }

    /// One instance of an app ends by itself.
    pub fn crash(&mut self, id: &str) {
        let live = self.instances(id).into_iter().find(Instance::is_healthy);
        let one = live.expect("one that serves");
        self.have(&one, TaskPhase::Exited { at: self.now, end: End::Code(1) });
    }

    /// How many instances an app is asked to have; none when it is not there.
    pub fn wanted(&self, id: &str) -> Option<u32> {
        let world = self.brain.world();
        let app = world.app(&path(id))?;
        world.current(app).map(|row| row.spec.instances)
    }
}

/// Whether it goes back.
pub fn is_rolling_back(state: &State) -> bool {
    matches!(state, State::RollingBack { .. })
}

/// Whether the old app becomes whole.
pub fn is_restoring(state: &State) -> bool {
    matches!(state, State::RollingBack { undo: Undo::Restoring { .. }, .. })
}

/// Whether it waits for somebody.
pub fn is_paused(state: &State) -> bool {
    matches!(state, State::Paused { .. })
}

/// The refusal that an answer is.
pub fn refusal(answer: Answer) -> Refusal {
    match answer {
        Answer::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}
