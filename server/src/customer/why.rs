//! Why two values or two customers are one person, or are not, with the events that say so.
//!
//! Owns the way from the identity graph's answer to one that names messageId, source, place, device and time. Decides nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trenza_shared::{
    clock::format_ms,
    fragment::mask,
    id::Fingerprint,
    identifier::{Identifier, Kind},
    identity::{
        Apart, Clash, Decision, Decisions, Evidence, Group, Node, Rules, Seen, Sentence, SharedWhy,
        Step, Why, agreement, bridges, customer_id, nearest, said_of, sentence, why,
    },
    matching::Score,
    store::{Direction, Overlay, StoreError, View},
};

use super::{
    lookup,
    timeline::{Moment, moment},
};
use crate::{
    identity::{StoredGraph, read},
    registry::Registry,
    tables::TIMELINE,
};

/// What stands for what is not shown.
const HIDDEN: &str = "***";
/// Begins a subject of a decision that is a customer's id.
pub const CUSTOMER: &str = "customer:";
/// Most values of a customer from which a chain is tried.
const CANDIDATES_MAX: usize = 8;

/// One end of a question.
#[derive(Clone, Debug)]
pub enum Side {
    /// A value: what its text may mean.
    Value(Vec<Identifier>),
    /// A customer, by the fingerprint of an id of it.
    Customer {
        /// Whose id was given.
        member: Fingerprint,
        /// The customer.
        group: Group,
    },
}

/// One step of a chain with what proves it.
pub struct Proof {
    /// From which value to which.
    pub step: Step,
    /// The earliest event that holds both.
    pub moment: Option<Moment>,
    /// The decision that says so.
    pub decision: Option<Decision>,
}

/// An answer with its proofs and its words.
pub struct Explained {
    /// The bare answer.
    pub why: Why,
    /// The steps of [`Why::Linked`], proved.
    pub steps: Vec<Proof>,
    /// The answer in words.
    pub sentence: Sentence,
}

/// What explaining needs beside the tables.
pub struct Context<'a> {
    /// Every decision.
    pub decisions: &'a Decisions,
    /// Rules of identity.
    pub rules: &'a Rules,
    /// Sources and agents.
    pub registry: &'a Registry,
    /// Zone of the dates in sentences. IANA name.
    pub zone: &'a str,
    /// Whether personal values are hidden.
    pub masked: bool,
}

/// Explains. Of several customers that hold a shared value, `within` is meant, if it is one of them.
///
/// # Errors
/// The store cannot be read.
pub fn explain(
    view: &dyn View,
    context: &Context<'_>,
    within: Option<&Group>,
    from: &Side,
    to: &Side,
) -> Result<Explained, StoreError> {
    let why = answer(view, context, within, from, to)?;
    let mut steps = Vec::new();
    if let Why::Linked(chain) = &why {
        for step in chain {
            let proof = match &step.evidence {
                Evidence::Node(node) => Proof {
                    step: step.clone(),
                    moment: first_moment(view, node)?,
                    decision: None,
                },
                Evidence::Match(_) => Proof {
                    step: step.clone(),
                    moment: None,
                    decision: None,
                },
                Evidence::Decision(id) => Proof {
                    step: step.clone(),
                    moment: None,
                    decision: context.decisions.get(id).cloned(),
                },
            };
            steps.push(proof);
        }
    }
    let sentence = match &why {
        Why::Linked(chain)
            if chain.is_empty()
                && matches!(
                    (from, to),
                    (Side::Customer { .. }, _) | (_, Side::Customer { .. })
                ) =>
        {
            Sentence {
                es: "Es el mismo cliente.".into(),
                en: "It is the same customer.".into(),
            }
        }
        _ => sentence(&why, context.masked, &|node| {
            let proof = steps
                .iter()
                .find(|proof| proof.step.evidence == Evidence::Node(*node))?;
            let moment = proof.moment.as_ref()?;
            let place = moment
                .touchpoint(context.registry)
                .or_else(|| moment.sources(context.registry).into_iter().next())?;
            Some(Seen {
                place,
                date: date(moment.row.at_ms, context.zone),
            })
        }),
    };
    Ok(Explained {
        why,
        steps,
        sentence,
    })
}

