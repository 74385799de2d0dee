//! The runtime on the machine's own engine: the wiring is the point here.

mod false_engine;
mod registry;
mod restart;

use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use futures::TryStreamExt;
use tokio::net::{TcpListener, TcpStream};

use super::DockerRuntime;
use super::rig::{
    Rig, connection, docker, only, owner, parameters, progress, remove, runtime, sandbox, spec,
};
use super::spec::container_name;
use crate::agent::docker::auth::Keyring;
use crate::agent::gpu::Shelf;
use crate::agent::machine::{PATIENCE, free_port};
use crate::agent::runtime::{
    Found, FoundState, Launch, LogStream, Runtime, RuntimeError, SandboxId,
};
use crate::model::end::End;
use crate::model::id::Incarnation;
use crate::model::network::{Network, NetworkMode, PortMapping};
use crate::model::reason::Reason;
use crate::model::unit::Mem;

/// Ends soon when asked to, once it is [`ready`].
const PATIENT: &str = "trap 'exit 3' TERM; echo ready; while true; do sleep 0.02; done";

fn refusal<T: std::fmt::Debug>(outcome: Result<T, RuntimeError>) -> Reason {
    match outcome {
        Err(RuntimeError::Refused(reason)) => reason,
        other => panic!("no refusal: {other:?}"),
    }
}

