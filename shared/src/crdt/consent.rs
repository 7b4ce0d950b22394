//! Whether somebody allows something: granted only if a grant observed every known withdrawal.
//!
//! Owns the rule for one purpose and channel, for one part of a customer and for all its parts. Never looks at a clock: of a grant and a
//! withdrawal that did not know of each other, the withdrawal stands, whichever was later by whatever clock.

use std::collections::{BTreeMap, BTreeSet};

use super::Join;
use crate::id::EventId;

/// Most withdrawals kept of one purpose and channel in one part. More than these can never all be observed, so the answer
/// stays *denied*: a flood can take a consent away, never give one.
pub const WITHDRAWALS_MAX: usize = 64;
/// Most grants kept of one purpose and channel in one part: those with the greatest event ids.
pub const GRANTS_MAX: usize = 64;

/// What is known of one purpose and channel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ConsentState {
    /// Never asked, or not answered: treated as no.
    Unknown,
    /// Refused or withdrawn, and no grant knew of it.
    Denied,
    /// Granted, by somebody who knew of every withdrawal.
    Granted,
}

impl ConsentState {
    /// As in answers of the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Denied => "denied",
            Self::Granted => "granted",
        }
    }
}

/// The statements of one part about one purpose and channel.
///
/// **Laws.** Union of the withdrawals, union of the grants, and of one grant the union of what it observed. The bounds keep the
/// greatest event ids, as a join must.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Consent {
    withdrawals: BTreeSet<EventId>,
    grants: BTreeMap<EventId, BTreeSet<EventId>>,
}

impl Consent {
    /// The event `grant` allows it, knowing of the withdrawals `observes`. What it observed beyond [`WITHDRAWALS_MAX`] is passed over,
    /// which can only deny.
    pub fn grant(&mut self, grant: EventId, observes: impl IntoIterator<Item = EventId>) {
        let known = self.grants.entry(grant).or_default();
        known.extend(observes);
        self.trim();
    }

    /// The event `withdrawal` refuses it or takes it back.
    pub fn withdraw(&mut self, withdrawal: EventId) {
        self.withdrawals.insert(withdrawal);
        self.trim();
    }

    /// The known withdrawals: what a new grant must name.
    #[must_use]
    pub fn withdrawals(&self) -> &BTreeSet<EventId> {
        &self.withdrawals
    }

    /// The known grants and what each observed.
    #[must_use]
    pub fn grants(&self) -> &BTreeMap<EventId, BTreeSet<EventId>> {
        &self.grants
    }

    /// The answer of this part alone.
    #[must_use]
    pub fn state(&self) -> ConsentState {
        Self::state_of(std::iter::once(self))
    }

    /// The answer of a customer: a withdrawal in any part denies until one grant in any part observed all withdrawals of that part; a
    /// part that was never asked is neutral; without any grant it is never *granted*.
    #[must_use]
    pub fn state_of<'a>(parts: impl Iterator<Item = &'a Self> + Clone) -> ConsentState {
        Self::state_beside(parts, std::iter::empty())
    }

    /// The answer of one side of a customer: what `own` parts say, where a withdrawal in one of the parts `beside` denies too, until a
    /// grant of an own part observed it. A grant beside counts for nothing here.
    #[must_use]
    pub fn state_beside<'a>(
        own: impl Iterator<Item = &'a Self> + Clone,
        mut beside: impl Iterator<Item = &'a Self>,
    ) -> ConsentState {
        let grants = || own.clone().flat_map(|part| part.grants.values());
        let lifted = |part: &Self| {
            part.withdrawals.is_empty()
                || (part.withdrawals.len() <= WITHDRAWALS_MAX
                    && grants().any(|observed| part.withdrawals.is_subset(observed)))
        };
        if !own.clone().all(lifted) || !beside.all(lifted) {
            ConsentState::Denied
        } else if grants().next().is_some() {
            ConsentState::Granted
        } else {
            ConsentState::Unknown
        }
    }

    fn trim(&mut self) {
        // One more than the limit, so that a full set is told from an overflowing one.
        while self.withdrawals.len() > WITHDRAWALS_MAX + 1 {
            self.withdrawals.pop_first();
        }
        while self.grants.len() > GRANTS_MAX {
            self.grants.pop_first();
        }
        for observed in self.grants.values_mut() {
            while observed.len() > WITHDRAWALS_MAX {
                observed.pop_first();
            }
        }
    }
}

