//! The one door to the engine: every call goes through it with a deadline, and every failure gets one of two meanings.
//!
//! The engine answered: what it says is certain, mostly. It did not, or says that it is going away: nothing is known
//! (house.md, invariant 9). After the latter the API version is negotiated again, for what answers next may be
//! another engine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::agent::docker::raw::{self, Failure};
use crate::agent::docker::version::{self, ApiVersion, Spoken};
use crate::agent::runtime::RuntimeError;

/// How long each kind of call may take (reliability §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// To ask, and to send a signal.
    pub read: Duration,
    /// To create, start and remove.
    pub change: Duration,
    /// Between two signs of life of a pull.
    pub silence: Duration,
}

/// Why a call gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The engine refused, in its own words.
    #[error("{message}")]
    Answered {
        /// The HTTP status.
        status: u16,
        /// The engine's text.
        message: String,
    },
    /// Whether it was done is not known.
    #[error("{what}: {detail}")]
    Lost {
        /// What was asked of the engine.
        what: &'static str,
        /// What came instead of an answer.
        detail: String,
    },
}

/// What an engine says of itself when asked for its version.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct VersionFacts {
    /// Its own version.
    pub version: Option<String>,
    /// The newest API that it speaks.
    pub api_version: Option<String>,
    /// The oldest.
    #[serde(rename = "MinAPIVersion")]
    pub min_api_version: Option<String>,
    /// What it is made of.
    pub components: Option<Vec<Component>>,
}

/// A part of an engine.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Component {
    /// Its name.
    pub name: Option<String>,
}

/// Makes calls to one engine.
#[derive(Clone, Debug)]
pub struct Caller {
    docker: Docker,
    socket: PathBuf,
    spoken: Arc<Spoken>,
    deadlines: Deadlines,
}

/// What an engine says that stops, or that was exchanged for one with another API.
const GOING_AWAY: [&str; 3] = ["client version", "context canceled", "shutting down"];
/// What an engine says that has lost the daemons below it.
const HELPERS_LOST: [&str; 6] = [
    "context deadline exceeded",
    "transport is closing",
    "ttrpc: closed",
    "error while dialing",
    "containerd.sock",
    "code = unavailable",
];

// === impl Deadlines ===

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            read: Duration::from_secs(10),
            change: Duration::from_mins(1),
            silence: Duration::from_mins(2),
        }
    }
}

// === impl Caller ===

impl Caller {
    /// A caller of the engine behind a socket.
    ///
    /// # Errors
    /// When the socket does not exist.
    pub fn new(socket: PathBuf, deadlines: Deadlines) -> Result<Caller, CallError> {
        /// Our own deadlines are shorter; this one only ends what they forgot.
        const LAST_RESORT_SECS: u64 = 600;
        let path = socket.to_string_lossy();
        let docker =
            Docker::connect_with_unix(&path, LAST_RESORT_SECS, bollard::API_DEFAULT_VERSION)
                .map_err(|error| CallError::from_client("connect", error))?;
        let spoken = Arc::new(Spoken::default());
        let prefix = Arc::clone(&spoken);
        let docker = docker.with_request_modifier(move |mut request| {
            if let (Some(version), Some(path)) = (prefix.get(), request.uri().path_and_query()) {
                let path = version::prefixed(version, path.as_str());
                let mut parts = request.uri().clone().into_parts();
                parts.path_and_query = path.parse().ok();
                if let Ok(uri) = parts.try_into() {
                    *request.uri_mut() = uri;
                }
            }
            request
        });
        Ok(Caller { docker, socket, spoken, deadlines })
    }

    /// The client, to build calls with. Those that give a stream are built after [`Caller::ready`].
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// Where the engine listens.
    pub fn socket(&self) -> &std::path::Path {
        &self.socket
    }

    /// How long calls may take.
    pub fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    /// A question, answered with JSON.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn get<T: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &str,
    ) -> Result<T, CallError> {
        let path = version::prefixed(self.ready().await?, path);
        self.get_as_is(what, &path).await
    }

    /// A call through the client library, within the longer deadline.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn change<T>(
        &self,
        what: &'static str,
        call: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, CallError> {
        self.ready().await?;
        let deadline = self.deadlines.change;
        let outcome = match tokio::time::timeout(deadline, call).await {
            Ok(answer) => answer.map_err(|error| CallError::from_client(what, error)),
            Err(_) => Err(CallError::silent(what, deadline)),
        };
        outcome.map_err(|error| self.noted(error))
    }

    /// The version that is spoken, negotiated if none is.
    ///
    /// # Errors
    /// [`CallError::Lost`] when the engine does not answer, or when there is no version that both speak.
    pub async fn ready(&self) -> Result<ApiVersion, CallError> {
        match self.spoken.get() {
            Some(version) => Ok(version),
            None => self.negotiate().await.map(|(version, _)| version),
        }
    }

    /// Asks the engine who it is, and agrees on a version.
    ///
    /// # Errors
    /// As [`Caller::ready`].
    pub async fn negotiate(&self) -> Result<(ApiVersion, VersionFacts), CallError> {
        const WHAT: &str = "ask the engine for its version";
        self.spoken.set(None);
        let facts: VersionFacts = self.get_as_is(WHAT, "/version").await?;
        let (newest, floor) = (facts.api_version.as_deref(), facts.min_api_version.as_deref());
        let version = version::negotiate(newest, floor).map_err(|error| {
            let engine = facts.version.as_deref().unwrap_or("unnamed");
            CallError::Lost { what: WHAT, detail: format!("engine {engine}: {error}") }
        })?;
        self.spoken.set(Some(version));
        Ok((version, facts))
    }

    /// Notes that the engine went away, if `error` says so, and hands it on.
    pub fn noted(&self, error: CallError) -> CallError {
        if matches!(error, CallError::Lost { .. }) {
            self.spoken.set(None);
        }
        error
    }

    async fn get_as_is<T: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &str,
    ) -> Result<T, CallError> {
        let deadline = self.deadlines.read;
        let outcome = match tokio::time::timeout(deadline, raw::get(&self.socket, path)).await {
            Ok(answer) => answer.map_err(|failure| match failure {
                Failure::Status { status, message } => CallError::answered(what, status, &message),
                Failure::Broken(detail) => CallError::Lost { what, detail },
            }),
            Err(_) => Err(CallError::silent(what, deadline)),
        };
        outcome.map_err(|error| self.noted(error))
    }
}

