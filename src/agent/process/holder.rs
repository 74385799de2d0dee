//! The holder: a shell that starts one process, waits for it and writes down how it ended, whether an agent runs or not.
//!
//! No program of our own stays beside a process: the shell costs a tenth of its memory and survives our upgrades. It
//! keeps the agent's account, so that a process of another account can neither kill nor imitate it.
//!
//! Nothing of a request becomes shell text but `cmd`, as the one argument of `sh -c`. Another account's environment
//! reaches that account's own shell alone, under harmless names: `LD_PRELOAD` in the holder would be a way to root.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Resource, getrlimit};

use crate::agent::gpu::visible;
use crate::agent::process::user::Account;
use crate::agent::runtime::Launch;
use crate::model::reason::Reason;

/// What the holder does. Its arguments: the soft and hard limit of open files, a count of files that take a process
/// into a control group, these files, and the command. Descriptor 3 is the life file, closed in the command; 4 is the
/// command's standard error, kept apart from the shell's remarks. What cannot be written down is not started. Until the
/// command is, a signal ends the shell.
const HOLD: &str = r#"exec 3>&0 4>&2 </dev/null 2>/dev/null
{ read -r stat <"/proc/$$/stat" && echo "$stat" >&3; } || exit 1
ulimit -S -n "$1"
ulimit -H -n "$2"
joins=$3
shift 3
while [ "$joins" -gt 0 ]; do echo $$ >"$1"; shift; joins=$((joins - 1)); done
trap : TERM HUP INT QUIT
"$@" 3>&- 2>&4 4>&-
echo "exit $?" >&3"#;

/// Gives variables their own names back, then becomes the command. Its arguments: these names, `--`, and the command. The
/// names are identifiers, which the agent has checked; a variable of this text's own could be one of them.
const RENAME: &str = r#"while [ "$1" != -- ]; do
    eval "export $1=\"\${STAYER_TASK_$1}\"; unset STAYER_TASK_$1"
    shift
done
shift
exec "$@""#;

/// The start of the harmless names.
const HARMLESS: &str = "STAYER_TASK_";

/// A shell takes these from nobody.
const READ_ONLY: [&str; 6] = ["BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID"];

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The shell of the host.
pub const SHELL: &str = "/bin/sh";

/// Enough for servers of many connections, not so much that programs which close all they might have take seconds.
const SOFT_FILES: u64 = 65_536;
const HARD_FILES: u64 = 1_048_576;

/// What the holder is started with.
pub struct Hold<'a> {
    /// The launch.
    pub launch: &'a Launch,
    /// The account, if not the agent's own.
    pub account: Option<&'a Account>,
    /// The control groups it joins.
    pub groups: &'a [PathBuf],
    /// The claimed life file.
    pub life: File,
    /// The process's outputs.
    pub outputs: (File, File),
}

// === impl Hold ===

impl Hold<'_> {
    /// Starts the holder, in a process group of its own.
    pub fn spawn(self) -> io::Result<Child> {
        let command = line(self.launch, self.account, None);
        let (stdout, stderr) = self.outputs;
        let mut shell = Command::new(SHELL);
        shell.arg("-c").arg(HOLD).arg("stayer").args(file_limits());
        shell.arg(self.groups.len().to_string());
        shell.args(self.groups.iter().map(|group| group.join("cgroup.procs")));
        shell.args(command);
        shell.env_clear().envs(held_environment(self.launch, self.account));
        shell.current_dir(&self.launch.dir).process_group(0);
        shell.stdin(Stdio::from(self.life)).stdout(stdout).stderr(stderr);
        shell.spawn()
    }
}

/// What is run as an account: another text for the shell, or the launch's own command.
pub fn line(launch: &Launch, account: Option<&Account>, other: Option<&str>) -> Vec<OsString> {
    let mut line = Vec::new();
    if let Some(account) = account {
        line.extend(account.prefix());
        line.extend([SHELL, "-c", RENAME, "stayer"].map(OsString::from));
        line.extend(environment(launch).into_keys().map(OsString::from));
        line.push("--".into());
    }
    let container = launch.spec.container();
    let own = container.cmd.as_deref().filter(|cmd| !cmd.is_empty());
    match other.or(own) {
        Some(text) => line.extend([SHELL, "-c", text].map(OsString::from)),
        None => line.extend(container.args.iter().map(OsString::from)),
    }
    line
}

/// Checks that there is something to run, and that the agent can run it.
///
/// # Errors
/// With the reason why this can never start here.
pub fn check(launch: &Launch) -> Result<Option<Account>, Reason> {
    let container = launch.spec.container();
    let refuse = |detail: &str| Err(Reason::Other { detail: detail.to_owned() });
    if container.cmd.as_deref().unwrap_or_default().is_empty() && container.args.is_empty() {
        return refuse("there is nothing to run: the app has neither cmd nor args");
    }
    if !container.volumes().is_empty() {
        return refuse("an app without an image sees the host's own files; it cannot have volumes");
    }
    Account::find(container.user.as_deref())
}

/// What the process sees: what it was launched with, over defaults. Names that no shell could pass on are left out.
fn environment(launch: &Launch) -> BTreeMap<String, String> {
    let sandbox = launch.dir.display().to_string();
    let mut all = BTreeMap::from([
        ("PATH".to_owned(), PATH.to_owned()),
        ("HOME".to_owned(), sandbox.clone()),
    ]);
    let passes = |name: &str| {
        is_identifier(name) && !READ_ONLY.contains(&name) && !name.starts_with(HARMLESS)
    };
    all.extend(launch.env.clone().into_iter().filter(|(name, _)| passes(name)));
    all.extend(visible::for_process(&launch.place.devices));
    all.insert("MESOS_SANDBOX".to_owned(), sandbox);
    all
}

/// What the holder is started with: the environment itself, or under harmless names where it is another account's. The
/// mark is in both, since by it the processes of a sandbox are found.
pub fn held_environment(launch: &Launch, account: Option<&Account>) -> BTreeMap<String, String> {
    let plain = environment(launch);
    if account.is_none() {
        return plain;
    }
    let mark = [("MESOS_SANDBOX".to_owned(), launch.dir.display().to_string())];
    let hidden = plain.into_iter().map(|(name, value)| (format!("{HARMLESS}{name}"), value));
    hidden.chain(mark).collect()
}

fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first == b'_' || first.is_ascii_alphabetic())
        && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

/// The soft and hard limit of open files, within the agent's own.
fn file_limits() -> [String; 2] {
    let own = getrlimit(Resource::Nofile).maximum.unwrap_or(HARD_FILES);
    let hard = HARD_FILES.min(own);
    [SOFT_FILES.min(hard).to_string(), hard.to_string()]
}
