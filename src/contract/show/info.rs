//! `GET /v2/info` and `GET /v2/leader` (contract 12.1, 12.2).
//!
//! Clients choose features by `version`, so it is Marathon's; our own is the `buildref`. Unset options are `null` here,
//! unlike everywhere else. Keys beyond Marathon's break a client (contract 18.3), so there are none.

use crate::contract::show::text::{self, Object};

/// The release of Marathon that is spoken.
pub const MARATHON_VERSION: &str = "1.11.24";

/// What differs between servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info<'a> {
    /// Our own version.
    pub build: &'a str,
    /// Whether the server that answers leads.
    pub elected: bool,
    /// `host:port` of the leader, if there is one.
    pub leader: Option<&'a str>,
    /// The cluster's id, in the place of the framework's.
    pub cluster: Option<&'a str>,
    /// The host name of the server that answers.
    pub hostname: &'a str,
    /// Its port for HTTP.
    pub http_port: Option<u16>,
    /// Its port for HTTPS.
    pub https_port: Option<u16>,
    /// Where the UI finds the logs of tasks.
    pub logs_url: Option<&'a str>,
}

/// The body of `GET /v2/info`.
pub fn info(info: &Info<'_>) -> String {
    text::object_text(|object| {
        object.plain("name", "marathon");
        object.plain("version", MARATHON_VERSION);
        object.text("buildref", info.build);
        object.raw("elected", info.elected);
        text_or_null(object, "leader", info.leader);
        text_or_null(object, "frameworkId", info.cluster);
        object.object("marathon_config", |config| marathon_config(config, info));
        object.object("zookeeper_config", zookeeper_config);
        object.object("http_config", |config| {
            number_or_null(config, "http_port", info.http_port);
            number_or_null(config, "https_port", info.https_port);
        });
    })
}

/// The body of `GET /v2/leader`.
pub fn leader(address: &str) -> String {
    text::object_text(|object| object.text("leader", address))
}

fn marathon_config(out: &mut Object<'_>, info: &Info<'_>) {
    out.null("access_control_allow_origin");
    out.raw("checkpoint", true);
    out.raw("decline_offer_duration", 120_000);
    out.null("default_network_name");
    out.null("env_vars_prefix");
    out.plain("executor", "//cmd");
    out.raw("failover_timeout", 604_800);
    out.raw("features", "[]");
    out.plain("framework_name", "marathon");
    out.raw("ha", true);
    out.text("hostname", info.hostname);
    out.raw("launch_token", 100);
    out.raw("launch_token_refresh_interval", 30_000);
    out.raw("leader_proxy_connection_timeout_ms", 5_000);
    out.raw("leader_proxy_read_timeout_ms", 10_000);
    out.raw("local_port_max", 20_000);
    out.raw("local_port_min", 10_000);
    out.raw("maintenance_mode", true);
    out.null("master");
    out.raw("max_instances_per_offer", 5);
    out.plain("mesos_bridge_name", "mesos-bridge");
    out.raw("mesos_heartbeat_failure_threshold", 5);
    out.raw("mesos_heartbeat_interval", 15_000);
    text_or_null(out, "mesos_leader_ui_url", info.logs_url);
    out.plain("mesos_role", "*");
    out.null("mesos_user");
    out.raw("min_revive_offers_interval", 5_000);
    out.plain("new_group_enforce_role", "Off");
    out.raw("offer_matching_timeout", 3_000);
    out.raw("on_elected_prepare_timeout", 180_000);
    out.raw("reconciliation_initial_delay", 15_000);
    out.raw("reconciliation_interval", 600_000);
    out.raw("scale_apps_initial_delay", 15_000);
    out.raw("scale_apps_interval", 300_000);
    out.raw("store_cache", true);
    out.raw("task_launch_confirm_timeout", 300_000);
    out.raw("task_launch_timeout", 300_000);
    out.raw("task_lost_expunge_initial_delay", 300_000);
    out.raw("task_lost_expunge_interval", 30_000);
    out.raw("task_reservation_timeout", 20_000);
    out.null("webui_url");
}

/// There is no ZooKeeper; clients find the keys, the address is unset.
fn zookeeper_config(out: &mut Object<'_>) {
    out.null("zk");
    out.raw("zk_compression", true);
    out.raw("zk_compression_threshold", 65_536);
    out.raw("zk_connection_timeout", 10_000);
    out.raw("zk_max_node_size", 1_024_000);
    out.raw("zk_max_versions", crate::model::app::MAX_VERSIONS);
    out.raw("zk_session_timeout", 10_000);
    out.raw("zk_timeout", 10_000);
}

fn text_or_null(out: &mut Object<'_>, key: &str, value: Option<&str>) {
    match value {
        Some(value) => out.text(key, value),
        None => out.null(key),
    }
}

fn number_or_null(out: &mut Object<'_>, key: &str, value: Option<u16>) {
    match value {
        Some(value) => out.raw(key, value),
        None => out.null(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_leader_is_named_by_its_address() {
        assert_eq!(leader("m1:8080"), r#"{"leader":"m1:8080"}"#);
    }

    #[test]
    fn unset_options_are_null_and_no_key_is_ours() {
        let text = info(&Info {
            build: "stayer-0.1.0",
            elected: true,
            leader: None,
            cluster: Some("c1"),
            hostname: "m1",
            http_port: Some(8080),
            https_port: None,
            logs_url: None,
        });
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let keys: Vec<&str> =
            value.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            [
                "buildref",
                "elected",
                "frameworkId",
                "http_config",
                "leader",
                "marathon_config",
                "name",
                "version",
                "zookeeper_config"
            ]
        );
        assert_eq!(value["version"], "1.11.24");
        assert_eq!(value["leader"], Value::Null);
        assert_eq!(value["frameworkId"], "c1");
        let config = value["marathon_config"].as_object().expect("an object");
        assert_eq!(config.get("webui_url"), Some(&Value::Null));
        assert_eq!(config.get("executor"), Some(&Value::from("//cmd")));
        assert_eq!(
            value["http_config"],
            serde_json::json!({"http_port": 8080, "https_port": null})
        );
    }
}
