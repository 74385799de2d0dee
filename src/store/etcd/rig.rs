//! A real etcd for tests: started in a directory of its own, killed, frozen, started again. It never outlives the test.
//!
//! The black-box tests include this file too, so it names nothing of the rest.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

/// Starts etcd in the background, says its number, and kills it when whoever started this is gone.
const HOLD: &str = r#"etcd "$@" >>"$0" 2>&1 & echo $!; cat >/dev/null; kill -KILL $!"#;

/// How often it is asked whether it answers, and for how long: only a test that fails waits for so long.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: usize = 6_000;

/// Makes an authority, and with it a certificate for the member and one for a client.
const CERTIFY: &str = r#"set -e; cd "$0"
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority 2>/dev/null
for name in member client; do
    openssl req -newkey rsa:2048 -nodes -keyout $name.key -out $name.csr -subj /CN=$name 2>/dev/null
    printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\n' >$name.ext
    openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $name.ext -out $name.pem 2>/dev/null
done"#;

/// An etcd of one member.
#[derive(Debug)]
pub struct EtcdServer {
    secure: bool,
    dir: TempDir,
    client: SocketAddr,
    /// Where it says in the clear whether it is well.
    health: SocketAddr,
    peer: SocketAddr,
    args: Vec<String>,
    running: Option<(Child, String)>,
    /// What keeps its ports its own while it is away.
    _claims: Vec<TcpListener>,
}

// === impl EtcdServer ===

impl EtcdServer {
    /// One with more arguments, that answers.
    pub fn start(args: &[&str]) -> EtcdServer {
        let ((client, first), (peer, second)) = (claim(), claim());
        let mut server = EtcdServer {
            secure: false,
            dir: tempfile::tempdir().expect("a directory"),
            client,
            health: client,
            peer,
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            running: None,
            _claims: vec![first, second],
        };
        server.begin();
        server
    }

    /// One that speaks TLS alone, and only to clients that its authority vouches for; its files are `ca.pem`, `client.pem`
    /// and `client.key` below [`EtcdServer::path`].
    pub fn secure() -> EtcdServer {
        let ((client, first), (health, second), (peer, third)) = (claim(), claim(), claim());
        let mut server = EtcdServer {
            secure: true,
            dir: tempfile::tempdir().expect("a directory"),
            client,
            health,
            peer,
            args: Vec::new(),
            running: None,
            _claims: vec![first, second, third],
        };
        let made = Command::new("sh").args(["-c", CERTIFY]).arg(server.dir.path()).status();
        assert!(made.expect("a shell").success(), "openssl makes certificates");
        server.args = vec!["--client-cert-auth".to_owned()];
        for (flag, file) in [
            ("--cert-file", "member.pem"),
            ("--key-file", "member.key"),
            ("--trusted-ca-file", "ca.pem"),
        ] {
            server.args.extend([flag.to_owned(), server.path(file)]);
        }
        server
            .args
            .extend(["--listen-metrics-urls".to_owned(), format!("http://{}", server.health)]);
        server.begin();
        server
    }

    /// The path of one of its files.
    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Its address, as clients say it.
    pub fn endpoint(&self) -> String {
        self.client.to_string()
    }

    /// Starts it again after [`EtcdServer::kill`].
    pub fn begin(&mut self) {
        assert!(self.running.is_none(), "it was killed");
        let scheme = if self.secure { "https" } else { "http" };
        let client = format!("{scheme}://{}", self.client);
        let peer = format!("http://{}", self.peer);
        let data = self.dir.path().join("data").display().to_string();
        let mut child = Command::new("sh")
            .args(["-c", HOLD])
            .arg(self.dir.path().join("log"))
            .args(["--name", "one", "--logger", "zap", "--data-dir", &data])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("one={peer}")])
            .args(&self.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut pid = String::new();
        let output = child.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut pid).expect("the number of a process");
        self.running = Some((child, pid.trim().to_owned()));
        self.wait();
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            drop(child.stdin.take());
            child.wait().expect("it was started here");
        }
    }

    /// SIGSTOP: what it was sent waits.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let (_, pid) = self.running.as_ref().expect("it runs");
        let done = Command::new("kill").args([&format!("-{name}"), pid]).status().expect("kill");
        assert!(done.success(), "it runs");
    }

    fn wait(&self) {
        for _ in 0..LOOKS {
            if self.is_healthy() {
                return;
            }
            sleep(LOOK);
        }
        let said = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        panic!("etcd does not answer; is etcd-server installed? It said: {said}");
    }

    fn is_healthy(&self) -> bool {
        let ask = || {
            let mut stream = TcpStream::connect(self.health)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).map(|_| answer)
        };
        ask().is_ok_and(|answer: String| answer.contains(r#""health":"true""#))
    }
}

impl Drop for EtcdServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An address that no other rig uses as long as the claim is held: the same port of another address of this host. It lies
/// below the ports that the kernel gives out.
fn claim() -> (SocketAddr, TcpListener) {
    const FROM: u16 = 12_000;
    const COUNT: u16 = 5_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two test processes begin far from each other.
    let start =
        u16::try_from(std::process::id() * 100 % u32::from(COUNT)).expect("below the count");
    for _ in 0..COUNT {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let address = SocketAddr::from(([127, 0, 0, 1], FROM + (start + turn) % COUNT));
        let claim = TcpListener::bind(("127.0.0.2", address.port()));
        // A stranger may have it.
        if let Ok(claim) = claim
            && TcpListener::bind(address).is_ok()
        {
            return (address, claim);
        }
    }
    panic!("every port is taken");
}
