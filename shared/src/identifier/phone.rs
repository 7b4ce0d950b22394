//! Telephone numbers in E.164. The place's country reads numbers without prefix.
//!
//! The ranges come from libphonenumber's metadata, loaded once on first use. One form per line: the mobile digits that
//! Argentina (+54 9) and Mexico (+52 1) put after the country code are dropped, since people write them or not. A number
//! typed with its country code needs a possible length only: ranges open faster than metadata is renewed.

use rlibphonenumber::{
    NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, Region, ValidationError,
};

use super::{Invalid, Kind, blocked};

/// Most digits that are looked at: E.164's 15, an international prefix of 3, a trunk digit and a carrier's code.
const DIGITS_MAX: usize = 22;

/// Argentina's country code; its mobile numbers have a 9 more when called from abroad.
const ARGENTINA: i32 = 54;

/// Mexico's country code; its mobile numbers had a 1 more when called from abroad.
const MEXICO: i32 = 52;

/// That 1, before ten digits.
const MEXICAN_ONE: u64 = 10_u64.pow(10);

/// What stands before the numbers of a country (ISO 3166-1, as ES) when they are called from abroad; none of what is no country.
#[must_use]
pub fn calling_code(country: &str) -> Option<String> {
    let region = country.parse::<Region>().ok()?;
    let code = PHONE_NUMBER_UTIL.get_country_code_for_region(region)?;
    Some(code.to_string())
}

pub(super) fn normal_form(text: &str, country: &str) -> Result<String, Invalid> {
    let dialled = Dialled::of(text)?;
    let number = dialled.number(country)?;
    let international = PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164);
    let code = number.country_code.to_string();
    let national = international.get(1 + code.len()..).unwrap_or_default();
    let national = match national.strip_prefix('9') {
        Some(rest) if number.country_code == ARGENTINA && rest.len() == 10 => rest,
        _ => national,
    };
    if blocked::is_blocked_phone(national) {
        return Err(Invalid::Blocked { kind: Kind::Phone });
    }
    Ok(format!("+{code}{national}"))
}

/// The digits of a number as somebody would dial them, with a plus in front if there was one.
struct Dialled {
    text: String,
}

impl Dialled {
    fn of(text: &str) -> Result<Self, Invalid> {
        let number = match text.get(..4) {
            Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => &text[4..],
            _ => text,
        };
        let mut dialled = String::with_capacity(DIGITS_MAX + 1);
        for c in number.chars() {
            match c {
                '0'..='9' => dialled.push(c),
                // Full-width digits of East Asian keyboards.
                '\u{ff10}'..='\u{ff19}' => dialled.extend(char::from_digit(c as u32 - 0xff10, 10)),
                '+' | '\u{ff0b}' if dialled.is_empty() => dialled.push('+'),
                '.'
                | '-'
                | '/'
                | '('
                | ')'
                | '['
                | ']'
                | '\u{2010}'..='\u{2015}'
                | '\u{2212}'
                | '·' => {}
                c if c.is_whitespace() || super::is_invisible(c) => {}
                'x' | 'X' | '#' | ';' | ',' | 'e' | 'E' | 'i' | 'I' | 'a' | 'A' | 'p' | 'P'
                    if dialled.len() >= 6 =>
                {
                    return Err(Invalid::PhoneExtension);
                }
                _ => return Err(Invalid::PhoneCharacters),
            }
            if dialled.len() > DIGITS_MAX + 1 {
                return Err(Invalid::PhoneLength);
            }
        }
        if dialled.bytes().any(|b| b.is_ascii_digit()) {
            Ok(Dialled { text: dialled })
        } else {
            Err(Invalid::PhoneCharacters)
        }
    }

    fn number(&self, country: &str) -> Result<PhoneNumber, Invalid> {
        if self.text.starts_with('+') {
            return international(&self.text);
        }
        // 00 is the usual prefix of Europe and most of Latin America, and people write it anywhere.
        if let Some(rest) = self.text.strip_prefix("00")
            && let Ok(number) = international(&format!("+{rest}"))
        {
            return Ok(number);
        }
        let region = region(country).ok_or(Invalid::PhoneCountry)?;
        let dialled = match region {
            Region::MX => without_mexican_prefix(&self.text),
            _ => &self.text,
        };
        let number = PHONE_NUMBER_UTIL
            .parse(dialled, Some(region))
            .map_err(|_| Invalid::PhoneLength)?;
        let number = without_mexican_one(number);
        possible(&number)?;
        if PHONE_NUMBER_UTIL.is_valid_number(&number) || is_argentine_mobile(&number) {
            Ok(number)
        } else {
            Err(Invalid::PhoneRange)
        }
    }
}

fn international(text: &str) -> Result<PhoneNumber, Invalid> {
    let number = PHONE_NUMBER_UTIL
        .parse(text, None)
        .map_err(|_| Invalid::PhoneCountry)?;
    let number = without_mexican_one(number);
    possible(&number)?;
    Ok(number)
}

/// Without the 1 of +52 1, until 2019 the way to call a mobile of Mexico from abroad.
fn without_mexican_one(number: PhoneNumber) -> PhoneNumber {
    match number.national_number.checked_sub(MEXICAN_ONE) {
        Some(rest) if number.country_code == MEXICO && rest < MEXICAN_ONE => PhoneNumber {
            national_number: rest,
            ..number
        },
        _ => number,
    }
}

/// Without the prefixes that Mexico dialled until 2019 before the ten digits.
fn without_mexican_prefix(digits: &str) -> &str {
    ["044", "045", "01", "1"]
        .into_iter()
        .find_map(|prefix| digits.strip_prefix(prefix).filter(|rest| rest.len() == 10))
        .unwrap_or(digits)
}

fn possible(number: &PhoneNumber) -> Result<(), Invalid> {
    match PHONE_NUMBER_UTIL.is_possible_number_with_reason(number) {
        Ok(NumberLengthType::IsPossible) => Ok(()),
        Ok(NumberLengthType::IsPossibleLocalOnly) => Err(Invalid::PhoneLength),
        Err(ValidationError::InvalidCountryCode) => Err(Invalid::PhoneCountry),
        Err(_) => Err(Invalid::PhoneLength),
    }
}

/// A mobile of Argentina typed without the 9 that the ranges have.
fn is_argentine_mobile(number: &PhoneNumber) -> bool {
    const NINE: u64 = 9 * 10_u64.pow(10);
    number.country_code == ARGENTINA
        && number.national_number < 10_u64.pow(10)
        && PHONE_NUMBER_UTIL.is_valid_number(&PhoneNumber {
            national_number: number.national_number + NINE,
            ..number.clone()
        })
}

fn region(country: &str) -> Option<Region> {
    match country.as_bytes() {
        [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
            country.to_ascii_uppercase().parse().ok()
        }
        _ => None,
    }
}
