//! The bytes of a fragment in the store.
//!
//! Owns the frozen shapes, one module per version: a change is a new version and a conversion, never an edit of an old one. MessagePack with
//! names, since positional encodings swap fields of one type without an error. Everything is written sorted.

use serde::{Deserialize, de::IgnoredAny};

use super::Fragment;

/// The version that is written. It stands in the first byte.
pub const VERSION: u8 = 1;

/// Bytes that are no fragment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFragment {
    /// Nothing at all.
    #[error("fragment is empty: its version byte is missing; rebuild it with replay")]
    Empty,
    /// Written by a later version.
    #[error(
        "fragment has version {0}, this program reads 1 to {VERSION}; upgrade it, or rebuild with replay"
    )]
    Version(u8),
    /// The bytes after the version are not the shape they should be.
    #[error(
        "fragment of {bytes} bytes does not read as version {VERSION}: {reason}; rebuild it with replay"
    )]
    Shape {
        /// How many there are.
        bytes: usize,
        /// What the decoder says.
        reason: String,
    },
    /// The shape is right, but a part of it cannot have been written by this program.
    #[error("fragment has {what} at {place}; rebuild it with replay")]
    Part {
        /// What is wrong.
        what: &'static str,
        /// Which part.
        place: String,
    },
    /// Something follows the fragment.
    #[error("fragment of {bytes} bytes ends before its bytes do; rebuild it with replay")]
    Trailing {
        /// How many there are.
        bytes: usize,
    },
}

pub(super) fn encode(fragment: &Fragment) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.push(VERSION);
    let mut to = rmp_serde::Serializer::new(&mut out).with_struct_map();
    serde::Serialize::serialize(&v1::Shape::of(fragment), &mut to)
        .expect("writing plain data to memory cannot fail");
    out
}

pub(super) fn decode(bytes: &[u8]) -> Result<Fragment, BadFragment> {
    let (version, rest) = bytes.split_first().ok_or(BadFragment::Empty)?;
    if *version != VERSION {
        return Err(BadFragment::Version(*version));
    }
    let mut from = rmp_serde::Deserializer::from_read_ref(rest);
    from.set_max_depth(16);
    let shape = v1::Shape::deserialize(&mut from).map_err(|error| BadFragment::Shape {
        bytes: bytes.len(),
        reason: error.to_string(),
    })?;
    // The reader tells no position; that it cannot read one more marker tells that it is at the end.
    match IgnoredAny::deserialize(&mut from) {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => shape.into_fragment(),
        _ => Err(BadFragment::Trailing { bytes: bytes.len() }),
    }
}

/// Version 1. Frozen.
mod v1 {
    use std::collections::{BTreeMap, BTreeSet};

    use serde::{Deserialize, Serialize};
    use serde_bytes::ByteArray;

    use super::BadFragment;
    use crate::{
        crdt::{Claim, Consent, Marker, Moment, Register, Span},
        facet::Facet,
        fragment::{Fragment, Seen},
        id::{EventId, Fingerprint},
        identifier::{Identifier, Kind},
        identity::Payload,
        person::Person,
    };

    type Id = ByteArray<32>;

