//! Whom to ask about: persons who may be one, for somebody to decide, with what is needed to.

use trenza_shared::{
    id::Fingerprint,
    identifier::Identifier,
    identity::{Group, Question, Rules, compared, group_of},
    matching::Score,
    store::{Overlay, StoreError, View},
};

use super::record::{self, Record};
use crate::identity::{StoredGraph, read};

/// One question.
pub struct Doubt {
    /// The two persons.
    pub records: [Record; 2],
    /// A value of each, if both have one that is theirs alone; a decision about them answers.
    pub subjects: Option<[Identifier; 2]>,
    /// What their records agree on.
    pub score: Score,
}

/// A page of questions, the surest first, and the last of it, if there may be more.
///
/// # Errors
/// The store cannot be read.
pub fn page(
    view: &dyn View,
    id_key: &[u8; 32],
    rules: &Rules,
    after: Option<&Question>,
    limit: usize,
) -> Result<(Vec<Doubt>, Option<Question>), StoreError> {
    let questions = read::questions(view, after, limit)?;
    let next = questions.last().filter(|_| questions.len() == limit);
    let mut doubts = Vec::with_capacity(questions.len());
    for question in &questions {
        doubts.extend(doubt(view, id_key, rules, question)?);
    }
    Ok((doubts, next.copied()))
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
    let (Some(ours), Some(theirs)) = (group_of(&graph, one)?, group_of(&graph, other)?) else {
        return Ok(None);
    };
    let subjects = match (subject(view, &ours)?, subject(view, &theirs)?) {
        (Some(one), Some(other)) => Some([one, other]),
        _ => None,
    };
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
            score,
        }),
        _ => None,
    })
}

/// A value that names a group: the strongest of those that link it.
///
/// # Errors
/// The store cannot be read.
pub fn subject(view: &dyn View, group: &Group) -> Result<Option<Identifier>, StoreError> {
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
    Ok(best)
}
