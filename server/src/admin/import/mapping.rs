//! From the columns of a file to the members of an event.
//!
//! By default a column goes where its name says: the names of the contract, and the usual ones of Spanish and English files;
//! every other column is a trait. A map file says otherwise:
//!
//! ```toml
//! type = "track"              # default: identify
//! event = "Order Completed"   # for track
//! timestamp = "Date"          # the column with the time: 31/12/2025 10:30, 2025-12-31, 2025-12-31T10:30:00Z
//! others = "ignore"           # columns not named below: "traits" (default) or "ignore"
//! [columns]
//! "Customer no" = "userId"
//! "Total" = { to = "properties.total", as = "number" }   # 1234.5, 1234,5 or 1.234,5
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
//! A time without a zone is that of the source's. A row whose `groupId` is empty belongs to none. Worked examples with their files are in `config/import/`.

mod usual; // where a column goes that nobody named
mod value; // what the text of a cell becomes
mod written; // what a map file says of one column or member

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Map, Value};
use trenza_shared::event::{EventType, IDENTIFIER_TRAITS, at};

use super::super::check::Advised;
use usual::by_name;
use value::read;
use written::{As, fixed_value, only_one, target};

pub use usual::is_one;

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
/// Deepest member of a mapping.
const DEPTH_MAX: usize = 8;

/// What becomes of columns that are not named.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Others {
    #[default]
    Traits,
    Ignore,
}

/// A map file.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct MapFile {
    r#type: Option<String>,
    event: Option<String>,
    timestamp: Option<String>,
    others: Others,
    columns: BTreeMap<String, toml::Value>,
    fixed: BTreeMap<String, toml::Value>,
    group: Option<GroupFile>,
}

/// What of a row is about the account that its person belongs to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupFile {
    columns: BTreeMap<String, toml::Value>,
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
        let kind = fixed.first().and_then(|(_, value)| value.as_str());
        let is_group = kind == Some(EventType::Group.name());
        if let Some(kind) = kind
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
            fixed.push((
                path(&member)?,
                fixed_value(&member, plain(value), is_group)?,
            ));
        }
        let group = file.group.map(|group| group_of(names, group)).transpose()?;
        let of_group = |at: usize| {
            let columns = group.as_ref().and_then(|(columns, _)| columns.get(at));
            columns.is_some_and(Option::is_some)
        };
        let mut columns = Vec::with_capacity(names.len());
        for (at, name) in names.iter().enumerate() {
            columns.push(match file.columns.get(name) {
                Some(named) => Some(target(name, named)?),
                None if of_group(at) => None,
                None if file.timestamp.as_ref() == Some(name) => {
                    Some((vec!["timestamp".into()], As::Time))
                }
                None if file.others == Others::Ignore || name.is_empty() => None,
                None => Some(by_name(name)),
            });
        }
        let is_named = |name: &String| {
            file.columns.contains_key(name) || file.timestamp.as_ref() == Some(name)
        };
        only_one(names, &columns, is_named, is_group)?;
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
    pub fn events(&self, fields: &[&str], zone: &TimeZone) -> Result<Vec<String>, String> {
        let body = filled(&self.columns, &self.fixed, fields, zone)?;
        let mut events = vec![Value::Object(body.clone()).to_string()];
        if let Some((columns, fixed)) = &self.group {
            let mut group = filled(columns, fixed, fields, zone)?;
            if group.contains_key("groupId") {
                name_person(&mut group, &body);
                events.push(Value::Object(group).to_string());
            }
        }
        Ok(events)
    }
}

fn filled(
    columns: &Columns,
    fixed: &Fixed,
    fields: &[&str],
    zone: &TimeZone,
) -> Result<Map<String, Value>, String> {
    let mut body = Map::new();
    for (path, value) in fixed {
        put(&mut body, path, value.clone())?;
    }
    let mut identifiers: Vec<(&str, Value)> = Vec::new();
    for (column, field) in columns.iter().zip(fields) {
        if let Some((path, kind)) = column
            && !field.is_empty()
        {
            let value = read(field, *kind, zone)?;
            match path.as_slice() {
                [root, name] if root == "traits" && IDENTIFIER_TRAITS.contains(&name.as_str()) => {
                    identifiers.push((name, value));
                }
                _ => put(&mut body, path, value)?,
            }
        }
    }
    put_identifiers(&mut body, identifiers)?;
    Ok(body)
}

/// A person with two telephones has both: the first is the trait, the others stand beside it. An account has one of each.
fn put_identifiers(
    body: &mut Map<String, Value>,
    identifiers: Vec<(&str, Value)>,
) -> Result<(), String> {
    let is_group = body.get("type").and_then(Value::as_str) == Some(EventType::Group.name());
    let (mut taken, mut others) = (Vec::new(), Vec::new());
    for (name, value) in identifiers {
        if !is_group && taken.contains(&name) {
            others.push(serde_json::json!({"id": value, "type": name}));
        } else {
            put(body, &["traits".to_owned(), name.to_owned()], value)?;
            taken.push(name);
        }
    }
    if others.is_empty() {
        return Ok(());
    }
    let place = ["context", "externalIds"].map(str::to_owned);
    if let Some(Value::Array(own)) = at(body, &["context", "externalIds"]) {
        others.splice(0..0, own.clone());
    }
    put(body, &place, others.into())
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

fn group_of(names: &[String], file: GroupFile) -> Result<(Columns, Fixed), Advised> {
    let mut fixed = vec![(vec!["type".to_owned()], EventType::Group.name().into())];
    for (member, value) in file.fixed {
        fixed.push((path(&member)?, fixed_value(&member, plain(value), true)?));
    }
    let columns: Columns = names
        .iter()
        .map(|name| {
            let named = file.columns.get(name);
            named.map(|named| target(name, named)).transpose()
        })
        .collect::<Result<_, _>>()?;
    only_one(names, &columns, |_| true, true)?;
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
