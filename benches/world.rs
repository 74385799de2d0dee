//! Agents and definitions to measure with.

use serde_json::{Value, json};
use stayer::contract::app::read_app;
use stayer::contract::fault::Options;
use stayer::model::agent::{AttributeValue, Inventory, PortRange};
use stayer::model::app::AppVersion;
use stayer::model::id::Version;
use stayer::model::path::AppPath;
use stayer::model::spec::Spec;
use stayer::model::time::Timestamp;
use stayer::model::unit::{Cpus, Disk, Mem};

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

/// A definition as a client would write it.
pub fn spec(id: &str, fields: Value) -> Spec {
    let mut app = json!({"id": id, "cmd": "sleep 1000", "cpus": 0.1, "mem": 128});
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    app.as_object_mut().expect("written above").extend(fields);
    let options = Options { strict: false, default_role: "*".to_owned(), default_network: None };
    read_app(&app, &AppPath::root(), &options).expect("it is well formed").value
}

/// The same as it is stored.
pub fn row(fields: Value) -> AppVersion {
    let at = Timestamp::from_millis(0);
    AppVersion {
        spec: spec("/app", fields),
        version: Version(at),
        last_scaling_at: at,
        last_config_change_at: at,
        config: Version(at),
    }
}
