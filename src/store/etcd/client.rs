//! Calls to etcd, each with a deadline, each to the member that answered last.
//!
//! A client is made by the first call that needs it, since one with a user asks etcd for a token as it is made.
//!
//! Several members are several clients rather than one that balances: a member that is frozen or cut off would go on
//! getting its share of the calls. After a call that was not answered the next one goes to the next member.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::{
    Certificate, Client, ConnectOptions, Error, GetOptions, GetResponse, Identity, KvClient,
    TlsOptions, Txn, TxnResponse,
};
use tokio::sync::OnceCell;

use crate::store::access::Access;
use crate::store::address::EtcdAddress;
use crate::store::log::StoreError;

/// How long a small call may take.
pub(super) const SOON: Duration = Duration::from_secs(3);

/// How long a transaction with records, or a page of them, may take: a slow disk is no fault yet.
pub(super) const LATER: Duration = Duration::from_secs(5);

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(2);

/// How often a silent connection is tried, and for how long. etcd hangs up on whoever does it more often than each 5 s.
const PING: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(3));

/// The largest answer that is taken. Pages are far smaller as a rule.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// What etcd says when its quota is used up.
const NO_SPACE: &str = "database space exceeded";

/// What it says to those whom it does not let in, beside its own word for that.
const STRANGERS: &[&str] = &["authentication failed", "user name is empty", "permission denied"];

/// The members of one etcd.
pub(super) struct Members {
    all: Vec<(String, OnceCell<Client>)>,
    options: ConnectOptions,
    scheme: &'static str,
    current: AtomicUsize,
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("etcd at {at} {what}")]
struct NoAnswer {
    at: String,
    what: String,
}

// === impl Members ===

impl Members {
    /// Knows them; connections are made by the first calls.
    pub(super) fn new(address: &EtcdAddress, access: &Access) -> Members {
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT)
            .with_keep_alive(PING.0, PING.1)
            .with_keep_alive_while_idle(false)
            // A member that has lost the others must not answer from what it knew.
            .with_require_leader(true);
        if let Some((name, password)) = &access.user {
            options = options.with_user(name, password);
        }
        if address.secure {
            options = options.with_tls(tls(access));
        }
        let all = address.endpoints.iter().map(|at| (at.clone(), OnceCell::new()));
        let scheme = if address.secure { "https" } else { "http" };
        Members { all: all.collect(), options, scheme, current: AtomicUsize::new(0) }
    }

    /// A call that may be made twice: each member is asked until one answers.
    pub(super) async fn ask<T, F>(
        &self,
        patience: Duration,
        act: impl Fn(Client) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut answer = self.call(patience, &act).await;
        for _ in 1..self.all.len() {
            if !matches!(answer, Err(StoreError::Failed(_))) {
                break;
            }
            answer = self.call(patience, &act).await;
        }
        answer
    }

    /// One call. It may have been done although it failed, unless the store is full.
    pub(super) async fn call<T, F>(
        &self,
        patience: Duration,
        act: impl FnOnce(Client) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let current = self.current.load(Ordering::Relaxed);
        let (at, client) = &self.all[current % self.all.len()];
        let called = async {
            let connect =
                || Client::connect([format!("{}://{at}", self.scheme)], Some(self.options.clone()));
            act(client.get_or_try_init(connect).await?.clone()).await
        };
        let error = match tokio::time::timeout(patience, called).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => failed(at, &error),
            Err(_) => {
                let what = format!("does not answer within {} s", patience.as_secs());
                StoreError::Failed(Arc::new(NoAnswer { at: at.clone(), what }))
            }
        };
        if error != StoreError::Full {
            // Whoever calls at the same time may have moved on already.
            let next = (current + 1) % self.all.len();
            let _moved =
                self.current.compare_exchange(current, next, Ordering::Relaxed, Ordering::Relaxed);
        }
        Err(error)
    }

    pub(super) async fn txn(&self, txn: Txn) -> Result<TxnResponse, StoreError> {
        self.call(LATER, |client| async move { kv(&client).txn(txn).await }).await
    }

    pub(super) async fn get(
        &self,
        key: Vec<u8>,
        options: Option<GetOptions>,
    ) -> Result<GetResponse, StoreError> {
        let get = |client: Client| {
            let (key, options) = (key.clone(), options.clone());
            async move { kv(&client).get(key, options).await }
        };
        self.ask(LATER, get).await
    }
}

fn tls(access: &Access) -> TlsOptions {
    let mut tls = TlsOptions::new();
    if let Some(authority) = &access.authority {
        tls = tls.ca_certificate(Certificate::from_pem(authority));
    }
    if let Some((certificate, key)) = &access.own {
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    tls
}

fn kv(client: &Client) -> KvClient {
    client.kv_client().max_decoding_message_size(MAX_ANSWER)
}

fn failed(at: &str, error: &Error) -> StoreError {
    let what = match error {
        Error::GRpcStatus(status) if status.message().contains(NO_SPACE) => {
            return StoreError::Full;
        }
        Error::GRpcStatus(status) if STRANGERS.iter().any(|it| status.message().contains(it)) => {
            let what = format!("does not let this server in: {}", status.message());
            return StoreError::Denied(Arc::new(NoAnswer { at: at.to_owned(), what }));
        }
        Error::GRpcStatus(status) => format!("says: {}", status.message()),
        other => format!("is not reached: {other}"),
    };
    StoreError::Failed(Arc::new(NoAnswer { at: at.to_owned(), what }))
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all.iter().map(|(at, _)| at)).finish()
    }
}