fn answer(
    view: &dyn View,
    context: &Context<'_>,
    within: Option<&Group>,
    from: &Side,
    to: &Side,
) -> Result<Why, StoreError> {
    let (ours, theirs) = (groups(view, from, within)?, groups(view, to, within)?);
    let unknown: Vec<Apart> = [(from, &ours), (to, &theirs)]
        .into_iter()
        .filter(|(_, groups)| groups.is_empty())
        .filter_map(|(side, _)| match side {
            Side::Value(values) => values.first().cloned().map(Apart::Unknown),
            Side::Customer { .. } => None,
        })
        .collect();
    if !unknown.is_empty() {
        return Ok(Why::Apart(unknown));
    }
    let alone = |ours: &[Group], theirs: &[Group]| {
        let is_alone = |one: &&Group| theirs.iter().all(|other| other.seed != one.seed);
        ours.iter().find(is_alone).cloned()
    };
    // Each has a customer of its own, as somebody decided: what holds both at once says nothing.
    let two = match (from, to, within) {
        (Side::Value(one), Side::Value(other), None)
            if why::parted(context.decisions, one, other) =>
        {
            alone(&ours, &theirs).zip(alone(&theirs, &ours))
        }
        _ => None,
    };
    let (ours, theirs) = match two {
        Some((one, other)) => (vec![one], vec![other]),
        None => (ours, theirs),
    };
    if let Some(group) = ours
        .iter()
        .find(|group| theirs.iter().any(|other| other.seed == group.seed))
    {
        let nodes = nodes(view, group)?;
        let bridges = bridges(&StoredGraph(&mut Overlay::new(view)), group, context.rules)?;
        let shared: BTreeSet<&Identifier> =
            group.shared.iter().map(|key| &key.identifier).collect();
        let ends = |side: &Side| candidates(&nodes, &shared, side);
        let mut best: Option<Vec<Step>> = None;
        for one in ends(from) {
            for other in ends(to) {
                let chain = why::chain(&nodes, group, &bridges, &one, &other, context.decisions);
                if let Some(chain) =
                    chain.filter(|chain| best.as_ref().is_none_or(|best| chain.len() < best.len()))
                {
                    best = Some(chain);
                }
            }
        }
        return Ok(Why::Linked(best.unwrap_or_default()));
    }
    let (Some(one), Some(other)) = (ours.first(), theirs.first()) else {
        return Ok(Why::Apart(vec![Apart::NothingInCommon]));
    };
    let mut apart = why::between(
        (one, &nodes(view, one)?),
        (other, &nodes(view, other)?),
        context.decisions,
        context.rules,
    );
    let graph = StoredGraph(&mut Overlay::new(view));
    apart.extend(nearest(&graph, one, other, context.rules)?);
    Ok(Why::Apart(apart))
}

/// The customers of a side, earliest first, but `within` before all.
fn groups(view: &dyn View, side: &Side, within: Option<&Group>) -> Result<Vec<Group>, StoreError> {
    let mut groups = match side {
        Side::Value(values) => lookup::groups(view, values)?,
        Side::Customer { group, .. } => vec![group.clone()],
    };
    groups.sort_by_key(|group| {
        (
            within.is_none_or(|within| within.seed != group.seed),
            group.seed_at_ms,
            group.seed,
        )
    });
    Ok(groups)
}

/// The values from which a chain to a side is looked for.
fn candidates(nodes: &[Node], shared: &BTreeSet<&Identifier>, side: &Side) -> Vec<Identifier> {
    match side {
        Side::Value(values) => {
            let held = |value: &&Identifier| nodes.iter().any(|node| node.payload.holds(value));
            values.iter().filter(held).cloned().collect()
        }
        Side::Customer { member, .. } => {
            let own = nodes
                .iter()
                .filter(|node| node.fingerprint == *member)
                .flat_map(|node| &node.payload.identifiers);
            own.filter(|value| !shared.contains(value))
                .take(CANDIDATES_MAX)
                .cloned()
                .collect()
        }
    }
}

fn nodes(view: &dyn View, group: &Group) -> Result<Vec<Node>, StoreError> {
    let mut out = Vec::with_capacity(group.members.len());
    for member in &group.members {
        out.extend(read::node(view, member)?);
    }
    Ok(out)
}

/// The earliest event of a fingerprint: all of them hold the same values.
fn first_moment(view: &dyn View, fingerprint: &Fingerprint) -> Result<Option<Moment>, StoreError> {
    let first = TIMELINE
        .scan_prefix(view, fingerprint, Direction::Forward, 1)?
        .pop();
    first.map(|((_, _, id), _)| moment(view, &id)).transpose()
}

/// The calendar day of a moment, as `2026-03-14`, which no reader takes for another.
fn date(at_ms: i64, zone: &str) -> String {
    let day = jiff::Timestamp::from_millisecond(at_ms)
        .ok()
        .and_then(|at| at.in_tz(zone).ok());
    day.map_or_else(
        || format_ms(at_ms).chars().take(10).collect(),
        |day| day.date().to_string(),
    )
}

impl Explained {
    /// The answer as the API gives it.
    pub fn to_json(&self, context: &Context<'_>) -> Value {
        let apart: Vec<Value> = match &self.why {
            Why::Linked(_) => Vec::new(),
            Why::Apart(reasons) => reasons
                .iter()
                .map(|reason| apart_json(reason, context.masked))
                .collect(),
        };
        json!({
            "linked": matches!(self.why, Why::Linked(_)),
            "steps": self.steps.iter().map(|proof| proof.to_json(context)).collect::<Vec<_>>(),
            "apart": apart,
            "sentence": self.sentence,
        })
    }
}

