//! Many equal agents and definitions, in memory alone: what the core is measured on, here and by `cargo bench`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::contract::app::read_app;
use crate::contract::fault::Options;
use crate::logic::index::Index;
use crate::model::agent::{Agent, AgentState, AttributeValue, Inventory, PortRange};
use crate::model::app::AppVersion;
use crate::model::id::{AgentId, AgentKey, RunId, Version};
use crate::model::path::AppPath;
use crate::model::row::{Key, Row, Write};
use crate::model::spec::Spec;
use crate::model::time::Timestamp;
use crate::model::unit::{Cpus, Disk, Mem};
use crate::model::world::World;

/// A definition of the bench's that the contract refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an app of the bench is refused: {0}")]
pub struct Refused(String);

/// What one of many equal agents offers; a hundred racks.
pub fn inventory(number: u32) -> Inventory {
    let rack = AttributeValue::Text(format!("rack-{}", number % 100));
    Inventory {
        hostname: format!("host-{number}"),
        role: "*".to_owned(),
        cpus: Cpus::whole(16),
        mem: Mem::whole(32 * 1_024),
        disk: Disk::whole(100_000),
        ports: vec![PortRange { first: 31_000, last: 32_000 }],
        attributes: [("rack".to_owned(), rack)].into(),
        ..Inventory::default()
    }
}

/// So many of them, all up.
pub fn cluster(agents: u32) -> (World, Index) {
    let mut world = World::default();
    for number in 1..=agents {
        let (key, id) = (AgentKey(number), Uuid::from_u64_pair(1, u64::from(number)));
        let agent = Agent {
            key,
            id: AgentId(id),
            run: RunId(id),
            state: AgentState::Up,
            inventory: inventory(number),
            foreign: BTreeMap::new(),
            drain: None,
        };
        world.apply(&Write { key: Key::Agent(key), row: Some(Row::Agent(Arc::new(agent))) });
    }
    let index = Index::build(&world);
    (world, index)
}

/// A definition as a client would write it, with `fields` beside the usual ones or in their place.
///
/// # Errors
/// When it is none.
pub fn spec(id: &str, fields: Value) -> Result<Spec, Refused> {
    let mut app = json!({"id": id, "cmd": "sleep 1000", "cpus": 0.1, "mem": 128});
    if let (Value::Object(fields), Some(app)) = (fields, app.as_object_mut()) {
        app.extend(fields);
    }
    let options = Options { strict: false, default_role: "*".to_owned(), default_network: None };
    let read = read_app(&app, &AppPath::root(), &options);
    read.map(|read| read.value).map_err(|fault| Refused(format!("{fault:?}")))
}

/// The same as it is stored.
///
/// # Errors
/// When it is none.
pub fn row(id: &str, fields: Value) -> Result<AppVersion, Refused> {
    let at = Timestamp::from_millis(0);
    Ok(AppVersion {
        spec: spec(id, fields)?,
        version: Version(at),
        last_scaling_at: at,
        last_config_change_at: at,
        config: Version(at),
    })
}
