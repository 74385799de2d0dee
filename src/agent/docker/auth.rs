//! Credentials for a registry, from the host's own Docker configuration: what `docker login` left there.
//!
//! Helper programs are started directly, never through a shell. One that fails leaves the pull without credentials and
//! its trouble beside the pull's own error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::agent::docker::image::DOCKER_HUB;

/// Where credentials are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyring {
    /// `config.json` of the account; without it nothing is sent to any registry.
    pub config: Option<PathBuf>,
    /// Where helper programs are; absent means the search path.
    pub helpers: Option<PathBuf>,
}

/// What was found for one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The value of `X-Registry-Auth`, if there are credentials.
    pub header: Option<String>,
    /// Why there are none although there should be.
    pub trouble: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    auths: BTreeMap<String, Auth>,
    #[serde(rename = "credHelpers")]
    cred_helpers: BTreeMap<String, String>,
    #[serde(rename = "credsStore")]
    creds_store: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Auth {
    #[serde(rename = "auth")]
    pair: String,
    username: String,
    password: String,
    identitytoken: String,
}

/// A helper's answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Secret {
    username: String,
    secret: String,
}

/// The name that Docker's own registry has in configurations.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// What a helper says for "not mine".
const NOT_FOUND: &str = "credentials not found";

// === impl Keyring ===

impl Keyring {
    /// The credentials for `registry`, a host with its port.
    pub async fn lookup(&self, registry: &str) -> Credentials {
        match self.search(registry).await {
            Ok(header) => Credentials { header, trouble: None },
            Err(trouble) => Credentials { header: None, trouble: Some(trouble) },
        }
    }

    async fn search(&self, registry: &str) -> Result<Option<String>, String> {
        let Some(path) = &self.config else { return Ok(None) };
        let Some(config) = read(path).await? else { return Ok(None) };
        let key = if registry == DOCKER_HUB { HUB_KEY } else { registry };
        let by_host = config.cred_helpers.iter().find(|(host, _)| is_same(host, registry));
        if let Some(helper) = by_host.map(|(_, helper)| helper).or(config.creds_store.as_ref())
            && let Some(secret) = self.ask(helper, key).await?
        {
            return Ok(Some(secret.header(key)));
        }
        let auth = config.auths.iter().find(|(host, _)| is_same(host, registry));
        auth.map_or(Ok(None), |(_, auth)| auth.header(key))
    }

    async fn ask(&self, helper: &str, key: &str) -> Result<Option<Secret>, String> {
        const DEADLINE: Duration = Duration::from_secs(30);
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if helper.is_empty() || !helper.chars().all(is_name) {
            return Err(format!("{helper} is no name of a credential helper"));
        }
        let name = format!("docker-credential-{helper}");
        let program =
            self.helpers.as_ref().map_or_else(|| PathBuf::from(&name), |dir| dir.join(&name));
        match tokio::time::timeout(DEADLINE, run(&program, key)).await {
            Ok(Ok(answer)) => parse_answer(&name, &answer),
            Ok(Err(error)) => Err(format!("{name}: {error}")),
            Err(_) => Err(format!("{name}: no answer within 30 s")),
        }
    }
}

// === impl Auth ===

impl Auth {
    fn header(&self, key: &str) -> Result<Option<String>, String> {
        if !self.identitytoken.is_empty() {
            return Ok(Some(token_header(&self.identitytoken, key)));
        }
        if self.pair.is_empty() {
            let given = !self.username.is_empty();
            return Ok(given.then(|| password_header(&self.username, &self.password, key)));
        }
        let pair =
            STANDARD.decode(self.pair.trim()).ok().and_then(|raw| String::from_utf8(raw).ok());
        let pair = pair
            .ok_or_else(|| format!("the entry for {key} in the Docker configuration is broken"))?;
        let (user, password) = pair.split_once(':').unwrap_or((&pair, ""));
        Ok(Some(password_header(user, password.trim_end_matches('\0'), key)))
    }
}

// === impl Secret ===

impl Secret {
    fn header(&self, key: &str) -> String {
        if self.username == "<token>" {
            token_header(&self.secret, key)
        } else {
            password_header(&self.username, &self.secret, key)
        }
    }
}

async fn read(path: &Path) -> Result<Option<Config>, String> {
    let text = match tokio::fs::read(path).await {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| format!("{}: {error}", path.display()))
}

