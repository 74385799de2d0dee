//! Whether a log is whole: its order, its checksums, its rows and the laws between them.

use std::fmt;

use crate::model::id::{CommitNo, Epoch};
use crate::model::world::Broken;
use crate::store::codec::{Quarantined, What};
use crate::store::log::{Head, Log};
use crate::store::record::Damage;
use crate::store::replay::{Bytes, LoadError, Loaded, load_world};

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whose log it is, and where it begins.
    pub head: Head,
    /// The newest epoch.
    pub epoch: Epoch,
    /// How many records there are from the head on.
    pub records: usize,
    /// The newest commit.
    pub commit: CommitNo,
    /// How many rows are live.
    pub rows: usize,
    /// What the log takes.
    pub bytes: Bytes,
    /// Records whose bytes are not those that were written.
    pub damaged: Vec<String>,
    /// What is wrong with the log as a whole: a server refuses to start on it.
    pub refused: Option<LoadError>,
    /// Rows and events that cannot be read: a server starts without them.
    pub quarantined: Vec<Quarantined>,
    /// Laws between rows that do not hold.
    pub broken: Vec<Broken>,
}

/// Checks a log. What is wrong inside is in the report.
pub fn check((log, epoch): &(Log, Epoch)) -> Report {
    let verified = log.records.iter().map(|record| (record.at, record.verify()));
    let damaged = |(at, result): (_, Result<(), Damage>)| {
        result.err().map(|damage| format!("position {at}: {damage}"))
    };
    let mut report = Report {
        head: log.head,
        epoch: *epoch,
        records: log.records.len(),
        commit: CommitNo::default(),
        rows: 0,
        bytes: Bytes::default(),
        damaged: verified.filter_map(damaged).collect(),
        refused: None,
        quarantined: Vec::new(),
        broken: Vec::new(),
    };
    match load_world(log) {
        Ok(loaded) => report.take(loaded),
        Err(error) => report.refused = Some(error),
    }
    report
}

// === impl Report ===

impl Report {
    /// Whether nothing at all is wrong.
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty()
            && self.refused.is_none()
            && self.quarantined.is_empty()
            && self.broken.is_empty()
    }

    fn take(&mut self, loaded: Loaded) {
        self.commit = loaded.no;
        self.rows = loaded.world.rows().count();
        self.bytes = loaded.bytes;
        self.quarantined = loaded.quarantined;
        self.broken = loaded.world.check().err().unwrap_or_default();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { head, epoch, records, commit, rows, bytes, .. } = self;
        writeln!(f, "cluster {}, schema {}, epoch {epoch}", head.cluster, head.schema)?;
        writeln!(f, "{records} records from position {}, newest commit {commit}", head.start)?;
        writeln!(f, "{rows} live rows; {} of {} bytes are live", bytes.live, bytes.log)?;
        for damaged in &self.damaged {
            writeln!(f, "damaged: {damaged}")?;
        }
        if let Some(refused) = &self.refused {
            writeln!(f, "no server starts on it: {refused}")?;
        }
        for Quarantined { what, why, .. } in &self.quarantined {
            match what {
                What::Row(key) => writeln!(f, "unreadable row {key:?}: {why}")?,
                What::Event(commit) => writeln!(f, "unreadable event of commit {commit}: {why}")?,
            }
        }
        for broken in &self.broken {
            writeln!(f, "law broken: {broken}")?;
        }
        f.write_str(if self.is_clean() { "clean" } else { "not clean" })
    }
}
