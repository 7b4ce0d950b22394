//! Keeps the grouping up to date, event by event, over a store.
//!
//! Owns which components a change touches: those of the holders of the new node's values, as far as the values link. Only they
//! are resolved again, and the result is the one of [`full`] over everything. A value that is hot is never traversed, so one
//! event's work is bounded by its own components, however many hold its values.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use super::{
    change::Outcome,
    decision::{BadDecision, Decision},
    decisions::{Active, Decisions},
    graph::{Graph, group_of},
    grouping::{Component, Group},
    payload::Node,
    people::{People, people},
    profile::KeyProfile,
    quick,
    rematch::{Moved, rematch},
    resolve::{Resolved, resolve},
    rules::{Class, Rules},
    unit::Unit,
};
use crate::{id::Fingerprint, identifier::Identifier};

/// Holders read at a time when a decision needs all of them.
const HOLDERS_PAGE: usize = 1024;

/// A decision that was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum DecideError<E> {
    /// Its shape or id is wrong; nothing changed.
    #[error(transparent)]
    Bad(#[from] BadDecision),
    /// The store failed.
    #[error("the identity graph's store failed")]
    Store(E),
}

/// Everything from scratch.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Whole {
    /// Customers by identifiers.
    pub components: Vec<Component>,
    /// Those of them that can be compared with others, by seed.
    pub units: Vec<Unit>,
    /// Which of them are one person, and whom to ask about.
    pub people: People,
}

/// Everything from scratch: the reference that the engine equals after every step.
#[must_use]
pub fn full<'a>(
    nodes: impl IntoIterator<Item = &'a Node>,
    decisions: &Decisions,
    rules: &Rules,
) -> Whole {
    let nodes: Vec<&Node> = nodes.into_iter().collect();
    let mut profiles: BTreeMap<&Identifier, KeyProfile> = BTreeMap::new();
    for node in &nodes {
        for key in &node.payload.identifiers {
            profiles
                .entry(key)
                .or_default()
                .add(key, &node.payload, rules);
        }
    }
    let hot = |key: &Identifier| profiles.get(key).is_some_and(KeyProfile::hot);
    let Resolved {
        components,
        mut units,
    } = resolve(nodes.iter().copied(), decisions.active(), rules, &hot);
    units.sort_unstable_by_key(|unit| unit.seed);
    Whole {
        components,
        people: people(&units, rules),
        units,
    }
}

/// Takes in a node. A known one with no earlier time changes nothing; with an earlier one, at most seeds.
///
/// # Errors
/// Those of the store. Writes are the caller's to make atomic.
pub fn insert<G: Graph>(
    graph: &mut G,
    node: Node,
    decisions: &Decisions,
    rules: &Rules,
) -> Result<Outcome, G::Error> {
    let mut touched = BTreeSet::new();
    // Of each of its values.
    let mut hot = Vec::with_capacity(node.payload.identifiers.len());
    let known = graph.node(&node.fingerprint)?;
    if let Some(known) = &known {
        if known.first_at_ms <= node.first_at_ms {
            return Ok(Outcome::default());
        }
        if quick::seed_stays(graph, &node)? {
            graph.put_node(&node)?;
            return Ok(Outcome::default());
        }
        touched.extend(graph.component_of(&node.fingerprint)?);
    } else {
        if let Some(record) = decisions.active().record(&node.fingerprint) {
            touch(graph, record, decisions.active(), rules, &mut touched)?;
        }
        for key in &node.payload.identifiers {
            let mut profile = graph.profile(key)?;
            if !profile.hot() {
                touch(graph, key, decisions.active(), rules, &mut touched)?;
                if profile.add(key, &node.payload, rules) {
                    graph.put_profile(key, &profile)?;
                }
            }
            graph.add_holder(key, &node.fingerprint)?;
            hot.push(profile.hot());
        }
    }
    graph.put_node(&node)?;
    if known.is_none()
        && let Some(outcome) = quick::join(graph, &node, &hot, decisions.active(), rules)?
    {
        return Ok(outcome);
    }
    recompute(
        graph,
        &touched,
        Some((node, &hot)),
        decisions.active(),
        rules,
    )
}

