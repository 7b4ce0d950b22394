//! From the columns of a file to the members of an event.
//!
//! By default a column goes where its name says: the names of the contract, and the usual ones of Spanish and English files;
//! every other column is a trait. A map file says otherwise:
//!
//! ```toml
//! type = "track"              # default: identify
//! event = "Order Completed"   # for track
//! timestamp = "Date"          # the column with the time (RFC 3339)
//! others = "ignore"           # columns not named below: "traits" (default) or "ignore"
//! [columns]
//! "Customer no" = "userId"
//! "Total" = "properties.total"
//! "Postcode" = { to = "traits.address.postalCode", as = "text" }
//! "Signed" = { to = "properties.signed", as = "date" }   # 31/12/2025 or 2025-12-31
//! [fixed]
//! "context.trenza.channel" = "store"
//! [group.columns]             # the row's person belongs to an account or a household, as what
//! "Company no" = "groupId"
//! "Job" = "traits.role"
//! "Decides" = { to = "traits.decides", as = "boolean" }
//! [group.fixed]
//! "traits.type" = "household"
//! ```
//!
//! A row whose `groupId` is empty belongs to none. Worked examples with their files are in `config/import/`.

mod usual; // where a column goes that nobody named

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Map, Number, Value};
use trenza_shared::event::{EventType, IDENTIFIER_TRAITS};

use super::super::check::Advised;
use usual::{by_name, usual_kind};

/// Members of the event itself.
const MEMBERS: [&str; 8] = [
    "userId",
    "groupId",
    "anonymousId",
    "messageId",
    "timestamp",
    "originalTimestamp",
    "type",
    "event",
];
/// Where a member may stand.
const ROOTS: [&str; 3] = ["traits.", "properties.", "context."];
/// Most digits that are read as a number; longer ones are somebody's reference. Unit: characters.
const NUMBER_CHARS_MAX: usize = 15;
/// Deepest member of a mapping.
const DEPTH_MAX: usize = 8;

/// What a value becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum As {
    /// As it is.
    Text,
    /// A number; anything else refuses the row.
    Number,
    /// `true` or `false`, also as people tick it (sí, no, yes, x, 1, 0); anything else refuses the row.
    Boolean,
    /// A day as 2025-12-31 or 31/12/2025, in the first form; anything else refuses the row.
    Date,
    /// A number or a truth value where it is plainly one, else text.
    Guess,
}

/// What becomes of columns that are not named.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Others {
    #[default]
    Traits,
    Ignore,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Target {
    To(String),
    Typed(TypedTarget),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedTarget {
    to: String,
    r#as: As,
}

/// A map file.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct MapFile {
    r#type: Option<String>,
    event: Option<String>,
    timestamp: Option<String>,
    others: Others,
    columns: BTreeMap<String, Target>,
    fixed: BTreeMap<String, toml::Value>,
    group: Option<GroupFile>,
}

/// What of a row is about the account that its person belongs to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupFile {
    columns: BTreeMap<String, Target>,
    #[serde(default)]
    fixed: BTreeMap<String, toml::Value>,
}

/// Per column of a file: the member and its kind; none when it is left out.
type Columns = Vec<Option<(Vec<String>, As)>>;
/// Members that are the same in every row.
type Fixed = Vec<(Vec<String>, Value)>;

/// Where every column goes.
#[derive(Debug)]
pub struct Mapping {
    columns: Columns,
    fixed: Fixed,
    group: Option<(Columns, Fixed)>,
}

