//! What a decision does not do, and why: a decision that changes nothing without a word looks like one that was lost.
//!
//! Owns what is noted, and its words. Decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use trenza_shared::{
    id::Fingerprint,
    identifier::Identifier,
    identity::{
        Apart, Change, Decision, DecisionKind, End, Outcome, Sentence, Why, apart, joined, nobodys,
    },
    store::{StoreError, View},
};

use super::why::{Context, explain, subject_shown};
use crate::identity::read;

/// Most holders of one value that are looked at.
const HOLDERS_MAX: usize = 1_000;

/// Most decisions that are asked whether they still do what they say.
const STANDING_MAX: usize = 2_000;

/// Something that a decision does not do.
pub struct Note {
    /// Which, for programs.
    pub reason: &'static str,
    /// About which values.
    pub values: Vec<Identifier>,
    /// The same in words.
    pub sentence: Sentence,
}

impl Note {
    /// As the API gives it.
    pub fn to_json(&self, id_key: &[u8; 32], masked: bool) -> Value {
        let values = self.values.iter();
        let values = values.map(|value| subject_shown(id_key, value, masked));
        json!({
            "reason": self.reason,
            "values": values.collect::<Vec<_>>(),
            "sentence": self.sentence,
        })
    }
}

/// Who holds a value, once the decision is carried out.
struct Holding<'a> {
    value: &'a Identifier,
    holders: BTreeSet<Fingerprint>,
    /// Seeds of their persons.
    persons: BTreeSet<Fingerprint>,
}

/// What a decision does not do, given what it does, and what it does to others: as a preview, or carried out.
///
/// # Errors
/// The store cannot be read.
pub fn notes(
    view: &dyn View,
    context: &Context<'_>,
    decision: &Decision,
    outcome: &Outcome,
) -> Result<Vec<Note>, StoreError> {
    let changed = outcome.changed.iter();
    let seeds: BTreeMap<Fingerprint, Fingerprint> = changed
        .flat_map(|group| group.members.iter().map(|member| (*member, group.seed)))
        .collect();
    let mut notes = left_undone(view, context, decision, outcome, &seeds)?;
    notes.extend(overturned(view, context, decision, outcome, &seeds)?);
    Ok(notes)
}

/// Who was one record by an earlier decision and is so no longer by this one.
fn overturned(
    view: &dyn View,
    context: &Context<'_>,
    decision: &Decision,
    outcome: &Outcome,
    seeds: &BTreeMap<Fingerprint, Fingerprint>,
) -> Result<Vec<Note>, StoreError> {
    let split = outcome.changes.iter().filter_map(|change| match change {
        Change::Split { into, .. } => Some(into),
        _ => None,
    });
    let split: Vec<&Vec<Fingerprint>> = split.collect();
    if split.is_empty() {
        return Ok(Vec::new());
    }
    let mut notes = Vec::new();
    let standing = context.decisions.active().same().iter();
    let others = standing.filter(|(_, id)| **id != decision.id);
    for ((one, other), _) in others.take(STANDING_MAX) {
        let [one, other] = [holding(view, one, seeds)?, holding(view, other, seeds)?];
        let has = |into: &[Fingerprint], side: &Holding<'_>| {
            into.iter().any(|seed| side.persons.contains(seed))
        };
        let were_one = split
            .iter()
            .any(|into| has(into, &one) && has(into, &other));
        if were_one && one.persons.is_disjoint(&other.persons) {
            notes.push(note(
                "overturned",
                &[one.value.clone(), other.value.clone()],
                "Una decisión anterior los había unido, y con esta dejan de estar en la misma ficha. Compruebe cuál de las dos es cierta.",
                "An earlier decision had joined them, and by this one they are in one record no longer. Check which of the two is right.",
            ));
        }
    }
    Ok(notes)
}

/// What the decision itself does not do.
fn left_undone(
    view: &dyn View,
    context: &Context<'_>,
    decision: &Decision,
    outcome: &Outcome,
    seeds: &BTreeMap<Fingerprint, Fingerprint>,
) -> Result<Vec<Note>, StoreError> {
    let idle = outcome.changes.is_empty();
    if decision.kind == DecisionKind::Undo {
        let nothing = note(
            "undoes_nothing",
            &[],
            "Deshacerla no cambia hoy ninguna ficha.",
            "Undoing it changes no record today.",
        );
        let target = decision.undoes;
        let target = target.and_then(|target| context.decisions.get(&target));
        let equal = target.map_or(0, |target| context.decisions.equal(target).count());
        let still = (equal > 0).then(|| still(target, equal));
        return Ok(idle.then_some(nothing).into_iter().chain(still).collect());
    }
    let (mut notes, mut held) = (Vec::new(), Vec::new());
    for value in &decision.subjects {
        let holding = holding(view, value, seeds)?;
        if holding.holders.is_empty() {
            notes.push(unknown(context, value));
        } else {
            held.push(holding);
        }
    }
    let Some((first, rest)) = held.split_first() else {
        return Ok(notes);
    };
    let (joined, parted): (Vec<&Holding<'_>>, Vec<&Holding<'_>>) = rest
        .iter()
        .partition(|one| !one.persons.is_disjoint(&first.persons));
    match decision.kind {
        DecisionKind::Same => {
            for other in &parted {
                notes.push(unjoined(view, context, first.value, other.value)?);
            }
            if idle && notes.is_empty() {
                notes.push(note(
                    "already_one",
                    &decision.subjects,
                    "Ya son una sola ficha: hoy no cambia nada.",
                    "They are one record already: nothing changes today.",
                ));
            }
        }
        DecisionKind::NotSame => {
            for other in &joined {
                notes.push(unparted(first, other));
            }
            // Also where some of their events are a record of their own.
            if idle && notes.iter().all(|note| note.reason == "held_at_once") {
                notes.push(note(
                    "already_apart",
                    &decision.subjects,
                    "Ya son fichas distintas: hoy no cambia nada, y lo que llegue no las unirá.",
                    "They are apart already: nothing changes today, and what is to come will not join them.",
                ));
            }
        }
        DecisionKind::SharedIdentifier if idle && notes.is_empty() => notes.push(note(
            "links_nobody",
            &decision.subjects,
            "Hoy no une ninguna ficha con otra: nada cambia, y tampoco las unirá después.",
            "It links no records today: nothing changes, and it will link none later.",
        )),
        DecisionKind::Household if context.decisions.equal(decision).next().is_some() => {
            notes.push(note(
                "already_household",
                &decision.subjects,
                "Ya se decidió que forman un hogar: no cambia nada.",
                "It was decided already that they are a household: nothing changes.",
            ));
        }
        DecisionKind::Household if parted.is_empty() && notes.is_empty() => notes.push(note(
            "one_person",
            &decision.subjects,
            "Todos los datos son de una misma ficha: un hogar reúne a varias.",
            "All these values are one record's: a household takes several.",
        )),
        _ => {}
    }
    Ok(notes)
}

