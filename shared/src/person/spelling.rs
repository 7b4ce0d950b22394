//! Under which forms a word of a name is listed, so that it is found by a part of it, by its sound, by the name it is short for,
//! and in spite of a typing mistake.
//!
//! Every form belongs to a *different word*, not to a person, so a name that very many bear is listed once.

use std::collections::BTreeSet;

use super::{compare::full_forms, phonetic::skeleton};

/// Shortest end of a word that it is listed under. Unit: letters.
const END_LETTERS_MIN: usize = 3;
/// Shortest word that is found in spite of a mistake: of shorter ones, too many are one letter apart. Unit: letters.
const MISTYPED_LETTERS_MIN: usize = 4;
/// From this length on, two mistakes are let pass where a letter less on both sides makes them one word. Unit: letters.
const TWICE_MISTYPED_LETTERS_MIN: usize = 8;
/// Longer words are no names and have no forms. Unit: letters.
const LETTERS_MAX: usize = 24;

// What marks a form that is no part of the word; folded words hold letters and digits alone.
const SOUND: char = '~';
const SHORT_FOR: char = '=';
const LETTER_LEFT_OUT: char = '-';

/// How a word that is looked for may stand in the list, the nearest first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Spelling {
    /// Every word with a form that begins so holds it as a part.
    Part(String),
    /// Every word with this form is short for it.
    ShortFor(String),
    /// This word is what it is short for.
    Full(String),
    /// Every word with this form sounds like it.
    Sound(String),
    /// Of the words with this form, those that [`is_mistyped`] says are it with a mistake.
    Mistyped(String),
}

/// The forms of a folded word of a name; none for one that holds anything but letters.
#[must_use]
pub fn forms(word: &str) -> BTreeSet<String> {
    let letters: Vec<char> = word.chars().collect();
    if !is_listed(&letters) {
        return BTreeSet::new();
    }
    let ends = (0..letters.len().saturating_sub(END_LETTERS_MIN - 1)).map(|at| end(&letters, at));
    let short = full_forms(word)
        .iter()
        .map(|full| format!("{SHORT_FOR}{full}"));
    let sound = format!("{SOUND}{}", skeleton(word));
    ends.chain(short)
        .chain([word.to_owned(), sound])
        .chain(left_out(&letters))
        .collect()
}

/// Where a folded word that somebody looks for may be listed.
#[must_use]
pub fn spellings(word: &str) -> Vec<Spelling> {
    let letters: Vec<char> = word.chars().collect();
    if !is_listed(&letters) {
        return Vec::new();
    }
    let part = (letters.len() >= END_LETTERS_MIN).then(|| Spelling::Part(word.to_owned()));
    let full = full_forms(word)
        .iter()
        .map(|full| Spelling::Full((*full).to_owned()));
    part.into_iter()
        .chain([Spelling::ShortFor(format!("{SHORT_FOR}{word}"))])
        .chain(full)
        .chain([Spelling::Sound(format!("{SOUND}{}", skeleton(word)))])
        .chain(left_out(&letters).map(Spelling::Mistyped))
        .collect()
}

/// Whether a listed word is the one looked for with a letter wrong, missing, too much or swapped with its neighbour; with two such
/// mistakes where both are long.
#[must_use]
pub fn is_mistyped(looked_for: &str, listed: &str) -> bool {
    let letters = looked_for.chars().count().min(listed.chars().count());
    let most = 1 + usize::from(letters >= TWICE_MISTYPED_LETTERS_MIN);
    letters >= MISTYPED_LETTERS_MIN - 1 && strsim::osa_distance(looked_for, listed) <= most
}

fn is_listed(letters: &[char]) -> bool {
    (2..=LETTERS_MAX).contains(&letters.len()) && letters.iter().all(|one| one.is_alphabetic())
}

fn end(letters: &[char], at: usize) -> String {
    letters[at..].iter().collect()
}

