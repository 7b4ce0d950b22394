//! What each kind of identifier may prove: configuration, versioned, without a line of logic about persons.
//!
//! Owns the classes, strengths and limits. A change of rules is a new version and a full re-resolution.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    ids::truncated,
    listed::{BadList, Listed},
};
use crate::{
    identifier::{Identifier, Kind, Place},
    matching::{Bands, Weights},
};

/// Most distinct persons a value may name before it links nobody.
pub const CAP_DEFAULT: usize = 20;

/// Fewer would link nobody.
const CAP_MIN: usize = 1;
/// More would make every value remember too many persons.
const CAP_MAX: usize = 1_000;

/// Why nobody can work by some rules.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadRules {
    /// The cap.
    #[error(
        "cap is {0}: write {CAP_MIN} to {CAP_MAX}, the most persons that a value may name and still link"
    )]
    Cap(usize),
    /// A name alone might link, or nobody would ever be asked.
    #[error(
        "matching: bands.ask and bands.link must be 0 or more, ask at most link, and holders_max and members_max at least 2"
    )]
    Matching,
    /// Own weights.
    #[error("matching.model: {0}; `trenza-server match train` writes some")]
    Weights(&'static str),
    /// What only decisions name.
    #[error(
        "record: rules are about identifiers that are captured, and a record is none; leave it out"
    )]
    Record,
    /// A window of what links for ever.
    #[error("kinds.{0}: only a kind of class \"ephemeral\" has window_days")]
    Window(&'static str),
    /// A document that is not the whole person's.
    #[error(
        "kinds.nationalId: a document is the person's on every side; it cannot be \"role_scoped\""
    )]
    Side,
    /// A limit of nothing.
    #[error(
        "kinds.{0}: max_per_person and window_days must be at least 1; leave them out for no limit"
    )]
    Zero(&'static str),
    /// A list of values.
    #[error("{name}: {cause}")]
    List {
        /// Which.
        name: &'static str,
        /// What is wrong with it.
        cause: BadList,
    },
}

/// How far a kind of identifier may be trusted. The order is the order in which evidence is weighed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// At most one value per person and scope, one person per value: national ids.
    Exclusive,
    /// One owner; a person may have several: accounts, loyalty cards, logins, badges.
    Owned,
    /// Often one person's, sometimes a couple's or a firm's: e-mail, phone.
    Shareable,
    /// Links inside one side of a person: a work e-mail links the professional side alone. Whoever names no side is on the personal one.
    RoleScoped,
    /// Links for a window of event time: cookies.
    Ephemeral,
    /// Evidence of nothing.
    Blocked,
}

/// The rule for one kind.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindRule {
    /// How far it may be trusted.
    pub class: Class,
    /// Among kinds of one class, the stronger is weighed first.
    pub strength: u16,
    /// Most values a person may collect through links; none means no limit.
    #[serde(default)]
    pub max_per_person: Option<u32>,
    /// Two sightings link when at most this far apart; none means for ever. Unit: UTC days. Only for ephemeral kinds.
    #[serde(default)]
    pub window_days: Option<u32>,
}

/// How records without a common identifier are compared.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Matching {
    /// Whether they are compared at all.
    pub on: bool,
    /// By whose weights.
    pub model: Weights,
    /// What is done at which odds.
    pub bands: Bands,
    /// How many persons there may be: the more, the more of them are alike by chance.
    pub population: u64,
    /// Under how many customers a match key tells nobody apart any more.
    pub holders_max: usize,
    /// Most customers that pairs of high odds may connect; so many that are all alike are no evidence of one person.
    pub members_max: usize,
}

impl Default for Matching {
    fn default() -> Self {
        Self {
            on: true,
            model: Weights::default(),
            bands: Bands {
                ask: 0,
                link: 11_000,
            },
            population: 1_000_000,
            holders_max: 50,
            members_max: 400,
        }
    }
}

impl Matching {
    /// Whether it is safe to work by: a name alone never asks and never links, as its odds are always below even.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let Bands { ask, link } = self.bands;
        (0..=link).contains(&ask) && self.holders_max >= 2 && self.members_max >= 2
    }
}

/// The rules of one version of the identity graph.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Grows with every change; derived tables name the version they were built with.
    pub version: u32,
    /// The rule of every kind; a kind that is missing here has its default rule.
    pub kinds: BTreeMap<Kind, KindRule>,
    /// Most distinct persons a value may name before it links nobody.
    pub cap: usize,
    /// Values that are evidence of nothing: an event that has no others belongs to nobody.
    pub blocked: Listed,
    /// Values that are everybody's: they are shown, and link nobody.
    pub shared: Listed,
    /// How records without a common identifier are compared.
    pub matching: Matching,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            version: 1,
            kinds: Kind::ALL
                .into_iter()
                .map(|kind| (kind, KindRule::of(kind)))
                .collect(),
            cap: CAP_DEFAULT,
            blocked: Listed::default(),
            shared: Listed::default(),
            matching: Matching::default(),
        }
    }
}