async fn run(program: &Path, key: &str) -> std::io::Result<std::process::Output> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read its input still has an answer or an exit code.
        let _ = input.write_all(key.as_bytes()).await;
    }
    child.wait_with_output().await
}

fn parse_answer(name: &str, answer: &std::process::Output) -> Result<Option<Secret>, String> {
    if answer.status.success() {
        let secret = serde_json::from_slice(&answer.stdout);
        return secret.map(Some).map_err(|_| format!("{name}: its answer is not understood"));
    }
    let said = String::from_utf8_lossy(if answer.stdout.is_empty() {
        &answer.stderr
    } else {
        &answer.stdout
    });
    if said.contains(NOT_FOUND) {
        Ok(None)
    } else {
        Err(format!("{name}: {} ({})", said.trim(), answer.status))
    }
}

/// Configurations name a registry with or without scheme and path.
fn is_same(entry: &str, registry: &str) -> bool {
    let bare = entry.strip_prefix("https://").or(entry.strip_prefix("http://")).unwrap_or(entry);
    let host = bare.split('/').next().unwrap_or_default();
    host == registry
        || registry == DOCKER_HUB && (host == "index.docker.io" || host == "registry-1.docker.io")
}

fn password_header(username: &str, password: &str, server: &str) -> String {
    encode(&serde_json::json!({
        "username": username, "password": password, "serveraddress": server,
    }))
}

fn token_header(token: &str, server: &str) -> String {
    encode(&serde_json::json!({ "identitytoken": token, "serveraddress": server }))
}

/// Engines read the URL-safe alphabet alone.
fn encode(value: &serde_json::Value) -> String {
    URL_SAFE.encode(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn keyring(config: &str) -> (tempfile::TempDir, Keyring) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.json");
        std::fs::write(&path, config).expect("written");
        let helpers = dir.path().to_owned();
        (dir, Keyring { config: Some(path), helpers: Some(helpers) })
    }

    fn helper(keyring: &Keyring, name: &str, script: &str) {
        let path = keyring
            .helpers
            .as_ref()
            .expect("a directory")
            .join(format!("docker-credential-{name}"));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .expect("made executable");
    }

    fn decoded(found: &Credentials) -> serde_json::Value {
        let raw = URL_SAFE.decode(found.header.as_ref().expect("credentials")).expect("base64");
        serde_json::from_slice(&raw).expect("json")
    }

    #[tokio::test]
    async fn entries_of_docker_login_are_found_under_every_spelling() {
        let (_dir, keyring) = keyring(
            r#"{"auths": {"https://index.docker.io/v1/": {"auth": "bWU6c2U6Y3JldA=="},
                "localhost:5000": {"identitytoken": "t"}, "https://r.example.org/v2/": {"auth": "YTpi"}}}"#,
        );
        let hub = decoded(&keyring.lookup("docker.io").await);
        assert_eq!((&hub["username"], &hub["password"]), (&"me".into(), &"se:cret".into()));
        assert_eq!(hub["serveraddress"], HUB_KEY);
        assert_eq!(decoded(&keyring.lookup("localhost:5000").await)["identitytoken"], "t");
        assert_eq!(decoded(&keyring.lookup("r.example.org").await)["username"], "a");
        assert_eq!(keyring.lookup("other.example.org").await, Credentials::default());
    }

    #[tokio::test]
    async fn a_helper_is_asked_on_its_input_and_its_trouble_is_told() {
        let (_dir, keyring) = keyring(
            r#"{"credHelpers": {"r.example.org": "good", "s.example.org": "none", "t.example.org": "bad",
                "u.example.org": "../evil", "v.example.org": "absent"}}"#,
        );
        helper(&keyring, "good", r#"read host; echo "{\"Username\":\"$1\",\"Secret\":\"$host\"}""#);
        helper(&keyring, "none", "echo credentials not found in native keychain; exit 1");
        helper(&keyring, "bad", "echo locked; exit 1");
        let good = decoded(&keyring.lookup("r.example.org").await);
        assert_eq!(
            (&good["username"], &good["password"]),
            (&"get".into(), &"r.example.org".into())
        );
        assert_eq!(keyring.lookup("s.example.org").await, Credentials::default());
        for (host, text) in [("t", "locked"), ("u", "no name"), ("v", "No such file")] {
            let trouble = keyring.lookup(&format!("{host}.example.org")).await.trouble;
            assert!(trouble.as_ref().is_some_and(|told| told.contains(text)), "{trouble:?}");
        }
    }
}
