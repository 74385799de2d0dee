//! The account that a process runs as.
//!
//! An agent that is root starts processes for any account through `setpriv`; another agent only for its own.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User, geteuid};

use crate::model::reason::Reason;

/// Another account than the agent's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    setpriv: PathBuf,
    uid: u32,
    gid: u32,
}

const SETPRIV: [&str; 4] =
    ["/usr/bin/setpriv", "/bin/setpriv", "/usr/local/bin/setpriv", "/usr/sbin/setpriv"];

// === impl Account ===

impl Account {
    /// The account of that name or number; none when it is the agent's own.
    ///
    /// # Errors
    /// When there is no such account, or the agent cannot start processes for it.
    pub fn find(name: Option<&str>) -> Result<Option<Account>, Reason> {
        let Some(name) = name else { return Ok(None) };
        let user = lookup(name)?;
        if user.uid == geteuid() {
            return Ok(None);
        }
        if !geteuid().is_root() {
            return Err(other(format!(
                "user {name}: the agent is not root and starts processes as its own account only"
            )));
        }
        let setpriv = SETPRIV.iter().map(PathBuf::from).find(|path| path.exists());
        let setpriv = setpriv.ok_or_else(|| {
            other(format!("user {name}: setpriv (of util-linux) is not on this host"))
        })?;
        Ok(Some(Account { setpriv, uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
    }

    /// The start of a command line that runs the rest of it as this account.
    pub fn prefix(&self) -> Vec<OsString> {
        vec![
            self.setpriv.clone().into_os_string(),
            format!("--reuid={}", self.uid).into(),
            format!("--regid={}", self.gid).into(),
            "--init-groups".into(),
            "--".into(),
        ]
    }

    /// Gives a directory and all in it to this account. Links are given away themselves, never what they point to.
    pub fn own(&self, path: &Path) -> io::Result<()> {
        if fs::symlink_metadata(path)?.is_dir() {
            for entry in fs::read_dir(path)? {
                self.own(&entry?.path())?;
            }
        }
        lchown(path, Some(self.uid), Some(self.gid))
    }
}

fn lookup(name: &str) -> Result<User, Reason> {
    let found = match name.parse() {
        Ok(uid) => User::from_uid(Uid::from_raw(uid)),
        Err(_) => User::from_name(name),
    };
    match found {
        Ok(Some(user)) => Ok(user),
        Ok(None) => Err(other(format!("user {name}: no such account on this host"))),
        Err(error) => Err(other(format!("user {name}: {error}"))),
    }
}

fn other(detail: String) -> Reason {
    Reason::Other { detail }
}
