//! Who a server is to the others that share its store.

use serde::{Deserialize, Serialize};

use crate::model::id::ServerId;

/// A server, as the others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its identity.
    pub id: ServerId,
    /// Where its API answers.
    pub url: String,
}
