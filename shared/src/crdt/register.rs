//! A trait's value when sources disagree: one winner, and the losers for the screen.
//!
//! Owns the order between claims. Never forgets a winner, never asks which claim came first to this machine.

use std::cmp::Ordering;

use crdts::LWWReg;
use serde::{Deserialize, Serialize};

use super::Join;
use crate::id::EventId;

/// Most losing values kept, each once: those with the greatest markers.
pub const REGISTER_LOSERS_MAX: usize = 16;
/// Longest value that can be kept as a loser. A longer one is kept only while it wins. Unit: bytes.
pub const LOSER_BYTES_MAX: usize = 1024;
/// Longest value taken at all; a longer one stays in the event. Unit: bytes.
pub const VALUE_BYTES_MAX: usize = 32 * 1024;

/// By what one claim beats another: greatest priority, then latest event time, then event id.
///
/// The source's name stands last so that markers of one value that are equal are equal in everything: `LWWReg` keeps whichever of two equal
/// markers it saw first, and that must make no difference.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Marker {
    /// Rank of the source.
    pub priority: u8,
    /// Event time. Unit: ms since 1970.
    pub at_ms: i64,
    /// The event that said it.
    pub event: EventId,
    /// The source it came by.
    pub source: String,
}

/// One value and the greatest marker it was ever said with.
pub type Claim = LWWReg<String, Marker>;

/// All that was claimed of one field.
///
/// **Laws.** The state is a function of the set of claims made: of every distinct value the greatest marker; of those the winner, and the
/// `REGISTER_LOSERS_MAX + 1` greatest that are short. Leaving out the rest keeps it a join: a value that was left out
/// has that many short values above it, their markers only grow, so no later claim but one for the value itself can bring
/// it back, and that one carries its own marker. (One more than the losers, since a long winner may be overtaken by one of them.)
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Register {
    /// Greatest first, each value once.
    claims: Vec<Claim>,
}

fn by_rank(left: &Claim, right: &Claim) -> Ordering {
    let key = |claim: &Claim| {
        (
            claim.marker.priority,
            claim.marker.at_ms,
            claim.marker.event,
        )
    };
    key(left)
        .cmp(&key(right))
        .then_with(|| left.val.cmp(&right.val))
        .then_with(|| left.marker.source.cmp(&right.marker.source))
}

impl Register {
    /// Somebody says `value`. A value over [`VALUE_BYTES_MAX`] is passed over.
    pub fn claim(&mut self, value: &str, priority: u8, at_ms: i64, event: EventId, source: &str) {
        if value.len() > VALUE_BYTES_MAX {
            return;
        }
        let claim = match self.claims.iter().position(|known| known.val == value) {
            Some(at) => {
                let known = &self.claims[at].marker;
                let order = (priority, at_ms, event, source).cmp(&(
                    known.priority,
                    known.at_ms,
                    known.event,
                    known.source.as_str(),
                ));
                if order.is_le() {
                    return;
                }
                let mut claim = self.claims.remove(at);
                let mut source_text = std::mem::take(&mut claim.marker.source);
                if source_text != source {
                    source_text = source.to_owned();
                }
                claim.marker = Marker {
                    priority,
                    at_ms,
                    event,
                    source: source_text,
                };
                claim
            }
            None => Claim {
                val: value.to_owned(),
                marker: Marker {
                    priority,
                    at_ms,
                    event,
                    source: source.to_owned(),
                },
            },
        };
        self.place(claim);
        self.trim();
    }

    /// The value to show, with its marker; none before the first claim.
    #[must_use]
    pub fn winner(&self) -> Option<&Claim> {
        self.claims.first()
    }

    /// Other values that were claimed, greatest marker first.
    pub fn losers(&self) -> impl Iterator<Item = &Claim> {
        self.claims.iter().skip(1).take(REGISTER_LOSERS_MAX)
    }

    /// Everything that is kept, greatest first.
    #[must_use]
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// A register of kept claims; none when they are not what [`Register::claims`] gives: greatest first, each value once, within the
    /// limits.
    #[must_use]
    pub fn from_claims(claims: Vec<Claim>) -> Option<Self> {
        let sorted = claims
            .windows(2)
            .all(|pair| by_rank(&pair[0], &pair[1]).is_gt());
        let distinct = claims
            .iter()
            .enumerate()
            .all(|(at, claim)| claims[..at].iter().all(|before| before.val != claim.val));
        let mut register = Self { claims };
        let before = register.claims.len();
        register.trim();
        (sorted && distinct && register.claims.len() == before).then_some(register)
    }

    fn place(&mut self, claim: Claim) {
        let at = self
            .claims
            .partition_point(|known| by_rank(known, &claim).is_gt());
        self.claims.insert(at, claim);
    }

    fn trim(&mut self) {
        if self.claims.len() < 2 {
            return;
        }
        let (mut at, mut short) = (0, 0);
        self.claims.retain(|claim| {
            let wins = at == 0;
            at += 1;
            let is_short = claim.val.len() <= LOSER_BYTES_MAX;
            short += usize::from(is_short);
            let wins_within = wins && claim.val.len() <= VALUE_BYTES_MAX;
            wins_within || (is_short && short <= REGISTER_LOSERS_MAX + 1)
        });
    }
}

