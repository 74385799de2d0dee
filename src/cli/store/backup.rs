//! A backup of a running server, asked for over the socket in its data directory.
//!
//! Who may open that directory may back it up; there is no other right to it. The file appears whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::cli::failure::Failure;

/// Where a server listens for its operator, below its data directory.
const SOCKET: &str = "server/control.sock";
/// The longest silence of the server.
const SILENCE: Duration = Duration::from_mins(1);

/// A file that is being written beside its place, and leaves nothing behind unless it is kept.
struct Part {
    file: File,
    path: PathBuf,
    place: PathBuf,
    kept: bool,
}

/// Writes a backup of the server that runs on `data_dir` to `place`, and says how many bytes it has.
///
/// # Errors
/// When no server runs there, it refuses, or the file cannot be written.
pub async fn fetch(data_dir: &Path, place: &Path) -> Result<u64, Failure> {
    let socket = data_dir.join(SOCKET);
    let answer = ask(&socket).await?;
    let mut body = good_body(answer).await?;
    let mut part = Part::create(place).map_err(|error| unwritable(place, &error))?;
    let mut written = 0;
    while let Some(bytes) = next(&mut body).await? {
        part.file.write_all(&bytes).map_err(|error| unwritable(place, &error))?;
        written += bytes.len() as u64;
    }
    part.keep().map_err(|error| unwritable(place, &error))?;
    Ok(written)
}

// === impl Part ===

impl Part {
    fn create(place: &Path) -> io::Result<Part> {
        let name = place.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_string_lossy();
        let path = place.with_file_name(format!(".{name}.part-{}", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Part { file, path, place: place.to_owned(), kept: false })
    }

    /// Puts the file in its place, on disk.
    fn keep(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.place)?;
        self.kept = true;
        let parent = self.place.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now is named so that nobody takes it for a backup.
            let _left_behind = fs::remove_file(&self.path);
        }
    }
}

async fn ask(socket: &Path) -> Result<Response<Incoming>, Failure> {
    let away = |error: &dyn std::error::Error| {
        let socket = socket.display();
        Failure::Unreachable(format!("no server answers at {socket}: {error}"))
    };
    let stream = UnixStream::connect(socket).await.map_err(|error| away(&error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| away(&error))?;
    // It ends with the connection; what goes wrong in it is seen by the reader of the body.
    tokio::spawn(connection);
    let request = Request::get("/backup")
        .header("host", "localhost")
        .body(Empty::<Bytes>::new())
        .map_err(|error| away(&error))?;
    let answer = timeout(SILENCE, sender.send_request(request)).await.map_err(|_| silent())?;
    answer.map_err(|error| away(&error))
}

async fn good_body(answer: Response<Incoming>) -> Result<Incoming, Failure> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer.into_body());
    }
    let body = timeout(SILENCE, answer.into_body().collect()).await.map_err(|_| silent())?;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let reason = status.canonical_reason().unwrap_or_default();
    Err(Failure::of_answer(status.as_u16(), reason, &body))
}

/// The next bytes; nothing at the end.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
    loop {
        match timeout(SILENCE, body.frame()).await.map_err(|_| silent())? {
            None => return Ok(None),
            Some(Err(error)) => {
                return Err(Failure::Unreachable(format!("the backup was cut short: {error}")));
            }
            // Trailers carry nothing of the backup.
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

fn silent() -> Failure {
    Failure::Unreachable(format!("the server was silent for {} s", SILENCE.as_secs()))
}

fn unwritable(place: &Path, error: &io::Error) -> Failure {
    Failure::Usage(format!("{} cannot be written: {error}", place.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    use super::*;
    use crate::cli::failure::Exit;

    /// A data directory whose server gives `answer` to whatever comes first, and what it was asked.
    async fn backup(answer: &'static str) -> (Result<u64, Failure>, tempfile::TempDir, String) {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("server")).expect("a directory");
        let listener = UnixListener::bind(dir.path().join(SOCKET)).expect("a socket");
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut asked = vec![0; 1024];
            let count = stream.read(&mut asked).await.expect("a request");
            stream.write_all(answer.as_bytes()).await.expect("a listening client");
            String::from_utf8_lossy(&asked[..count]).into_owned()
        });
        let result = fetch(dir.path(), &dir.path().join("file")).await;
        (result, dir, server.await.expect("a server that ends well"))
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry"));
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    #[tokio::test]
    async fn a_backup_is_written_whole_and_for_its_owner_alone() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nlines";
        let (result, dir, asked) = backup(answer).await;
        assert_eq!(result, Ok(5));
        assert!(asked.starts_with("GET /backup HTTP/1.1\r\n"), "{asked}");
        let file = dir.path().join("file");
        assert_eq!(fs::read_to_string(&file).expect("written"), "lines");
        let mode = fs::metadata(&file).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_backup_that_is_cut_short_leaves_nothing() {
        let (result, dir, _) = backup("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nlines").await;
        assert_eq!(result.map_err(|failure| failure.exit()), Err(Exit::Unreachable));
        assert_eq!(names(dir.path()), ["server"]);
    }

    #[tokio::test]
    async fn a_server_that_refuses_is_heard() {
        let answer =
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 19\r\n\r\n{\"message\":\"later\"}";
        let (result, dir, _) = backup(answer).await;
        assert_eq!(result, Err(Failure::Server("later".to_owned())));
        assert_eq!(names(dir.path()), ["server"]);
    }

    #[tokio::test]
    async fn without_a_server_the_socket_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let failure =
            fetch(dir.path(), &dir.path().join("file")).await.expect_err("nobody is there");
        assert_eq!(failure.exit(), Exit::Unreachable);
        assert!(failure.to_string().contains("server/control.sock"), "{failure}");
    }
}
