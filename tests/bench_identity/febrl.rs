//! FEBRL's files as records.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};
use trenza_shared::{
    matching::{Subject, digits},
    person::Person,
};

/// Which fields of the files are used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fields {
    /// All.
    All,
    /// All but the national id.
    NoId,
    /// Names, birthday and state alone.
    Names,
}

impl Fields {
    pub const ALL: [Self; 3] = [Self::All, Self::NoId, Self::Names];

    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all fields",
            Self::NoId => "no national id",
            Self::Names => "names, birthday, state",
        }
    }
}

/// A record and whose it is.
pub struct Record {
    /// The same for every record of one person.
    pub person: String,
    pub subject: Subject,
}

/// Reads some files into one set.
///
/// # Errors
/// A file is missing or has other columns.
pub fn load(folder: &Path, files: &[&str], fields: Fields) -> anyhow::Result<Vec<Record>> {
    let mut records = Vec::new();
    for file in files {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        for (at, line) in text.lines().enumerate().skip(1) {
            let columns: Vec<&str> = line.split(',').map(str::trim).collect();
            let columns: [&str; 11] = columns.try_into().map_err(|found: Vec<&str>| {
                anyhow::anyhow!(
                    "{}:{}: {} columns instead of 11",
                    path.display(),
                    at + 1,
                    found.len()
                )
            })?;
            records.push(record(&columns, fields));
        }
    }
    Ok(records)
}

fn record(columns: &[&str; 11], fields: Fields) -> Record {
    let [
        id,
        given,
        surname,
        number,
        street,
        more,
        suburb,
        code,
        state,
        birth,
        document,
    ] = columns;
    let mut traits = json!({
        "firstName": given, "lastName": surname, "birthday": birth,
        "address": {"street": format!("{number} {street} {more}"), "city": suburb, "postalCode": code, "state": state},
    });
    if fields == Fields::Names {
        traits["address"] = json!({"state": state});
    }
    let traits = match traits {
        Value::Object(traits) => traits,
        _ => serde_json::Map::new(),
    };
    let mut subject = Subject::of(&Person::from_traits(&traits));
    subject.birth = digits(birth);
    if fields == Fields::All && !document.is_empty() {
        Subject::add(&mut subject.documents, document);
    }
    // rec-1070-org and rec-1070-dup-0 are one person's.
    let person = id.splitn(3, '-').take(2).collect::<Vec<_>>().join("-");
    Record { person, subject }
}
