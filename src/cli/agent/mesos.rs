//! A Mesos agent's configuration directory, as packages of Mesos lay it out: one file for each flag, its content the value.
//!
//! `attributes` and `resources` may be directories with a file for each name; a file named `?flag` sets a flag without a
//! value. What means nothing here is named, never silently dropped: whoever moves a host wants to know.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// What a directory says that means something to this agent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct MesosDir {
    /// `attributes`, in Mesos' form.
    pub attributes: Option<String>,
    /// `resources`, in Mesos' form.
    pub resources: Option<String>,
    /// `hostname`.
    pub hostname: Option<String>,
    /// `ip`.
    pub ip: Option<String>,
    /// `default_role`.
    pub default_role: Option<String>,
    /// `executor_registration_timeout`, in seconds: an image was pulled and a container started within it.
    pub launch_seconds: Option<u32>,
    /// `work_dir`.
    pub work_dir: Option<PathBuf>,
    /// `docker_socket`.
    pub docker_socket: Option<String>,
    /// `containerizers` leaves `docker` out.
    pub without_docker: bool,
    /// Files that mean nothing here, with why where that is known.
    pub unused: Vec<String>,
}

const LAUNCH_TIMEOUT: &str = "executor_registration_timeout";

/// Mesos' units of time, in nanoseconds.
const UNITS: &[(&str, f64)] = &[
    ("ns", 1.0),
    ("us", 1e3),
    ("ms", 1e6),
    ("secs", 1e9),
    ("mins", 6e10),
    ("hrs", 3.6e12),
    ("days", 8.64e13),
    ("weeks", 6.048e14),
];

/// What means nothing here and need not be missed.
const NEEDLESS: &[(&str, &str)] =
    &[("master", "--server says whom to dial"), ("port", "no port is opened, the agent dials")];

// === impl MesosDir ===

impl MesosDir {
    /// Reads `dir`.
    ///
    /// # Errors
    /// When something in it cannot be read, with the path.
    pub fn read(dir: &Path) -> Result<MesosDir, String> {
        let mut flags = read(dir)?;
        let mut take = |name: &str| flags.remove(name).filter(|value| !value.is_empty());
        let mut found = MesosDir {
            attributes: take("attributes"),
            resources: take("resources"),
            hostname: take("hostname"),
            ip: take("ip"),
            default_role: take("default_role"),
            work_dir: take("work_dir").map(PathBuf::from),
            docker_socket: take("docker_socket"),
            ..MesosDir::default()
        };
        if let Some(time) = take(LAUNCH_TIMEOUT) {
            found.launch_seconds = match seconds(&time) {
                Some(seconds) => Some(seconds),
                None => return Err(format!("{LAUNCH_TIMEOUT} is no time of Mesos': {time}")),
            };
        }
        if let Some(kinds) = take("containerizers") {
            found.without_docker = !kinds.split(',').any(|kind| kind.trim() == "docker");
        }
        found.unused = flags.into_keys().map(explained).collect();
        Ok(found)
    }
}

/// Every flag with its value.
fn read(dir: &Path) -> Result<BTreeMap<String, String>, String> {
    let mut flags = BTreeMap::new();
    for (name, path) in list(dir)? {
        let value = if path.is_dir() {
            let files = list(&path)?.into_iter();
            let pairs =
                files.map(|(name, file)| text(&file).map(|value| format!("{name}:{value}")));
            pairs.collect::<Result<Vec<_>, _>>()?.join(";")
        } else {
            text(&path)?
        };
        flags.insert(name.trim_start_matches('?').to_owned(), value);
    }
    Ok(flags)
}

/// What is in a directory, by name; what is hidden is nobody's flag.
fn list(dir: &Path) -> Result<BTreeMap<String, PathBuf>, String> {
    let failed = |error: io::Error| format!("{} cannot be read: {error}", dir.display());
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            found.insert(name, entry.path());
        }
    }
    Ok(found)
}

fn text(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    Ok(text.trim().to_owned())
}

/// A time as Mesos writes it, `5mins`, in whole seconds and at least one.
fn seconds(text: &str) -> Option<u32> {
    let of = |(unit, nanos): &(&str, f64)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        Some((number * nanos / 1e9).ceil()).filter(|seconds| *seconds >= 0.0)
    };
    let seconds = UNITS.iter().find_map(of)?.max(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was looked at")]
    (seconds <= f64::from(u32::MAX)).then_some(seconds as u32)
}

fn explained(name: String) -> String {
    match NEEDLESS.iter().find(|(needless, _)| *needless == name) {
        Some((_, why)) => format!("{name} ({why})"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, content) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, content).expect("written");
        }
        dir
    }

    #[test]
    fn the_directory_of_the_seed_is_read_as_it_is() {
        // seeds.md 4-2, 4-3.
        let dir = laid_out(&[
            ("attributes/host", "h1.example\n"),
            ("attributes/rack", "rack-2\n"),
            ("containerizers", "docker,mesos\n"),
            ("executor_registration_timeout", "5mins\n"),
            ("hostname", "h1.example\n"),
            ("ip", "10.0.0.1\n"),
            ("attributes/.keep", ""),
        ]);
        let read = MesosDir::read(dir.path()).expect("a directory");
        let text = |text: &str| Some(text.to_owned());
        let expected = MesosDir {
            attributes: text("host:h1.example;rack:rack-2"),
            hostname: text("h1.example"),
            ip: text("10.0.0.1"),
            launch_seconds: Some(300),
            ..MesosDir::default()
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn times_are_mesos_own() {
        let cases =
            [("5mins", 300), ("1.5hrs", 5_400), ("90secs", 90), ("20ms", 1), ("1weeks", 604_800)];
        for (text, expected) in cases {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in ["", "5", "mins", "-5mins", "5 minutes", "9999999weeks", "NaNsecs"] {
            assert_eq!(seconds(text), None, "{text}");
        }
        let dir = laid_out(&[("executor_registration_timeout", "soon")]);
        let refused = MesosDir::read(dir.path()).expect_err("it is no time");
        assert!(refused.contains("executor_registration_timeout is no time"), "{refused}");
    }

    #[test]
    fn flags_as_files_and_what_nobody_knows_is_named() {
        let dir = laid_out(&[
            ("attributes", "rack:rack-2;zone:a"),
            ("resources", "cpus:4;ports:[31000-32000]"),
            ("default_role", "slave_public"),
            ("work_dir", "/var/lib/mesos"),
            ("docker_socket", "/run/other.sock"),
            ("containerizers", "mesos"),
            ("isolation", "cgroups/cpu"),
            ("?no-switch_user", ""),
        ]);
        let read = MesosDir::read(dir.path()).expect("a directory");
        assert_eq!(read.attributes.as_deref(), Some("rack:rack-2;zone:a"));
        assert_eq!(read.resources.as_deref(), Some("cpus:4;ports:[31000-32000]"));
        assert_eq!(read.default_role.as_deref(), Some("slave_public"));
        assert_eq!(read.work_dir.as_deref(), Some(Path::new("/var/lib/mesos")));
        assert_eq!(read.docker_socket.as_deref(), Some("/run/other.sock"));
        assert!(read.without_docker);
        assert_eq!(read.unused, ["isolation", "no-switch_user"]);
        let missing = MesosDir::read(&dir.path().join("none")).expect_err("it is not there");
        assert!(missing.contains("none cannot be read"), "{missing}");
    }
}
