//! Whom to ask about: persons who may be one, for somebody to decide, with what is needed to.

use std::cmp::Reverse;

use trenza_shared::{
    id::Fingerprint,
    identifier::Identifier,
    identity::{Active, Graph as _, Group, Question, Rules, Unit, compared, group_of},
    matching::Score,
    store::{Direction, Overlay, StoreError, View},
};

use super::record::{self, Record};
use crate::{
    identity::{StoredGraph, question_key, read},
    tables::{EDGES, QUESTIONS},
};

/// One question.
pub struct Doubt {
    /// The two persons.
    pub records: [Record; 2],
    /// What names each of them in a decision, which answers.
    pub subjects: [Identifier; 2],
    /// What of each was compared.
    pub units: [Unit; 2],
    /// What their records agree on.
    pub score: Score,
}

/// Most pages of nothing but the answered that are passed over.
const ANSWERED_MAX: usize = 64;

/// A page of questions, the surest first, and the last of it, if there may be more.
///
/// # Errors
/// The store cannot be read.
pub fn page(
    view: &dyn View,
    id_key: &[u8; 32],
    rules: &Rules,
    decisions: &Active,
    after: Option<&Question>,
    limit: usize,
) -> Result<(Vec<Doubt>, Option<Question>), StoreError> {
    let (mut doubts, mut after) = (Vec::new(), after.copied());
    for _ in 0..ANSWERED_MAX {
        let questions = read::questions(view, after.as_ref(), limit)?;
        after = questions
            .last()
            .filter(|_| questions.len() == limit)
            .copied();
        for question in &questions {
            let doubt = doubt(view, id_key, rules, question)?;
            doubts.extend(doubt.filter(|doubt| !is_home(decisions, &doubt.records)));
        }
        if !doubts.is_empty() || after.is_none() {
            break;
        }
    }
    Ok((doubts, after))
}

/// Whether somebody decided that two records are of one household: then they are two persons.
fn is_home(decisions: &Active, records: &[Record; 2]) -> bool {
    let named = |record: &Record, subject: &Identifier| match subject.record() {
        Some(one) => record.group.has(&one),
        None => record.customer.identifiers.contains_key(subject),
    };
    let [one, other] = records;
    decisions.households().values().any(|home| {
        let ours = home.iter().filter(|subject| named(one, subject));
        let mut pairs = ours.flat_map(|ours| home.iter().map(move |theirs| (ours, theirs)));
        pairs.any(|(ours, theirs)| ours != theirs && named(other, theirs))
    })
}

/// What is asked; none when a part of it is no more, which nothing but a damaged store can cause.
fn doubt(
    view: &dyn View,
    id_key: &[u8; 32],
    rules: &Rules,
    question: &Question,
) -> Result<Option<Doubt>, StoreError> {
    let mut overlay = Overlay::new(view);
    let graph = StoredGraph(&mut overlay);
    let (one, other) = (&question.one, &question.other);
    let Some(score) = compared(&graph, one, other, rules)? else {
        return Ok(None);
    };
    let (Some(unit), Some(other_unit)) = (graph.unit(one)?, graph.unit(other)?) else {
        return Ok(None);
    };
    let (Some(ours), Some(theirs)) = (group_of(&graph, one)?, group_of(&graph, other)?) else {
        return Ok(None);
    };
    let subjects = subjects(view, &ours, &theirs)?;
    let load = |seed: &Fingerprint| -> Result<Option<Record>, StoreError> {
        let group = record::group_of(view, seed)?;
        group
            .map(|group| record::load(view, id_key, group))
            .transpose()
    };
    Ok(match (load(one)?, load(other)?) {
        (Some(one), Some(other)) => Some(Doubt {
            records: [one, other],
            subjects,
            units: [unit.unit().clone(), other_unit.unit().clone()],
            score,
        }),
        _ => None,
    })
}

/// Most customers by identifiers of one person whose questions are looked at.
const PARTS_MAX: usize = 32;
/// Most pairs of one customer that are looked at.
const EDGES_MAX: usize = 500;

/// Whether somebody is asked if two persons are one.
///
/// # Errors
/// The store cannot be read.
pub fn asks(view: &dyn View, one: &Group, other: &Group) -> Result<bool, StoreError> {
    let parts = read::matched(view, &one.seed)?.unwrap_or_else(|| vec![one.seed]);
    for part in parts.iter().take(PARTS_MAX) {
        for ((_, end), row) in EDGES.scan_prefix(view, part, Direction::Forward, EDGES_MAX)? {
            let question = Question {
                odds: Reverse(row.0),
                one: *part.min(&end),
                other: *part.max(&end),
            };
            if other.members.contains(&end)
                && QUESTIONS.get(view, &question_key(&question))?.is_some()
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// What names a group in a decision: the strongest value that links it, or, where it has none of its own, one of its
/// records.
///
/// # Errors
/// The store cannot be read.
pub fn subject(
    view: &dyn View,
    record: Fingerprint,
    group: &Group,
) -> Result<Identifier, StoreError> {
    let mut best: Option<Identifier> = None;
    for member in &group.members {
        let node = read::node(view, member)?;
        for value in node.into_iter().flat_map(|node| node.payload.identifiers) {
            let links = group.shared.iter().all(|key| key.identifier != value);
            if links && best.as_ref().is_none_or(|best| value < *best) {
                best = Some(value);
            }
        }
    }
    Ok(best.unwrap_or_else(|| Identifier::of_record(&record)))
}

/// What names two groups in a decision, each something else.
///
/// # Errors
/// The store cannot be read.
pub fn subjects(
    view: &dyn View,
    one: &Group,
    other: &Group,
) -> Result<[Identifier; 2], StoreError> {
    let [first, second] = [
        subject(view, one.seed, one)?,
        subject(view, other.seed, other)?,
    ];
    Ok(if first == second {
        [one, other].map(|group| Identifier::of_record(&group.seed))
    } else {
        [first, second]
    })
}
