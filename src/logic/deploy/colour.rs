//! What the second app of a service is called and labelled: as marathon-lb's `zdd.py` does it, so that a running
//! marathon-lb follows and either tool finds what the other has left.

use crate::model::colour::{
    ALT_PORT, APP_ID, COLOUR, Colour, GROUP, NEW_INSTANCES, PORT, STARTED_AT, TARGET_INSTANCES,
};
use crate::model::path::AppPath;
use crate::model::spec::Spec;
use crate::model::time::Timestamp;

/// What a definition is dressed as.
pub struct Dress<'a> {
    /// The id of the service.
    pub id: &'a AppPath,
    /// The id of this app of it.
    pub path: AppPath,
    /// Its colour.
    pub colour: Colour,
    /// How many shall serve in the end.
    pub target: u32,
    /// When.
    pub now: Timestamp,
    /// What serves now, if anything does.
    pub last: Option<&'a Spec>,
    /// What the app itself has now, if it is there: it keeps its service port.
    pub itself: Option<&'a Spec>,
}

/// Dresses a definition as one of the two apps of a service.
pub fn dress(spec: &mut Spec, dress: Dress<'_>) {
    let id = dress.id.to_string();
    spec.path = dress.path;
    let mut label = |name: &str, value: String| spec.labels.insert(name.to_owned(), value);
    label(APP_ID, id);
    label(COLOUR, dress.colour.as_str().to_owned());
    if !spec.labels.contains_key(GROUP) {
        return;
    }
    spec.labels.insert(TARGET_INSTANCES.to_owned(), dress.target.to_string());
    spec.labels.insert(NEW_INSTANCES.to_owned(), "0".to_owned());
    let started = dress.now.to_string();
    spec.labels.insert(STARTED_AT.to_owned(), started.trim_end_matches('Z').to_owned());
    let Some(asked) = spec.service_ports().first().copied() else { return };
    let main = Some(asked).filter(|port| *port != 0).or(dress.last.and_then(main_port));
    let own = match (dress.itself, dress.last) {
        (Some(itself), _) => itself.service_ports().first().copied(),
        (None, Some(last)) => next_port(spec, last, main),
        (None, None) => main,
    };
    if let Some(main) = main {
        spec.labels.insert(PORT.to_owned(), main.to_string());
    }
    if let Some(slot) = spec.service_port_slots().into_iter().next() {
        *slot = own.unwrap_or(0);
    }
}

/// The alternate port after the main one, and the main one after the alternate one.
fn next_port(spec: &Spec, last: &Spec, main: Option<u16>) -> Option<u16> {
    let alternate = number(spec, ALT_PORT);
    let has_alternate = last.service_ports().first().copied() == alternate;
    if has_alternate { main } else { alternate }
}

/// The port under which a service is known.
fn main_port(last: &Spec) -> Option<u16> {
    number(last, PORT).or_else(|| last.service_ports().first().copied())
}

fn number(spec: &Spec, label: &str) -> Option<u16> {
    spec.labels.get(label)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::tests::rig::{app, path};

    fn service(labels: &[(&str, &str)], port: u16) -> Spec {
        let mut spec = app("/web", 4);
        spec.labels =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        for slot in spec.service_port_slots() {
            *slot = port;
        }
        spec
    }

    fn dressed(mut spec: Spec, last: Option<&Spec>) -> Spec {
        let colour = last.map_or(Colour::Blue, Colour::after);
        let id = path("/web");
        let path = colour.path(&id).expect("short");
        let now = Timestamp::from_millis(1_625_133_600_123);
        dress(&mut spec, Dress { id: &id, path, colour, target: 4, now, last, itself: None });
        spec
    }

    const ZDD: &[(&str, &str)] =
        &[(GROUP, "web"), (ALT_PORT, "10005"), ("HAPROXY_GROUP", "external")];

    #[test]
    fn the_labels_are_those_of_zdd() {
        let first = dressed(service(ZDD, 10_000), None);
        assert_eq!(first.path.as_str(), "/web-blue");
        assert_eq!(first.service_ports(), [10_000]);
        let expected = [
            (APP_ID, "/web"),
            ("HAPROXY_0_PORT", "10000"),
            (ALT_PORT, "10005"),
            (COLOUR, "blue"),
            (GROUP, "web"),
            (NEW_INSTANCES, "0"),
            (STARTED_AT, "2021-07-01T10:00:00.123"),
            (TARGET_INSTANCES, "4"),
            ("HAPROXY_GROUP", "external"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(first.labels, expected.into());
    }

    #[test]
    fn ports_and_colours_take_turns() {
        let blue = dressed(service(ZDD, 10_000), None);
        let green = dressed(service(ZDD, 10_000), Some(&blue));
        assert_eq!((green.path.as_str(), green.service_ports()), ("/web-green", vec![10_005]));
        assert_eq!(green.labels[PORT], "10000");
        let blue = dressed(service(ZDD, 10_000), Some(&green));
        assert_eq!((blue.path.as_str(), blue.service_ports()), ("/web-blue", vec![10_000]));
        assert_eq!(blue.labels[PORT], "10000");
    }

    #[test]
    fn a_service_without_a_port_of_its_own_goes_by_the_one_that_was_given_out() {
        let blue = service(&[ZDD, &[(COLOUR, "blue")]].concat(), 10_003);
        let green = dressed(service(ZDD, 0), Some(&blue));
        assert_eq!((green.service_ports(), &*green.labels[PORT]), (vec![10_005], "10003"));
    }

    #[test]
    fn without_a_group_there_is_nothing_for_a_load_balancer() {
        let first = dressed(service(&[], 10_000), None);
        let names: Vec<&String> = first.labels.keys().collect();
        assert_eq!(names, [APP_ID, COLOUR]);
        assert_eq!(first.service_ports(), [10_000], "as it was asked for");
    }
}
