//! The path of an app, the name by which users know it.
//!
//! Grammar and limits: contract 14.1 and reliability §5.7 (255 characters, 32 segments). A value of [`AppPath`] is always
//! absolute, normalised and valid; text is parsed once, at the border.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest path that is accepted, in bytes.
pub const MAX_PATH_BYTES: usize = 255;
/// The deepest path that is accepted, in segments.
pub const MAX_PATH_SEGMENTS: usize = 32;

/// An absolute id such as `/shop/db`; `/` itself is the root group.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AppPath(Arc<str>);

/// Why a text is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A segment has characters or a form that ids must not have.
    #[error("a segment holds characters that ids must not have")]
    Segment,
    /// Longer than [`MAX_PATH_BYTES`] or deeper than [`MAX_PATH_SEGMENTS`].
    #[error("the id is longer than 255 characters or deeper than 32 segments")]
    TooLong,
}

// === impl AppPath ===

impl AppPath {
    /// The root of all paths.
    pub fn root() -> AppPath {
        AppPath(Arc::from("/"))
    }

    /// Reads `text`, resolving a relative one (and `.` and `..`) against `base` (contract 14.1).
    ///
    /// # Errors
    /// When a segment breaks the grammar or the result is too long or too deep.
    pub fn resolve(text: &str, base: &AppPath) -> Result<AppPath, PathError> {
        if is_normal(text) {
            return Ok(AppPath(Arc::from(text)));
        }
        let mut segments: Vec<&str> =
            if text.starts_with('/') { Vec::new() } else { base.segments().collect() };
        for segment in text.split('/') {
            match segment {
                "" | "." => {}
                ".." => {
                    segments.pop();
                }
                other if is_segment(other) => segments.push(other),
                _ => return Err(PathError::Segment),
            }
        }
        let joined = format!("/{}", segments.join("/"));
        if joined.len() > MAX_PATH_BYTES || segments.len() > MAX_PATH_SEGMENTS {
            return Err(PathError::TooLong);
        }
        Ok(AppPath(Arc::from(joined)))
    }

    /// Reads `text` as seen from the root.
    ///
    /// # Errors
    /// As [`AppPath::resolve`].
    pub fn parse(text: &str) -> Result<AppPath, PathError> {
        if is_normal(text) {
            return Ok(AppPath(Arc::from(text)));
        }
        AppPath::resolve(text, &AppPath::root())
    }

    /// The path with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its segments, none for the root.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }

    /// Whether this is the root group.
    pub fn is_root(&self) -> bool {
        &*self.0 == "/"
    }

    /// The enclosing group; the root is its own parent.
    #[must_use]
    pub fn parent(&self) -> AppPath {
        match self.0.rfind('/') {
            None | Some(0) => AppPath::root(),
            Some(cut) => AppPath(Arc::from(&self.0[..cut])),
        }
    }

    /// Whether `self` is `group` or lies below it, compared segment by segment.
    pub fn is_within(&self, group: &AppPath) -> bool {
        group.is_root()
            || self
                .0
                .strip_prefix(&*group.0)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The "safe path" of Marathon's task ids: segments joined with `_` (contract 14.2).
    pub fn safe(&self) -> String {
        self.0.trim_start_matches('/').replace('/', "_")
    }

    /// The inverse of [`AppPath::safe`]; unambiguous, since `_` is illegal in ids.
    ///
    /// # Errors
    /// As [`AppPath::resolve`].
    pub fn from_safe(safe: &str) -> Result<AppPath, PathError> {
        AppPath::parse(&safe.replace('_', "/"))
    }
}

impl fmt::Display for AppPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AppPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `text` is a path as it stands, other than the root.
fn is_normal(text: &str) -> bool {
    text.len() <= MAX_PATH_BYTES
        && text.strip_prefix('/').is_some_and(|rest| {
            let mut segments = rest.split('/');
            segments.by_ref().take(MAX_PATH_SEGMENTS).all(is_segment) && segments.next().is_none()
        })
}

/// Whether `text` is dot-separated labels of `[a-z0-9]` or `[a-z0-9][a-z0-9-]*[a-z0-9]`.
fn is_segment(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.split('.').all(|label| {
        let bytes = label.as_bytes();
        matches!((bytes.first(), bytes.last()), (Some(&first), Some(&last)) if letter(first) && letter(last))
            && bytes.iter().all(|&byte| letter(byte) || byte == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> AppPath {
        AppPath::parse(text).expect("a valid path")
    }

    #[test]
    fn slashes_dots_and_relative_ids_normalise() {
        assert_eq!(path("a//b/").as_str(), "/a/b");
        assert_eq!(path("/a/./b/../c").as_str(), "/a/c");
        assert_eq!(path("../..").as_str(), "/");
        assert_eq!(AppPath::resolve("db", &path("/shop")).expect("valid").as_str(), "/shop/db");
    }

    #[test]
    fn what_is_no_segment_is_refused() {
        for bad in ["A", "a_b", "-a", "a-", "a..b", "ä", "a b", ".a"] {
            assert_eq!(AppPath::parse(bad), Err(PathError::Segment), "{bad}");
        }
        assert_eq!(AppPath::parse(&"a".repeat(300)), Err(PathError::TooLong));
        assert_eq!(AppPath::parse(&"a/".repeat(40)), Err(PathError::TooLong));
        assert_eq!(AppPath::parse(&"/a".repeat(33)), Err(PathError::TooLong));
        assert_eq!(AppPath::parse(&format!("/{}", "a".repeat(255))), Err(PathError::TooLong));
        let longest = format!("/{}", "a".repeat(254));
        assert_eq!(path(&longest).as_str(), longest);
    }

    #[test]
    fn within_compares_segments_not_prefixes() {
        assert!(path("/a/b").is_within(&path("/a")));
        assert!(!path("/ab").is_within(&path("/a")));
        assert!(path("/a").is_within(&AppPath::root()));
    }

    #[test]
    fn safe_paths_come_back() {
        assert_eq!(path("/a/b.c/d").safe(), "a_b.c_d");
        assert_eq!(AppPath::from_safe("a_b.c_d"), Ok(path("/a/b.c/d")));
    }
}
