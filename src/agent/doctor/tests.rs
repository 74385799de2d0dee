//! Hosts with one planted fault each: it is named, with a remedy, and what is well is not blamed.

use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use super::*;
use crate::agent::docker::connect::ConnectError;
use crate::agent::machine::{Nowhere, free_port};

/// A host that is played: all is well until something is planted.
struct Host {
    root: tempfile::TempDir,
}

impl Host {
    fn new() -> Host {
        let host = Host { root: tempfile::tempdir().expect("a directory") };
        host.file("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids");
        host.file("sys/fs/cgroup/cgroup.subtree_control", "");
        host.file("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999");
        host.file("proc/7/comm", "chronyd");
        host
    }

    fn file(&self, name: &str, content: &str) {
        let path = self.root.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, content).expect("written");
    }

    fn without(&self, name: &str) {
        std::fs::remove_file(self.root.path().join(name)).expect("it was there");
    }

    fn root(&self) -> &Path {
        self.root.path()
    }
}

/// What is not well, as one text; each has a remedy.
fn ills(found: &[Finding]) -> String {
    let ill = found.iter().filter(|one| one.level > Level::Fine);
    let told = ill.map(|one| {
        let remedy = one.remedy.as_ref().expect("a remedy");
        format!("{}: {} -> {remedy}", one.level, one.found)
    });
    told.collect::<Vec<_>>().join("\n")
}

fn worst(found: &[Finding]) -> Level {
    found.iter().map(|one| one.level).max().expect("a finding")
}

#[test]
fn control_groups_that_are_missing_or_lack_a_controller() {
    let host = Host::new();
    assert_eq!(worst(&cgroup::look(host.root())), Level::Fine);
    host.file("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids");
    assert!(ills(&cgroup::look(host.root())).contains("fault: the kernel offers no memory"));
    host.without("sys/fs/cgroup/cgroup.controllers");
    assert!(ills(&cgroup::look(host.root())).contains("fault: no control groups"));
    host.file("sys/fs/cgroup/memory/tasks", "");
    let one = ills(&cgroup::look(host.root()));
    assert!(one.contains("fault: no cpu controller is mounted") && !one.contains("memory like"));
}

#[test]
fn a_clock_that_was_set_back_or_that_nobody_keeps() {
    let (host, data) = (Host::new(), tempfile::tempdir().expect("a directory"));
    assert_eq!(worst(&clock::look(host.root(), data.path())), Level::Fine);
    host.without("proc/7/comm");
    let nobody = clock::look(host.root(), data.path());
    assert!(ills(&nobody).contains("warning: ") && ills(&nobody).contains("chrony"), "{nobody:?}");
    let log = data.path().join("server/log");
    std::fs::create_dir(data.path().join("server")).expect("made");
    let file = std::fs::File::create(&log).expect("made");
    #[expect(clippy::disallowed_methods, reason = "a file from the future")]
    let ahead = SystemTime::now() + Duration::from_hours(2);
    file.set_modified(ahead).expect("the file system keeps it");
    let back = ills(&clock::look(host.root(), data.path()));
    assert!(back.contains("fault: ") && back.contains(&log.display().to_string()), "{back}");
}

#[test]
fn a_disk_that_is_full_read_only_or_out_of_files() {
    let space = disk::Space {
        free: 50_000,
        total: 100_000,
        files: Some(1_000_000),
        read_only: false,
        no_exec: false,
    };
    let judge = |space| ills(&disk::judge(Path::new("/data"), space));
    assert_eq!(judge(space), "");
    assert!(judge(disk::Space { free: 100, ..space }).contains("fault: 100 MiB are free"));
    assert!(judge(disk::Space { files: Some(3), ..space }).contains("fault: 3 files more"));
    assert!(judge(disk::Space { read_only: true, ..space }).contains("can only be read"));
    assert!(judge(disk::Space { no_exec: true, ..space }).contains("warning: nothing in /data"));
    assert!(judge(disk::Space { free: 4_000, ..space }).contains("less than a twentieth"));
    let file = tempfile::NamedTempFile::new().expect("a file");
    assert!(ills(&disk::look(&file.path().join("below"))).contains("is no directory"));
}

#[test]
fn ports_that_somebody_holds_or_the_kernel_gives_away() {
    let host = Host::new();
    let holder = TcpListener::bind(("127.0.0.1", free_port())).expect("a port");
    let address = holder.local_addr().expect("bound");
    let held = ills(&net::listen(&[address]));
    let own = format!("(pid {})", std::process::id());
    assert!(held.contains("fault: ") && held.contains(&own), "{held}");
    let range = PortRange { first: address.port(), last: address.port() };
    let tasks = ills(&net::ports(host.root(), &[range]));
    assert!(tasks.contains(&own), "{tasks}");
    drop(holder);
    assert_eq!(ills(&net::listen(&[address])), "");
    let wide = [PortRange { first: 32_700, last: 32_800 }];
    let shared = ills(&net::ports(host.root(), &wide));
    assert!(shared.contains("32768-60999") && shared.contains("sysctl"), "{shared}");
}

#[test]
fn devices_without_a_driver_and_a_driver_without_the_toolkit() {
    let host = Host::new();
    assert_eq!(gpu::look(host.root()), []);
    host.file("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
    host.file("sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n");
    host.file("sys/bus/pci/devices/0000:01:00.1/vendor", "0x10de\n");
    host.file("sys/bus/pci/devices/0000:01:00.1/class", "0x040300\n");
    let bare = ills(&gpu::look(host.root()));
    assert!(bare.contains("fault: 1 NVIDIA devices") && bare.contains("modprobe"), "{bare}");
    host.file("proc/driver/nvidia/version", "NVRM version: 550.54\nGCC version: 12");
    let driven = ills(&gpu::look(host.root()));
    assert!(driven.contains("NVRM version: 550.54") && driven.contains("nvidia-ctk"), "{driven}");
    host.file("etc/cdi/nvidia.yaml", "");
    assert_eq!(worst(&gpu::look(host.root())), Level::Fine);
}

#[tokio::test]
async fn an_engine_that_is_not_there_not_local_or_not_ours() {
    let nowhere = Search { docker_host: Some("/nonexistent.sock".to_owned()), ..Search::default() };
    assert!(ills(&engine::look(Some(&nowhere)).await).contains("fault: no container engine"));
    let far = Search { docker_host: Some("tcp://h:2375".to_owned()), ..Search::default() };
    assert!(ills(&engine::look(Some(&far)).await).contains("unset DOCKER_HOST"));
    let rights = ConnectError::NoRights {
        socket: "/run/docker.sock".to_owned(),
        owner: "root:docker".to_owned(),
        mode: "660".to_owned(),
        remedy: "usermod -aG docker NAME".to_owned(),
    };
    assert!(ills(&[engine::missing(&rights)]).contains("usermod -aG docker NAME"));
    assert_eq!(worst(&engine::look(None).await), Level::Fine);
}

#[tokio::test]
async fn names_and_servers_that_nobody_can_reach() {
    assert_eq!(net::hostname("localhost.localdomain").await.level, Level::Fault);
    assert_eq!(net::hostname("no-such-host.invalid").await.level, Level::Warning);
    let nowhere = Nowhere::hold();
    let gone = ills(&net::servers(&[Address::Tcp(nowhere.to_string())]).await);
    assert!(gone.contains("fault: no server answers at") && gone.contains("firewalls"), "{gone}");
}
