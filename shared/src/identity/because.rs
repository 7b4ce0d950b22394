//! By which rule each step of a chain links, and what speaks against it, as data and in words.
//!
//! Owns the wording. What links two events is the value that both hold, so the words say it of the values that a chain passes through,
//! once for all of one class.

use std::collections::BTreeMap;

use super::{
    chain::{Evidence, Step},
    competing::{Competing, Others},
    grouping::Clash,
    rules::{Class, Rules},
    sentence::{Sentence, links_nobody, odds, said_of},
    words::{both, initials, named, plain, titled, upper},
};
use crate::{
    identifier::{Identifier, Kind},
    matching::Bits,
};

/// Most values of one class that a sentence names.
const NAMED_MAX: usize = 4;

/// What the rules say of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proves {
    /// Its kind.
    pub kind: Kind,
    /// How far the kind may be trusted.
    pub class: Class,
    /// For how long it links; none means for ever. Unit: days.
    pub window_days: Option<u32>,
    /// Whether it is this value that links: the chain goes on from one event to another by it.
    pub links: bool,
}

/// The rule by which a step links.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// One event holds both values.
    Event {
        /// What the first may prove.
        from: Proves,
        /// What the second may prove.
        to: Proves,
    },
    /// Somebody decided.
    Decision,
    /// The records agree, and this is the least for which the rules link.
    Match {
        /// The logarithm of the odds.
        link: Bits,
    },
}

/// The rule of every step, in their order.
#[must_use]
pub fn ruled(steps: &[Step], rules: &Rules) -> Vec<Rule> {
    let of = |at: usize, step: &Step| match &step.evidence {
        Evidence::Node(_) => Rule::Event {
            from: proves(&step.from, joins(steps, at), rules),
            to: proves(&step.to, joins(steps, at + 1), rules),
        },
        Evidence::Decision(_) => Rule::Decision,
        Evidence::Match(_) => Rule::Match {
            link: rules.matching.bands.link,
        },
    };
    steps
        .iter()
        .enumerate()
        .map(|(at, step)| of(at, step))
        .collect()
}

fn proves(value: &Identifier, links: bool, rules: &Rules) -> Proves {
    let rule = rules.rule(value.kind);
    Proves {
        kind: value.kind,
        class: rule.class,
        window_days: rule.window_days,
        links,
    }
}

/// Whether the value between step `at` and the one before is what links an event to another.
fn joins(steps: &[Step], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| steps.get(before));
    [before, steps.get(at)]
        .iter()
        .all(|step| step.is_some_and(is_event))
}

fn is_event(step: &Step) -> bool {
    matches!(step.evidence, Evidence::Node(_))
}

/// By which rules a chain links, in words; nothing where there is no chain, or somebody decided all of it.
#[must_use]
pub fn because(steps: &[Step], rules: &Rules, masked: bool) -> Vec<Sentence> {
    let mut classes: BTreeMap<(Class, Option<u32>), Vec<&Identifier>> = BTreeMap::new();
    for (at, step) in steps.iter().enumerate() {
        if joins(steps, at) {
            let rule = rules.rule(step.from.kind);
            let values = classes.entry((rule.class, rule.window_days)).or_default();
            values.push(&step.from);
        }
    }
    let is_match = |step: &Step| matches!(step.evidence, Evidence::Match(_));
    let mut said = Vec::new();
    if classes.is_empty() && steps.iter().any(is_event) {
        said.push(both(
            "Los datos de un mismo evento son de una misma persona.",
            "The values of one event are one person's.",
        ));
    }
    for ((class, window_days), values) in classes {
        let one = values.len() == 1;
        let why = links_by(class, window_days, one);
        let values = listed(&values, masked);
        let (une, links) = if one {
            ("une", "links")
        } else {
            ("unen", "link")
        };
        said.push(both(
            format!("{} {une} {}.", upper(&values.es), why.es),
            format!("{} {links} {}.", upper(&values.en), why.en),
        ));
    }
    if steps.iter().any(is_match) {
        let least = odds(rules.matching.bands.link);
        said.push(both(
            format!("Las reglas unen por coincidencias desde {}.", least.es),
            format!("The rules link by agreement from {} on.", least.en),
        ));
    }
    said
}

