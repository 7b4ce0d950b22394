//! Owns the newsletter: one letter to each address on the list, and what comes back. An open is a weak sign (machines
//! fetch pictures); a letter to a mailbox of a household is nobody's in particular.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::chance::Chance;
use super::people::{Household, PersonTruth};
use super::sheet::{Hours, Sheet};
use super::{Place, rates};

/// When letters are opened.
const READING: &Hours = &[
    ((580, 660), 40),
    ((660, 840), 34),
    ((840, 1_020), 24),
    ((1_020, 1_200), 22),
    ((1_200, 1_410), 30),
];

/// Minute of the day at which sending starts.
const SENDING: i64 = 570;

/// The morning's newsletter.
pub fn newsletter(
    chance: &mut Chance,
    sheet: &mut Sheet,
    people: &[PersonTruth],
    households: &[Household],
) {
    let mut sent: BTreeSet<&str> = BTreeSet::new();
    let mut at_ms = sheet.at(SENDING);
    for person in people {
        let address = match (&person.work_email, person.emails.first()) {
            (Some(work), _) if chance.happens(0.15) => work,
            (_, Some(own)) => own,
            _ => continue,
        };
        if !chance.happens(rates::ON_LIST) || !sent.insert(address) {
            continue;
        }
        let shared = households[person.household.0 as usize]
            .shared_email
            .as_ref()
            == Some(address);
        let truth = (!shared).then_some(person.number);
        let reading_ms = sheet.moment(chance, READING);
        let mut put = |at_ms: i64, name: &str, inward: bool, mut properties: Value| {
            properties["campaign"] = "boletin-marzo".into();
            properties["subject"] = "Marzo: renta fija, hipotecas y la feria del ahorro".into();
            let (direction, initiative) = if inward {
                ("in", "reactive")
            } else {
                ("out", "proactive")
            };
            let event = json!({"type": "track", "event": name, "properties": properties, "context": {
                "traits": {"email": address},
                "trenza": {"channel": "email", "touchpoint": "Boletín", "direction": direction, "initiative": initiative,
                    "purpose": "boletin", "purposeClass": "commercial"}}});
            sheet.put(Place::Mailing, truth, at_ms, event);
        };
        at_ms += chance.between(150, 900);
        put(at_ms, "Email Sent", false, json!({}));
        if chance.happens(0.015) {
            put(
                at_ms + chance.between(900, 60_000),
                "Email Bounced",
                true,
                json!({"hard": chance.happens(0.5)}),
            );
            continue;
        }
        if !chance.happens(rates::OPENED) {
            continue;
        }
        let machine = chance.happens(0.2);
        let opened_ms = if machine {
            at_ms + chance.between(500, 9_000)
        } else {
            reading_ms.max(at_ms + 20_000)
        };
        put(opened_ms, "Email Opened", true, json!({"machine": machine}));
        if !machine && chance.happens(rates::CLICKED / (1.0 - 0.2)) {
            let clicked_ms = opened_ms + chance.between(2_000, 80_000);
            put(
                clicked_ms,
                "Email Link Clicked",
                true,
                json!({"topic": person.topic, "link": "https://www.ahorro.example/boletin"}),
            );
        } else if chance.happens(0.008) {
            put(
                opened_ms + chance.between(3_000, 60_000),
                "Unsubscribed",
                true,
                json!({}),
            );
        }
    }
}
