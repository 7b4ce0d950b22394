//! What the text of a cell becomes.

use jiff::{
    civil::{Date, Time},
    tz::TimeZone,
};
use serde_json::{Number, Value};
use trenza_shared::clock::{format_ms, parse_time_ms};

use super::As;

/// Most digits that are read as a number; longer ones are somebody's reference. Unit: characters.
const NUMBER_CHARS_MAX: usize = 15;
/// Digits between the signs of thousands.
const THOUSANDS: usize = 3;

/// Reads a cell that is not empty. A time without a zone is one of `zone`.
///
/// # Errors
/// It is not what it should be; says how to write it.
pub(super) fn read(field: &str, kind: As, zone: &TimeZone) -> Result<Value, String> {
    let number = || {
        plain_number(field)
            .then(|| field.parse::<Number>().ok())
            .flatten()
            .map(Value::Number)
    };
    let truth = || match field.to_ascii_lowercase().as_str() {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ => None,
    };
    let ticked = || match field.to_lowercase().as_str() {
        "sí" | "si" | "s" | "yes" | "y" | "x" | "1" => Some(Value::Bool(true)),
        "no" | "n" | "0" => Some(Value::Bool(false)),
        _ => None,
    };
    let shown = || field.chars().take(40).collect::<String>();
    match kind {
        As::Text => Ok(field.into()),
        As::Number => match number() {
            Some(number) => Ok(number),
            None => amount(field)
                .and_then(|plain| plain.parse().map(Value::Number).map_err(|_| Wrong::None))
                .map_err(|wrong| match wrong {
                    Wrong::None => format!(
                        "{:?} is no number; write it as 1234.5, 1234,5 or 1.234,5",
                        shown()
                    ),
                    Wrong::Either(whole, fraction) => format!(
                        "{:?} may be {whole}{fraction} or {whole}.{fraction}; write one of these",
                        shown()
                    ),
                }),
        },
        As::Boolean => truth()
            .or_else(ticked)
            .ok_or_else(|| format!("{:?} is neither true nor false", shown())),
        As::Date => day(field)
            .map(|day| day.to_string().into())
            .ok_or_else(|| format!("{:?} is no day; write 2025-12-31 or 31/12/2025", shown())),
        As::Time => moment(field, zone).map(Value::from).ok_or_else(|| {
            format!(
                "{:?} is no time; write 2025-12-31, 31/12/2025 10:30 or 2025-12-31T10:30:00Z",
                shown()
            )
        }),
        As::Guess => Ok(number().or_else(truth).unwrap_or_else(|| field.into())),
    }
}

/// A moment as events say it. One that says its zone is left as it is, so that a row is the same event as ever; a local one that the
/// zone does not have, or has twice, is read as calendars do (RFC 5545): by the offset before the change.
fn moment(field: &str, zone: &TimeZone) -> Option<String> {
    if parse_time_ms(field).is_some() {
        return Some(field.to_owned());
    }
    let at = match field.split_once(['T', 't', ' ']) {
        None => day(field)?.to_zoned(zone.clone()).ok()?,
        Some((date, time)) => {
            let local = day(date)?.to_datetime(clock(time.trim_start())?);
            zone.to_ambiguous_zoned(local).compatible().ok()?
        }
    };
    Some(format_ms(at.timestamp().as_millisecond()))
}

/// A time of the day as 10:30, 9:05 or 10:30:15, with a fraction of the second or none.
fn clock(text: &str) -> Option<Time> {
    let (whole, fraction) = match text.split_once(['.', ',']) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let mut parts = Vec::new();
    for part in whole.split(':') {
        parts.push(
            part.parse::<i8>()
                .ok()
                .filter(|_| all_digits(part) && part.len() <= 2)?,
        );
    }
    let (hour, minute, second) = match (parts.as_slice(), fraction) {
        ([hour, minute], None) => (*hour, *minute, 0),
        ([hour, minute, second], _) => (*hour, *minute, *second),
        _ => return None,
    };
    let nanosecond = match fraction {
        Some(digits) if all_digits(digits) && digits.len() <= 9 => {
            format!("{digits:0<9}").parse().ok()?
        }
        Some(_) => return None,
        None => 0,
    };
    Time::new(hour, minute, second, nanosecond).ok()
}

