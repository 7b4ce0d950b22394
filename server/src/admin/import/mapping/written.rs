//! What a map file says of one column or one member.

use std::collections::HashMap;

use serde_json::Value;
use trenza_shared::{
    account::HOUSEHOLD, clock::parse_time_ms, event::IDENTIFIER_TRAITS, facet::Facet,
};

use super::{
    Advised, Columns, path,
    usual::{TIMES, usual_kind},
};

/// What a value becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum As {
    /// As it is.
    Text,
    /// A number as 1234.5, 1234,5 or 1.234,5; anything else, and what may be two numbers (`1,234`), refuses the row.
    Number,
    /// `true` or `false`, also as people tick it (sí, no, yes, x, 1, 0); anything else refuses the row.
    Boolean,
    /// A day as 2025-12-31 or 31/12/2025, in the first form; anything else refuses the row.
    Date,
    /// A moment in RFC 3339, with `Z` or an offset or in the zone of the source; a day alone is its start. Anything else refuses the
    /// row. What the members of the time become, whatever a mapping says.
    Time,
    /// A number or a truth value where it is plainly one, else text.
    Guess,
}

/// The words for them.
const WORDS: [(&str, As); 5] = [
    ("text", As::Text),
    ("number", As::Number),
    ("date", As::Date),
    ("boolean", As::Boolean),
    ("guess", As::Guess),
];
/// `traits.type` of an account that is no household, as the API calls it.
const ORGANISATION: &str = "organisation";

/// Where a column goes and as what; without a word for that, as what its member usually is.
pub(super) fn target(column: &str, written: &toml::Value) -> Result<(Vec<String>, As), Advised> {
    let wrong = |what: String, hint: String| {
        Err(Advised::new(format!("the column {column:?}: {what}"), hint))
    };
    let form = "write \"traits.NAME\", or { to = \"traits.NAME\", as = \"text\" }";
    let (to, word) = match written {
        toml::Value::String(to) => (to, None),
        toml::Value::Table(members) => {
            if let Some(other) = members
                .keys()
                .find(|name| !["to", "as"].contains(&name.as_str()))
            {
                return wrong(format!("{other:?} is neither to nor as"), form.to_owned());
            }
            let Some(toml::Value::String(to)) = members.get("to") else {
                return wrong("it does not say where to".to_owned(), form.to_owned());
            };
            (to, members.get("as"))
        }
        _ => return wrong("it does not say where to".to_owned(), form.to_owned()),
    };
    let kind = match word {
        None => usual_kind(to),
        Some(word) => {
            let known = WORDS.iter().find(|(known, _)| word.as_str() == Some(known));
            let Some((_, kind)) = known else {
                let words = WORDS.map(|(known, _)| known).join(", ");
                let hint = format!("write one of {words}");
                return wrong(format!("as = {word} is no kind of value"), hint);
            };
            // A time is read as one, whatever it is called.
            if TIMES.contains(&to.as_str()) {
                As::Time
            } else {
                *kind
            }
        }
    };
    Ok((path(to)?, kind))
}

/// A value that is the same in every row. What nothing would read in any of them is refused.
pub(super) fn fixed_value(member: &str, value: Value, is_group: bool) -> Result<Value, Advised> {
    let text = value.as_str();
    let words = match member {
        "context.trenza.facet" if text.and_then(Facet::from_name).is_none() => {
            Facet::ALL.map(Facet::name).join(" or ")
        }
        "traits.type"
            if is_group
                && text != Some(ORGANISATION)
                && !text.is_some_and(|text| text.eq_ignore_ascii_case(HOUSEHOLD)) =>
        {
            [HOUSEHOLD, ORGANISATION].join(" or ")
        }
        time if TIMES.contains(&time) && text.and_then(parse_time_ms).is_none() => {
            "a time with its zone, as 2025-12-31T10:30:00Z".to_owned()
        }
        _ => return Ok(value),
    };
    Err(Advised::new(
        format!("{member:?} cannot be {value} in every row"),
        format!("write {words}"),
    ))
}

/// Refuses two columns that go to one member, as one would be lost, when the map file names one of them. A person may have an
/// identifier several times, an account only once.
pub(super) fn only_one(
    names: &[String],
    columns: &Columns,
    is_named: impl Fn(&String) -> bool,
    is_group: bool,
) -> Result<(), Advised> {
    let mut seen: HashMap<&[String], Vec<&String>> = HashMap::new();
    for (name, (to, _)) in names
        .iter()
        .zip(columns)
        .filter_map(|(name, column)| Some((name, column.as_ref()?)))
    {
        let may_repeat = match to.as_slice() {
            [root, trait_name] => {
                !is_group && root == "traits" && IDENTIFIER_TRAITS.contains(&trait_name.as_str())
            }
            _ => false,
        };
        let before = seen.entry(to.as_slice()).or_default();
        let other = before
            .iter()
            .find(|other| is_named(other) || is_named(name));
        if let (false, Some(other)) = (may_repeat, other) {
            return Err(Advised::new(
                format!(
                    "the columns {other:?} and {name:?} both go to {:?}",
                    to.join(".")
                ),
                "map one of them to another member, or take it out of the file or by others = \"ignore\"",
            ));
        }
        before.push(name);
    }
    Ok(())
}