impl Mapping {
    /// The mapping for these columns, by a map file or by their names.
    ///
    /// # Errors
    /// The map file cannot be read, or names a column or a member that there is not.
    pub fn of(names: &[String], map: Option<&Path>) -> anyhow::Result<Self> {
        let file = match map {
            None => MapFile::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                toml::from_str(&text)
                    .with_context(|| format!("{} is no mapping", path.display()))?
            }
        };
        Ok(Self::new(names, file)?)
    }

    fn new(names: &[String], file: MapFile) -> Result<Self, Advised> {
        let of_group = file.group.iter().flat_map(|group| group.columns.keys());
        for named in file.columns.keys().chain(&file.timestamp).chain(of_group) {
            if !names.contains(named) {
                return Err(Advised::new(
                    format!("the mapping names the column {named:?}, which the file does not have"),
                    format!("the columns are: {}", names.join(", ")),
                ));
            }
        }
        let mut fixed = vec![(
            vec!["type".to_owned()],
            Value::from(file.r#type.unwrap_or_else(|| "identify".into())),
        )];
        if let Some(Value::String(kind)) = fixed.first().map(|(_, value)| value)
            && EventType::from_name(kind).is_none()
        {
            return Err(Advised::new(
                format!("{kind:?} is no type of event"),
                "use one of track, identify, page, screen, group, alias",
            ));
        }
        fixed.extend(
            file.event
                .map(|event| (vec!["event".to_owned()], Value::from(event))),
        );
        for (member, value) in file.fixed {
            fixed.push((path(&member)?, plain(value)));
        }
        let group = file.group.map(|group| group_of(names, group)).transpose()?;
        let of_group = |at: usize| {
            let columns = group.as_ref().and_then(|(columns, _)| columns.get(at));
            columns.is_some_and(Option::is_some)
        };
        let mut columns = Vec::with_capacity(names.len());
        for (at, name) in names.iter().enumerate() {
            columns.push(match file.columns.get(name) {
                Some(named) => Some(target(named)?),
                None if of_group(at) => None,
                None if file.timestamp.as_ref() == Some(name) => {
                    Some((vec!["timestamp".into()], As::Text))
                }
                None if file.others == Others::Ignore || name.is_empty() => None,
                None => Some(by_name(name)),
            });
        }
        Ok(Self {
            columns,
            fixed,
            group,
        })
    }

    /// The events of a row: what it says of a person, and to what account they belong where it says so.
    ///
    /// # Errors
    /// Says which value is not what it should be.
    pub fn events(&self, fields: &[&str]) -> Result<Vec<String>, String> {
        let body = filled(&self.columns, &self.fixed, fields)?;
        let mut events = vec![Value::Object(body.clone()).to_string()];
        if let Some((columns, fixed)) = &self.group {
            let mut group = filled(columns, fixed, fields)?;
            if group.contains_key("groupId") {
                name_person(&mut group, &body);
                events.push(Value::Object(group).to_string());
            }
        }
        Ok(events)
    }
}

fn filled(columns: &Columns, fixed: &Fixed, fields: &[&str]) -> Result<Map<String, Value>, String> {
    let mut body = Map::new();
    for (path, value) in fixed {
        put(&mut body, path, value.clone())?;
    }
    for (column, field) in columns.iter().zip(fields) {
        if let Some((path, kind)) = column
            && !field.is_empty()
        {
            put(&mut body, path, read(field, *kind)?)?;
        }
    }
    Ok(body)
}

/// The group event of a row is about the person of its other event, at the same time and in the same circumstances.
fn name_person(group: &mut Map<String, Value>, person: &Map<String, Value>) {
    for name in ["userId", "anonymousId", "timestamp", "originalTimestamp"] {
        if let (false, Some(value)) = (group.contains_key(name), person.get(name)) {
            group.insert(name.to_owned(), value.clone());
        }
    }
    let mut context = match person.get("context") {
        Some(Value::Object(context)) => context.clone(),
        _ => Map::new(),
    };
    let mut traits = match context.remove("traits") {
        Some(Value::Object(traits)) => traits,
        _ => Map::new(),
    };
    if let Some(Value::Object(own)) = person.get("traits") {
        traits.extend(own.clone());
    }
    traits.retain(|name, _| IDENTIFIER_TRAITS.contains(&name.as_str()));
    if !traits.is_empty() {
        context.insert("traits".to_owned(), Value::Object(traits));
    }
    if let Some(Value::Object(own)) = group.remove("context") {
        context.extend(own);
    }
    if !context.is_empty() {
        group.insert("context".to_owned(), Value::Object(context));
    }
}

