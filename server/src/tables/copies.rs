//! What the server remembers of copies of an agent.

use serde::{Deserialize, Serialize};
use trenza_shared::{
    id::{AgentId, Epoch, InstanceId, Nonce},
    store::Row,
};

/// Where a copy comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyOfRow {
    /// The agent whose folder was copied.
    pub agent: AgentId,
    /// The epoch in which the copy wrote last under that id.
    pub epoch: Epoch,
    /// When it became an agent of its own. Unit: ms since 1970.
    pub at_ms: i64,
}

/// The starts of an agent's program, as far as they matter to tell copies apart. History: never read for a derived value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstancesRow {
    /// In the order in which they were heard of first.
    pub seen: Vec<InstanceRow>,
    /// The one that may send; among those seen.
    pub current: InstanceId,
}
impl Row for InstancesRow {}

/// One start of an agent's program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRow {
    /// Its id.
    pub id: InstanceId,
    /// What was said to it.
    pub standing: Standing,
}

impl InstanceRow {
    /// One that was heard of for the first time.
    pub fn new(id: InstanceId) -> Self {
        Self {
            id,
            standing: Standing::Known,
        }
    }
}

/// Which agent a copy became.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CopyKeyRow {
    /// The agent.
    pub agent: AgentId,
}
impl Row for CopyKeyRow {}

/// What was said to a start of an agent's program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nothing.
    Known,
    /// To prove that it runs now.
    Asked(Nonce),
    /// To become an agent of its own: for ever.
    Told,
}
