//! Creating and changing apps (DP-4, DP-5, DP-7).

use std::collections::BTreeSet;

use crate::logic::change::plan::{self, Effect, Terms};
use crate::logic::change::service_ports;
use crate::logic::draft::Draft;
use crate::logic::place::devices;
use crate::model::agent::DeviceId;
use crate::model::app::{Action, App, AppVersion};
use crate::model::brake::HealthBrake;
use crate::model::event::Event;
use crate::model::fact::{Announce, Answer, Caller, Expect, How, Put, Refusal};
use crate::model::id::{AppKey, Version};
use crate::model::path::AppPath;
use crate::model::pin::{Pin, Wanted};
use crate::model::spec::Spec;
use crate::model::world::World;

/// Creates and changes apps as one deployment.
///
/// # Errors
/// The reason why nothing was done.
pub fn put(
    draft: &mut Draft<'_>,
    who: &Caller,
    puts: Vec<Put>,
    announce: Announce,
    how: How,
) -> Result<Answer, Refusal> {
    for put in &puts {
        check_expected(draft.world(), put)?;
        check_groups(draft.world(), &put.spec.path)?;
        check_pin(draft.world(), &put.spec)?;
    }
    let known: Vec<App> =
        puts.iter().filter_map(|put| draft.world().any_app(&put.spec.path)).cloned().collect();
    let version = plan::new_version(draft, known.iter());
    let group = group_of(&puts);
    let submitted = puts.first().map(|put| put.spec.service_ports());
    let mut taken = BTreeSet::new();
    let mut effects = Vec::with_capacity(puts.len());
    for put in puts {
        effects.push(effect(draft, put.spec, version, &mut taken)?);
    }
    let announced: Option<(AppKey, AppPath, Version)> =
        effects.first().map(|effect| (effect.app.key, effect.app.path.clone(), effect.app.version));
    let terms = Terms { version, how, reverts: None, group: &group };
    let answer = plan::carry_out(draft, effects, terms)?;
    if let (Some((app, path, version)), Announce::Submitted | Announce::Stored) =
        (announced, announce)
    {
        draft.event(Event::ApiPost {
            client: who.address.clone(),
            uri: who.uri.clone(),
            app,
            path,
            version,
            submitted: submitted.filter(|_| announce == Announce::Submitted),
        });
    }
    Ok(answer)
}

fn check_expected(world: &World, put: &Put) -> Result<(), Refusal> {
    let app = world.app(&put.spec.path);
    match (put.expect, app) {
        (Expect::Absent | Expect::None, None) => Ok(()),
        (Expect::Absent, Some(app)) => Err(Refusal::Exists { path: app.path.clone() }),
        (Expect::Version(version), Some(app)) if app.version == version => Ok(()),
        (Expect::None, Some(_)) | (Expect::Version(_), Some(_) | None) => Err(Refusal::Stale),
    }
}

/// No app has the id of a group that has apps, and no group the id of an app (contract 13.11).
fn check_groups(world: &World, path: &AppPath) -> Result<(), Refusal> {
    let below =
        world.paths.range(path.clone()..).map(|(path, _)| path).skip_while(|other| *other == path);
    let below = below.take_while(|other| other.as_str().starts_with(path.as_str()));
    let is_group =
        below.filter(|other| other.is_within(path)).any(|other| world.app(other).is_some());
    let mut above = path.parent();
    while !above.is_root() {
        if world.app(&above).is_some() {
            return Err(Refusal::SameAsGroup { path: above });
        }
        above = above.parent();
    }
    if is_group { Err(Refusal::SameAsGroup { path: path.clone() }) } else { Ok(()) }
}

/// A UUID that is cut so short that it means several devices could put the app anywhere (F10). An index means one on each
/// agent, and is none of this.
fn check_pin(world: &World, spec: &Spec) -> Result<(), Refusal> {
    let (Some((written, _)), Some(pin)) = (Pin::text(spec), Pin::of(spec)) else { return Ok(()) };
    let names = pin.wanted().filter(|wanted| matches!(wanted, Wanted::Prefix(_)));
    for wanted in names {
        let agents = world.agents.iter().map(|(_, agent)| agent);
        let all: BTreeSet<&DeviceId> =
            agents.flat_map(|agent| devices::matching(agent, wanted)).map(|it| &it.id).collect();
        if all.len() > 1 && !all.iter().any(|id| *id.0 == wanted.to_string()) {
            return Err(Refusal::AmbiguousGpu {
                member: written.member(),
                wanted: wanted.to_string(),
                devices: all.into_iter().map(|id| id.0.to_string()).collect(),
            });
        }
    }
    Ok(())
}

