//! Typed ids. Small integers where the core compares and stores many, UUIDs where the outside sees them.

use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::model::path::AppPath;
use crate::model::time::Timestamp;

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($int:ty);)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl $name {
            /// The one after this.
            #[must_use]
            pub const fn next(self) -> $name {
                $name(self.0 + 1)
            }
        }
    )+};
}

macro_rules! uuids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

numbers! {
    /// An app for as long as the log lives; never reused for another path.
    AppKey(u32);
    /// An agent for as long as the log lives.
    AgentKey(u32);
    /// A commit, counted from 1 without a hole.
    CommitNo(u64);
    /// A leadership; a higher one fences all lower ones.
    Epoch(u64);
    /// A place in the log.
    Position(u64);
    /// The n-th life of an instance: one container, one task id, one terminal event. 0 means never launched.
    Incarnation(u32);
    /// A batch of haves within the life of an agent process.
    Seq(u64);
}

uuids! {
    /// A cluster: one log, one set of labels on containers, one node part of all ids made here.
    ClusterId;
    /// An agent's identity, kept in its data directory; not its host name.
    AgentId;
    /// One run of an agent process.
    RunId;
    /// A server's identity, kept in its data directory.
    ServerId;
    /// An instance as the outside and the host see it.
    InstanceId;
    /// A deployment.
    DeploymentId;
    /// A deploy: several deployments by a strategy.
    DeployId;
}

/// The commit that last really changed a row; orders wants.
pub type Rev = CommitNo;

/// One stored definition of an app: its version text is this time (contract 14.3), strictly increasing per app.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Version(pub Timestamp);

/// An instance by its app and a number that is never reused within the app.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct InstanceKey {
    /// Its app.
    pub app: AppKey,
    /// Its number within the app.
    pub no: u32,
}

/// The name of the only container of an app, as in Marathon's task ids.
pub const APP_TASK: &str = "_app";

/// The name of a container in task ids. Nearly all have the one name, and it takes no room of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct TaskName(Option<Box<str>>);

/// A task id as text was given to us: which instance it means, whatever form it has (contract 14.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRef {
    /// The app.
    pub path: AppPath,
    /// The instance.
    pub instance: InstanceId,
}

/// Why a text is no task id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskRefError {
    /// Nothing in it separates an app from an instance.
    #[error("taskId {0} no valid identifier")]
    Shape(String),
    /// The shape is right, the UUID is none.
    #[error("Invalid UUID string: {0}")]
    Uuid(String),
}

// === impl Version ===

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl InstanceId ===

impl InstanceId {
    /// Marathon's instance id: `a_b.instance-<uuid>`.
    pub fn marathon(self, path: &AppPath) -> String {
        format!("{}.instance-{}", path.safe(), self.0)
    }

    /// Marathon's task id: `a_b.instance-<uuid>._app.<n>`.
    pub fn task(self, path: &AppPath, task: &str, incarnation: Incarnation) -> String {
        format!("{}.instance-{}.{task}.{incarnation}", path.safe(), self.0)
    }
}

// === impl TaskName ===

impl TaskName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or(APP_TASK)
    }
}

impl From<&str> for TaskName {
    fn from(name: &str) -> TaskName {
        TaskName((name != APP_TASK).then(|| name.into()))
    }
}

impl Serialize for TaskName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TaskName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TaskName, D::Error> {
        /// Looks at the text where it lies.
        struct Text;