/// A day of the calendar, of 2025-12-31 or of 31/12/2025.
fn day(field: &str) -> Option<Date> {
    let parts: Vec<&str> = field.split(['-', '/', '.']).collect();
    let [first, month, last] = parts[..] else {
        return None;
    };
    let (year, day) = if first.len() == 4 {
        (first, last)
    } else {
        (last, first)
    };
    let day = Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
    (year.len() == 4).then_some(day)
}

/// A number as people write an amount: `-12`, `3.50`; not `007`, `1e5`, `+34`.
fn plain_number(field: &str) -> bool {
    let digits = field.strip_prefix('-').unwrap_or(field);
    let (whole, fraction) = digits
        .split_once('.')
        .map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    all_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(all_digits)
        && field.len() <= NUMBER_CHARS_MAX
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Why a text is no amount.
enum Wrong {
    /// It is none however it is read.
    None,
    /// The comma before these three digits may be that of thousands, or of decimals.
    Either(String, String),
}

/// A number as a plain one, of one with a decimal comma or with signs between thousands: `12,5`, `1.234,56`, `1,234.56`, `1.234.567`.
fn amount(field: &str) -> Result<String, Wrong> {
    let (commas, dots) = (field.matches(',').count(), field.matches('.').count());
    // The sign that stands last and once is that of decimals; one that stands more often is that of thousands.
    let (decimal, thousands) = match (commas, dots) {
        (1, 0) => (Some(','), None),
        (0, 2..) => (None, Some('.')),
        (2.., 0) => (None, Some(',')),
        (1, _) if field.rfind(',') > field.rfind('.') => (Some(','), Some('.')),
        (_, 1) if field.rfind('.') > field.rfind(',') => (Some('.'), Some(',')),
        _ => return Err(Wrong::None),
    };
    let (mut whole, fraction) = match decimal.and_then(|sign| field.rsplit_once(sign)) {
        Some((whole, fraction)) => (whole.to_owned(), Some(fraction)),
        None => (field.to_owned(), None),
    };
    if let Some(sign) = thousands {
        let digits = whole.strip_prefix('-').unwrap_or(&whole);
        let mut groups = digits.split(sign);
        let begins = groups.next().map_or(0, str::len);
        if !(1..=THOUSANDS).contains(&begins) || groups.any(|group| group.len() != THOUSANDS) {
            return Err(Wrong::None);
        }
        whole.retain(|c| c != sign);
    }
    let plain = match fraction {
        Some(fraction) => format!("{whole}.{fraction}"),
        None => whole.clone(),
    };
    if !plain_number(&plain) {
        return Err(Wrong::None);
    }
    let digits = whole.trim_start_matches('-');
    match fraction {
        Some(fraction)
            if thousands.is_none()
                && fraction.len() == THOUSANDS
                && digits.len() <= THOUSANDS
                && digits != "0" =>
        {
            Err(Wrong::Either(whole, fraction.to_owned()))
        }
        _ => Ok(plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them_and_never_guessed() {
        for (text, number) in [
            ("12.50", "12.50"),
            ("12,5", "12.5"),
            ("-0,125", "-0.125"),
            ("1234,5", "1234.5"),
            ("1234,567", "1234.567"),
            ("1.234,56", "1234.56"),
            ("-1.234.567,8", "-1234567.8"),
            ("1.234.567", "1234567"),
            ("1,234.56", "1234.56"),
            ("1.234,567", "1234.567"),
        ] {
            let read = read(text, As::Number, &TimeZone::UTC).unwrap();
            assert_eq!(read.to_string(), number, "{text}");
        }
        for (text, reason) in [
            ("1,234", "may be 1234 or 1.234"),
            ("-12,345", "may be -12345 or -12.345"),
            ("1.23,4", "no number"),
            ("12.34.56", "no number"),
            ("1.234.56", "no number"),
            ("1,2,3", "no number"),
            ("1.2,3.4", "no number"),
            ("007,5", "no number"),
            (",5", "no number"),
            ("5,", "no number"),
            ("1.234.567.890.123,55", "no number"),
            ("12,5 €", "no number"),
            ("twelve", "no number"),
        ] {
            let error = read(text, As::Number, &TimeZone::UTC).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        // Nobody said that these are numbers.
        for text in ["12,5", "1.234,56", "007"] {
            assert_eq!(read(text, As::Guess, &TimeZone::UTC).unwrap(), text);
        }
    }
}
