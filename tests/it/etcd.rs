//! A server whose log is in etcd, and what becomes of it when etcd is away, frozen, somebody else's or wrong.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use etcd_client::{Client, DeleteOptions, GetOptions, Permission, PermissionType};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::etcd_rig::EtcdServer;
use crate::rig::{Ended, PATIENCE, Slice, Stayer, command, ids, run, sleeper};

fn store(etcd: &EtcdServer) -> String {
    format!("etcd://{}/it", etcd.endpoint())
}

async fn on(etcd: &EtcdServer) -> Stayer {
    Stayer::bare_with(&["--store", &store(etcd)]).await
}

/// One that is not expected to start.
fn start(etcd: &EtcdServer, dir: &Path) -> Ended {
    let listen = ["dev", "--no-engine", "--listen", "127.0.0.1:0", "--store", &store(etcd)];
    run(command().args(listen).arg("--data-dir").arg(dir))
}

async fn client(etcd: &EtcdServer) -> Client {
    Client::connect([etcd.endpoint()], None).await.expect("a client")
}

/// Waits until reads are marked as what was known last, or are not any more.
async fn until_warned(stayer: &Stayer, wanted: bool) {
    stayer
        .until("reads are marked as they should be", |stayer| async move {
            stayer.get("/v2/apps").await.expect(200).headers.contains_key("Warning") == wanted
        })
        .await;
}

/// Waits until an app is taken, and that it is taken once.
async fn until_taken(stayer: &Stayer, app: &Value) {
    stayer
        .until("writes are taken again", |stayer| async move {
            let status = stayer.post("/v2/apps", app).await.status;
            // Taken now, or taken when the answer was given up before.
            status == 201 || status == 409
        })
        .await;
}

#[tokio::test]
async fn tasks_go_on_and_reads_are_answered_while_etcd_is_away() {
    let mut etcd = EtcdServer::start(&[]);
    let stayer = on(&etcd).await;
    stayer.launch(&sleeper("/stays", json!({"instances": 2}))).await;
    let tasks = stayer.running("/stays", 2).await;
    let fresh = stayer.get("/v2/apps").await.expect(200);
    assert!(!fresh.headers.contains_key("Warning"), "{fresh:?}");

    etcd.kill();
    // Nobody writes, and it is known all the same.
    until_warned(&stayer, true).await;
    let old = stayer.get("/v2/apps//stays").await.expect(200);
    assert!(old.header("Warning").starts_with("111 - \"Revalidation Failed: "), "{old:?}");
    assert_eq!(old.json()["app"]["tasksRunning"], 2);
    let refused = stayer.post("/v2/apps", &sleeper("/not-now", json!({}))).await.expect(503);
    assert!(refused.header("Retry-After").parse::<u32>().is_ok_and(|seconds| seconds > 0));
    assert!(refused.text.contains("tasks go on"), "{}", refused.text);
    stayer.get("/ping").await.expect(200);

    // One ends meanwhile; the agent keeps what it has to say.
    let ended = stayer.process(&tasks[0], "sleep").await;
    ended.signal("KILL");
    let alive = stayer.process(&tasks[1], "sleep").await;

    etcd.begin();
    until_warned(&stayer, false).await;
    until_taken(&stayer, &sleeper("/now", json!({}))).await;
    stayer.running("/now", 1).await;
    stayer
        .until("the one that ended is replaced", |stayer| {
            let before = ids(&tasks);
            async move {
                let now = ids(&stayer.tasks("/stays", "TASK_RUNNING").await);
                now.len() == 2 && now != before
            }
        })
        .await;
    let still = stayer.process(&tasks[1], "sleep").await;
    assert_eq!(still.pid, alive.pid, "the other one was left alone");
    stayer.finish().await;
}

