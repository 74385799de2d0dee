//! What may go otherwise than wished when a change is made, as data: what a rehearsal shows, and what it cannot know.

use std::fmt;

use crate::logic::rehearse::Course;
use crate::model::app::AppVersion;
use crate::model::end::End;
use crate::model::event::PlanAction;
use crate::model::id::AppKey;
use crate::model::path::AppPath;
use crate::model::reason::Reason;
use crate::model::spec::Spec;
use crate::model::time::Timestamp;
use crate::model::world::World;

/// What may go otherwise than wished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Nothing serves for a while.
    Downtime,
    /// Fewer serve for a while than do now.
    FewerServe {
        /// The fewest.
        lowest: u32,
        /// As many as do now, or are wanted.
        of: u32,
    },
    /// Running instances are replaced.
    Restarts {
        /// How many.
        instances: u32,
    },
    /// Running instances end and nothing takes their place.
    Ends {
        /// How many.
        instances: u32,
    },
    /// Some wait for a place.
    Waits {
        /// How many.
        instances: u32,
    },
    /// Launches are held back since earlier ones failed.
    Delayed {
        /// Until when.
        until: Timestamp,
    },
    /// Another app has one of its service ports.
    ServicePort {
        /// The port.
        port: u16,
        /// The other app.
        holder: AppPath,
    },
    /// Its image could not be had when an agent last tried.
    Image {
        /// The image.
        image: String,
        /// What the agent said.
        detail: String,
    },
    /// It takes too many rounds to be played to its end.
    Long,
}

// === impl Doubt ===

impl Doubt {
    /// One word for machines.
    pub const fn kind(&self) -> &'static str {
        match self {
            Doubt::Downtime => "downtime",
            Doubt::FewerServe { .. } => "fewerServe",
            Doubt::Restarts { .. } => "restarts",
            Doubt::Ends { .. } => "ends",
            Doubt::Waits { .. } => "noPlace",
            Doubt::Delayed { .. } => "delayed",
            Doubt::ServicePort { .. } => "servicePort",
            Doubt::Image { .. } => "image",
            Doubt::Long => "long",
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::Downtime => f.write_str("nothing of it serves for a while: there is downtime"),
            Doubt::FewerServe { lowest, of } => {
                write!(f, "only {lowest} of {of} serve for a while")
            }
            Doubt::Restarts { instances } => write!(f, "{instances} running are replaced"),
            Doubt::Ends { instances } => write!(f, "{instances} running end and are not replaced"),
            Doubt::Waits { instances } => write!(f, "{instances} find no place and wait"),
            Doubt::Delayed { until } => {
                write!(f, "launches are delayed until {until}, since earlier ones failed")
            }
            Doubt::ServicePort { port, holder } => write!(
                f,
                "service port {port} is also that of {holder}: a load balancer takes the two for one"
            ),
            Doubt::Image { image, detail } => {
                write!(f, "an agent could not get the image {image} when it last tried: {detail}")
            }
            Doubt::Long => f.write_str("it takes too many rounds to be followed to its end here"),
        }
    }
}

/// What may go otherwise with an app, the gravest first. `before` is the world as it is.
pub fn doubts(course: &Course, before: &World, complete: bool) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    doubts.extend(waits(course));
    doubts.extend(serving(course));
    if let Some(after) = &course.after {
        let changes = course.before.as_ref().is_none_or(|row| row.spec != after.spec);
        if changes {
            doubts.extend(service_ports(before, &after.spec));
            doubts.extend(image(before, after));
        }
    }
    doubts.extend(replaced(course));
    if !complete {
        doubts.push(Doubt::Long);
    }
    doubts
}

fn waits(course: &Course) -> Option<Doubt> {
    if course.waiting == 0 {
        return None;
    }
    let until = course.explanation.as_ref().and_then(|explanation| explanation.delayed_until);
    Some(match until {
        Some(until) => Doubt::Delayed { until },
        None => Doubt::Waits { instances: course.waiting },
    })
}

/// Where fewer serve than do now although as many are wanted (RU-1).
fn serving(course: &Course) -> Option<Doubt> {
    let wanted = course.after.as_ref().map_or(0, |row| row.spec.instances);
    let of = course.served.min(wanted);
    match course.lowest {
        lowest if lowest >= of => None,
        0 => Some(Doubt::Downtime),
        lowest => Some(Doubt::FewerServe { lowest, of }),
    }
}

fn replaced(course: &Course) -> Option<Doubt> {
    match (course.ended, course.action) {
        (0, _) => None,
        (instances, Some(PlanAction::Restart)) => Some(Doubt::Restarts { instances }),
        (instances, Some(PlanAction::Start | PlanAction::Scale | PlanAction::Stop) | None) => {
            Some(Doubt::Ends { instances })
        }
    }
}

/// Service ports are not exclusive (contract 15.1), but few want them shared.
fn service_ports(before: &World, spec: &Spec) -> Vec<Doubt> {
    let own: Vec<u16> = spec.service_ports().into_iter().filter(|port| *port > 0).collect();
    if own.is_empty() {
        return Vec::new();
    }
    let others = before.apps.iter().map(|(_, app)| app);
    let others = others.filter(|app| app.removed.is_none() && app.path != spec.path);
    let mut doubts = Vec::new();
    for app in others {
        let Some(row) = before.current(app) else { continue };
        let theirs = row.spec.service_ports();
        let shared = own.iter().filter(|port| theirs.contains(port));
        doubts.extend(
            shared.map(|port| Doubt::ServicePort { port: *port, holder: app.path.clone() }),
        );
    }
    doubts
}

/// What is known of an image without asking anybody: that a launch which waits for its next try could not get it.
fn image(before: &World, after: &AppVersion) -> Option<Doubt> {
    let wanted = &after.spec.container().image()?.image;
    let keys = before.apps.iter().map(|(key, _)| *key);
    let of_app = |key: AppKey| before.instances_of(key).filter(|one| one.is_scheduled());
    let mut ends =
        keys.flat_map(of_app).flat_map(|one| &one.tasks).filter_map(|task| task.end.as_deref());
    let found = ends.find_map(|end| match end {
        End::Refused(Reason::Image { image, detail }) if image == wanted => Some(detail),
        End::Refused(_) | End::Gone(_) | End::Code(_) | End::Signal(_) | End::Oom { .. } => None,
    });
    found.map(|detail| Doubt::Image { image: wanted.clone(), detail: detail.clone() })
}
