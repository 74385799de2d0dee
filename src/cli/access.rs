//! What a verb is told of an etcd beside its address: certificates, a user. Secrets come from files, since everybody on a
//! host sees what a process was started with.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::failure::Failure;
use crate::store::access::Access;
use crate::store::address::StoreAddress;

/// How etcd is spoken to.
#[derive(Clone, Debug, Default, Args)]
pub struct AccessArgs {
    /// Certificates of authorities that vouch for etcd's members, as PEM; wanted with etcds:// [default: none]
    #[arg(long, env = "STAYER_STORE_CA", value_name = "FILE")]
    pub store_ca: Option<PathBuf>,
    /// The certificate that this server shows to etcd, as PEM [default: none]
    #[arg(long, env = "STAYER_STORE_CERT", value_name = "FILE", requires = "store_key")]
    pub store_cert: Option<PathBuf>,
    /// The key of that certificate, as PEM [default: none]
    #[arg(long, env = "STAYER_STORE_KEY", value_name = "FILE", requires = "store_cert")]
    pub store_key: Option<PathBuf>,
    /// The user of etcd as whom this server reads and writes below /stayer/NAME/ [default: none]
    #[arg(long, env = "STAYER_STORE_USER", value_name = "USER", requires = "store_password_file")]
    pub store_user: Option<String>,
    /// A file with that user's password [default: none]
    #[arg(long, env = "STAYER_STORE_PASSWORD_FILE", value_name = "FILE", requires = "store_user")]
    pub store_password_file: Option<PathBuf>,
}

// === impl AccessArgs ===

impl AccessArgs {
    /// What the files say.
    ///
    /// # Errors
    /// When one cannot be read, or they are not what the address asks for.
    pub fn read(&self, address: &StoreAddress) -> Result<Access, Failure> {
        let certificates = self.store_ca.is_some() || self.store_cert.is_some();
        match address {
            StoreAddress::Etcd(at) if at.secure && self.store_ca.is_none() => {
                return Err(Failure::Usage(format!(
                    "{address} is to be known by a certificate: say with --store-ca who vouches for it"
                )));
            }
            StoreAddress::Etcd(at) if !at.secure && certificates => {
                return Err(Failure::Usage(format!(
                    "{address} is spoken to in the clear, and certificates mean nothing there: say etcds://"
                )));
            }
            StoreAddress::Embedded(_) if certificates || self.store_user.is_some() => {
                return Err(Failure::Usage(format!(
                    "certificates and users are etcd's, and the store is {address}"
                )));
            }
            StoreAddress::Etcd(_) | StoreAddress::Embedded(_) => {}
        }
        let bytes = |path: &PathBuf| file(path);
        let own = self.store_cert.as_ref().zip(self.store_key.as_ref());
        let user = self.store_user.as_ref().zip(self.store_password_file.as_ref());
        Ok(Access {
            authority: self.store_ca.as_ref().map(bytes).transpose()?,
            own: own.map(|(cert, key)| Ok((file(cert)?, file(key)?))).transpose()?,
            user: user.map(|(name, path)| Ok((name.clone(), password(path)?))).transpose()?,
        })
    }
}

fn file(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", path.display())))
}

/// Without the end of its line.
fn password(path: &Path) -> Result<String, Failure> {
    let text = String::from_utf8(file(path)?)
        .map_err(|_| Failure::Usage(format!("{} is no text", path.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_must_fit_the_address() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("ca"), "CA").expect("written");
        std::fs::write(path("password"), "secret\n").expect("written");
        let address = |text: &str| text.parse::<StoreAddress>().expect(text);
        let none = AccessArgs::default();
        let ca = AccessArgs { store_ca: Some(path("ca")), ..none.clone() };
        let user = AccessArgs {
            store_user: Some("stayer".to_owned()),
            store_password_file: Some(path("password")),
            ..none.clone()
        };
        let read = ca.read(&address("etcds://a")).expect("a file");
        assert_eq!(read.authority.as_deref(), Some(&b"CA"[..]));
        let read = user.read(&address("etcd://a")).expect("a file");
        assert_eq!(read.user, Some(("stayer".to_owned(), "secret".to_owned())));
        let lost = AccessArgs { store_ca: Some(path("none")), ..none.clone() };
        for (args, at, why) in [
            (&none, "etcds://a", "--store-ca"),
            (&ca, "etcd://a", "say etcds://"),
            (&user, "embedded:/d", "are etcd's"),
            (&lost, "etcds://a", "cannot be read"),
        ] {
            let refused = args.read(&address(at)).expect_err(at);
            assert!(refused.to_string().contains(why), "{refused}");
        }
    }
}
