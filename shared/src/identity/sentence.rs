//! Explanations in words, Spanish and English.
//!
//! Owns the wording and the masking of values. Decides nothing.

use serde::{Deserialize, Serialize};

use super::{
    chain::{Evidence, Step},
    grouping::{Clash, SharedWhy},
    why::{Apart, Why},
    words::{both, initials, joined, named, titled, upper},
};
use crate::{
    id::Fingerprint,
    matching::{Bits, Field, Score},
};

/// One sentence in both languages.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Sentence {
    /// Spanish.
    pub es: String,
    /// English.
    pub en: String,
}

/// Where and when evidence was seen, as a person reads it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Seen {
    /// Name of the source or the touchpoint.
    pub place: String,
    /// Date in the reader's form.
    pub date: String,
}

/// Puts an explanation into words. `seen` knows where a node's events were seen; `masked` hides most of every value.
#[must_use]
pub fn sentence(why: &Why, masked: bool, seen: &dyn Fn(&Fingerprint) -> Option<Seen>) -> Sentence {
    let parts: Vec<Sentence> = match why {
        Why::Linked(steps) if steps.is_empty() => {
            vec![both("Es el mismo dato.", "It is the same value.")]
        }
        Why::Linked(steps) => steps.iter().map(|step| link(step, masked, seen)).collect(),
        Why::Apart(reasons) => apart(reasons, masked),
    };
    joined(&parts)
}

fn link(step: &Step, masked: bool, seen: &dyn Fn(&Fingerprint) -> Option<Seen>) -> Sentence {
    let (from, to) = (named(&step.from, masked), named(&step.to, masked));
    match &step.evidence {
        Evidence::Node(node) => {
            let (es, en) = seen(node).map_or_else(Default::default, |seen| {
                let Seen { place, date } = seen;
                (
                    format!(" en {place} ({date})"),
                    format!(" in {place} ({date})"),
                )
            });
            both(
                format!("{} y {} aparecen juntos{es}.", upper(&from.es), to.es),
                format!("{} and {} appear together{en}.", upper(&from.en), to.en),
            )
        }
        Evidence::Match(score) => {
            let agree = agreement(score);
            both(
                format!(
                    "{} y {} son de la misma persona por lo que coinciden sus datos: {}",
                    upper(&from.es),
                    to.es,
                    agree.es
                ),
                format!(
                    "{} and {} are the same person's because the records agree: {}",
                    upper(&from.en),
                    to.en,
                    agree.en
                ),
            )
        }
        Evidence::Decision(_) => both(
            format!(
                "Alguien decidió que {} y {} son de la misma persona.",
                from.es, to.es
            ),
            format!(
                "Somebody decided that {} and {} are the same person's.",
                from.en, to.en
            ),
        ),
    }
}

/// What keeps two apart in words, a sentence or two for each reason. What stands against a link for good is told with it, so that
/// nobody waits for more agreement where agreement is not what is missing.
#[must_use]
pub fn apart(reasons: &[Apart], masked: bool) -> Vec<Sentence> {
    let say = |reason| one_apart(reason, reasons, masked);
    reasons.iter().map(say).collect()
}

