//! Brings an image to the host: when the app forces it, else only if it is absent (CT-2).
//!
//! One pull per image at a time, since several instances of an app start together. A pull counts as done when the
//! engine has the image, not when it says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::agent::docker::auth::Keyring;
use crate::agent::docker::call::{CallError, Caller};
use crate::agent::docker::image::ImageRef;
use crate::agent::docker::raw::{Failure, Lines, escaped};
use crate::agent::docker::version;
use crate::agent::runtime::{Progress, RuntimeError};
use crate::model::reason::Reason;

/// Pulls images.
#[derive(Debug)]
pub struct Puller {
    keyring: Keyring,
    /// Who pulls an image holds its lock.
    underway: Mutex<BTreeMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

/// One line of a pull's answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PullLine {
    /// The layer.
    id: String,
    /// What happens to it.
    status: String,
    /// How far it is.
    progress_detail: Detail,
    /// The failure, as older engines say it.
    error: String,
    /// The failure, as newer engines say it.
    error_detail: Detail,
}

/// Parts of a line.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Detail {
    current: u64,
    message: String,
}

/// Bytes of each layer so far.
#[derive(Debug, Default)]
struct Tally(BTreeMap<String, u64>);

const WHAT: &str = "pull the image";

// === impl Puller ===

impl Puller {
    /// A puller with these credentials.
    pub fn new(keyring: Keyring) -> Puller {
        Puller { keyring, underway: Mutex::default() }
    }

    /// Pulls `image`; without `force` not if the engine has it, possibly since a moment ago.
    ///
    /// # Errors
    /// Refused with the registry's or the engine's text; unknown when the engine does not answer.
    pub async fn pull(
        &self,
        caller: &Caller,
        image: &str,
        force: bool,
        progress: &Progress,
    ) -> Result<(), RuntimeError> {
        let turn = self.turn(image);
        let _turn = turn.lock().await;
        if !force && is_present(caller, image).await? {
            return Ok(());
        }
        let parts = ImageRef::parse(image);
        let credentials = self.keyring.lookup(parts.registry()).await;
        let outcome = fetch(caller, parts, credentials.header.as_deref(), progress).await;
        outcome.map_err(|error| {
            caller.noted(error).into_runtime(|text| {
                let detail = explained(text, parts, credentials.trouble.as_deref());
                Reason::Image { image: image.to_owned(), detail }
            })
        })?;
        if is_present(caller, image).await? {
            return Ok(());
        }
        let detail = "the pull ended without an error, but the engine has not got the image";
        let reason = Reason::Image { image: image.to_owned(), detail: detail.to_owned() };
        Err(RuntimeError::Refused(reason))
    }

    fn turn(&self, image: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut underway = self.underway.lock().unwrap_or_else(PoisonError::into_inner);
        underway.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = underway.get(image).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        underway.insert(image.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

// === impl PullLine ===

impl PullLine {
    fn or_failure(self) -> Result<PullLine, Failure> {
        let told =
            [&self.error_detail.message, &self.error].into_iter().find(|text| !text.is_empty());
        match told {
            Some(message) => Err(Failure::Status { status: 500, message: message.clone() }),
            None => Ok(self),
        }
    }
}

// === impl Tally ===

impl Tally {
    /// All bytes so far, when `line` tells of some.
    fn add(&mut self, line: &PullLine) -> Option<u64> {
        if line.status != "Downloading" {
            return None;
        }
        self.0.insert(line.id.clone(), line.progress_detail.current);
        Some(self.0.values().sum())
    }
}

async fn is_present(caller: &Caller, image: &str) -> Result<bool, RuntimeError> {
    let path = format!("/images/{}/json", escaped(image));
    match caller.get::<IgnoredAny>("look for the image", &path).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => {
            Err(error.into_runtime(|detail| Reason::Image { image: image.to_owned(), detail }))
        }
    }
}

async fn fetch(
    caller: &Caller,
    image: ImageRef<'_>,
    auth: Option<&str>,
    progress: &Progress,
) -> Result<(), CallError> {
    let api = caller.ready().await?;
    let (name, tag) = (escaped(image.name), escaped(image.version()));
    let path = version::prefixed(api, &format!("/images/create?fromImage={name}&tag={tag}"));
    let mut lines = alive(caller, Lines::post(caller.socket(), &path, auth)).await?;
    let mut tally = Tally::default();
    while let Some(line) = alive(caller, lines.next::<PullLine>()).await? {
        let line = line.or_failure().map_err(|failure| CallError::pulled(WHAT, failure))?;
        if let Some(bytes) = tally.add(&line) {
            progress.send_replace(bytes);
        }
    }
    Ok(())
}

/// The deadline is on silence, not on the whole: an image may be large (reliability §4.3).
async fn alive<T>(
    caller: &Caller,
    sign: impl Future<Output = Result<T, Failure>>,
) -> Result<T, CallError> {
    let silence = caller.deadlines().silence;
    match tokio::time::timeout(silence, sign).await {
        Ok(outcome) => outcome.map_err(|failure| CallError::pulled(WHAT, failure)),
        Err(_) => Err(CallError::silent(WHAT, silence)),
    }
}

/// The registry's text, and what makes it understood.
fn explained(text: String, image: ImageRef<'_>, trouble: Option<&str>) -> String {
    let mut detail = text;
    let lower = detail.to_ascii_lowercase();
    let is_missing =
        ["manifest unknown", "not found", "does not exist"].iter().any(|p| lower.contains(p));
    if is_missing && image.is_untagged() {
        detail = format!(
            "{detail} (no tag given, so :latest was asked for; the registry has no :latest)"
        );
    }
    if let Some(trouble) = trouble {
        detail = format!("{detail} (asked without credentials: {trouble})");
    }
    detail
}
