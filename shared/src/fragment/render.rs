//! A customer as JSON: of the API, and of the export.
//!
//! Owns the shapes of the contract. Trait values come out as the JSON they came in as, numbers with every digit.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{ConsentPart, Customer, Seen, mask};
use crate::{
    canonical,
    clock::format_ms,
    crdt::{Claim, ConsentState, Moment},
    id::CustomerId,
    identifier::Identifier,
};

impl Customer {
    /// The `Customer` of the API. `aliases` are the other ids that lead here, `shared` the identifiers that others hold too and that
    /// therefore link nobody. Times are RFC 3339 in UTC with milliseconds.
    #[must_use]
    pub fn to_json(
        &self,
        id: CustomerId,
        aliases: &[CustomerId],
        shared: &BTreeSet<Identifier>,
    ) -> Value {
        self.rendered(id, aliases, shared, false)
    }

    /// The same for those who may not see personal values.
    #[must_use]
    pub fn to_json_masked(
        &self,
        id: CustomerId,
        aliases: &[CustomerId],
        shared: &BTreeSet<Identifier>,
    ) -> Value {
        self.rendered(id, aliases, shared, true)
    }

    fn rendered(
        &self,
        id: CustomerId,
        aliases: &[CustomerId],
        shared: &BTreeSet<Identifier>,
        masked: bool,
    ) -> Value {
        let aliases: BTreeSet<CustomerId> = aliases
            .iter()
            .copied()
            .filter(|alias| *alias != id)
            .collect();
        let identifiers = |all: &BTreeMap<Identifier, Seen>| -> Vec<Value> {
            all.iter()
                .map(|(identifier, seen)| identifier_json(identifier, seen, shared, masked))
                .collect()
        };
        let claim_json = |name: &str, claim: &Claim| {
            let value = parsed(&claim.val);
            json!({
                "value": if masked { mask::trait_value(name, value) } else { value },
                "source": claim.marker.source,
                "at": format_ms(claim.marker.at_ms),
            })
        };
        let mut traits = Map::new();
        for (name, register) in &self.traits {
            if let Some(winner) = register.winner() {
                let mut shown = claim_json(name, winner);
                shown["others"] = register
                    .losers()
                    .map(|loser| claim_json(name, loser))
                    .collect();
                traits.insert(name.clone(), shown);
            }
        }
        let mut interests: Vec<(&String, &u64)> = self.interests.iter().collect();
        interests.sort_by(|left, right| right.1.cmp(left.1).then_with(|| left.0.cmp(right.0)));
        let interests: Vec<Value> = interests
            .into_iter()
            .map(|(topic, count)| json!({"topic": topic, "count": count}))
            .collect();
        let mut counters: BTreeMap<&str, u64> = BTreeMap::from([("events", self.events)]);
        counters.extend(self.counters.iter().map(|(name, n)| (name.as_str(), *n)));
        let time = |moment: Option<Moment>| moment.map(|moment| format_ms(moment.at_ms));
        let facets = self.facets.iter().map(|(facet, side)| {
            json!({
                "facet": facet,
                "identifiers": identifiers(&side.identifiers),
                "consents": consents_json(&side.consents),
                "events": side.events,
                "first_seen": time(side.span.first()),
                "last_seen": time(side.span.last()),
            })
        });
        let mut whole = json!({
            "id": id,
            "aliases": aliases,
            "identifiers": identifiers(&self.identifiers),
            "traits": traits,
            "interests": interests,
            "facets": facets.collect::<Vec<_>>(),
            "consents": consents_json(&self.consents),
            "counters": counters,
            "first_seen": time(self.span.first()),
            "last_seen": time(self.span.last()),
        });
        if !self.refused_beside.is_empty() {
            let beside = self.refused_beside.iter();
            whole["refused_beside"] = beside
                .map(|(purpose, channel)| json!({"purpose": purpose, "channel": channel}))
                .collect();
        }
        whole
    }

    /// One line of `export customers`, without the line end: compact, keys and lists sorted. `records` are the messageIds of its
    /// events.
    #[must_use]
    pub fn export_line<'a>(
        &self,
        id: CustomerId,
        records: impl IntoIterator<Item = &'a str>,
        shared: &BTreeSet<Identifier>,
    ) -> String {
        // Two namespaces can hold one value; a line says it once, shared when either is.
        let mut identifiers: BTreeMap<(&str, &str), bool> = BTreeMap::new();
        for identifier in self.identifiers.keys() {
            let key = (identifier.kind.name(), identifier.value.as_str());
            *identifiers.entry(key).or_default() |= shared.contains(identifier);
        }
        let identifiers: Vec<Value> = identifiers
            .into_iter()
            .map(|((kind, value), shared)| json!({"kind": kind, "value": value, "shared": shared}))
            .collect();
        let records: BTreeSet<&str> = records.into_iter().collect();
        let traits: Map<String, Value> = self
            .traits
            .iter()
            .filter_map(|(name, register)| Some((name.clone(), parsed(&register.winner()?.val))))
            .collect();
        canonical::to_string(&json!({
            "id": id,
            "identifiers": identifiers,
            "records": records,
            "traits": traits,
        }))
    }
}

fn identifier_json(
    identifier: &Identifier,
    seen: &Seen,
    shared: &BTreeSet<Identifier>,
    masked: bool,
) -> Value {
    let value = if masked {
        mask::identifier(identifier)
    } else {
        identifier.value.clone()
    };
    let mut shown = json!({
        "kind": identifier.kind.name(),
        "value": value,
        "shared": shared.contains(identifier),
        "first_seen": format_ms(seen.first_ms),
        "last_seen": format_ms(seen.last_ms),
        "sources": seen.sources,
    });
    if !identifier.namespace().is_empty() {
        shown["scope"] = identifier.namespace().into();
    }
    if let Some(facet) = identifier.facet() {
        shown["facet"] = facet.name().into();
    }
    shown
}

/// By purpose, then by channel.
fn consents_json(consents: &BTreeMap<ConsentPart, ConsentState>) -> Value {
    let mut out: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for ((purpose, channel), state) in consents {
        let by_channel = out.entry(purpose).or_default();
        by_channel.insert(channel, state.name());
    }
    json!(out)
}

/// A stored trait value. One that is no JSON any more is shown as the text it is.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
