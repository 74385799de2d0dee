//! A power cut at any moment (reliability 4.1): of what was written since the disk last said "durable", any part may be
//! there, in any order, torn anywhere. Nothing that was acknowledged may be missing, and nothing half may be seen.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use redb::{Builder, StorageBackend};

use super::{Embedded, Expect, OpenError, file, table};
use crate::model::id::Position;
use crate::model::world::World;
use crate::store::codec::encode;
use crate::store::log::Bid;
use crate::store::replay::load_world;
use crate::store::testing::{cluster, commit, first_commit, wide_commit};

const COMMITS: u64 = 16;
const IMAGES_PER_SYNC: u64 = 5;

/// A disk that remembers what it has not promised yet.
#[derive(Clone, Debug, Default)]
struct Disk {
    state: Arc<Mutex<State>>,
    acknowledged: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct State {
    now: Vec<u8>,
    promised: Vec<u8>,
    pending: Vec<Op>,
    /// The disk at every sync, before it took effect.
    cuts: Vec<Cut>,
}

#[derive(Clone, Debug)]
enum Op {
    Write(usize, Vec<u8>),
    Resize(usize),
}

#[derive(Debug)]
struct Cut {
    promised: Vec<u8>,
    pending: Vec<Op>,
    acknowledged: u64,
}

/// A small generator: the test must be the same every time.
struct Random(u64);

#[test]
fn a_power_cut_at_any_moment_loses_nothing_that_was_acknowledged() {
    let disk = Disk::default();
    let worlds = fill(&disk);
    let cuts = std::mem::take(&mut disk.state.lock().expect("nobody panicked").cuts);
    assert!(cuts.len() as u64 > COMMITS, "at least a sync for each commit");
    let mut random = Random(7);
    let mut ahead = 0;
    for cut in cuts.iter().filter(|cut| cut.acknowledged > 0) {
        for _ in 0..IMAGES_PER_SYNC {
            let disk = Disk::holding(cut.image(&mut random));
            let store = disk.open(Expect::Of(cluster()));
            let loaded = load_world(&store.load_blocking().expect("a log")).expect("a whole log");
            assert!(loaded.no.0 >= cut.acknowledged, "{} is missing", cut.acknowledged);
            assert!(loaded.no.0 <= cut.acknowledged + 1);
            assert_eq!(loaded.world, worlds[usize::try_from(loaded.no.0).expect("small")]);
            ahead += u64::from(loaded.no.0 > cut.acknowledged);
        }
    }
    assert!(ahead > 0, "some images hold a commit whose answer was cut off");
}

/// Commits to the disk; gives the world after each commit.
fn fill(disk: &Disk) -> Vec<World> {
    let store = disk.open(Expect::AnyOrNew(cluster()));
    let lead = store.lead_blocking(Bid::IfVacant).expect("nobody leads");
    let mut worlds = vec![World::default()];
    let mut next = Position(1);
    for no in 1..=COMMITS {
        let commit = match no {
            1 => first_commit(),
            12 => wide_commit(no),
            no => commit(no, 5),
        };
        let records = encode(&commit, lead.epoch, next).expect("rows that fit");
        next = Position(next.0 + records.len() as u64);
        store.append_blocking(&lead, &records).expect("room");
        disk.acknowledged.store(no, Ordering::Relaxed);
        let mut world = worlds[worlds.len() - 1].clone();
        commit.writes.iter().for_each(|write| world.apply(write));
        worlds.push(world);
    }
    worlds
}

// === impl Cut ===

impl Cut {
    /// What may be on the disk after the cut.
    fn image(&self, random: &mut Random) -> Vec<u8> {
        let mut image = self.promised.clone();
        // From nothing of it to all of it, most often a part.
        let kept_of_8 = random.below(9);
        for op in &self.pending {
            if random.below(8) >= kept_of_8 {
                continue;
            }
            match op {
                Op::Resize(len) => image.resize(*len, 0),
                Op::Write(at, data) if random.below(4) == 0 => {
                    let kept = usize::try_from(random.below(data.len() as u64)).expect("small");
                    put(&mut image, *at, &data[..kept]);
                }
                Op::Write(at, data) => put(&mut image, *at, data),
            }
        }
        image
    }
}

// === impl Disk ===

impl Disk {
    fn holding(image: Vec<u8>) -> Disk {
        let state = State { promised: image.clone(), now: image, ..State::default() };
        Disk { state: Arc::new(Mutex::new(state)), ..Disk::default() }
    }

    fn open(&self, expect: Expect) -> Embedded {
        let backend = self.clone();
        let opener: file::Opener = Box::new(move || {
            Builder::new()
                .set_cache_size(64 * 1024)
                .create_with_backend(backend.clone())
                .map_err(|error| OpenError::Store(table::failed(error)))
        });
        Embedded::open_with(opener, expect).expect("a log")
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.state.lock().expect("nobody panicked").now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let state = self.state.lock().expect("nobody panicked");
        let at = usize::try_from(offset).expect("small");
        out.copy_from_slice(&state.now[at..at + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let mut state = self.state.lock().expect("nobody panicked");
        let len = usize::try_from(len).expect("small");
        state.now.resize(len, 0);
        state.pending.push(Op::Resize(len));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut state = self.state.lock().expect("nobody panicked");
        let pending = std::mem::take(&mut state.pending);
        let now = state.now.clone();
        let promised = std::mem::replace(&mut state.promised, now);
        let acknowledged = self.acknowledged.load(Ordering::Relaxed);
        state.cuts.push(Cut { promised, pending, acknowledged });
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut state = self.state.lock().expect("nobody panicked");
        let at = usize::try_from(offset).expect("small");
        put(&mut state.now, at, data);
        state.pending.push(Op::Write(at, data.to_vec()));
        Ok(())
    }
}

// === impl Random ===

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}

fn put(image: &mut Vec<u8>, at: usize, data: &[u8]) {
    if image.len() < at + data.len() {
        image.resize(at + data.len(), 0);
    }
    image[at..at + data.len()].copy_from_slice(data);
}