// === impl CallError ===

impl CallError {
    /// The engine's answer, judged. Statuses other than 500 above it, and texts of an engine that stops or has lost its
    /// own helpers, say nothing of what was asked.
    pub fn answered(what: &'static str, status: u16, message: &str) -> CallError {
        let passes = says(message, &GOING_AWAY) || says(message, &HELPERS_LOST);
        CallError::judged(what, status, message, passes)
    }

    /// The failure of a pull. It repeats what a registry said, and that one was slow or away is certain.
    pub fn pulled(what: &'static str, failure: Failure) -> CallError {
        match failure {
            Failure::Status { status, message } => {
                CallError::judged(what, status, &message, says(&message, &GOING_AWAY))
            }
            Failure::Broken(detail) => CallError::Lost { what, detail },
        }
    }

    fn judged(what: &'static str, status: u16, message: &str, passes: bool) -> CallError {
        let message = message.trim().to_owned();
        let is_final = (400..=500).contains(&status) && !matches!(status, 408 | 429) && !passes;
        if is_final {
            CallError::Answered { status, message }
        } else {
            CallError::Lost { what, detail: message }
        }
    }

    /// Nothing came in time.
    pub fn silent(what: &'static str, deadline: Duration) -> CallError {
        CallError::Lost { what, detail: format!("no answer within {} s", deadline.as_secs_f32()) }
    }

    /// An error of the client library.
    pub fn from_client(what: &'static str, error: Error) -> CallError {
        match error {
            Error::DockerResponseServerError { status_code, message } => {
                CallError::answered(what, status_code, &message)
            }
            other => CallError::Lost { what, detail: with_sources(&other) },
        }
    }

    /// Whether the engine says that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether the engine says that something else is in the way.
    pub fn is_conflict(&self) -> bool {
        // Podman says it with a 500.
        let CallError::Answered { status, message } = self else { return false };
        *status == 409 || says(message, &["that name is already in use"])
    }

    /// Whether the engine says that it has not got the image; other things can be missing too.
    pub fn is_image_missing(&self) -> bool {
        let CallError::Answered { status: 404, message } = self else { return false };
        says(message, &["no such image", "image not known"])
    }

    /// Whether the engine says that no image can be called so.
    pub fn is_bad_image_name(&self) -> bool {
        let CallError::Answered { message, .. } = self else { return false };
        says(message, &["invalid reference format"])
    }

    /// The error for a runtime's caller: certain if the engine answered, with the reason that `refusal` makes of its
    /// text.
    pub fn into_runtime(
        self,
        refusal: impl FnOnce(String) -> crate::model::reason::Reason,
    ) -> RuntimeError {
        match self {
            CallError::Answered { message, .. } => RuntimeError::Refused(refusal(message)),
            CallError::Lost { .. } => self.into_unknown(),
        }
    }

    /// The error for a runtime's caller where no answer of the engine is final.
    pub fn into_unknown(self) -> RuntimeError {
        RuntimeError::Unknown(self.to_string())
    }

    fn status(&self) -> Option<u16> {
        match self {
            CallError::Answered { status, .. } => Some(*status),
            CallError::Lost { .. } => None,
        }
    }
}

fn says(message: &str, phrases: &[&str]) -> bool {
    let message = message.to_ascii_lowercase();
    phrases.iter().any(|phrase| message.contains(phrase))
}

/// The library's errors name their causes only through `source`.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_goes_away_has_refused_nothing() {
        for (status, message, certain) in [
            (404, "No such image: a:latest", true),
            (409, "Conflict. The container name is already in use", true),
            (500, "driver failed programming external connectivity", true),
            (400, "client version 1.53 is too new. Maximum supported API version is 1.41", false),
            (500, "context canceled", false),
            (500, "connection error: desc = \"transport: error while dialing\"", false),
            (503, "anything", false),
            (429, "slow down", false),
        ] {
            let error = CallError::answered("ask", status, message);
            assert_eq!(matches!(error, CallError::Answered { .. }), certain, "{status} {message}");
        }
    }

    #[test]
    fn a_missing_image_is_told_from_other_missing_things() {
        let missing = |text: &str| CallError::answered("create", 404, text);
        assert!(missing("No such image: a:latest").is_image_missing());
        assert!(missing("a: image not known").is_image_missing());
        assert!(!missing("No such container: other").is_image_missing());
    }

    #[test]
    fn a_name_that_is_taken_is_a_conflict_whichever_way_the_engine_says_it() {
        // A create whose answer was lost is found that way.
        let podman = "container create: creating container storage: the container name \"a\" is already in use by 9c79. \
                      You have to remove that container to be able to reuse that name: that name is already in use";
        assert!(CallError::answered("create", 500, podman).is_conflict());
        assert!(CallError::answered("create", 409, "Conflict.").is_conflict());
        assert!(!CallError::answered("start", 500, "bind: address already in use").is_conflict());
    }
}