fn note(reason: &'static str, values: &[Identifier], es: &str, en: &str) -> Note {
    Note {
        reason,
        values: values.to_vec(),
        sentence: Sentence {
            es: es.to_owned(),
            en: en.to_owned(),
        },
    }
}

/// An undo takes one decision back, not those that say the same.
fn still(target: Option<&Decision>, equal: usize) -> Note {
    let subjects = target.map(|target| target.subjects.as_slice());
    note(
        "still_decided",
        subjects.unwrap_or_default(),
        &format!(
            "Otras decisiones iguales siguen en pie: {equal}. Vale hasta que se deshagan todas."
        ),
        &format!(
            "Other decisions that say the same still stand: {equal}. It holds until all are undone."
        ),
    )
}

fn unknown(context: &Context<'_>, value: &Identifier) -> Note {
    let reason = nobodys(value, context.rules);
    let said = joined(&apart(std::slice::from_ref(&reason), context.masked));
    let (reason, es, en) = match reason {
        Apart::Blocked { .. } => (
            "blocked_value",
            "Mientras sea así, la decisión no hace nada con ese dato.",
            "While that is so, the decision does nothing with that value.",
        ),
        _ => (
            "unknown_value",
            "Hasta que alguien lo tenga, la decisión no hace nada con ese dato. Compruebe que está bien escrito.",
            "Until somebody does, the decision does nothing with that value. Check that it is typed right.",
        ),
    };
    note(
        reason,
        std::slice::from_ref(value),
        &format!("{} {es}", said.es),
        &format!("{} {en}", said.en),
    )
}

/// Why two stay two though somebody says that they are one.
fn unjoined(
    view: &dyn View,
    context: &Context<'_>,
    one: &Identifier,
    other: &Identifier,
) -> Result<Note, StoreError> {
    let [from, to] = [one, other].map(|value| End::Value(vec![value.clone()]));
    let explained = explain(view, context, None, &from, &to)?;
    let mut reasons = match explained.why {
        Why::Apart(reasons) => reasons,
        Why::Linked(_) => Vec::new(),
    };
    // How alike they are is not what is missing once somebody has decided.
    reasons.retain(|reason| !matches!(reason, Apart::Unlike { .. } | Apart::NothingInCommon));
    if reasons.iter().any(|one| matches!(one, Apart::Clash(_))) {
        reasons.retain(|reason| matches!(reason, Apart::Clash(_)));
    }
    let why = joined(&apart(&reasons, context.masked));
    Ok(note(
        "not_joined",
        &[one.clone(), other.clone()],
        format!("No se unen. {}", why.es).trim_end(),
        format!("They are not joined. {}", why.en).trim_end(),
    ))
}

/// Why two stay one though somebody says that they are two, or a part of what they hold does.
fn unparted(one: &Holding<'_>, other: &Holding<'_>) -> Note {
    let values = [one.value.clone(), other.value.clone()];
    // Each has a record that the other has not.
    if !one.persons.is_subset(&other.persons) && !other.persons.is_subset(&one.persons) {
        return note(
            "held_at_once",
            &values,
            "Hay eventos que traen los dos datos a la vez: no se sabe de quién son, y quedan en una ficha aparte.",
            "There are events that hold both values at once: nobody knows whose they are, and they stay in a record of their own.",
        );
    }
    if one.holders.is_disjoint(&other.holders) {
        return note(
            "not_parted",
            &values,
            "Siguen en una misma ficha.",
            "They stay in one record.",
        );
    }
    note(
        "not_parted",
        &values,
        "Siguen en una misma ficha: hay eventos que traen los dos datos a la vez.",
        "They stay in one record: there are events that hold both values at once.",
    )
}

fn holding<'a>(
    view: &dyn View,
    value: &'a Identifier,
    changed: &BTreeMap<Fingerprint, Fingerprint>,
) -> Result<Holding<'a>, StoreError> {
    let holders = read::holders(view, value, None, HOLDERS_MAX)?;
    let mut holding = Holding {
        value,
        holders: holders.iter().copied().collect(),
        persons: BTreeSet::new(),
    };
    for holder in holders {
        let seed = match changed.get(&holder) {
            Some(seed) => Some(*seed),
            None => read::person(view, &holder)?.map(|group| group.seed),
        };
        holding.persons.extend(seed);
    }
    Ok(holding)
}
