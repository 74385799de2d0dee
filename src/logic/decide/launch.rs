//! What waits is placed, as far as backoffs and agents allow; what does not fit keeps its verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::logic::decide::backoff;
use crate::logic::draft::Draft;
use crate::logic::place::{Ask, Placed};
use crate::logic::status;
use crate::model::app::AppVersion;
use crate::model::condition::Condition;
use crate::model::findings::Findings;
use crate::model::id::{AgentKey, AppKey, InstanceId, InstanceKey, Version};
use crate::model::instance::{Place, Task};
use crate::model::view::Verdict;
use crate::planted::planted;

/// Tries what waits on agents where something became free, in the order in which apps are served.
pub fn retry(draft: &mut Draft<'_>, fresh: &BTreeSet<AgentKey>) {
    let waiting: Vec<AppKey> = draft.index().apps.waiting().collect();
    for key in waiting {
        app(draft, key, Some(fresh));
    }
}

/// Launches an app's waiting instances, on all agents or only on some.
pub fn app(draft: &mut Draft<'_>, key: AppKey, only: Option<&BTreeSet<AgentKey>>) {
    let classes = classes(draft, key);
    if classes.is_empty() {
        draft.verdicts().remove(&key);
        return;
    }
    for (version, instances) in classes {
        launch_class(draft, key, version, instances, only);
    }
    if draft.index().apps.waits_since(key).is_none() {
        draft.verdicts().remove(&key);
    }
}

/// The waiting instances by their definition: one class has one need.
fn classes(draft: &Draft<'_>, key: AppKey) -> BTreeMap<Version, Vec<InstanceKey>> {
    let mut classes: BTreeMap<Version, Vec<InstanceKey>> = BTreeMap::new();
    for no in draft.index().apps.scheduled(key) {
        let instance = InstanceKey { app: key, no };
        if let Some(row) = draft.instance(instance) {
            classes.entry(row.version).or_default().push(instance);
        }
    }
    classes
}

fn launch_class(
    draft: &mut Draft<'_>,
    key: AppKey,
    version: Version,
    mut instances: Vec<InstanceKey>,
    only: Option<&BTreeSet<AgentKey>>,
) {
    let Some(row) = draft.world().versions.share(&(key, version)) else { return };
    match delay(draft, key, &row) {
        Delay::None => {}
        Delay::Waits => {
            note(draft, key, None);
            return;
        }
        // While there is a delay, launches of one configuration are one delay apart (BO-5).
        Delay::Over => planted!("launches-not-apart", instances.truncate(1), ()),
    }
    let ids: Vec<InstanceId> =
        instances.iter().filter_map(|key| draft.instance(*key)).map(|row| row.id).collect();
    let ask = Ask::of(draft.world(), draft.index(), key, &row, draft.now());
    let placed = ask.place(&ids, only);
    note(draft, key, Some(&placed).filter(|placed| only.is_none() || !placed.places.is_empty()));
    draft.count_placements(u32::try_from(placed.places.len()).unwrap_or(u32::MAX));
    for (instance, place) in instances.into_iter().zip(placed.places) {
        provision(draft, instance, place, &row);
    }
}

enum Delay {
    None,
    Waits,
    Over,
}

fn delay(draft: &Draft<'_>, key: AppKey, row: &Arc<AppVersion>) -> Delay {
    if row.spec.backoff.seconds == 0 {
        // Nothing times anything stays nothing (BO-8).
        return Delay::None;
    }
    let app = draft.world().apps.get(&key);
    match app.and_then(|app| backoff::until(app, row.config)) {
        None => Delay::None,
        Some(until) if draft.now() < until => Delay::Waits,
        Some(_) => Delay::Over,
    }
}

/// The next life of an instance, at its place.
fn provision(draft: &mut Draft<'_>, key: InstanceKey, mut place: Place, row: &AppVersion) {
    let Some(mut instance) = draft.instance(key).cloned() else { return };
    let agent = draft.world().agents.get(&place.agent);
    place.launch_seconds = agent.and_then(|agent| agent.inventory.launch_seconds);
    let now = draft.now();
    instance.incarnation = planted!(
        "incarnation-reused",
        instance.incarnation.next(),
        instance.incarnation.max(crate::model::id::Incarnation(1))
    );
    instance.place = Some(place);
    instance.since = now;
    // HC-9, BETTER: a new life has no past.
    let past = planted!(
        "findings-outlive-a-life",
        None,
        instance.tasks.first().and_then(|task| task.findings.clone())
    );
    instance.tasks =
        row.spec.containers.iter().map(|container| provisioned(&container.name, now)).collect();
    let findings = past.or_else(|| Findings::none_yet(&row.spec));
    instance.tasks.iter_mut().for_each(|task| task.findings.clone_from(&findings));
    status::publish_instance(draft, &instance);
    backoff::follow(draft, &instance, Condition::Provisioned);
    draft.put_instance(instance);
}

fn provisioned(name: &str, now: crate::model::time::Timestamp) -> Task {
    Task {
        name: name.into(),
        condition: Condition::Provisioned,
        since: now,
        staged_at: now,
        started_at: None,
        ips: Vec::new(),
        handle: None,
        pulled: 0,
        findings: None,
        end: None,
    }
}

/// Keeps what the attempt came to, for queue and explain.
fn note(draft: &mut Draft<'_>, key: AppKey, placed: Option<&Placed>) {
    let now = draft.now();
    let since = draft.index().apps.waits_since(key).unwrap_or(now);
    let mut verdict =
        draft.verdicts().get(&key).cloned().unwrap_or(Verdict { since, ..Verdict::default() });
    if let Some(placed) = placed {
        verdict.tried = Some((now, placed.looked));
        verdict.processed += u64::from(placed.looked);
        if placed.refused.iter().any(|count| *count > 0) {
            verdict.refused = placed.refused;
        }
        for (sum, refused) in verdict.refused_in_all.iter_mut().zip(placed.refused) {
            *sum += u64::from(refused);
        }
        if !placed.places.is_empty() {
            verdict.placed = Some(now);
        }
    }
    draft.verdicts().put(key, Arc::new(verdict));
}
