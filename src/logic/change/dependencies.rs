//! Which apps must run before which (DP-8): edges to apps, and to every app of a group.
//!
//! Looks only at what the changed apps reach, so its cost follows the change.

use std::collections::BTreeMap;

use crate::model::path::AppPath;
use crate::model::spec::Spec;
use crate::model::world::World;

/// The dependencies as they will be: changed definitions lie over stored ones.
pub struct Graph<'a> {
    world: &'a World,
    overlay: &'a BTreeMap<AppPath, Spec>,
    depths: BTreeMap<AppPath, Depth>,
}

/// Apps depend on each other in a circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cycle;

#[derive(Clone, Copy)]
enum Depth {
    Open,
    Known(u32),
}

// === impl Graph ===

impl<'a> Graph<'a> {
    /// The graph of `world` with `overlay` over it.
    pub fn new(world: &'a World, overlay: &'a BTreeMap<AppPath, Spec>) -> Graph<'a> {
        Graph { world, overlay, depths: BTreeMap::new() }
    }

    /// The length of the longest chain that begins at `path`; 1 for one that depends on nothing.
    ///
    /// # Errors
    /// When the chain comes back to itself.
    pub fn depth(&mut self, path: &AppPath) -> Result<u32, Cycle> {
        // A stack of our own: chains are as long as users make them.
        let mut stack = vec![(path.clone(), None::<Vec<AppPath>>, 0_u32)];
        while let Some((at, rest, deepest)) = stack.pop() {
            let mut rest = match rest {
                Some(rest) => rest,
                None => match self.depths.get(&at) {
                    Some(Depth::Known(depth)) => {
                        raise(&mut stack, *depth);
                        continue;
                    }
                    Some(Depth::Open) => return Err(Cycle),
                    None => {
                        self.depths.insert(at.clone(), Depth::Open);
                        self.targets(&at)
                    }
                },
            };
            match rest.pop() {
                Some(next) => {
                    stack.push((at, Some(rest), deepest));
                    stack.push((next, None, 0));
                }
                None => {
                    self.depths.insert(at, Depth::Known(deepest + 1));
                    raise(&mut stack, deepest + 1);
                }
            }
        }
        match self.depths.get(path) {
            Some(Depth::Known(depth)) => Ok(*depth),
            Some(Depth::Open) | None => Err(Cycle),
        }
    }

    /// The apps that `path` depends on; what does not exist is ignored.
    fn targets(&self, path: &AppPath) -> Vec<AppPath> {
        let Some(spec) = self.spec(path) else { return Vec::new() };
        let named = spec.dependencies.iter();
        named.flat_map(|target| self.apps_within(target)).collect()
    }

    fn spec(&self, path: &AppPath) -> Option<&Spec> {
        self.overlay.get(path).or_else(|| {
            let app = self.world.app(path)?;
            self.world.current(app).map(|row| &row.spec)
        })
    }

    fn apps_within(&self, target: &AppPath) -> Vec<AppPath> {
        let stored = self.world.paths.range(target.clone()..).map(|(path, _)| path);
        let stored = stored.take_while(|path| path.as_str().starts_with(target.as_str()));
        let stored = stored.filter(|path| path.is_within(target) && self.world.app(path).is_some());
        let coming = self.overlay.keys().filter(|path| path.is_within(target));
        stored.chain(coming).cloned().collect()
    }
}

/// Tells the one below on the stack how deep its newest dependency is.
fn raise(stack: &mut [(AppPath, Option<Vec<AppPath>>, u32)], depth: u32) {
    if let Some((_, _, deepest)) = stack.last_mut() {
        *deepest = (*deepest).max(depth);
    }
}
