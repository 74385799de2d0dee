//! What an operator does to an etcd.

use etcd_client::{Client, GetOptions};

use crate::store::etcd::rig::EtcdServer;

/// A client of its own.
pub struct Operator(pub Client);

// === impl Operator ===

impl Operator {
    pub async fn of(server: &EtcdServer) -> Operator {
        Operator(Client::connect([server.endpoint()], None).await.expect("a client"))
    }

    pub async fn keys(&mut self, prefix: &str) -> Vec<String> {
        let options = GetOptions::new().with_prefix().with_keys_only();
        let answer = self.0.get(prefix, Some(options)).await.expect("it answers");
        answer.kvs().iter().map(|kv| kv.key_str().expect("text").to_owned()).collect()
    }

    /// The lease of the first key with this prefix, if there is one.
    pub async fn lease_of(&mut self, prefix: &str) -> Option<i64> {
        let options = GetOptions::new().with_prefix().with_keys_only();
        let answer = self.0.get(prefix, Some(options)).await.expect("it answers");
        answer.kvs().first().map(etcd_client::KeyValue::lease)
    }

    pub async fn put(&mut self, key: &str, value: &str) {
        self.0.put(key, value, None).await.expect("room");
    }

    pub async fn delete(&mut self, key: &str) {
        self.0.delete(key, None).await.expect("it answers");
    }

    pub async fn compact(&mut self) {
        let revision = self.0.get("/", None).await.expect("it answers");
        let revision = revision.header().expect("a header").revision();
        self.0.compact(revision, None).await.expect("it answers");
    }
}
