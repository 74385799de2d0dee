//! The life file: a journal of one life, written by the agent and by the shell that holds the process.
//!
//! It lies outside the sandbox and its descriptor is closed in the task, so that no task can write its own end. Lines
//! are appended whole; one without its newline was torn and counts for nothing. Times are those of the file system,
//! which stamps the file: no clock is read here.
//!
//! The holder keeps the descriptor under a lock that it inherited. So a life without a holder's line is one that was
//! never started when it is unlocked, and one that is just being started when it is locked, whichever agent began it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use rustix::fs::OFlags;

use crate::agent::process::proc::{Holder, Stat};
use crate::model::end::End;
use crate::model::time::Timestamp;

/// Where one life is written.
#[derive(Clone, Debug)]
pub struct LifeFile(pub PathBuf);

/// What a life file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// The run of the host in which it was started.
    pub boot: String,
    /// When it was started.
    pub at: Timestamp,
    /// Who holds the process; none before it is started.
    pub holder: Option<Holder>,
    /// The last signal that was asked for.
    pub asked: Option<i32>,
    /// What the shell says of its end.
    pub code: Option<i32>,
    /// When and how it ended, once that was decided and nothing of it ran any more.
    pub ended: Option<(Timestamp, End)>,
    /// It is being removed.
    pub removed: bool,
}

// === impl LifeFile ===

impl LifeFile {
    /// Makes an empty one; fine when it is there.
    pub fn create(&self) -> io::Result<()> {
        match options().create_new(true).mode(0o600).open(&self.0) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What it says; none when there is no such file.
    pub fn read(&self) -> io::Result<Option<Life>> {
        let mut text = String::new();
        match options().open(&self.0).and_then(|mut file| file.read_to_string(&mut text)) {
            Ok(_) => Ok(Some(Life::parse(&text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The right to start this life; none while somebody holds it.
    pub fn claim(&self) -> io::Result<Option<File>> {
        let file = options().open(&self.0)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Says that a signal is asked for. Written before it is sent: what ends without a word then ended by it.
    pub fn ask(&self, signal: i32) -> io::Result<()> {
        append(&mut self.open()?, &format!("asked {signal}")).map(drop)
    }

    /// Says when and how it ended, and that nothing of it runs any more.
    pub fn end(&self, at: Timestamp, end: &End) -> io::Result<()> {
        let json = serde_json::to_string(end)?;
        append(&mut self.open()?, &format!("ended {} {json}", at.as_millis())).map(drop)
    }

    /// Says that it is being removed.
    pub fn begin_removal(&self) -> io::Result<()> {
        append(&mut self.open()?, "removed").map(drop)
    }

    /// The moment at which the shell wrote its last line; now, when it could not.
    pub fn end_time(&self, life: &Life) -> io::Result<Timestamp> {
        match life.code {
            Some(_) => mtime(&self.open()?),
            None => append(&mut self.open()?, "silent"),
        }
    }

    /// Removes it; fine when it is gone.
    pub fn delete(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn open(&self) -> io::Result<File> {
        options().open(&self.0)
    }
}

// === impl Life ===

impl Life {
    /// Whether the process runs, in this run of the host.
    pub fn runs(&self, boot: &str) -> io::Result<bool> {
        match self.holder {
            Some(holder) if self.ended.is_none() && self.boot == boot => holder.runs(),
            Some(_) | None => Ok(false),
        }
    }

    fn parse(text: &str) -> Life {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut life = Life::default();
        for line in whole.lines() {
            life.absorb(line);
        }
        life
    }

    fn absorb(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            // A start that came to nothing is tried again; the one that has a holder counts.
            "boot" if self.holder.is_none() => rest.clone_into(&mut self.boot),
            "at" if self.holder.is_none() => self.at = millis(rest).unwrap_or_default(),
            "asked" => self.asked = rest.parse().ok(),
            "exit" => self.code = rest.parse().ok(),
            "ended" => {
                self.ended = rest
                    .split_once(' ')
                    .and_then(|(at, end)| Some((millis(at)?, serde_json::from_str(end).ok()?)));
            }
            "removed" => self.removed = true,
            // Both the shell and the agent write who the holder is, since either may be cut short.
            _ => self.holder = self.holder.or(Stat::parse(line).map(|stat| stat.who)),
        }
    }
}

/// Writes the lines that precede a start, and says when that was.
pub fn begin(claimed: &mut File, boot: &str) -> io::Result<Timestamp> {
    let at = append(claimed, &format!("boot {boot}"))?;
    append(claimed, &format!("at {}", at.as_millis()))?;
    Ok(at)
}

/// Writes who the holder is, in the kernel's words.
pub fn hold(claimed: &mut File, holder: u32) -> io::Result<()> {
    let stat = std::fs::read_to_string(format!("/proc/{holder}/stat"))?;
    append(claimed, stat.trim_end()).map(drop)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).expect("a flag of open(2) is an int");
    options.read(true).append(true).custom_flags(flags);
    options
}

fn append(file: &mut File, line: &str) -> io::Result<Timestamp> {
    file.write_all(format!("{line}\n").as_bytes())?;
    mtime(file)
}

fn mtime(file: &File) -> io::Result<Timestamp> {
    let data = file.metadata()?;
    Ok(Timestamp::from_millis(data.mtime() * 1_000 + data.mtime_nsec() / 1_000_000))
}

fn millis(text: &str) -> Option<Timestamp> {
    text.parse().ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (sh) S 1 42 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 1653 2654208 407";

    #[test]
    fn a_line_without_its_newline_counts_for_nothing() {
        let life = Life::parse(&format!("boot b\nat 5\n{STAT}\nexit 0"));
        assert_eq!(life.at, Timestamp::from_millis(5));
        assert_eq!(life.holder.map(|holder| holder.start), Some(1653));
        assert_eq!(life.code, None);
        assert_eq!(Life::parse(&format!("boot b\n{}", &STAT[..20])).holder, None);
    }

    #[test]
    fn the_start_that_has_a_holder_counts() {
        let life = Life::parse(&format!("boot a\nat 1\nboot b\nat 2\n{STAT}\nboot c\nat 3\n"));
        assert_eq!((life.boot.as_str(), life.at), ("b", Timestamp::from_millis(2)));
    }

    #[test]
    fn an_end_is_read_back_as_it_was_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = LifeFile(dir.path().join("life"));
        file.create().expect("created");
        let end = End::Oom { peak: None };
        file.end(Timestamp::from_millis(9), &end).expect("written");
        let life = file.read().expect("read").expect("there");
        assert_eq!(life.ended, Some((Timestamp::from_millis(9), end)));
    }

    #[test]
    fn a_link_in_place_of_the_file_is_not_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = LifeFile(dir.path().join("life"));
        std::os::unix::fs::symlink("/etc/hostname", &file.0).expect("linked");
        assert!(file.read().is_err());
    }
}
