//! Values and names as sentences hold them, in Spanish and English.
//!
//! Owns their articles and how much of them is shown. Says nothing of persons.

use super::sentence::Sentence;
use crate::{
    fragment::mask,
    identifier::{Identifier, Kind},
};

/// A sentence, or a part of one, of its two texts.
pub(super) fn both(es: impl Into<String>, en: impl Into<String>) -> Sentence {
    let (es, en) = (es.into(), en.into());
    Sentence { es, en }
}

/// Sentences one after another.
#[must_use]
pub fn joined(said: &[Sentence]) -> Sentence {
    let join = |text: fn(&Sentence) -> &str| said.iter().map(text).collect::<Vec<_>>().join(" ");
    both(join(|one| &one.es), join(|one| &one.en))
}

/// A value with its article, as in the middle of a sentence; of a value of one side, what that means.
pub(super) fn named(identifier: &Identifier, masked: bool) -> Sentence {
    let Sentence { es, en } = plain(identifier, masked);
    match identifier.facet() {
        None => both(es, en),
        Some(_) => both(
            format!("{es} (de un cargo: solo une dentro del lado profesional)"),
            format!("{en} (of a role: links only inside the professional side)"),
        ),
    }
}

/// A value with its article, where its side is told beside it or does not matter.
pub(super) fn plain(identifier: &Identifier, masked: bool) -> Sentence {
    let (es, en) = match identifier.kind {
        Kind::NationalId => match identifier.scope.rsplit('-').next() {
            Some(document) if !document.is_empty() => {
                (format!("el {document}"), format!("the {document}"))
            }
            _ => ("el documento".to_owned(), "the national id".to_owned()),
        },
        kind => {
            let (es, en) = match kind {
                Kind::AccountId => ("la cuenta", "the account"),
                Kind::LoyaltyId => ("la tarjeta", "the loyalty card"),
                Kind::UserId => ("el usuario", "the user"),
                Kind::BadgeId => ("la acreditación", "the badge"),
                Kind::Email => ("el correo", "the e-mail"),
                Kind::Phone => ("el teléfono", "the phone"),
                Kind::AnonymousId | Kind::NationalId => ("el visitante", "the visitor"),
                Kind::Record => {
                    return both(
                        "una ficha sin dato propio",
                        "a record without a value of its own",
                    );
                }
            };
            (es.to_owned(), en.to_owned())
        }
    };
    let value = if masked {
        mask::identifier(identifier)
    } else {
        identifier.value.clone()
    };
    both(format!("{es} {value}"), format!("{en} {value}"))
}

pub(super) fn initials(name: &str) -> String {
    let letters = name.split(' ').filter_map(|word| word.chars().next());
    letters
        .map(|letter| format!("{}.", letter.to_uppercase()))
        .collect::<Vec<_>>()
        .join(" ")
}

pub(super) fn titled(name: &str) -> String {
    name.split(' ').map(upper).collect::<Vec<_>>().join(" ")
}

pub(super) fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}
