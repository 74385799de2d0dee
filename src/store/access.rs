//! How a server and its etcd prove to each other who they are. What is secret in it is shown nowhere.

use std::fmt;

/// What is needed beside an address to speak with an etcd.
#[derive(Clone, Default)]
pub struct Access {
    /// The certificates of authorities that may vouch for its members, as PEM.
    pub authority: Option<Vec<u8>>,
    /// This server's certificate and its key, as PEM.
    pub own: Option<(Vec<u8>, Vec<u8>)>,
    /// A user's name and password.
    pub user: Option<(String, String)>,
}

// === impl Access ===

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("authority", &self.authority.is_some())
            .field("own", &self.own.is_some())
            .field("user", &self.user.as_ref().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_shown() {
        let own = Some((b"certificate".to_vec(), b"secret key".to_vec()));
        let user = Some(("stayer".to_owned(), "secret".to_owned()));
        let shown = format!("{:?}", Access { authority: None, own, user });
        assert!(shown.contains("stayer") && !shown.contains("secret"), "{shown}");
    }
}