/// What is said to have changed: the group of a single app, else the root.
fn group_of(puts: &[Put]) -> AppPath {
    match puts {
        [one] => one.spec.path.parent(),
        _ => AppPath::root(),
    }
}

fn effect(
    draft: &mut Draft<'_>,
    mut spec: Spec,
    version: Version,
    taken: &mut BTreeSet<u16>,
) -> Result<Effect, Refusal> {
    let old = draft.world().any_app(&spec.path).cloned();
    let live = old.as_ref().filter(|app| app.removed.is_none());
    let current = live.and_then(|app| draft.world().current(app)).cloned();
    let previous = current.as_ref().map(|row| &row.spec);
    service_ports::assign(&mut spec, previous, draft.index(), draft.limits().service_ports, taken)?;
    match (old, current) {
        (Some(app), Some(current)) => Ok(changed(draft.world(), &app, &current, spec, version)),
        (Some(app), None) if app.removed.is_none() => Ok(unreadable(&app, spec, version)),
        (old, _) => Ok(created(draft, old, spec, version)),
    }
}

/// A new app, or one that was removed and is made again under its old key.
fn created(draft: &mut Draft<'_>, old: Option<App>, spec: Spec, version: Version) -> Effect {
    let row = AppVersion {
        spec,
        version,
        last_scaling_at: version.0,
        last_config_change_at: version.0,
        config: version,
    };
    let app = match old {
        Some(removed) => App {
            visible_from: version,
            removed: None,
            last_failure: None,
            backoffs: Vec::new(),
            ..plan::with_version(&removed, version)
        },
        None => App {
            key: draft.new_app(),
            path: row.spec.path.clone(),
            version,
            priors: Vec::new(),
            visible_from: version,
            part: None,
            backoffs: Vec::new(),
            last_failure: None,
            next_instance: 0,
            look_again: None,
            health_brake: HealthBrake::default(),
            removed: None,
        },
    };
    Effect { app, row: Some(row), action: Some(Action::Create), from: None }
}

/// An app whose definition could not be read: what runs of it is replaced step by step.
fn unreadable(app: &App, spec: Spec, version: Version) -> Effect {
    let row = AppVersion {
        spec,
        version,
        last_scaling_at: version.0,
        last_config_change_at: version.0,
        config: version,
    };
    let from = Some(app.version);
    // The unreadable one is no earlier definition that anybody could go back to.
    let app = App { version, part: None, ..app.clone() };
    Effect { app, row: Some(row), action: Some(Action::Restart), from }
}

/// An app that gets another definition (DP-4, DP-7).
pub fn changed(
    world: &World,
    app: &App,
    current: &AppVersion,
    spec: Spec,
    version: Version,
) -> Effect {
    let same_config = current.spec.same_config(&spec);
    let same_count = current.spec.instances == spec.instances;
    if same_config && same_count && current.spec == spec {
        return Effect { app: app.clone(), row: None, action: None, from: None };
    }
    let config = if same_config { current.config } else { config_of(world, app, &spec, version) };
    let action = if same_config && same_count {
        // What is no configuration is stored and restarts nothing (contract 14.5).
        None
    } else if same_config || spec.instances == 0 {
        Some(Action::Scale)
    } else {
        Some(Action::Restart)
    };
    let row = AppVersion {
        version,
        last_scaling_at: if same_config && same_count {
            current.last_scaling_at
        } else {
            version.0
        },
        last_config_change_at: if same_config { current.last_config_change_at } else { version.0 },
        config,
        spec,
    };
    Effect {
        app: plan::with_version(app, version),
        row: Some(row),
        action,
        from: Some(current.version),
    }
}

/// The configuration that a definition has: that of the newest earlier one with the same content, of which instances
/// may still run, else a new one.
fn config_of(world: &World, app: &App, spec: &Spec, version: Version) -> Version {
    let earlier =
        app.priors.iter().rev().filter_map(|prior| world.versions.get(&(app.key, *prior)));
    let running: BTreeSet<Version> =
        world.instances_of(app.key).map(|instance| instance.config).collect();
    let same =
        earlier.filter(|row| running.contains(&row.config)).find(|row| row.spec.same_config(spec));
    same.map_or(version, |row| row.config)
}