async fn only_found(rig: &Rig) -> Found {
    let mut all = rig.runtime.list().await.expect("a list");
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

async fn text(rig: &Rig, id: SandboxId, stream: LogStream) -> String {
    tail(&rig.runtime, id, stream, None).await
}

/// Waits until a task would hear a signal: before that, nobody may be there to pass it on.
async fn ready(runtime: &DockerRuntime, id: SandboxId) {
    let says_so = async {
        while !tail(runtime, id, LogStream::Stdout, None).await.contains("ready") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(*PATIENCE, says_so).await.expect("in time");
}

async fn tail(
    runtime: &DockerRuntime,
    id: SandboxId,
    stream: LogStream,
    lines: Option<u32>,
) -> String {
    let logs = runtime.logs(id, stream, lines, false).await.expect("logs");
    let bytes: Vec<_> = logs.try_collect().await.expect("bytes");
    String::from_utf8(bytes.concat()).expect("text")
}

fn bridged(rig: &Rig, image: &str, container_port: u16, host_port: u16) -> Launch {
    let mut spec = spec(image);
    spec.networks = vec![Network { mode: NetworkMode::Bridge, ..Network::host() }];
    let mapping =
        PortMapping { container_port, host_port: Some(host_port), ..PortMapping::default() };
    sandbox(&mut spec).port_mappings = Some(vec![mapping]);
    rig.launch_with_ports(spec, vec![Some(host_port)])
}

/// A port that was free a moment ago.
#[tokio::test]
async fn a_whole_life_from_prepared_to_gone() {
    let rig = Rig::new().await;
    let launch = rig.shell(PATIENT);
    rig.runtime.prepare(&launch, &progress()).await.expect("prepared");
    let found = only_found(&rig).await;
    assert_eq!((found.id, found.key, found.spec_key), (launch.id, launch.key, launch.spec_key));
    assert_eq!(found.state, FoundState::Prepared);

    let running = rig.runtime.start(&launch).await.expect("started");
    assert!(running.at > crate::model::time::Timestamp::default());
    assert!(running.ips.is_empty(), "the host's network has no address of its own");
    assert_eq!(only_found(&rig).await.state, FoundState::Running(running.clone()));
    assert_eq!(rig.runtime.start(&launch).await, Ok(running), "a second start finds the first");
    assert!(
        matches!(rig.runtime.remove(launch.id).await, Err(RuntimeError::Unknown(_))),
        "a running one is never removed"
    );

    ready(&rig.runtime, launch.id).await;
    rig.runtime.terminate(launch.id).await.expect("asked to end");
    let (at, end) = rig.runtime.ended(launch.id).await.expect("ended");
    assert_eq!(
        end,
        End::Code(3),
        "the trap ran, so SIGTERM went to the task and not to init alone"
    );
    assert_eq!(only_found(&rig).await.state, FoundState::Exited { at, end: end.clone() });
    assert_eq!(rig.runtime.ended(launch.id).await, Ok((at, end)), "told again");
    assert!(
        matches!(rig.runtime.start(&launch).await, Err(RuntimeError::Unknown(_))),
        "a name has one life"
    );

    rig.runtime.terminate(launch.id).await.expect("fine when it has ended");
    rig.runtime.kill(launch.id).await.expect("fine when it has ended");
    rig.runtime.remove(launch.id).await.expect("removed");
    rig.runtime.remove(launch.id).await.expect("fine when nothing is left");
    assert_eq!(rig.runtime.list().await, Ok(Vec::new()));
    rig.clear().await;
}

#[tokio::test]
async fn another_process_adopts_what_it_finds() {
    // CT-14, house.md invariant 7.
    let rig = Rig::new().await;
    let launch = rig.shell(PATIENT);
    rig.runtime.prepare(&launch, &progress()).await.expect("prepared");
    let later = runtime(rig.owner, Keyring::default()).await;
    later.prepare(&launch, &progress()).await.expect("prepared before");
    let running = later.start(&launch).await.expect("started");
    let again = runtime(rig.owner, Keyring::default()).await;
    again.prepare(&launch, &progress()).await.expect("it runs already");
    assert_eq!(again.start(&launch).await, Ok(running));
    let ended = tokio::spawn(async move { again.ended(launch.id).await });
    later.kill(launch.id).await.expect("killed");
    let (_, end) = ended.await.expect("no panic").expect("an end");
    assert_eq!(end, End::Signal(9));
    rig.clear().await;
}

#[tokio::test]
async fn exit_codes_and_signals_are_told_apart() {
    // CT-13.
    let rig = Rig::new().await;
    for (cmd, end) in [
        ("exit 0", End::Code(0)),
        ("exit 42", End::Code(42)),
        ("kill -9 $$", End::Signal(9)),
        ("kill -15 $$", End::Signal(15)),
    ] {
        assert_eq!(rig.end_of(&rig.shell(cmd)).await, end, "{cmd}");
    }
    rig.clear().await;
}

#[tokio::test]
async fn too_much_memory_is_told_as_such() {
    let rig = Rig::new().await;
    let mut spec = spec("busybox:local");
    only(&mut spec).mem = Mem::whole(32);
    only(&mut spec).cmd = Some("tail /dev/zero".to_owned());
    let end = rig.end_of(&rig.launch(spec)).await;
    assert!(matches!(end, End::Oom { .. }), "{end:?}");
    rig.clear().await;
}

#[tokio::test]
async fn an_end_is_told_at_once_without_asking_the_engine_over_and_over() {
    let rig = Rig::new().await;
    let launch = rig.shell(PATIENT);
    let running = rig.run(&launch).await;
    let inspected = rig.engine.inspect_container(&running.handle, None).await.expect("inspected");
    let pid = inspected.state.and_then(|state| state.pid).expect("a pid");
    let waiting = super::wait::handle(i32::try_from(pid).expect("small"), &running.handle);
    assert!(waiting.is_some(), "its process is seen");
    let own = i32::try_from(std::process::id()).expect("small");
    assert!(super::wait::handle(own, &running.handle).is_none(), "a stranger's process is not");
    let ended = rig.runtime.ended(launch.id);
    let kill = async {
        tokio::task::yield_now().await;
        rig.runtime.kill(launch.id).await
    };
    let (ended, killed) = tokio::join!(ended, kill);
    killed.expect("killed");
    assert_eq!(ended.expect("an end").1, End::Signal(9));
    rig.clear().await;
}

#[tokio::test]
async fn a_stranger_with_our_name_is_named_and_left_alone() {
    let rig = Rig::new().await;
    let launch = rig.shell("exit 0");
    let options = CreateContainerOptionsBuilder::default().name(&container_name(launch.id)).build();
    let body = ContainerCreateBody {
        image: Some("busybox:local".to_owned()),
        cmd: Some(vec!["sleep".to_owned(), "60".to_owned()]),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let stranger = rig.engine.create_container(Some(options), body).await.expect("made").id;
    rig.engine.start_container(&stranger, None).await.expect("started");

    let reason = refusal(rig.runtime.prepare(&launch, &progress()).await).to_string();
    assert!(reason.contains(&stranger[..12]) && reason.contains("busybox:local"), "{reason}");
    rig.runtime.terminate(launch.id).await.expect("nothing of ours is there");
    rig.runtime.kill(launch.id).await.expect("nothing of ours is there");
    rig.runtime.remove(launch.id).await.expect("nothing of ours is there");
    assert_eq!(rig.runtime.list().await, Ok(Vec::new()));
    let inspected = rig.engine.inspect_container(&stranger, None).await.expect("still there");
    assert_eq!(inspected.state.and_then(|state| state.running), Some(true));
    remove(&rig.engine, &stranger).await;
    rig.clear().await;
}

#[tokio::test]
async fn only_what_carries_both_marks_is_listed() {
    let rig = Rig::new().await;
    let ours = rig.shell("exit 0");
    let mut neighbour = rig.shell("exit 0");
    neighbour.agent = owner().agent;
    let mut next_life = ours.clone();
    next_life.id.incarnation = Incarnation(2);
    for launch in [&ours, &neighbour, &next_life] {
        rig.runtime.prepare(launch, &progress()).await.expect("prepared");
    }
    let mut listed: Vec<_> =
        rig.runtime.list().await.expect("a list").into_iter().map(|found| found.id).collect();
    listed.sort();
    assert_eq!(listed, [ours.id, next_life.id]);
    rig.clear().await;
}

#[tokio::test]
async fn both_outputs_are_kept_apart_and_can_be_followed() {
    let rig = Rig::new().await;
    let launch = rig.shell("echo one; echo two; echo bad >&2; echo three");
    rig.end_of(&launch).await;
    assert_eq!(text(&rig, launch.id, LogStream::Stdout).await, "one\ntwo\nthree\n");
    assert_eq!(text(&rig, launch.id, LogStream::Stderr).await, "bad\n");
    let talker = rig.shell("echo first; read gate < /mnt/mesos/sandbox/gate; echo $gate");
    std::fs::create_dir_all(&talker.dir).expect("the sandbox");
    let gate = talker.dir.join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    rig.run(&talker).await;
    let mut follow =
        rig.runtime.logs(talker.id, LogStream::Stdout, None, true).await.expect("logs");
    let line = tokio::time::timeout(*PATIENCE, follow.try_next()).await.expect("in time");
    assert_eq!(line.expect("bytes").expect("a line"), "first\n");
    std::fs::write(&gate, "later\n").expect("the gate opens");
    let line = tokio::time::timeout(*PATIENCE, follow.try_next()).await.expect("in time");
    assert_eq!(line.expect("bytes").expect("a line"), "later\n");
    assert_eq!(follow.try_next().await, Ok(None), "the stream ends with the task");

    let reason = refusal(
        rig.runtime
            .logs(
                SandboxId { incarnation: Incarnation(9), ..launch.id },
                LogStream::Stdout,
                None,
                false,
            )
            .await
            .map(drop),
    );
    assert!(matches!(reason, Reason::Vanished { .. }), "{reason}");
    rig.clear().await;
}

#[tokio::test]
async fn the_last_lines_of_a_quiet_output_are_found_behind_a_talkative_one() {
    let rig = Rig::new().await;
    let launch = rig.shell(
        "for i in 1 2 3 4; do echo out$i; done; i=0; while [ $i -lt 50 ]; do echo err$i >&2; i=$((i+1)); done",
    );
    rig.end_of(&launch).await;
    for (lines, expected) in
        [(0, ""), (1, "out4\n"), (3, "out2\nout3\nout4\n"), (9, "out1\nout2\nout3\nout4\n")]
    {
        let told = tail(&rig.runtime, launch.id, LogStream::Stdout, Some(lines)).await;
        assert_eq!(told, expected, "{lines}");
    }
    let errors = tail(&rig.runtime, launch.id, LogStream::Stderr, Some(2)).await;
    assert_eq!(errors, "err48\nerr49\n");
    rig.clear().await;
}

#[tokio::test]
async fn a_terminal_s_output_is_the_standard_one() {
    let rig = Rig::new().await;
    let mut spec = spec("busybox:local");
    only(&mut spec).cmd = Some("test -t 1 && echo terminal".to_owned());
    only(&mut spec).tty = Some(true);
    let launch = rig.launch(spec);
    assert_eq!(rig.end_of(&launch).await, End::Code(0));
    assert_eq!(text(&rig, launch.id, LogStream::Stdout).await.trim(), "terminal");
    rig.clear().await;
}

#[tokio::test]
async fn a_bridged_container_has_an_address_and_its_published_port_answers() {
    // NW-5, CT-11.
    let rig = Rig::new().await;
    let port = free_port();
    let launch = bridged(&rig, "redis", 6379, port);
    let running = rig.run(&launch).await;
    assert_eq!(running.ips.len(), 1, "{running:?}");
    assert!(running.ips[0].is_ipv4());
    let answer = tokio::time::timeout(*PATIENCE, ask(port)).await.expect("in time");
    assert_eq!(answer, "+PONG\r\n");

    let second = bridged(&rig, "redis", 6379, port);
    rig.runtime.prepare(&second, &progress()).await.expect("prepared");
    let reason = refusal(rig.runtime.start(&second).await);
    let holder = container_name(launch.id);
    assert!(
        matches!(&reason, Reason::PortForeign { port: named, holder: text } if *named == port && text.contains(&holder)),
        "{reason}"
    );
    rig.clear().await;
}

/// Asks the stand-in for redis until it answers.
async fn ask(port: u16) -> String {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await {
            let mut line = String::new();
            let sent = stream.write_all(b"PING\r\n").await;
            let read = BufReader::new(&mut stream).read_line(&mut line).await;
            if sent.is_ok() && read.is_ok() && !line.is_empty() {
                return line;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_port_that_a_process_holds_is_named() {
    let rig = Rig::new().await;
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let launch = bridged(&rig, "redis", 6379, port);
    rig.runtime.prepare(&launch, &progress()).await.expect("prepared");
    let reason = refusal(rig.runtime.start(&launch).await);
    assert!(
        matches!(&reason, Reason::PortForeign { port: named, holder } if *named == port && holder.contains("in use")),
        "{reason}"
    );
    assert_eq!(only_found(&rig).await.state, FoundState::Prepared, "nothing ran");
    rig.clear().await;
}

#[tokio::test]
async fn a_cmd_replaces_the_entrypoint_and_args_do_not() {
    // CT-5: the stand-in's entrypoint leaves a mark.
    let rig = Rig::new().await;
    let mut with_cmd = spec("memcached");
    only(&mut with_cmd).cmd = Some("test ! -e /entrypoint-ran && echo $GREETING".to_owned());
    let with_cmd = rig.launch(with_cmd);
    assert_eq!(rig.end_of(&with_cmd).await, End::Code(0));
    assert_eq!(text(&rig, with_cmd.id, LogStream::Stdout).await, "hello\n");

    let mut with_args = spec("memcached");
    only(&mut with_args).args =
        vec!["test".to_owned(), "-e".to_owned(), "/entrypoint-ran".to_owned()];
    assert_eq!(rig.end_of(&rig.launch(with_args)).await, End::Code(0));
    rig.clear().await;
}

#[tokio::test]
async fn the_task_sees_its_sandbox_its_limits_and_its_variables() {
    // CT-8, CT-9, CT-10.
    let rig = Rig::new().await;
    let launch = rig.shell(
        "ulimit -Sn; ulimit -Hn; echo $MESOS_SANDBOX $MESOS_CONTAINER_NAME $NVIDIA_VISIBLE_DEVICES; \
         echo mine > $MESOS_SANDBOX/file",
    );
    assert_eq!(rig.end_of(&launch).await, End::Code(0));
    let (name, most) = (container_name(launch.id), rig.runtime.facts().nofile);
    assert_eq!(
        text(&rig, launch.id, LogStream::Stdout).await,
        format!("{}\n{most}\n/mnt/mesos/sandbox {name} void\n", most.min(65_536))
    );
    assert_eq!(std::fs::read_to_string(launch.dir.join("file")).expect("a file"), "mine\n");
    rig.clear().await;
}

#[tokio::test]
async fn what_the_engine_cannot_start_is_refused_in_its_own_words() {
    let rig = Rig::new().await;
    let mut broken = spec("busybox:local");
    only(&mut broken).args = vec!["no-such-program".to_owned()];
    let answer = if rig.is_podman() { 1 } else { 127 };
    assert_eq!(rig.end_of(&rig.launch(broken.clone())).await, End::Code(answer), "init's answer");
    docker(&mut broken).parameters = parameters(&[("init", "false")]);
    let launch = rig.launch(broken);
    rig.runtime.prepare(&launch, &progress()).await.expect("prepared");
    let reason = refusal(rig.runtime.start(&launch).await).to_string();
    assert!(reason.starts_with("Failed to run docker container: "), "{reason}");
    assert!(reason.contains("no-such-program"), "{reason}");

    let mut lost = spec("busybox:local");
    lost.networks = vec![Network {
        mode: NetworkMode::Container,
        name: Some("stayer-no-such-network".to_owned()),
        ..Network::host()
    }];
    let launch = rig.launch(lost);
    let outcome = match rig.runtime.prepare(&launch, &progress()).await {
        Ok(()) => rig.runtime.start(&launch).await.map(drop),
        refused => refused,
    };
    let reason = refusal(outcome).to_string();
    assert!(reason.contains("stayer-no-such-network"), "{reason}");
    rig.clear().await;
}

#[tokio::test]
async fn a_privileged_container_starts_or_the_machine_s_refusal_is_told() {
    let rig = Rig::new().await;
    let mut spec = spec("busybox:local");
    docker(&mut spec).privileged = true;
    only(&mut spec).cmd = Some("exit 0".to_owned());
    let launch = rig.launch(spec);
    rig.runtime.prepare(&launch, &progress()).await.expect("the engine itself allows it");
    if let Err(error) = rig.runtime.start(&launch).await {
        let reason = refusal::<()>(Err(error)).to_string();
        assert!(reason.contains("operation not permitted"), "{reason}");
    }
    rig.clear().await;
}

#[tokio::test]
async fn what_the_policy_forbids_is_never_created() {
    let rig = Rig::new().await;
    let forbid = |what: &str| Reason::Policy { what: what.to_owned() };
    let strict = DockerRuntime::new(
        connection().await,
        rig.owner,
        Keyring::default(),
        Shelf::default(),
        move |_| vec![forbid("privileged"), forbid("a host path")],
    );
    let reason = refusal(strict.prepare(&rig.shell("exit 0"), &progress()).await);
    assert_eq!(reason, forbid("privileged; a host path"));
    assert_eq!(rig.runtime.list().await, Ok(Vec::new()));
    rig.clear().await;
}

#[tokio::test]
async fn the_engine_s_facts_are_known() {
    let rig = Rig::new().await;
    let facts = rig.runtime.facts();
    let name = facts.engine.name.as_str();
    assert!(["Docker", "Podman"].contains(&name), "{facts:?}");
    assert!(facts.engine.api.starts_with("1."), "{facts:?}");
    assert!(facts.cgroup_version.is_some() && facts.live_restore.is_some(), "{facts:?}");
    assert!(facts.storage.is_some() && facts.security.contains(&"seccomp".to_owned()), "{facts:?}");
    assert!(facts.to_string().starts_with(name), "{facts}");
    rig.runtime.ping().await.expect("it answers");
    rig.clear().await;
}
