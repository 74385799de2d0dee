//! Host names and attributes of the agents, column by column, each value as a small number: constraints compare and count
//! them for every agent of a scan.
//!
//! Slots are those of the pool: both are in the order of agent keys. The numbers depend on the order in which values came,
//! so two tables are equal when their texts are.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::agent::{Agent, Inventory};
use crate::model::id::AgentKey;

/// The fields of all agents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    keys: Vec<AgentKey>,
    columns: BTreeMap<Arc<str>, Column>,
}

/// One field of all agents.
#[derive(Clone, Debug, Default)]
pub struct Column {
    /// By slot.
    ids: Vec<Option<ValueId>>,
    /// By number; what nobody has any more is empty and free to be used again.
    texts: Vec<Option<Arc<str>>>,
    /// By number: how many agents have it.
    holders: Vec<u32>,
    numbers: BTreeMap<Arc<str>, ValueId>,
}

/// A value of a column, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ValueId(u32);

// === impl Fields ===

impl Fields {
    /// The column of a field, if any agent has it.
    pub fn column(&self, name: &str) -> Option<(&Arc<str>, &Column)> {
        self.columns.get_key_value(name)
    }

    /// Follows an agent's row that comes, changes or leaves.
    pub fn follow(&mut self, old: Option<&Agent>, new: Option<&Agent>) {
        if let (Some(old), Some(new)) = (old, new)
            && has_the_same(&old.inventory, &new.inventory)
        {
            return;
        }
        if let Some(old) = old {
            self.remove(old);
        }
        if let Some(new) = new {
            self.add(new);
        }
    }

    fn add(&mut self, agent: &Agent) {
        let slot = self.keys.partition_point(|key| *key < agent.key);
        let before = self.keys.len();
        self.keys.insert(slot, agent.key);
        let attributes = agent.inventory.attributes.keys().map(String::as_str);
        for name in attributes.chain(["hostname"]) {
            if !self.columns.contains_key(name) {
                let column = Column { ids: vec![None; before], ..Column::default() };
                self.columns.insert(Arc::from(name), column);
            }
        }
        for (name, column) in &mut self.columns {
            let id = agent.inventory.field(name).map(|text| column.take(&text));
            column.ids.insert(slot, id);
        }
    }

    fn remove(&mut self, agent: &Agent) {
        let Ok(slot) = self.keys.binary_search(&agent.key) else { return };
        self.keys.remove(slot);
        self.columns.retain(|_, column| {
            if let Some(id) = column.ids.remove(slot) {
                column.let_go(id);
            }
            !column.numbers.is_empty()
        });
    }
}

// === impl Column ===

impl Column {
    /// What the agent in this slot has.
    pub fn get(&self, slot: usize) -> Option<ValueId> {
        self.ids[slot]
    }

    /// The number of a value, if any agent has it.
    pub fn id(&self, text: &str) -> Option<ValueId> {
        self.numbers.get(text).copied()
    }

    /// The text of a value that an agent has.
    pub fn text(&self, id: ValueId) -> &Arc<str> {
        self.texts[id.index()].as_ref().expect("an agent has it, so it has a text")
    }

    /// All values that agents have, in the order of their texts.
    pub fn values(&self) -> impl Iterator<Item = (&Arc<str>, ValueId)> {
        self.numbers.iter().map(|(text, id)| (text, *id))
    }

    /// Every number is below this.
    pub fn bound(&self) -> usize {
        self.texts.len()
    }

    fn take(&mut self, text: &str) -> ValueId {
        if let Some(id) = self.id(text) {
            self.holders[id.index()] += 1;
            return id;
        }
        let text: Arc<str> = Arc::from(text);
        let free = self.texts.iter().position(Option::is_none).filter(|_| self.has_free());
        let index = free.unwrap_or(self.texts.len());
        if index == self.texts.len() {
            self.texts.push(None);
            self.holders.push(0);
        }
        let id = ValueId(u32::try_from(index).expect("fewer values than agents"));
        self.texts[index] = Some(Arc::clone(&text));
        self.holders[index] = 1;
        self.numbers.insert(text, id);
        id
    }

    fn has_free(&self) -> bool {
        self.numbers.len() < self.texts.len()
    }

    fn let_go(&mut self, id: ValueId) {
        let holders = &mut self.holders[id.index()];
        *holders -= 1;
        if *holders == 0
            && let Some(text) = self.texts[id.index()].take()
        {
            self.numbers.remove(&text);
        }
    }

    fn by_slot(&self) -> impl Iterator<Item = Option<&Arc<str>>> {
        self.ids.iter().map(|id| id.map(|id| self.text(id)))
    }
}

impl PartialEq for Column {
    fn eq(&self, other: &Column) -> bool {
        self.by_slot().eq(other.by_slot())
    }
}

impl Eq for Column {}

// === impl ValueId ===

impl ValueId {
    /// For tables by number.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

fn has_the_same(one: &Inventory, other: &Inventory) -> bool {
    one.hostname == other.hostname && one.attributes == other.attributes
}
