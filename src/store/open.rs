//! Opening the store that a server was told to use.

use std::path::Path;

use crate::store::access::Access;
use crate::store::address::StoreAddress;
use crate::store::any::AnyStore;
use crate::store::embedded::Embedded;
use crate::store::etcd::Etcd;
use crate::store::expect::{Expect, OpenError};
use crate::store::identity::Identity;

/// Opens the store at an address. For etcd `dir`, the part of a data directory that is a server's, keeps this server's
/// identity, and this process alone has it until the store is dropped; what is embedded lies where its address says. The
/// call does not wait for an etcd that is away: it says so within seconds. Who is to lead says first where it answers, by
/// [`AnyStore::announce`].
///
/// # Errors
/// When it is in use, not the one that is expected, or does not answer. Then nothing was changed.
pub async fn open(
    address: &StoreAddress,
    access: &Access,
    dir: &Path,
    expect: Expect,
) -> Result<AnyStore, OpenError> {
    match address {
        StoreAddress::Embedded(at) => Embedded::open(at, expect).map(AnyStore::Embedded),
        StoreAddress::Etcd(at) => {
            let identity = Identity::hold(dir)?;
            Etcd::open(at, access, identity, expect).await.map(AnyStore::Etcd)
        }
    }
}
