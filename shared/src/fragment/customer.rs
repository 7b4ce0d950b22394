//! A customer: the join of the fragments of a set of fingerprints.
//!
//! Owns the join and the name to show. Never decides which fingerprints belong together.

use std::collections::{BTreeMap, BTreeSet};

use super::{ConsentPart, Fragment, Seen, mask, sum};
use crate::{
    crdt::{Consent, ConsentState, Join, Register, Span},
    facet::Facet,
    id::Fingerprint,
    identifier::{Identifier, Kind},
};

/// What is known of one person, whatever the order and grouping of the fragments.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Customer {
    /// The set of fingerprints it is.
    pub fingerprints: BTreeSet<Fingerprint>,
    /// First and last event, by event time.
    pub span: Span,
    /// How many events.
    pub events: u64,
    /// All identifiers.
    pub identifiers: BTreeMap<Identifier, Seen>,
    /// Traits by name; values are canonical JSON.
    pub traits: BTreeMap<String, Register>,
    /// How often the person showed interest in a topic.
    pub interests: BTreeMap<String, u64>,
    /// Events by `type.NAME`, `channel.NAME` and `direction.NAME`.
    pub counters: BTreeMap<String, u64>,
    /// What is allowed to whoever names no side, by purpose and channel: what the parts without a side grant, unless any part refuses.
    pub consents: BTreeMap<ConsentPart, ConsentState>,
    /// Those of them that are refused by an event which is of this person or of another, and of nobody alone.
    pub refused_beside: BTreeSet<ConsentPart>,
    /// The sides that its events name.
    pub facets: BTreeMap<Facet, Side>,
}

/// One side of a person: what the fragments that name it say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Side {
    /// First and last event, by event time.
    pub span: Span,
    /// How many events.
    pub events: u64,
    /// Its identifiers. One may be of both sides.
    pub identifiers: BTreeMap<Identifier, Seen>,
    /// What is allowed on this side, by purpose and channel: what its own parts grant, unless one of them, or a part without a side,
    /// refuses.
    pub consents: BTreeMap<ConsentPart, ConsentState>,
}

/// The statements about one purpose and channel, by the side of the part that holds them.
type BySide<'a> = BTreeMap<Option<Facet>, Vec<&'a Consent>>;

/// The join of fragments. A fingerprint that is given twice counts once: the state with more events is the later one.
pub fn customer<'a>(fragments: impl IntoIterator<Item = &'a Fragment>) -> Customer {
    customer_beside(fragments, &[])
}

/// The same, where some more fragments are of this person or of another, and of nobody alone: what those refuse is refused here too,
/// until a grant of the person's own observed it. Nothing else of them counts.
pub fn customer_beside<'a>(
    fragments: impl IntoIterator<Item = &'a Fragment>,
    beside: &'a [Fragment],
) -> Customer {
    let mut each: BTreeMap<Fingerprint, &Fragment> = BTreeMap::new();
    for fragment in fragments {
        let known = each.entry(fragment.fingerprint).or_insert(fragment);
        if *known != fragment && later(fragment, known) {
            *known = fragment;
        }
    }
    let mut customer = Customer::default();
    let mut consents: BTreeMap<&ConsentPart, BySide<'_>> = BTreeMap::new();
    for (fingerprint, fragment) in each {
        customer.fingerprints.insert(fingerprint);
        customer.span.join(&fragment.span);
        customer.events = customer.events.saturating_add(fragment.events);
        customer.identifiers.join(&fragment.identifiers);
        customer.traits.join(&fragment.traits);
        sum(&mut customer.interests, &fragment.interests);
        sum(&mut customer.counters, &fragment.counters);
        let facet = fragment.payload.facet;
        if let Some(facet) = facet {
            let side = customer.facets.entry(facet).or_default();
            side.span.join(&fragment.span);
            side.events = side.events.saturating_add(fragment.events);
            side.identifiers.join(&fragment.identifiers);
        }
        for (part, consent) in &fragment.consents {
            let sides = consents.entry(part).or_default();
            sides.entry(facet).or_default().push(consent);
        }
    }
    let mut refusing: BTreeMap<&ConsentPart, BySide<'_>> = BTreeMap::new();
    for fragment in beside {
        for (part, consent) in &fragment.consents {
            if !consent.withdrawals().is_empty() {
                let sides = refusing.entry(part).or_default();
                sides
                    .entry(fragment.payload.facet)
                    .or_default()
                    .push(consent);
                consents.entry(part).or_default();
            }
        }
    }
    for (part, sides) in &consents {
        let of = |facet| sides.get(&facet).into_iter().flatten().copied();
        let others = refusing.get(part);
        let theirs = |facet| {
            let of = others.and_then(|sides| sides.get(&facet));
            of.into_iter().flatten().copied()
        };
        let named = || Facet::ALL.into_iter().flat_map(|facet| of(Some(facet)));
        let refusing = || {
            let named = Facet::ALL.into_iter().map(Some);
            named.chain([None]).flat_map(theirs)
        };
        let state = Consent::state_beside(of(None), named().chain(refusing()));
        if state == ConsentState::Denied && Consent::state_beside(of(None), named()) != state {
            customer.refused_beside.insert((*part).clone());
        }
        customer.consents.insert((*part).clone(), state);
        for (facet, side) in &mut customer.facets {
            let beside = of(None).chain(theirs(Some(*facet))).chain(theirs(None));
            let state = Consent::state_beside(of(Some(*facet)), beside);
            if state != ConsentState::Unknown {
                side.consents.insert((*part).clone(), state);
            }
        }
    }
    customer
}

/// A total order between two states of one fingerprint.
fn later(left: &Fragment, right: &Fragment) -> bool {
    let by_count = (left.events, left.span.last()).cmp(&(right.events, right.span.last()));
    by_count
        .then_with(|| left.encode().cmp(&right.encode()))
        .is_gt()
}

/// The identifiers that serve as a name, best first. Visitor ids and national ids do not.
const NAMING: [Kind; 6] = [
    Kind::Email,
    Kind::Phone,
    Kind::LoyaltyId,
    Kind::BadgeId,
    Kind::UserId,
    Kind::AccountId,
];

impl Customer {
    /// The winning value of a trait, when it is a text that says something.
    #[must_use]
    pub fn trait_text(&self, name: &str) -> Option<String> {
        let claim = self.traits.get(name)?.winner()?;
        let text: String = serde_json::from_str(&claim.val).ok()?;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        (!text.is_empty()).then_some(text)
    }

    /// What to call the person on a page: the name, else the best identifier; none for a visitor who left neither. `masked` for readers
    /// who may not see personal values.
    #[must_use]
    pub fn display_name(&self, masked: bool) -> Option<String> {
        let parts: Vec<String> = ["firstName", "lastName", "secondLastName"]
            .into_iter()
            .filter_map(|name| self.trait_text(name))
            .collect();
        let name = if parts.is_empty() {
            self.trait_text("name")
        } else {
            Some(parts.join(" "))
        };
        if let Some(name) = name {
            return Some(if masked { mask::name(&name) } else { name });
        }
        let best = NAMING.into_iter().find_map(|kind| {
            let mut of_kind = self.identifiers.keys().filter(|one| one.kind == kind);
            of_kind.next()
        })?;
        Some(if masked {
            mask::identifier(best)
        } else {
            best.value.clone()
        })
    }
}
