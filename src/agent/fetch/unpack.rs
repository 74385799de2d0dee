//! Unpacking archives, none of which is trusted.
//!
//! Every byte that comes out is counted against a bound that follows from the archive's own size; every path goes
//! through [`Inside`]. Archives with bzip2 or xz are refused rather than left as they are: the app expects their files.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use tar::EntryType;
use tokio_util::sync::CancellationToken;
use zip::ZipArchive;

use crate::agent::fetch::FetchLimits;
use crate::agent::fetch::error::FetchError;
use crate::agent::fetch::inside::Inside;

/// What an archive is, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Files in a row.
    Tar,
    /// The same, compressed.
    TarGz,
    /// One compressed file.
    Gz,
    /// Compressed files.
    Zip,
}

/// What may still come out of an archive.
pub struct Budget {
    limits: FetchLimits,
    bytes: u64,
    entries: u64,
    stop: CancellationToken,
}

/// Passes on so many bytes, then fails.
struct Bounded<R> {
    inner: R,
    /// Of all that may come.
    left: u64,
    /// Of what may come until somebody sets it anew.
    gate: Rc<Cell<u64>>,
    limits: FetchLimits,
    stop: CancellationToken,
}

/// However small an archive is, so much may come out of it: text of a few lines compresses beyond any ratio.
const ALWAYS: u64 = 1 << 20;

/// What may be read for the name of one file; an archive could otherwise have us keep a name of gigabytes.
const NAME: u64 = 1 << 20;

const LINK_MODE: u32 = 0o120_000;
const KIND_MASK: u32 = 0o170_000;
const FILE_MODE: u32 = 0o100_000;
const DIR_MODE: u32 = 0o040_000;

// === impl Format ===

impl Format {
    /// The format of a file; none when its name does not end as an archive's.
    ///
    /// # Errors
    /// When it is an archive that cannot be unpacked.
    pub fn of(name: &str) -> Result<Option<Format>, FetchError> {
        let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        if ends(&[".tar.bz2", ".tbz2", ".tar.xz", ".txz"]) {
            return Err(FetchError::Format(name.to_owned()));
        }
        Ok(if ends(&[".tar.gz", ".tgz"]) {
            Some(Format::TarGz)
        } else if ends(&[".tar"]) {
            Some(Format::Tar)
        } else if ends(&[".gz"]) {
            Some(Format::Gz)
        } else if ends(&[".zip"]) {
            Some(Format::Zip)
        } else {
            None
        })
    }
}

/// Unpacks an archive into `inside`; `name` is what a single compressed file is called with its ending.
///
/// # Errors
/// When it is broken, leads out, becomes too large, or holds what no app needs. What came out until then stays.
pub fn unpack(
    inside: &Inside,
    archive: File,
    format: Format,
    name: &Path,
    mut budget: Budget,
) -> Result<(), FetchError> {
    budget.fit(archive.metadata()?.len());
    match format {
        Format::Tar => untar(inside, budget.guard(archive), &mut budget),
        Format::TarGz => {
            let plain = budget.guard(MultiGzDecoder::new(archive));
            untar(inside, plain, &mut budget)
        }
        Format::Gz => {
            let plain = name.with_extension("");
            budget.write(inside, &plain, 0o644, &mut MultiGzDecoder::new(archive))
        }
        Format::Zip => unzip(inside, archive, &mut budget),
    }
}

fn untar<R: Read>(
    inside: &Inside,
    plain: Bounded<R>,
    budget: &mut Budget,
) -> Result<(), FetchError> {
    let gate = Rc::clone(&plain.gate);
    let mut archive = tar::Archive::new(plain);
    let mut entries = archive.entries()?;
    loop {
        gate.set(NAME);
        let Some(entry) = entries.next() else { return Ok(()) };
        let mut entry = entry?;
        gate.set(u64::MAX);
        budget.count()?;
        let path = entry.path()?.into_owned();
        let link = entry.link_name()?.map(std::borrow::Cow::into_owned).unwrap_or_default();
        let mode = entry.header().mode().unwrap_or(0o644);
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                budget.write(inside, &path, mode, &mut entry)?;
            }
            EntryType::Directory => inside.make_dir(&path)?,
            EntryType::Symlink => inside.symlink(&path, &link)?,
            EntryType::Link => inside.hard_link(&path, &link)?,
            // Remarks about the whole archive, such as the commit it was made from.
            EntryType::XGlobalHeader => {}
            _ => return Err(FetchError::Kind(path.display().to_string())),
        }
        // The rest up to the next name counts as content.
        io::copy(&mut entry, &mut io::sink())?;
    }
}

fn unzip(inside: &Inside, archive: File, budget: &mut Budget) -> Result<(), FetchError> {
    let mut archive = ZipArchive::new(archive)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        budget.count()?;
        let name = entry.name().to_owned();
        let path = Path::new(&name);
        let mode = entry.unix_mode().unwrap_or(0o644);
        if entry.is_dir() {
            inside.make_dir(path)?;
            continue;
        }
        match mode & KIND_MASK {
            LINK_MODE => {
                let mut target = String::new();
                (&mut entry).take(NAME).read_to_string(&mut target)?;
                inside.symlink(path, Path::new(&target))?;
            }
            // Archives of other systems say nothing of the kind.
            FILE_MODE | 0 => budget.write(inside, path, mode, &mut entry)?,
            DIR_MODE => inside.make_dir(path)?,
            _ => return Err(FetchError::Kind(name)),
        }
    }
    Ok(())
}

// === impl Budget ===

impl Budget {
    /// The most of any archive, until `stop` says so.
    pub fn new(limits: FetchLimits, stop: CancellationToken) -> Budget {
        Budget { limits, bytes: limits.bytes, entries: limits.entries, stop }
    }

    /// Lowers it to what an archive of this size may become.
    fn fit(&mut self, archive: u64) {
        let most = archive.saturating_mul(self.limits.ratio).max(ALWAYS);
        self.bytes = self.bytes.min(most);
    }

    fn count(&mut self) -> Result<(), FetchError> {
        self.entries =
            self.entries.checked_sub(1).ok_or(FetchError::Entries(self.limits.entries))?;
        Ok(())
    }

    fn guard<R>(&self, inner: R) -> Bounded<R> {
        Bounded {
            inner,
            left: self.bytes,
            gate: Rc::new(Cell::new(u64::MAX)),
            limits: self.limits,
            stop: self.stop.clone(),
        }
    }

    /// Writes one file, within what may still come out.
    fn write(
        &mut self,
        inside: &Inside,
        path: &Path,
        mode: u32,
        from: &mut impl Read,
    ) -> Result<(), FetchError> {
        let mut file = inside.create(path, mode)?;
        let mut from = self.guard(from);
        self.bytes -= io::copy(&mut from, &mut file)?;
        Ok(())
    }
}

// === impl Bounded ===

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_cancelled() {
            return Err(io::Error::other("nobody waits for it any more"));
        }
        let count = self.inner.read(buffer)?;
        let size = count as u64;
        let gate = self.gate.get().checked_sub(size).ok_or_else(too_long_a_name)?;
        self.gate.set(gate);
        self.left = self.left.checked_sub(size).ok_or_else(|| self.too_large())?;
        Ok(count)
    }
}

impl<R> Bounded<R> {
    fn too_large(&self) -> io::Error {
        let FetchLimits { bytes, ratio, .. } = self.limits;
        io::Error::other(FetchError::Ratio { ratio, bytes })
    }
}

fn too_long_a_name() -> io::Error {
    io::Error::other("a name in it is too long")
}
