//! Agents that began anew: their store was gone, went back in time, or was damaged. A pure read.

use std::{collections::BTreeMap, ops::RangeInclusive};

use serde::Serialize;
use trenza_shared::{
    clock::format_ms,
    id::{Epoch, Lane, Seq},
    wire::sync::{BACK_MAX, Began, LANES_MAX},
};

use crate::tables::{ContactRow, LaneRow};

/// A greater number is nothing that an agent can have given out; sums over all lanes stay numbers.
const SEQ_MAX: Seq = 1 << 48;

/// The last time that an agent began anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BeganAnew {
    /// The epoch in which it goes on.
    pub epoch: Epoch,
    /// When, by its own clock; none where it does not know of it. RFC 3339.
    pub at: Option<String>,
    /// The old store was damaged and stands aside on the device: what can be read of it is sent again under new numbers.
    pub aside: bool,
}

impl BeganAnew {
    /// As the administrator reads it in a list.
    pub fn sentence(&self) -> String {
        let at = self
            .at
            .as_ref()
            .map_or_else(String::new, |at| format!(" at {at}"));
        let lost = if self.aside {
            "its store was damaged; what can still be read of it is sent again, the rest is lost"
        } else {
            "what it had not sent by then is lost or still on its old disk"
        };
        format!("began anew in epoch {}{at}: {lost}", self.epoch)
    }
}

/// Whether it began anew: by its own word, or because it names nothing of a life that is stored here.
pub fn anew(contact: &ContactRow, stored: &BTreeMap<(Epoch, Lane), LaneRow>) -> Option<BeganAnew> {
    let hello = &contact.hello;
    if let Some(began) = &hello.began {
        return Some(BeganAnew {
            epoch: began.epoch,
            at: Some(format_ms(began.at_ms)),
            aside: began.aside,
        });
    }
    // Where copies parted lanes are left on purpose, and of very many lives not all are named.
    let parted = contact.fork.is_some() || !contact.lineage.is_empty();
    if parted || hello.lanes.len() >= LANES_MAX {
        return None;
    }
    let named = |key: (Epoch, Lane)| {
        hello
            .lanes
            .iter()
            .any(|head| (head.epoch, head.lane) == key)
    };
    let forgotten = stored
        .iter()
        .any(|(key, row)| key.0 < hello.epoch && row.count() > 0 && !named(*key));
    forgotten.then_some(BeganAnew {
        epoch: hello.epoch,
        at: None,
        aside: false,
    })
}

/// What an agent had gone on without before the beginning that it tells of now: the last one that it had told of joins the earlier
/// ones, once it tells of another or of none. Its own word is lost with each store.
pub fn before(earlier: Option<Began>, last: Option<Began>, now: Option<&Began>) -> Option<Began> {
    let Some(last) = last.filter(|last| now.is_none_or(|now| now.epoch != last.epoch)) else {
        return earlier;
    };
    let mut joined = Began {
        searching: false,
        ..last
    };
    for one in earlier.iter().flat_map(|earlier| &earlier.ends) {
        let mut known = joined.ends.iter_mut();
        match known.find(|end| (end.epoch, end.lane) == (one.epoch, one.lane)) {
            Some(known) => known.seq = known.seq.max(one.seq),
            None => joined.ends.push(*one),
        }
    }
    joined.ends.truncate(LANES_MAX);
    joined
        .back
        .extend(earlier.into_iter().flat_map(|earlier| earlier.back));
    joined.back.truncate(BACK_MAX);
    Some(joined)
}

/// The lanes that are not on the device any more, as far as is known.
pub fn lanes(contact: &ContactRow) -> impl Iterator<Item = (Epoch, Lane)> {
    let began = contact.hello.began.iter().chain(&contact.earlier);
    let ends = began.flat_map(|began| began.ends.iter().take(LANES_MAX));
    ends.map(|end| (end.epoch, end.lane))
}

/// Where one of them ended; 0 for others.
pub fn end(began: &Began, lane: (Epoch, Lane)) -> Seq {
    let mut ends = began.ends.iter().take(LANES_MAX);
    let end = ends.find(|end| (end.epoch, end.lane) == lane);
    end.map_or(0, |end| end.seq.min(SEQ_MAX))
}

/// What of it was found where its store stands aside, ascending.
pub fn back(began: &Began, lane: (Epoch, Lane)) -> Vec<RangeInclusive<Seq>> {
    let back = began.back.iter().take(BACK_MAX);
    let mut runs: Vec<_> = back
        .filter(|run| (run.epoch, run.lane) == lane)
        .map(|run| run.first..=run.last)
        .collect();
    runs.sort_by_key(|run| *run.start());
    runs
}

#[cfg(test)]
mod tests {
    use trenza_shared::wire::sync::{LaneEnd, LaneRun};

    use super::*;

    fn began(epoch: Epoch, ends: &[(Epoch, Seq)], back: &[(Epoch, Seq)]) -> Began {
        Began {
            epoch,
            at_ms: 0,
            ends: ends
                .iter()
                .map(|(epoch, seq)| LaneEnd {
                    epoch: *epoch,
                    lane: Lane::Visits,
                    seq: *seq,
                })
                .collect(),
            aside: true,
            back: back
                .iter()
                .map(|(epoch, seq)| LaneRun {
                    epoch: *epoch,
                    lane: Lane::Visits,
                    first: 1,
                    last: *seq,
                })
                .collect(),
            searching: true,
        }
    }

    #[test]
    fn an_agent_that_began_anew_twice_is_asked_for_what_it_lost_both_times() {
        let first = began(2, &[(1, 100)], &[(1, 40)]);
        // It says the same again and again, and finds more.
        assert_eq!(before(None, Some(first.clone()), Some(&first)), None);
        let second = began(3, &[(2, 7)], &[]);
        let joined = before(None, Some(first.clone()), Some(&second)).unwrap();
        assert_eq!(
            (end(&joined, (1, Lane::Visits)), joined.searching),
            (100, false)
        );
        assert_eq!(back(&joined, (1, Lane::Visits)), [1..=40]);
        assert_eq!(
            before(Some(joined.clone()), Some(second.clone()), Some(&second)),
            Some(joined.clone())
        );
        // A third time, and then it tells of none any more.
        let third = began(4, &[(1, 90), (3, 5)], &[]);
        let joined = before(Some(joined), Some(second), Some(&third)).unwrap();
        let joined = before(Some(joined), Some(third), None).unwrap();
        let ends = [1, 2, 3].map(|epoch| end(&joined, (epoch, Lane::Visits)));
        assert_eq!(ends, [100, 7, 5]);
        assert_eq!(back(&joined, (1, Lane::Visits)), [1..=40]);
    }
}
