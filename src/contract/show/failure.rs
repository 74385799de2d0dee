//! `lastTaskFailure` (contract 5.13).

use crate::contract::show::text;
use crate::model::app::{App, Failure};

/// The last failure of `app`.
pub fn last_task_failure(app: &App, failure: &Failure) -> String {
    text::object_text(|object| {
        object.plain("appId", &app.path);
        object.text("host", &failure.host);
        object.text("message", &failure.message);
        object.plain("state", failure.condition.task_state());
        object
            .plain("taskId", failure.instance.task(&app.path, &failure.task, failure.incarnation));
        object.plain("timestamp", failure.at);
        object.plain("version", failure.version);
        if let Some(agent) = failure.agent {
            object.plain("slaveId", agent);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::show::rig::{Rig, UUID};

    #[test]
    fn only_the_agent_may_be_missing() {
        let mut rig = Rig::new();
        rig.fail();
        let app = rig.app();
        let mut failure = app.last_failure.clone().expect("a failure");
        failure.message = "exit \"1\"".to_owned();
        failure.agent = None;
        assert_eq!(
            last_task_failure(app, &failure),
            format!(
                r#"{{"appId":"/web","host":"10.0.0.5","message":"exit \"1\"","state":"TASK_FAILED","taskId":"web.instance-{UUID}._app.2","timestamp":"2021-07-01T10:00:09.000Z","version":"2021-07-01T10:00:00.123Z"}}"#
            )
        );
    }
}
