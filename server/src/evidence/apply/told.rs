//! What became of customers, as it is told in the change feed.

use trenza_shared::{
    id::{CustomerId, Fingerprint},
    identity::Change,
};

use super::Applier;

/// What is to be told in the change feed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fed {
    /// `customer.created` and so on.
    pub kind: &'static str,
    /// The customer.
    pub customer: CustomerId,
    /// Others concerned.
    pub others: Vec<CustomerId>,
}

impl Applier {
    /// Says a grouping's changes in public ids.
    pub fn feed(&self, changes: &[Change]) -> Vec<Fed> {
        let ids = |seeds: &[Fingerprint]| {
            seeds
                .iter()
                .map(|seed| self.customer(seed))
                .collect::<Vec<_>>()
        };
        changes
            .iter()
            .map(|change| match change {
                Change::Created { seed } => Fed {
                    kind: "customer.created",
                    customer: self.customer(seed),
                    others: Vec::new(),
                },
                Change::Merged { into, from } => Fed {
                    kind: "customer.merged",
                    customer: self.customer(into),
                    others: ids(from),
                },
                Change::Split { from, into } => Fed {
                    kind: "customer.split",
                    customer: self.customer(from),
                    others: ids(into),
                },
                Change::Reseeded { from, to } => Fed {
                    kind: "customer.updated",
                    customer: self.customer(to),
                    others: vec![self.customer(from)],
                },
                Change::Updated { seed } => Fed {
                    kind: "customer.updated",
                    customer: self.customer(seed),
                    others: Vec::new(),
                },
            })
            .collect()
    }
}
