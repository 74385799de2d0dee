//! What one look at a deployment shows, what is news since the look before, and how far it is.

use serde_json::Value;

use crate::cli::table::printable;
use crate::cli::talk::{list, number, text};
use crate::cli::wait::Standing;

/// How wide the bar is.
const BAR: u64 = 24;

/// What one look shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The running step, from 1, and how many there are.
    pub step: (u64, u64),
    /// What that step does.
    pub does: String,
    /// How it stands, where it is not simply going on, with why.
    pub state: String,
    /// How many instances of what it brings have failed.
    pub failures: u64,
    /// Its apps.
    pub apps: Vec<AppSeen>,
}

/// Where an app of a deployment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSeen {
    /// Its id.
    pub id: String,
    /// How many are wanted.
    pub wanted: u64,
    /// How many of the configuration that is asked for serve.
    pub ready: u64,
    /// Whether health checks say which serve.
    pub has_checks: bool,
    /// All that is said of it in the end.
    pub standing: Standing,
}

// === impl Seen ===

impl Seen {
    /// Of a listed deployment.
    pub fn of(deployment: &Value, apps: Vec<AppSeen>) -> Seen {
        let action = |one: &Value| format!("{} {}", text(one, "action"), text(one, "app"));
        let does: Vec<String> = list(deployment, "currentActions").iter().map(action).collect();
        let cause = deployment.get("cause").map(|cause| text(cause, "message")).unwrap_or_default();
        let state = match text(deployment, "state").as_str() {
            "" | "going" => String::new(),
            state => format!("{state}: {cause}"),
        };
        Seen {
            step: (number(deployment, "currentStep"), number(deployment, "totalSteps")),
            does: does.join(", "),
            state,
            failures: number(deployment, "failures"),
            apps,
        }
    }

    /// What is new since `before`, a line each.
    pub fn news(&self, before: Option<&Seen>) -> Vec<String> {
        let mut news = Vec::new();
        let (step, steps) = self.step;
        if step > 0 && before.is_none_or(|before| before.step != self.step) {
            news.push(format!("step {step} of {steps}: {}", self.does));
        }
        if !self.state.is_empty() && before.is_none_or(|before| before.state != self.state) {
            news.push(self.state.clone());
        }
        if self.failures > before.map_or(0, |before| before.failures) {
            news.push(format!("{} instances have failed so far", self.failures));
        }
        for app in &self.apps {
            let known = before.and_then(|before| before.apps.iter().find(|one| one.id == app.id));
            news.extend(app.news(known));
        }
        news.iter().map(|line| printable(line)).collect()
    }

    /// A bar with how many are ready.
    pub fn bar(&self, seconds: u64) -> String {
        let sum = |of: fn(&AppSeen) -> u64| self.apps.iter().map(of).sum::<u64>();
        let (wanted, ready) = (sum(|app| app.wanted), sum(|app| app.ready.min(app.wanted)));
        let full = (BAR * ready).checked_div(wanted).unwrap_or(BAR);
        let bar: String = (0..BAR).map(|at| if at < full { '█' } else { '░' }).collect();
        let (step, steps) = self.step;
        let failed =
            if self.failures > 0 { format!(" · {} failed", self.failures) } else { String::new() };
        format!("{bar} {ready}/{wanted} ready · step {step}/{steps}{failed} · {seconds} s")
    }
}

// === impl AppSeen ===

impl AppSeen {
    /// Of an app with counts and statistics; a failure before `since` does not count.
    pub fn of(app: &Value, since: &str) -> AppSeen {
        let counts = app.pointer("/taskStats/withLatestConfig/stats/counts");
        let has_checks = !list(app, "healthChecks").is_empty();
        let ready = if has_checks { "healthy" } else { "running" };
        AppSeen {
            id: text(app, "id"),
            wanted: number(app, "instances"),
            has_checks,
            ready: counts.map_or(0, |counts| number(counts, ready)),
            standing: Standing::of(app, since),
        }
    }

    fn news(&self, before: Option<&AppSeen>) -> Vec<String> {
        let AppSeen { id, wanted, ready, has_checks: _, standing } = self;
        let mut news = Vec::new();
        if before.is_none_or(|before| (before.ready, before.wanted) != (*ready, *wanted)) {
            news.push(format!("{id}: {ready} of {wanted} ready"));
        }
        let said = |of: fn(&Standing) -> Option<&str>| {
            let now = of(standing);
            let then = before.and_then(|before| of(&before.standing));
            now.filter(|_| now != then).map(str::to_owned)
        };
        news.extend(said(Standing::failure).map(|text| format!("{id}: failed: {text}")));
        news.extend(said(Standing::waits).map(|text| format!("{id}: waits: {text}")));
        news
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn app(ready: u64, wanted: u64) -> AppSeen {
        let counts = json!({"running": ready, "healthy": 0});
        AppSeen::of(
            &json!({"id": "/a", "instances": wanted, "tasksRunning": ready,
                "taskStats": {"withLatestConfig": {"stats": {"counts": counts}}}}),
            "",
        )
    }

    fn seen(step: u64, apps: Vec<AppSeen>) -> Seen {
        let deployment = json!({"currentStep": step, "totalSteps": 2,
            "currentActions": [{"action": "ScaleApplication", "app": "/a"}]});
        Seen::of(&deployment, apps)
    }

    #[test]
    fn only_what_is_new_is_said() {
        let first = seen(1, vec![app(0, 2)]);
        assert_eq!(first.news(None), ["step 1 of 2: ScaleApplication /a", "/a: 0 of 2 ready"]);
        assert_eq!(first.news(Some(&first)), Vec::<String>::new());
        let next = seen(1, vec![app(1, 2)]);
        assert_eq!(next.news(Some(&first)), ["/a: 1 of 2 ready"]);
        let paused = Seen::of(
            &json!({"state": "paused", "cause": {"message": "it is late"}, "failures": 2}),
            Vec::new(),
        );
        let said = ["paused: it is late", "2 instances have failed so far"];
        assert_eq!(paused.news(Some(&next)), said);
    }

    #[test]
    fn a_bar_is_as_full_as_much_is_ready() {
        let bar = |ready, wanted| seen(1, vec![app(ready, wanted)]).bar(3);
        assert_eq!(bar(1, 2), "████████████░░░░░░░░░░░░ 1/2 ready · step 1/2 · 3 s");
        assert!(
            bar(0, 3).starts_with("░") && bar(3, 3).starts_with("████████████████████████ 3/3")
        );
        assert!(bar(0, 0).starts_with('█'), "nothing wanted is all there is");
    }

    #[test]
    fn with_health_checks_only_the_healthy_are_ready() {
        let counts = json!({"running": 2, "healthy": 1});
        let app = json!({"id": "/a", "instances": 2, "healthChecks": [{}],
            "taskStats": {"withLatestConfig": {"stats": {"counts": counts}}}});
        assert_eq!(AppSeen::of(&app, "").ready, 1);
    }
}
