//! Dates of birth as people and programs write them.

use jiff::civil::Date;

/// Earliest year believed.
const YEAR_MIN: i16 = 1890;

/// Latest year believed.
const YEAR_MAX: i16 = 2100;

/// Unit: ms.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

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

/// Eight digits, year first, of what was written for a date and is none. `None` for what stands for none and for what does not
/// begin with a year that is believed.
pub(super) fn digits(raw: &str) -> Option<String> {
    let text = raw.trim();
    let date = text.split(['T', ' ']).next()?;
    let parts: Vec<&str> = date.split(['-', '/', '.']).collect();
    let (year, rest) = match parts.as_slice() {
        [year, month, day] if year.len() == 4 => (*year, (*month, *day)),
        [day, month, year] if year.len() == 4 => (*year, (*month, *day)),
        [packed] if packed.len() == 8 && packed.is_ascii() => {
            (&packed[..4], (&packed[4..6], &packed[6..]))
        }
        _ => return None,
    };
    if !(YEAR_MIN..=YEAR_MAX).contains(&number(year)?) {
        return None;
    }
    let (month, day) = (number(rest.0)?, number(rest.1)?);
    let text = format!("{year}{month:02}{day:02}");
    let dashed = format!("{year}-{month:02}-{day:02}");
    (text.len() == 8 && (month, day) != (0, 0) && !NO_DATES.contains(&dashed.as_str()))
        .then_some(text)
}

/// Years by which those of one name, and of other birthdays altogether, are parent and child rather than one person mistyped.
const GENERATION_YEARS: i16 = 13;

/// Whether two dates of birth, as [`normal_form`] gives them, cannot be one person's: a generation lies between them, and neither are day
/// and month the same, as where a digit of the year is wrong.
pub(crate) fn are_generations(one: &str, other: &str) -> bool {
    let parts = |date: &str| Some((number(date.get(..4)?)?, date.get(4..)?.to_owned()));
    match (parts(one), parts(other)) {
        (Some((year, day)), Some((other_year, other_day))) => {
            year.abs_diff(other_year) >= GENERATION_YEARS.unsigned_abs() && day != other_day
        }
        _ => false,
    }
}

/// Whether a date of birth, with or without dashes, begins later than a day after a moment: at no place of the world has it come by then.
/// Unit: ms since 1970.
pub(super) fn is_after(born: &str, at_ms: i64) -> bool {
    let day = jiff::Timestamp::from_millisecond(at_ms.saturating_add(DAY_MS));
    let Ok(day) = day.map(|day| day.to_zoned(jiff::tz::TimeZone::UTC).date()) else {
        return false;
    };
    let last = day.strftime("%Y%m%d").to_string();
    born.replace('-', "") > last
}

fn number(text: &str) -> Option<i16> {
    (text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_lies_between_parent_and_child_and_not_between_a_date_and_its_mistyped_self() {
        for (one, other, apart) in [
            ("1950-01-01", "1980-06-06", true),
            ("1950-03-07", "1963-02-07", true),
            ("1950-03-07", "1962-11-21", false),
            // A digit of the year; day and month swapped.
            ("1953-03-07", "1983-03-07", false),
            ("1953-03-07", "1953-07-03", false),
        ] {
            assert_eq!(are_generations(one, other), apart, "{one} {other}");
            assert_eq!(are_generations(other, one), apart, "{other} {one}");
        }
    }

    #[test]
    fn the_digits_of_a_date_that_does_not_exist_are_kept_and_those_that_stand_for_none_are_not() {
        for (raw, kept) in [
            ("1980-02-31", Some("19800231")),
            ("31/2/1980", Some("19800231")),
            ("19801405", Some("19801405")),
            ("1980-13-45T00:00:00Z", Some("19801345")),
            ("0000-00-00", None),
            ("1980-00-00", None),
            ("1900-01-01", None),
            ("9999-99-99", None),
            ("1980-123-1", None),
            ("yesterday", None),
            ("19ü0131", None),
            ("", None),
        ] {
            assert_eq!(digits(raw).as_deref(), kept, "{raw}");
            assert!(kept.is_none() || normal_form(raw).is_none(), "{raw}");
        }
    }
}
