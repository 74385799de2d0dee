//! How the instances of one app stand, in numbers: an app is decided without a look at each of them.

use crate::model::instance::Instance;

/// The instances of one app by what they count for. One may count for several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Rows.
    pub rows: u32,
    /// Those that are not told to leave.
    pub wanted: u32,
    /// Those of them that are not given up: what is counted against the number that is asked for.
    pub counted: u32,
    /// Those that serve.
    pub healthy: u32,
    /// Those that end on agents that are heard and are not known to have ended.
    pub leaving: u32,
    /// Those of them that end because their agents are being emptied.
    pub drained: u32,
}

// === impl Census ===

impl Census {
    /// Follows an instance that comes or has changed.
    pub fn add(&mut self, instance: &Instance) {
        self.rows += 1;
        self.wanted += u32::from(instance.is_wanted());
        self.counted += u32::from(instance.is_counted());
        self.healthy += u32::from(instance.is_healthy());
        self.leaving += u32::from(instance.is_leaving());
        self.drained += u32::from(instance.is_drained());
    }

    /// Follows an instance that leaves or changes.
    pub fn remove(&mut self, instance: &Instance) {
        self.rows -= 1;
        self.wanted -= u32::from(instance.is_wanted());
        self.counted -= u32::from(instance.is_counted());
        self.healthy -= u32::from(instance.is_healthy());
        self.leaving -= u32::from(instance.is_leaving());
        self.drained -= u32::from(instance.is_drained());
    }
}
