//! What a visitor brings along from the website in a code: nothing that they gave there is asked again.
//!
//! The code is form-encoded text, as the snippet's `handover()` makes it: `a` the anonymousId, `u` the userId, `x` when it ends, and
//! fields that the page chose. Nobody signed it: it is worth what the visitor would type here.

/// Longest code. Unit: bytes.
pub const CODE_BYTES_MAX: usize = 2_048;
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
    /// One that has ended.
    Ended,
    /// One that holds.
    Holds(Box<Handover>),
}

/// Reads what was scanned, at an instant in ms since 1970.
pub fn read(code: &str, now_ms: i64) -> Read {
    if code.len() > CODE_BYTES_MAX {
        return Read::Other;
    }
    let mut handover = Handover::default();
    let mut phone = String::new();
    let mut end_ms = None;
    for (name, value) in form_urlencoded::parse(code.trim().as_bytes()).take(FIELDS_MAX) {
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
        Some(end_ms) if !handover.anonymous_id.is_empty() => {
            if end_ms < now_ms {
                Read::Ended
            } else {
                Read::Holds(Box::new(handover))
            }
        }
        _ => Read::Other,
    }
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
        for badge in ["B-100", "", "a=&x=9999", "a=1&x=soon", "https://a.org/?x=1"] {
            assert_eq!(read(badge, 0), Read::Other, "{badge}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_scanned_breaks_it(code in ".{0,400}", now in any::<i64>()) {
            read(&code, now);
            let made = form_urlencoded::Serializer::new(String::new())
                .append_pair("a", "v-1")
                .append_pair("x", &i64::MAX.to_string())
                .append_pair("firstName", &code)
                .finish();
            if made.len() <= CODE_BYTES_MAX {
                let held = matches!(read(&made, now), Read::Holds(held) if held.anonymous_id == "v-1");
                prop_assert!(held);
            }
        }
    }
}
