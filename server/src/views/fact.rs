//! Values of a record as a page shows and names them.
//!
//! Owns the reference of an identifier in an address: it tells the identifiers of a record apart and says nothing of the
//! value to whoever lacks the server's key, so addresses of pages hold no personal value.

use serde_json::Value;
use trenza_shared::{
    crdt::Claim,
    fragment::{Customer, mask},
    id::{CustomerId, to_hex},
    identifier::Identifier,
    identity::{customer_id, key_hash},
    net::error::HttpError,
    store::{StoreError, View},
};

use super::text::Lang;
use crate::{
    app::App,
    customer::{
        compared,
        lookup::Scopes,
        record::{self, Record},
    },
};

/// Members of an address, as on an envelope.
const ADDRESS: [&str; 5] = ["street", "postalCode", "city", "state", "country"];
/// Bytes of a reference.
const REFERENCE_BYTES: usize = 8;

/// An identifier on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is, in words.
    pub kind: &'static str,
    /// Its value, shortened for who may not see it.
    pub value: String,
    /// Its name in addresses.
    pub reference: String,
}

impl Fact {
    /// An identifier as a reader sees it.
    pub fn new(t: Lang, id_key: &[u8; 32], identifier: &Identifier, masked: bool) -> Self {
        Self {
            kind: t.kind(identifier.kind),
            value: match identifier.record() {
                // Its fingerprint could be guessed from.
                Some(record) => customer_id(id_key, &record).to_string(),
                None => compared::value(identifier, masked),
            },
            reference: reference(id_key, identifier),
        }
    }
}

/// The name of an identifier in addresses.
pub fn reference(id_key: &[u8; 32], identifier: &Identifier) -> String {
    let mut hasher = blake3::Hasher::new_keyed(id_key);
    hasher.update(b"trenza page reference v1");
    hasher.update(&key_hash(identifier));
    let hash = hasher.finalize();
    to_hex(hash.as_bytes().get(..REFERENCE_BYTES).unwrap_or_default())
}

/// What a reference names of a record: a value of it, or one of the records it is made of.
///
/// # Errors
/// 409: it is not there any more.
pub fn referred(id_key: &[u8; 32], record: &Record, given: &str) -> Result<Identifier, HttpError> {
    let values = record.customer.identifiers.keys().cloned();
    let records = record.group.members.iter().map(Identifier::of_record);
    let found = values
        .chain(records)
        .find(|identifier| reference(id_key, identifier) == given);
    found.ok_or_else(|| HttpError::conflict("record_changed", "the record holds no such value"))
}

/// The record of an id in an address.
///
/// # Errors
/// The store cannot be read.
pub fn record(view: &dyn View, app: &App, id: &str) -> Result<Option<Record>, StoreError> {
    let Ok(id) = id.parse::<CustomerId>() else {
        return Ok(None);
    };
    record::by_id(view, &app.applier.id_key, &id)
}

/// 404 for a record that is not there.
pub fn no_record() -> HttpError {
    HttpError::not_found("there is no such record")
}

/// What to call a record.
pub fn title(t: Lang, customer: &Customer, masked: bool) -> String {
    customer.display_name(masked).unwrap_or_else(|| {
        let web = customer
            .counters
            .get("channel.web")
            .copied()
            .unwrap_or(0)
            .max(customer.counters.get("type.page").copied().unwrap_or(0));
        let count = if web == customer.events {
            t.count(
                web,
                ("visita web", "visitas web"),
                ("web visit", "web visits"),
            )
        } else {
            t.count(
                customer.events,
                ("contacto", "contactos"),
                ("touch", "touches"),
            )
        };
        format!("{}: {count}", t.anonymous())
    })
}

/// The value of a trait in words.
pub fn claimed(t: Lang, name: &str, claim: &Claim, masked: bool) -> String {
    plain_text(t, name, &claim.val, masked)
}

/// A JSON text of a trait in words.
pub fn plain_text(t: Lang, name: &str, text: &str, masked: bool) -> String {
    let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    plain(
        t,
        if masked {
            mask::trait_value(name, value)
        } else {
            value
        },
    )
}

fn plain(t: Lang, value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Bool(true) => t.pick("sí", "yes").to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Null => "–".to_owned(),
        Value::Array(items) => items
            .into_iter()
            .map(|item| plain(t, item))
            .collect::<Vec<_>>()
            .join(", "),
        Value::Object(mut members) => {
            // An address reads as on an envelope; what else there is keeps its names.
            let mut parts: Vec<String> = ADDRESS
                .iter()
                .filter_map(|name| members.shift_remove(*name))
                .map(|value| plain(t, value))
                .collect();
            let rest = members.into_iter();
            parts.extend(
                rest.map(|(name, value)| format!("{}: {}", t.field(&name), plain(t, value))),
            );
            parts.join(", ")
        }
        Value::Number(number) => number.to_string(),
    }
}

/// What a text that somebody typed may be: `KIND:VALUE`, or a bare value of any kind.
pub fn guesses(app: &App, text: &str) -> Vec<Identifier> {
    Scopes::of(&app.registry, &app.place()).guesses(text)
}

/// A text cut to a number of characters, with a sign that it was.
pub fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}
