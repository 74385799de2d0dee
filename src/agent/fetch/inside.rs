//! Writing inside one directory and nowhere else.
//!
//! Paths come from requests and archives, and what an earlier artifact left may lie in their way. So a path is walked
//! part by part from the directory's own descriptor, and no part of it may be a link; what is in the way of a new file
//! is taken away, never written through.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, fstat, linkat, mkdirat, open, openat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use crate::agent::fetch::error::FetchError;

/// A directory that is not left.
pub struct Inside {
    root: OwnedFd,
}

const DIR: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

// === impl Inside ===

impl Inside {
    /// Opens it, unless a link is in its place.
    pub fn open(dir: &Path) -> Result<Inside, FetchError> {
        Ok(Inside { root: open(dir, DIR, Mode::empty())? })
    }

    /// Makes a new, empty file and the directories above it.
    pub fn create(&self, path: &Path, mode: u32) -> Result<File, FetchError> {
        let (parent, name) = self.above(path)?;
        clear(&parent, &name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&parent, &name, flags, permissions(mode))?;
        Ok(File::from(file))
    }

    /// Opens a plain file to read.
    pub fn read(&self, path: &Path) -> Result<File, FetchError> {
        let (parent, name) = self.above(path)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&parent, &name, flags, Mode::empty())?;
        match FileType::from_raw_mode(fstat(&file)?.st_mode) {
            FileType::RegularFile => Ok(File::from(file)),
            _ => Err(FetchError::Kind(path.display().to_string())),
        }
    }

    /// Makes a directory and those above it; fine when they are there.
    pub fn make_dir(&self, path: &Path) -> Result<(), FetchError> {
        self.walk(&parts(path)?).map(drop)
    }

    /// Makes a link. Its target may climb at its start alone, and not above the directory: since no link is ever walked
    /// through, where it lies is where its path says.
    pub fn symlink(&self, path: &Path, target: &Path) -> Result<(), FetchError> {
        let depth = parts(path)?.len() - 1;
        let climbs = target.components().take_while(|part| *part == Component::ParentDir).count();
        let stays = target
            .components()
            .skip(climbs)
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if climbs > depth || !stays {
            let shown = format!("{} -> {}", path.display(), target.display());
            return Err(FetchError::Outside(shown));
        }
        let (parent, name) = self.above(path)?;
        clear(&parent, &name)?;
        Ok(symlinkat(target, &parent, &name)?)
    }

    /// Gives a file of the directory a second name.
    pub fn hard_link(&self, path: &Path, source: &Path) -> Result<(), FetchError> {
        // Only what is a plain file here and now.
        self.read(source)?;
        let (from, from_name) = self.above(source)?;
        let (parent, name) = self.above(path)?;
        clear(&parent, &name)?;
        Ok(linkat(&from, &from_name, &parent, &name, AtFlags::empty())?)
    }

    /// The directory above a path, made if need be, and the path's last part.
    fn above(&self, path: &Path) -> Result<(OwnedFd, OsString), FetchError> {
        let mut parts = parts(path)?;
        let name = parts.pop().ok_or_else(|| FetchError::Outside(path.display().to_string()))?;
        Ok((self.walk(&parts)?, name))
    }

    fn walk(&self, parts: &[OsString]) -> Result<OwnedFd, FetchError> {
        let mut at = openat(&self.root, ".", DIR, Mode::empty())?;
        for part in parts {
            match mkdirat(&at, part, permissions(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            at = openat(&at, part, DIR, Mode::empty())?;
        }
        Ok(at)
    }
}

/// The parts of a path that stays inside.
fn parts(path: &Path) -> Result<Vec<OsString>, FetchError> {
    let outside = || FetchError::Outside(path.display().to_string());
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name.to_owned()),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(outside());
            }
        }
    }
    if parts.is_empty() && path.as_os_str() != "." && path.as_os_str() != "./" {
        return Err(outside());
    }
    Ok(parts)
}

/// Takes away a file or link that is in the way; a directory stays, and what comes fails on it.
fn clear(parent: &OwnedFd, name: &OsStr) -> Result<(), FetchError> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reading, writing and executing alone: nothing that runs as its owner.
fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o777 | 0o600)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn rig() -> (tempfile::TempDir, Inside) {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("in")).expect("made");
        let inside = Inside::open(&dir.path().join("in")).expect("opened");
        (dir, inside)
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        let (_dir, inside) = rig();
        for path in ["/etc/x", "../x", "a/../../x", "a/../x", ".", ""] {
            assert!(inside.create(Path::new(path), 0o644).is_err(), "{path}");
        }
        inside.create(Path::new("a/./b"), 0o644).expect("stays inside");
    }

    #[test]
    fn links_stay_inside_and_are_never_walked_or_written_through() {
        let (dir, inside) = rig();
        for target in ["/etc", "..", "b/../../..", "b/..", "../.."] {
            assert!(inside.symlink(Path::new("l"), Path::new(target)).is_err(), "{target}");
        }
        inside.make_dir(Path::new("a/b")).expect("made");
        inside.symlink(Path::new("a/b/up"), Path::new("../..")).expect("the top is inside");
        assert!(inside.symlink(Path::new("a/b/up/l"), Path::new("../../..")).is_err());
        assert!(inside.create(Path::new("a/b/up/x"), 0o644).is_err());
        std::os::unix::fs::symlink(dir.path().join("out"), dir.path().join("in/x"))
            .expect("linked");
        inside.create(Path::new("x"), 0o644).expect("in place of the link");
        assert!(!dir.path().join("out").exists());
    }

    #[test]
    fn a_second_name_is_for_plain_files_of_the_directory_alone() {
        let (dir, inside) = rig();
        std::fs::write(dir.path().join("out"), "secret").expect("written");
        std::os::unix::fs::symlink(dir.path().join("out"), dir.path().join("in/l"))
            .expect("linked");
        assert!(inside.hard_link(Path::new("x"), Path::new("l")).is_err());
        assert!(inside.hard_link(Path::new("x"), Path::new("../out")).is_err());
        inside.create(Path::new("f"), 0o4755).expect("made");
        inside.hard_link(Path::new("x"), Path::new("f")).expect("linked");
        let mode = std::fs::metadata(dir.path().join("in/x")).expect("there").permissions().mode();
        assert_eq!(mode & 0o7000, 0, "nothing runs as its owner");
    }
}
