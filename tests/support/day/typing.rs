//! Owns how people write what they know: names with and without accents, slips of the finger, nicknames, telephone
//! numbers in a dozen forms. Changes only the writing; the truth stays with the person.

use serde_json::{Map, Value};

use super::chance::Chance;
use super::names::NICKNAMES;
use super::people::{PersonTruth, Sex};
use super::rates::{Care, GIVES_LANDLINE};

/// Without accents, tildes and other marks.
pub fn plain(text: &str) -> String {
    text.chars().map(plain_letter).collect()
}

fn plain_letter(letter: char) -> char {
    match letter {
        'á' | 'à' | 'ä' | 'ã' => 'a',
        'é' | 'è' | 'ë' => 'e',
        'í' | 'ì' | 'ï' => 'i',
        'ó' | 'ò' | 'ö' | 'õ' => 'o',
        'ú' | 'ù' | 'ü' => 'u',
        'ñ' => 'n',
        'ç' => 'c',
        'ß' => 's',
        'ș' => 's',
        'ț' => 't',
        'ă' => 'a',
        'Á' => 'A',
        'É' => 'E',
        'Í' => 'I',
        'Ó' => 'O',
        'Ú' => 'U',
        'Ñ' => 'N',
        'Ș' => 'S',
        'Ț' => 'T',
        other => other,
    }
}

const KEYBOARD: [&str; 3] = ["qwertyuiop", "asdfghjklñ", "zxcvbnm"];

/// One slip: a neighbouring key, two letters in the wrong order, one doubled or one missing. The first letter stays, as
/// it mostly does.
pub fn slip(chance: &mut Chance, text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    if letters.len() < 4 {
        return text.to_owned();
    }
    let place = 1 + chance.below(letters.len() - 2);
    match chance.below(4) {
        0 => {
            let lower = plain_letter(letters[place]).to_ascii_lowercase();
            for row in KEYBOARD {
                let row: Vec<char> = row.chars().collect();
                if let Some(at) = row.iter().position(|key| *key == lower) {
                    letters[place] = if at + 1 < row.len() {
                        row[at + 1]
                    } else {
                        row[at - 1]
                    };
                }
            }
        }
        1 => letters.swap(place, place + 1),
        2 => letters.insert(place, letters[place]),
        _ => {
            letters.remove(place);
        }
    }
    letters.into_iter().collect()
}

/// What friends call somebody of this given name.
pub fn nickname(chance: &mut Chance, given: &str) -> Option<&'static str> {
    let known: Vec<&str> = NICKNAMES
        .iter()
        .filter(|(name, _)| *name == given)
        .map(|(_, nick)| *nick)
        .collect();
    (!known.is_empty()).then(|| *chance.pick(&known))
}

/// Puts the person's name into `traits` as somebody of this care types it: apart, or in the one field `name`.
pub fn name(
    chance: &mut Chance,
    care: &Care,
    person: &PersonTruth,
    traits: &mut Map<String, Value>,
) {
    let mut given = person.given.clone();
    // María names are written M.ª, Mª or not at all, even by careful people.
    if let Some(rest) = given.strip_prefix("María ")
        && chance.happens(0.18)
    {
        given = chance
            .pick(&[
                format!("Mª {rest}"),
                format!("M. {rest}"),
                format!("M.ª {rest}"),
            ])
            .clone();
    }
    if chance.happens(care.nickname) {
        given = person.nickname.clone().unwrap_or(given);
    }
    let mut surname = person.surname.clone();
    let mut second = person.second_surname.clone();
    if let Some(other) = &mut second
        && chance.happens(care.swapped)
    {
        std::mem::swap(&mut surname, other);
    }
    if chance.happens(care.one_surname) {
        second = None;
    }
    if chance.happens(care.slip) {
        match (chance.below(5), &mut second) {
            (0 | 1, _) => given = slip(chance, &given),
            (2, Some(second)) => *second = slip(chance, second),
            _ => surname = slip(chance, &surname),
        }
    }
    let (no_accents, case) = (chance.happens(care.no_accents), chance.fraction());
    let write = |text: String| {
        let text = if no_accents { plain(&text) } else { text };
        if case < care.upper {
            text.to_uppercase()
        } else if case < care.upper + care.lower {
            text.to_lowercase()
        } else {
            text
        }
    };
    let (given, surname, second) = (write(given), write(surname), second.map(write));
    if chance.happens(care.one_field) {
        let all = match second {
            Some(second) => format!("{given} {surname} {second}"),
            None => format!("{given} {surname}"),
        };
        traits.insert("name".into(), all.into());
        return;
    }
    traits.insert("firstName".into(), given.into());
    match second {
        // Forms with one field for both surnames are as common as forms with two.
        Some(second) if chance.happens(0.3) => {
            traits.insert("lastName".into(), format!("{surname} {second}").into());
        }
        Some(second) => {
            traits.insert("lastName".into(), surname.into());
            traits.insert("secondLastName".into(), second.into());
        }
        None => {
            traits.insert("lastName".into(), surname.into());
        }
    }
}

/// The telephone the person gives when asked: the mobile, now and then the household's landline.
pub fn number_given<'a>(chance: &mut Chance, person: &'a PersonTruth) -> Option<&'a String> {
    let landline = person.landline.as_ref();
    let by_choice = landline.filter(|_| chance.happens(GIVES_LANDLINE));
    by_choice.or(person.phones.first()).or(landline)
}

/// A telephone number (E.164) as somebody in Spain writes it.
pub fn phone(chance: &mut Chance, number: &str) -> String {
    if let Some(local) = number.strip_prefix("+34") {
        let [a, b, c] = [&local[..3], &local[3..6], &local[6..]];
        return match chance.below(9) {
            0 => number.to_owned(),
            1 => format!("0034{local}"),
            2 => format!("+34 {a} {b} {c}"),
            3 => format!("{a} {b} {c}"),
            4 => format!("{a}.{b}.{c}"),
            5 => format!("{a} {} {} {}", &local[3..5], &local[5..7], &local[7..]),
            6 => format!("{a}-{b}-{c}"),
            _ => local.to_owned(),
        };
    }
    match chance.below(4) {
        0 => number.replacen('+', "00", 1),
        1 => {
            let (head, tail) = number.split_at(number.len() - 4);
            let (head, middle) = head.split_at(head.len() - 3);
            let (country, area) = head.split_at(3.min(head.len()));
            format!("{country} {area} {middle} {tail}").replace("  ", " ")
        }
        _ => number.to_owned(),
    }
}

/// An e-mail as it is typed: the same mailbox, now and then in another case or with a stray blank.
pub fn email(chance: &mut Chance, address: &str) -> String {
    match chance.below(40) {
        0 => address.to_uppercase(),
        1 => format!("{address} "),
        2 | 3 => {
            let mut letters = address.chars();
            letters.next().map_or(String::new(), |first| {
                first.to_uppercase().chain(letters).collect()
            })
        }
        _ => address.to_owned(),
    }
}

/// A national id as it is written on forms: with blanks, a hyphen or in lower case now and then.
pub fn national_id(chance: &mut Chance, id: &str) -> String {
    match chance.below(12) {
        0 => id.to_lowercase(),
        1 if id.len() == 9 => format!("{}-{}", &id[..8], &id[8..]),
        2 if id.len() == 9 => format!("{} {}", &id[..8], &id[8..]),
        _ => id.to_owned(),
    }
}

/// `gender` as forms hold it.
pub fn gender(sex: Sex) -> &'static str {
    match sex {
        Sex::Man => "male",
        Sex::Woman => "female",
    }
}
