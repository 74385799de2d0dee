//! Where a store is, as an operator says it: `embedded:DIR`, or `etcd://HOST:PORT,…/NAME`, with `etcds://` over TLS.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The port of etcd.
const ETCD_PORT: u16 = 2379;

/// The name of the tree that is used when none is given.
const DEFAULT_NAME: &str = "default";

/// The longest name of a tree.
const MAX_NAME: usize = 63;

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreAddress {
    /// A file in this directory.
    Embedded(PathBuf),
    /// A tree of keys in etcd.
    Etcd(EtcdAddress),
}

/// A tree of keys in etcd: all below `/stayer/<name>/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdAddress {
    /// `host:port` of its members, at least one.
    pub endpoints: Vec<String>,
    /// The name of the tree, so that several clusters can share one etcd.
    pub name: String,
    /// Over TLS.
    pub secure: bool,
}

/// Why a text is no address of a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither form.
    #[error(
        "'{0}' is neither embedded:DIR nor etcd://HOST:PORT[,HOST:PORT…][/NAME], with etcds:// for TLS"
    )]
    Form(String),
    /// No directory.
    #[error("embedded: wants a directory, for example embedded:/var/lib/stayer/server")]
    NoDirectory,
    /// A member without a host, or with a port that is none.
    #[error("'{0}' is no HOST:PORT of an etcd member")]
    Endpoint(String),
    /// Who is who is no part of an address, which is shown.
    #[error(
        "leave out '{0}@': --store-user says who, and --store-password-file where the password is"
    )]
    User(String),
    /// A name that would not be one part of a key.
    #[error(
        "'{0}' is no name for a cluster: letters, digits, '-', '_' and '.', at most {MAX_NAME}"
    )]
    Name(String),
}

// === impl StoreAddress ===

impl FromStr for StoreAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<StoreAddress, AddressError> {
        if let Some(dir) = text.strip_prefix("embedded:") {
            return match dir {
                "" => Err(AddressError::NoDirectory),
                dir => Ok(StoreAddress::Embedded(dir.into())),
            };
        }
        let in_the_clear = text.strip_prefix("etcd://").map(|rest| (rest, false));
        let over_tls = || text.strip_prefix("etcds://").map(|rest| (rest, true));
        let (rest, secure) =
            in_the_clear.or_else(over_tls).ok_or_else(|| AddressError::Form(text.to_owned()))?;
        etcd(rest, secure).map(StoreAddress::Etcd)
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreAddress::Embedded(dir) => write!(f, "embedded:{}", dir.display()),
            StoreAddress::Etcd(at) => at.fmt(f),
        }
    }
}

// === impl EtcdAddress ===

impl fmt::Display for EtcdAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "etcds" } else { "etcd" };
        write!(f, "{scheme}://{}/{}", self.endpoints.join(","), self.name)
    }
}

fn etcd(rest: &str, secure: bool) -> Result<EtcdAddress, AddressError> {
    if let Some((user, _)) = rest.rsplit_once('@') {
        // The part before a colon: a password is repeated to nobody.
        let user = user.split(':').next().unwrap_or_default();
        return Err(AddressError::User(user.to_owned()));
    }
    let (hosts, name) = match rest.split_once('/') {
        None | Some((_, "")) => (rest.trim_end_matches('/'), DEFAULT_NAME),
        Some((hosts, name)) => (hosts, name.trim_end_matches('/')),
    };
    let endpoints = hosts.split(',').map(endpoint).collect::<Result<_, _>>()?;
    Ok(EtcdAddress { endpoints, name: checked(name)?, secure })
}

fn endpoint(text: &str) -> Result<String, AddressError> {
    let wrong = || AddressError::Endpoint(text.to_owned());
    // An IPv6 address has colons of its own, and so stands in brackets.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
        Some(_) | None => (text, ETCD_PORT),
    };
    let bracketed = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let good = match bracketed {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(plain),
    };
    if good && port > 0 { Ok(format!("{host}:{port}")) } else { Err(wrong()) }
}

fn checked(name: &str) -> Result<String, AddressError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let good = !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(plain);
    if good { Ok(name.to_owned()) } else { Err(AddressError::Name(name.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_in_full() {
        for (text, shown) in [
            ("embedded:/var/lib/stayer", "embedded:/var/lib/stayer"),
            ("embedded:data", "embedded:data"),
            ("etcd://a", "etcd://a:2379/default"),
            ("etcd://a:2379,b:23790", "etcd://a:2379,b:23790/default"),
            ("etcd://10.0.0.1:2379/", "etcd://10.0.0.1:2379/default"),
            ("etcds://a/b", "etcds://a:2379/b"),
            ("etcd://[::1]:2379,[fe80::1]/west-1", "etcd://[::1]:2379,[fe80::1]:2379/west-1"),
        ] {
            let address: StoreAddress = text.parse().unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address), "what is shown is read again");
        }
    }

    #[test]
    fn what_is_no_address_is_told_why() {
        for (text, why) in [
            ("/var/lib/stayer", "neither embedded:DIR nor etcd://"),
            ("zk://a:2181/marathon", "neither embedded:DIR nor etcd://"),
            ("embedded:", "wants a directory"),
            ("etcd://", "'' is no HOST:PORT"),
            ("etcd://a,,b", "'' is no HOST:PORT"),
            ("etcd://a:port", "'a:port' is no HOST:PORT"),
            ("etcd://a:0", "'a:0' is no HOST:PORT"),
            ("etcd://::1", "is no HOST:PORT"),
            ("etcd://root:secret@a", "leave out 'root@'"),
            ("etcds://root:secret@a", "leave out 'root@'"),
            ("https://a:2379", "with etcds:// for TLS"),
            ("etcd://a/b/c", "'b/c' is no name"),
            ("etcd://a/..%2f", "is no name"),
        ] {
            let told = text.parse::<StoreAddress>().expect_err(text).to_string();
            assert!(told.contains(why), "{text}: {told}");
            assert!(!told.contains("secret"), "{told}");
        }
    }
}