/// Gives a node the earliest event time that its fragment has now, also a later one: an event was taken out of it.
///
/// # Errors
/// Those of the store.
pub fn retime<G: Graph>(
    graph: &mut G,
    node: Node,
    decisions: &Decisions,
    rules: &Rules,
) -> Result<Outcome, G::Error> {
    let touched = graph.component_of(&node.fingerprint)?.into_iter().collect();
    graph.put_node(&node)?;
    recompute(
        graph,
        &touched,
        Some((node, &[])),
        decisions.active(),
        rules,
    )
}

/// Takes out a node whose fragment holds no event any more. Inserting a node and removing it leaves what was there before.
///
/// # Errors
/// Those of the store.
pub fn remove<G: Graph>(
    graph: &mut G,
    fingerprint: &Fingerprint,
    decisions: &Decisions,
    rules: &Rules,
) -> Result<Outcome, G::Error> {
    let Some(node) = graph.node(fingerprint)? else {
        return Ok(Outcome::default());
    };
    let mut touched: BTreeSet<Fingerprint> = graph.component_of(fingerprint)?.into_iter().collect();
    graph.remove_node(fingerprint)?;
    for key in &node.payload.identifiers {
        graph.remove_holder(key, fingerprint)?;
        let was_hot = graph.profile(key)?.hot();
        let profile = profile_of(graph, key, rules)?;
        if was_hot && !profile.hot() {
            // It links its holders again, and those of the values that people declared to be the same person's.
            let partners = decisions.active().partners(key).cloned();
            let again = partners.chain([key.clone()]).collect();
            touched.extend(holding(graph, &again)?);
        }
        graph.put_profile(key, &profile)?;
    }
    recompute(graph, &touched, None, decisions.active(), rules)
}

/// The profile of a value, counted over its holders; stops where it turns hot.
fn profile_of<G: Graph>(
    graph: &G,
    key: &Identifier,
    rules: &Rules,
) -> Result<KeyProfile, G::Error> {
    let mut profile = KeyProfile::default();
    let mut after = None;
    loop {
        let page = graph.holders(key, after.as_ref(), HOLDERS_PAGE)?;
        for holder in &page {
            if let Some(node) = graph.node(holder)? {
                profile.add(key, &node.payload, rules);
            }
        }
        match page.last() {
            Some(last) if page.len() == HOLDERS_PAGE && !profile.hot() => after = Some(*last),
            _ => return Ok(profile),
        }
    }
}

/// Takes in a decision and carries it out. One that is known changes nothing.
///
/// # Errors
/// [`DecideError`]
pub fn decide<G: Graph>(
    graph: &mut G,
    decisions: &mut Decisions,
    decision: Decision,
    rules: &Rules,
) -> Result<Outcome, DecideError<G::Error>> {
    let before = decisions.active().clone();
    decisions.insert(decision)?;
    let subjects = before.differing(decisions.active());
    let touched = holding(graph, &subjects).map_err(DecideError::Store)?;
    recompute(graph, &touched, None, decisions.active(), rules).map_err(DecideError::Store)
}

/// The components of all holders of some values. A decision is a person's work, so hot values are read to the end.
fn holding<G: Graph>(
    graph: &G,
    subjects: &BTreeSet<Identifier>,
) -> Result<BTreeSet<Fingerprint>, G::Error> {
    let mut touched = BTreeSet::new();
    for key in subjects {
        let mut after = None;
        loop {
            let page = graph.holders(key, after.as_ref(), HOLDERS_PAGE)?;
            for holder in &page {
                touched.extend(graph.component_of(holder)?);
            }
            match page.last() {
                Some(last) if page.len() == HOLDERS_PAGE => after = Some(*last),
                _ => break,
            }
        }
    }
    Ok(touched)
}

/// Adds the components that a new holder of `key`, which is not hot, may join. All holders of a value that links are in one
/// component.
fn touch<G: Graph>(
    graph: &G,
    key: &Identifier,
    active: &Active,
    rules: &Rules,
    touched: &mut BTreeSet<Fingerprint>,
) -> Result<(), G::Error> {
    if !may_link(key, active, rules) {
        return Ok(());
    }
    let mut linked = vec![key];
    for partner in active.partners(key) {
        if may_link(partner, active, rules) && !graph.profile(partner)?.hot() {
            linked.push(partner);
        }
    }
    for key in linked {
        for holder in graph.holders(key, None, 1)? {
            touched.extend(graph.component_of(&holder)?);
        }
    }
    Ok(())
}

/// Whether a value links its holders as long as it is not hot.
pub(super) fn may_link(key: &Identifier, active: &Active, rules: &Rules) -> bool {
    rules.rule(key.kind).class != Class::Blocked
        && active.shared(key).is_none()
        && !rules.shared.holds(key)
}

