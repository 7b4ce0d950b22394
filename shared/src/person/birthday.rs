//! Dates of birth as people and programs write them.

use jiff::civil::Date;

/// Earliest year believed.
const YEAR_MIN: i16 = 1890;

/// Latest year believed.
const YEAR_MAX: i16 = 2100;

/// What programs write when they have no date.
const NO_DATES: [&str; 3] = ["1900-01-01", "1970-01-01", "1899-12-30"];

/// `YYYY-MM-DD` of an ISO date or date-time, or of day, month, year with any separator. Where day and month could be
/// swapped the day comes first, as in Spain and Latin America. `None` for dates that do not exist or stand for none.
pub(super) fn normal_form(raw: &str) -> Option<String> {
    let text = raw.trim();
    // The time of day does not matter: dates are written as midnight.
    let date = text.split(['T', ' ']).next()?;
    let parts: Vec<&str> = date.split(['-', '/', '.']).collect();
    let (year, month, day) = match parts.as_slice() {
        [year, month, day] if year.len() == 4 => (number(year)?, number(month)?, number(day)?),
        [day, month, year] if year.len() == 4 => match (number(day)?, number(month)?) {
            (month, day) if day > 12 => (number(year)?, month, day),
            (day, month) => (number(year)?, month, day),
        },
        [packed] if packed.len() == 8 && packed.bytes().all(|b| b.is_ascii_digit()) => (
            number(&packed[..4])?,
            number(&packed[4..6])?,
            number(&packed[6..])?,
        ),
        _ => return None,
    };
    if !(YEAR_MIN..=YEAR_MAX).contains(&year) {
        return None;
    }
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    let text = date.to_string();
    (!NO_DATES.contains(&text.as_str())).then_some(text)
}

fn number(text: &str) -> Option<i16> {
    (text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}
