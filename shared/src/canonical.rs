//! The canonical form of a JSON value: equal content gives equal bytes.
//!
//! Sorted keys, exact decimals, strings unchanged (no Unicode normalisation: what a client sent is what is kept). Differs from
//! JCS (RFC 8785) in the numbers alone: those are exact decimals here and IEEE doubles there, which would make
//! `10000000000000001` equal to `10000000000000000`.

use std::fmt::Write as _;

use serde_json::Value;

/// Appends the canonical form of `value`.
pub fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => write_number(number.as_str(), out),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => write_object(map.iter(), out),
    }
}

/// Appends the canonical form of an object given by its members.
pub fn write_object<'a>(members: impl Iterator<Item = (&'a String, &'a Value)>, out: &mut String) {
    let mut members: Vec<_> = members.collect();
    members.sort_unstable_by(|left, right| left.0.cmp(right.0));
    out.push('{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(name, out);
        out.push(':');
        write(value, out);
    }
    out.push('}');
}

/// The canonical form of `value`.
pub fn to_string(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if (control as u32) < 0x20 => {
                let _infallible = write!(out, "\\u{:04x}", control as u32);
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// A JSON number as `digits` times ten to the `exponent`, without leading or trailing zeros: `1`, `1.0`, `10e-1` are one number.
///
/// Written plainly when that takes at most [`PLAIN_DIGITS_MAX`] digits, else as `digits` `e` `exponent`.
fn write_number(text: &str, out: &mut String) {
    let (negative, rest) = text
        .strip_prefix('-')
        .map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all: String = [whole, fraction].concat();
    let digits = all.trim_start_matches('0').trim_end_matches('0');
    if digits.is_empty() {
        return out.push('0');
    }
    let Ok(exponent) = exponent.parse::<i64>() else {
        // An exponent beyond i64 names no quantity that two clients would write differently: keep its digits as they came.
        return out.push_str(&text.replace('+', "").replace('E', "e"));
    };
    let dropped = all.len() - all.trim_end_matches('0').len();
    let shift = i64::try_from(dropped).unwrap_or(0) - i64::try_from(fraction.len()).unwrap_or(0);
    let Some(exponent) = exponent.checked_add(shift) else {
        return out.push_str(&text.replace('+', "").replace('E', "e"));
    };
    if negative {
        out.push('-');
    }
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let point = length.saturating_add(exponent);
    if exponent >= 0 && point <= PLAIN_DIGITS_MAX {
        out.push_str(digits);
        (0..exponent).for_each(|_| out.push('0'));
    } else if exponent < 0 && point > 0 {
        let split = usize::try_from(point).unwrap_or(digits.len());
        out.push_str(&digits[..split]);
        out.push('.');
        out.push_str(&digits[split..]);
    } else if exponent < 0 && point > -PLAIN_DIGITS_MAX {
        out.push_str("0.");
        (point..0).for_each(|_| out.push('0'));
        out.push_str(digits);
    } else {
        let _infallible = write!(out, "{digits}e{exponent}");
    }
}

/// Longest number written without an exponent. Unit: digits.
const PLAIN_DIGITS_MAX: i64 = 40;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> String {
        to_string(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn equal_numbers_have_equal_forms() {
        for group in [
            &["1", "1.0", "10e-1", "0.1e1", "1E0"][..],
            &["0", "-0", "0.0", "0e9"],
            &["10000", "1e4", "1.0e+4"],
            &["-0.0025", "-25e-4"],
        ] {
            for text in group {
                assert_eq!(canonical(text), canonical(group[0]), "{text}");
            }
        }
        assert_eq!(canonical("10000000000000001"), "10000000000000001");
        assert_eq!(canonical("0.05"), "0.05");
        assert_eq!(canonical("1e400"), "1e400");
        assert_ne!(canonical("1e400"), canonical("1e401"));
        assert_eq!(
            canonical("1e99999999999999999999"),
            "1e99999999999999999999"
        );
    }

    #[test]
    fn keys_are_sorted_and_strings_unchanged() {
        assert_eq!(
            canonical(r#"{"b":1,"a":["\u0000\u00f1ñ",null,true],"":{}}"#),
            "{\"\":{},\"a\":[\"\\u0000ññ\",null,true],\"b\":1}"
        );
    }

    proptest! {
        #[test]
        fn the_form_is_a_fixed_point_and_ignores_key_order(numbers in proptest::collection::vec((any::<i64>(), -30i32..30), 0..6), text in ".*") {
            let members: Vec<String> = numbers.iter().enumerate().map(|(at, (digits, exponent))| format!("\"k{at}\":{digits}e{exponent}")).collect();
            let quoted = serde_json::to_string(&text).unwrap();
            let forward = format!("{{\"t\":{quoted}{}{}}}", if members.is_empty() { "" } else { "," }, members.join(","));
            let mut reversed: Vec<String> = members.clone();
            reversed.reverse();
            reversed.push(format!("\"t\":{quoted}"));
            let once = canonical(&forward);
            prop_assert_eq!(&once, &canonical(&format!("{{{}}}", reversed.join(","))));
            prop_assert_eq!(&once, &canonical(&once));
        }
    }
}
