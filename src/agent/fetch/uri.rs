//! URIs of artifacts: reading them, naming their file, and showing them without credentials.

use std::path::PathBuf;

use reqwest::Url;

use crate::agent::fetch::error::FetchError;

/// Reads a URI; a bare absolute path is a file of the host, as with Mesos.
pub fn parse(text: &str) -> Result<Url, FetchError> {
    let parsed = if text.starts_with('/') {
        Url::from_file_path(text).map_err(|()| FetchError::Uri("no path of a file".to_owned()))
    } else {
        Url::parse(text).map_err(|error| FetchError::Uri(error.to_string()))
    }?;
    match parsed.scheme() {
        "http" | "https" | "file" => Ok(parsed),
        other => Err(FetchError::Scheme(other.to_owned())),
    }
}

/// The last part of the path, by which the file is called and its format is known.
pub fn file_name(url: &Url) -> Result<String, FetchError> {
    let last = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
    let name = percent_decode(last);
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(FetchError::Uri("its path names no file; destPath could".to_owned()));
    }
    Ok(name)
}

/// The file of the host that a URI names.
pub fn local_path(url: &Url, allowed: bool) -> Result<PathBuf, FetchError> {
    if !allowed {
        return Err(FetchError::FileClosed);
    }
    url.to_file_path().map_err(|()| FetchError::Uri("no file of this host".to_owned()))
}

/// The URI for people: `user:pass@` is never shown.
pub fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}{path}"),
        None => text.to_owned(),
    }
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let value = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(value.unwrap_or(*byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_never_shown() {
        assert_eq!(without_credentials("https://me:s3@x.org/a@b"), "https://***@x.org/a@b");
        assert_eq!(without_credentials("https://a@b:s3@x.org?q"), "https://***@x.org?q");
        assert_eq!(without_credentials("http://x.org/a@b"), "http://x.org/a@b");
        assert_eq!(without_credentials("/etc/a@b"), "/etc/a@b");
    }

    #[test]
    fn the_file_is_called_by_the_end_of_the_path() {
        let name = |text| file_name(&parse(text).expect("a URI")).ok();
        assert_eq!(name("http://x/a/b%20c.tgz?d=e.zip#f"), Some("b c.tgz".to_owned()));
        assert_eq!(name("/opt/a.zip"), Some("a.zip".to_owned()));
        assert_eq!(name("http://x/"), None);
        assert_eq!(name("http://x/..%2f..%2fetc"), None);
        assert!(matches!(parse("ftp://x/a"), Err(FetchError::Scheme(_))));
        assert!(matches!(parse("nonsense"), Err(FetchError::Uri(_))));
    }
}
