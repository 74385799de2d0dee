//! Follows a deployment to its end: over a server that starts again or another that leads, and into the deployment that
//! takes it back.

use std::time::Duration;

use serde_json::Value;

use crate::agent::clock::Clock;
use crate::cli::autopsy;
use crate::cli::client::Ask;
use crate::cli::deploy::ending::{Ending, Next, after, standing};
use crate::cli::deploy::seen::{AppSeen, Seen};
use crate::cli::deploy::strategy;
use crate::cli::failure::Failure;
use crate::cli::talk::{Talk, app_path, text};
use crate::cli::wait::{Accepted, FIRST_PAUSE, LONGEST_PAUSE, SHOWN_APPS, waits_for};
use crate::model::time::Timestamp;

/// How long what has no health checks is looked at after the end of its deployment.
const SETTLE: Duration = Duration::from_secs(1);

/// What is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Course {
    /// A deployment.
    Deployment(String),
    /// A deploy by a strategy.
    Deploy(String),
    /// Nothing that has a name: what runs tells all.
    None,
}

/// A deployment being followed.
pub struct Watch<'a> {
    accepted: &'a Accepted,
    course: Course,
    /// The line that was said last of a deploy.
    said: String,
    clock: Clock,
    begun: Timestamp,
    /// The deployment that takes it back.
    taken_back_by: Option<String>,
    /// Why it failed.
    cause: Option<String>,
    last: Option<Seen>,
    /// Why the last look failed, if it did.
    away: Option<Failure>,
}

/// What came of following.
#[derive(Clone, Debug)]
pub struct Followed {
    /// What was followed.
    pub course: Course,
    /// What became of it.
    pub ending: Ending,
    /// Why, where it did not go well.
    pub cause: Option<String>,
    /// The deployment that takes it back.
    pub rollback: Option<String>,
    /// Its apps in the end.
    pub apps: Vec<AppSeen>,
    /// The newest failure while it was at work, with its evidence, where it did not go well.
    pub autopsy: Option<Value>,
}

/// What one look shows.
enum Look {
    Running(Value),
    Over(Option<Value>),
}

