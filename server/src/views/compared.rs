//! Two records side by side, in words: what both say of each field, how far that agrees, and what it weighs.

use trenza_shared::{
    identifier::Kind,
    identity::{Sentence, odds, said_of},
    matching::{Bits, Field, Score},
};

use super::text::Lang;
use crate::{
    customer::{
        compared::{self, Compared, Left, Shared, VALUES_MAX, Verdict},
        record::Record,
        review::Doubt,
    },
    evidence::Home,
};

/// Below these odds a question is not very sure, or fairly. Unit: thousandths of a bit; 8 to 1 and 128 to 1.
const SURE_BITS: [Bits; 2] = [3_000, 7_000];
/// What is taken off for families is not told where it is next to nothing. Unit: thousandths of a bit.
const FAMILY_BITS_MIN: Bits = 500;

/// One field of both.
pub struct Row {
    /// What it is.
    pub name: &'static str,
    /// What each says; nothing where it says nothing.
    pub values: [Vec<String>; 2],
    /// How they stand to each other; none where that is not looked at.
    pub verdict: Option<Verdict>,
    /// The same in a word or two.
    pub tag: &'static str,
    /// How far they agree.
    pub says: &'static str,
    /// What it weighs: so many to one.
    pub weight: String,
    /// Whether it speaks against.
    pub against: bool,
}

impl Row {
    /// Whether the two stand against each other.
    pub fn differs(&self) -> bool {
        self.verdict == Some(Verdict::Differs)
    }

    /// Whether it counts at all.
    pub fn counts(&self) -> bool {
        matches!(
            self.verdict,
            Some(Verdict::Agrees | Verdict::Nearly | Verdict::Differs)
        )
    }
}

/// How sure a question is, taken apart.
pub struct Sure {
    /// In a word.
    pub word: &'static str,
    /// So many to one.
    pub odds: String,
    /// From where they would be one unasked; none where they are there already.
    pub link: Option<String>,
    /// How rare it is that any two are one.
    pub begin: String,
    /// What is taken off as families agree so too.
    pub family: Option<String>,
}

fn told(t: Lang, bits: Bits) -> String {
    let Sentence { es, en } = odds(bits);
    t.pick(es, en)
}

/// How sure it is that two are one.
pub fn sure(t: Lang, score: &Score, link: Bits) -> Sure {
    let [little, fairly] = SURE_BITS;
    Sure {
        word: match score.odds {
            bits if bits < little => t.sure_little(),
            bits if bits < fairly => t.sure_fairly(),
            _ => t.sure_much(),
        },
        odds: told(t, score.odds),
        link: (score.odds < link).then(|| told(t, link)),
        begin: told(t, score.prior),
        family: (score.family <= -FAMILY_BITS_MIN).then(|| told(t, score.family)),
    }
}

/// The fields of which either record says something, in the order in which people look.
pub fn rows(t: Lang, doubt: &Doubt, masked: bool) -> Vec<Row> {
    let fields = compared::fields(doubt, masked).into_iter();
    let mut rows: Vec<Row> = fields.map(|one| row(t, one)).collect();
    let others = [&doubt.records[0], &doubt.records[1]].map(|record| {
        let others = record
            .customer
            .identifiers
            .keys()
            .filter(|one| !matches!(one.kind, Kind::Email | Kind::Phone | Kind::NationalId));
        let shown =
            others.map(|one| format!("{}: {}", t.kind(one.kind), compared::value(one, masked)));
        shown.take(VALUES_MAX).collect::<Vec<_>>()
    });
    if others.iter().any(|values| !values.is_empty()) {
        rows.push(Row {
            name: t.other_values_row(),
            values: others,
            verdict: None,
            tag: "",
            says: "",
            weight: String::new(),
            against: false,
        });
    }
    rows
}

fn row(t: Lang, one: Compared) -> Row {
    let Compared {
        field,
        mut values,
        verdict,
        term,
        left,
    } = one;
    if field == Field::Gender {
        for gender in values.iter_mut().flatten() {
            match gender.as_str() {
                "male" => t.male().clone_into(gender),
                "female" => t.female().clone_into(gender),
                _ => {}
            }
        }
    }
    let says = match (&term, left) {
        (Some(term), _) => {
            let (es, en) = said_of(term.field, term.level);
            t.pick(es, en)
        }
        (None, Some(Left::Counted)) => t.counted_before(),
        (None, Some(Left::OtherDocument)) => t.other_document(),
        (None, Some(Left::OtherKind)) => t.other_kind(),
        (None, Some(Left::OtherSigns)) => t.other_signs(),
        (None, None) => "",
    };
    Row {
        name: t.compared(field),
        values,
        verdict: Some(verdict),
        tag: match verdict {
            Verdict::Agrees => t.agrees(),
            Verdict::Nearly => t.nearly(),
            Verdict::Differs => t.differs(),
            Verdict::Missing => t.missing(),
            Verdict::NotCompared => t.not_compared(),
        },
        says,
        weight: term
            .as_ref()
            .map(|term| told(t, term.bits))
            .unwrap_or_default(),
        against: verdict == Verdict::Differs || term.is_some_and(|term| term.bits < 0),
    }
}

/// Why two may live together, in words.
pub fn because(t: Lang, record: &Record, homes: &[Home], masked: bool) -> Vec<String> {
    let shared = compared::because(record, homes, masked).into_iter();
    let said = shared.map(|one| match one {
        Shared::Address { address, surnames } => {
            let and = match surnames.len() {
                1 => t.home_surname(),
                _ => t.home_surnames(),
            };
            format!(
                "{}, {address}, {and} {}",
                t.home_address(),
                surnames.join(" ")
            )
        }
        Shared::Landline { phone } => format!("{}, {phone}", t.home_landline()),
    });
    said.collect()
}
