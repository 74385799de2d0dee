//! Fetching from a real server on loopback, and unpacking archives that mean harm.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, LOCATION};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::StatusCode;
use tar::{Builder, EntryType, Header};
use tokio::sync::watch;

use super::*;

/// Answers by path.
type Pages = BTreeMap<String, Page>;

enum Page {
    Bytes(Vec<u8>),
    Redirect(String),
    /// Never ends.
    Endless,
}

struct Web {
    pages: Pages,
    asked: AtomicU32,
}

/// A server on loopback and a sandbox.
struct Rig {
    dir: tempfile::TempDir,
    port: u16,
    web: Arc<Web>,
    config: FetchConfig,
}

// === impl Rig ===

impl Rig {
    async fn new(pages: impl IntoIterator<Item = (&'static str, Page)>) -> Rig {
        let pages = pages.into_iter().map(|(path, page)| (path.to_owned(), page)).collect();
        let web = Arc::new(Web { pages, asked: AtomicU32::new(0) });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("bound");
        let port = listener.local_addr().expect("bound").port();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&web));
        tokio::spawn(async move { axum::serve(listener, app).await });
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("box")).expect("made");
        let mut config = FetchConfig::new(dir.path().join("cache"));
        config.allow = vec!["127.0.0.1".parse().expect("an address")];
        Rig { dir, port, web, config }
    }

    async fn with(archive: &'static str, bytes: Vec<u8>) -> Rig {
        Rig::new([(archive, Page::Bytes(bytes))]).await
    }

    fn artifact(&self, path: &str) -> Artifact {
        Artifact {
            uri: format!("http://127.0.0.1:{}{path}", self.port),
            extract: true,
            executable: false,
            cache: false,
            dest_path: None,
        }
    }

    fn sandbox(&self) -> PathBuf {
        self.dir.path().join("box")
    }

    fn fetcher(&self) -> Fetcher {
        Fetcher::open(self.config.clone()).expect("opened")
    }

    async fn fetch(&self, artifact: Artifact) -> Result<u64, String> {
        let (progress, bytes) = watch::channel(0);
        let done = self.fetcher().fetch(&[artifact], &self.sandbox(), &progress).await;
        done.map_err(|reason| reason.to_string()).map(|()| *bytes.borrow())
    }

    async fn refusal(&self, path: &str) -> String {
        self.fetch(self.artifact(path)).await.expect_err("refused")
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.sandbox().join(path)).ok()
    }

    fn mode(&self, path: &str) -> u32 {
        let data = std::fs::metadata(self.sandbox().join(path)).expect("there");
        data.permissions().mode() & 0o7777
    }

    fn asked(&self) -> u32 {
        self.web.asked.load(Ordering::Relaxed)
    }
}

async fn answer(State(web): State<Arc<Web>>, request: Request) -> Response {
    web.asked.fetch_add(1, Ordering::Relaxed);
    match web.pages.get(request.uri().path()) {
        Some(Page::Bytes(bytes)) => bytes.clone().into_response(),
        Some(Page::Redirect(to)) => (StatusCode::FOUND, [(LOCATION, to.clone())]).into_response(),
        Some(Page::Endless) => {
            let chunks = futures::stream::repeat_with(|| Ok::<_, io::Error>(vec![b'x'; 4_096]));
            axum::body::Body::from_stream(chunks).into_response()
        }
        None if request.uri().path() == "/who" => {
            let who = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes().to_vec());
            who.unwrap_or_default().into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

/// An archive of entries: kind, path, target of a link or content of a file. Paths are written as they are, which a
/// well-behaved archiver would refuse.
fn tar(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, path, rest) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o4755);
        header.as_gnu_mut().expect("a GNU header").name[..path.len()]
            .copy_from_slice(path.as_bytes());
        let content = if *kind == EntryType::Regular { rest.as_bytes() } else { b"" };
        if kind.is_symlink() || kind.is_hard_link() {
            header.as_gnu_mut().expect("a GNU header").linkname[..rest.len()]
                .copy_from_slice(rest.as_bytes());
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content).expect("in memory");
    }
    builder.into_inner().expect("in memory")
}

