//! Owns the making of identifiers that are right by their country's rules: national ids with their check digits and
//! telephone numbers in the country's plan. Made up, all of them; some may belong to somebody, so a day is never to be
//! used to contact anyone.

use super::chance::Chance;
use super::people::{PersonTruth, Sex};
use super::places::Country;
use super::typing::plain;

/// The letters of a DNI or NIE in the order of the remainder (Real Decreto 1553/2005; Orden INT/2058/2008).
pub const DNI_LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

/// A DNI of that number (at most 8 digits) with its letter.
pub fn dni(number: u32) -> String {
    let letter = DNI_LETTERS[(number % 23) as usize];
    format!("{number:08}{}", char::from(letter))
}

/// A NIE: series 0 (`X`), 1 (`Y`) or 2 (`Z`), and a number of at most 7 digits.
pub fn nie(series: u32, number: u32) -> String {
    let letter = DNI_LETTERS[((series * 10_000_000 + number) % 23) as usize];
    let first = ["X", "Y", "Z"][series as usize % 3];
    format!("{first}{number:07}{}", char::from(letter))
}

/// A Chilean RUT with its check digit (module 11, weights 2 to 7).
pub fn rut(number: u32) -> String {
    let (mut rest, mut weight, mut sum) = (number, 2, 0);
    while rest > 0 {
        sum += rest % 10 * weight;
        rest /= 10;
        weight = if weight == 7 { 2 } else { weight + 1 };
    }
    let check = match 11 - sum % 11 {
        11 => "0".to_owned(),
        10 => "K".to_owned(),
        digit => digit.to_string(),
    };
    format!("{number}-{check}")
}

/// An Argentine CUIT/CUIL of a document number of 8 digits.
pub fn cuit(sex: Sex, document: u32) -> String {
    let check = |prefix: u32| {
        let digits = format!("{prefix}{document:08}");
        let sum: u32 = digits
            .bytes()
            .zip([5, 4, 3, 2, 7, 6, 5, 4, 3, 2])
            .map(|(digit, weight)| u32::from(digit - b'0') * weight)
            .sum();
        (11 - sum % 11) % 11
    };
    let usual = if sex == Sex::Man { 20 } else { 27 };
    // A remainder that would need the digit 10 moves the person to the series 23.
    let prefix = if check(usual) == 10 { 23 } else { usual };
    format!("{prefix}-{document:08}-{}", check(prefix))
}

/// A Brazilian CPF of 9 digits with its two check digits.
pub fn cpf(number: u32) -> String {
    let mut digits: Vec<u32> = format!("{number:09}")
        .bytes()
        .map(|digit| u32::from(digit - b'0'))
        .collect();
    for _ in 0..2 {
        let first_weight = digits.len() as u32 + 1;
        let sum: u32 = digits
            .iter()
            .zip(0_u32..)
            .map(|(digit, place)| digit * (first_weight - place))
            .sum();
        digits.push(sum * 10 % 11 % 10);
    }
    let all: String = digits.iter().map(u32::to_string).collect();
    format!("{}.{}.{}-{}", &all[..3], &all[3..6], &all[6..9], &all[9..])
}

/// The alphabet of a CURP in the order of its values.
const CURP_ALPHABET: &str = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ";

/// The check digit of the first 17 characters of a CURP (Instructivo normativo CURP, RENAPO).
pub fn curp_check(first_17: &str) -> u32 {
    let sum: u32 = first_17
        .chars()
        .zip(0_u32..)
        .map(|(letter, place)| {
            let value = CURP_ALPHABET
                .chars()
                .position(|known| known == letter)
                .unwrap_or(0);
            value as u32 * (18 - place)
        })
        .sum();
    (10 - sum % 10) % 10
}

/// A Mexican CURP from a person's names, birthday and sex.
pub fn curp(chance: &mut Chance, person: &PersonTruth) -> String {
    let core = |name: &str| -> Vec<char> {
        let upper = plain(name).to_uppercase();
        let words: Vec<&str> = upper
            .split_whitespace()
            .filter(|word| !["DE", "LA", "DEL", "LOS", "LAS"].contains(word))
            .collect();
        // José and María are skipped when another given name follows.
        let word = match words.as_slice() {
            ["JOSE" | "MARIA" | "MA", next, ..] => next,
            [only, ..] => only,
            [] => "X",
        };
        word.chars().filter(char::is_ascii_uppercase).collect()
    };
    let vowel = |letter: &char| "AEIOU".contains(*letter);
    let inner = |word: &[char], want_vowel: bool| {
        word.iter()
            .skip(1)
            .find(|letter| vowel(letter) == want_vowel)
            .copied()
            .unwrap_or('X')
    };
    let first = core(&person.surname);
    let second = core(person.second_surname.as_deref().unwrap_or("X"));
    let given = core(&person.given);
    let mut text = String::new();
    text.extend([first[0], inner(&first, true), second[0], given[0]]);
    let day = person.birthday.replace('-', "");
    text.push_str(&day[2..]);
    text.push(if person.sex == Sex::Man { 'H' } else { 'M' });
    text.push_str(["DF", "JC", "NL", "PL", "VZ", "MC"][chance.below(6)]);
    text.extend([
        inner(&first, false),
        inner(&second, false),
        inner(&given, false),
    ]);
    // The 17th tells homonyms apart: a digit for those born before 2000, a letter after.
    text.push(if day.as_str() < "20000101" { '0' } else { 'A' });
    let check = curp_check(&text);
    format!("{text}{check}")
}

/// A mobile number of the country (E.164).
pub fn mobile(chance: &mut Chance, country: Country) -> String {
    match country {
        Country::Es => {
            let first = chance.pick(&[
                "60", "61", "62", "63", "64", "65", "66", "67", "68", "69", "72",
            ]);
            format!("+34{first}{}", chance.digits(7))
        }
        Country::Mx => format!("+5255{}{}", chance.between(1, 6), chance.digits(7)),
        Country::Co => format!("+5731{}{}", chance.between(0, 8), chance.digits(7)),
        Country::Ar => format!("+54911{}{}", chance.between(3, 6), chance.digits(7)),
        Country::Cl => format!("+569{}{}", chance.between(5, 9), chance.digits(7)),
        Country::Pe => format!("+519{}", chance.digits(8)),
        Country::Br => format!("+55119{}{}", chance.between(6, 9), chance.digits(7)),
    }
}

/// A Spanish landline (E.164).
pub fn landline(chance: &mut Chance, postal_prefix: &str) -> String {
    let area = match postal_prefix {
        "08" => "93",
        "41" | "29" => "95",
        _ => "91",
    };
    format!("+34{area}{}", chance.digits(7))
}