#[tokio::test]
async fn an_etcd_that_hangs_refuses_writes_and_nothing_else() {
    let etcd = EtcdServer::start(&[]);
    let stayer = on(&etcd).await;
    stayer.launch(&sleeper("/stays", json!({}))).await;
    let tasks = stayer.running("/stays", 1).await;
    etcd.freeze();
    // The first one is asked for before it is known; its outcome is open then, and the asker is told so.
    let open = stayer.post("/v2/apps", &sleeper("/open", json!({}))).await.expect(503);
    assert!(open.text.contains("look before you ask again"), "{}", open.text);
    until_warned(&stayer, true).await;
    assert_eq!(stayer.tasks("/stays", "TASK_RUNNING").await, tasks);
    etcd.thaw();
    until_taken(&stayer, &sleeper("/open", json!({}))).await;
    stayer.running("/open", 1).await;
    until_warned(&stayer, false).await;
    assert_eq!(ids(&stayer.running("/stays", 1).await), ids(&tasks));
    stayer.finish().await;
}

#[tokio::test]
async fn a_server_that_is_killed_takes_its_own_place_at_once() {
    let etcd = EtcdServer::start(&[]);
    let mut stayer = on(&etcd).await;
    stayer.launch(&sleeper("/stays", json!({"instances": 2}))).await;
    let tasks = ids(&stayer.running("/stays", 2).await);
    for _ in 0..2 {
        stayer.kill();
        stayer.restart().await;
        assert_eq!(ids(&stayer.running("/stays", 2).await), tasks);
    }
    assert!(stayer.signal("TERM").await.success());
    let mut etcd = client(&etcd).await;
    let there = etcd.get("/stayer/it/servers/", Some(GetOptions::new().with_prefix())).await;
    assert!(there.expect("it answers").kvs().is_empty(), "others need not wait for its lease");
    stayer.restart().await;
    assert_eq!(ids(&stayer.running("/stays", 2).await), tasks);
    stayer.finish().await;
}