    fn is_default<T: Default + PartialEq>(value: &T) -> bool {
        *value == T::default()
    }

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Shape<'a> {
        fingerprint: ByteArray<16>,
        #[serde(borrow)]
        identifiers: Vec<IdentifierShape<'a>>,
        #[serde(default, skip_serializing_if = "is_default")]
        day: Option<i32>,
        #[serde(borrow, default, skip_serializing_if = "is_default")]
        person: PersonShape<'a>,
        #[serde(default, skip_serializing_if = "is_default")]
        span: Option<SpanShape>,
        events: u64,
        #[serde(borrow, default, skip_serializing_if = "is_default")]
        traits: BTreeMap<&'a str, Vec<ClaimShape<'a>>>,
        #[serde(borrow, default, skip_serializing_if = "is_default")]
        interests: BTreeMap<&'a str, u64>,
        #[serde(borrow, default, skip_serializing_if = "is_default")]
        counters: BTreeMap<&'a str, u64>,
        #[serde(borrow, default, skip_serializing_if = "is_default")]
        consents: Vec<ConsentShape<'a>>,
        // Came later: a fragment without it is as it always was.
        #[serde(default, skip_serializing_if = "is_default")]
        facet: Option<Facet>,
    }

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct IdentifierShape<'a> {
        kind: Kind,
        #[serde(default, skip_serializing_if = "str::is_empty")]
        scope: &'a str,
        value: &'a str,
        #[serde(borrow, default, skip_serializing_if = "is_default")]
        seen: Option<SeenShape<'a>>,
    }

    #[derive(Serialize, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct SeenShape<'a> {
        first: i64,
        last: i64,
        #[serde(borrow)]
        sources: Vec<&'a str>,
    }

    #[derive(Serialize, Deserialize, PartialEq, Default)]
    #[serde(deny_unknown_fields, default)]
    struct PersonShape<'a> {
        #[serde(borrow, skip_serializing_if = "is_default")]
        given: Vec<&'a str>,
        #[serde(borrow, skip_serializing_if = "is_default")]
        surnames: Vec<&'a str>,
        #[serde(borrow, skip_serializing_if = "is_default")]
        birthday: Option<&'a str>,
        #[serde(borrow, skip_serializing_if = "is_default")]
        birth_digits: Option<&'a str>,
        #[serde(borrow, skip_serializing_if = "is_default")]
        street: Option<&'a str>,
        #[serde(borrow, skip_serializing_if = "is_default")]
        city: Option<&'a str>,
        #[serde(borrow, skip_serializing_if = "is_default")]
        postal_code: Option<&'a str>,
        #[serde(borrow, skip_serializing_if = "is_default")]
        state: Option<&'a str>,
        #[serde(borrow, skip_serializing_if = "is_default")]
        country: Option<&'a str>,
        #[serde(borrow, skip_serializing_if = "is_default")]
        gender: Option<&'a str>,
        #[serde(borrow, skip_serializing_if = "is_default")]
        company: Option<&'a str>,
    }

    #[derive(Serialize, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct SpanShape {
        first: i64,
        first_event: Id,
        last: i64,
        last_event: Id,
    }

    #[derive(Serialize, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct ClaimShape<'a> {
        value: &'a str,
        rank: u8,
        at: i64,
        event: Id,
        source: &'a str,
    }

    #[derive(Serialize, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct ConsentShape<'a> {
        purpose: &'a str,
        channel: &'a str,
        withdrawals: Vec<Id>,
        grants: Vec<GrantShape>,
    }

    #[derive(Serialize, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct GrantShape {
        event: Id,
        observes: Vec<Id>,
    }

    fn id(event: &EventId) -> Id {
        Id::new(event.0)
    }

    fn event(id: &Id) -> EventId {
        EventId(**id)
    }

    impl<'a> Shape<'a> {
        pub(super) fn of(fragment: &'a Fragment) -> Self {
            let Fragment {
                fingerprint,
                payload:
                    Payload {
                        identifiers: of_payload,
                        day,
                        person,
                        facet,
                    },
                span,
                events,
                identifiers,
                traits,
                interests,
                counters,
                consents,
            } = fragment;
            Self {
                facet: *facet,
                fingerprint: ByteArray::new(fingerprint.0),
                identifiers: of_payload
                    .iter()
                    .map(|identifier| IdentifierShape {
                        kind: identifier.kind,
                        scope: &identifier.scope,
                        value: &identifier.value,
                        seen: identifiers.get(identifier).map(|seen| SeenShape {
                            first: seen.first_ms,
                            last: seen.last_ms,
                            sources: seen.sources.iter().map(String::as_str).collect(),
                        }),
                    })
                    .collect(),
                day: *day,
                person: PersonShape::of(person),
                span: span
                    .first()
                    .zip(span.last())
                    .map(|(first, last)| SpanShape {
                        first: first.at_ms,
                        first_event: id(&first.event),
                        last: last.at_ms,
                        last_event: id(&last.event),
                    }),
                events: *events,
                traits: traits
                    .iter()
                    .map(|(name, register)| {
                        let claims = register.claims().iter().map(ClaimShape::of).collect();
                        (name.as_str(), claims)
                    })
                    .collect(),
                interests: interests
                    .iter()
                    .map(|(name, n)| (name.as_str(), *n))
                    .collect(),
                counters: counters
                    .iter()
                    .map(|(name, n)| (name.as_str(), *n))
                    .collect(),
                consents: consents
                    .iter()
                    .map(|((purpose, channel), consent)| ConsentShape {
                        purpose,
                        channel,
                        withdrawals: consent.withdrawals().iter().map(id).collect(),
                        grants: consent
                            .grants()
                            .iter()
                            .map(|(grant, observes)| GrantShape {
                                event: id(grant),
                                observes: observes.iter().map(id).collect(),
                            })
                            .collect(),
                    })
                    .collect(),
            }
        }

        pub(super) fn into_fragment(self) -> Result<Fragment, BadFragment> {
            let wrong = |what, place: &dyn ToString| BadFragment::Part {
                what,
                place: place.to_string(),
            };
            let mut of_payload = Vec::with_capacity(self.identifiers.len());
            let mut identifiers = Vec::with_capacity(self.identifiers.len());
            for (at, shape) in self.identifiers.into_iter().enumerate() {
                let identifier = Identifier {
                    kind: shape.kind,
                    scope: shape.scope.to_owned(),
                    value: shape.value.to_owned(),
                };
                if of_payload
                    .last()
                    .is_some_and(|before| *before >= identifier)
                {
                    return Err(wrong(
                        "identifiers out of order",
                        &format!("identifiers[{at}]"),
                    ));
                }
                if let Some(seen) = shape.seen {
                    let sources: BTreeSet<String> =
                        seen.sources.into_iter().map(str::to_owned).collect();
                    let seen = Seen {
                        first_ms: seen.first,
                        last_ms: seen.last,
                        sources,
                    };
                    identifiers.push((identifier.clone(), seen));
                }
                of_payload.push(identifier);
            }
            let span = match &self.span {
                None => Span::default(),
                Some(span) => {
                    let moment = |at_ms, id| Moment {
                        at_ms,
                        event: event(id),
                    };
                    Span::between(
                        moment(span.first, &span.first_event),
                        moment(span.last, &span.last_event),
                    )
                    .ok_or_else(|| wrong("a last event before the first", &"span"))?
                }
            };
            let mut traits = Vec::with_capacity(self.traits.len());
            for (name, claims) in self.traits {
                let claims = claims.into_iter().map(ClaimShape::into_claim).collect();
                let register = Register::from_claims(claims)
                    .ok_or_else(|| wrong("claims out of order", &format!("traits.{name}")))?;
                traits.push((name.to_owned(), register));
            }
            let counts = |shape: BTreeMap<&str, u64>| -> BTreeMap<String, u64> {
                shape
                    .into_iter()
                    .map(|(name, n)| (name.to_owned(), n))
                    .collect()
            };
            let mut consents: BTreeMap<_, Consent> = BTreeMap::new();
            for shape in self.consents {
                let consent = consents
                    .entry((shape.purpose.to_owned(), shape.channel.to_owned()))
                    .or_default();
                shape
                    .withdrawals
                    .iter()
                    .for_each(|one| consent.withdraw(event(one)));
                for grant in &shape.grants {
                    consent.grant(event(&grant.event), grant.observes.iter().map(event));
                }
            }
            Ok(Fragment {
                fingerprint: Fingerprint(*self.fingerprint),
                payload: Payload {
                    identifiers: of_payload,
                    day: self.day,
                    person: self.person.into_person(),
                    facet: self.facet,
                },
                span,
                events: self.events,
                identifiers: identifiers.into_iter().collect(),
                traits: traits.into_iter().collect(),
                interests: counts(self.interests),
                counters: counts(self.counters),
                consents,
            })
        }
    }

    impl<'a> ClaimShape<'a> {
        fn of(claim: &'a Claim) -> Self {
            let Marker {
                priority,
                at_ms,
                event,
                source,
            } = &claim.marker;
            Self {
                value: &claim.val,
                rank: *priority,
                at: *at_ms,
                event: id(event),
                source,
            }
        }

        fn into_claim(self) -> Claim {
            Claim {
                val: self.value.to_owned(),
                marker: Marker {
                    priority: self.rank,
                    at_ms: self.at,
                    event: event(&self.event),
                    source: self.source.to_owned(),
                },
            }
        }
    }

    impl<'a> PersonShape<'a> {
        fn of(person: &'a Person) -> Self {
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
            Self {
                given: given.iter().map(String::as_str).collect(),
                surnames: surnames.iter().map(String::as_str).collect(),
                birthday: birthday.as_deref(),
                birth_digits: birth_digits.as_deref(),
                street: street.as_deref(),
                city: city.as_deref(),
                postal_code: postal_code.as_deref(),
                state: state.as_deref(),
                country: country.as_deref(),
                gender: gender.as_deref(),
                company: company.as_deref(),
            }
        }

        fn into_person(self) -> Person {
            let texts = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
            let text = |text: Option<&str>| text.map(str::to_owned);
            Person {
                given: texts(self.given),
                surnames: texts(self.surnames),
                birthday: text(self.birthday),
                birth_digits: text(self.birth_digits),
                street: text(self.street),
                city: text(self.city),
                postal_code: text(self.postal_code),
                state: text(self.state),
                country: text(self.country),
                gender: text(self.gender),
                company: text(self.company),
            }
        }
    }
}
