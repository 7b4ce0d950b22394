//! By whose weights records are compared: those that come with the program, or own ones that were learned from one's own customers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{FIELDS, Language, Model};

/// Most names of each sort with a frequency of their own.
const NAMES_MAX: usize = 5_000;
/// No probability is smaller than 2 to the power of minus so many thousandths.
const BITS_MAX: i32 = 60_000;

/// By whose weights records are compared.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Weights {
    /// Those that come with the program, of a language.
    Shipped(Language),
    /// Own ones, as `trenza-server match train` learns them.
    Own(Arc<Model>),
}

impl Default for Weights {
    fn default() -> Self {
        Self::Shipped(Language::Es)
    }
}

impl Weights {
    /// The weights.
    #[must_use]
    pub fn model(&self) -> &Model {
        match self {
            Self::Shipped(language) => language.model(),
            Self::Own(model) => model,
        }
    }

    /// What is wrong with own weights; none when anybody can work by them.
    #[must_use]
    pub fn wrong(&self) -> Option<&'static str> {
        let Self::Own(model) = self else {
            return None;
        };
        let whole = model.levels.iter().all(|class| {
            class.len() == FIELDS.len()
                && class
                    .iter()
                    .zip(FIELDS)
                    .all(|(row, field)| row.len() == field.levels())
        });
        let bits = || {
            let levels = model.levels.iter().flatten().flatten();
            let names = model.given.values().chain(model.surnames.values());
            levels
                .chain(&model.shares)
                .chain(names)
                .chain([&model.rare])
        };
        if !whole {
            Some(
                "levels are three tables, each with a row for every field and a number for every level of it",
            )
        } else if bits().any(|bits| !(-BITS_MAX..=0).contains(bits)) {
            Some(
                "every weight is the logarithm of a probability, in thousandths of a bit: -60000 to 0",
            )
        } else if model.records == 0 {
            Some("records says among how many the weights were learned: 1 or more")
        } else if model.given.len().max(model.surnames.len()) > NAMES_MAX {
            Some("given and surnames have at most 5000 names each")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_weights_survive_json_and_those_nobody_can_work_by_are_refused() {
        for weights in [
            Weights::Shipped(Language::En),
            Weights::Own(Arc::new(Language::Es.model().clone())),
        ] {
            let text = serde_json::to_string(&weights).unwrap();
            assert_eq!(serde_json::from_str::<Weights>(&text).unwrap(), weights);
            assert_eq!(weights.wrong(), None);
        }
        let broken = |change: fn(&mut Model)| {
            let mut model = Language::Es.model().clone();
            change(&mut model);
            Weights::Own(Arc::new(model)).wrong().is_some()
        };
        assert!(broken(|model| model.levels[0][2].truncate(2)));
        assert!(broken(|model| drop(model.levels[1].pop())));
        assert!(broken(|model| model.shares[0] = 1));
        assert!(broken(|model| model.rare = i32::MIN));
        assert!(broken(|model| model.records = 0));
    }
}
