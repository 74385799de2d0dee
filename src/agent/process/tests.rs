//! Real processes, in real control groups where the host allows them.

mod rig;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Pid;

use self::rig::*;
use crate::agent::machine::PATIENCE;
use crate::agent::process::*;
use crate::agent::runtime::FoundState;
use crate::model::id::AgentId;
use crate::model::reason::Reason;
use crate::model::spec::Artifact;
use crate::model::unit::Mem;

// === how it ends ===

#[tokio::test]
async fn exit_codes_signals_and_missing_programs_are_told_apart() {
    // CT-13.
    let rig = Rig::new();
    assert_eq!(rig.end_of("exit 0").await.1, End::Code(0));
    assert_eq!(rig.end_of("exit 42").await.1, End::Code(42));
    assert_eq!(rig.end_of("kill -9 $$").await.1, End::Signal(9));
    let missing = rig.launch_with(|spec| spec.containers[0].args = vec!["no-such-program".into()]);
    rig.run(&missing).await;
    assert_eq!(end(&rig.runtime, missing.id).await, End::Code(127));
    assert!(read(&missing, "stderr").contains("no-such-program"));
}

#[tokio::test]
async fn arguments_and_cmd_reach_the_process_as_they_are() {
    // CT-5: args run without a shell, cmd is one argument of it.
    let rig = Rig::new();
    let args = ["printf", "%s|", "$HOME", "a b", "'; exit 9", ""].map(str::to_owned);
    let launch = rig.launch_with(|spec| spec.containers[0].args = args.to_vec());
    rig.run(&launch).await;
    assert_eq!(end(&rig.runtime, launch.id).await, End::Code(0));
    assert_eq!(read(&launch, "stdout"), "$HOME|a b|'; exit 9||");
    let (launch, end) = rig.end_of("printf '%s' \"$GREETING\"; echo oops >&2").await;
    assert_eq!(end, End::Code(0));
    assert_eq!(read(&launch, "stdout"), "hello 'you' $HOME");
    assert_eq!(read(&launch, "stderr"), "oops\n");
}

#[tokio::test]
async fn the_environment_is_the_launch_and_defaults_alone() {
    let rig = Rig::new();
    let (launch, _) =
        rig.end_of("env; pwd >here; ls -l /proc/self/fd >open; ulimit -n >files").await;
    let names: Vec<String> = read(&launch, "stdout")
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0.to_owned()))
        .filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(&name.as_str()))
        .collect();
    let mut sorted = names.clone();
    sorted.sort();
    let own =
        ["CUDA_VISIBLE_DEVICES", "GREETING", "HOME", "MESOS_SANDBOX", "NVIDIA_VISIBLE_DEVICES"];
    assert_eq!(sorted, [&own[..], &["PATH"]].concat());
    let gpus = "NVIDIA_VISIBLE_DEVICES=void\n";
    assert!(read(&launch, "stdout").contains(gpus), "a task without devices sees none");
    let dir = launch.dir.display();
    assert!(read(&launch, "stdout").contains(&format!("MESOS_SANDBOX={dir}\n")), "CT-8");
    assert_eq!(read(&launch, "here"), format!("{dir}\n"));
    assert!(!read(&launch, "open").contains("lives"), "the life file is closed in the task");
    assert!(read(&launch, "files").trim().parse::<u64>().expect("a number") >= 1_024);
}

#[tokio::test]
async fn terminate_runs_the_tasks_own_handler() {
    // SC-11.
    let rig = Rig::new();
    let launch = rig.launch("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.01; done");
    rig.run(&launch).await;
    until("its handler is set", || read(&launch, "stdout") == "up\n").await;
    rig.runtime.terminate(launch.id).await.expect("asked");
    assert_eq!(end(&rig.runtime, launch.id).await, End::Code(7));
    assert_eq!(read(&launch, "stdout"), "up\nbye\n");
    rig.runtime.terminate(launch.id).await.expect("fine when it has ended");
    rig.runtime.kill(launch.id).await.expect("fine when it has ended");
}

