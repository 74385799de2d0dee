//! Processes as the kernel shows them in `/proc`: who one is, and who belongs to a group.
//!
//! A process id alone names nobody, since it is used again; with its start time it does. Nothing here sends a signal.

use std::fs;
use std::io;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::Pid;

/// One process, for as long as the host is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub pid: Pid,
    /// When it started, in clock ticks since the host did.
    pub start: u64,
}

/// What `/proc/<pid>/stat` says, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Who it is.
    pub who: Holder,
    /// Its process group.
    pub group: i32,
    /// It has ended and nobody has asked for its status.
    pub zombie: bool,
}

// === impl Holder ===

impl Holder {
    /// Whether it still runs. One that ended and was not asked for its status does not. An error is no evidence of an
    /// end.
    pub fn runs(self) -> io::Result<bool> {
        Ok(Stat::of(self.pid)?.is_some_and(|stat| stat.who == self && !stat.zombie))
    }

    /// Whether a child of it has become the command. Between its birth and then a child is a copy of the shell, with the
    /// shell's own way of taking signals. A kernel that does not tell is taken to mean yes.
    pub fn has_command(self) -> bool {
        let pid = self.pid;
        let Ok(children) = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")) else {
            return true;
        };
        let line = |of: &str| fs::read(format!("/proc/{of}/cmdline")).unwrap_or_default();
        let own = line(&pid.to_string());
        let mut lines = children.split_ascii_whitespace().map(line);
        lines.any(|line| !line.is_empty() && line != own)
    }

    /// Whether its id, and so its group's, still belongs to it.
    pub fn holds_its_id(self) -> io::Result<bool> {
        Ok(Stat::of(self.pid)?.is_some_and(|stat| stat.who == self))
    }
}

// === impl Stat ===

impl Stat {
    /// What the kernel says of `pid`; none when there is no such process.
    pub fn of(pid: Pid) -> io::Result<Option<Stat>> {
        match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(line) => Ok(Stat::parse(&line)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a line of `/proc/<pid>/stat`. The name in it may hold anything, so fields count from its last parenthesis.
    pub fn parse(line: &str) -> Option<Stat> {
        /// Of the fields behind the name; `proc(5)` counts them from 3.
        const GROUP: usize = 2;
        const START: usize = 19;
        let (pid, _) = line.split_once(' ')?;
        let (_, rest) = line.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let who = Holder {
            pid: Pid::from_raw(pid.parse().ok()?)?,
            start: fields.get(START)?.parse().ok()?,
        };
        let zombie = matches!(*fields.first()?, "Z" | "X");
        Some(Stat { who, group: fields.get(GROUP)?.parse().ok()?, zombie })
    }
}

/// This run of the host: ids and start times mean nothing in another.
pub fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// The running members of a process group that carry `mark` in the environment they were started with. The mark keeps
/// us from a stranger's group that got the number of one of ours.
pub fn members(group: Pid, mark: &str) -> Vec<Holder> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().and_then(Pid::from_raw))
        .filter_map(|pid| Stat::of(pid).ok().flatten())
        .filter(|stat| stat.group == group.as_raw_nonzero().get() && !stat.zombie)
        .filter(|stat| has_mark(stat.who.pid, mark))
        .map(|stat| stat.who)
        .collect()
}

fn has_mark(pid: Pid, mark: &str) -> bool {
    fs::read(Path::new("/proc").join(pid.to_string()).join("environ"))
        .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_moves_no_field() {
        let line = "42 (a) b (c) S 1 40 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 165332 2654208 407";
        let stat = Stat::parse(line).expect("a stat line");
        assert_eq!(stat.who.pid.as_raw_nonzero().get(), 42);
        assert_eq!((stat.who.start, stat.group, stat.zombie), (165_332, 40, false));
        assert!(Stat::parse("42 (a) Z 1 40").is_none(), "a torn line names nobody");
    }

    #[test]
    fn a_copy_of_the_shell_is_not_yet_the_command() {
        use std::process::{Command, Stdio};
        // The copy in brackets waits for its input, then becomes the command.
        let text = "(read -r go; exec sleep 1000) <&3 & wait";
        let mut shell = Command::new("/bin/sh")
            .args(["-c", &format!("exec 3<&0; {text}")])
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        let pid = Pid::from_raw(shell.id().try_into().expect("a pid")).expect("not 0");
        let holder = Stat::of(pid).expect("readable").expect("it runs").who;
        let children = || {
            let path = format!("/proc/{pid}/task/{pid}/children");
            fs::read_to_string(path).expect("this kernel tells").trim().to_owned()
        };
        while children().is_empty() {
            std::thread::yield_now();
        }
        let child = children();
        assert!(!holder.has_command());
        let mut input = shell.stdin.take().expect("piped");
        std::io::Write::write_all(&mut input, b"go\n").expect("it reads");
        while !holder.has_command() {
            std::thread::yield_now();
        }
        let _both = Command::new("kill").args(["-KILL", &child, &pid.to_string()]).status();
        shell.wait().expect("it ends");
    }

    #[test]
    fn an_id_with_another_start_time_is_somebody_else() {
        let own =
            Stat::of(rustix::process::getpid()).expect("readable").expect("this very process").who;
        assert!(own.runs().expect("readable"));
        assert!(!Holder { start: own.start + 1, ..own }.runs().expect("readable"));
    }
}
