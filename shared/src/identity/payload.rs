//! What an event says about who it belongs to, and the fingerprint of it.
//!
//! Owns the frozen encoding behind [`Fingerprint`]. Events of equal payload are one node of the identity graph, however many
//! they are. Never reads a clock: the day comes from event time.

use serde::{Deserialize, Serialize};

use super::{ids::truncated, rules::Rules};
use crate::{
    facet::Facet,
    id::Fingerprint,
    identifier::{Identifier, Kind},
    person::Person,
};

/// Most identifiers of one payload. Of more, the first in their order (strong kinds first) count.
pub const IDENTIFIERS_MAX: usize = 64;

const DAY_MS: i64 = 86_400_000;
/// Starts every encoded payload; another encoding gets another word.
const DOMAIN_V1: &[u8] = b"trenza identity payload v1\0";

/// The identity payload of an event: valid identifiers and person fields, nothing else.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Payload {
    /// Sorted, each once, valid, none of them blocked; never empty.
    pub identifiers: Vec<Identifier>,
    /// UTC day of the event, set only when it holds an ephemeral identifier. Unit: days since 1970.
    pub day: Option<i32>,
    /// Person fields for matching.
    pub person: Person,
    /// The side of the person that its events name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facet: Option<Facet>,
}

impl Payload {
    /// The payload of an event that happened at `at_ms` (event time, ms since 1970). `None` when no usable identifier is left:
    /// such an event belongs to nobody.
    #[must_use]
    pub fn new(
        identifiers: impl IntoIterator<Item = Identifier>,
        facet: Option<Facet>,
        at_ms: i64,
        person: Person,
        rules: &Rules,
    ) -> Option<Self> {
        let mut identifiers: Vec<Identifier> = identifiers
            .into_iter()
            .filter(|identifier| !rules.blocks(identifier))
            .map(|identifier| match rules.role_scoped(identifier.kind) {
                true => identifier.inside(facet),
                false => identifier,
            })
            .collect();
        identifiers.sort();
        identifiers.dedup();
        identifiers.truncate(IDENTIFIERS_MAX);
        if identifiers.is_empty() {
            return None;
        }
        let ephemeral = identifiers.iter().any(|one| rules.ephemeral(one.kind));
        Some(Self {
            identifiers,
            day: ephemeral.then(|| day_of(at_ms)),
            person,
            facet,
        })
    }

    /// The node this payload is: BLAKE3 of its frozen encoding, truncated to 16 bytes.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(truncated(blake3::hash(&self.encoded()).as_bytes()))
    }

    /// Whether it holds `identifier`.
    #[must_use]
    pub fn holds(&self, identifier: &Identifier) -> bool {
        self.identifiers.binary_search(identifier).is_ok()
    }

    /// What it holds of a value that its events name: the value itself, or the value inside a side.
    #[must_use]
    pub fn held(&self, identifier: &Identifier) -> Option<Identifier> {
        if self.holds(identifier) {
            return Some(identifier.clone());
        }
        let inside = identifier.clone().inside(self.facet);
        self.holds(&inside).then_some(inside)
    }

    /// Every field in a fixed order, each with its length, so that no two payloads encode alike.
    fn encoded(&self) -> Vec<u8> {
        let Self {
            identifiers,
            day,
            person,
            facet,
        } = self;
        let Person {
            given,
            surnames,
            birthday,
            birth_digits,
            street,
            city,
            postal_code,
            state,
            country,
            gender,
            company,
        } = person;
        let mut out = Encoder(DOMAIN_V1.to_vec());
        out.count(identifiers.len());
        for identifier in identifiers {
            out.0.push(kind_code(identifier.kind));
            out.text(&identifier.scope);
            out.text(&identifier.value);
        }
        match day {
            None => out.0.push(0),
            Some(day) => {
                out.0.push(1);
                out.0.extend_from_slice(&day.to_le_bytes());
            }
        }
        out.texts(given);
        out.texts(surnames);
        for field in [
            birthday,
            street,
            city,
            postal_code,
            state,
            country,
            gender,
            company,
        ] {
            out.texts(field.as_slice());
        }
        // Came later: payloads without it encode as they always did.
        if birth_digits.is_some() {
            out.texts(birth_digits.as_slice());
        }
        // No texts are so many, so that nothing else encodes like this.
        if let Some(facet) = facet {
            out.0.extend_from_slice(&u64::MAX.to_le_bytes());
            out.0.push(facet.code());
        }
        out.0
    }
}

/// The UTC day of a moment. Unit: days since 1970, whole days down; far-off moments saturate.
#[must_use]
pub fn day_of(at_ms: i64) -> i32 {
    let day = at_ms.div_euclid(DAY_MS);
    i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX })
}

/// The byte of a kind in hashes. Frozen: never renumber.
pub(crate) fn kind_code(kind: Kind) -> u8 {
    match kind {
        Kind::NationalId => 1,
        Kind::AccountId => 2,
        Kind::LoyaltyId => 3,
        Kind::UserId => 4,
        Kind::BadgeId => 5,
        Kind::Email => 6,
        Kind::Phone => 7,
        Kind::AnonymousId => 8,
        Kind::Record => 9,
    }
}

