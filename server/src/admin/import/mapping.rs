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
//! [fixed]
//! "context.trenza.channel" = "store"
//! ```

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Map, Number, Value};
use trenza_shared::event::{EventType, IDENTIFIER_TRAITS};

use super::super::check::Advised;

/// Traits that are text whatever they look like: person fields of the contract.
const TEXT_TRAITS: [&str; 8] = [
    "firstName",
    "lastName",
    "secondLastName",
    "name",
    "birthday",
    "gender",
    "company",
    "address",
];
/// Members of the event itself.
const MEMBERS: [&str; 7] = [
    "userId",
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

/// The usual names of columns, folded, and where they go.
const USUAL: [(&str, &str); 66] = [
    ("email", "traits.email"),
    ("mail", "traits.email"),
    ("emailaddress", "traits.email"),
    ("correo", "traits.email"),
    ("correoelectronico", "traits.email"),
    ("phone", "traits.phone"),
    ("phonenumber", "traits.phone"),
    ("mobile", "traits.phone"),
    ("telefono", "traits.phone"),
    ("movil", "traits.phone"),
    ("nationalid", "traits.nationalId"),
    ("dni", "traits.nationalId"),
    ("nie", "traits.nationalId"),
    ("nif", "traits.nationalId"),
    ("rut", "traits.nationalId"),
    ("cuit", "traits.nationalId"),
    ("curp", "traits.nationalId"),
    ("cpf", "traits.nationalId"),
    ("loyaltyid", "traits.loyaltyId"),
    ("badgeid", "traits.badgeId"),
    ("accountid", "traits.accountId"),
    ("firstname", "traits.firstName"),
    ("nombre", "traits.firstName"),
    ("lastname", "traits.lastName"),
    ("apellido", "traits.lastName"),
    ("apellido1", "traits.lastName"),
    ("primerapellido", "traits.lastName"),
    ("secondlastname", "traits.secondLastName"),
    ("apellido2", "traits.secondLastName"),
    ("segundoapellido", "traits.secondLastName"),
    ("name", "traits.name"),
    ("nombrecompleto", "traits.name"),
    ("birthday", "traits.birthday"),
    ("fechadenacimiento", "traits.birthday"),
    ("gender", "traits.gender"),
    ("company", "traits.company"),
    ("empresa", "traits.company"),
    ("postalcode", "traits.address.postalCode"),
    ("codigopostal", "traits.address.postalCode"),
    ("userid", "userId"),
    ("anonymousid", "anonymousId"),
    ("messageid", "messageId"),
    ("timestamp", "timestamp"),
    ("originaltimestamp", "originalTimestamp"),
    ("type", "type"),
    ("event", "event"),
    ("cuenta", "traits.accountId"),
    ("numerodecuenta", "traits.accountId"),
    ("accountnumber", "traits.accountId"),
    ("tarjeta", "traits.loyaltyId"),
    ("tarjetadefidelizacion", "traits.loyaltyId"),
    ("loyaltycard", "traits.loyaltyId"),
    ("acreditacion", "traits.badgeId"),
    ("badge", "traits.badgeId"),
    ("apellidos", "traits.lastName"),
    ("surname", "traits.lastName"),
    ("ciudad", "traits.address.city"),
    ("localidad", "traits.address.city"),
    ("city", "traits.address.city"),
    ("provincia", "traits.address.state"),
    ("state", "traits.address.state"),
    ("calle", "traits.address.street"),
    ("direccion", "traits.address.street"),
    ("street", "traits.address.street"),
    ("pais", "traits.address.country"),
    ("country", "traits.address.country"),
];

/// What a value becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum As {
    /// As it is.
    Text,
    /// A number; anything else refuses the row.
    Number,
    /// `true` or `false`; anything else refuses the row.
    Boolean,
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
}