/// Why a value of a class links, or when, as the end of a sentence.
fn links_by(class: Class, window_days: Option<u32>, one: bool) -> Sentence {
    match (class, window_days) {
        (Class::Exclusive, _) if one => both(
            "porque solo puede ser de una persona",
            "because it can only be one person's",
        ),
        (Class::Exclusive, _) => both(
            "porque cada uno solo puede ser de una persona",
            "because each can only be one person's",
        ),
        (Class::Owned, _) if one => both("porque tiene un solo dueño", "because it has one owner"),
        (Class::Owned, _) => both(
            "porque cada uno tiene un solo dueño",
            "because each has one owner",
        ),
        (Class::Shareable, _) => both(
            "porque sus usuarios no son demasiados ni se contradicen",
            format!(
                "because those who use {} are not too many and do not contradict each other",
                if one { "it" } else { "them" }
            ),
        ),
        (Class::RoleScoped, _) => both(
            "dentro de un mismo lado de la persona, el personal o el profesional",
            "inside one side of a person, the personal or the professional one",
        ),
        (Class::Ephemeral, None) => both("cada vez que se vuelve a ver", "whenever seen again"),
        (Class::Ephemeral, Some(1)) => both(
            "mientras no pase más de un día entre una vez y la siguiente",
            "while no more than one day passes between one time and the next",
        ),
        (Class::Ephemeral, Some(days)) => both(
            format!("mientras no pasen más de {days} días entre una vez y la siguiente"),
            format!("while no more than {days} days pass between one time and the next"),
        ),
        // What is shown was derived before its kind was blocked.
        (Class::Blocked, _) => both("todavía", "still"),
    }
}

/// Some values in a row, and how many more.
fn listed(values: &[&Identifier], masked: bool) -> Sentence {
    let named = values.iter().take(NAMED_MAX);
    let (mut es, mut en): (Vec<String>, Vec<String>) = named
        .map(|value| plain(value, masked))
        .map(|Sentence { es, en }| (es, en))
        .unzip();
    match values.len().saturating_sub(NAMED_MAX) {
        0 => {}
        1 => {
            es.push("un dato más".to_owned());
            en.push("one more value".to_owned());
        }
        more => {
            es.push(format!("{more} datos más"));
            en.push(format!("{more} more values"));
        }
    }
    both(in_a_row(&es, "y"), in_a_row(&en, "and"))
}

fn in_a_row(words: &[String], and: &str) -> String {
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} {and} {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// What speaks against a person being one, in words.
#[must_use]
pub fn against(competing: &Competing, masked: bool) -> Sentence {
    match competing {
        Competing::Clash(Clash::Exclusive { one, other }) => {
            let (one, other) = (named(one, masked), named(other, masked));
            both(
                format!(
                    "Una persona tiene como mucho uno de su clase, y aquí hay dos: {} y {}.",
                    one.es, other.es
                ),
                format!(
                    "A person has at most one of its kind, and here are two: {} and {}.",
                    one.en, other.en
                ),
            )
        }
        Competing::Clash(Clash::Names { one, other }) => {
            let show = |name: &str| if masked { initials(name) } else { titled(name) };
            let (one, other) = (show(one), show(other));
            both(
                format!("Los nombres {one} y {other} no parecen de la misma persona."),
                format!("The names {one} and {other} do not look like one person's."),
            )
        }
        Competing::Clash(Clash::Decision { one, other, .. }) => {
            let (one, other) = (named(one, masked), named(other, masked));
            both(
                format!(
                    "Alguien decidió que {} y {} no son de la misma persona.",
                    one.es, other.es
                ),
                format!(
                    "Somebody decided that {} and {} are not the same person's.",
                    one.en, other.en
                ),
            )
        }
        Competing::Clash(Clash::Births { .. }) | Competing::Birthdays { .. } if masked => both(
            "Hay fechas de nacimiento distintas.",
            "There are different dates of birth.",
        ),
        Competing::Clash(Clash::Births { one, other }) | Competing::Birthdays { one, other } => {
            both(
                format!("Hay fechas de nacimiento distintas: {one} y {other}."),
                format!("There are different dates of birth: {one} and {other}."),
            )
        }
        Competing::Unlike(score) => {
            let against = score.terms.iter().filter(|term| term.bits < 0);
            let (es, en): (Vec<String>, Vec<String>) = against
                .map(|term| said_of(term.field, term.level))
                .map(|(es, en)| (es.to_owned(), en.to_owned()))
                .unzip();
            both(
                format!(
                    "No todo coincide en los datos que los unen: {}.",
                    in_a_row(&es, "y")
                ),
                format!(
                    "Not all agrees in the records that are linked: {}.",
                    in_a_row(&en, "and")
                ),
            )
        }
        Competing::Held(others) => held(others, masked),
    }
}

fn held(others: &Others, masked: bool) -> Sentence {
    let value = plain(&others.value, masked);
    let (es, en) = match (others.count, others.more) {
        (1, false) => ("otra ficha".to_owned(), "one other record".to_owned()),
        (count, false) => (
            format!("otras {count} fichas"),
            format!("{count} other records"),
        ),
        (count, true) => (
            format!("otras {count} fichas o más"),
            format!("{count} other records or more"),
        ),
    };
    let why = others.why.as_ref().map_or_else(Sentence::default, |why| {
        let Sentence { es, en } = links_nobody(why, &|_| false, masked);
        both(format!(": {es}"), format!(": {en}"))
    });
    both(
        format!("{} está también en {es}{}.", upper(&value.es), why.es),
        format!("{} is also in {en}{}.", upper(&value.en), why.en),
    )
}
