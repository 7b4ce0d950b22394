//! Owns the rows of the core system: one for each account, as the nightly export writes them. Names there were checked
//! against a document; telephones and e-mails are as old as the last visit to an office.

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::chance::Chance;
use super::people::PersonTruth;
use super::sheet::Sheet;
use super::{Place, rates, typing};

/// Minute of the day at which the export starts; rows are a fifth of a second apart.
const EXPORT: i64 = 360;

/// Every account of everybody.
pub fn export(chance: &mut Chance, sheet: &mut Sheet, people: &[PersonTruth], date: Date) {
    let mut at_ms = sheet.at(EXPORT);
    for person in people {
        for account in &person.accounts {
            let row = row(chance, person, account);
            // The row of an account and a day has one id for ever: importing a file twice changes nothing.
            sheet.put_as(
                format!("core-{account}-{date}"),
                Place::Import,
                Some(person.number),
                at_ms,
                row,
            );
            at_ms += 200;
        }
    }
}

fn row(chance: &mut Chance, person: &PersonTruth, account: &str) -> Value {
    let mut traits = Map::new();
    traits.insert("accountId".into(), account.into());
    // An account opened before naturalisation keeps the NIE.
    let id = if chance.happens(0.5) {
        person.national_ids.last()
    } else {
        person.national_ids.first()
    };
    if let Some(id) = id.filter(|_| chance.happens(0.97)) {
        traits.insert("nationalId".into(), typing::national_id(chance, id).into());
    }
    typing::name(chance, &rates::CARE_CORE, person, &mut traits);
    if chance.happens(0.93) {
        traits.insert("birthday".into(), person.birthday.clone().into());
    }
    traits.insert("gender".into(), typing::gender(person.sex).into());
    if let Some(number) = typing::number_given(chance, person).filter(|_| chance.happens(0.9)) {
        traits.insert("phone".into(), typing::phone(chance, number).into());
    }
    if let Some(address) = person.emails.first().filter(|_| chance.happens(0.74)) {
        traits.insert("email".into(), typing::email(chance, address).into());
    }
    let home = person
        .old_address
        .as_ref()
        .filter(|_| chance.happens(0.6))
        .unwrap_or(&person.address);
    traits.insert(
        "address".into(),
        json!({"street": home.street, "city": home.city, "postalCode": home.postal_code, "state": home.state,
            "country": home.country}),
    );
    // Many small balances, few large ones.
    let size = chance.fraction();
    let balance = (120.0 * (1.0 + 900.0 * size.powi(6)) * (0.2 + chance.fraction())).round() as i64;
    traits.insert("balance".into(), balance.into());
    traits.insert("currency".into(), "EUR".into());
    let mut row = json!({"type": "identify"});
    if let Some(login) = &person.login {
        row["userId"] = login.clone().into();
    }
    row["traits"] = Value::Object(traits);
    row["context"] = json!({"trenza": {"touchpoint": "Sistema central"}});
    row
}