/// Where every column goes.
#[derive(Debug)]
pub struct Mapping {
    /// Per column: the member and its kind; none when it is left out.
    columns: Vec<Option<(Vec<String>, As)>>,
    fixed: Vec<(Vec<String>, Value)>,
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
        for named in file.columns.keys().chain(&file.timestamp) {
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
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            columns.push(match file.columns.get(name) {
                Some(Target::To(to)) => Some((path(to)?, usual_kind(to))),
                Some(Target::Typed(typed)) => Some((path(&typed.to)?, typed.r#as)),
                None if file.timestamp.as_ref() == Some(name) => {
                    Some((vec!["timestamp".into()], As::Text))
                }
                None if file.others == Others::Ignore || name.is_empty() => None,
                None => Some(by_name(name)),
            });
        }
        Ok(Self { columns, fixed })
    }

    /// The event of a row.
    ///
    /// # Errors
    /// Says which value is not what it should be.
    pub fn event(&self, fields: &[&str]) -> Result<String, String> {
        let mut body = Map::new();
        for (path, value) in &self.fixed {
            put(&mut body, path, value.clone())?;
        }
        for (column, field) in self.columns.iter().zip(fields) {
            if let Some((path, kind)) = column
                && !field.is_empty()
            {
                put(&mut body, path, read(field, *kind)?)?;
            }
        }
        Ok(Value::Object(body).to_string())
    }
}

/// Where a column goes that nobody named.
fn by_name(name: &str) -> (Vec<String>, As) {
    let folded: String = trenza_shared::person::fold(name)
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let to = match USUAL.iter().find(|(usual, _)| *usual == folded) {
        Some((_, to)) => (*to).to_owned(),
        None if ROOTS.iter().any(|root| name.starts_with(root)) => name.to_owned(),
        None => return (vec!["traits".into(), name.to_owned()], As::Guess),
    };
    let kind = usual_kind(&to);
    (to.split('.').map(str::to_owned).collect(), kind)
}

/// Identifiers, person fields and members of the event are text; `08001` and `666` may be either elsewhere.
fn usual_kind(to: &str) -> As {
    let rest = to
        .strip_prefix("traits.")
        .or_else(|| to.strip_prefix("context.traits."));
    let first = rest.map(|rest| rest.split('.').next().unwrap_or(rest));
    if MEMBERS.contains(&to)
        || first
            .is_some_and(|name| IDENTIFIER_TRAITS.contains(&name) || TEXT_TRAITS.contains(&name))
    {
        As::Text
    } else {
        As::Guess
    }
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
    let shown = || field.chars().take(40).collect::<String>();
    match kind {
        As::Text => Ok(field.into()),
        As::Number => {
            number().ok_or_else(|| format!("{:?} is no number; write it as 1234.5", shown()))
        }
        As::Boolean => truth().ok_or_else(|| format!("{:?} is neither true nor false", shown())),
        As::Guess => Ok(number().or_else(truth).unwrap_or_else(|| field.into())),
    }
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
mod tests {
    use super::*;

    fn event(names: &[&str], fields: &[&str], map: &str) -> Result<Value, String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mapping = Mapping::new(&names, toml::from_str(map).unwrap())
            .map_err(|error| error.to_string())?;
        mapping
            .event(fields)
            .map(|text| serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn columns_go_where_their_names_say() {
        let names = [
            "Correo electrónico",
            "DNI",
            "Teléfono",
            "Primer apellido",
            "saldo",
            "Código postal",
            "userId",
            "vip",
            "ref",
        ];
        let fields = [
            "ada@example.org",
            "12345678Z",
            "600000001",
            "Byron",
            "10000.50",
            "08001",
            "42",
            "true",
            "007",
        ];
        assert_eq!(
            event(&names, &fields, "").unwrap(),
            serde_json::json!({
                "type": "identify", "userId": "42",
                "traits": {"email": "ada@example.org", "nationalId": "12345678Z", "phone": "600000001", "lastName": "Byron",
                    "saldo": serde_json::from_str::<Value>("10000.50").unwrap(), "address": {"postalCode": "08001"}, "vip": true, "ref": "007"}
            })
        );
    }

    #[test]
    fn a_map_file_outranks_the_names() {
        let map = r#"
            type = "track"
            event = "Order Completed"
            timestamp = "Date"
            others = "ignore"
            [columns]
            "No" = "userId"
            "Total" = { to = "properties.total", as = "number" }
            [fixed]
            "context.trenza.channel" = "store"
        "#;
        let names = ["No", "Total", "Date", "Note"];
        let made = event(&names, &["7", "12.50", "2026-01-15T10:00:00Z", "x"], map).unwrap();
        assert_eq!(
            made,
            serde_json::json!({"type": "track", "event": "Order Completed", "userId": "7", "timestamp": "2026-01-15T10:00:00Z",
                "properties": {"total": serde_json::from_str::<Value>("12.50").unwrap()}, "context": {"trenza": {"channel": "store"}}})
        );
        assert!(
            event(&names, &["7", "twelve", "", ""], map)
                .unwrap_err()
                .contains("no number")
        );
    }

    #[test]
    fn a_wrong_mapping_says_what_there_is() {
        assert!(
            event(&["a"], &["1"], "[columns]\n\"b\" = \"userId\"")
                .unwrap_err()
                .contains("column \"b\"")
        );
        assert!(
            event(&["a"], &["1"], "[columns]\n\"a\" = \"user\"")
                .unwrap_err()
                .contains("no member")
        );
        assert!(
            event(&["a"], &["1"], "type = \"dance\"")
                .unwrap_err()
                .contains("dance")
        );
        assert!(toml::from_str::<MapFile>("kind = \"track\"").is_err());
    }
}
