//! Lives that failed, with what led to it. Our own; Marathon knows the last failure of an app alone.

use crate::contract::show::text::{self, Object};
use crate::model::autopsy::{Autopsy, During, Exit, Fault, SIGKILL};
use crate::model::deployment::State;
use crate::model::evidence::{Answer, Evidence, Output, Reply};
use crate::model::id::DeploymentId;
use crate::model::outcome::{Ending, Outcome};
use crate::model::path::AppPath;
use crate::model::world::World;

/// What can be said of the evidence of a life.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// It is there.
    Here(&'a Evidence),
    /// The agent has none: not yet, not any more, or it could not be taken.
    None,
    /// It is on an agent that is not heard now. Why, for people.
    Away(&'a str),
    /// Its agent was forgotten, or it never had one.
    Forgotten,
}

// === impl Fate ===

impl Fate<'_> {
    const fn as_str(&self) -> &'static str {
        match self {
            Fate::Running(state) => state.as_str(),
            Fate::Over(ending) => ending.as_str(),
            Fate::Forgotten => "over",
        }
    }

    const fn by(&self) -> Option<DeploymentId> {
        match self {
            Fate::Over(ending) => ending.by(),
            Fate::Running(_) | Fate::Forgotten => None,
        }
    }

    /// To be added to its name; nothing where that says all.
    fn words(&self) -> String {
        match self {
            Fate::Running(State::Going) | Fate::Forgotten => String::new(),
            Fate::Running(State::Paused(_)) => " (paused)".to_owned(),
            Fate::Running(State::Stuck(_)) => " (stuck)".to_owned(),
            Fate::Over(Ending::RolledBack { by, .. }) => format!(" (rolled back by {by})"),
            Fate::Over(Ending::Replaced { by }) => format!(" (replaced by {by})"),
            Fate::Over(ending @ (Ending::Done | Ending::Failed(_) | Ending::Cancelled)) => {
                format!(" ({})", ending.as_str())
            }
        }
    }
}

/// A list of them.
pub fn list<'a>(
    world: &World,
    path: &AppPath,
    total: usize,
    shown: impl Iterator<Item = &'a Autopsy>,
) -> String {
    text::object_text(|object| {
        object.objects("failures", shown, |object, autopsy| {
            members(object, world, path, autopsy, None);
        });
        object.raw("total", total);
    })
}

/// One of them, with its evidence.
pub fn one(world: &World, path: &AppPath, autopsy: &Autopsy, found: Found<'_>) -> String {
    text::object_text(|object| {
        object.object("failure", |object| {
            let evidence = match found {
                Found::Here(evidence) => Some(evidence),
                Found::None | Found::Away(_) | Found::Forgotten => None,
            };
            members(object, world, path, autopsy, evidence);
            object.object("evidence", |object| evidence_members(object, autopsy, found));
        });
    })
}

