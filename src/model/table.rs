//! A persistent ordered map: a copy costs a few pointers, so every commit leaves with the world after it.
//!
//! The only file that knows `imbl`. Its `diff` is not used (wrong before 7.0.2).

use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

/// Rows of one kind, ordered by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table<K: Ord + Clone, V>(imbl::OrdMap<K, Arc<V>>);

/// Where to begin in a table.
#[derive(Clone, Copy, Debug)]
pub enum Start<K> {
    /// At the first row.
    All,
    /// Behind this key.
    After(K),
    /// Nowhere.
    Nothing,
}

// === impl Table ===

impl<K: Ord + Clone, V> Default for Table<K, V> {
    fn default() -> Self {
        Table(imbl::OrdMap::new())
    }
}

impl<K: Ord + Clone, V> Table<K, V> {
    /// The row under `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key).map(Arc::as_ref)
    }

    /// The row under `key`, to keep.
    pub fn share(&self, key: &K) -> Option<Arc<V>> {
        self.0.get(key).cloned()
    }

    /// Puts a row and gives back the one it replaces.
    pub fn put(&mut self, key: K, row: Arc<V>) -> Option<Arc<V>> {
        self.0.insert(key, row)
    }

    /// Takes a row out.
    pub fn remove(&mut self, key: &K) -> Option<Arc<V>> {
        self.0.remove(key)
    }

    /// The rows of a range of keys, in order.
    pub fn range(&self, range: impl RangeBounds<K>) -> impl Iterator<Item = (&K, &V)> {
        self.0.range(range).map(|(key, row)| (key, row.as_ref()))
    }

    /// All rows, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, row)| (key, row.as_ref()))
    }

    /// All rows, in order, to keep.
    pub fn shared(&self) -> impl Iterator<Item = (&K, &Arc<V>)> {
        self.0.iter()
    }

    /// The rows from a bound on, in order, to keep.
    pub fn shared_from(&self, from: Start<K>) -> impl Iterator<Item = (&K, &Arc<V>)> {
        let range = match from {
            Start::All => (Bound::Unbounded, Bound::Unbounded),
            Start::After(key) => (Bound::Excluded(key), Bound::Unbounded),
            Start::Nothing => return None.into_iter().flatten(),
        };
        Some(self.0.range(range)).into_iter().flatten()
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Ord + Clone, V> FromIterator<(K, Arc<V>)> for Table<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, Arc<V>)>>(rows: I) -> Self {
        Table(rows.into_iter().collect())
    }
}
