//! What is on its way, what became of it, and what failed meanwhile.

use uuid::Uuid;

use crate::model::autopsy::{Autopsy, AutopsyKey, During, Exit, Fault, Locus};
use crate::model::condition::Condition;
use crate::model::deploy::{
    self, Amount, Analysis, Deploy, Finding, Hand, Measure, New, Old, Phase,
};
use crate::model::deployment::{Cause, CauseKind, Deployment, FailurePolicy, OnFailure, State};
use crate::model::event::PlanAction;
use crate::model::id::{
    AgentId, AgentKey, AppKey, DeployId, DeploymentId, Incarnation, InstanceId, Version,
};
use crate::model::outcome::{Ending, Outcome};
use crate::model::time::Span;
use crate::model::unit::{Mem, Ratio};
use crate::store::testing::{AT, app, path};

pub fn autopsy() -> Autopsy {
    Autopsy {
        key: AutopsyKey { app: AppKey(1), no: 4 },
        slot: 2,
        instance: InstanceId(Uuid::from_u128(0xE0)),
        task: "_app".into(),
        incarnation: Incarnation(3),
        version: Version(AT),
        during: Some(During { deployment: deployment().id, brings: true }),
        agent: Some(Locus {
            key: AgentKey(1),
            id: AgentId(Uuid::from_u128(0xA1)),
            host: "host".into(),
        }),
        at: AT,
        started_at: Some(AT),
        condition: Condition::Killed,
        fault: Fault::Unhealthy { check: "/health".into(), failures: 3, cause: "no".into() },
        message: "no".into(),
        exit: Some(Exit::Oom { peak: Some(Mem::whole(16)) }),
    }
}

pub fn deployment() -> Deployment {
    Deployment {
        id: DeploymentId(Uuid::from_u128(0xD0)),
        version: Version(AT),
        step: 1,
        steps: 2,
        start_step: Some(0),
        announced: true,
        since: AT,
        reverts: None,
        policy: FailurePolicy {
            deadline_seconds: Some(600),
            max_failures: Some(3),
            on_failure: Some(OnFailure::Rollback),
        },
        counted_from: AT,
        failures: 4,
        state: State::Paused(cause()),
    }
}

fn cause() -> Cause {
    Cause { kind: CauseKind::TooManyFailures, at: AT, message: "4 failed".to_owned() }
}

pub fn outcome() -> Outcome {
    Outcome {
        id: deployment().id,
        version: Version(AT),
        since: AT,
        at: AT,
        reverts: None,
        failures: 4,
        ending: Ending::RolledBack { cause: Some(cause()), by: deployment().id },
        apps: vec![(PlanAction::Restart, app(1).path)],
        more_apps: 0,
    }
}

pub fn deploy() -> Deploy {
    let hand = |app: u32| Hand {
        app: AppKey(app),
        path: path(app),
        version: Version(AT),
        deployment: Some(deployment().id),
    };
    let analysis = Analysis {
        prometheus: "http://p".into(),
        query: "up".into(),
        min: None,
        max: Some(Measure(-10)),
        interval: Span::secs(5),
    };
    Deploy {
        id: DeployId(Uuid::from_u128(0xF0)),
        app: path(1),
        plan: deploy::Plan {
            strategy: deploy::Strategy::Canary,
            steps: vec![Amount::Count(1), Amount::Share(Ratio::ONE)],
            hold: Span::secs(60),
            analysis: Some(analysis),
            deadline: Span::secs(600),
            max_failures: 0,
            on_failure: OnFailure::Pause,
        },
        target: 2,
        counts: vec![1, 2],
        old: Some(Old { hand: hand(1), whole: 2, serving: 1 }),
        new: New { hand: hand(2), born: Version(AT), before: None },
        promoted: false,
        failures: 1,
        failed_at: Some(AT),
        last: Some(Finding::Measured { least: Measure(1), most: Measure(2) }),
        state: deploy::State::Paused {
            cause: deploy::Cause::Failures("no".into()),
            phase: Phase::Judging { step: 1, asking: 2, due: AT, deadline: AT },
        },
        since: AT,
        at: AT,
    }
}