fn zip(entries: &[(&str, u32, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (path, mode, content) in entries {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(*mode);
        if *mode == 0 {
            writer.add_symlink(*path, *content, options).expect("in memory");
        } else {
            writer.start_file(*path, options).expect("in memory");
            writer.write_all(content.as_bytes()).expect("in memory");
        }
    }
    writer.finish().expect("in memory").into_inner()
}

#[tokio::test]
async fn files_come_under_their_name_or_their_destination() {
    // CT-7.
    let page = || Page::Bytes(b"data".to_vec());
    let rig = Rig::new([("/a/tool", page()), ("/b.zip", page()), ("/c.sh", page())]).await;
    assert_eq!(rig.fetch(rig.artifact("/a/tool?v=1")).await, Ok(4));
    assert_eq!(rig.read("tool").as_deref(), Some("data"));
    let kept = Artifact { extract: false, ..rig.artifact("/b.zip") };
    rig.fetch(Artifact { dest_path: Some("x/y.zip".into()), ..kept }).await.expect("fetched");
    assert_eq!(rig.read("x/y.zip").as_deref(), Some("data"));
    rig.fetch(Artifact { executable: true, ..rig.artifact("/c.sh") }).await.expect("fetched");
    assert_eq!((rig.mode("c.sh"), rig.mode("tool")), (0o755, 0o644));
    // Executable wins over unpacking.
    rig.fetch(Artifact { executable: true, ..rig.artifact("/b.zip") }).await.expect("fetched");
    assert_eq!(rig.read("b.zip").as_deref(), Some("data"));
    for path in ["/etc/stayer-test", "../out", "x/../../out"] {
        let out = Artifact { dest_path: Some(path.into()), ..rig.artifact("/a/tool") };
        let text = rig.fetch(out).await.expect_err("refused");
        assert!(text.contains("leads out of the sandbox"), "{text}");
    }
}

#[tokio::test]
async fn archives_are_unpacked_by_their_ending() {
    let files = [
        (EntryType::Directory, "bin", ""),
        (EntryType::Regular, "bin/run", "go"),
        (EntryType::Symlink, "now", "bin/run"),
        (EntryType::Link, "bin/again", "bin/run"),
    ];
    let rig = Rig::new([
        ("/a.tgz", Page::Bytes(gzip(&tar(&files)))),
        ("/b.tar", Page::Bytes(tar(&[(EntryType::Regular, "./b", "from tar")]))),
        ("/c.txt.gz", Page::Bytes(gzip(b"from gz"))),
        ("/d.zip", Page::Bytes(zip(&[("d/e", 0o644, "from zip"), ("l", 0, "d/e")]))),
    ])
    .await;
    for path in ["/a.tgz", "/b.tar", "/c.txt.gz", "/d.zip"] {
        rig.fetch(rig.artifact(path)).await.expect(path);
    }
    for path in ["now", "bin/run", "bin/again"] {
        assert_eq!(rig.read(path).as_deref(), Some("go"), "{path}");
    }
    assert_eq!(rig.mode("bin/run"), 0o755, "without the bit that runs as its owner");
    assert_eq!(rig.read("b").as_deref(), Some("from tar"));
    assert_eq!(rig.read("c.txt").as_deref(), Some("from gz"));
    assert_eq!(rig.read("l").as_deref(), Some("from zip"));
    for path in ["/x.tar.bz2", "/x.tbz2", "/x.tar.xz", "/x.txz"] {
        let text = rig.refusal(path).await;
        assert!(text.contains(".tar, .tar.gz, .tgz, .gz and .zip can"), "{text}");
    }
}

#[tokio::test]
async fn archives_that_mean_harm_write_nothing_outside() {
    // Reliability §5.7.
    let long = "x".repeat(2 << 20);
    let cases: [(&str, Vec<u8>); 11] = [
        ("leads out", tar(&[(EntryType::Regular, "../out", "evil")])),
        ("leads out", tar(&[(EntryType::Regular, "/tmp/stayer-out", "evil")])),
        ("leads out", tar(&[(EntryType::Directory, "a/../../out", "")])),
        ("leads out", tar(&[(EntryType::Symlink, "l", "/etc"), (EntryType::Regular, "l/x", "e")])),
        ("leads out", tar(&[(EntryType::Symlink, "a/l", "../..")])),
        ("leads out", tar(&[(EntryType::Link, "l", "../../out")])),
        // Not a directory: a link is not walked, although it stays inside.
        ("", tar(&[(EntryType::Symlink, "l", "."), (EntryType::Regular, "l/x", "evil")])),
        ("neither file", tar(&[(EntryType::Char, "null", "")])),
        ("neither file", tar(&[(EntryType::Fifo, "pipe", "")])),
        ("times its size", tar(&[(EntryType::Regular, "zeros", &"\0".repeat(3 << 20))])),
        ("a name in it is too long", {
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::GNULongName);
            header.set_size(long.len() as u64);
            header.set_cksum();
            let mut builder = Builder::new(Vec::new());
            builder.append(&header, long.as_bytes()).expect("in memory");
            builder.into_inner().expect("in memory")
        }),
    ];
    for (text, archive) in cases {
        let mut rig = Rig::with("/a.tgz", gzip(&archive)).await;
        if text.starts_with("a name") {
            rig.config.limits.ratio = u64::MAX;
        }
        let told = rig.refusal("/a.tgz").await;
        assert!(told.contains(text), "{told} instead of {text}");
        let left: Vec<_> = std::fs::read_dir(rig.dir.path()).expect("there").collect();
        assert_eq!(left.len(), 2, "the sandbox and the cache alone: {left:?}");
        assert_eq!(rig.read("x"), None);
    }
    assert!(!Path::new("/tmp/stayer-out").exists());
}

#[tokio::test]
async fn zips_that_mean_harm_write_nothing_outside() {
    for (text, archive) in [
        ("leads out", zip(&[("../out", 0o644, "evil")])),
        ("leads out", zip(&[("/tmp/stayer-out", 0o644, "evil")])),
        ("leads out", zip(&[("l", 0, "../.."), ("l/x", 0o644, "evil")])),
        ("times its size", zip(&[("zeros", 0o644, &"\0".repeat(3 << 20))])),
        ("", b"PK no archive at all".to_vec()),
    ] {
        let rig = Rig::with("/a.zip", archive).await;
        let told = rig.refusal("/a.zip").await;
        assert!(told.contains(text), "{told} instead of {text}");
        let left: Vec<_> = std::fs::read_dir(rig.dir.path()).expect("there").collect();
        assert_eq!(left.len(), 2, "the sandbox and the cache alone: {left:?}");
    }
    assert!(!Path::new("/tmp/stayer-out").exists());
}

#[tokio::test]
async fn what_is_too_much_is_cut_off() {
    let entries: Vec<_> = (0..9).map(|_| (EntryType::Regular, "f", "")).collect();
    let mut rig = Rig::new([
        ("/endless", Page::Endless),
        ("/large", Page::Bytes(vec![0; 5_000])),
        ("/many.tar", Page::Bytes(tar(&entries))),
    ])
    .await;
    rig.config.limits.entries = 8;
    let text = rig.refusal("/many.tar").await;
    assert!(text.contains("more than 8 files and directories"), "{text}");
    rig.config.limits.bytes = 4_999;
    for path in ["/large", "/endless"] {
        let text = rig.refusal(path).await;
        assert!(text.contains("more than 4999 bytes"), "{text}");
    }
    rig.config.limits.bytes = u64::MAX - 1;
    rig.config.limits.time = Duration::from_millis(100);
    let text = rig.refusal("/endless").await;
    assert!(text.contains("not done after"), "{text}");
}

#[tokio::test]
async fn the_hosts_own_addresses_are_closed_at_first_and_after_each_redirect() {
    // Reliability §5.7.
    let mut rig = Rig::new([
        ("/data", Page::Bytes(b"data".to_vec())),
        ("/one", Page::Redirect("/two".into())),
        ("/two", Page::Redirect("three".into())),
        ("/three", Page::Redirect("/data".into())),
        ("/loop", Page::Redirect("/loop".into())),
        ("/cloud", Page::Redirect("http://169.254.169.254/latest".into())),
        ("/file", Page::Redirect("file:///etc/passwd".into())),
    ])
    .await;
    rig.fetch(rig.artifact("/one")).await.expect("three redirects are followed");
    assert_eq!(rig.read("one").as_deref(), Some("data"));
    for (path, text) in [
        ("/loop", "more than 3 redirects"),
        ("/cloud", "169.254.169.254 is at 169.254.169.254, which belongs to the agent's own host"),
        ("/file", "not file"),
        ("/absent", "404"),
    ] {
        let told = rig.refusal(path).await;
        assert!(told.contains(text), "{told}");
    }
    let before = rig.asked();
    rig.config.allow.clear();
    let named = |host: &str| Artifact {
        uri: format!("http://{host}:{}/data", rig.port),
        ..rig.artifact("")
    };
    for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0"]
    {
        let told = rig.fetch(named(host)).await.expect_err(host);
        assert!(told.contains("--allow-fetch"), "{told}");
    }
    assert_eq!(rig.asked(), before, "nothing was asked for");
}

#[tokio::test]
async fn credentials_are_used_and_never_told() {
    let rig = Rig::new([]).await;
    let with = |path: &str| Artifact {
        uri: format!("http://me:s3cret@127.0.0.1:{}{path}", rig.port),
        ..rig.artifact("")
    };
    rig.fetch(with("/who")).await.expect("fetched");
    assert_eq!(rig.read("who").as_deref(), Some("Basic bWU6czNjcmV0"));
    for path in ["/absent", "/"] {
        let told = rig.fetch(with(path)).await.expect_err("refused");
        assert!(told.contains("http://***@127.0.0.1") && !told.contains("s3cret"), "{told}");
    }
    let closed = format!("http://me:s3cret@127.0.0.1:1/{}", rig.port);
    let told = rig.fetch(Artifact { uri: closed, ..with("") }).await.expect_err("nobody listens");
    assert!(told.contains("efused") && !told.contains("s3cret"), "{told}");
}

#[tokio::test]
async fn the_cache_asks_once_and_stays_small() {
    let rig = Rig::new([
        ("/a", Page::Bytes(vec![b'a'; 60])),
        ("/b", Page::Bytes(vec![b'b'; 60])),
        ("/c.tgz", Page::Bytes(gzip(&tar(&[(EntryType::Regular, "c", "c")])))),
    ])
    .await;
    let fetcher = Fetcher::open(FetchConfig { cache_bytes: 100, ..rig.config.clone() });
    let fetcher = fetcher.expect("opened");
    let get_as = async |path: &str, name: Option<&str>| {
        let (progress, _) = watch::channel(0);
        let dest_path = name.map(str::to_owned);
        let artifact = Artifact { cache: true, dest_path, ..rig.artifact(path) };
        fetcher.fetch(&[artifact], &rig.sandbox(), &progress).await
    };
    let get = async |path: &str| get_as(path, None).await;
    let files = || std::fs::read_dir(&rig.config.cache).expect("there").count();
    let (first, second) = tokio::join!(get("/a"), get_as("/a", Some("other")));
    assert_eq!((first, second), (Ok(()), Ok(())));
    assert_eq!((rig.asked(), files()), (1, 1));
    assert_eq!(rig.read("a"), Some("a".repeat(60)));
    assert_eq!(rig.read("other"), Some("a".repeat(60)));
    get("/b").await.expect("fetched");
    assert_eq!((rig.asked(), files()), (2, 1), "the older one had to go");
    get("/b").await.expect("fetched");
    assert_eq!(rig.asked(), 2);
    get("/a").await.expect("fetched");
    assert_eq!(rig.asked(), 3);
    get("/absent").await.expect_err("a failure is not kept");
    assert_eq!(files(), 1);
    get("/c.tgz").await.expect("fetched");
    assert_eq!(rig.read("c").as_deref(), Some("c"));
    assert_eq!(rig.read("c.tgz"), None, "what is cached lies in the cache alone");
}

#[tokio::test]
async fn files_of_the_host_are_fetched_only_if_allowed() {
    let mut rig = Rig::new([]).await;
    std::fs::write(rig.dir.path().join("local"), "here").expect("written");
    let path = rig.dir.path().join("local").display().to_string();
    for uri in [path.clone(), format!("file://{path}")] {
        let artifact = Artifact { uri, ..rig.artifact("") };
        rig.config.allow_file = false;
        let told = rig.fetch(artifact.clone()).await.expect_err("refused");
        assert!(told.contains("does not fetch files"), "{told}");
        rig.config.allow_file = true;
        assert_eq!(rig.fetch(artifact).await, Ok(4));
        assert_eq!(rig.read("local").as_deref(), Some("here"));
    }
}
