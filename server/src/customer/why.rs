//! Why two values or two customers are one person, or are not, with the events that say so.
//!
//! Owns the way from the identity graph's answer to one that names messageId, source, place, device and time. Decides nothing.

use serde_json::{Value, json};
use trenza_shared::{
    clock::format_ms,
    fragment::mask::{self, HIDDEN},
    id::Fingerprint,
    identifier::{Identifier, Kind},
    identity::{
        Apart, Clash, Competing, Decision, Decisions, End, Evidence, Explanation, Group, Proves,
        Rule, Rules, Seen, Sentence, SharedWhy, Step, Why, against, agreement, because,
        customer_id, joined, ruled, said_of, sentence, why,
    },
    matching::Score,
    store::{Direction, Overlay, StoreError, View},
};

use super::{
    record,
    timeline::{Moment, moment},
    written::Written,
};
use crate::{identity::StoredGraph, registry::Registry, tables::TIMELINE};

/// Begins a subject of a decision that is a customer's id.
pub const CUSTOMER: &str = "customer:";
/// Most records that are read for how they write the names of an answer.
const WRITTEN_MAX: usize = 8;

/// One step of a chain with what proves it.
pub struct Proof {
    /// From which value to which.
    pub step: Step,
    /// The earliest event that holds both.
    pub moment: Option<Moment>,
    /// The decision that says so.
    pub decision: Option<Decision>,
    /// By which rule it links.
    pub rule: Rule,
}

/// An answer with its proofs and its words.
pub struct Explained {
    /// The bare answer.
    pub why: Why,
    /// The steps of [`Why::Linked`], proved.
    pub steps: Vec<Proof>,
    /// The answer in words.
    pub sentence: Sentence,
    /// By which rules the steps link, in words.
    pub because: Vec<Sentence>,
    /// What speaks against it, where it is one person.
    pub competing: Vec<Competing>,
}

/// What explaining needs beside the tables.
pub struct Context<'a> {
    /// Every decision.
    pub decisions: &'a Decisions,
    /// Rules of identity.
    pub rules: &'a Rules,
    /// Sources and agents.
    pub registry: &'a Registry,
    /// Key of the ids of customers.
    pub id_key: &'a [u8; 32],
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
    from: &End,
    to: &End,
) -> Result<Explained, StoreError> {
    let graph = StoredGraph(&mut Overlay::new(view));
    let (decisions, rules) = (context.decisions, context.rules);
    let mut explanation = why(&graph, within, (from, to), decisions, rules)?;
    write_names(view, &mut explanation)?;
    let Explanation { why, competing, .. } = explanation;
    let (mut steps, mut said) = (Vec::new(), Vec::new());
    if let Why::Linked(chain) = &why {
        said = because(chain, rules, context.masked);
        for (step, rule) in chain.iter().zip(ruled(chain, rules)) {
            let (moment, decision) = match &step.evidence {
                Evidence::Node(node) => (first_moment(view, node)?, None),
                Evidence::Match(_) => (None, None),
                Evidence::Decision(id) => (None, decisions.get(id).cloned()),
            };
            steps.push(Proof {
                step: step.clone(),
                moment,
                decision,
                rule,
            });
        }
    }
    let sentence = match &why {
        Why::Linked(chain) if chain.is_empty() && !is_one_value(from, to) => Sentence {
            es: "Es el mismo cliente.".into(),
            en: "It is the same customer.".into(),
        },
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
        because: said,
        competing,
    })
}

/// Whether both ends may be one value.
fn is_one_value(from: &End, to: &End) -> bool {
    match (from, to) {
        (End::Value(one), End::Value(other)) => one.iter().any(|value| other.contains(value)),
        _ => false,
    }
}

/// Names are compared as folded, and told as a record wrote them.
fn write_names(view: &dyn View, explanation: &mut Explanation) -> Result<(), StoreError> {
    let others = explanation.competing.iter().filter_map(|one| match one {
        Competing::Held(others) => Some(others.customers.clone()),
        _ => None,
    });
    let others: Vec<Fingerprint> = others.flatten().collect();
    let mut groups = explanation.persons.clone();
    let mut names: Vec<&mut String> = clashes(explanation)
        .into_iter()
        .filter_map(|clash| match clash {
            Clash::Names { one, other } => Some([one, other]),
            Clash::Exclusive { .. } | Clash::Decision { .. } | Clash::Births { .. } => None,
        })
        .flatten()
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    for seed in others.iter().take(WRITTEN_MAX.saturating_sub(groups.len())) {
        groups.extend(record::group_of(view, seed)?);
    }
    let mut written = Written::default();
    for group in &groups {
        written.learn(&record::joined(view, group)?);
    }
    for name in &mut names {
        **name = written.words(name);
    }
    Ok(())
}

