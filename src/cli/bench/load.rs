//! Many GETs of one path over some connections: a generator that costs little, so that what is measured is the server.
//!
//! It writes the same bytes again and again and reads as many bytes as the answer announces, nothing more.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cli::bench::host::Stopwatch;
use crate::cli::failure::Failure;

/// Read at once.
const CHUNK: usize = 256 * 1_024;

/// The end of an answer's headers.
const HEAD_END: &[u8] = b"\r\n\r\n";

struct Caller {
    stream: TcpStream,
    buffer: Vec<u8>,
    request: Vec<u8>,
}

/// So many GETs on each of so many connections; answers a second.
///
/// # Errors
/// When an answer is no 200 of a known length.
pub async fn gets(
    address: SocketAddr,
    path: &str,
    connections: usize,
    each: usize,
) -> Result<f64, Failure> {
    let mut callers = Vec::new();
    for _ in 0..connections {
        let mut caller = Caller::new(address, path).await.map_err(broken)?;
        // What is made on a first call is not what is measured.
        caller.call().await.map_err(broken)?;
        callers.push(caller);
    }
    let watch = Stopwatch::start();
    let mut running = tokio::task::JoinSet::new();
    for mut caller in callers {
        running.spawn(async move {
            for _ in 0..each {
                caller.call().await?;
            }
            Ok::<(), std::io::Error>(())
        });
    }
    for done in running.join_all().await {
        done.map_err(broken)?;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let answers = (connections * each) as f64;
    Ok(answers / watch.seconds())
}

// === impl Caller ===

impl Caller {
    async fn new(address: SocketAddr, path: &str) -> std::io::Result<Caller> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").into_bytes();
        Ok(Caller { stream, buffer: vec![0; CHUNK], request })
    }

    async fn call(&mut self) -> std::io::Result<()> {
        self.stream.write_all(&self.request).await?;
        let mut filled = 0;
        let head = loop {
            if let Some(end) = find(&self.buffer[..filled], HEAD_END) {
                break end + HEAD_END.len();
            }
            filled += self.read(filled).await?;
        };
        let length = length(&self.buffer[..head])?;
        let mut left = (head + length).saturating_sub(filled);
        while left > 0 {
            left = left.saturating_sub(self.read(0).await?);
        }
        Ok(())
    }

    async fn read(&mut self, from: usize) -> std::io::Result<usize> {
        match self.stream.read(&mut self.buffer[from..]).await? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }
}

fn length(head: &[u8]) -> std::io::Result<usize> {
    // Nothing is copied, so that headers cost the generator next to nothing.
    let text = std::str::from_utf8(head).unwrap_or_default();
    let value = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    };
    match text.lines().find_map(value) {
        Some(length) if text.starts_with("HTTP/1.1 200") => Ok(length),
        Some(_) | None => Err(std::io::Error::other(text.lines().next().unwrap_or("").to_owned())),
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn broken(error: std::io::Error) -> Failure {
    Failure::Failed(format!("the load broke off: {error}"))
}