/// What led to the end of a life, the first cause first. With its evidence it is known who killed it.
fn chain(
    world: &World,
    during: Option<(During, Fate<'_>)>,
    autopsy: &Autopsy,
    evidence: Option<&Evidence>,
) -> Vec<String> {
    let mut chain = Vec::new();
    if let Some((During { deployment: id, brings }, fate)) = during {
        let fate = fate.words();
        chain.push(if brings {
            format!("deployment {id}{fate}")
        } else {
            format!("while deployment {id} was at work{fate}")
        });
    }
    chain.push(format!("version {}", autopsy.version));
    if let Some(agent) = &autopsy.agent {
        chain.push(match autopsy.started_at {
            Some(start) => format!("ran on {} for {}", agent.host, autopsy.at.since(start)),
            None => format!("on {}", agent.host),
        });
    }
    chain.extend(fault(&autopsy.fault));
    chain.extend(stop(world, autopsy, evidence));
    chain.extend(autopsy.exit.map(|exit| end(autopsy, exit)));
    chain
}

/// What became of a deployment.
#[derive(Clone, Copy)]
enum Fate<'a> {
    Running(&'a State),
    Over(&'a Ending),
    /// It is over for so long that nobody knows.
    Forgotten,
}

/// The deployment in which a life failed, or else that which had brought it before.
fn deployment<'a>(
    world: &'a World,
    path: &AppPath,
    autopsy: &Autopsy,
) -> Option<(During, Fate<'a>)> {
    let outcomes = || world.outcomes.iter().map(|(_, outcome)| outcome);
    let Some(during) = autopsy.during else {
        let brought = |outcome: &&Outcome| {
            outcome.version == autopsy.version && outcome.apps.iter().any(|(_, app)| app == path)
        };
        let outcome = outcomes().find(brought)?;
        let during = During { deployment: outcome.id, brings: true };
        return Some((during, Fate::Over(&outcome.ending)));
    };
    if let Some(running) = world.deployments.get(&during.deployment) {
        return Some((during, Fate::Running(&running.state)));
    }
    let outcome = outcomes().find(|outcome| outcome.id == during.deployment);
    Some((during, outcome.map_or(Fate::Forgotten, |outcome| Fate::Over(&outcome.ending))))
}

fn fault(fault: &Fault) -> Option<String> {
    match fault {
        Fault::Ended => None,
        Fault::Unhealthy { check, failures, cause } => {
            let times = if *failures == 1 { "once" } else { &format!("{failures} times") };
            Some(format!("health check {check} failed {times}: {cause}"))
        }
        Fault::Overdue { condition, after } => {
            Some(format!("the launch took too long: {} for {after}", condition.as_str()))
        }
        Fault::Lost => Some("its agent lost it".to_owned()),
    }
}

/// How it was ended, where it was.
fn stop(world: &World, autopsy: &Autopsy, evidence: Option<&Evidence>) -> Option<String> {
    match autopsy.fault {
        Fault::Ended | Fault::Lost => return None,
        Fault::Unhealthy { .. } | Fault::Overdue { .. } => {}
    }
    let exit = match autopsy.exit {
        None => return Some("is being ended".to_owned()),
        Some(Exit::Never) => return Some("given up".to_owned()),
        Some(exit) => exit,
    };
    let stop = evidence.and_then(|evidence| evidence.stop);
    let killed = stop.map_or(exit == Exit::Signal(SIGKILL), |stop| stop.killed.is_some());
    if !killed {
        return Some("asked to end".to_owned());
    }
    let row = world.versions.get(&(autopsy.key.app, autopsy.version));
    Some(match row.map(|row| row.spec.kill_grace()) {
        Some(grace) => format!("killed after its grace period of {grace}"),
        None => "killed after its grace period".to_owned(),
    })
}

fn end(autopsy: &Autopsy, exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit {code}"),
        Exit::Signal(signal) => {
            format!("exit {} (signal {signal})", exit.code().unwrap_or_default())
        }
        Exit::Oom { peak: Some(peak) } => {
            format!("killed by the kernel for its memory, peak {peak} MiB: exit 137")
        }
        Exit::Oom { peak: None } => "killed by the kernel for its memory: exit 137".to_owned(),
        Exit::Never | Exit::Unknown => match autopsy.fault {
            Fault::Ended | Fault::Lost => autopsy.message.to_string(),
            Fault::Unhealthy { .. } | Fault::Overdue { .. } if exit == Exit::Never => {
                "it never ran".to_owned()
            }
            Fault::Unhealthy { .. } | Fault::Overdue { .. } => {
                "nobody knows how it ended".to_owned()
            }
        },
    }
}

/// A word for programs.
fn kind(autopsy: &Autopsy) -> &'static str {
    match (&autopsy.fault, autopsy.exit) {
        (Fault::Unhealthy { .. }, _) => "unhealthy",
        (Fault::Overdue { .. }, _) => "overdue",
        (Fault::Lost, _) => "lost",
        (Fault::Ended, Some(Exit::Code(_))) => "exit",
        (Fault::Ended, Some(Exit::Signal(_))) => "signal",
        (Fault::Ended, Some(Exit::Oom { .. })) => "oom",
        (Fault::Ended, Some(Exit::Never)) => "launch",
        (Fault::Ended, Some(Exit::Unknown) | None) => "unknown",
    }
}

