//! Why an artifact could not be had, for the one who asked for it.

use std::error::Error;
use std::io;
use std::net::IpAddr;

use reqwest::StatusCode;

/// Why an artifact could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nothing can be made of the URI.
    #[error("{0}")]
    Uri(String),
    /// Only a few schemes are known.
    #[error("the agent fetches http and https, not {0}")]
    Scheme(String),
    /// Files of the host are closed.
    #[error("the agent does not fetch files of its host")]
    FileClosed,
    /// An address of the host or its link.
    #[error(
        "{host} is at {address}, which belongs to the agent's own host or link; --allow-fetch {address} would open it"
    )]
    Closed {
        /// As written.
        host: String,
        /// What it stands for.
        address: IpAddr,
    },
    /// A name that stands for nothing.
    #[error("{host} has no address: {detail}")]
    NoAddress {
        /// As written.
        host: String,
        /// What the resolver says.
        detail: String,
    },
    /// The server refused.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// A redirect that leads nowhere.
    #[error("the server redirects to nowhere")]
    Nowhere,
    /// Too many of them.
    #[error("more than {0} redirects")]
    Redirects(u32),
    /// Too many bytes.
    #[error("more than {0} bytes")]
    TooLarge(u64),
    /// An archive that we cannot read.
    #[error("{0} cannot be unpacked; .tar, .tar.gz, .tgz, .gz and .zip can")]
    Format(String),
    /// An archive that becomes too large.
    #[error("it unpacks to more than {ratio} times its size or {bytes} bytes")]
    Ratio {
        /// How many times its size it may become.
        ratio: u64,
        /// How much it may become in any case.
        bytes: u64,
    },
    /// An archive of too many.
    #[error("more than {0} files and directories in it")]
    Entries(u64),
    /// A path that leads out.
    #[error("{0} leads out of the sandbox")]
    Outside(String),
    /// A device, a pipe, or what nobody knows.
    #[error("{0} is neither file, directory nor link")]
    Kind(String),
    /// The disk, or the archive itself.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The network.
    #[error("{}", chain(.0))]
    Web(reqwest::Error),
}

// === impl FetchError ===

impl From<reqwest::Error> for FetchError {
    /// Without its URL, which may hold credentials.
    fn from(error: reqwest::Error) -> FetchError {
        FetchError::Web(error.without_url())
    }
}

impl From<rustix::io::Errno> for FetchError {
    fn from(error: rustix::io::Errno) -> FetchError {
        FetchError::Io(error.into())
    }
}

impl From<zip::result::ZipError> for FetchError {
    fn from(error: zip::result::ZipError) -> FetchError {
        FetchError::Io(io::Error::other(error))
    }
}

/// The library's own text names the operation; what went wrong is in its sources.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
