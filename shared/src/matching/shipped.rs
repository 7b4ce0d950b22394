//! The weights that come with the program: frozen, one set for each language of names and addresses.
//!
//! Owns which there are. They were learned where nothing is judged.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::Model;

/// Of which population the weights and the frequencies of names are.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Spanish names, two surnames, Spanish addresses.
    #[default]
    Es,
    /// English names and addresses.
    En,
}

/// Written by `trenza-bench-identity --learn`.
const TEXTS: [&str; 2] = [
    include_str!("models/es.json"),
    include_str!("models/en.json"),
];

/// The texts are part of the program, and a test reads them; so nobody ever gets the weights of a text that cannot be read.
static MODELS: LazyLock<[Model; 2]> = LazyLock::new(|| {
    TEXTS.map(|text| serde_json::from_str(text).unwrap_or_else(|_| Model::untrained(&[])))
});

impl Language {
    /// Stands for the weights.
    #[must_use]
    pub fn digest(self) -> [u8; 32] {
        static DIGESTS: LazyLock<[[u8; 32]; 2]> = LazyLock::new(|| {
            [Language::Es, Language::En]
                .map(|one| *blake3::hash(format!("{:?}", one.model()).as_bytes()).as_bytes())
        });
        let [es, en] = *DIGESTS;
        match self {
            Self::Es => es,
            Self::En => en,
        }
    }

    /// The weights.
    #[must_use]
    pub fn model(self) -> &'static Model {
        let [es, en] = &*MODELS;
        match self {
            Self::Es => es,
            Self::En => en,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::{FIELDS, model::CLASSES};

    #[test]
    fn the_shipped_weights_are_read_and_complete() {
        for text in TEXTS {
            let model: Model = serde_json::from_str(text).unwrap();
            assert!(model.records > 1_000 && model.given.len() > 50 && model.surnames.len() > 50);
            assert!(model.shares.iter().all(|share| *share <= 0));
            for class in CLASSES {
                let levels = &model.levels[class as usize];
                assert_eq!(levels.len(), FIELDS.len());
                for field in FIELDS {
                    let row = &levels[field as usize];
                    assert_eq!(row.len(), field.levels(), "{class:?} {field:?}");
                    let sum: f64 = row
                        .iter()
                        .skip(1)
                        .map(|bits| f64::from(*bits) / 1000.0)
                        .map(f64::exp2)
                        .sum();
                    assert!((0.98..1.02).contains(&sum), "{class:?} {field:?}: {sum}");
                }
            }
        }
        assert_ne!(Language::Es.digest(), Language::En.digest());
    }
}