/// Every contradiction of an answer.
fn clashes(explanation: &mut Explanation) -> Vec<&mut Clash> {
    fn inside(why: &mut SharedWhy) -> Option<&mut Clash> {
        match why {
            SharedWhy::Contradiction(clash) | SharedWhy::Ambiguous(clash) => Some(clash),
            _ => None,
        }
    }
    let reasons = match &mut explanation.why {
        Why::Apart(reasons) => reasons.as_mut_slice(),
        Why::Linked(_) => &mut [],
    };
    let apart = reasons.iter_mut().filter_map(|reason| match reason {
        Apart::Clash(clash) => Some(clash),
        Apart::Shared(key) => inside(&mut key.why),
        _ => None,
    });
    let competing = explanation.competing.iter_mut();
    let competing = competing.filter_map(|one| match one {
        Competing::Clash(clash) => Some(clash),
        Competing::Held(others) => others.why.as_mut().and_then(inside),
        _ => None,
    });
    apart.chain(competing).collect()
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
            "competing": self.competing.iter().map(|one| competing_json(one, context)).collect::<Vec<_>>(),
            "rules_version": context.rules.version,
            "sentence": self.whole(context),
        })
    }

    /// Steps, rules and what speaks against them, in words.
    fn whole(&self, context: &Context<'_>) -> Sentence {
        let mut said = vec![self.sentence.clone()];
        if !self.because.is_empty() {
            said.extend(self.because.iter().cloned());
            said.push(versioned(context.rules));
        }
        // What the records of a step do not agree on is told with what they do.
        let competing = self.competing.iter();
        let competing = competing.filter(|one| !matches!(one, Competing::Unlike(_)));
        said.extend(competing.map(|one| against(one, context.masked)));
        joined(&said)
    }
}

/// Of which version the rules are, in words.
pub fn versioned(rules: &Rules) -> Sentence {
    let version = rules.version;
    Sentence {
        es: format!("Así lo dicen las reglas en su versión {version}."),
        en: format!("So say the rules in version {version}."),
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
            "messageId": moment.map(|moment| moment.message_id(context.masked)),
            "source": moment.and_then(|moment| moment.sources(context.registry).into_iter().next()),
            "touchpoint": moment.and_then(|moment| moment.touchpoint(context.registry)),
            "agent": moment.and_then(Moment::agent),
            "at": moment.map(|moment| moment.row.at_ms).or(decided_at).map(format_ms),
            "rule": rule_json(&self.rule, &self.step),
            "decision": decision,
            "match": match &self.step.evidence {
                Evidence::Match(score) => score_json(score),
                Evidence::Node(_) | Evidence::Decision(_) => Value::Null,
            },
        })
    }
}

fn rule_json(rule: &Rule, step: &Step) -> Value {
    let proves = |of: &Proves, value: &Identifier| {
        json!({
            "kind": of.kind.name(),
            // No rule is about a record.
            "class": (of.kind != Kind::Record).then_some(of.class),
            "window_days": of.window_days,
            "facet": value.facet(),
            "links": of.links,
        })
    };
    match rule {
        Rule::Event { from, to } => {
            json!({"by": "event", "from": proves(from, &step.from), "to": proves(to, &step.to)})
        }
        Rule::Decision => json!({"by": "decision"}),
        Rule::Match { link } => json!({"by": "match", "needed": bits(*link)}),
    }
}

fn competing_json(competing: &Competing, context: &Context<'_>) -> Value {
    let masked = context.masked;
    match competing {
        Competing::Clash(clash) => clash_json(clash, masked),
        Competing::Birthdays { one, other } => born_json(one, other, masked),
        Competing::Unlike(score) => json!({"reason": "unlike", "match": score_json(score)}),
        Competing::Held(others) => {
            let (why, against) = match &others.why {
                Some(why) => shared_json(why, masked),
                None => (Value::Null, Value::Null),
            };
            let ids = others.customers.iter();
            let ids = ids.map(|seed| customer_id(context.id_key, seed));
            json!({
                "reason": "held",
                "value": shown(&others.value, masked),
                "count": others.count,
                "more": others.more,
                "customers": ids.collect::<Vec<_>>(),
                "why": why,
                "against": against,
            })
        }
    }
}

fn born_json(one: &str, other: &str, masked: bool) -> Value {
    let shown = |date: &str| {
        if masked {
            HIDDEN.to_owned()
        } else {
            date.to_owned()
        }
    };
    json!({"reason": "birthdays", "values": [shown(one), shown(other)]})
}

/// Thousandths of a bit as bits.
fn bits(bits: i32) -> f64 {
    f64::from(bits) / 1000.0
}

/// What two records agree on, term by term. Unit of the numbers: bits.
pub fn score_json(score: &Score) -> Value {
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
        Apart::Blocked { value, kind } => {
            json!({"reason": "blocked", "value": shown(value, masked), "by": if *kind { "kind" } else { "list" }})
        }
        Apart::Side(value) => {
            json!({"reason": "side", "value": shown(value, masked), "facet": value.facet()})
        }
        Apart::NothingInCommon => json!({"reason": "nothing_in_common"}),
        Apart::Clash(clash) => clash_json(clash, masked),
        Apart::Unlike { score, link } => {
            json!({"reason": "unlike", "match": score_json(score), "needed": bits(*link)})
        }
        Apart::Shared(key) => {
            let (why, against) = shared_json(&key.why, masked);
            json!({"reason": "shared", "value": shown(&key.identifier, masked), "why": why, "against": against})
        }
    }
}

/// Why a value links nobody, or not them, and what stands against it.
fn shared_json(why: &SharedWhy, masked: bool) -> (Value, Value) {
    let (why, against) = match why {
        SharedWhy::TooMany => ("too_many", Value::Null),
        SharedWhy::Declared(id) => ("declared", json!({ "decision": id })),
        SharedWhy::Listed => ("listed", Value::Null),
        SharedWhy::Contradiction(clash) => ("contradiction", clash_json(clash, masked)),
        SharedWhy::Ambiguous(clash) => ("ambiguous", clash_json(clash, masked)),
        SharedWhy::Limit { kind, max } => ("limit", json!({"kind": kind.name(), "max": max})),
    };
    (why.into(), against)
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
        Clash::Births { one, other } => born_json(one, other, masked),
        Clash::Decision { id, one, other } => {
            json!({"reason": "decision", "decision": id, "values": [shown(one, masked), shown(other, masked)]})
        }
    }
}
