//! Brings an image to the host: when the app forces it, else only if it is absent (CT-2).
//!
//! One pull per image at a time, since several instances of an app start together. A pull counts as done when the
//! engine has the image, not when it says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::agent::docker::auth::Keyring;
use crate::agent::docker::call::{CallError, Caller};
use crate::agent::docker::image::ImageRef;
use crate::agent::docker::stream::{Lines, PullLine};
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
    match caller.read("look for the image", caller.docker().inspect_image(image)).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => {
            Err(error.into_runtime(|detail| Reason::Image { image: image.to_owned(), detail }))
        }
    }
}

/// The deadline is on silence, not on the whole: an image may be large (reliability §4.3).
async fn fetch(
    caller: &Caller,
    image: ImageRef<'_>,
    auth: Option<&str>,
    progress: &Progress,
) -> Result<(), CallError> {
    let silence = caller.deadlines().silence;
    let api = caller.ready().await?;
    let (name, tag) = (escaped(image.name), escaped(image.version()));
    let path = version::prefixed(api, &format!("/images/create?fromImage={name}&tag={tag}"));
    let mut lines = tokio::time::timeout(silence, Lines::post(caller.socket(), &path, auth))
        .await
        .map_err(|_| CallError::silent(WHAT, silence))??;
    let mut tally = Tally::default();
    loop {
        let line = tokio::time::timeout(silence, lines.next())
            .await
            .map_err(|_| CallError::silent(WHAT, silence))??;
        let Some(line) = line else { return Ok(()) };
        if let Some(failure) = line.failure() {
            return Err(CallError::pulled(WHAT, 500, failure));
        }
        if let Some(bytes) = tally.add(&line) {
            progress.send_replace(bytes);
        }
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

/// For a query: everything but the characters that mean nothing there.
fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