fn members(
    out: &mut Object<'_>,
    world: &World,
    path: &AppPath,
    autopsy: &Autopsy,
    evidence: Option<&Evidence>,
) {
    out.plain("appId", path);
    let task = autopsy.task.as_str();
    out.plain("taskId", autopsy.instance.task(path, task, autopsy.incarnation));
    out.plain("timestamp", autopsy.at);
    out.plain("version", autopsy.version);
    out.plain("state", autopsy.condition.task_state());
    out.plain("kind", kind(autopsy));
    out.text("message", &autopsy.message);
    if let Some(agent) = &autopsy.agent {
        out.plain("agent", agent.id);
        out.text("host", &agent.host);
    }
    if let Some(start) = autopsy.started_at {
        out.plain("startedAt", start);
    }
    out.raw_if("exitCode", autopsy.exit.and_then(Exit::code));
    out.raw_if("signal", autopsy.exit.and_then(Exit::signal));
    if let Some(Exit::Oom { peak }) = autopsy.exit {
        out.object("oom", |oom| oom.raw_if("peakMiB", peak));
    }
    if let Fault::Unhealthy { check, failures, cause } = &autopsy.fault {
        out.object("healthCheck", |object| {
            object.text("check", check);
            object.raw("failures", failures);
            object.text("cause", cause);
        });
    }
    let during = deployment(world, path, autopsy);
    if let Some((during, fate)) = during {
        out.object("deployment", |object| {
            object.plain("id", during.deployment);
            object.raw("brings", during.brings);
            object.plain("state", fate.as_str());
            if let Some(by) = fate.by() {
                object.plain("by", by);
            }
        });
    }
    out.texts("chain", chain(world, during, autopsy, evidence));
}

fn evidence_members(out: &mut Object<'_>, autopsy: &Autopsy, found: Found<'_>) {
    let host = autopsy.agent.as_ref().map_or("none", |agent| &agent.host);
    match found {
        Found::Here(evidence) => {
            out.plain("state", "here");
            taken_members(out, evidence);
        }
        Found::None => {
            out.plain("state", "none");
            out.text("detail", &format!("agent {host} has no evidence of it, or not any more"));
        }
        Found::Away(why) => {
            out.plain("state", "away");
            out.text("detail", &format!("on agent {host}, which is not heard: {why}"));
        }
        Found::Forgotten => {
            out.plain("state", "forgotten");
            let detail = match &autopsy.agent {
                Some(_) => format!("on agent {host}, which was forgotten"),
                None => "it was on no agent".to_owned(),
            };
            out.text("detail", &detail);
        }
    }
}

fn taken_members(out: &mut Object<'_>, evidence: &Evidence) {
    out.plain("takenAt", evidence.at);
    if let Some(ended) = &evidence.ended {
        out.plain("endedAt", ended.at);
        out.text("end", &ended.message);
    }
    if let Some(stop) = evidence.stop {
        out.object("stop", |object| {
            for (key, at) in [("askedAt", stop.asked), ("killedAt", stop.killed)] {
                if let Some(at) = at {
                    object.plain(key, at);
                }
            }
        });
    }
    out.raw("pulled", evidence.pulled);
    if let Some(image) = &evidence.image {
        out.object("image", |object| {
            object.text("name", &image.name);
            object.text("id", &image.id);
            object.text_if("digest", image.digest.as_deref());
        });
    }
    if let Some(since) = evidence.asked_since {
        out.plain("askedSince", since);
    }
    out.objects("probes", &evidence.replies, reply_members);
    out.object("stdout", |object| output_members(object, &evidence.stdout));
    out.object("stderr", |object| output_members(object, &evidence.stderr));
}

fn reply_members(out: &mut Object<'_>, reply: &Reply) {
    out.plain("at", reply.at);
    out.text("check", &reply.check);
    out.raw("good", reply.answer.is_good());
    match &reply.answer {
        Answer::Http { status, body, cut } => {
            out.raw("status", status);
            out.text("body", body);
            out.raw("cut", cut);
        }
        Answer::Connected => {}
        Answer::Exit(code) => out.raw("exitCode", code),
        Answer::Failed(why) => out.text("error", why),
    }
}

fn output_members(out: &mut Object<'_>, output: &Output) {
    out.texts("lines", &output.lines);
    out.raw("more", output.more);
    out.raw("shortened", output.shortened);
    out.text_if("unread", output.unread.as_deref());
}

#[cfg(test)]
mod tests;
