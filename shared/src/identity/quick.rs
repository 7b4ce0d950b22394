//! The common case: a new node without a name joins the one customer that its values belong to.
//!
//! Owns when that is sure without looking at the customer's nodes. Whatever is not sure is resolved in full; the result is the
//! same either way.

use super::{
    change::Outcome,
    decisions::Active,
    engine::may_link,
    graph::{Graph, group_of, person_of},
    payload::Node,
    rules::{Class, Rules},
};
use crate::identifier::Kind;

/// Most other holders of an ephemeral value whose days are looked at.
const LOOKED_AT_MAX: usize = 4;

/// Whether an earlier time of a known node leaves the seed of its group as it is; then nothing else changes by it.
pub(super) fn seed_stays<G: Graph>(graph: &G, node: &Node) -> Result<bool, G::Error> {
    let group = group_of(graph, &node.fingerprint)?;
    Ok(group.is_some_and(|group| {
        group.seed != node.fingerprint
            && (node.first_at_ms, node.fingerprint) > (group.seed_at_ms, group.seed)
    }))
}

/// Adds a new node, which its values' holders and profiles know already (`hot`, for each of its values), to the customer it surely belongs to; none when that
/// takes a resolution.
///
/// Sure is: all its values link, nobody decided about them, and whoever else holds them is in one component of one customer who
/// shares no value with others; it says nothing that could contradict the customer or change how it is compared; and neither
/// the seed nor the component's name changes by it. Any two parts of a customer without shared values fit each other, so
/// nothing that the node joins earlier than before can clash.
pub(super) fn join<G: Graph>(
    graph: &mut G,
    node: &Node,
    hot: &[bool],
    active: &Active,
    rules: &Rules,
) -> Result<Option<Outcome>, G::Error> {
    let limited = rules
        .kinds
        .values()
        .any(|rule| rule.max_per_person.is_some());
    let named = active.record(&node.fingerprint).is_some();
    if limited || named || !node.payload.person.is_empty() {
        return Ok(None);
    }
    let (mut home, mut linked) = (None, false);
    for (key, hot) in node.payload.identifiers.iter().zip(hot) {
        let rule = rules.rule(key.kind);
        let links = !hot && may_link(key, active, rules);
        if rule.class == Class::Exclusive || active.names(key) || !links {
            return Ok(None);
        }
        let mut others = graph.holders(key, None, LOOKED_AT_MAX + 1)?;
        others.retain(|other| *other != node.fingerprint);
        let Some(first) = others.first() else {
            // A new address or number changes how the customer is compared.
            if matches!(key.kind, Kind::Email | Kind::Phone) {
                return Ok(None);
            }
            continue;
        };
        let of = graph.component_of(first)?;
        if of.is_none() || (home.is_some() && home != of) {
            return Ok(None);
        }
        home = of;
        for other in others {
            let Some(other) = graph.node(&other)? else {
                continue;
            };
            let near = match (rule.window_days, node.payload.day, other.payload.day) {
                (None, ..) => true,
                (Some(window), Some(one), Some(other)) => {
                    (i64::from(one) - i64::from(other)).abs() <= i64::from(window)
                }
                (Some(_), ..) => false,
            };
            linked |= near && !doubled(&other, rules);
        }
    }
    let Some(home) = home.filter(|_| linked) else {
        return Ok(None);
    };
    let Some(mut component) = graph.component(&home)? else {
        return Ok(None);
    };
    let [group] = &mut component.groups[..] else {
        return Ok(None);
    };
    let earlier = (node.first_at_ms, node.fingerprint) < (group.seed_at_ms, group.seed);
    if earlier
        || node.fingerprint < component.id
        || !group.shared.is_empty()
        || !component.refusals.is_empty()
    {
        return Ok(None);
    }
    let seed = group.seed;
    let was = person_of(graph, &seed)?;
    if let Err(at) = group.members.binary_search(&node.fingerprint) {
        group.members.insert(at, node.fingerprint);
    }
    graph.put_component(&component)?;
    graph.put_component_of(&node.fingerprint, &home)?;
    let is = person_of(graph, &seed)?;
    Ok(Some(Outcome::between(was.as_slice(), is.as_slice())))
}

/// Whether a node names two persons, by two values of which a person has one: then it links nobody, whatever it holds.
fn doubled(node: &Node, rules: &Rules) -> bool {
    node.payload.identifiers.windows(2).any(|pair| {
        pair[0].kind == pair[1].kind
            && pair[0].scope == pair[1].scope
            && rules.rule(pair[0].kind).class == Class::Exclusive
    })
}