fn target(target: &Target) -> Result<(Vec<String>, As), Advised> {
    match target {
        Target::To(to) => Ok((path(to)?, usual_kind(to))),
        Target::Typed(typed) => Ok((path(&typed.to)?, typed.r#as)),
    }
}

fn group_of(names: &[String], file: GroupFile) -> Result<(Columns, Fixed), Advised> {
    let mut fixed = vec![(vec!["type".to_owned()], EventType::Group.name().into())];
    for (member, value) in file.fixed {
        fixed.push((path(&member)?, plain(value)));
    }
    let columns: Columns = names
        .iter()
        .map(|name| file.columns.get(name).map(target).transpose())
        .collect::<Result<_, _>>()?;
    let named = columns.iter().flatten().map(|(path, _)| path);
    if !named
        .chain(fixed.iter().map(|(path, _)| path))
        .any(|path| *path == ["groupId"])
    {
        return Err(Advised::new(
            "[group] does not say which account it is about",
            "map a column to \"groupId\" in [group.columns]",
        ));
    }
    Ok((columns, fixed))
}

fn path(member: &str) -> Result<Vec<String>, Advised> {
    let known = MEMBERS.contains(&member)
        || ROOTS
            .iter()
            .any(|root| member.len() > root.len() && member.starts_with(root));
    let parts: Vec<String> = member.split('.').map(str::to_owned).collect();
    if !known || parts.len() > DEPTH_MAX || parts.iter().any(String::is_empty) {
        return Err(Advised::new(
            format!("{member:?} is no member of an event"),
            format!(
                "use one of {}, or traits.NAME, properties.NAME, context.NAME",
                MEMBERS.join(", ")
            ),
        ));
    }
    Ok(parts)
}

fn read(field: &str, kind: As) -> Result<Value, String> {
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
        As::Number => {
            number().ok_or_else(|| format!("{:?} is no number; write it as 1234.5", shown()))
        }
        As::Boolean => truth()
            .or_else(ticked)
            .ok_or_else(|| format!("{:?} is neither true nor false", shown())),
        As::Date => day(field)
            .map(Value::from)
            .ok_or_else(|| format!("{:?} is no day; write 2025-12-31 or 31/12/2025", shown())),
        As::Guess => Ok(number().or_else(truth).unwrap_or_else(|| field.into())),
    }
}

/// A day of the calendar as 2025-12-31, of that or of 31/12/2025.
fn day(field: &str) -> Option<String> {
    let parts: Vec<&str> = field.split(['-', '/', '.']).collect();
    let [first, month, last] = parts[..] else {
        return None;
    };
    let (year, day) = if first.len() == 4 {
        (first, last)
    } else {
        (last, first)
    };
    let day = jiff::civil::Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    (year.len() == 4).then_some(day.ok()?.to_string())
}

/// A number as people write an amount: `-12`, `3.50`; not `007`, `1e5`, `+34`.
fn plain_number(field: &str) -> bool {
    let digits = field.strip_prefix('-').unwrap_or(field);
    let (whole, fraction) = digits
        .split_once('.')
        .map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let all_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(all_digits)
        && field.len() <= NUMBER_CHARS_MAX
}

fn put(body: &mut Map<String, Value>, path: &[String], value: Value) -> Result<(), String> {
    let Some((last, parents)) = path.split_last() else {
        return Ok(());
    };
    let mut place = body;
    for parent in parents {
        let next = place
            .entry(parent.clone())
            .or_insert_with(|| Value::Object(Map::new()));
        place = next
            .as_object_mut()
            .ok_or_else(|| format!("{} is both a value and a group of values", path.join(".")))?;
    }
    place.insert(last.clone(), value);
    Ok(())
}

fn plain(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(at) => at.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(plain).collect(),
        toml::Value::Table(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| (name, plain(value)))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests;
