//! Owns the counting of a day: how much at which place, which identifiers, what is shared. For reading and for tests;
//! it judges nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::{Day, Place, Repeat};

/// A day in numbers.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Touches, copies included.
    pub events: usize,
    /// People in the truth.
    pub people: usize,
    /// People with at least one touch.
    pub people_seen: usize,
    /// People seen at so many places: the index is the number of places.
    pub people_at_places: [usize; 7],
    /// Touches of nobody in particular.
    pub of_nobody: usize,
    /// Touches by place.
    pub places: BTreeMap<Place, usize>,
    /// Touches by `context.trenza.channel`; rows of the core system have none.
    pub channels: BTreeMap<String, usize>,
    /// Touches by `type`, with the event's name for tracks.
    pub kinds: BTreeMap<String, usize>,
    /// Touches that carry an identifier of the kind.
    pub coverage: BTreeMap<&'static str, usize>,
    /// Written forms of an identifier that touches of two or more people carry, by kind.
    pub shared: BTreeMap<&'static str, usize>,
    /// Exact repetitions and conflicts.
    pub retries: usize,
    /// Same id, other content.
    pub conflicts: usize,
    /// Households of two and more, and of these the ones that share a landline, a mobile, a mailbox, a browser.
    pub households: [usize; 5],
}

/// The names of traits that identify, as the capture API reads them.
const KINDS: [&str; 6] = [
    "email",
    "phone",
    "nationalId",
    "loyaltyId",
    "badgeId",
    "accountId",
];

/// Every identifier of a body as (kind, value as written).
pub fn identifiers(body: &Value) -> Vec<(&'static str, &str)> {
    let mut found = Vec::new();
    for kind in ["userId", "anonymousId"] {
        found.extend(body[kind].as_str().map(|value| (kind, value)));
    }
    for traits in [&body["traits"], &body["context"]["traits"]] {
        for kind in KINDS {
            found.extend(traits[kind].as_str().map(|value| (kind, value)));
        }
    }
    for id in body["context"]["externalIds"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let kind = KINDS.into_iter().find(|kind| id["type"] == **kind);
        found.extend(kind.zip(id["id"].as_str()));
    }
    found
}

/// Counts the day.
pub fn summary(day: &Day) -> Summary {
    let mut sum = Summary {
        events: day.events.len(),
        people: day.people.len(),
        ..Summary::default()
    };
    let mut holders: BTreeMap<(&'static str, &str), BTreeSet<u32>> = BTreeMap::new();
    let mut seen: BTreeMap<u32, BTreeSet<Place>> = BTreeMap::new();
    for touch in &day.events {
        *sum.places.entry(touch.place).or_default() += 1;
        let channel = touch.body["context"]["trenza"]["channel"]
            .as_str()
            .unwrap_or("-");
        *sum.channels.entry(channel.to_owned()).or_default() += 1;
        let kind = touch.body["event"]
            .as_str()
            .or(touch.body["type"].as_str())
            .unwrap_or("-");
        *sum.kinds.entry(kind.to_owned()).or_default() += 1;
        match touch.repeat {
            Repeat::First => {}
            Repeat::Retry => sum.retries += 1,
            Repeat::Conflict => sum.conflicts += 1,
        }
        let mut kinds = BTreeSet::new();
        for (kind, value) in identifiers(&touch.body) {
            kinds.insert(kind);
            if let Some(person) = touch.truth {
                holders.entry((kind, value)).or_default().insert(person.0);
            }
        }
        for kind in kinds {
            *sum.coverage.entry(kind).or_default() += 1;
        }
        match touch.truth {
            Some(person) => drop(seen.entry(person.0).or_default().insert(touch.place)),
            None => sum.of_nobody += 1,
        }
    }
    sum.people_seen = seen.len();
    for places in seen.values() {
        sum.people_at_places[places.len()] += 1;
    }
    for ((kind, _), people) in &holders {
        if people.len() > 1 {
            *sum.shared.entry(kind).or_default() += 1;
        }
    }
    for home in day.households.iter().filter(|home| home.members.len() > 1) {
        let shares = [
            &home.landline,
            &home.shared_mobile,
            &home.shared_email,
            &home.shared_device,
        ];
        sum.households[0] += 1;
        for (count, shared) in sum.households[1..].iter_mut().zip(shares) {
            *count += usize::from(shared.is_some());
        }
    }
    sum
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{} events of {} people ({} seen)",
            self.events, self.people, self.people_seen
        )?;
        for (place, count) in &self.places {
            writeln!(out, "  {place:?}: {count}")?;
        }
        for (kind, count) in &self.coverage {
            let shared = self.shared.get(kind).copied().unwrap_or(0);
            writeln!(
                out,
                "  {kind}: on {count} events, {shared} values of several people"
            )?;
        }
        let [several, landline, mobile, mailbox, browser] = self.households;
        writeln!(
            out,
            "  {several} households of several share: landline {landline}, mobile {mobile}, mailbox {mailbox}, browser {browser}"
        )?;
        write!(
            out,
            "  {} retries, {} conflicts, {} of nobody",
            self.retries, self.conflicts, self.of_nobody
        )
    }
}