#[tokio::test]
async fn without_a_handler_terminate_ends_it_at_any_moment() {
    let rig = Rig::new();
    // At once, which may be before the shell has set its own handlers.
    let early = rig.launch("exec sleep 1000");
    rig.run(&early).await;
    rig.runtime.terminate(early.id).await.expect("asked");
    assert_eq!(end(&rig.runtime, early.id).await, End::Signal(15));
    let late = rig.launch("echo up; exec sleep 1000");
    rig.run(&late).await;
    until("it is up", || read(&late, "stdout") == "up\n").await;
    rig.runtime.terminate(late.id).await.expect("asked");
    assert_eq!(end(&rig.runtime, late.id).await, End::Signal(15));
}

/// A process with a child, and a grandchild that has left the process group.
const FAMILY: &str = "sleep 1000 & echo $! >child; setsid sleep 1000 & echo $! >far; \
                      trap '' TERM; echo up; while :; do wait; done";

#[tokio::test]
async fn kill_ends_all_of_the_group_and_what_has_left_it() {
    let rig = Rig::new();
    let launch = rig.launch(FAMILY);
    let running = rig.run(&launch).await;
    until("it is up", || read(&launch, "stdout") == "up\n").await;
    let mut pids = vec![running.handle, read(&launch, "child")];
    if rig.runtime.limits().memory || rig.runtime.limits().cpu {
        pids.push(read(&launch, "far"));
    } else {
        let far = read(&launch, "far").trim().parse().ok().and_then(Pid::from_raw);
        rustix::process::kill_process(far.expect("a process id"), Signal::KILL).expect("killed");
    }
    assert!(pids.iter().all(|pid| runs(pid)));
    rig.runtime.kill(launch.id).await.expect("killed");
    assert!(!pids.iter().any(|pid| runs(pid)), "nothing runs once kill has returned");
    assert_eq!(end(&rig.runtime, launch.id).await, End::Signal(9));
}

#[tokio::test]
async fn what_a_task_leaves_behind_ends_with_it_also_without_control_groups() {
    let rig = Rig::without_groups();
    assert!(!rig.runtime.limits().memory);
    let launch = rig.launch("sleep 1000 & echo $! >child; exit 5");
    rig.run(&launch).await;
    assert_eq!(end(&rig.runtime, launch.id).await, End::Code(5));
    assert!(!runs(&read(&launch, "child")));
}

#[tokio::test]
async fn what_a_check_leaves_behind_ends_with_it() {
    let rig = Rig::without_groups();
    let launch = rig.launch("exec sleep 1000");
    let running = rig.run(&launch).await;
    let check = "sleep 1000 & echo $! >child; exit 3";
    let asked = rig.runtime.exec(&launch, check, Duration::from_mins(1));
    assert_eq!(asked.await.expect("it ran"), Some(3));
    let child = read(&launch, "child");
    until("nothing is left of it", || !runs(&child)).await;
    assert!(runs(&running.handle), "the task goes on");
    rig.runtime.kill(launch.id).await.expect("killed");
}

#[tokio::test]
async fn a_check_that_takes_too_long_is_ended_with_its_group() {
    let rig = Rig::without_groups();
    let launch = rig.launch("exec sleep 1000");
    rig.run(&launch).await;
    let check = "sleep 1000 & echo $! >child; wait";
    // Long enough to begin, on this machine.
    let mut limit = Duration::from_secs(1);
    while read(&launch, "child").is_empty() {
        let asked = rig.runtime.exec(&launch, check, limit);
        assert_eq!(asked.await.expect("it was started"), None);
        limit *= 2;
        assert!(limit < *PATIENCE, "it never begins");
    }
    let child = read(&launch, "child");
    until("its group is ended", || !runs(&child)).await;
    rig.runtime.kill(launch.id).await.expect("killed");
}

