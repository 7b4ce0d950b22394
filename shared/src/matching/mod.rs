//! Whether two records without a common strong identifier are one person's: comparison, weights, and how they are learned.
//!
//! Owns what is compared and what each agreement weighs. Pure: a score is a function of two records and a model. Never links
//! anybody itself: a score becomes a link, a question or nothing by the bands of the rules, and no link stands against a
//! contradiction.
//!
//! The model is that of Fellegi and Sunter (1969), with three classes of pairs instead of two: one *person* twice, two of one
//! *family* (who share surname, street and telephone, but neither given name nor birthday), and *strangers*. A family violates
//! the independence of fields that a model of two classes assumes, and is where its wrong merges come from.

mod cluster;
mod compare;
mod group;
mod keys;
mod model;
mod place;
mod shipped;
mod sketch;
mod subject;
mod train;
mod weigher;
mod weights;

pub use cluster::{MEMBERS_MAX, cluster};
pub use compare::{FIELDS, Field, Pattern, compare, compare_beside};
pub use group::{Bands, HOLDERS_MAX, candidates, group};
pub use keys::{KEYS_MAX, keys, keys_beside};
pub use model::{Bits, Class, Model, Score, Term};
pub use shipped::Language;
pub use sketch::{SKETCH_BYTES, Sketch};
pub use subject::{Subject, digits};
pub use train::{Sample, learn, train};
pub use weigher::{Sought, Weigher};
pub use weights::Weights;

#[cfg(test)]
mod tests;