/// Looks until it is over, and says meanwhile what is new.
///
/// # Errors
/// When the server says that the question is wrong.
pub async fn follow(talk: &mut Talk<'_>, watch: &mut Watch<'_>) -> Result<Ending, Failure> {
    let mut pause = FIRST_PAUSE;
    loop {
        let before = watch.last.clone();
        match watch.turn(talk).await {
            Ok(Some(ending)) => return Ok(ending),
            Ok(None) => watch.away = None,
            // A server that starts again goes on with the deployment, as does another that leads.
            Err(failure) if failure.may_pass() => {
                if watch.away.as_ref() != Some(&failure) {
                    watch.say(talk, &format!("{failure}; asking again"));
                }
                watch.away = Some(failure);
            }
            Err(failure) => return Err(failure),
        }
        if watch.last != before {
            pause = FIRST_PAUSE;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

// === impl Watch ===

impl<'a> Watch<'a> {
    /// From the moment it was accepted.
    pub fn new(accepted: &'a Accepted, course: Course, clock: Clock) -> Watch<'a> {
        let (begun, said) = (clock.now(), String::new());
        Watch {
            accepted,
            course,
            said,
            clock,
            begun,
            taken_back_by: None,
            cause: None,
            last: None,
            away: None,
        }
    }

    /// One look; the end, if it shows that.
    async fn turn(&mut self, talk: &mut Talk<'_>) -> Result<Option<Ending>, Failure> {
        match self.course.clone() {
            Course::Deployment(own) => self.turn_of_deployment(talk, &own).await,
            Course::Deploy(id) => self.turn_of_deploy(talk, &id).await,
            Course::None => self.by_what_runs(talk).await,
        }
    }

    async fn turn_of_deploy(
        &mut self,
        talk: &mut Talk<'_>,
        id: &str,
    ) -> Result<Option<Ending>, Failure> {
        let deploy = talk.client.send(&Ask::get(&format!("/v2/deploys/{id}"))).await?.json()?;
        let cause = strategy::cause(&deploy);
        let why = cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
        let line = format!("{}{why}", strategy::line(&deploy));
        if line != self.said {
            self.say(talk, &line);
            self.said = line;
        }
        self.cause = cause;
        Ok(strategy::ending(&deploy))
    }

    async fn turn_of_deployment(
        &mut self,
        talk: &mut Talk<'_>,
        own: &str,
    ) -> Result<Option<Ending>, Failure> {
        let id = self.taken_back_by.as_deref().unwrap_or(own).to_owned();
        let over = match look(talk, &id).await? {
            Look::Running(deployment) => {
                let seen = Seen::of(&deployment, apps(talk, self.accepted, SHOWN_APPS).await?);
                self.show(talk, seen);
                self.note_cause(&deployment);
                return Ok(standing(&deployment));
            }
            Look::Over(outcome) => outcome,
        };
        if let Some(outcome) = &over {
            self.note_cause(outcome);
        }
        match after(over.as_ref(), self.taken_back_by.is_some()) {
            Next::Over(ending) => Ok(Some(ending)),
            Next::TakenBack(by) => {
                let cause =
                    self.cause.clone().unwrap_or_else(|| "somebody asked for it".to_owned());
                self.say(
                    talk,
                    &format!("deployment {id} is taken back by deployment {by}: {cause}"),
                );
                (self.taken_back_by, self.last) = (Some(by), None);
                Ok(None)
            }
            Next::Unknown => self.by_what_runs(talk).await,
        }
    }

    /// The end by what runs, where nobody knows more.
    async fn by_what_runs(&self, talk: &mut Talk<'_>) -> Result<Option<Ending>, Failure> {
        let apps = apps(talk, self.accepted, usize::MAX).await?;
        let all = apps.len() == self.accepted.apps.len();
        let runs = all && apps.iter().all(|app| app.standing.is_running());
        Ok(Some(match (runs, &self.taken_back_by) {
            (true, None) => Ending::Done,
            (true, Some(_)) => Ending::RolledBack,
            (false, None) => Ending::NotRunning,
            (false, Some(_)) => Ending::RollbackFailed,
        }))
    }

    /// Why the first one failed counts, not what then befell its rollback.
    fn note_cause(&mut self, of: &Value) {
        let cause = of.get("cause").map(|cause| text(cause, "message"));
        if self.cause.is_none() {
            self.cause = cause.filter(|cause| !cause.is_empty());
        }
    }

    /// What came of it, with what runs now. What nobody can be asked any more is left out.
    ///
    /// # Errors
    /// When the longest wait ended while no server answered.
    pub async fn end(self, talk: &mut Talk<'_>, ending: Ending) -> Result<Followed, Failure> {
        if let (Ending::Unfinished, Some(away)) = (ending, &self.away) {
            let text =
                format!("{away}; the deployment may go on, and what became of it is not known");
            return Err(Failure::Unreachable(text));
        }
        // The apps of a deploy have names of their own, which its lines have told.
        let is_told = ending == Ending::Interrupted || matches!(self.course, Course::Deploy(_));
        let most = if is_told { 0 } else { usize::MAX };
        let seen = apps(talk, self.accepted, most).await.unwrap_or_default();
        let (ending, apps) = match ending {
            Ending::Done if !is_told => {
                self.settled(talk, seen, [ending, Ending::NotRunning]).await
            }
            Ending::RolledBack if !is_told => {
                self.settled(talk, seen, [ending, Ending::RollbackFailed]).await
            }
            other => (other, seen),
        };
        let last = self.last.clone().unwrap_or_default();
        let seen = Seen { apps: apps.iter().take(SHOWN_APPS).cloned().collect(), ..last };
        for line in seen.news(self.last.as_ref().or(Some(&Seen::default()))) {
            self.say(talk, &line);
        }
        let autopsy = self.autopsy(talk, ending).await;
        Ok(Followed {
            autopsy,
            course: self.course,
            ending,
            cause: self.cause,
            rollback: self.taken_back_by,
            apps,
        })
    }

    /// The newest failure of its apps while it was at work. What cannot be had is left out: the end is told in any case.
    async fn autopsy(&self, talk: &mut Talk<'_>, ending: Ending) -> Option<Value> {
        if ending.code() == 0 || ending == Ending::Interrupted {
            return None;
        }
        let during = match &self.course {
            Course::Deployment(id) => Some(id.as_str()),
            Course::Deploy(_) | Course::None => None,
        };
        for app in self.accepted.apps.iter().take(SHOWN_APPS) {
            if let Ok(Some(found)) = autopsy::newest(talk, app, during).await {
                return Some(found);
            }
        }
        None
    }

    /// A deployment is done once its instances serve, which without health checks is once they run: one that ends right
    /// after its start has served by that. So those are looked at again, and what fails meanwhile is no success.
    async fn settled(
        &self,
        talk: &mut Talk<'_>,
        done: Vec<AppSeen>,
        [well, unwell]: [Ending; 2],
    ) -> (Ending, Vec<AppSeen>) {
        let now = if done.iter().any(|app| !app.has_checks && app.wanted > 0) {
            tokio::time::sleep(SETTLE).await;
            apps(talk, self.accepted, usize::MAX).await.unwrap_or_else(|_| done.clone())
        } else {
            done.clone()
        };
        (if is_well(&done, &now) { well } else { unwell }, now)
    }

    fn show(&mut self, talk: &mut Talk<'_>, seen: Seen) {
        for line in seen.news(self.last.as_ref()) {
            self.say(talk, &line);
        }
        let seconds = self.clock.now().since(self.begun).as_secs();
        talk.console.live(&seen.bar(seconds));
        self.last = Some(seen);
    }

    /// For a log, when it happened stands before it.
    fn say(&self, talk: &mut Talk<'_>, line: &str) {
        if talk.console.look().live {
            talk.console.note(line);
        } else {
            talk.console.note(&format!("{} {line}", self.clock.now()));
        }
    }
}

// === impl Course ===

impl Course {
    /// Of a change that is this deployment, if it is one.
    pub fn of_deployment(id: Option<String>) -> Course {
        id.map_or(Course::None, Course::Deployment)
    }
}

// === impl Followed ===

impl Followed {
    /// Nothing but the end.
    pub fn only(ending: Ending, course: Course) -> Followed {
        Followed { course, ending, cause: None, rollback: None, apps: Vec::new(), autopsy: None }
    }
}

/// Whether everything runs, and nothing has failed between two looks.
fn is_well(before: &[AppSeen], now: &[AppSeen]) -> bool {
    let failed = |app: &AppSeen| {
        let known = before.iter().find(|one| one.id == app.id);
        known.is_some_and(|one| one.standing.failure() != app.standing.failure())
    };
    now.iter().all(|app| app.standing.is_running() && !failed(app))
}

async fn look(talk: &mut Talk<'_>, id: &str) -> Result<Look, Failure> {
    let ask = Ask::get("/v2/deployments").with("embed", "state");
    let all = talk.client.send(&ask).await?.json()?;
    let mut listed = all.as_array().into_iter().flatten();
    if let Some(found) = listed.find(|item| text(item, "id") == id) {
        return Ok(Look::Running(found.clone()));
    }
    let ask = Ask::get("/v2/deployments/history").with("id", id);
    match talk.client.send(&ask).await {
        Ok(answer) => {
            let known = answer.json()?;
            let mut known = known.as_array().into_iter().flatten();
            Ok(Look::Over(known.find(|item| text(item, "id") == id).cloned()))
        }
        // A server that keeps no history is none of ours.
        Err(failure) if failure.may_pass() => Err(failure),
        Err(_) => Ok(Look::Over(None)),
    }
}

/// Where the first apps of a change are; those that are gone are left out.
async fn apps(
    talk: &mut Talk<'_>,
    accepted: &Accepted,
    most: usize,
) -> Result<Vec<AppSeen>, Failure> {
    let mut seen = Vec::new();
    for id in accepted.apps.iter().take(most) {
        let embeds = ["app.counts", "app.taskStats", "app.lastTaskFailure"];
        let ask = embeds.iter().fold(Ask::get(&app_path(id)), |ask, one| ask.with("embed", *one));
        match talk.client.send(&ask).await {
            Ok(answer) => {
                let body = answer.json()?;
                let mut app = AppSeen::of(body.get("app").unwrap_or(&body), &accepted.since);
                if app.ready < app.wanted {
                    app.standing = waits_for(talk, app.standing).await;
                }
                seen.push(app);
            }
            Err(missing) if missing.is_missing() => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(seen)
}