/// Sixteen bytes that stand for an identifier in keys of the graph's tables and in canonical orders. Frozen.
#[must_use]
pub fn key_hash(identifier: &Identifier) -> [u8; 16] {
    let mut out = Encoder(b"trenza identifier v1\0".to_vec());
    out.0.push(kind_code(identifier.kind));
    out.text(&identifier.scope);
    out.text(&identifier.value);
    truncated(blake3::hash(&out.0).as_bytes())
}

/// Length-prefixed bytes.
pub(crate) struct Encoder(pub(crate) Vec<u8>);

impl Encoder {
    pub(crate) fn count(&mut self, count: usize) {
        self.0.extend_from_slice(&(count as u64).to_le_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn texts(&mut self, texts: &[String]) {
        self.count(texts.len());
        for text in texts {
            self.text(text);
        }
    }
}

/// A node of the identity graph.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Node {
    /// Hash of the payload.
    pub fingerprint: Fingerprint,
    /// What its events say.
    pub payload: Payload,
    /// Earliest event time of its fragment, so a function of the set. Unit: ms since 1970.
    pub first_at_ms: i64,
}

impl Node {
    /// The node of a payload whose earliest event so far happened at `first_at_ms`.
    #[must_use]
    pub fn new(payload: Payload, first_at_ms: i64) -> Self {
        Self {
            fingerprint: payload.fingerprint(),
            payload,
            first_at_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(kind: Kind, value: &str) -> Identifier {
        Identifier {
            kind,
            scope: String::new(),
            value: value.into(),
        }
    }

    #[test]
    fn a_frozen_payload_keeps_its_fingerprint() {
        let person = Person {
            given: vec!["ana".into()],
            surnames: vec!["garcia".into(), "lopez".into()],
            birthday: Some("1980-02-03".into()),
            ..Person::default()
        };
        let ids = [
            id(Kind::AnonymousId, "v1"),
            id(Kind::Email, "ana@example.org"),
        ];
        let payload =
            Payload::new(ids, None, 1_700_000_000_000, person, &Rules::default()).unwrap();
        assert_eq!(payload.day, Some(19_675));
        assert_eq!(
            payload.fingerprint().to_string(),
            "fp_9bb02dae1c1235175143539cd59f650a"
        );
    }

    #[test]
    fn an_event_without_usable_identifiers_belongs_to_nobody() {
        let mut rules = Rules::default();
        assert_eq!(Payload::new([], None, 0, Person::default(), &rules), None);
        rules.blocked.insert(Kind::Email, "info@example.org");
        let ids = [id(Kind::Email, "info@example.org")];
        assert_eq!(Payload::new(ids, None, 0, Person::default(), &rules), None);
    }

    #[test]
    fn the_day_counts_only_beside_an_ephemeral_identifier() {
        let rules = Rules::default();
        let at = |ms, ids: Vec<Identifier>| {
            Payload::new(ids, None, ms, Person::default(), &rules)
                .unwrap()
                .fingerprint()
        };
        let email = id(Kind::Email, "a@b.es");
        let cookie = id(Kind::AnonymousId, "v1");
        assert_eq!(at(0, vec![email.clone()]), at(DAY_MS * 9, vec![email]));
        assert_eq!(
            at(0, vec![cookie.clone()]),
            at(DAY_MS - 1, vec![cookie.clone()])
        );
        assert_ne!(at(-1, vec![cookie.clone()]), at(0, vec![cookie]));
    }

    #[test]
    fn order_and_repetition_of_identifiers_change_nothing() {
        let rules = Rules::default();
        let (a, b) = (id(Kind::Email, "a@b.es"), id(Kind::Phone, "+34600000000"));
        let one = Payload::new([a.clone(), b.clone()], None, 0, Person::default(), &rules);
        assert_eq!(
            one,
            Payload::new([b, a.clone(), a], None, 0, Person::default(), &rules)
        );
    }

    #[test]
    fn another_side_is_another_node_and_a_value_of_a_role_links_inside_its_side() {
        let mut rules = Rules::default();
        let read = |facet, rules: &Rules| {
            let ids = [id(Kind::Email, "a@b.es"), id(Kind::Phone, "+34600000000")];
            Payload::new(ids, facet, 0, Person::default(), rules).unwrap()
        };
        let all = [None, Some(Facet::Personal), Some(Facet::Professional)];
        let fingerprints = all.map(|facet| read(facet, &rules).fingerprint());
        let distinct: std::collections::BTreeSet<_> = fingerprints.into_iter().collect();
        assert_eq!(distinct.len(), 3);
        let values = all.map(|facet| read(facet, &rules).identifiers);
        assert!(values.iter().all(|one| *one == values[0]));

        rules.kinds.insert(
            Kind::Email,
            crate::identity::KindRule {
                class: crate::identity::Class::RoleScoped,
                ..crate::identity::KindRule::of(Kind::Email)
            },
        );
        let [none, personal, professional] = all.map(|facet| read(facet, &rules));
        assert_eq!(none.identifiers, personal.identifiers);
        let email = id(Kind::Email, "a@b.es");
        assert!(none.holds(&email) && !professional.holds(&email));
        let inside = professional.held(&email).unwrap();
        assert_eq!(
            (inside.facet(), inside.namespace()),
            (Some(Facet::Professional), "")
        );
        assert_eq!(inside.clone().inside(professional.facet), inside);
        // Other kinds link across.
        assert!(professional.holds(&id(Kind::Phone, "+34600000000")));
    }
}
