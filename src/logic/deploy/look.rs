//! How a deploy's apps stand, from the rows.

use crate::logic::index::Index;
use crate::model::deploy::{Deploy, Hand};
use crate::model::time::Timestamp;
use crate::model::world::World;

/// What a deploy sees of its apps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// What served before, if anything did.
    pub old: Option<Seen>,
    /// What shall serve.
    pub new: Seen,
    /// The last failure of the new definition.
    pub failure: Option<(Timestamp, String)>,
}

/// What a deploy sees of one app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is as the deploy left it.
    There(Standing),
    /// It has a definition that the deploy did not give it.
    Changed,
    /// It is removed.
    Removed {
        /// Whether something of it is left.
        busy: bool,
    },
}

/// How an app stands that is as the deploy left it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many instances it is asked to have.
    pub wanted: u32,
    /// How many serve.
    pub healthy: u32,
    /// How many hold a place, those that end included.
    pub there: u32,
    /// Whether a deployment of it goes on.
    pub busy: bool,
}

// === impl Sight ===

impl Sight {
    /// What `deploy` sees now.
    pub fn of(world: &World, index: &Index, deploy: &Deploy) -> Sight {
        let failure = world.apps.get(&deploy.new.hand.app).and_then(|app| {
            let failure = app.last_failure.as_ref()?;
            let text = format!("{}: {}", failure.condition.task_state(), failure.message);
            (failure.version >= deploy.new.born).then_some((failure.at, text))
        });
        Sight {
            old: deploy.old.as_ref().map(|old| seen(world, index, &old.hand)),
            new: seen(world, index, &deploy.new.hand),
            failure,
        }
    }

    /// How the new app stands; nothing of it serves where it is not as the deploy left it.
    pub fn new_standing(&self) -> Standing {
        self.new.standing()
    }

    /// How the old app stands, likewise.
    pub fn old_standing(&self) -> Standing {
        self.old.map(Seen::standing).unwrap_or_default()
    }
}

// === impl Seen ===

impl Seen {
    fn standing(self) -> Standing {
        match self {
            Seen::There(standing) => standing,
            Seen::Changed | Seen::Removed { .. } => Standing::default(),
        }
    }
}

fn seen(world: &World, index: &Index, hand: &Hand) -> Seen {
    let Some(app) = world.apps.get(&hand.app) else { return Seen::Removed { busy: false } };
    let busy = app.part.is_some();
    if app.removed.is_some() {
        return Seen::Removed { busy };
    }
    if app.version != hand.version {
        return Seen::Changed;
    }
    let census = index.apps.census(app.key);
    Seen::There(Standing {
        wanted: world.current(app).map_or(0, |row| row.spec.instances),
        healthy: census.healthy,
        there: census.counted + census.leaving,
        busy,
    })
}