impl Join for Consent {
    fn join(&mut self, other: &Self) {
        self.withdrawals.extend(&other.withdrawals);
        for (grant, observed) in &other.grants {
            self.grants.entry(*grant).or_default().extend(observed);
        }
        self.trim();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crdt::laws;

    fn event(n: u8) -> EventId {
        EventId([n; 32])
    }

    #[derive(Clone, Debug)]
    enum Said {
        Grant(u8, Vec<u8>),
        Withdraw(u8),
    }

    fn said() -> impl Strategy<Value = Said> {
        prop_oneof![
            (0u8..90, prop::collection::vec(100u8..180, 0..6))
                .prop_map(|(id, observes)| Said::Grant(id, observes)),
            (100u8..180).prop_map(Said::Withdraw),
        ]
    }

    fn fold(all: &[Said]) -> Consent {
        let mut consent = Consent::default();
        for one in all {
            match one {
                Said::Grant(id, observes) => {
                    consent.grant(event(*id), observes.iter().map(|n| event(*n)))
                }
                Said::Withdraw(id) => consent.withdraw(event(*id)),
            }
        }
        consent
    }

    #[test]
    fn nobody_asked_is_unknown_and_a_withdrawal_nobody_observed_denies() {
        let mut consent = Consent::default();
        assert_eq!(consent.state(), ConsentState::Unknown);
        consent.grant(event(1), []);
        assert_eq!(consent.state(), ConsentState::Granted);
        consent.withdraw(event(100));
        assert_eq!(consent.state(), ConsentState::Denied);
        consent.grant(event(0), [event(100)]);
        assert_eq!(consent.state(), ConsentState::Granted);
    }

    #[test]
    fn concurrent_grant_and_withdrawal_mean_withdrawn_in_either_order() {
        let granted = fold(&[Said::Grant(1, vec![])]);
        let withdrawn = fold(&[Said::Withdraw(100)]);
        for (first, second) in [(&granted, &withdrawn), (&withdrawn, &granted)] {
            let mut joined = first.clone();
            joined.join(second);
            assert_eq!(joined.state(), ConsentState::Denied);
            assert_eq!(
                Consent::state_of([first, second].into_iter()),
                ConsentState::Denied
            );
        }
    }

    #[test]
    fn an_unasked_part_is_neutral_and_another_parts_grant_lifts_a_denial_it_observed() {
        let unasked = Consent::default();
        let granted = fold(&[Said::Grant(1, vec![])]);
        let denied = fold(&[Said::Withdraw(100)]);
        let observed = fold(&[Said::Grant(2, vec![100])]);
        let state = |parts: &[&Consent]| Consent::state_of(parts.iter().copied());
        assert_eq!(state(&[]), ConsentState::Unknown);
        assert_eq!(state(&[&unasked, &granted]), ConsentState::Granted);
        assert_eq!(state(&[&unasked, &denied]), ConsentState::Denied);
        assert_eq!(state(&[&denied, &granted]), ConsentState::Denied);
        assert_eq!(state(&[&denied, &observed]), ConsentState::Granted);
    }

    #[test]
    fn two_grants_that_each_observed_one_of_two_withdrawals_do_not_add_up() {
        let part = fold(&[
            Said::Withdraw(100),
            Said::Withdraw(101),
            Said::Grant(1, vec![100]),
            Said::Grant(2, vec![101]),
        ]);
        assert_eq!(part.state(), ConsentState::Denied);
    }

    #[test]
    fn a_flood_of_withdrawals_denies_for_good() {
        let mut consent = Consent::default();
        (0..=200).for_each(|n| consent.withdraw(event(n)));
        consent.grant(event(255), (0..=200).map(event));
        assert_eq!(consent.withdrawals().len(), WITHDRAWALS_MAX + 1);
        assert_eq!(consent.state(), ConsentState::Denied);
    }

    #[test]
    fn a_side_is_granted_by_its_own_grants_alone_and_denied_by_a_withdrawal_beside_it() {
        let granted = fold(&[Said::Grant(1, vec![])]);
        let denied = fold(&[Said::Withdraw(100)]);
        let lifting = fold(&[Said::Grant(2, vec![100])]);
        let unasked = Consent::default();
        let state = |own: &[&Consent], beside: &[&Consent]| {
            Consent::state_beside(own.iter().copied(), beside.iter().copied())
        };
        assert_eq!(state(&[&unasked], &[&granted]), ConsentState::Unknown);
        assert_eq!(state(&[&granted], &[&unasked]), ConsentState::Granted);
        assert_eq!(state(&[&granted], &[&denied]), ConsentState::Denied);
        assert_eq!(
            state(&[&granted], &[&denied, &lifting]),
            ConsentState::Denied
        );
        assert_eq!(state(&[&lifting], &[&denied]), ConsentState::Granted);
    }

    proptest! {
        #[test]
        fn what_is_beside_a_side_never_grants(own in prop::collection::vec(said(), 0..12), beside in prop::collection::vec(said(), 0..12)) {
            let (own, beside) = (fold(&own), fold(&beside));
            let alone = own.state();
            let together = Consent::state_beside([&own].into_iter(), [&beside].into_iter());
            prop_assert!(together == alone || together == ConsentState::Denied);
        }

        #[test]
        fn the_laws_hold(a in prop::collection::vec(said(), 0..80), b in prop::collection::vec(said(), 0..80), c in prop::collection::vec(said(), 0..80)) {
            laws::hold(&fold(&a), &fold(&b), &fold(&c))?;
        }

        #[test]
        fn granted_implies_every_known_withdrawal_observed(all in prop::collection::vec(said(), 0..12)) {
            let consent = fold(&all);
            if consent.state() == ConsentState::Granted {
                prop_assert!(consent.grants().values().any(|observed| consent.withdrawals().is_subset(observed)));
            }
        }

        #[test]
        fn order_does_not_matter(all in prop::collection::vec(said(), 0..200)) {
            let mut turned = all.clone();
            turned.reverse();
            prop_assert_eq!(fold(&turned), fold(&all));
        }
    }
}