impl KindRule {
    /// The rule a kind has when nobody changed it.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        let rule = |class, strength| Self {
            class,
            strength,
            max_per_person: None,
            window_days: None,
        };
        match kind {
            Kind::NationalId => rule(Class::Exclusive, 100),
            Kind::AccountId => rule(Class::Owned, 90),
            Kind::UserId => rule(Class::Owned, 80),
            Kind::LoyaltyId => rule(Class::Owned, 70),
            Kind::BadgeId => rule(Class::Owned, 60),
            Kind::Email => rule(Class::Shareable, 50),
            Kind::Phone => rule(Class::Shareable, 40),
            Kind::AnonymousId => Self {
                window_days: Some(400),
                ..rule(Class::Ephemeral, 10)
            },
            // One holder: it links nobody but by decisions.
            Kind::Record => rule(Class::Owned, 0),
        }
    }
}

/// Another number, another result of the same rules; grows whenever the meaning of what is derived changes.
const MEANING: u32 = 7;

impl Rules {
    /// Stands for all that what is derived depends on beside the events and the decisions. What was derived by another one must
    /// be derived anew.
    #[must_use]
    pub fn digest(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&MEANING.to_le_bytes());
        hasher.update(format!("{self:?}").as_bytes());
        if let Weights::Shipped(language) = &self.matching.model {
            hasher.update(&language.digest());
        }
        truncated(hasher.finalize().as_bytes())
    }

    /// The rule of `kind`.
    #[must_use]
    pub fn rule(&self, kind: Kind) -> KindRule {
        self.kinds
            .get(&kind)
            .cloned()
            .unwrap_or_else(|| KindRule::of(kind))
    }

    /// Whether `identifier` is evidence of nothing.
    #[must_use]
    pub fn blocks(&self, identifier: &Identifier) -> bool {
        self.rule(identifier.kind).class == Class::Blocked || self.blocked.holds(identifier)
    }

    /// Whether the same events have the same identity payloads under both.
    #[must_use]
    pub fn reads_like(&self, other: &Self) -> bool {
        let ignored = |rules: &Self, kind| rules.rule(kind).class == Class::Blocked;
        self.blocked == other.blocked
            && Kind::ALL.into_iter().all(|kind| {
                ignored(self, kind) == ignored(other, kind)
                    && self.ephemeral(kind) == other.ephemeral(kind)
                    && self.role_scoped(kind) == other.role_scoped(kind)
            })
    }

    /// The same rules as they are published: complete, their lists as values are stored.
    ///
    /// # Errors
    /// [`BadRules`] says what nobody can work by.
    pub fn checked(&self, place: &Place<'_>) -> Result<Self, BadRules> {
        if !(CAP_MIN..=CAP_MAX).contains(&self.cap) {
            return Err(BadRules::Cap(self.cap));
        }
        if !self.matching.is_sound() {
            return Err(BadRules::Matching);
        }
        if let Some(wrong) = self.matching.model.wrong() {
            return Err(BadRules::Weights(wrong));
        }
        let listed = self.blocked.values().chain(self.shared.values());
        let mut kinds = self.kinds.keys().copied().chain(listed.map(|one| one.0));
        if kinds.any(|kind| kind == Kind::Record) {
            return Err(BadRules::Record);
        }
        let kinds: BTreeMap<Kind, KindRule> = Kind::ALL
            .into_iter()
            .map(|kind| (kind, self.rule(kind)))
            .collect();
        for (kind, rule) in &kinds {
            if rule.window_days.is_some() && rule.class != Class::Ephemeral {
                return Err(BadRules::Window(kind.name()));
            }
            if rule.class == Class::RoleScoped && *kind == Kind::NationalId {
                return Err(BadRules::Side);
            }
            if rule.max_per_person == Some(0) || rule.window_days == Some(0) {
                return Err(BadRules::Zero(kind.name()));
            }
        }
        let lists = |list: &Listed, name| {
            let normalised = list.normalised(place);
            normalised.map_err(|cause| BadRules::List { name, cause })
        };
        Ok(Self {
            version: self.version,
            kinds,
            cap: self.cap,
            blocked: lists(&self.blocked, "blocked")?,
            shared: lists(&self.shared, "shared")?,
            matching: self.matching.clone(),
        })
    }

    /// Whether the kind links only inside one side of a person.
    #[must_use]
    pub fn role_scoped(&self, kind: Kind) -> bool {
        self.rule(kind).class == Class::RoleScoped
    }

    /// Whether the kind links only for a window of time.
    #[must_use]
    pub fn ephemeral(&self, kind: Kind) -> bool {
        self.rule(kind).class == Class::Ephemeral
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::Language;

    #[test]
    fn every_change_of_the_rules_changes_their_digest() {
        let rules = Rules::default();
        assert_eq!(rules.digest(), Rules::default().digest());
        let mut other = rules.clone();
        other.matching.bands.link += 1;
        assert_ne!(other.digest(), rules.digest());
        other = rules.clone();
        other.matching.model = Weights::Shipped(Language::En);
        assert_ne!(other.digest(), rules.digest());
    }

    #[test]
    fn matching_by_which_a_name_alone_might_link_is_not_sound() {
        assert!(Matching::default().is_sound());
        let bands = |ask, link| Matching {
            bands: Bands { ask, link },
            ..Matching::default()
        };
        assert!(bands(0, 0).is_sound() && bands(3, 8).is_sound());
        for (ask, link) in [(-1, 8), (-2, -1), (9, 8)] {
            assert!(!bands(ask, link).is_sound(), "{ask} {link}");
        }
    }

    #[test]
    fn rules_that_nobody_can_work_by_are_refused_with_what_is_wrong() {
        let spain = Place {
            country: "ES",
            namespace: "",
        };
        let whole = Rules::default().checked(&spain).unwrap();
        assert_eq!(whole, Rules::default());
        let partial: Rules = serde_json::from_str(r#"{"kinds":{}}"#).unwrap();
        assert_eq!(partial.checked(&spain).unwrap(), whole);
        for (text, said) in [
            (r#"{"cap":0}"#, "cap"),
            (
                r#"{"kinds":{"phone":{"class":"shareable","strength":1,"window_days":3}}}"#,
                "kinds.phone",
            ),
            (
                r#"{"kinds":{"email":{"class":"owned","strength":1,"max_per_person":0}}}"#,
                "kinds.email",
            ),
            (
                r#"{"kinds":{"nationalId":{"class":"role_scoped","strength":1}}}"#,
                "kinds.nationalId",
            ),
            (
                r#"{"kinds":{"record":{"class":"blocked","strength":1}}}"#,
                "record",
            ),
            (r#"{"shared":{"record":["x"]}}"#, "record"),
            (r#"{"blocked":{"email":["*"]}}"#, "blocked: email"),
            (r#"{"shared":{"phone":[""]}}"#, "shared: phone"),
            (r#"{"matching":{"bands":{"ask":-1,"link":5}}}"#, "matching"),
        ] {
            let rules: Rules = serde_json::from_str(text).unwrap();
            let refused = rules.checked(&spain).unwrap_err().to_string();
            assert!(refused.starts_with(said), "{refused}");
        }
    }

    #[test]
    fn events_read_alike_unless_what_counts_as_an_identifier_changes() {
        let rules = Rules::default();
        let changed = |change: fn(&mut Rules)| {
            let mut other = Rules::default();
            change(&mut other);
            !rules.reads_like(&other)
        };
        assert!(!changed(|rules| rules.cap = 3));
        assert!(!changed(|rules| rules.shared.insert(Kind::Email, "info@*")));
        assert!(changed(|rules| rules.blocked.insert(Kind::Email, "info@*")));
        assert!(changed(|rules| {
            rules.kinds.insert(
                Kind::Phone,
                KindRule {
                    class: Class::Blocked,
                    ..KindRule::of(Kind::Phone)
                },
            );
        }));
        assert!(changed(|rules| {
            rules.kinds.insert(
                Kind::Phone,
                KindRule {
                    class: Class::Ephemeral,
                    ..KindRule::of(Kind::Phone)
                },
            );
        }));
        assert!(changed(|rules| {
            rules.kinds.insert(
                Kind::Phone,
                KindRule {
                    class: Class::RoleScoped,
                    ..KindRule::of(Kind::Phone)
                },
            );
        }));
        assert!(!changed(|rules| {
            rules.kinds.insert(
                Kind::Phone,
                KindRule {
                    class: Class::Exclusive,
                    ..KindRule::of(Kind::Phone)
                },
            );
        }));
    }

    #[test]
    fn the_rules_survive_json_and_refuse_a_typo() {
        let rules = Rules::default();
        let text = serde_json::to_string(&rules).unwrap();
        assert_eq!(serde_json::from_str::<Rules>(&text).unwrap(), rules);
        assert!(serde_json::from_str::<Rules>(r#"{"capp":3}"#).is_err());
        let partial: Rules = serde_json::from_str(r#"{"version":2,"kinds":{}}"#).unwrap();
        assert_eq!(partial.rule(Kind::Email).class, Class::Shareable);
    }
}