/// The word, and the word without each of its letters: two words one mistake apart have one of these in common.
fn left_out(letters: &[char]) -> impl Iterator<Item = String> + '_ {
    let none = (letters.len() >= MISTYPED_LETTERS_MIN - 1).then_some(letters.len());
    let some = match letters.len() >= MISTYPED_LETTERS_MIN {
        true => 0..letters.len(),
        false => 0..0,
    };
    some.chain(none).map(|without| {
        let rest = letters.iter().enumerate().filter(|(at, _)| *at != without);
        [LETTER_LEFT_OUT]
            .into_iter()
            .chain(rest.map(|(_, letter)| *letter))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether a search for one word finds the other.
    fn finds(looked_for: &str, listed: &str) -> bool {
        let forms = forms(listed);
        spellings(looked_for)
            .into_iter()
            .any(|spelling| match spelling {
                Spelling::Part(part) => forms.iter().any(|form| form.starts_with(&part)),
                Spelling::ShortFor(form) | Spelling::Sound(form) => forms.contains(&form),
                Spelling::Full(word) => word == listed,
                Spelling::Mistyped(form) => {
                    forms.contains(&form) && is_mistyped(looked_for, listed)
                }
            })
    }

    #[test]
    fn a_name_is_found_by_a_part_its_sound_its_short_form_and_in_spite_of_a_mistake() {
        for (looked_for, listed) in [
            ("tierrez", "gutierrez"),
            ("gutier", "gutierrez"),
            ("basquez", "vazquez"),
            ("hernandes", "hernandez"),
            ("ernandez", "hernandez"),
            ("yamas", "llamas"),
            ("paco", "francisco"),
            ("francisco", "paco"),
            ("gracia", "garcia"),
            ("garcai", "garcia"),
            ("garia", "garcia"),
            ("gharcia", "garcia"),
            ("gonsalvez", "gonzalbes"),
            ("etxebarria", "etxeberria"),
            ("etxxebaria", "etxebarria"),
            ("pena", "pena"),
            ("li", "li"),
        ] {
            assert!(finds(looked_for, listed), "{looked_for} {listed}");
        }
    }

    #[test]
    fn other_names_are_not_found() {
        for (looked_for, listed) in [
            ("perez", "gomez"),
            ("ruiz", "rios"),
            ("ana", "eva"),
            ("garcia", "guerra"),
            ("paco", "pablo"),
        ] {
            assert!(!finds(looked_for, listed), "{looked_for} {listed}");
        }
    }

    #[test]
    fn what_is_no_name_has_no_forms() {
        for word in ["612345678", "a1", "x", "", &"a".repeat(LETTERS_MAX + 1)] {
            assert!(forms(word).is_empty() && spellings(word).is_empty());
        }
    }

    proptest! {
        #[test]
        fn every_single_mistake_is_found(word in "[a-z]{4,12}", at in 0..12_usize, letter in "[a-z]", mistake in 0..4_u8) {
            let mut letters: Vec<char> = word.chars().collect();
            let at = at % letters.len();
            let letter = letter.chars().next().unwrap();
            match mistake {
                0 => letters[at] = letter,
                1 => letters.insert(at, letter),
                2 if letters.len() > 4 => drop(letters.remove(at)),
                _ => letters.swap(at, (at + 1).min(word.len() - 1)),
            }
            let typed: String = letters.into_iter().collect();
            prop_assert!(finds(&typed, &word), "{} {}", typed, word);
            prop_assert!(finds(&word, &typed), "{} {}", word, typed);
        }

        #[test]
        fn every_part_of_three_letters_is_found(word in "[a-zñ]{3,20}", from in 0..20_usize, many in 3..20_usize) {
            let letters: Vec<char> = word.chars().collect();
            let from = from % (letters.len() - 2);
            let to = (from + many).min(letters.len());
            let part: String = letters[from..to].iter().collect();
            prop_assert!(finds(&part, &word));
        }
    }
}
