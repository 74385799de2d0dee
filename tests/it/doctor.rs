//! `stayer doctor` on a host that is not well: each fault is named with a remedy, in less than a second.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::rig::{Ended, command, run, slow};

/// What is said of one check, and what to do.
fn told(ended: &Ended, check: &str) -> (String, String, String) {
    let said: Value = serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{ended:?}"));
    let findings = said["findings"].as_array().expect("findings");
    let of = findings.iter().filter(|one| one["check"] == check);
    let worst = of.max_by_key(|one| one["level"] == "fault").expect("it was looked at");
    let field = |name: &str| worst[name].as_str().unwrap_or_default().to_owned();
    (field("level"), field("found"), field("remedy"))
}

#[test]
fn what_hangs_is_held_missing_or_away_is_named_within_a_second() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let _hangs = UnixListener::bind(path("docker.sock")).expect("a socket");
    let held = TcpListener::bind("127.0.0.1:0").expect("a port");
    let held = held.local_addr().map(|address| (held, address)).expect("bound");
    std::fs::write(path("file"), "").expect("a file");
    let mut doctor = command();
    doctor.args(["doctor", "--output", "json", "--data-dir", &path("file/data")]);
    doctor.args(["--engine", &format!("unix://{}", path("docker.sock"))]);
    doctor.args(["--listen", &held.1.to_string(), "--hostname", "localhost"]);
    doctor.args(["--server", &format!("unix:{}", path("none.sock"))]);
    // The best of a few: the machine may do much else at the same time.
    let attempts = (0..10).map(|_| {
        let began = Instant::now();
        let ended = run(&mut doctor);
        (began.elapsed(), ended)
    });
    let is_quick = |(took, _): &(Duration, Ended)| *took < slow(Duration::from_secs(1));
    let (_, ended) = attempts.into_iter().find(is_quick).expect("within a second");
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.err.contains("5 things do not work on this host"), "{ended:?}");
    for (check, words) in [
        ("engine", "does not answer"),
        ("ports", "is held by"),
        ("disk", "is no directory"),
        ("hostname", "is called 'localhost'"),
        ("server", "no server answers at unix:"),
    ] {
        let (level, found, remedy) = told(&ended, check);
        assert_eq!(level, "fault", "{check}: {found}");
        assert!(found.contains(words) && !remedy.is_empty(), "{check}: {found} -> {remedy}");
    }
}

#[test]
fn another_account_is_told_which_rights_it_lacks() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("ours");
    let binary = dir.path().join("stayer");
    std::fs::copy(env!("CARGO_BIN_EXE_stayer"), &binary).expect("copied");
    let socket = dir.path().join("docker.sock");
    let _engine = UnixListener::bind(&socket).expect("a socket");
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o660)).expect("ours");
    let mut doctor = Command::new("setpriv");
    doctor.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&binary);
    doctor.args(["doctor", "--output", "json", "--listen", "127.0.0.1:0"]);
    doctor.arg("--engine").arg(format!("unix://{}", socket.display()));
    doctor.arg("--data-dir").arg(dir.path().join("data"));
    let ended = run(&mut doctor);
    assert_eq!(ended.code, 1, "{ended:?}");
    let (level, found, remedy) = told(&ended, "engine");
    assert_eq!(level, "fault", "{found}");
    assert!(found.contains("root:root with mode 660") && remedy.contains("as root"), "{found}");
    let (level, found, _) = told(&ended, "disk");
    assert!(level == "fault" && found.contains("may not write"), "{found}");
    let (level, found, _) = told(&ended, "account");
    assert!(level == "warning" && found.contains("65534"), "{found}");
}

#[test]
fn people_read_what_was_found_and_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut doctor = command();
    doctor.args(["doctor", "--no-engine", "--listen", "127.0.0.1:0", "--hostname", "localhost"]);
    let ended = run(doctor.arg("--data-dir").arg(dir.path()));
    assert_eq!(ended.code, 1, "{ended:?}");
    let lines: Vec<&str> = ended.out.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("fault    hostname")).expect("a line");
    assert!(lines[at + 1].trim_start().starts_with("-> give it a name"), "{}", ended.out);
    assert!(ended.out.contains("fine     ports     127.0.0.1:0 is free"), "{}", ended.out);
}