        impl Visitor<'_> for Text {
            type Value = TaskName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a task")
            }

            fn visit_str<E>(self, name: &str) -> Result<TaskName, E> {
                Ok(name.into())
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl fmt::Debug for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

// === impl TaskRef ===

impl TaskRef {
    /// Reads every form of contract 14.2: with and without incarnation, `instance-` and `marathon-`, and the forms
    /// from before instances, `<safe>.<uuid>` and `<safe>_<uuid>`.
    ///
    /// # Errors
    /// When the text has no separator, or no UUID where one belongs.
    pub fn parse(text: &str) -> Result<TaskRef, TaskRefError> {
        let shape = || TaskRefError::Shape(text.to_owned());
        let (safe, uuid) =
            match [".instance-", ".marathon-"].iter().find_map(|mark| text.split_once(mark)) {
                Some((safe, rest)) => (safe, rest.split('.').next().unwrap_or(rest)),
                None => split_legacy(text).ok_or_else(shape)?,
            };
        let id = Uuid::try_parse(uuid).map_err(|_| TaskRefError::Uuid(uuid.to_owned()))?;
        let path = AppPath::from_safe(safe).map_err(|_| shape())?;
        Ok(TaskRef { path, instance: InstanceId(id) })
    }
}

/// `<safe>.<uuid>[.<n>]` or `<safe>_<uuid>[.<n>]`.
fn split_legacy(text: &str) -> Option<(&str, &str)> {
    let body = match text.rsplit_once('.') {
        Some((head, tail))
            if !tail.is_empty() && tail.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            head
        }
        Some(_) | None => text,
    };
    body.rsplit_once(['.', '_'])
}

/// A time-based (v1) UUID from a time, a counter that never repeats and a node: deterministic, so that a replay of the
/// same facts makes the same ids. Strictly different for different counters within 163 million ids.
pub fn time_uuid(at: Timestamp, counter: u64, node: [u8; 6]) -> Uuid {
    /// 100 ns ticks from the Gregorian reform to 1970.
    const GREGORIAN: u64 = 0x01B2_1DD2_1381_4000;
    let millis = u64::try_from(at.as_millis()).unwrap_or(0);
    let ticks = GREGORIAN + millis * 10_000 + counter % 10_000;
    let sequence = ((counter / 10_000) % 0x4000) as u16;
    let bytes = ticks.to_be_bytes();
    let low = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    let middle = u16::from_be_bytes([bytes[2], bytes[3]]);
    let high = u16::from_be_bytes([bytes[0], bytes[1]]) & 0x0FFF | 0x1000;
    let [s0, s1] = (sequence | 0x8000).to_be_bytes();
    let [n0, n1, n2, n3, n4, n5] = node;
    Uuid::from_fields(low, middle, high, &[s0, s1, n0, n1, n2, n3, n4, n5])
}

impl ClusterId {
    /// The node part of the ids made in this cluster, marked as not a hardware address.
    pub fn node(self) -> [u8; 6] {
        let bytes = self.0.as_bytes();
        [bytes[0] | 1, bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0dcc1e4e-9f1a-11eb-8f5c-0242ac110002";

    #[test]
    fn every_form_of_a_task_id_names_its_instance() {
        for text in [
            format!("a_b.instance-{UUID}._app.1"),
            format!("a_b.instance-{UUID}._app"),
            format!("a_b.instance-{UUID}"),
            format!("a_b.marathon-{UUID}"),
            format!("a_b.{UUID}"),
            format!("a_b_{UUID}.3"),
        ] {
            let read = TaskRef::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(read.path.as_str(), "/a/b", "{text}");
            assert_eq!(read.instance.to_string(), UUID, "{text}");
        }
    }

    #[test]
    fn names_of_tasks_come_back_and_the_usual_one_takes_no_room() {
        for text in [APP_TASK, "side-car", ""] {
            let name = TaskName::from(text);
            let bytes = postcard::to_allocvec(&name).expect("a text");
            assert_eq!(bytes, postcard::to_allocvec(text).expect("a text"), "stored as it was");
            assert_eq!(postcard::from_bytes(&bytes), Ok(name.clone()));
            assert_eq!(name.as_str(), text);
        }
        assert_eq!(TaskName::from(APP_TASK), TaskName(None));
    }

    #[test]
    fn a_task_id_without_a_uuid_is_refused_with_its_reason() {
        assert_eq!(TaskRef::parse("foo"), Err(TaskRefError::Shape("foo".into())));
        assert_eq!(TaskRef::parse("foo.bar"), Err(TaskRefError::Uuid("bar".into())));
    }

    #[test]
    fn uuids_are_of_version_one_and_differ_by_counter() {
        let at = Timestamp::from_millis(1_600_000_000_000);
        let first = time_uuid(at, 1, [1; 6]);
        assert_eq!(first.get_version_num(), 1);
        assert_ne!(first, time_uuid(at, 2, [1; 6]));
        assert_ne!(first, time_uuid(at, 10_001, [1; 6]));
    }
}