/// `all`: what is said beside it.
fn one_apart(reason: &Apart, all: &[Apart], masked: bool) -> Sentence {
    let is_told = |clash: &Clash| {
        all.iter()
            .any(|one| matches!(one, Apart::Clash(told) if told == clash))
    };
    match reason {
        Apart::Unknown(key) => {
            let key = named(key, masked);
            both(
                format!("Nadie tiene {}.", key.es),
                format!("Nobody holds {}.", key.en),
            )
        }
        Apart::Blocked { value, kind } => {
            let value = named(value, masked);
            let (es, en) = match kind {
                true => (
                    "ningún dato de esa clase es prueba de nada",
                    "no value of its kind is evidence of anything",
                ),
                false => (
                    "está en la lista de valores bloqueados, y no es prueba de nada",
                    "it is on the list of blocked values, and is evidence of nothing",
                ),
            };
            both(
                format!("Las reglas dejan fuera {}: {es}.", value.es),
                format!("The rules leave {} out: {en}.", value.en),
            )
        }
        Apart::Side(key) => {
            let key = named(key, masked);
            both(
                format!("No une a los dos {}.", key.es),
                format!("The two are not linked by {}.", key.en),
            )
        }
        // What else may agree is told with what does.
        Apart::NothingInCommon if all.iter().any(|one| matches!(one, Apart::Unlike { .. })) => {
            both(
                "No tienen en común ningún identificador que las reglas tengan en cuenta: uno los uniría.",
                "They have no identifier in common that the rules take into account: one would link them.",
            )
        }
        Apart::NothingInCommon => both(
            "No tienen en común ningún identificador que las reglas tengan en cuenta. Un nombre solo no une nunca: los uniría un identificador en común, o que \
             coincidieran también la fecha de nacimiento o la dirección.",
            "They have no identifier in common that the rules take into account. A name alone never links: an identifier in common would, or the same birthday or \
             address beside the name.",
        ),
        Apart::Clash(clash) => clashing(clash, masked),
        Apart::Unlike { score, link } => {
            let (agree, needed) = (agreement(score), odds(*link));
            let barred = all.iter().any(|one| matches!(one, Apart::Clash(_)));
            let rest = match (barred, score.odds >= *link) {
                (true, true) => both(
                    "Por sí solo bastaría para unirlos, pero lo anterior lo impide.",
                    "By itself that would be enough to link them, but what was said before forbids it.",
                ),
                (true, false) => both(
                    "Aunque coincidiera más, lo anterior impide unirlos.",
                    "Even if more agreed, what was said before forbids linking them.",
                ),
                (false, true) => both(
                    "Por sí solo bastaría, pero hay demasiadas fichas parecidas, o alguna de ellas se contradice con estas.",
                    "By itself that would be enough, but too many records are alike, or one of them contradicts these.",
                ),
                (false, false) => both(
                    format!("Para unirlos haría falta {}.", needed.es),
                    format!("To link them it would take {}.", needed.en),
                ),
            };
            both(
                format!("Sus datos, comparados: {} {}", agree.es, rest.es),
                format!("Their records, compared: {} {}", agree.en, rest.en),
            )
        }
        Apart::Shared(shared) => {
            let key = named(&shared.identifier, masked);
            let Sentence { es, en } = links_nobody(&shared.why, &is_told, masked);
            both(
                format!("{} no los une: {es}.", upper(&key.es)),
                format!("{} does not link them: {en}.", upper(&key.en)),
            )
        }
    }
}

/// Why a value links nobody, or not them, as the end of a sentence. `is_told`: whether a contradiction is told beside it.
pub(super) fn links_nobody(
    why: &SharedWhy,
    is_told: &dyn Fn(&Clash) -> bool,
    masked: bool,
) -> Sentence {
    let (es, en) = match why {
        SharedWhy::TooMany => (
            "lo usan demasiadas personas".to_owned(),
            "too many people use it".to_owned(),
        ),
        SharedWhy::Declared(_) => (
            "alguien lo declaró compartido".to_owned(),
            "somebody declared it shared".to_owned(),
        ),
        SharedWhy::Listed => (
            "las reglas lo dan por compartido".to_owned(),
            "the rules list it as shared".to_owned(),
        ),
        SharedWhy::Contradiction(clash) => {
            let ends = ends(clash, is_told(clash), masked);
            (
                format!("quienes lo usan se contradicen{}", ends.es),
                format!("those who use it contradict each other{}", ends.en),
            )
        }
        SharedWhy::Ambiguous(clash) => {
            let ends = ends(clash, is_told(clash), masked);
            (
                format!("puede ser de dos personas distintas{}", ends.es),
                format!("it may be either of two persons'{}", ends.en),
            )
        }
        SharedWhy::Limit { kind, max } => (
            format!(
                "quienes lo usan tendrían más de {max} de la clase {} si fueran uno",
                kind.name()
            ),
            format!(
                "those who use it would have more than {max} of kind {} as one",
                kind.name()
            ),
        ),
    };
    both(es, en)
}

