//! Which ports of a container are published where (NW-5, PL-13). Pure.

use std::collections::BTreeMap;

use bollard::models::PortBinding;

use crate::model::network::PortMapping;

/// The engine's port table by `<container port>/<transport>`, from mappings and the host ports they got.
///
/// The host's address is always sent, as empty, and so is the port: an absent one means something else to each engine.
pub fn bindings(
    mappings: &[PortMapping],
    host_ports: &[Option<u16>],
) -> BTreeMap<String, Vec<PortBinding>> {
    let mut table: BTreeMap<String, Vec<PortBinding>> = BTreeMap::new();
    for (mapping, host_port) in mappings.iter().zip(host_ports) {
        let Some(host_port) = host_port else { continue };
        // EN-4: port 0 in the container means the host port's number, so that both agree.
        let inner = if mapping.container_port == 0 { *host_port } else { mapping.container_port };
        for transport in mapping.protocol.transports() {
            table.entry(format!("{inner}/{transport}")).or_default().push(binding(*host_port));
        }
    }
    table
}

/// The port that an engine says it could not bind, if its text names one.
pub fn taken(text: &str) -> Option<u16> {
    const AFTER: [&str; 2] =
        [" failed: port is already allocated", ": bind: address already in use"];
    const BEFORE: &str = "failed to bind host port for ";
    let by_end = AFTER.iter().find_map(|phrase| {
        let (before, _) = text.split_once(phrase)?;
        let (_, port) = before.rsplit_once(':')?;
        port.parse().ok()
    });
    // Docker 28 names the address and the port, and then where in the container that leads to.
    by_end.or_else(|| {
        let (_, after) = text.split_once(BEFORE).filter(|_| text.contains("already in use"))?;
        let (_, after) = match after.strip_prefix('[') {
            Some(v6) => v6.split_once("]:")?,
            None => after.split_once(':')?,
        };
        after.split(':').next()?.parse().ok()
    })
}

fn binding(host_port: u16) -> PortBinding {
    PortBinding { host_ip: Some(String::new()), host_port: Some(host_port.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_s_text_names_the_port() {
        for text in [
            "driver failed programming external connectivity on endpoint a (0f): Error starting userland proxy: listen \
             tcp4 0.0.0.0:8081: bind: address already in use",
            "driver failed programming external connectivity on endpoint a (0f): Bind for 0.0.0.0:8081 failed: port is \
             already allocated",
            "failed to set up container networking: Bind for :::8081 failed: port is already allocated",
            "failed to bind host port for 0.0.0.0:8081:172.17.0.2:80/tcp: address already in use",
            "failed to bind host port for [::]:8081:[fd00::2]:80/tcp: address already in use",
            "failed to bind host port for 0.0.0.0:8081:172.17.0.2:80/tcp: listen tcp [::]:8081: bind: address already in use",
        ] {
            assert_eq!(taken(text), Some(8081), "{text}");
        }
        assert_eq!(taken("no such file or directory"), None);
        assert_eq!(taken("Bind for something failed: port is already allocated"), None);
    }
}
