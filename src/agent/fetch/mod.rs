//! Fetching: artifacts of an app, brought into its sandbox before it starts (CT-7).
//!
//! A URI is chosen by whoever may post an app, and is asked for from inside the network of the host. So the agent's own
//! address space is closed unless the operator opens it, each redirect is judged anew, everything has a bound, and
//! nothing that comes back can be written outside of the sandbox (reliability §5.7).
//!
//! What was downloaded stays in the sandbox beside what was unpacked from it, as with Mesos; a cached archive does not.

mod cache;
mod cidr;
mod error;
mod inside;
#[cfg(test)]
mod tests;
mod unpack;
mod uri;
mod web;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tokio_util::sync::CancellationToken;

use crate::agent::contained::Fetch;
use crate::agent::fetch::cache::{Cache, Cached};
pub use crate::agent::fetch::cidr::{Cidr, NoCidr};
use crate::agent::fetch::error::FetchError;
use crate::agent::fetch::inside::Inside;
use crate::agent::fetch::unpack::{Budget, Format};
use crate::agent::runtime::Progress;
use crate::model::reason::Reason;
use crate::model::spec::Artifact;

/// What may be fetched, and how much.
#[derive(Clone, Debug)]
pub struct FetchConfig {
    /// Addresses of the host itself and its link that may be fetched from; all others may be anyway.
    pub allow: Vec<Cidr>,
    /// Whether files of the host may be fetched.
    pub allow_file: bool,
    /// Where artifacts with `cache` are kept; emptied at the start.
    pub cache: PathBuf,
    /// The most that the cache holds, in bytes.
    pub cache_bytes: u64,
    /// Bounds of one artifact.
    pub limits: FetchLimits,
}

/// Bounds of one artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimits {
    /// Bytes that are downloaded, and again that are unpacked.
    pub bytes: u64,
    /// Time for all of it.
    pub time: Duration,
    /// How many times larger than itself an archive may become.
    pub ratio: u64,
    /// Redirects that are followed.
    pub redirects: u32,
    /// Files and directories in an archive.
    pub entries: u64,
}

/// Brings artifacts into sandboxes.
pub struct Fetcher {
    config: FetchConfig,
    cache: Cache,
}

// === impl FetchLimits ===

impl Default for FetchLimits {
    /// 2 GiB, 10 minutes, a ratio of 100, three redirects (reliability §5.7).
    fn default() -> FetchLimits {
        FetchLimits {
            bytes: 2 << 30,
            time: Duration::from_mins(10),
            ratio: 100,
            redirects: 3,
            entries: 200_000,
        }
    }
}

// === impl FetchConfig ===

impl FetchConfig {
    /// The safe setting: nothing of the host itself, with a cache of 4 GiB in `cache`.
    pub fn new(cache: PathBuf) -> FetchConfig {
        FetchConfig {
            allow: Vec::new(),
            allow_file: false,
            cache,
            cache_bytes: 4 << 30,
            limits: FetchLimits::default(),
        }
    }
}

// === impl Fetcher ===

impl Fetch for Fetcher {
    async fn fetch(
        &self,
        artifacts: &[Artifact],
        dir: &Path,
        progress: &Progress,
    ) -> Result<(), Reason> {
        Fetcher::fetch(self, artifacts, dir, progress).await
    }
}

impl Fetcher {
    /// Empties the cache.
    ///
    /// # Errors
    /// When the cache's directory cannot be made.
    pub fn open(config: FetchConfig) -> io::Result<Fetcher> {
        // An error says that the program has chosen one already, which serves as well.
        let _chosen = rustls::crypto::ring::default_provider().install_default();
        let cache = Cache::open(&config.cache, config.cache_bytes)?;
        Ok(Fetcher { config, cache })
    }

    /// Brings all artifacts into `dir`, one after the other. `progress` counts the bytes that came.
    ///
    /// # Errors
    /// With the first artifact that could not be had; its URI is shown without credentials.
    pub async fn fetch(
        &self,
        artifacts: &[Artifact],
        dir: &Path,
        progress: &Progress,
    ) -> Result<(), Reason> {
        for artifact in artifacts {
            let all = self.one(artifact, dir, progress);
            let done = tokio::time::timeout(self.config.limits.time, all).await;
            let detail = match done {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("not done after {} s", self.config.limits.time.as_secs()),
            };
            return Err(Reason::Fetch { uri: uri::without_credentials(&artifact.uri), detail });
        }
        Ok(())
    }

    async fn one(
        &self,
        artifact: &Artifact,
        dir: &Path,
        progress: &Progress,
    ) -> Result<(), FetchError> {
        let url = uri::parse(&artifact.uri)?;
        let name = uri::file_name(&url)?;
        let unpacks = artifact.extract && !artifact.executable;
        let format = if unpacks { Format::of(&name)? } else { None };
        let target = PathBuf::from(artifact.dest_path.as_ref().unwrap_or(&name));
        let mode = if artifact.executable { 0o755 } else { 0o644 };
        let inside = Inside::open(dir)?;
        let source = if artifact.cache {
            self.cached(&url, progress).await?.open()?
        } else {
            self.download(&url, inside.create(&target, mode)?, progress).await?;
            inside.read(&target)?
        };
        // Whoever gives up waiting, at the deadline for one, stops the unpacking too.
        let stop = CancellationToken::new();
        let _stops = stop.clone().drop_guard();
        let (cached, budget) = (artifact.cache, Budget::new(self.config.limits, stop));
        blocking(move || match format {
            Some(format) => unpack::unpack(&inside, source, format, &target, budget),
            None if cached => copy(source, inside.create(&target, mode)?),
            None => Ok(()),
        })
        .await
    }

    /// The file in the cache, downloaded unless it is there. Whoever asks meanwhile waits for the same download.
    async fn cached(&self, url: &Url, progress: &Progress) -> Result<Arc<Cached>, FetchError> {
        let slot = self.cache.slot(url.as_str());
        let mut held = slot.lock().await;
        if let Some(file) = &*held {
            return Ok(Arc::clone(file));
        }
        let (file, writer) = self.cache.add()?;
        let file = Arc::new(file);
        self.download(url, writer, progress).await?;
        *held = Some(Arc::clone(&file));
        self.cache.keep(url.as_str(), file.open()?.metadata()?.len());
        Ok(file)
    }

    async fn download(&self, url: &Url, to: File, progress: &Progress) -> Result<(), FetchError> {
        if url.scheme() == "file" {
            let path = uri::local_path(url, self.config.allow_file)?;
            let limit = self.config.limits.bytes;
            let size = blocking(move || copy_local(&path, to, limit)).await?;
            progress.send_modify(|bytes| *bytes += size);
            return Ok(());
        }
        web::download(url, &self.config, to, progress).await
    }
}

fn copy(mut from: File, mut to: File) -> Result<(), FetchError> {
    io::copy(&mut from, &mut to)?;
    Ok(())
}

fn copy_local(path: &Path, mut to: File, limit: u64) -> Result<u64, FetchError> {
    let from = File::open(path)?;
    let data = from.metadata()?;
    if !data.is_file() {
        return Err(FetchError::Uri(format!("{} is not a file", path.display())));
    }
    let size = io::copy(&mut from.take(limit + 1), &mut to)?;
    if size > limit { Err(FetchError::TooLarge(limit)) } else { Ok(size) }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
) -> Result<T, FetchError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| io::Error::other(error).into())
        .flatten()
}
