//! The launch queue (contract 10, OM-7 to OM-9): who waits, since when, and why.
//!
//! There is no queue. An app is in it while an instance of it waits or is launched and not yet confirmed; why it waits
//! is its [`Verdict`]. What each agent lacks is worked out by who calls, only for those who ask.

use std::collections::BTreeSet;

use crate::contract::show::text::{self, Object};
use crate::model::agent::{Agent, AttributeValue, PortRange};
use crate::model::app::{App, Backoff};
use crate::model::condition::Condition;
use crate::model::id::Version;
use crate::model::instance::Instance;
use crate::model::reason::{Funnel, Reason};
use crate::model::time::{Span, Timestamp};
use crate::model::unit::{Cpus, Disk, Mem};
use crate::model::view::{Verdict, View};

/// Why one agent does not take an app.
pub struct UnusedOffer<'a> {
    /// Which agent.
    pub agent: &'a Agent,
    /// What it has left.
    pub free: Free,
    /// Everything that stands against it.
    pub reasons: Vec<Reason>,
    /// When that was found.
    pub at: Timestamp,
}

/// What an agent has left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Free {
    /// Processor share.
    pub cpus: Cpus,
    /// Memory.
    pub mem: Mem,
    /// Disk.
    pub disk: Disk,
    /// Devices.
    pub gpus: u32,
    /// Ports for dynamic use.
    pub ports: Vec<PortRange>,
}

/// `{"queue":[…]}` of the items that there are.
pub fn queue(items: impl IntoIterator<Item = String>) -> String {
    text::object_text(|object| object.list("queue", items, |out, item| out.push_str(&item)))
}

/// The item of one app, if anything of it waits. `definition` is its current definition's text.
pub fn item<'a>(
    view: &View,
    app: &App,
    definition: &str,
    unused: Option<impl IntoIterator<Item = UnusedOffer<'a>>>,
    now: Timestamp,
) -> Option<String> {
    let waiting = || view.world.instances_of(app.key).filter(|instance| is_queued(instance));
    let since = waiting().map(|instance| instance.since).min()?;
    let current = view.world.current(app)?;
    let unseen = Verdict::default();
    let verdict = view.verdicts.get(&app.key).unwrap_or(&unseen);
    Some(text::object_text(|object| {
        object.raw("count", waiting().count());
        // A strict client does not know the key, and the default says nothing (clients 2.3.6).
        if current.spec.role != "*" {
            object.text("role", &current.spec.role);
        }
        object.object("delay", |delay| delay_members(delay, app, current.config, now));
        object.plain("since", since);
        object.object("processedOffersSummary", |summary| summary_members(summary, verdict));
        if let Some(unused) = unused {
            object
                .objects("lastUnusedOffers", unused, |object, offer| unused_offer(object, &offer));
        }
        object.raw("app", definition);
    }))
}

/// Whether an instance is in the queue: it waits, or its launch is not confirmed.
pub fn is_queued(instance: &Instance) -> bool {
    instance.is_scheduled()
        || (instance.is_wanted() && instance.condition() == Some(Condition::Provisioned))
}

/// BO-9: overdue without a delay, and from one second after it is due.
fn delay_members(out: &mut Object<'_>, app: &App, config: Version, now: Timestamp) {
    let backoff = app.backoffs.iter().find(|backoff| backoff.config == config);
    let due = backoff.filter(|backoff| now <= backoff.expires()).map(Backoff::until);
    out.raw("timeLeftSeconds", due.map_or(0, |due| due.since(now).as_secs()));
    out.raw("overdue", due.is_none_or(|due| now >= due + Span::secs(1)));
}

fn summary_members(out: &mut Object<'_>, verdict: &Verdict) {
    let last: u64 = verdict.refused.iter().copied().map(u64::from).sum();
    out.raw("processedOffersCount", verdict.processed);
    out.raw("unusedOffersCount", verdict.refused_in_all.iter().sum::<u64>());
    if let Some((at, _)) = verdict.tried.filter(|_| last > 0) {
        out.plain("lastUnusedOfferAt", at);
    }
    if let Some(at) = verdict.placed {
        out.plain("lastUsedOfferAt", at);
    }
    funnel(out, "rejectSummaryLastOffers", last, verdict.refused.map(u64::from));
    funnel(out, "rejectSummaryLaunchAttempt", verdict.processed, verdict.refused_in_all);
}

/// Always all ten; each is reached by what those before it let through (OM-8).
fn funnel(out: &mut Object<'_>, key: &str, all: u64, declined: [u64; Funnel::ALL.len()]) {
    let mut left = all;
    out.objects(key, Funnel::ALL.into_iter().zip(declined), |object, (reason, declined)| {
        object.plain("reason", reason.as_str());
        object.raw("declined", declined);
        object.raw("processed", left);
        left = left.saturating_sub(declined);
    });
}

fn unused_offer(out: &mut Object<'_>, unused: &UnusedOffer<'_>) {
    out.object("offer", |offer| offer_members(offer, unused));
    out.texts("reason", marathon_reasons(&unused.reasons).into_iter().map(Funnel::as_str));
    // Ours: Marathon's words say neither how much is missing nor who has it.
    let details: Vec<String> = unused.reasons.iter().map(Reason::to_string).collect();
    out.texts("details", details.iter().map(String::as_str));
    out.plain("timestamp", unused.at);
}

/// Marathon's words in the order of its funnel, each once. It looks at ports only when all else fits (PL-24), so that
/// theirs stands alone.
fn marathon_reasons(reasons: &[Reason]) -> BTreeSet<Funnel> {
    let words: BTreeSet<Funnel> =
        reasons.iter().flat_map(|reason| reason.funnels().iter().copied()).collect();
    let alone = words.len() == 1;
    words.into_iter().filter(|word| alone || *word != Funnel::InsufficientPorts).collect()
}

fn offer_members(out: &mut Object<'_>, unused: &UnusedOffer<'_>) {
    let UnusedOffer { agent, free, reasons: _, at } = unused;
    let role = &agent.inventory.role;
    // There are no offers; the id tells two looks at one agent apart.
    out.plain("id", format_args!("{}-O{}", agent.id, at.as_millis()));
    out.text("hostname", &agent.inventory.hostname);
    out.plain("agentId", agent.id);
    out.list("resources", ["cpus", "mem", "disk", "gpus", "ports"], |list, name| {
        text::object(list, |object| {
            object.plain("name", name);
            object.text("role", role);
            match name {
                "cpus" => object.double("scalar", free.cpus),
                "mem" => object.double("scalar", free.mem),
                "disk" => object.double("scalar", free.disk),
                "gpus" => object.double("scalar", free.gpus),
                _ => ranges(object, free.ports.iter().map(|range| (range.first, range.last))),
            }
        });
    });
    out.objects("attributes", &agent.inventory.attributes, |object, (name, value)| {
        object.text("name", name);
        match value {
            AttributeValue::Text(text) => object.text("text", text),
            AttributeValue::Scalar(_) => object.double("scalar", value),
            AttributeValue::Ranges(list) => ranges(object, list.iter().copied()),
            AttributeValue::Set(set) => object.texts("set", set),
        }
    });
}

fn ranges<T: std::fmt::Display>(out: &mut Object<'_>, ranges: impl Iterator<Item = (T, T)>) {
    out.objects("ranges", ranges, |object, (begin, end)| {
        object.raw("begin", begin);
        object.raw("end", end);
    });
}

#[cfg(test)]
mod tests;