/// The two ends of a contradiction in brackets; nothing where it is told already.
fn ends(clash: &Clash, is_told: bool, masked: bool) -> Sentence {
    if is_told {
        return both(String::new(), String::new());
    }
    let (one, other) = match clash {
        Clash::Exclusive { one, other } | Clash::Decision { one, other, .. } => {
            (named(one, masked), named(other, masked))
        }
        Clash::Names { one, other } => {
            let show = |name: &str| if masked { initials(name) } else { titled(name) };
            let (one, other) = (show(one), show(other));
            (both(one.clone(), one), both(other.clone(), other))
        }
        Clash::Births { .. } if masked => {
            return both(
                " (fechas de nacimiento de dos generaciones)",
                " (dates of birth of two generations)",
            );
        }
        Clash::Births { one, other } => (
            both(format!("nacido el {one}"), format!("born {one}")),
            both(format!("nacido el {other}"), format!("born {other}")),
        ),
    };
    let (mut es, mut en) = (
        format!(" ({} y {}", one.es, other.es),
        format!(" ({} and {}", one.en, other.en),
    );
    let (decided_es, decided_en) = match clash {
        Clash::Decision { .. } => (", según decidió alguien)", ", as somebody decided)"),
        Clash::Exclusive { .. } | Clash::Names { .. } | Clash::Births { .. } => (")", ")"),
    };
    es.push_str(decided_es);
    en.push_str(decided_en);
    both(es, en)
}

fn clashing(clash: &Clash, masked: bool) -> Sentence {
    match clash {
        Clash::Exclusive { one, other } => {
            let (one, other) = (named(one, masked), named(other, masked));
            both(
                format!(
                    "Una persona no puede tener {} y {}: no se unen, coincida lo que coincida. Si uno de los dos está mal escrito, declárelo dato compartido y dejará de separarlos.",
                    one.es, other.es
                ),
                format!(
                    "One person cannot have {} and {}: they are not linked, whatever agrees. If one of the two is mistyped, declare it a shared value, and it will no longer keep them apart.",
                    one.en, other.en
                ),
            )
        }
        Clash::Names { one, other } => {
            let show = |name: &str| if masked { initials(name) } else { titled(name) };
            let (one, other) = (show(one), show(other));
            both(
                format!("Los nombres {one} y {other} no pueden ser de la misma persona."),
                format!("The names {one} and {other} cannot be the same person's."),
            )
        }
        Clash::Births { .. } if masked => both(
            "Llevan el mismo nombre, pero sus fechas de nacimiento son de dos generaciones.",
            "They have one name, but dates of birth of two generations.",
        ),
        Clash::Births { one, other } => both(
            format!(
                "Llevan el mismo nombre, pero sus fechas de nacimiento son de dos generaciones: {one} y {other}."
            ),
            format!(
                "They have one name, but dates of birth of two generations: {one} and {other}."
            ),
        ),
        Clash::Decision { one, other, .. } => {
            let (one, other) = (named(one, masked), named(other, masked));
            both(
                format!(
                    "Alguien decidió que {} y {} no son de la misma persona. Para unirlos hay que deshacer esa decisión.",
                    one.es, other.es
                ),
                format!(
                    "Somebody decided that {} and {} are not the same person's. To link them, undo that decision.",
                    one.en, other.en
                ),
            )
        }
    }
}

/// What speaks for two being one person, what against, and the sum.
#[must_use]
pub fn agreement(score: &Score) -> Sentence {
    let some = |for_it: bool| -> Option<Sentence> {
        let said = score.terms.iter().filter(|term| (term.bits > 0) == for_it);
        let said: Vec<(&str, &str)> = said.map(|term| said_of(term.field, term.level)).collect();
        let list = |and: &str, of: fn(&(&'static str, &'static str)) -> &'static str| {
            let words: Vec<&str> = said.iter().map(of).collect();
            match words.split_last() {
                Some((last, [])) => (*last).to_owned(),
                Some((last, rest)) => format!("{} {and} {last}", rest.join(", ")),
                None => String::new(),
            }
        };
        (!said.is_empty()).then(|| both(list("y", |one| one.0), list("and", |one| one.1)))
    };
    let (es, en) = match (some(true), some(false)) {
        (Some(one), Some(other)) => (
            format!("{}; en contra, {}", one.es, other.es),
            format!("{}; against it, {}", one.en, other.en),
        ),
        (Some(one), None) => (one.es, one.en),
        (None, Some(other)) => (
            format!("en contra, {}", other.es),
            format!("against it, {}", other.en),
        ),
        (None, None) => ("nada".to_owned(), "nothing".to_owned()),
    };
    let total = odds(score.odds);
    both(
        format!("{es}. En total, {}.", total.es),
        format!("{en}. In all, {}.", total.en),
    )
}

