//! Reading an output, from the end or from the start, and on as it grows.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use rustix::fs::OFlags;
use tokio::sync::watch;

use crate::agent::logs::{file_name, open_dir, open_if_there, open_plain};
use crate::agent::runtime::LogStream;

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// At the n-th line from the end.
    Lines(u64),
    /// So many bytes before the end.
    Bytes(u64),
}

/// A reader's place in an output.
struct Reader {
    dir: PathBuf,
    name: &'static str,
    /// Opened with the first chunk, hence on the thread that may block.
    open: Option<Open>,
    tail: Option<Tail>,
}

struct Open {
    dir: OwnedFd,
    /// Copies still to be read, oldest first.
    copies: VecDeque<File>,
    /// The file that grows.
    live: File,
    /// How much of it was read.
    place: u64,
    /// Which copy was the newest.
    newest: Option<Identity>,
}

type Identity = (u64, u64);

const CHUNK: usize = 64 * 1024;

/// Between two looks at a file that does not grow.
const PAUSE: Duration = Duration::from_millis(100);

/// More copies than this are not looked for.
const MAX_COPIES: u32 = 100;

/// Reads an output of the sandbox `dir`: all that is kept of it, or its `tail`. With `follow` it goes on until `ended`
/// says that the task has ended (or its sender is gone) and all was read. Survives rotation.
///
/// # Caveats
/// A file that is cut twice within 100 ms loses the part between for a reader that follows.
pub fn read(
    dir: PathBuf,
    stream: LogStream,
    tail: Option<Tail>,
    follow: bool,
    ended: watch::Receiver<bool>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let reader = Reader { dir, name: file_name(stream), open: None, tail };
    futures::stream::try_unfold((reader, ended), move |(mut reader, mut ended)| async move {
        loop {
            // Asked before the reading: what is written before the end is read before we stop.
            let last = !follow || *ended.borrow_and_update() || ended.has_changed().is_err();
            let (back, chunk) = tokio::task::spawn_blocking(move || {
                let chunk = reader.next();
                (reader, chunk)
            })
            .await
            .map_err(io::Error::other)?;
            reader = back;
            let chunk = chunk?;
            if !chunk.is_empty() {
                return Ok(Some((chunk, (reader, ended))));
            }
            if last {
                return Ok(None);
            }
            // Either way the file is looked at again.
            let _pause_or_end = tokio::time::timeout(PAUSE, ended.changed()).await;
        }
    })
}

// === impl Reader ===

impl Reader {
    /// The next bytes; empty when there are none yet.
    fn next(&mut self) -> io::Result<Bytes> {
        if self.open.is_none() {
            self.open = Some(Open::new(&self.dir, self.name, self.tail)?);
        }
        self.open.as_mut().map_or_else(|| Ok(Bytes::new()), |open| open.next(self.name))
    }
}

// === impl Open ===

impl Open {
    fn new(dir: &Path, name: &str, tail: Option<Tail>) -> io::Result<Open> {
        let dir = open_dir(dir)?;
        let mut copies = VecDeque::new();
        for age in 1..MAX_COPIES {
            match open_if_there(&dir, &format!("{name}.{age}"))? {
                Some(copy) => copies.push_front(copy),
                None => break,
            }
        }
        let newest = copies.back().map(identity).transpose()?;
        let mut live = open_plain(&dir, name, OFlags::RDONLY)?;
        seek(&mut copies, &mut live, tail)?;
        let place = live.stream_position()?;
        Ok(Open { dir, copies, live, place, newest })
    }

    fn next(&mut self, name: &str) -> io::Result<Bytes> {
        while let Some(copy) = self.copies.front_mut() {
            let chunk = read_chunk(copy)?;
            if !chunk.is_empty() {
                return Ok(chunk);
            }
            self.copies.pop_front();
        }
        if self.was_cut(name)? {
            return self.next(name);
        }
        let chunk = read_chunk(&mut self.live)?;
        self.place += chunk.len() as u64;
        Ok(chunk)
    }

    /// Whether the file was cut since it was last read; if so, the rest is to be read from its newest copy.
    fn was_cut(&mut self, name: &str) -> io::Result<bool> {
        let Some(mut copy) = open_if_there(&self.dir, &format!("{name}.1"))? else {
            return Ok(false);
        };
        let newest = Some(identity(&copy)?);
        if newest == self.newest {
            return Ok(false);
        }
        copy.seek(SeekFrom::Start(self.place))?;
        self.live.seek(SeekFrom::Start(0))?;
        (self.newest, self.place) = (newest, 0);
        self.copies.push_back(copy);
        Ok(true)
    }
}

fn read_chunk(file: &mut File) -> io::Result<Bytes> {
    let mut chunk = vec![0; CHUNK];
    let count = file.read(&mut chunk)?;
    chunk.truncate(count);
    Ok(chunk.into())
}

fn identity(file: &File) -> io::Result<Identity> {
    let data = file.metadata()?;
    Ok((data.dev(), data.ino()))
}

/// How much of a tail lies before what was looked at.
struct Search {
    left: Tail,
    /// Nothing was found behind the place that is looked at.
    at_end: bool,
}

/// Moves all files to where the reading begins, and drops those before it.
fn seek(copies: &mut VecDeque<File>, live: &mut File, tail: Option<Tail>) -> io::Result<()> {
    let Some(tail) = tail else { return Ok(()) };
    let mut search = Search { left: tail, at_end: true };
    if search.begins_in(live)? {
        copies.clear();
        return Ok(());
    }
    live.seek(SeekFrom::Start(0))?;
    for index in (0..copies.len()).rev() {
        if search.begins_in(&mut copies[index])? {
            copies.drain(..index);
            return Ok(());
        }
        copies[index].seek(SeekFrom::Start(0))?;
    }
    Ok(())
}

// === impl Search ===

impl Search {
    /// Moves to where the tail begins, if it begins in this file; else counts what is in it.
    fn begins_in(&mut self, file: &mut File) -> io::Result<bool> {
        let size = file.seek(SeekFrom::End(0))?;
        let found = match self.left {
            Tail::Lines(0) => true,
            Tail::Bytes(wanted) if wanted <= size => {
                file.seek(SeekFrom::Start(size - wanted))?;
                true
            }
            Tail::Bytes(wanted) => {
                self.left = Tail::Bytes(wanted - size);
                false
            }
            Tail::Lines(wanted) => self.line_begins_in(file, size, wanted)?,
        };
        self.at_end &= size == 0;
        Ok(found)
    }

    /// Counts line ends backwards: a line begins behind each, but for one at the very end of all.
    fn line_begins_in(&mut self, file: &mut File, size: u64, wanted: u64) -> io::Result<bool> {
        let mut wanted = wanted;
        let mut end = size;
        let mut chunk = vec![0; CHUNK];
        while end > 0 {
            let count = end.min(CHUNK as u64);
            let start = end - count;
            let part = &mut chunk[..usize::try_from(count).expect("at most a chunk")];
            file.seek(SeekFrom::Start(start))?;
            file.read_exact(part)?;
            for (index, _) in part.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
                let begin = start + index as u64 + 1;
                if begin == size && self.at_end {
                    continue;
                }
                wanted -= 1;
                if wanted == 0 {
                    file.seek(SeekFrom::Start(begin))?;
                    return Ok(true);
                }
            }
            end = start;
        }
        self.left = Tail::Lines(wanted);
        Ok(false)
    }
}