impl Join for Register {
    fn join(&mut self, other: &Self) {
        for theirs in &other.claims {
            match self.claims.iter().position(|known| known.val == theirs.val) {
                Some(at) => {
                    let mut ours = self.claims.remove(at);
                    ours.update(theirs.val.clone(), theirs.marker.clone());
                    self.place(ours);
                }
                None => self.place(theirs.clone()),
            }
        }
        self.trim();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crdt::laws;

    /// Few values, times, ranks and events, so that ties are the rule; some values are long.
    fn said() -> impl Strategy<Value = (String, u8, i64, EventId, &'static str)> {
        let value = prop_oneof![
            6 => (0u8..40).prop_map(|n| format!("\"{n}\"")),
            1 => (0u8..3).prop_map(|n| n.to_string().repeat(LOSER_BYTES_MAX + 1)),
        ];
        let event = (0u8..3).prop_map(|n| EventId([n; 32]));
        (
            value,
            0u8..3,
            0i64..4,
            event,
            prop_oneof![Just("web"), Just("crm")],
        )
    }

    fn fold(said: &[(String, u8, i64, EventId, &'static str)]) -> Register {
        let mut register = Register::default();
        for (value, priority, at_ms, event, source) in said {
            register.claim(value, *priority, *at_ms, *event, source);
        }
        register
    }

    #[test]
    fn the_source_of_higher_rank_wins_over_a_later_time() {
        let mut register = Register::default();
        register.claim("\"Ana\"", 9, 1, EventId([1; 32]), "crm");
        register.claim("\"Anita\"", 1, 100, EventId([2; 32]), "web");
        assert_eq!(register.winner().unwrap().val, "\"Ana\"");
        let losers: Vec<_> = register.losers().map(|claim| claim.val.as_str()).collect();
        assert_eq!(losers, ["\"Anita\""]);
    }

    #[test]
    fn equal_markers_are_decided_by_the_value() {
        let mut forward = Register::default();
        let mut backward = Register::default();
        let event = EventId([1; 32]);
        for value in ["1", "2", "3"] {
            forward.claim(value, 0, 0, event, "web");
        }
        for value in ["3", "2", "1"] {
            backward.claim(value, 0, 0, event, "web");
        }
        assert_eq!(forward, backward);
        assert_eq!(forward.winner().unwrap().val, "3");
    }

    #[test]
    fn a_value_said_again_later_is_one_value() {
        let mut register = Register::default();
        for at in 0..100 {
            register.claim("1", 0, at, EventId([0; 32]), "web");
        }
        assert_eq!(register.claims().len(), 1);
        assert_eq!(register.winner().unwrap().marker.at_ms, 99);
    }

    #[test]
    fn long_values_are_kept_while_they_win_and_never_when_too_long() {
        let mut register = Register::default();
        let long = "x".repeat(LOSER_BYTES_MAX + 1);
        register.claim(&long, 0, 1, EventId([0; 32]), "web");
        assert_eq!(register.winner().unwrap().val, long);
        register.claim("1", 0, 2, EventId([0; 32]), "web");
        assert_eq!(register.claims().len(), 1);
        register.claim(
            &"x".repeat(VALUE_BYTES_MAX + 1),
            9,
            9,
            EventId([0; 32]),
            "web",
        );
        assert_eq!(register.winner().unwrap().val, "1");
    }

    proptest! {
        #[test]
        fn the_laws_hold(a in prop::collection::vec(said(), 0..40), b in prop::collection::vec(said(), 0..40), c in prop::collection::vec(said(), 0..40)) {
            laws::hold(&fold(&a), &fold(&b), &fold(&c))?;
        }

        #[test]
        fn order_repetition_and_grouping_do_not_matter(all in prop::collection::vec(said(), 0..80), seed in any::<prop::sample::Index>()) {
            let whole = fold(&all);
            let mut turned = all.clone();
            turned.reverse();
            turned.extend(all.iter().take(3).cloned());
            prop_assert_eq!(&fold(&turned), &whole);
            let (left, right) = all.split_at(seed.index(all.len() + 1));
            let mut joined = fold(right);
            joined.join(&fold(left));
            prop_assert_eq!(&joined, &whole);
            prop_assert_eq!(Register::from_claims(whole.claims().to_vec()), Some(whole));
        }

        #[test]
        fn what_is_kept_is_what_sorting_everything_would_keep(all in prop::collection::vec(said(), 0..80)) {
            let mut best: std::collections::BTreeMap<String, Marker> = std::collections::BTreeMap::new();
            for (value, priority, at_ms, event, source) in &all {
                let marker = Marker { priority: *priority, at_ms: *at_ms, event: *event, source: (*source).to_owned() };
                let entry = best.entry(value.clone()).or_insert_with(|| marker.clone());
                *entry = marker.max(entry.clone());
            }
            let mut sorted: Vec<Claim> = best.into_iter().map(|(val, marker)| Claim { val, marker }).collect();
            sorted.sort_by(|left, right| by_rank(right, left));
            let register = fold(&all);
            prop_assert_eq!(register.winner(), sorted.first());
            let losers: Vec<&Claim> = sorted.iter().skip(1).filter(|claim| claim.val.len() <= LOSER_BYTES_MAX).take(REGISTER_LOSERS_MAX).collect();
            prop_assert_eq!(register.losers().collect::<Vec<_>>(), losers);
        }
    }
}