/// Odds above which the number says nothing more to a person.
const ODDS_MAX: f64 = 1e6;

/// The logarithm of odds as a person reads them: how many to one, and for what.
#[must_use]
pub fn odds(bits: Bits) -> Sentence {
    let times = (f64::from(bits.abs()) / 1000.0).exp2();
    let (es, en) = match times {
        even if even < 1.5 => return both("tan probable como que no", "as likely as not"),
        times if times >= ODDS_MAX => (
            "más de un millón a 1".to_owned(),
            "more than a million to 1".to_owned(),
        ),
        times => {
            let whole = times.round() as u64;
            (
                format!("{} a 1", grouped(whole, '.')),
                format!("{} to 1", grouped(whole, ',')),
            )
        }
    };
    match bits > 0 {
        true => both(format!("{es} a favor"), format!("{en} for it")),
        false => both(format!("{es} en contra"), format!("{en} against it")),
    }
}

/// A whole number below a thousand million with its thousands apart.
fn grouped(number: u64, between: char) -> String {
    match (number / 1_000_000, number / 1_000 % 1_000, number % 1_000) {
        (0, 0, ones) => ones.to_string(),
        (0, thousands, ones) => format!("{thousands}{between}{ones:03}"),
        (millions, thousands, ones) => {
            format!("{millions}{between}{thousands:03}{between}{ones:03}")
        }
    }
}

/// A level of agreement of a field in words.
#[must_use]
pub fn said_of(field: Field, level: u8) -> (&'static str, &'static str) {
    match (field, level) {
        (Field::Given, 1) => ("el mismo nombre", "the same given name"),
        (Field::Given, 2) => ("un nombre que equivale", "an equivalent given name"),
        (Field::Given, 3) => ("una inicial que encaja", "an initial that fits"),
        (Field::Given, 4) => ("un nombre casi igual", "nearly the same given name"),
        (Field::Given, _) => ("otro nombre", "another given name"),
        (Field::Surname, 1) => ("los mismos apellidos", "the same surnames"),
        (Field::Surname, 2) => ("apellidos que equivalen", "equivalent surnames"),
        (Field::Surname, 3) => ("apellidos casi iguales", "nearly the same surnames"),
        (Field::Surname, 4) => ("un apellido en común", "one surname in common"),
        (Field::Surname, _) => ("otros apellidos", "other surnames"),
        (Field::Birth, 1) => ("la misma fecha de nacimiento", "the same date of birth"),
        (Field::Birth, 2) => (
            "una fecha de nacimiento con una errata",
            "a date of birth with one slip",
        ),
        (Field::Birth, 3) => (
            "una fecha de nacimiento parecida",
            "a similar date of birth",
        ),
        (Field::Birth, _) => ("otra fecha de nacimiento", "another date of birth"),
        (Field::Place, 1) => ("la misma dirección", "the same address"),
        (Field::Place, 2) => ("casi la misma dirección", "nearly the same address"),
        (Field::Place, 3) => ("parte de la dirección", "part of the address"),
        (Field::Place, 4) => ("poco de la dirección", "little of the address"),
        (Field::Place, 5) => ("otra dirección", "another address"),
        (Field::Place, 6) => ("la misma provincia", "the same state"),
        (Field::Place, _) => ("otra provincia", "another state"),
        (Field::Gender, 1) => ("el mismo sexo", "the same gender"),
        (Field::Gender, _) => ("otro sexo", "another gender"),
        (Field::Document, 1) => ("el mismo documento", "the same national id"),
        (Field::Document, 2) => ("un documento con una errata", "a national id with one slip"),
        (Field::Document, _) => ("otro documento", "another national id"),
        (Field::Phone, 1) => ("el mismo teléfono", "the same phone"),
        (Field::Phone, 2) => ("un teléfono con una errata", "a phone with one slip"),
        (Field::Phone, _) => ("otro teléfono", "another phone"),
        (Field::Email, 1) => ("el mismo correo", "the same e-mail"),
        (Field::Email, 2) => (
            "el mismo correo en otro proveedor",
            "the same e-mail at another provider",
        ),
        (Field::Email, 3) => ("un correo con una errata", "an e-mail with one slip"),
        (Field::Email, _) => ("otro correo", "another e-mail"),
    }
}
