//! What must hold of checks: nobody is killed before its count (HC-5, HC-6) or kept beyond it, nobody is taken for healthy
//! of whom no check said so in this life (HC-9, RU-10), what was found is not forgotten (HC-13), no upgrade or rollback
//! takes what already is as it shall be, and many that turn at once are left alone (I19).

use stayer::agent::mind::CheckNo;
use stayer::agent::runtime::SandboxId;
use stayer::model::app::App;
use stayer::model::commit::Commit;
use stayer::model::condition::Condition;
use stayer::model::findings::{Findings, HealthRecord};
use stayer::model::id::AppKey;
use stayer::model::instance::{Goal, Instance, StopWhy};
use stayer::model::row::Row;
use stayer::model::spec::Spec;
use stayer::model::time::{Span, Timestamp};
use stayer::model::world::World;

use crate::faults::Kind;
use crate::sim::Sim;
use crate::truth::target;

type Law = Result<(), (&'static str, String)>;

// === impl Sim: before a commit is durable ===

impl Sim {
    /// What a commit says and does about checks.
    pub fn check_health(&mut self, before: &World, commit: &Commit) {
        let rows: Vec<&Instance> = commit
            .writes
            .iter()
            .filter_map(|write| match &write.row {
                Some(Row::Instance(row)) => Some(&**row),
                Some(_) | None => None,
            })
            .collect();
        for row in &rows {
            let laws = [
                self.killed_at_its_count(before, commit, row),
                self.healthy_is_proven(commit, row),
                nothing_found_is_forgotten(before, row),
            ];
            if let Some((law, text)) = laws.into_iter().find_map(Result::err) {
                return self.fail(law, text);
            }
        }
        let mut apps: Vec<AppKey> = rows.iter().map(|row| row.key.app).collect();
        apps.dedup();
        for key in apps {
            let laws = [nobody_is_kept(commit, key), few_are_killed_at_once(before, commit, key)];
            let laws = laws.into_iter().chain([what_fits_stays(before, commit, key)]);
            if let Some((law, text)) = laws.into_iter().find_map(Result::err) {
                return self.fail(law, text);
            }
        }
        self.note_health(before, commit);
    }

    fn note_health(&mut self, before: &World, commit: &Commit) {
        let mut held = false;
        for write in &commit.writes {
            match &write.row {
                Some(Row::App(app)) => {
                    let was = before
                        .apps
                        .get(&app.key)
                        .is_some_and(|app| app.health_brake.held.is_some());
                    if app.health_brake.held.is_some() && !was {
                        self.seen.met(Kind::HealthBrakeHeld);
                    }
                    held |= app.health_brake.held.is_some();
                }
                Some(Row::Instance(row)) if is_killed(before, row) => {
                    self.seen.met(Kind::HealthKill);
                }
                Some(_) | None => {}
            }
        }
        self.health_brake_acts(held);
    }

    /// HC-5, HC-6.
    fn killed_at_its_count(&self, before: &World, commit: &Commit, row: &Instance) -> Law {
        if !is_killed(before, row) {
            return Ok(());
        }
        let Some(spec) = spec_of(&commit.world, row) else { return Ok(()) };
        let life = life(row);
        let due = spec.health_checks.iter().enumerate().any(|(no, check)| {
            let longest = self.probes.longest(life, CheckNo::Health(no));
            check.kills_at().is_some_and(|limit| longest >= limit)
        });
        if due {
            return Ok(());
        }
        Err(("HC-6", format!("{life} is killed before its count: {:?}", findings(row))))
    }

    /// HC-9, RU-10.
    fn healthy_is_proven(&self, commit: &Commit, row: &Instance) -> Law {
        if !row.is_healthy() {
            return Ok(());
        }
        let Some(spec) = spec_of(&commit.world, row) else { return Ok(()) };
        let life = life(row);
        let health = (0..spec.health_checks.len()).map(CheckNo::Health);
        let readiness = (0..spec.readiness_checks.len()).map(CheckNo::Readiness);
        for check in health.chain(readiness) {
            if !self.probes.was_good(life, check) {
                return Err(("RU-10", format!("{life} is taken for healthy, {check:?} never was")));
            }
        }
        Ok(())
    }
}

/// HC-6: what has failed often enough is killed in the same commit, unless the brake holds.
fn nobody_is_kept(commit: &Commit, key: AppKey) -> Law {
    let world = &commit.world;
    let held = world.apps.get(&key).is_none_or(|app| app.health_brake.held.is_some());
    if held {
        return Ok(());
    }
    for row in world.instances_of(key) {
        let runs = row.goal == Goal::Run && row.condition() == Some(Condition::Running);
        let Some(spec) = spec_of(world, row).filter(|_| runs) else { continue };
        let records = findings(row).into_iter().flat_map(|found| &found.health);
        let over = spec.health_checks.iter().zip(records).any(|(check, record)| {
            let failures = record.as_ref().map_or(0, |record| record.failures);
            check.kills_at().is_some_and(|limit| failures >= limit)
        });
        if over {
            return Err(("HC-6", format!("{} is kept beyond its count", life(row))));
        }
    }
    Ok(())
}

/// HC-13: within a life nothing that was found is unknown again.
fn nothing_found_is_forgotten(before: &World, row: &Instance) -> Law {
    let Some(was) = before.instances.get(&row.key).filter(|was| life(was) == life(row)) else {
        return Ok(());
    };
    let (Some(old), Some(new)) = (findings(was), findings(row)) else { return Ok(()) };
    let first = |record: &Option<HealthRecord>| record.as_ref().and_then(|it| it.first_success);
    let lost = old.health.iter().zip(&new.health).any(|(old, new)| first(old) > first(new));
    let unready = old.is_ready() && !new.is_ready();
    if lost || unready {
        return Err(("HC-13", format!("{} was {old:?} and is {new:?}", life(row))));
    }
    Ok(())
}

/// I19: of those that turned within one interval no more than three in ten are killed at once, or two.
fn few_are_killed_at_once(before: &World, commit: &Commit, key: AppKey) -> Law {
    let (Some(was), Some(is)) = (before.apps.get(&key), commit.world.apps.get(&key)) else {
        return Ok(());
    };
    let forgiven = is.health_brake.forgiven.or(was.health_brake.forgiven);
    if was.version != is.version || forgiven.is_some() {
        return Ok(());
    }
    let killed = commit.world.instances_of(key).filter(|row| is_killed(before, row));
    let turned: Vec<Timestamp> = killed.filter_map(Instance::turned).collect();
    let interval = interval(&commit.world, is);
    let together = turned.iter().filter(|at| turned.iter().all(|last| **at + interval >= *last));
    let together = together.count();
    let all = before.instances_of(key).filter(|row| row.is_wanted()).count();
    if together > 2 && together * 10 > all * 3 {
        return Err(("I19", format!("{together} of {all} are killed for their health at once")));
    }
    Ok(())
}

/// An upgrade or a rollback ends nothing that is as it shall be, unless there is more of it than is wanted.
fn what_fits_stays(before: &World, commit: &Commit, key: AppKey) -> Law {
    let Some(app) = commit.world.apps.get(&key) else { return Ok(()) };
    let Some(target) = target(&commit.world, app) else { return Ok(()) };
    let fits = |row: &&Instance| row.config == target.row.config;
    let upgraded = |row: &&Instance| {
        let now = matches!(row.goal, Goal::Stop { why: StopWhy::Upgrade, .. });
        now && before
            .instances
            .get(&row.key)
            .is_some_and(|was| was.goal == Goal::Run && was.is_healthy())
    };
    let ended = commit.world.instances_of(key).filter(fits).filter(upgraded).count();
    let stay = commit.world.instances_of(key).filter(fits).filter(|row| row.is_counted()).count();
    if ended > 0 && stay < target.row.spec.instances as usize {
        let wanted = target.row.spec.instances;
        return Err((
            "RU-8",
            format!("{}: {ended} end that fit, {stay} of {wanted} stay", app.path),
        ));
    }
    Ok(())
}

/// Whether a commit kills it for its health.
fn is_killed(before: &World, row: &Instance) -> bool {
    let ran = before.instances.get(&row.key).is_some_and(|was| was.goal == Goal::Run);
    ran && matches!(row.goal, Goal::Stop { why: StopWhy::Unhealthy, .. })
}

fn interval(world: &World, app: &App) -> Span {
    let checks = world.current(app).into_iter().flat_map(|row| &row.spec.health_checks);
    let longest = checks.map(|check| check.interval_seconds).max().unwrap_or(0);
    Span::secs(u64::from(longest.max(1)))
}

fn spec_of<'a>(world: &'a World, row: &Instance) -> Option<&'a Spec> {
    world.versions.get(&(row.key.app, row.version)).map(|version| &version.spec)
}

fn findings(row: &Instance) -> Option<&Findings> {
    row.findings().next()
}

fn life(row: &Instance) -> SandboxId {
    SandboxId { instance: row.id, incarnation: row.incarnation }
}
