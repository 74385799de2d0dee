//! What goes wrong with a real etcd, and what becomes of the log then.

mod operator;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use etcd_client::{AlarmAction, AlarmOptions, AlarmType, DeleteOptions, WatchOptions};
use futures::{Stream, StreamExt};
use tempfile::TempDir;
use tokio::sync::watch;

use super::Etcd;
use super::rig::EtcdServer;
use crate::model::id::{ClusterId, Position};
use crate::store::access::Access;
use crate::store::address::EtcdAddress;
use crate::store::codec::encode;
use crate::store::expect::{Expect, OpenError};
use crate::store::identity::Identity;
use crate::store::log::{
    AppendError, Bid, Holder, Lead, LeadError, Lease, Seen, Store, StoreError,
};
use crate::store::record::Record;
use crate::store::testing::{cluster, commit};
use operator::Operator;

/// Only a test that fails waits for so long.
const PATIENCE: Duration = Duration::from_mins(2);

/// A new tree in an etcd that all tests share that do it no harm.
pub fn new_tree() -> EtcdAddress {
    static SHARED: OnceLock<EtcdServer> = OnceLock::new();
    tree_in(SHARED.get_or_init(|| EtcdServer::start(&[])))
}

fn tree_in(server: &EtcdServer) -> EtcdAddress {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("tree-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    EtcdAddress { endpoints: vec![server.endpoint()], name, secure: false }
}

/// A server on a host of its own.
struct Host {
    dir: TempDir,
    url: String,
}

// === impl Host ===

impl Host {
    fn new(name: &str) -> Host {
        let dir = tempfile::tempdir().expect("a directory");
        Host { dir, url: format!("http://{name}:8080") }
    }

    async fn open(&self, address: &EtcdAddress, expect: Expect) -> Result<Etcd, OpenError> {
        let identity = Identity::hold(self.dir.path()).expect("nobody has it");
        let store = Etcd::open(address, &Access::default(), identity, expect).await?;
        store.announce(&self.url);
        Ok(store)
    }

    async fn any(&self, address: &EtcdAddress) -> Etcd {
        self.open(address, Expect::AnyOrNew(cluster())).await.expect("a log")
    }
}

async fn lead(store: &Etcd) -> Lead {
    store.lead(Bid::IfVacant).await.expect("nobody leads")
}

/// The record of a small commit at the position of its number.
fn record(lead: &Lead, no: u64) -> Vec<Record> {
    encode(&commit(no, 1), lead.epoch, Position(no)).expect("a small row")
}

async fn append(store: &Etcd, lead: &Lead, no: u64) {
    store.append(lead, &record(lead, no)).await.expect("room");
}

async fn length(store: &Etcd) -> usize {
    store.load().await.expect("a log").records.len()
}

/// Waits until the lease is as wanted.
async fn until(lease: &mut watch::Receiver<Lease>, wanted: impl FnMut(&Lease) -> bool) -> Lease {
    let reached = tokio::time::timeout(PATIENCE, lease.wait_for(wanted));
    reached.await.expect("in time").expect("the store is open").clone()
}

fn is_silent(lease: &Lease) -> bool {
    matches!(lease, Lease::Silent(_))
}

async fn next(seen: &mut (impl Stream<Item = Result<Seen, StoreError>> + Unpin)) -> Seen {
    let next = tokio::time::timeout(PATIENCE, seen.next()).await;
    next.expect("something in time").expect("no end").expect("no error")
}

#[tokio::test]
async fn an_etcd_that_was_killed_is_used_again_and_nothing_is_lost() {
    let mut etcd = EtcdServer::start(&[]);
    let host = Host::new("a");
    let store = host.any(&tree_in(&etcd)).await;
    let mut lease = store.lease();
    let lead = lead(&store).await;
    append(&store, &lead, 1).await;
    let mut seen = Box::pin(store.follow(Position(0)));
    assert_eq!(next(&mut seen).await, Seen::Record(record(&lead, 1).remove(0)));
    assert_eq!(next(&mut seen).await, Seen::Leader(lead.epoch));

    etcd.kill();
    let refused = store.append(&lead, &record(&lead, 2)).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    until(&mut lease, is_silent).await;
    assert!(store.load().await.is_err(), "an error is never an empty log");

    etcd.begin();
    append(&store, &lead, 2).await;
    until(&mut lease, |lease| *lease == Lease::Kept).await;
    append(&store, &lead, 3).await;
    for no in 2..=3 {
        assert_eq!(next(&mut seen).await, Seen::Record(record(&lead, no).remove(0)));
    }
    assert_eq!(length(&store).await, 3);
}

#[tokio::test]
async fn what_a_frozen_etcd_did_at_last_is_found_and_not_done_twice() {
    let etcd = EtcdServer::start(&[]);
    let host = Host::new("a");
    let store = host.any(&tree_in(&etcd)).await;
    let mut lease = store.lease();
    let lead = lead(&store).await;
    append(&store, &lead, 1).await;
    etcd.freeze();
    let records = [record(&lead, 2), record(&lead, 3)].concat();
    let unknown = store.append(&lead, &records[..1]).await;
    assert!(matches!(unknown, Err(AppendError::Unavailable(_))), "{unknown:?}");
    let unknown = store.append(&lead, &records[..1]).await;
    assert!(matches!(unknown, Err(AppendError::Unavailable(_))), "{unknown:?}");
    until(&mut lease, is_silent).await;
    // Longer than a lease by now: nobody else wants to lead, so this one goes on under the same epoch.
    etcd.thaw();
    store.append(&lead, &records).await.expect("stored once, whoever stored it");
    assert_eq!(store.load().await.expect("a log").records[1..], records);
    until(&mut lease, |lease| *lease == Lease::Kept).await;
    append(&store, &lead, 4).await;
}

#[tokio::test]
async fn a_slow_etcd_is_waited_for() {
    let etcd = EtcdServer::start(&[]);
    let host = Host::new("a");
    let store = host.any(&tree_in(&etcd)).await;
    let mut lease = store.lease();
    let lead = lead(&store).await;
    let mut operator = Operator::of(&etcd).await;
    let writing = async {
        for no in 1..=12 {
            append(&store, &lead, no).await;
        }
    };
    let slowing = async {
        loop {
            etcd.freeze();
            tokio::time::sleep(Duration::from_millis(400)).await;
            etcd.thaw();
            // So long that it comes to answer something.
            operator.keys("/nothing").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = writing => {}
        () = slowing => {}
    }
    etcd.thaw();
    until(&mut lease, |lease| *lease == Lease::Kept).await;
    assert_eq!(length(&store).await, 12);
}

#[tokio::test]
async fn a_full_etcd_takes_nothing_and_goes_on_when_there_is_room() {
    let etcd = EtcdServer::start(&["--quota-backend-bytes", "20000000"]);
    let host = Host::new("a");
    let store = host.any(&tree_in(&etcd)).await;
    let mut lease = store.lease();
    let lead = lead(&store).await;
    append(&store, &lead, 1).await;
    // Somebody else fills it.
    let mut other = Operator::of(&etcd).await;
    let mut no = 0;
    while other.0.put(format!("/other/{no}"), vec![7; 1_000_000], None).await.is_ok() {
        no += 1;
        assert!(no < 100, "it has a quota");
    }
    let refused = store.append(&lead, &record(&lead, 2)).await;
    assert!(matches!(refused, Err(AppendError::Full)), "{refused:?}");
    assert_eq!(length(&store).await, 1);

    let mut operator = Operator::of(&etcd).await;
    let all = DeleteOptions::new().with_prefix();
    operator.0.delete("/other/", Some(all)).await.expect("what frees space is allowed");
    operator.compact().await;
    operator.0.defragment().await.expect("it answers");
    let alarms = operator.0.alarm(AlarmAction::Get, AlarmType::Nospace, None).await;
    let member = alarms.expect("it answers").alarms()[0].member_id();
    let mut of = AlarmOptions::new();
    of.with_member(member);
    let disarmed = operator.0.alarm(AlarmAction::Deactivate, AlarmType::Nospace, Some(of)).await;
    disarmed.expect("it answers");
    append(&store, &lead, 2).await;
    until(&mut lease, |lease| *lease == Lease::Kept).await;
    let usage = store.usage().await.expect("figures");
    assert!(usage.log > 0 && usage.stored > usage.log, "{usage:?}");
}

#[tokio::test]
async fn one_server_leads_and_the_other_is_told_who() {
    let address = new_tree();
    let (a, b) = (Host::new("a"), Host::new("b"));
    let (first, second) = (a.any(&address).await, b.any(&address).await);
    let old = lead(&first).await;
    let refused = second.lead(Bid::IfVacant).await.expect_err("one leads");
    assert_eq!(
        refused.to_string(),
        format!("the server at http://a:8080 (epoch {}) leads", old.epoch)
    );

    let new = second.lead(Bid::Depose(old.epoch)).await.expect("it can be deposed");
    let late = first.append(&old, &record(&old, 1)).await;
    assert!(matches!(late, Err(AppendError::Deposed)), "{late:?}");
    let lost = until(&mut first.lease(), |lease| matches!(lease, Lease::Lost(_))).await;
    let Lease::Lost(Some(Holder { epoch, server: Some(server) })) = lost else {
        panic!("{lost:?}")
    };
    assert_eq!((epoch, server.url.as_str()), (new.epoch, "http://b:8080"));
    append(&second, &new, 1).await;
    assert_eq!(length(&first).await, 1, "who does not lead reads all the same");
}

#[tokio::test]
async fn a_deposed_server_is_told_although_it_writes_nothing() {
    let address = new_tree();
    let (a, b) = (Host::new("a"), Host::new("b"));
    let (first, second) = (a.any(&address).await, b.any(&address).await);
    let old = lead(&first).await;
    second.lead(Bid::Depose(old.epoch)).await.expect("it can be deposed");
    until(&mut first.lease(), |lease| matches!(lease, Lease::Lost(Some(_)))).await;
}

#[tokio::test]
async fn leadership_is_free_at_once_after_a_resignation_and_a_lease_later_after_a_death() {
    let address = new_tree();
    let (a, b) = (Host::new("a"), Host::new("b"));
    let first = a.any(&address).await;
    lead(&first).await;
    let second = b.any(&address).await;
    first.resign().await;
    lead(&second).await;

    drop(second);
    let refused = first.lead(Bid::IfVacant).await;
    assert!(matches!(refused, Err(LeadError::Held(_))), "{refused:?}");
    let again = b.any(&address).await;
    lead(&again).await;
    drop(again);
    let waited = async {
        while first.lead(Bid::IfVacant).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.expect("a lease ends");
}

#[tokio::test]
async fn a_lease_that_ended_is_renewed_while_nobody_else_leads() {
    let etcd = EtcdServer::start(&[]);
    let host = Host::new("a");
    let address = tree_in(&etcd);
    let store = host.any(&address).await;
    let lead = lead(&store).await;
    let mut operator = Operator::of(&etcd).await;
    let servers = format!("/stayer/{}/servers/", address.name);
    let first = operator.lease_of(&servers).await.expect("it is there");
    operator.0.lease_revoke(first).await.expect("it answers");
    append(&store, &lead, 1).await;
    let renewed = async {
        while operator.lease_of(&servers).await.is_none_or(|lease| lease == first) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, renewed).await.expect("it is renewed");
    append(&store, &lead, 2).await;
    until(&mut store.lease(), |lease| *lease == Lease::Kept).await;
}

#[tokio::test]
async fn a_follower_that_compaction_overtook_lists_anew() {
    let etcd = EtcdServer::start(&[]);
    let host = Host::new("a");
    let store = host.any(&tree_in(&etcd)).await;
    let lead = lead(&store).await;
    for no in 1..=5 {
        append(&store, &lead, no).await;
    }
    Operator::of(&etcd).await.compact().await;
    let options = WatchOptions::new().with_prefix().with_start_revision(1);
    let all = store.tree.keys.all();
    let watch = |client: etcd_client::Client| async move {
        client.watch_client().watch(all, Some(options)).await
    };
    let stream = store.tree.members.call(Duration::from_secs(10), watch).await.expect("a watch");
    let mut seen =
        Box::pin(super::watch::resume(store.tree.clone(), cluster(), Position(2), stream));
    for no in 3..=5 {
        assert_eq!(next(&mut seen).await, Seen::Record(record(&lead, no).remove(0)));
    }
    assert_eq!(next(&mut seen).await, Seen::Leader(lead.epoch));
    append(&store, &lead, 6).await;
    assert_eq!(next(&mut seen).await, Seen::Record(record(&lead, 6).remove(0)));
}

#[tokio::test]
async fn a_log_with_a_hole_or_without_its_beginning_is_no_log() {
    let etcd = EtcdServer::start(&[]);
    let host = Host::new("a");
    let address = tree_in(&etcd);
    let store = host.any(&address).await;
    let lead = lead(&store).await;
    for no in 1..=5 {
        append(&store, &lead, no).await;
    }
    let key = |no: u64| format!("/stayer/{}/log/{no:016x}", address.name);
    let mut operator = Operator::of(&etcd).await;
    operator.delete(&key(3)).await;
    let hole = store.load().await;
    assert!(matches!(hole, Err(StoreError::Missing(Position(3)))), "{hole:?}");
    operator.delete(&key(1)).await;
    let beginning = store.load().await;
    assert!(matches!(beginning, Err(StoreError::Missing(Position(1)))), "{beginning:?}");
    operator.delete(&format!("/stayer/{}/head", address.name)).await;
    let headless = store.load().await;
    assert!(matches!(headless, Err(StoreError::Identity(_))), "{headless:?}");
    drop(store);
    let new = host.open(&address, Expect::AnyOrNew(cluster())).await;
    assert!(matches!(new, Err(OpenError::Store(StoreError::Identity(_)))), "{new:?}");
}

#[tokio::test]
async fn a_foreign_a_newer_and_a_missing_log_are_refused() {
    let etcd = EtcdServer::start(&[]);
    let host = Host::new("a");
    let address = tree_in(&etcd);
    let missing = host.open(&address, Expect::Of(cluster())).await.expect_err("there is none");
    assert_eq!(missing.to_string(), format!("there is no log at {address}"));

    let other = ClusterId(uuid::Uuid::from_u128(9));
    let store = host.open(&address, Expect::AnyOrNew(other)).await.expect("a new one");
    let foreign = Host::new("b").open(&address, Expect::Of(cluster())).await;
    assert!(
        matches!(foreign, Err(OpenError::Foreign { found, .. }) if found == other),
        "{foreign:?}"
    );

    // It is replaced while somebody has it open.
    let key = format!("/stayer/{}/head", address.name);
    let head =
        |schema: u16, of: ClusterId| format!(r#"{{"start":1,"schema":{schema},"cluster":"{of}"}}"#);
    let mut operator = Operator::of(&etcd).await;
    operator.put(&key, &head(1, cluster())).await;
    let refused = store.lead(Bid::IfVacant).await;
    assert!(matches!(refused, Err(LeadError::Store(StoreError::Identity(_)))), "{refused:?}");
    operator.put(&key, &head(999, other)).await;
    let refused = store.lead(Bid::IfVacant).await;
    assert!(matches!(refused, Err(LeadError::Store(StoreError::Identity(_)))), "{refused:?}");
    let newer = Host::new("b").open(&address, Expect::Any).await;
    assert!(matches!(newer, Err(OpenError::Newer(999))), "{newer:?}");
}

#[tokio::test]
async fn a_log_of_later_epochs_than_etcd_gives_is_refused() {
    let etcd = EtcdServer::start(&[]);
    let host = Host::new("a");
    let address = tree_in(&etcd);
    let store = host.any(&address).await;
    let lead = lead(&store).await;
    let later = Lead { epoch: crate::model::id::Epoch(1_000_000), ..lead };
    let bytes = record(&later, 1).remove(0).bytes.to_vec();
    let key = store.tree.keys.record(Position(1));
    let put =
        |client: etcd_client::Client| async move { client.kv_client().put(key, bytes, None).await };
    store.tree.members.call(Duration::from_secs(10), put).await.expect("room");
    let refused = store.lead(Bid::Depose(lead.epoch)).await;
    assert!(matches!(refused, Err(LeadError::Store(StoreError::Identity(_)))), "{refused:?}");
}

#[tokio::test]
async fn what_lies_below_the_head_goes_and_so_does_its_history() {
    let etcd = EtcdServer::start(&[]);
    let host = Host::new("a");
    let address = tree_in(&etcd);
    let store = host.any(&address).await;
    let lead = lead(&store).await;
    let many: Vec<Record> = (1..=2_500).flat_map(|no| record(&lead, no)).collect();
    store.append(&lead, &many).await.expect("room");
    assert_eq!(length(&store).await, 2_500, "read in pages");
    store.move_head(&lead, Position(2_400)).await.expect("a record is there");
    let log = format!("/stayer/{}/log/", address.name);
    let mut operator = Operator::of(&etcd).await;
    let trimmed = async {
        while operator.keys(&log).await.len() > 101 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, trimmed).await.expect("old records go");
    assert_eq!(length(&store).await, 101);
    let size: u64 = many[2_399..].iter().map(|record| record.bytes.len() as u64).sum();
    assert_eq!(store.usage().await.expect("figures").log, size);
    let old = i64::try_from(lead.epoch.0 + 3).expect("a small number");
    let old = etcd_client::GetOptions::new().with_revision(old);
    let history = store.tree.members.get(store.tree.keys.head(), Some(old)).await;
    assert!(history.is_err_and(|gone| gone.to_string().contains("compacted")), "it went too");
}

#[tokio::test]
async fn a_member_that_is_gone_costs_one_call() {
    let gone = EtcdServer::start(&[]);
    let dead = gone.endpoint();
    drop(gone);
    let mut address = new_tree();
    address.endpoints.insert(0, dead);
    let host = Host::new("a");
    let store = host.any(&address).await;
    let lead = lead(&store).await;
    append(&store, &lead, 1).await;
    address.endpoints.truncate(1);
    drop(store);
    let nobody = host.open(&address, Expect::AnyOrNew(cluster())).await;
    assert!(matches!(nobody, Err(OpenError::Store(StoreError::Failed(_)))), "{nobody:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_each_is_known_to_the_other() {
    let server = EtcdServer::secure();
    let address = EtcdAddress { secure: true, ..tree_in(&server) };
    let file = |name| std::fs::read(server.path(name)).expect("a file");
    let own = Some((file("client.pem"), file("client.key")));
    let known = Access { authority: Some(file("ca.pem")), own, user: None };
    let host = Host::new("a");
    let identity = Identity::hold(host.dir.path()).expect("nobody has it");
    let expect = Expect::AnyOrNew(cluster());
    let store = Etcd::open(&address, &known, identity, expect).await.expect("a log");
    let lead = store.lead(Bid::IfVacant).await.expect("nobody leads");
    let records = encode(&commit(1, 1), lead.epoch, Position(1)).expect("small rows");
    store.append(&lead, &records).await.expect("room");
    let (log, epoch) = Etcd::look(&address, &known).await.expect("a log");
    assert_eq!((log.records, epoch), (records, lead.epoch));
    // Neither a server without a certificate nor an etcd that nobody vouches for, nor talk in the clear.
    let unknown = Access { own: None, ..known.clone() };
    let untrusting = Access { authority: None, ..known.clone() };
    let clear = EtcdAddress { secure: false, ..address.clone() };
    for (address, access) in [(&address, &unknown), (&address, &untrusting), (&clear, &known)] {
        let refused = Etcd::look(address, access).await;
        assert!(matches!(refused, Err(OpenError::Store(StoreError::Failed(_)))), "{refused:?}");
    }
}
