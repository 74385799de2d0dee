//! The outputs of tasks as files of their sandbox: keeping them small, and reading them while they grow.
//!
//! A process keeps its output open, so a full file is copied and then cut, not renamed; what is written between the two
//! is lost, as with every tool that does it so. `stdout.1` is the newest copy. A reader knows by the identity of that
//! copy that its file was cut, and reads on in the copy where it was.
//!
//! A sandbox belongs to its task, which may put anything in it: files are opened in the sandbox's own directory, never
//! through a link, and only if they are plain files.

mod read;
mod rotate;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, open, openat};

pub use self::read::{Tail, read};
pub use self::rotate::{LogLimits, rotate, rotate_for_ever};
use crate::agent::runtime::LogStream;

/// The name of an output in its sandbox.
pub const fn file_name(stream: LogStream) -> &'static str {
    match stream {
        LogStream::Stdout => "stdout",
        LogStream::Stderr => "stderr",
    }
}

/// The sandbox itself, not what a link in its place points to.
fn open_dir(dir: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(open(dir, flags | OFlags::RDONLY, Mode::empty())?)
}

/// A plain file of the sandbox; opening anything else fails, and blocks on nothing.
fn open_plain(dir: &OwnedFd, name: &str, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(dir, name, flags, Mode::RUSR | Mode::WUSR)?;
    if FileType::from_raw_mode(fstat(&file)?.st_mode) == FileType::RegularFile {
        Ok(File::from(file))
    } else {
        Err(io::Error::other(format!("{name} is not a plain file")))
    }
}

/// As [`open_plain`]; none when there is no such file.
fn open_if_there(dir: &OwnedFd, name: &str) -> io::Result<Option<File>> {
    match open_plain(dir, name, OFlags::RDONLY) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
