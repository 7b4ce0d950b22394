//! Personal values made unreadable for those who may not see them, but still told apart.
//!
//! Owns the masks. What is masked is decided by the name of the field and by the look of the value, never by who asks.

use serde_json::Value;

use crate::{
    event::IDENTIFIER_TRAITS,
    identifier::{Identifier, Kind},
};

/// Traits that are personal by their name.
const PERSON_TRAITS: [&str; 16] = [
    "firstName",
    "lastName",
    "secondLastName",
    "name",
    "birthday",
    "address",
    "gender",
    "company",
    "age",
    "avatar",
    "title",
    "description",
    "username",
    "website",
    "street",
    "postalCode",
];
/// What stands for what is not shown.
pub const HIDDEN: &str = "***";
/// Digits of a text that make it look like a telephone, card or account number.
const NUMBER_DIGITS_MIN: usize = 9;

/// `a***@x.org`; the last three digits of a telephone; of other ids the last three, with the letter that follows them.
pub fn identifier(identifier: &Identifier) -> String {
    let value = &identifier.value;
    match (identifier.kind, value.contains('@')) {
        (_, true) | (Kind::Email, _) => email(value),
        (Kind::Record, _) => HIDDEN.to_owned(),
        (Kind::NationalId, _) if value.ends_with(|last: char| last.is_ascii_alphabetic()) => {
            end(value, 4)
        }
        _ => end(value, 3),
    }
}

/// Initials: `A*** L***`.
pub fn name(name: &str) -> String {
    let words = name
        .split_whitespace()
        .filter_map(|word| word.chars().next());
    words
        .map(|initial| format!("{initial}{HIDDEN}"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The id that a sender gave an event, hidden where it looks as if it were made of somebody's values: an address, a number, words.
pub fn message_id(id: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_.:/+=~".contains(char);
    if !id.chars().all(is_plain) {
        HIDDEN.to_owned()
    } else if looks_like_a_number(id) {
        end(id, 3)
    } else {
        id.to_owned()
    }
}

/// The value of a trait, hidden when its name or its look is personal.
pub fn trait_value(name_of_trait: &str, value: Value) -> Value {
    if PERSON_TRAITS.contains(&name_of_trait) || IDENTIFIER_TRAITS.contains(&name_of_trait) {
        return match value {
            Value::String(text) if name_of_trait.to_ascii_lowercase().ends_with("name") => {
                name(&text).into()
            }
            Value::Null => Value::Null,
            _ => HIDDEN.into(),
        };
    }
    by_look(value)
}

fn by_look(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains('@') => email(&text).into(),
        Value::String(text) if looks_like_a_number(&text) => end(&text, 3).into(),
        Value::Array(items) => items.into_iter().map(by_look).collect(),
        Value::Object(members) => {
            let members = members.into_iter();
            members
                .map(|(name, value)| {
                    let value = trait_value(&name, value);
                    (name, value)
                })
                .collect()
        }
        other => other,
    }
}

fn looks_like_a_number(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    digits >= NUMBER_DIGITS_MIN
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || " +-().".contains(c))
}

fn email(text: &str) -> String {
    let (local, domain) = text.rsplit_once('@').unwrap_or((text, ""));
    let initial = local.chars().next().map(String::from).unwrap_or_default();
    format!("{initial}{HIDDEN}@{domain}")
}

/// The last `shown` characters, when that is at most half of all.
fn end(text: &str, shown: usize) -> String {
    let length = text.chars().count();
    if length < shown * 2 {
        return HIDDEN.to_owned();
    }
    let tail: String = text.chars().skip(length - shown).collect();
    format!("{HIDDEN}{tail}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn masked(kind: Kind, value: &str) -> String {
        identifier(&Identifier {
            kind,
            scope: String::new(),
            value: value.into(),
        })
    }

    #[test]
    fn identifiers_keep_what_tells_them_apart_and_no_more() {
        assert_eq!(masked(Kind::Email, "ada@x.org"), "a***@x.org");
        assert_eq!(masked(Kind::UserId, "ada@x.org"), "a***@x.org");
        assert_eq!(masked(Kind::Phone, "+34600111222"), "***222");
        assert_eq!(masked(Kind::NationalId, "12345678Z"), "***678Z");
        assert_eq!(masked(Kind::LoyaltyId, "L-1000234"), "***234");
        assert_eq!(masked(Kind::UserId, "u-1"), "***");
        assert_eq!(masked(Kind::UserId, "ñandú-ñ"), "***ú-ñ");
    }

    #[test]
    fn an_id_of_an_event_is_hidden_where_it_is_made_of_values() {
        for (id, shown) in [
            ("0192c3f0-8f2d-7a11-b9d8-3c1f0e7a5b21", None),
            ("import-4711", None),
            ("signup-x@short.example-Li-O", Some("***")),
            ("José 3", Some("***")),
            ("600123123", Some("***123")),
        ] {
            assert_eq!(message_id(id), shown.unwrap_or(id));
        }
    }

    #[test]
    fn traits_are_masked_by_name_and_by_look() {
        assert_eq!(trait_value("firstName", json!("Ada")), json!("A***"));
        assert_eq!(
            trait_value("name", json!("Ada de Lovelace")),
            json!("A*** d*** L***")
        );
        assert_eq!(trait_value("birthday", json!("1980-01-01")), json!("***"));
        assert_eq!(trait_value("address", json!({"street": "x"})), json!("***"));
        assert_eq!(trait_value("email", json!("not an e-mail")), json!("***"));
        assert_eq!(trait_value("second", json!("b@y.org")), json!("b***@y.org"));
        assert_eq!(
            trait_value("mobile", json!("+34 600 111 222")),
            json!("***222")
        );
        assert_eq!(
            trait_value("partner", json!({"name": "Bo", "size": 3})),
            json!({"name": "B***", "size": 3})
        );
        assert_eq!(trait_value("plan", json!("gold")), json!("gold"));
        assert_eq!(
            trait_value("since", json!("2026-01-01T00:00:00Z")),
            json!("2026-01-01T00:00:00Z")
        );
    }
}