#[tokio::test]
async fn a_holder_killed_from_outside_takes_its_task_along() {
    let rig = Rig::without_groups();
    let launch = rig.launch("echo $$ >main; exec sleep 1000");
    let running = rig.run(&launch).await;
    until("it is up", || !read(&launch, "main").is_empty()).await;
    let holder = running.handle.parse().ok().and_then(Pid::from_raw).expect("a process id");
    rustix::process::kill_process(holder, Signal::KILL).expect("killed");
    let End::Gone(Reason::Vanished { detail }) = end(&rig.runtime, launch.id).await else {
        panic!("nobody knows how it ended");
    };
    assert!(detail.contains(&running.handle), "{detail}");
    assert!(!runs(&read(&launch, "main")));
}

#[tokio::test]
async fn memory_beyond_the_limit_is_named_with_its_peak() {
    let rig = Rig::new();
    if !rig.runtime.limits().memory {
        // The host gives no such limit; what is read of it is tested beside the code.
        return;
    }
    let launch = rig.launch_with(|spec| {
        spec.containers[0].mem = Mem::whole(16);
        spec.containers[0].cmd = Some("head -c 200m /dev/zero | tail -n 1".to_owned());
    });
    rig.run(&launch).await;
    let End::Oom { peak: Some(peak) } = end(&rig.runtime, launch.id).await else {
        panic!("it was killed for its memory");
    };
    assert!(peak > Mem::whole(12) && peak <= Mem::whole(16), "{peak}");
    // The group is gone, the end is remembered.
    let Some(FoundState::Exited { end, .. }) = state(&rig.restarted(), launch.id).await else {
        panic!("it has ended");
    };
    assert_eq!(end, End::Oom { peak: Some(peak) });
}

// === accounts and refusals ===

#[tokio::test]
async fn another_account_gets_its_environment_but_not_the_holder() {
    // CT-4.
    let rig = Rig::new();
    let mut launch = rig.launch_with(|spec| {
        spec.containers[0].user = Some("nobody".to_owned());
        let cmd = "id -u; echo $GREETING $LD_LIBRARY_PATH $names; env | grep -c STAYER; echo x >mine; cat";
        spec.containers[0].cmd = Some(format!("{cmd} /proc/$PPID/environ; exec sleep 1000"));
    });
    launch.env.insert("LD_LIBRARY_PATH".to_owned(), "/evil".to_owned());
    launch.env.insert("UID".to_owned(), "0".to_owned());
    launch.env.insert("names".to_owned(), "kept".to_owned());
    if !nix::unistd::geteuid().is_root() {
        let launch = rig.launch_with(|spec| {
            spec.containers[0].user = Some("root".to_owned());
            spec.containers[0].cmd = Some("true".to_owned());
        });
        let refused = prepare(&rig.runtime, &launch).await.expect_err("refused");
        assert!(refused.to_string().contains("not root"), "{refused}");
        return;
    }
    let running = rig.run(&launch).await;
    until("it is done", || read(&launch, "stderr").ends_with('\n')).await;
    assert_eq!(read(&launch, "stdout"), "65534\nhello 'you' $HOME /evil kept\n0\n");
    assert!(read(&launch, "stderr").contains("ermission denied"), "the holder is another's");
    assert_eq!(read(&launch, "mine"), "x\n");
    let environ = fs::read(format!("/proc/{}/environ", running.handle)).expect("ours");
    let holder = String::from_utf8_lossy(&environ).into_owned();
    assert!(!holder.split('\0').any(|entry| entry.starts_with("LD_")), "{holder}");
    rig.runtime.kill(launch.id).await.expect("killed");
}

