//! What the engine has of a container that has ended: the end of both outputs, and from which image it was made.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures::TryStreamExt;
use serde::Deserialize;

use crate::agent::autopsy::window::Window;
use crate::agent::docker::DockerRuntime;
use crate::agent::docker::call::CallError;
use crate::agent::docker::image::ImageRef;
use crate::agent::runtime::{RuntimeError, SandboxId};
use crate::model::evidence::{Image, Output};

/// What is left of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// Its image.
    pub image: Option<Image>,
    /// The end of its standard output.
    pub stdout: Output,
    /// The end of its standard error.
    pub stderr: Output,
}

/// What is read of an image.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Inspected {
    repo_digests: Option<Vec<String>>,
}

/// So many of the last entries of both outputs together are read: of a quiet output what lies further back is not looked
/// for, since one crash must not have the engine read all that it has of a talkative one.
const BACK: u32 = 4_096;

/// The longest that the engine may take to read them.
const LIMIT: Duration = Duration::from_secs(10);

const WHAT: &str = "read the log";

// === impl DockerRuntime ===

impl DockerRuntime {
    /// What is left of a life; nothing of one that has no container.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn remains(&self, id: SandboxId) -> Result<Remains, RuntimeError> {
        let Some(seen) = self.own(id).await? else { return Ok(Remains::default()) };
        let image = Image {
            digest: self.digest(&seen.image, &seen.image_id).await,
            name: seen.image,
            id: seen.image_id,
        };
        let (stdout, stderr) = self.last_words(&seen.id).await;
        Ok(Remains { image: Some(image), stdout, stderr })
    }

    /// The digest under which the registry of `name` has an image; also of an image whose name has moved on since.
    async fn digest(&self, name: &str, id: &str) -> Option<String> {
        let path = format!("/images/{id}/json");
        let inspected: Result<Inspected, CallError> =
            self.caller.get("look at the image", &path).await;
        digest_of(name, &inspected.ok()?.repo_digests.unwrap_or_default())
    }

    async fn last_words(&self, container: &str) -> (Output, Output) {
        let (mut stdout, mut stderr, mut entries) = (Window::default(), Window::default(), 0);
        let reading = async {
            self.caller.ready().await.map_err(|error| error.to_string())?;
            let options = LogsOptionsBuilder::default().stdout(true).stderr(true);
            let options = options.tail(&BACK.to_string()).build();
            let mut all = std::pin::pin!(self.caller.docker().logs(container, Some(options)));
            let broken = |error| CallError::from_client(WHAT, error).to_string();
            while let Some(entry) = all.try_next().await.map_err(broken)? {
                entries += 1;
                match entry {
                    LogOutput::StdOut { message } | LogOutput::Console { message } => {
                        stdout.push(&message);
                    }
                    LogOutput::StdErr { message } => stderr.push(&message),
                    LogOutput::StdIn { .. } => {}
                }
            }
            Ok(())
        };
        let late = || Err(format!("the engine took longer than {} s to read it", LIMIT.as_secs()));
        let read = tokio::time::timeout(LIMIT, reading).await.unwrap_or_else(|_| late());
        if entries >= BACK {
            stdout.begins_late();
            stderr.begins_late();
        }
        let unread = read.err();
        let output = |window: Window| Output { unread: unread.clone(), ..window.output() };
        (output(stdout), output(stderr))
    }
}

/// Of the names under which an image is known with a digest, the one that was asked for, else any.
fn digest_of(name: &str, known: &[String]) -> Option<String> {
    let name = ImageRef::parse(name).name;
    let is_of = |known: &&String| {
        let repository = known.split('@').next().unwrap_or_default();
        repository == name || repository.ends_with(&format!("/{name}"))
    };
    let found = known.iter().find(is_of).or(known.first())?;
    found.split_once('@').map(|(_, digest)| digest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_the_name_that_was_asked_for() {
        let known = ["other/redis@sha256:1", "docker.io/library/redis@sha256:2"];
        let known = known.map(str::to_owned);
        assert_eq!(digest_of("library/redis:7", &known).as_deref(), Some("sha256:2"));
        assert_eq!(digest_of("nginx", &known).as_deref(), Some("sha256:1"), "any is better");
        assert_eq!(digest_of("busybox:local", &[]), None, "never pulled");
    }
}