impl Proof {
    fn to_json(&self, context: &Context<'_>) -> Value {
        let moment = self.moment.as_ref();
        let decided_at = self.decision.as_ref().map(|decision| decision.at_ms);
        let decision = self.decision.as_ref().map(
            |decision| json!({"id": decision.id, "by": decision.by, "reason": reason_shown(decision, context.masked)}),
        );
        json!({
            "from": shown(&self.step.from, context.masked),
            "to": shown(&self.step.to, context.masked),
            "messageId": moment.map(|moment| &moment.event.message_id),
            "source": moment.and_then(|moment| moment.sources(context.registry).into_iter().next()),
            "touchpoint": moment.and_then(|moment| moment.touchpoint(context.registry)),
            "agent": moment.and_then(Moment::agent),
            "at": moment.map(|moment| moment.row.at_ms).or(decided_at).map(format_ms),
            "decision": decision,
            "match": match &self.step.evidence {
                Evidence::Match(score) => score_json(score),
                Evidence::Node(_) | Evidence::Decision(_) => Value::Null,
            },
        })
    }
}

/// What two records agree on, term by term. Unit of the numbers: bits.
pub fn score_json(score: &Score) -> Value {
    let bits = |bits: i32| f64::from(bits) / 1000.0;
    let terms = score.terms.iter().map(|term| {
        let (es, en) = said_of(term.field, term.level);
        json!({"field": term.field, "level": term.level, "bits": bits(term.bits), "says": {"es": es, "en": en}})
    });
    json!({
        "bits": bits(score.odds),
        "terms": terms.collect::<Vec<_>>(),
        "prior": bits(score.prior),
        "family": bits(score.family),
        "sentence": agreement(score),
    })
}

/// `KIND:VALUE`, shortened for those who may not see it. What names a record is only said to: its fingerprint could be guessed from.
pub fn shown(identifier: &Identifier, masked: bool) -> String {
    if identifier.kind == Kind::Record {
        Kind::Record.name().to_owned()
    } else if masked {
        format!(
            "{}:{}",
            identifier.kind.name(),
            mask::identifier(identifier)
        )
    } else {
        identifier.to_string()
    }
}

/// The reason of a decision; what people write there names people, so it is hidden from those who may not see them.
pub fn reason_shown(decision: &Decision, masked: bool) -> &str {
    if masked { HIDDEN } else { &decision.reason }
}

/// What a decision names, as [`shown`]; a record by the id under which it is found, so that the text may be given again.
pub fn subject_shown(id_key: &[u8; 32], subject: &Identifier, masked: bool) -> String {
    match subject.record() {
        Some(record) => format!("{CUSTOMER}{}", customer_id(id_key, &record)),
        None => shown(subject, masked),
    }
}

fn apart_json(reason: &Apart, masked: bool) -> Value {
    match reason {
        Apart::Unknown(value) => json!({"reason": "unknown", "value": shown(value, masked)}),
        Apart::Side(value) => {
            json!({"reason": "side", "value": shown(value, masked), "facet": value.facet()})
        }
        Apart::NothingInCommon => json!({"reason": "nothing_in_common"}),
        Apart::Clash(clash) => clash_json(clash, masked),
        Apart::Unlike { score, link } => {
            json!({"reason": "unlike", "match": score_json(score), "needed": f64::from(*link) / 1000.0})
        }
        Apart::Shared(key) => {
            let (why, against) = match &key.why {
                SharedWhy::TooMany => ("too_many", Value::Null),
                SharedWhy::Declared(id) => ("declared", json!({ "decision": id })),
                SharedWhy::Listed => ("listed", Value::Null),
                SharedWhy::Contradiction(clash) => ("contradiction", clash_json(clash, masked)),
                SharedWhy::Ambiguous(clash) => ("ambiguous", clash_json(clash, masked)),
                SharedWhy::Limit { kind, max } => {
                    ("limit", json!({"kind": kind.name(), "max": max}))
                }
            };
            json!({"reason": "shared", "value": shown(&key.identifier, masked), "why": why, "against": against})
        }
    }
}

fn clash_json(clash: &Clash, masked: bool) -> Value {
    match clash {
        Clash::Exclusive { one, other } => {
            json!({"reason": "exclusive", "values": [shown(one, masked), shown(other, masked)]})
        }
        Clash::Names { one, other } => {
            let name = |name: &str| {
                if masked {
                    mask::name(name)
                } else {
                    name.to_owned()
                }
            };
            json!({"reason": "names", "values": [name(one), name(other)]})
        }
        Clash::Decision { id, one, other } => {
            json!({"reason": "decision", "decision": id, "values": [shown(one, masked), shown(other, masked)]})
        }
    }
}
