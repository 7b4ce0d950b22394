//! What a visitor brings along from the website in a code: nothing that they gave there is asked again.
//!
//! The code is form-encoded text, as the snippet's `handover()` makes it: fields that the page chose, `a` the anonymousId, `u` the
//! userId, and last `x`, when it ends. Nobody signed it: it is worth what the visitor would type here. A part of one is worth nothing,
//! and is never taken for a badge: it holds what the visitor typed.

/// Longest code. Unit: bytes. Told in the snippet's README.
pub const CODE_BYTES_MAX: usize = 2_048;
/// Longest that a code may still hold: one that says more has no true end. Unit: ms. Told in the snippet's README.
const LEFT_MS_MAX: i64 = 24 * 60 * 60 * 1000;
/// Every name that is read.
const NAMES: [&str; 10] = [
    "a",
    "u",
    "x",
    "email",
    "phone",
    "firstName",
    "lastName",
    "secondLastName",
    "company",
    "topic",
];
/// Longest id or field of it. Unit: characters.
const FIELD_CHARS_MAX: usize = 254;
/// Most fields that are read.
const FIELDS_MAX: usize = 32;

/// A code of the website.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handover {
    /// The visitor's id on the website.
    pub anonymous_id: String,
    /// The user's, if they had signed in.
    pub user_id: String,
    /// E-mail address or, without one, telephone number.
    pub contact: String,
    /// Given name.
    pub first_name: String,
    /// First surname.
    pub last_name: String,
    /// Second surname.
    pub second_last_name: String,
    /// Company.
    pub company: String,
    /// What it was about.
    pub topic: String,
}

/// What somebody scanned.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// No code of a website: a badge.
    Other,
    /// More than any code has.
    TooLong,
    /// A part of a website's code, or one that was changed.
    Broken,
    /// One whose end is too far to be true.
    TooFar,
    /// One that has ended.
    Ended,
    /// One that holds.
    Holds(Box<Handover>),
}

/// Reads what was scanned, at an instant in ms since 1970.
pub fn read(code: &str, now_ms: i64) -> Read {
    let code = code.trim();
    if code.len() > CODE_BYTES_MAX {
        return Read::TooLong;
    }
    if !is_of_a_website(code) {
        return Read::Other;
    }
    let mut handover = Handover::default();
    let mut phone = String::new();
    let mut end_ms = None;
    for (name, value) in form_urlencoded::parse(code.as_bytes()).take(FIELDS_MAX) {
        let value: String = value
            .trim()
            .chars()
            .filter(|c| !c.is_control())
            .take(FIELD_CHARS_MAX)
            .collect();
        match &*name {
            "a" => handover.anonymous_id = value,
            "u" => handover.user_id = value,
            "x" => end_ms = value.parse::<i64>().ok(),
            "email" => handover.contact = value,
            "phone" => phone = value,
            "firstName" => handover.first_name = value,
            "lastName" => handover.last_name = value,
            "secondLastName" => handover.second_last_name = value,
            "company" => handover.company = value,
            "topic" => handover.topic = value,
            _ => {}
        }
    }
    if handover.contact.is_empty() {
        handover.contact = phone;
    }
    match end_ms {
        _ if handover.anonymous_id.is_empty() => Read::Broken,
        None => Read::Broken,
        Some(end_ms) if end_ms < now_ms => Read::Ended,
        Some(end_ms) if end_ms.saturating_sub(now_ms) > LEFT_MS_MAX => Read::TooFar,
        Some(_) => Read::Holds(Box::new(handover)),
    }
}

/// Whether a text is a website's code or a part of one: form-encoded, with a name that is read, or with the beginning of one where it
/// was cut. An address of the web, which may hold the same after its `?`, is none.
fn is_of_a_website(code: &str) -> bool {
    let Some((first, _)) = code.split_once('=') else {
        return false;
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "*-._+%&".contains(c);
    first.chars().all(plain)
        && code.split('&').any(|part| match part.split_once('=') {
            Some((name, _)) => NAMES.contains(&name),
            None => !part.is_empty() && NAMES.iter().any(|name| name.starts_with(part)),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_says_who_it_is_until_it_ends_and_a_badge_is_none() {
        let code = "email=ada%40example.org&firstName=Ada&topic=renta+fija&a=3f2c-1&u=u-7&x=1000";
        let Read::Holds(held) = read(code, 1_000) else {
            panic!("it holds");
        };
        let wanted = Handover {
            anonymous_id: "3f2c-1".into(),
            user_id: "u-7".into(),
            contact: "ada@example.org".into(),
            first_name: "Ada".into(),
            topic: "renta fija".into(),
            ..Handover::default()
        };
        assert_eq!(*held, wanted);
        assert_eq!(read(code, 1_001), Read::Ended);
        let badges = [
            "B-100",
            "",
            "https://a.org/?x=1&email=b",
            "id=100",
            "id=100&day=2",
            "QkFER0U=",
            "email",
            "WIFI:S:a=1;;",
        ];
        for badge in badges {
            assert_eq!(read(badge, 0), Read::Other, "{badge}");
        }
    }

    #[test]
    fn a_code_that_is_not_whole_is_told_from_a_badge() {
        let broken = [
            "email=h2%40example.org&firstNa",
            "email=h2%40example.org",
            "plan=gold&emai",
            "mail=h2%40example.org&firstName=Ada",
            "email=ada%40example.org&a=3f2c-1",
            "a=3f2c-1&x=abc",
            "a=3f2c-1&x=",
            "a=&x=9999",
            "x=9999",
            "a=3f2c-1",
        ];
        for code in broken {
            assert_eq!(read(code, 0), Read::Broken, "{code}");
        }
    }

    #[test]
    fn an_end_too_far_and_a_code_too_long_are_not_believed() {
        let code = |x: i64| format!("a=3f2c-1&x={x}");
        assert!(matches!(read(&code(LEFT_MS_MAX + 5), 5), Read::Holds(_)));
        assert_eq!(read(&code(LEFT_MS_MAX + 6), 5), Read::TooFar);
        assert_eq!(read(&code(i64::MAX), i64::MIN), Read::TooFar);
        let long = format!("a={}", "1".repeat(CODE_BYTES_MAX));
        assert_eq!(read(&long, 0), Read::TooLong);
    }

    proptest! {
        #[test]
        fn nothing_that_is_scanned_breaks_it(code in ".{0,400}", now in any::<i64>()) {
            read(&code, now);
            let made = form_urlencoded::Serializer::new(String::new())
                .append_pair("a", "v-1")
                .append_pair("x", &now.saturating_add(LEFT_MS_MAX).to_string())
                .append_pair("firstName", &code)
                .finish();
            if made.len() <= CODE_BYTES_MAX {
                let held = matches!(read(&made, now), Read::Holds(held) if held.anonymous_id == "v-1");
                prop_assert!(held);
            }
        }

        /// However little of it comes: what a visitor gave the website is never a badge, and never holds.
        #[test]
        fn no_part_of_a_code_is_a_badge(first in "[^\\p{C}]{0,30}", end in 1_000_000_000_000..9_000_000_000_000_i64, cut in any::<prop::sample::Index>()) {
            let made = form_urlencoded::Serializer::new(String::new())
                .append_pair("email", &format!("{first}@example.org"))
                .append_pair("firstName", &first)
                .append_pair("a", "3f2c-1")
                .append_pair("x", &end.to_string())
                .finish();
            let part = &made[.."email=".len() + cut.index(made.len() - "email=".len())];
            let read = read(part, end);
            prop_assert!(matches!(read, Read::Broken | Read::Ended), "{} {:?}", part, read);
        }
    }
}