/// Resolves some components again, with a new node among them of whose values it may be known which are hot, and what follows for
/// the persons.
fn recompute<G: Graph>(
    graph: &mut G,
    touched: &BTreeSet<Fingerprint>,
    new: Option<(Node, &[bool])>,
    active: &Active,
    rules: &Rules,
) -> Result<Outcome, G::Error> {
    let mut before = Vec::new();
    let mut nodes: BTreeMap<Fingerprint, Node> = BTreeMap::new();
    for id in touched {
        let Some(component) = graph.component(id)? else {
            continue;
        };
        for member in component.members() {
            nodes.extend(graph.node(member)?.map(|node| (*member, node)));
        }
        before.push(component);
    }
    let mut known: &[bool] = &[];
    let fresh = new.as_ref().map(|(node, _)| node.fingerprint);
    if let Some((node, hot)) = new {
        known = hot;
        nodes.insert(node.fingerprint, node);
    }
    let mut hot: BTreeMap<&Identifier, bool> = BTreeMap::new();
    if let Some(node) = fresh.and_then(|fresh| nodes.get(&fresh)) {
        hot.extend(node.payload.identifiers.iter().zip(known.iter().copied()));
    }
    for key in nodes.values().flat_map(|node| &node.payload.identifiers) {
        if let Entry::Vacant(place) = hot.entry(key) {
            place.insert(graph.profile(key)?.hot());
        }
    }
    let is_hot = |key: &Identifier| hot.get(key).copied().unwrap_or(false);
    let Resolved { components, units } = resolve(nodes.values(), active, rules, &is_hot);
    write(graph, &before, &components)?;
    let (was, is) = (by_seed(&before), by_seed(&components));
    let moved = if rules.matching.on {
        rematch(graph, &was.keys().copied().collect(), units, rules)?
    } else {
        Moved::new()
    };
    let mut then = Persons::new();
    let mut now = Persons::new();
    for seed in was.keys().chain(is.keys()).chain(moved.keys()) {
        let (old, new) = match moved.get(seed) {
            Some(pair) => pair.clone(),
            None => {
                let person = graph.matched(seed)?.unwrap_or_else(|| vec![*seed]);
                (person.clone(), person)
            }
        };
        then.insert(old);
        now.insert(new);
    }
    let then = persons(graph, &then, &was, &is)?;
    let now = persons(graph, &now, &is, &was)?;
    Ok(Outcome::between(&then, &now))
}

/// Persons, each by the seeds of the customers by identifiers it is.
type Persons = BTreeSet<Vec<Fingerprint>>;

/// The groups of some persons. Customers that were resolved again are as `resolved` says, and nothing where only the `other`
/// grouping has them; the rest are read.
fn persons<G: Graph>(
    graph: &G,
    persons: &Persons,
    resolved: &BTreeMap<Fingerprint, Group>,
    other: &BTreeMap<Fingerprint, Group>,
) -> Result<Vec<Group>, G::Error> {
    let mut groups = Vec::new();
    for person in persons {
        let mut parts = Vec::with_capacity(person.len());
        for seed in person {
            match resolved.get(seed) {
                Some(group) => parts.push(group.clone()),
                None if other.contains_key(seed) => {}
                None => parts.extend(group_of(graph, seed)?),
            }
        }
        groups.extend(Group::joined(&parts));
    }
    Ok(groups)
}

fn by_seed(components: &[Component]) -> BTreeMap<Fingerprint, Group> {
    let groups = components.iter().flat_map(|component| &component.groups);
    groups.map(|group| (group.seed, group.clone())).collect()
}

/// Writes components in place of those that were.
fn write<G: Graph>(
    graph: &mut G,
    before: &[Component],
    after: &[Component],
) -> Result<(), G::Error> {
    for component in before {
        if !after.iter().any(|one| one.id == component.id) {
            graph.remove_component(&component.id)?;
        }
    }
    let was: BTreeMap<&Fingerprint, &Fingerprint> = before
        .iter()
        .flat_map(|component| component.members().map(|member| (member, &component.id)))
        .collect();
    for component in after {
        if !before.contains(component) {
            graph.put_component(component)?;
        }
        for member in component.members() {
            if was.get(member) != Some(&&component.id) {
                graph.put_component_of(member, &component.id)?;
            }
        }
    }
    Ok(())
}
