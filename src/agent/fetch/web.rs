//! Downloading over http and https.
//!
//! A name is resolved once, its addresses are judged, and the connection goes to these very addresses: a name that
//! changes its meaning between the two gains nothing. Each redirect begins anew. No proxy of the agent's environment is
//! used, since it would connect for us to what we may not.

use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use tokio::io::AsyncWriteExt;

use crate::agent::fetch::FetchConfig;
use crate::agent::fetch::cidr::{Cidr, is_open};
use crate::agent::fetch::error::FetchError;
use crate::agent::runtime::Progress;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Without a byte for so long, a download has failed.
const READ_TIMEOUT: Duration = Duration::from_mins(1);

/// Answers every question with what was judged.
struct Judged(Vec<SocketAddr>);

// === impl Judged ===

impl Resolve for Judged {
    fn resolve(&self, _name: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

/// Downloads `url` into `to`.
pub async fn download(
    url: &Url,
    config: &FetchConfig,
    to: File,
    progress: &Progress,
) -> Result<(), FetchError> {
    let mut url = url.clone();
    for _ in 0..=config.limits.redirects {
        let response = ask(&url, &config.allow).await?;
        match response.status() {
            StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT => url = next(&url, &response)?,
            status if status.is_success() => {
                return save(response, config.limits.bytes, to, progress).await;
            }
            status => return Err(FetchError::Status(status)),
        }
    }
    Err(FetchError::Redirects(config.limits.redirects))
}

async fn ask(url: &Url, allow: &[Cidr]) -> Result<Response, FetchError> {
    let addresses = judge(url, allow).await?;
    let mut client = Client::builder()
        .dns_resolver(Judged(addresses))
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .user_agent(concat!("stayer/", env!("CARGO_PKG_VERSION")));
    if url.scheme() == "http" {
        // A host without any certificate of an authority can still fetch this.
        client = client.tls_certs_only([]);
    }
    Ok(client.build()?.get(url.clone()).send().await?)
}

/// The addresses of a URL's host that may be fetched from.
async fn judge(url: &Url, allow: &[Cidr]) -> Result<Vec<SocketAddr>, FetchError> {
    let host = url.host_str().unwrap_or_default().to_owned();
    let port = url.port_or_known_default().unwrap_or(80);
    let none = |detail: String| FetchError::NoAddress { host: host.clone(), detail };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let all: Vec<SocketAddr> = match bare.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => tokio::net::lookup_host((bare, port))
            .await
            .map_err(|error| none(error.to_string()))?
            .collect(),
    };
    let open: Vec<SocketAddr> =
        all.iter().copied().filter(|address| is_open(address.ip(), allow)).collect();
    match all.first() {
        _ if !open.is_empty() => Ok(open),
        Some(closed) => Err(FetchError::Closed { host, address: closed.ip() }),
        None => Err(none("the name is known, but has none".to_owned())),
    }
}

fn next(url: &Url, response: &Response) -> Result<Url, FetchError> {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let next = location.and_then(|to| url.join(to).ok()).ok_or(FetchError::Nowhere)?;
    match next.scheme() {
        "http" | "https" => Ok(next),
        other => Err(FetchError::Scheme(other.to_owned())),
    }
}

async fn save(
    mut response: Response,
    limit: u64,
    to: File,
    progress: &Progress,
) -> Result<(), FetchError> {
    let mut left = limit;
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(FetchError::TooLarge(limit));
    }
    let mut file = tokio::fs::File::from_std(to);
    while let Some(chunk) = response.chunk().await? {
        let size = chunk.len() as u64;
        left = left.checked_sub(size).ok_or(FetchError::TooLarge(limit))?;
        file.write_all(&chunk).await?;
        progress.send_modify(|bytes| *bytes += size);
    }
    Ok(file.flush().await?)
}
