//! The world at the end of a replay, as tables.

use crate::cli::table::Table;
use crate::model::condition::Condition;
use crate::model::id::APP_TASK;
use crate::model::instance::Instance;
use crate::model::world::World;

/// Apps and instances.
pub fn text(world: &World) -> String {
    format!("\n{}\n\n{}", apps(world), instances(world))
}

fn apps(world: &World) -> String {
    let mut table = Table::new(&["APP", "RUNNING", "VERSION", "DEPLOYMENT"]);
    for app in world.live_apps() {
        let wanted = world.current(app).map_or(0, |version| version.spec.instances);
        let running = world.instances_of(app.key).filter(|row| row.is_healthy()).count();
        table.row(vec![
            app.path.to_string(),
            format!("{running}/{wanted}"),
            app.version.to_string(),
            app.part.as_ref().map(|part| part.deployment.to_string()).unwrap_or_default(),
        ]);
    }
    table.text()
}

fn instances(world: &World) -> String {
    let mut table = Table::new(&["TASK", "CONDITION", "HOST", "PORTS", "VERSION"]);
    for (key, instance) in world.instances.iter() {
        let Some(app) = world.apps.get(&key.app) else { continue };
        table.row(vec![
            instance.id.task(&app.path, APP_TASK, instance.incarnation),
            instance.condition().map_or("Scheduled", Condition::as_str).to_owned(),
            host(world, instance),
            ports(instance),
            instance.version.to_string(),
        ]);
    }
    table.text()
}

fn host(world: &World, instance: &Instance) -> String {
    let agent = instance.place.as_ref().and_then(|place| world.agents.get(&place.agent));
    agent.map(|agent| agent.inventory.hostname.clone()).unwrap_or_default()
}

fn ports(instance: &Instance) -> String {
    let ports = instance.place.iter().flat_map(|place| place.ports.iter().flatten());
    ports.map(u16::to_string).collect::<Vec<_>>().join(",")
}
