//! Whether a life has failed, and what the mind itself knows of it then: evidence that would be gone with the process, or
//! with what is left of the life. The shell adds what the task wrote and which image it ran, and stores it.
//!
//! The same lives fail here as in the rows of the leader (SM-11, HC-7, SM-12): those that end unasked, and those that are
//! ended for a fault of their own.

use crate::agent::mind::decide::Intent;
use crate::agent::mind::life::{Life, Stop};
use crate::agent::mind::witness::Exam;
use crate::agent::mind::{Mind, Step};
use crate::agent::runtime::SandboxId;
use crate::model::autopsy::Exit;
use crate::model::end::End;
use crate::model::evidence::{Ended, Evidence, Output, Stopped};
use crate::model::have::WantGoal;
use crate::model::instance::StopWhy;
use crate::model::spec::Spec;
use crate::model::time::Timestamp;

// === impl Mind ===

impl Mind {
    /// Has the evidence of a life taken, once it has failed.
    pub(super) fn examine(
        &mut self,
        now: Timestamp,
        id: SandboxId,
        intent: Intent,
        out: &mut Vec<Step>,
    ) {
        let why = self.why_stopped(id);
        let Some(life) = self.lives.get_mut(&id) else { return };
        life.stop.why = life.stop.why.or(why);
        if life.exam != Exam::None || !life.has_failed(intent) {
            return;
        }
        life.exam = Exam::Going;
        let spec = self.specs.get(life.spec_key).map(AsRef::as_ref);
        out.push(Step::Examine(life.hand, Box::new(life.evidence(now, id, spec))));
    }

    /// The evidence of a life is taken, or not to be had.
    pub(super) fn examined(&mut self, id: SandboxId) {
        if let Some(life) = self.lives.get_mut(&id) {
            life.exam = Exam::Done;
            self.dirty.insert(id.instance);
        }
    }

    /// Why a life is to end, if a want says that of this very life.
    fn why_stopped(&self, id: SandboxId) -> Option<StopWhy> {
        let want = &self.wishes.get(&id.instance)?.want;
        match want.goal {
            WantGoal::Stop { why, .. } if want.incarnation == id.incarnation => Some(why),
            WantGoal::Stop { .. } | WantGoal::Run { .. } | WantGoal::Forget => None,
        }
    }
}

// === impl Life ===

impl Life {
    fn has_failed(&self, intent: Intent) -> bool {
        match (&self.end, self.stop.why) {
            (Some((_, End::Code(0))) | None, None) => false,
            (Some(_), None) => intent == Intent::Run,
            (Some(_), Some(why)) => matches!(why, StopWhy::Unhealthy | StopWhy::Overdue),
            // One that is given up before it ran leaves no end.
            (None, Some(why)) => why == StopWhy::Overdue && (self.is_idle() || self.is_nothing()),
        }
    }

    fn evidence(&self, now: Timestamp, id: SandboxId, spec: Option<&Spec>) -> Evidence {
        let ended = self.end.as_ref().map(|(at, end)| Ended {
            at: *at,
            exit: Exit::of(Some(end), self.start_tried),
            message: end.message(),
        });
        let Stop { asked, killed, .. } = self.stop;
        let was_stopped = asked.is_some() || killed.is_some();
        Evidence {
            app: self.key.app,
            instance: id.instance,
            incarnation: id.incarnation,
            at: now,
            ended,
            stop: was_stopped.then_some(Stopped { asked, killed }),
            pulled: self.pulled.0,
            image: None,
            asked_since: self.replies.since,
            replies: self.replies.told(spec),
            stdout: Output::default(),
            stderr: Output::default(),
        }
    }
}
