//! What a day is folded to: a commutative sum over entries.

use std::collections::{BTreeMap, BTreeSet};

use trenza_shared::{
    event::EventType,
    id::{Epoch, Lane, Seq},
    wire::entry::What,
};

/// Rows shown.
pub const ROWS_MAX: usize = 20;

/// What an entry is, for a person at the stand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// An event.
    Event(EventType),
    /// A text that was no event.
    Rejected,
}

impl Kind {
    /// From an entry's open part; none for what nobody did.
    pub fn of(what: &What) -> Option<Self> {
        match what {
            What::Event(kind) => Some(Self::Event(*kind)),
            What::Rejected { .. } => Some(Self::Rejected),
            What::Clock { .. } | What::Dropped(_) => None,
        }
    }
}

/// One entry, without anything of a person. Ordered by time, then by place in the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Row {
    /// When it was taken in. Unit: ms since 1970.
    pub at_ms: i64,
    /// Life of the log.
    pub epoch: Epoch,
    /// Which of its logs.
    pub lane: Lane,
    /// Number in it.
    pub seq: Seq,
    /// What it is.
    pub kind: Kind,
    /// It came from the staff's pages.
    pub by_staff: bool,
}

/// A day, folded. Equal sets of entries give equal days, in whatever order they were added.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Day {
    /// Entries by kind.
    pub counts: BTreeMap<Kind, u64>,
    /// Visits that staff registered.
    pub visits: u64,
    last: BTreeSet<Row>,
}

impl Day {
    /// Adds an entry. Each is added once: the caller goes along the log.
    pub fn add(&mut self, row: Row) {
        *self.counts.entry(row.kind).or_default() += 1;
        if row.by_staff && row.kind == Kind::Event(EventType::Track) {
            self.visits += 1;
        }
        self.last.insert(row);
        if self.last.len() > ROWS_MAX {
            self.last.pop_first();
        }
    }

    /// The last [`ROWS_MAX`] rows, newest first.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.last.iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_row() -> impl Strategy<Value = Row> {
        (
            0i64..50,
            0u32..3,
            0usize..3,
            1u64..500,
            0usize..7,
            any::<bool>(),
        )
            .prop_map(|(at_ms, epoch, lane, seq, kind, by_staff)| Row {
                at_ms,
                epoch,
                lane: Lane::ALL[lane],
                seq,
                kind: EventType::ALL
                    .get(kind)
                    .map_or(Kind::Rejected, |kind| Kind::Event(*kind)),
                by_staff,
            })
    }

    fn fold(rows: impl IntoIterator<Item = Row>) -> Day {
        let mut day = Day::default();
        rows.into_iter().for_each(|row| day.add(row));
        day
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(rows in proptest::collection::vec(any_row(), 0..80).prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle()))) {
            let (one, other) = rows;
            prop_assert_eq!(fold(one.clone()), fold(other));
            let newest: Vec<_> = BTreeSet::from_iter(one).into_iter().rev().take(ROWS_MAX).collect();
            prop_assert!(newest.len() <= ROWS_MAX);
        }
    }
}
