//! Spain: DNI, NIE and the other NIFs of persons (Orden EHA/451/2008, RD 1065/2007), and the companies' NIF, still
//! called CIF.

use super::{Document, Invalid, Reading, all_digits, digit, text};

/// Check letters of DNI and NIE by remainder of 23.
const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

/// Fewest digits taken for a DNI whose letter is missing: shorter rows are something else.
const BARE_DIGITS_MIN: usize = 7;

/// Reads capitals and digits without separators.
pub(super) fn read(body: &[u8]) -> Reading {
    let [first, middle @ .., last] = body else {
        return Reading::No;
    };
    if all_digits(body) {
        return bare(body);
    }
    if !all_digits(middle) {
        return Reading::No;
    }
    match (first, last) {
        (b'0'..=b'9', b'A'..=b'Z') => dni(&body[..body.len() - 1], *last),
        (b'X' | b'Y' | b'Z', b'A'..=b'Z') => nie(*first - b'X', middle, *last),
        (b'K' | b'L' | b'M', b'A'..=b'Z') if middle.len() == 7 => special(*first, middle, *last),
        (b'A'..=b'H' | b'J' | b'N' | b'P'..=b'S' | b'U'..=b'W', _) if middle.len() == 7 => {
            cif(*first, middle, *last)
        }
        _ => Reading::No,
    }
}

/// Digits alone: a DNI whose letter is missing.
fn bare(digits: &[u8]) -> Reading {
    if !(BARE_DIGITS_MIN..=8).contains(&digits.len()) {
        return Reading::No;
    }
    Reading::Wrong(Invalid::CheckMissing {
        document: Document::EsDni,
        right: format!("{:0>8}{}", text(digits), letter(number(digits))),
    })
}

fn dni(digits: &[u8], last: u8) -> Reading {
    let Some(digits) = without_zeros_over(digits, 8) else {
        return Reading::No;
    };
    judge(
        Document::EsDni,
        format!("{:0>8}", text(digits)),
        number(digits),
        last,
    )
}

fn nie(prefix: u8, digits: &[u8], last: u8) -> Reading {
    let Some(digits) = without_zeros_over(digits, 7).filter(|digits| !digits.is_empty()) else {
        return Reading::No;
    };
    let stem = format!("{}{:0>7}", char::from(b'X' + prefix), text(digits));
    judge(
        Document::EsNie,
        stem,
        u32::from(prefix) * 10_000_000 + number(digits),
        last,
    )
}

/// NIFs of minors and residents abroad (K, L) and of foreigners without NIE (M).
fn special(first: u8, digits: &[u8], last: u8) -> Reading {
    let document = if first == b'M' {
        Document::EsNie
    } else {
        Document::EsDni
    };
    judge(
        document,
        format!("{}{}", char::from(first), text(digits)),
        number(digits),
        last,
    )
}

fn judge(document: Document, stem: String, number: u32, last: u8) -> Reading {
    let right = letter(number);
    let value = format!("{stem}{right}");
    if char::from(last) == right {
        Reading::Person(document, value)
    } else {
        Reading::Wrong(Invalid::CheckDigit {
            document,
            right: Some(value),
        })
    }
}

/// A company's number: its sum doubles every other digit; some kinds write the check as a letter.
fn cif(first: u8, digits: &[u8], last: u8) -> Reading {
    let sum: u32 = digits
        .iter()
        .enumerate()
        .map(|(at, byte)| match (at % 2, digit(*byte)) {
            (0, value) => value * 2 / 10 + value * 2 % 10,
            (_, value) => value,
        })
        .sum();
    let check = ((10 - sum % 10) % 10) as u8;
    let as_digit = last == b'0' + check;
    let as_letter = last == b"JABCDEFGHI"[usize::from(check)];
    let right = match first {
        b'A' | b'B' | b'E' | b'H' => as_digit,
        b'N' | b'P' | b'Q' | b'R' | b'S' | b'W' => as_letter,
        _ => as_digit || as_letter,
    };
    if right {
        Reading::Company
    } else {
        Reading::Wrong(Invalid::DocumentUnknown)
    }
}

/// The digits without zeros in front beyond `len`; `None` when there are more that count.
fn without_zeros_over(digits: &[u8], len: usize) -> Option<&[u8]> {
    let extra = digits.len().saturating_sub(len);
    digits[..extra]
        .iter()
        .all(|byte| *byte == b'0')
        .then(|| &digits[extra..])
}

fn number(digits: &[u8]) -> u32 {
    digits
        .iter()
        .fold(0, |number, byte| number * 10 + digit(*byte))
}

fn letter(number: u32) -> char {
    char::from(LETTERS[(number % 23) as usize])
}