#[tokio::test]
async fn what_can_never_start_is_refused_with_its_reason() {
    let rig = Rig::new();
    let nobody = rig.launch_with(|spec| {
        spec.containers[0].cmd = Some("true".to_owned());
        spec.containers[0].user = Some("no-such-account".to_owned());
    });
    let nothing = rig.launch_with(|spec| spec.containers[0].cmd = Some(String::new()));
    let fetch = rig.launch_with(|spec| {
        spec.containers[0].cmd = Some("true".to_owned());
        spec.containers[0].fetch = vec![Artifact {
            uri: "http://me:secret@127.0.0.1:1/a".to_owned(),
            extract: true,
            executable: false,
            cache: false,
            dest_path: None,
        }];
    });
    let cases = [
        (nobody, "no such account"),
        // CT-6: an empty cmd is none.
        (nothing, "neither cmd nor args"),
        (fetch, "Failed to fetch http://***@127.0.0.1:1/a: 127.0.0.1 is at 127.0.0.1, which"),
    ];
    for (launch, text) in cases {
        let RuntimeError::Refused(reason) = prepare(&rig.runtime, &launch).await.expect_err(text)
        else {
            panic!("it is certain: {text}");
        };
        assert!(reason.to_string().contains(text), "{reason}");
    }
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone() {
    let rig = Rig::new();
    let launch = rig.launch("true");
    fs::create_dir(&launch.dir).expect("made");
    fs::write(launch.dir.join("precious"), "data").expect("written");
    for _ in 0..2 {
        let refused = prepare(&rig.runtime, &launch).await.expect_err("refused");
        assert!(matches!(refused, RuntimeError::Refused(_)), "{refused}");
    }
    assert_eq!(read(&launch, "precious"), "data");
    let mine = rig.launch("true");
    prepare(&rig.runtime, &mine).await.expect("prepared");
    let other = open(rig.data.path(), AgentId(fresh()), &rig.cgroups);
    assert_eq!(other.list().await.expect("listed"), [], "another agent's are not ours");
    other.shared.cgroups.leave();
}

// === the agent ends, the task does not ===

#[tokio::test]
async fn a_running_task_is_adopted_as_it_is() {
    let rig = Rig::new();
    let launch = rig.launch("echo up; exec sleep 1000");
    let running = rig.run(&launch).await;
    let second = rig.restarted();
    let all = second.list().await.expect("listed");
    let found = Found {
        id: launch.id,
        key: launch.key,
        spec_key: launch.spec_key,
        state: FoundState::Running(running.clone()),
    };
    assert_eq!(all, [found]);
    prepare(&second, &launch).await.expect("it is there");
    assert_eq!(second.start(&launch).await.expect("it runs"), running);
    assert!(runs(&running.handle));
    until("it is up", || read(&launch, "stdout") == "up\n").await;
    assert!(second.remove(launch.id).await.is_err(), "what runs is not removed");
    second.terminate(launch.id).await.expect("asked");
    assert_eq!(end(&second, launch.id).await, End::Signal(15));
    assert_eq!(second.start(&launch).await.expect("what ended stays so").handle, running.handle);
    assert_eq!(end(&second, launch.id).await, End::Signal(15));
}

#[tokio::test]
async fn an_end_that_nobody_watched_is_known_afterwards() {
    let rig = Rig::new();
    let launch = rig.launch("sleep 1000 & echo $! >child; exit 3");
    let running = rig.run(&launch).await;
    until("it ends", || !runs(&running.handle)).await;
    let second = rig.restarted();
    let first = state(&second, launch.id).await.expect("found");
    let FoundState::Exited { at, end } = first.clone() else { panic!("it has ended: {first:?}") };
    assert_eq!(end, End::Code(3));
    assert!(at >= running.at);
    assert!(!runs(&read(&launch, "child")), "nothing runs of what is said to have ended");
    assert_eq!(state(&rig.restarted(), launch.id).await, Some(first), "and it stays so");
}

#[tokio::test]
async fn an_agent_killed_at_any_step_of_preparing_leaves_what_is_prepared_again() {
    let rig = Rig::new();
    let shared = &rig.runtime.shared;
    let launch = rig.launch("cat rest 2>&1");
    let record = record::Record::of(&launch, shared.cgroups.paths(launch.id));
    shared.ledger.save(launch.id, &record).expect("saved");
    assert_eq!(state(&rig.restarted(), launch.id).await, Some(FoundState::Partial));
    fs::create_dir(&launch.dir).expect("made");
    fs::write(launch.dir.join("rest"), "of a download").expect("written");
    assert_eq!(state(&rig.restarted(), launch.id).await, Some(FoundState::Partial));
    prepare(&rig.restarted(), &launch).await.expect("prepared");
    assert!(!launch.dir.join("rest").exists());
    assert_eq!(state(&rig.restarted(), launch.id).await, Some(FoundState::Prepared));
    // Now killed between the lines that precede a start and the start itself.
    let mut claimed = shared.ledger.life(launch.id).claim().expect("open").expect("free");
    life::begin(&mut claimed, "an earlier start").expect("written");
    drop(claimed);
    assert_eq!(state(&rig.restarted(), launch.id).await, Some(FoundState::Prepared));
    rig.restarted().start(&launch).await.expect("started");
    assert_eq!(end(&rig.restarted(), launch.id).await, End::Code(1));
}

#[tokio::test]
async fn an_agent_killed_while_it_starts_a_task_finds_it_and_starts_no_second() {
    let rig = Rig::new();
    let shared = &rig.runtime.shared;
    let launch = rig.launch("echo once >>count; exec sleep 1000");
    prepare(&rig.runtime, &launch).await.expect("prepared");
    let mut claimed = shared.ledger.life(launch.id).claim().expect("open").expect("free");
    // Somebody holds the life and has not yet said who it is: it is neither prepared nor running.
    let second = rig.restarted();
    let listing = tokio::spawn(async move { second.list().await });
    life::begin(&mut claimed, &shared.boot).expect("written");
    let outputs = || sandbox::output(&launch.dir, crate::agent::runtime::LogStream::Stdout);
    let hold = holder::Hold {
        launch: &launch,
        account: None,
        groups: &[],
        life: claimed,
        outputs: (outputs().expect("open"), outputs().expect("open")),
    };
    // The agent is killed right after the spawn: only the holder itself says who it is.
    let mut child = hold.spawn().expect("spawned");
    let all = listing.await.expect("no panic").expect("listed");
    let FoundState::Running(running) = &all[0].state else { panic!("it runs: {all:?}") };
    assert_eq!(running.handle, child.id().to_string());
    let third = rig.restarted();
    assert_eq!(&third.start(&launch).await.expect("it runs"), running);
    until("it is up", || read(&launch, "count") == "once\n").await;
    third.kill(launch.id).await.expect("killed");
    assert_eq!(end(&third, launch.id).await, End::Signal(9));
    child.wait().expect("ours");
}

#[tokio::test]
async fn removal_takes_all_and_is_finished_after_a_crash() {
    let rig = Rig::new();
    let (launch, _) = rig.end_of("true").await;
    rig.runtime.remove(launch.id).await.expect("removed");
    rig.runtime.remove(launch.id).await.expect("fine when nothing is left");
    assert!(!launch.dir.exists());
    let left: Vec<PathBuf> = rig
        .runtime
        .shared
        .cgroups
        .paths(launch.id)
        .into_iter()
        .filter(|path| path.exists())
        .collect();
    assert_eq!(left, [] as [PathBuf; 0]);
    for done in 0..3 {
        let (launch, _) = rig.end_of("true").await;
        let ledger = &rig.runtime.shared.ledger;
        ledger.life(launch.id).begin_removal().expect("written");
        if done > 0 {
            fs::remove_dir_all(&launch.dir).expect("removed");
        }
        if done > 1 {
            ledger.delete(launch.id).expect("deleted");
        }
        assert_eq!(rig.restarted().list().await.expect("listed"), [], "killed after step {done}");
        assert!(!launch.dir.exists());
        assert_eq!(ledger.lives().expect("listed"), []);
    }
}

#[tokio::test]
async fn outputs_are_kept_small_while_they_are_written_to() {
    let rig = Rig::new();
    let launch = rig.launch("while :; do echo 0123456789; sleep 0.001; done");
    rig.run(&launch).await;
    let limits = LogLimits { bytes: 200, files: 3, every: Duration::from_millis(5) };
    let runtime = rig.runtime.clone();
    let rotation = tokio::spawn(async move { runtime.rotate_logs(limits).await });
    until("two copies", || launch.dir.join("stdout.2").exists()).await;
    rotation.abort();
    // What it writes after the cut begins at the start of the file: no hole is left.
    let cut = fs::read(launch.dir.join("stdout")).expect("there");
    assert!(!cut.contains(&0), "{cut:?}");
    assert!(!launch.dir.join("stdout.3").exists());
    rig.runtime.kill(launch.id).await.expect("killed");
}
