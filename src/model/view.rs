//! What readers hold: the world after the newest durable commit, and the verdict on each app that waits.

use serde::{Deserialize, Serialize};

use crate::model::id::{AppKey, CommitNo, Epoch};
use crate::model::reason::Funnel;
use crate::model::table::Table;
use crate::model::time::Timestamp;
use crate::model::world::World;

/// What readers hold. Cheap to copy; an old one lives as long as its reader.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Under which leadership.
    pub epoch: Epoch,
    /// The newest durable commit.
    pub no: CommitNo,
    /// When it was decided.
    pub at: Timestamp,
    /// The world after it.
    pub world: World,
    /// What the last attempt to place each waiting app came to.
    pub verdicts: Table<AppKey, Verdict>,
}

/// What the last attempt to place an app came to. The reasons of each agent are computed anew when somebody asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Since when something of the app waits.
    pub since: Timestamp,
    /// When it was last tried, and how many agents were looked at then.
    pub tried: Option<(Timestamp, u32)>,
    /// How many of these agents refused, each by its strongest reason, in the order of [`Funnel::ALL`].
    pub refused: [u32; Funnel::ALL.len()],
    /// How often agents were looked at since it waits.
    pub processed: u64,
    /// How often agents refused since it waits, as `refused`.
    pub refused_in_all: [u64; Funnel::ALL.len()],
    /// When an agent last took an instance.
    pub placed: Option<Timestamp>,
}
