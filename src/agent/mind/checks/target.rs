//! Where a check finds its task: always an address and a port that belong together (HC-3, BETTER).
//!
//! Marathon asked from elsewhere and so do its protocols here: at the host's address where the port is one of the host. An
//! executor asked from within the container, so the `MESOS_` protocols and `check` prefer the container's own port.

use std::net::IpAddr;

use crate::agent::mind::checks::probe::{At, Target};
use crate::model::check::HealthCheck;
use crate::model::instance::Place;
use crate::model::network::{NetworkMode, PortMapping};
use crate::model::spec::Spec;

/// From where a check asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// From elsewhere.
    Outside,
    /// From where the task is.
    Inside {
        /// By which protocol.
        ipv6: bool,
    },
}

/// A task's networks and what it was given of them.
#[derive(Clone, Copy)]
pub(super) struct Reach<'a> {
    /// The definition.
    pub(super) spec: &'a Spec,
    /// Its host ports.
    pub(super) place: &'a Place,
    /// Its own addresses.
    pub(super) ips: &'a [IpAddr],
}

/// A port as a check names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port<'a> {
    /// By its number.
    Number(u16),
    /// By its place in the definition.
    Index(usize),
    /// By its name.
    Name(&'a str),
}

// === impl Port ===

impl Port<'_> {
    /// A number wins; without either it is the first (HC-1, BETTER).
    pub(super) fn of(number: Option<u16>, index: Option<u32>) -> Port<'static> {
        match number {
            Some(number) => Port::Number(number),
            None => Port::Index(usize::try_from(index.unwrap_or(0)).unwrap_or(usize::MAX)),
        }
    }
}

// === impl From ===

impl From {
    /// From where a health check asks.
    pub(super) fn of(check: &HealthCheck) -> From {
        if check.protocol.is_marathons() {
            From::Outside
        } else {
            From::Inside { ipv6: check.ipv6 }
        }
    }
}

// === impl Reach ===

impl Reach<'_> {
    /// Where the task is asked, or what is missing, for people.
    pub(super) fn find(self, port: Port<'_>, from: From) -> Result<Target, String> {
        let is_host = self.spec.on_host_network();
        match (port, is_host) {
            (Port::Number(port), true) => Ok(Target { at: host(from), port }),
            (Port::Number(port), false) => self.numbered(port, from),
            (_, true) => {
                let number = self.place.ports.get(self.index(port)).copied().flatten();
                let port = number.ok_or_else(|| missing(port))?;
                Ok(Target { at: host(from), port })
            }
            (_, false) => self.mapped(self.index(port), port, from),
        }
    }

    /// A number that the definition fixes: on a bridge it is the host's for who asks from outside, else the container's.
    fn numbered(self, port: u16, from: From) -> Result<Target, String> {
        let is_bridge = self.spec.networks.iter().any(|it| it.mode == NetworkMode::Bridge);
        match from {
            From::Outside if is_bridge => Ok(Target { at: At::Host, port }),
            From::Outside | From::Inside { .. } => Ok(Target { at: self.own(from)?, port }),
        }
    }

    fn mapped(self, index: usize, port: Port<'_>, from: From) -> Result<Target, String> {
        let mapping = self.spec.port_mappings().get(index).ok_or_else(|| missing(port))?;
        let host_port = self.place.ports.get(index).copied().flatten();
        let inner = (mapping.container_port > 0).then_some(mapping.container_port).or(host_port);
        match (from, host_port, inner) {
            (From::Outside, Some(port), _) => Ok(Target { at: At::Host, port }),
            (_, _, Some(port)) => Ok(Target { at: self.own(from)?, port }),
            (_, _, None) => Err(missing(port)),
        }
    }

    fn own(self, from: From) -> Result<At, String> {
        let wanted = |ip: &&IpAddr| from != From::Inside { ipv6: true } || ip.is_ipv6();
        let found = self.ips.iter().find(wanted);
        found.map(|ip| At::Own(*ip)).ok_or_else(|| "the task has no such address".to_owned())
    }

    fn index(self, port: Port<'_>) -> usize {
        match port {
            Port::Index(index) => index,
            Port::Number(_) => usize::MAX,
            Port::Name(name) => {
                let is_it = |named: &Option<String>| named.as_deref() == Some(name);
                let defined = self.spec.ports().iter().position(|it| is_it(&it.name));
                let mapped = || {
                    self.spec.port_mappings().iter().position(|it: &PortMapping| is_it(&it.name))
                };
                defined.or_else(mapped).unwrap_or(usize::MAX)
            }
        }
    }
}

const fn host(from: From) -> At {
    match from {
        From::Outside => At::Host,
        From::Inside { ipv6 } => At::Loopback { ipv6 },
    }
}

