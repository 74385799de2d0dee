//! The parts of an image reference: registry, name, tag, digest.
//!
//! Whether a reference is well formed is the engine's to say; here it is only taken apart.

/// An image reference, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageRef<'a> {
    /// Without tag and digest, as written.
    pub name: &'a str,
    /// After the last colon of the last part.
    pub tag: Option<&'a str>,
    /// After `@`.
    pub digest: Option<&'a str>,
}

/// What a reference without a host in front means.
pub const DOCKER_HUB: &str = "docker.io";

// === impl ImageRef ===

impl<'a> ImageRef<'a> {
    /// Takes `text` apart.
    pub fn parse(text: &'a str) -> ImageRef<'a> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => ImageRef { name, tag: Some(tag), digest },
            Some(_) | None => ImageRef { name: rest, tag: None, digest },
        }
    }

    /// The host of its registry, with the port.
    pub fn registry(&self) -> &'a str {
        match self.name.split_once('/') {
            Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
            Some(_) | None => DOCKER_HUB,
        }
    }

    /// What is asked for under its name: the digest if there is one, else the tag, else `latest`.
    pub fn version(&self) -> &'a str {
        self.digest.or(self.tag).unwrap_or("latest")
    }

    /// Whether `latest` was nobody's wish.
    pub fn is_untagged(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_taken_apart() {
        for (text, registry, name, version) in [
            ("redis", "docker.io", "redis", "latest"),
            ("redis:7", "docker.io", "redis", "7"),
            ("laketide/nordicdata", "docker.io", "laketide/nordicdata", "latest"),
            ("localhost:5000/a/b", "localhost:5000", "localhost:5000/a/b", "latest"),
            ("localhost/a:1", "localhost", "localhost/a", "1"),
            ("r.example.org/a:1@sha256:00", "r.example.org", "r.example.org/a", "sha256:00"),
            ("a@sha256:00", "docker.io", "a", "sha256:00"),
        ] {
            let image = ImageRef::parse(text);
            assert_eq!(
                (image.registry(), image.name, image.version()),
                (registry, name, version),
                "{text}"
            );
        }
    }

    #[test]
    fn only_a_bare_name_is_untagged() {
        assert!(ImageRef::parse("localhost:5000/a").is_untagged());
        assert!(!ImageRef::parse("a:latest").is_untagged());
        assert!(!ImageRef::parse("a@sha256:00").is_untagged());
    }
}