#[tokio::test]
async fn a_second_server_on_the_same_store_refuses_and_says_who_leads() {
    let etcd = EtcdServer::start(&[]);
    let first = on(&etcd).await;
    let dir = tempfile::tempdir().expect("a directory");
    let second = start(&etcd, dir.path());
    assert_ne!(second.code, 0);
    assert!(second.err.contains(&format!("the server at {} (epoch ", first.url)), "{}", second.err);
    first.get("/v2/info").await.expect(200);
    first.launch(&sleeper("/goes-on", json!({}))).await;
    first.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_on_another_host_goes_on_where_a_dead_one_ended() {
    let etcd = EtcdServer::start(&[]);
    let store = store(&etcd);
    let mut cluster = Cluster::with(&["--store", &store]).await;
    let other_door = format!("127.0.0.1:{}", cluster.ports.port(Slice::SIZE - 2));
    let both = format!("{},{other_door}", cluster.agents());
    cluster.agent("a1").server(&both).start().await;
    // It is waited for, however late its agent finds the other server.
    cluster.launch(&sleeper("/stays", json!({"unreachableStrategy": "disabled"}))).await;
    let tasks = cluster.running("/stays", 1).await;
    let process = cluster.process(&tasks[0], "sleep").await;

    cluster.kill();
    let mut operator = client(&etcd).await;
    // Nobody can tell a dead server from a slow one before its lease has ended.
    let mut servers = async || {
        let all = Some(GetOptions::new().with_prefix());
        operator.get("/stayer/it/servers/", all).await.expect("it answers").kvs().len()
    };
    let freed = async {
        while servers().await > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(*PATIENCE, freed).await.expect("a lease ends");
    let dir = tempfile::tempdir().expect("a directory");
    let args = ["--store", &store, "--agents-listen", &other_door];
    let other = Stayer::server(dir, &args).await;
    assert_eq!(ids(&other.running("/stays", 1).await), ids(&tasks));
    other.launch(&sleeper("/new", json!({}))).await;
    other.running("/new", 1).await;
    assert_eq!(other.process(&tasks[0], "sleep").await.pid, process.pid);

    let first = run(command()
        .args(["server", "--listen", "127.0.0.1:0", "--agents-listen", "127.0.0.1:0"])
        .args(["--store", &store, "--data-dir"])
        .arg(cluster.dir()));
    assert!(first.err.contains(&format!("the server at {} (epoch ", other.url)), "{}", first.err);
    other.clear().await;
}

#[tokio::test]
async fn a_deposed_server_answers_reads_and_says_who_leads() {
    let etcd = EtcdServer::start(&[]);
    let stayer = on(&etcd).await;
    stayer.launch(&sleeper("/stays", json!({}))).await;
    let task = stayer.running("/stays", 1).await.remove(0);
    let process = stayer.process(&task, "sleep").await;
    let other = json!({"id": "6f2a4c1e-0000-4000-8000-000000000001", "url": "http://other:8080"});
    let mut operator = client(&etcd).await;
    operator.put("/stayer/it/leader", other.to_string(), None).await.expect("room");

    stayer
        .until("it knows", |stayer| async move {
            stayer.get("/v2/leader").await.json()["leader"] == "other:8080"
        })
        .await;
    let old = stayer.get("/v2/apps//stays").await.expect(200);
    assert!(old.header("Warning").starts_with("110 - \"Response is Stale: "), "{old:?}");
    assert_eq!(old.json()["app"]["tasksRunning"], 1);
    let info = stayer.get("/v2/info").await.expect(200).json();
    assert_eq!((&info["elected"], &info["leader"]), (&json!(false), &json!("other:8080")));
    let refused = stayer.post("/v2/apps", &sleeper("/not-here", json!({}))).await.expect(503);
    assert!(refused.text.contains("the server at http://other:8080"), "{}", refused.text);
    assert!(!refused.header("Retry-After").is_empty());
    assert!(process.runs(), "the task goes on");
}

#[tokio::test]
async fn a_store_that_is_missing_or_damaged_is_no_new_one() {
    let etcd = EtcdServer::start(&[]);
    let mut stayer = on(&etcd).await;
    stayer.launch(&sleeper("/stays", json!({}))).await;
    let task = stayer.running("/stays", 1).await.remove(0);
    let process = stayer.process(&task, "sleep").await;
    stayer.kill();
    let mut operator = client(&etcd).await;
    let first = "/stayer/it/log/0000000000000001";
    let record = operator.get(first, None).await.expect("it answers").kvs()[0].value().to_vec();
    operator.delete(first, None).await.expect("it answers");
    let damaged = start(&etcd, stayer.dir());
    assert!(damaged.err.contains("the record at 1 is missing"), "{}", damaged.err);
    operator.put(first, record, None).await.expect("room");

    let all = GetOptions::new().with_prefix();
    let kept = operator.get("/stayer/it/", Some(all)).await.expect("it answers");
    let all = DeleteOptions::new().with_prefix();
    operator.delete("/stayer/it/", Some(all)).await.expect("it answers");
    let missing = start(&etcd, stayer.dir());
    assert!(missing.err.contains("its tasks are left alone"), "{}", missing.err);
    for kv in kept.kvs() {
        operator.put(kv.key(), kv.value(), None).await.expect("room");
    }
    stayer.restart().await;
    assert_eq!(ids(&stayer.running("/stays", 1).await), ids(&[task]));
    stayer.kill();

    assert!(process.runs(), "the task goes on");
    stayer.restart().await;
    stayer.finish().await;
}

/// A server that says nothing before its store answers.
struct Waiting(Child);

impl Waiting {
    fn begin(etcd: &EtcdServer, dir: &Path, address: &str) -> Waiting {
        let log = File::create(dir.join("waits")).expect("a file");
        let mut waits = command();
        waits.args(["dev", "--no-engine", "--listen", address, "--store", &store(etcd)]);
        waits.arg("--data-dir").arg(dir).stdout(Stdio::null()).stderr(log);
        Waiting(waits.spawn().expect("it starts"))
    }

    async fn end(&mut self) {
        crate::proc::signal(self.0.id(), "TERM");
        let ended = async {
            loop {
                match self.0.try_wait().expect("it is ours") {
                    Some(status) => return status,
                    None => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        let status =
            tokio::time::timeout(*PATIENCE, ended).await.expect("it ends when it is told to");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// What a server at an address answers; nothing while nobody does.
async fn asked(address: &str) -> Option<(u16, String, bool)> {
    let answer = reqwest::get(format!("http://{address}/v2/apps")).await.ok()?;
    let status = answer.status().as_u16();
    let retry = answer.headers().contains_key("retry-after");
    Some((status, answer.text().await.ok()?, retry))
}

async fn until_asked(address: &str, status: u16) -> (String, bool) {
    let look = async {
        loop {
            match asked(address).await {
                Some((found, text, retry)) if found == status => return (text, retry),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(*PATIENCE, look).await.expect("it answers so")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_before_its_etcd_waits_and_says_so() {
    let mut etcd = EtcdServer::start(&[]);
    let stayer = on(&etcd).await;
    stayer.launch(&sleeper("/stays", json!({}))).await;
    let tasks = ids(&stayer.running("/stays", 1).await);
    let process = stayer.process(&stayer.tasks("/stays", "TASK_RUNNING").await[0], "sleep").await;
    let mut stayer = stayer;
    stayer.kill();
    etcd.kill();
    let address = format!("127.0.0.1:{}", stayer.ports.port(Slice::SIZE - 3));
    let mut waits = Waiting::begin(&etcd, stayer.dir(), &address);
    let (text, retry) = until_asked(&address, 503).await;
    assert!(
        retry && text.contains("this server waits for its store: the store at etcd://"),
        "{text}"
    );
    let said = std::fs::read_to_string(stayer.dir().join("waits")).expect("a log");
    assert!(said.contains("waiting for it, clients at"), "{said}");
    assert!(process.runs(), "the task goes on");

    etcd.begin();
    let (text, _) = until_asked(&address, 200).await;
    assert!(text.contains("/stays"), "{text}");
    waits.end().await;

    // Told to end while it waits, it ends.
    etcd.kill();
    let mut again = Waiting::begin(&etcd, stayer.dir(), &address);
    until_asked(&address, 503).await;
    again.end().await;
    etcd.begin();
    stayer.restart().await;
    assert_eq!(ids(&stayer.running("/stays", 1).await), tasks);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_over_tls_is_known_by_its_certificate_and_knows_its_server() {
    let mut etcd = EtcdServer::secure();
    let store = format!("etcds://{}/it", etcd.endpoint());
    let (ca, cert, key) = (etcd.path("ca.pem"), etcd.path("client.pem"), etcd.path("client.key"));
    let access = ["--store-ca", &ca, "--store-cert", &cert, "--store-key", &key];
    let mut stayer = Stayer::bare_with(&[&["--store", &store], &access[..]].concat()).await;
    stayer.launch(&sleeper("/stays", json!({}))).await;
    let tasks = ids(&stayer.running("/stays", 1).await);
    // A connection that broke is made anew, and the log is there for the next run.
    etcd.kill();
    until_warned(&stayer, true).await;
    etcd.begin();
    until_warned(&stayer, false).await;
    stayer.kill();
    stayer.restart().await;
    assert_eq!(ids(&stayer.running("/stays", 1).await), tasks);
    let checked = run(command().args(["store", "check", &store]).args(access));
    assert!(checked.code == 0 && checked.out.contains("clean"), "{checked:?}");
    let unknown = run(command().args(["store", "check", &store, "--store-ca", &ca]));
    assert_ne!(unknown.code, 0, "without a certificate it is let nowhere: {unknown:?}");
    let nobody = run(command().args(["store", "check", &store]));
    assert!(nobody.err.contains("--store-ca"), "{nobody:?}");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_with_users_lets_in_who_knows_the_password_and_no_further_than_his_tree() {
    let etcd = EtcdServer::start(&[]);
    let mut operator = client(&etcd).await;
    operator.user_add("root", "topsecret", None).await.expect("taken");
    operator.user_grant_role("root", "root").await.expect("taken");
    operator.role_add("stayer").await.expect("taken");
    let own = Permission::new(PermissionType::Readwrite, "/stayer/it/").with_prefix();
    operator.role_grant_permission("stayer", own).await.expect("taken");
    operator.user_add("stayer", "open-sesame", None).await.expect("taken");
    operator.user_grant_role("stayer", "stayer").await.expect("taken");
    operator.auth_enable().await.expect("taken");
    let (right, wrong) = (etcd.path("right"), etcd.path("wrong"));
    std::fs::write(&right, "open-sesame\n").expect("written");
    std::fs::write(&wrong, "guess\n").expect("written");
    let store = store(&etcd);
    let access = ["--store-user", "stayer", "--store-password-file", &right];
    let mut stayer = Stayer::bare_with(&[&["--store", &store], &access[..]].concat()).await;
    stayer.launch(&sleeper("/stays", json!({}))).await;
    let tasks = ids(&stayer.running("/stays", 1).await);
    stayer.kill();
    stayer.restart().await;
    assert_eq!(ids(&stayer.running("/stays", 1).await), tasks);
    let of = |name: &str, args: &[&str]| {
        let store = format!("etcd://{}/{name}", etcd.endpoint());
        run(command().args(["store", "check", &store]).args(args))
    };
    let refused = [
        of("it", &["--store-user", "stayer", "--store-password-file", &wrong]),
        of("it", &[]),
        of("other", &access),
    ];
    for refused in refused {
        assert_ne!(refused.code, 0, "{refused:?}");
        assert!(refused.err.contains("does not let this server in"), "{refused:?}");
    }
    // A server that is not let in has nothing to wait for.
    let dir = tempfile::tempdir().expect("a directory");
    let stranger = start(&etcd, dir.path());
    assert!(stranger.err.contains("does not let this server in"), "{stranger:?}");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_etcd_is_printed_checked_and_backed_up_beside_its_server() {
    let etcd = EtcdServer::start(&[]);
    let stayer = on(&etcd).await;
    stayer.launch(&sleeper("/stays", json!({}))).await;
    stayer.running("/stays", 1).await;
    let store = store(&etcd);
    let dumped = run(command().args(["store", "dump", &store]));
    assert!(dumped.code == 0 && dumped.out.contains(r#""path":"/stays""#), "{dumped:?}");
    let checked = run(command().args(["store", "check", &store]));
    assert!(checked.code == 0 && checked.out.trim_end().ends_with("clean"), "{checked:?}");
    let file = stayer.dir().join("backup");
    let saved =
        run(command().args(["store", "backup"]).arg(&file).arg("--data-dir").arg(stayer.dir()));
    assert_eq!(saved.code, 0, "{saved:?}");
    let dir = tempfile::tempdir().expect("a directory");
    let restored = run(command().args(["store", "restore"]).arg(&file).arg(dir.path()));
    assert!(restored.code == 0 && restored.out.contains("cluster"), "{restored:?}");
    let missing =
        run(command().args(["store", "check", &format!("etcd://{}/none", etcd.endpoint())]));
    assert!(missing.err.contains("there is no log at"), "{missing:?}");
    // A hole is found.
    let mut operator = client(&etcd).await;
    operator.delete("/stayer/it/log/0000000000000001", None).await.expect("it answers");
    let holed = run(command().args(["store", "check", &store]));
    assert!(holed.code != 0 && holed.err.contains("the record at 1 is missing"), "{holed:?}");
    stayer.clear().await;
}