fn missing(port: Port<'_>) -> String {
    match port {
        Port::Number(port) => format!("the task has no port {port}"),
        Port::Index(index) => format!("the task has no port of index {index}"),
        Port::Name(name) => format!("the task has no port {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::mind::testing::{place, spec};
    use crate::model::id::AppKey;
    use crate::model::network::{Network, PortDefinition};

    const OWN: &str = "172.17.0.2";

    fn found(spec: &Spec, ports: &[Option<u16>], port: Port<'_>, from: From) -> Option<(At, u16)> {
        let place = Place { ports: ports.to_vec(), ..place(&[]) };
        let ips = [OWN.parse().expect("an address"), "fd00::2".parse().expect("an address")];
        let found = Reach { spec, place: &place, ips: &ips }.find(port, from);
        found.ok().map(|target| (target.at, target.port))
    }

    fn on(mode: NetworkMode, mappings: &[(u16, &str)]) -> Spec {
        // An app with an image.
        let mut spec = spec(AppKey(2));
        spec.networks = vec![Network { mode, ..Network::host() }];
        let mapping = |(port, name): &(u16, &str)| PortMapping {
            container_port: *port,
            name: Some((*name).to_owned()),
            ..PortMapping::default()
        };
        let sandbox = spec.containers[0].sandbox.as_mut().expect("an image");
        sandbox.port_mappings = Some(mappings.iter().map(mapping).collect());
        spec
    }

    /// HC-3, BETTER: matching pairs, and the pair of HC-1's defaults.
    #[test]
    fn address_and_port_belong_together() {
        const INSIDE: From = From::Inside { ipv6: false };
        let own = At::Own(OWN.parse().expect("an address"));
        let bridge = on(NetworkMode::Bridge, &[(80, "web"), (0, "any"), (90, "inner")]);
        let ports = [Some(31_001), Some(31_002), None];
        let own_network = on(NetworkMode::Container, &[(80, "web"), (90, "inner")]);
        let given = [Some(31_001), None];
        let rows = [
            (&bridge, &ports[..], Port::of(None, None), From::Outside, Some((At::Host, 31_001))),
            (&bridge, &ports, Port::of(None, Some(2)), From::Outside, Some((own, 90))),
            (&bridge, &ports, Port::of(None, Some(3)), From::Outside, None),
            (
                &bridge,
                &ports,
                Port::of(Some(8_080), Some(1)),
                From::Outside,
                Some((At::Host, 8_080)),
            ),
            (&bridge, &ports, Port::of(None, Some(0)), INSIDE, Some((own, 80))),
            (&bridge, &ports, Port::of(None, Some(1)), INSIDE, Some((own, 31_002))),
            (&bridge, &ports, Port::of(Some(8_080), None), INSIDE, Some((own, 8_080))),
            (&bridge, &ports, Port::Name("inner"), From::Outside, Some((own, 90))),
            (&bridge, &ports, Port::Name("none"), From::Outside, None),
            (&own_network, &given, Port::of(None, None), From::Outside, Some((At::Host, 31_001))),
            (&own_network, &given, Port::of(None, Some(1)), From::Outside, Some((own, 90))),
            (&own_network, &given, Port::of(Some(7), None), From::Outside, Some((own, 7))),
        ];
        for (spec, ports, port, from, expected) in rows {
            assert_eq!(found(spec, ports, port, from), expected, "{port:?} {from:?}");
        }
        let six = found(&bridge, &ports, Port::of(None, None), From::Inside { ipv6: true });
        assert_eq!(six, Some((At::Own("fd00::2".parse().expect("an address")), 80)));
    }

    #[test]
    fn on_the_host_s_network_the_port_is_the_host_s() {
        let mut spec = spec(AppKey(1));
        spec.networks = vec![Network::host()];
        let named = |name: &str| PortDefinition {
            name: Some(name.to_owned()),
            ..PortDefinition::default()
        };
        spec.port_definitions = Some(vec![named("a"), named("b")]);
        let ports = [Some(31_001), Some(31_002)];
        let inside = From::Inside { ipv6: false };
        let rows = [
            (Port::of(None, Some(1)), From::Outside, Some((At::Host, 31_002))),
            (Port::Name("b"), From::Outside, Some((At::Host, 31_002))),
            (Port::of(Some(9), None), From::Outside, Some((At::Host, 9))),
            (Port::of(None, None), inside, Some((At::Loopback { ipv6: false }, 31_001))),
            (Port::of(None, Some(2)), inside, None),
        ];
        for (port, from, expected) in rows {
            assert_eq!(found(&spec, &ports, port, from), expected, "{port:?} {from:?}");
        }
    }
}
