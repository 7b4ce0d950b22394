//! Owns what happens at the fair: badges printed at the desk, scans at the stands, talks, notes by staff, and staff
//! showing the kiosk with the demo badge.

use serde_json::{Map, Value, json};

use super::chance::Chance;
use super::counters::mistyped;
use super::people::PersonTruth;
use super::sheet::{Hours, Sheet, inbound, only};
use super::{Place, places, rates, typing};

/// When people arrive.
pub const ARRIVALS: &Hours = &[
    ((600, 690), 40),
    ((690, 810), 36),
    ((810, 930), 12),
    ((930, 1_050), 30),
    ((1_050, 1_110), 8),
];

/// Minute of the day at which the fair closes.
pub const CLOSES: i64 = 1_200;

const DESK: &str = "Mostrador de acreditación";
const TALK_ROOM: &str = "Sala de charlas";

/// One visitor with a badge, from the desk to the last stand.
pub fn visit(chance: &mut Chance, sheet: &mut Sheet, person: &PersonTruth) {
    let Some(badge) = &person.badge else { return };
    let mut at_ms = sheet.moment(chance, ARRIVALS);
    let mut traits = registration(chance, person);
    traits.insert("badgeId".into(), badge.clone().into());
    let event = json!({"type": "identify", "anonymousId": chance.uuid(), "traits": traits,
        "context": inbound("event", DESK, Map::new())});
    sheet.put(Place::Fair, Some(person.number), at_ms, event);
    let closes = sheet.at(CLOSES);
    for _ in 0..chance.between(1, 7) {
        at_ms += chance.between(180_000, 1_700_000);
        if at_ms >= closes {
            break;
        }
        let stand = *chance.pick(&places::STANDS[..3]);
        // A new visit to a kiosk, a new pseudonym.
        let pseudonym = chance.uuid();
        let topic = if chance.happens(0.6) {
            person.topic
        } else {
            chance.weighted(places::TOPICS).0
        };
        let context = inbound("event", stand, only("badgeId", badge.clone()));
        let event = json!({"type": "track", "event": "Badge Scanned", "anonymousId": pseudonym,
            "properties": {"topic": topic}, "context": context});
        sheet.put(Place::Fair, Some(person.number), at_ms, event);
        if chance.happens(0.18) {
            at_ms += chance.between(15_000, 90_000);
            let event = json!({"type": "track", "event": "Note Added", "anonymousId": pseudonym,
                "properties": {"note": chance.pick(places::NOTES), "mood": chance.pick(&["good", "neutral", "good", "bad"])},
                "context": context});
            sheet.put(Place::Fair, Some(person.number), at_ms, event);
        }
    }
    for (minute, title, topic) in places::TALKS {
        let keen = if *topic == person.topic { 0.7 } else { 0.14 };
        let doors = sheet.at(*minute);
        if chance.happens(keen) && at_ms > doors - 2 * 3_600_000 {
            let event = json!({"type": "track", "event": "Talk Attended", "anonymousId": chance.uuid(),
                "properties": {"talk": title, "topic": topic},
                "context": inbound("event", TALK_ROOM, only("badgeId", badge.clone()))});
            sheet.put(
                Place::Fair,
                Some(person.number),
                doors + chance.between(0, 14 * 60_000),
                event,
            );
        }
    }
}

/// Staff showing how a scan works: nobody's.
pub fn demo_scan(chance: &mut Chance, sheet: &mut Sheet) {
    let at_ms = sheet.moment(chance, ARRIVALS);
    let stand = *chance.pick(&places::STANDS[..3]);
    let event = json!({"type": "track", "event": "Badge Scanned", "anonymousId": chance.uuid(),
        "properties": {"topic": chance.weighted(places::TOPICS).0},
        "context": inbound("event", stand, only("badgeId", places::DEMO_BADGE))});
    sheet.put(Place::Fair, None, at_ms, event);
}

/// What stands on the form for a badge: name, company, e-mail and telephone, private or of the company.
fn registration(chance: &mut Chance, person: &PersonTruth) -> Map<String, Value> {
    let care = &rates::CARE_FAIR;
    let mut traits = Map::new();
    typing::name(chance, care, person, &mut traits);
    let professional = person.company.filter(|_| chance.happens(0.7));
    let email = match (professional, &person.work_email) {
        (Some((_, domain, _)), _) if chance.happens(rates::INFO_MAILBOX) => {
            Some(format!("info@{domain}"))
        }
        (Some(_), Some(work)) => Some(work.clone()),
        _ => person.emails.first().map(|own| mistyped(chance, care, own)),
    };
    if let Some(email) = email {
        traits.insert("email".into(), typing::email(chance, &email).into());
    }
    let phone = match professional {
        Some((_, _, reception)) if chance.happens(rates::RECEPTION_PHONE) => {
            Some((*reception).to_owned())
        }
        _ => person
            .phones
            .first()
            .filter(|_| chance.happens(0.6))
            .cloned(),
    };
    if let Some(phone) = phone {
        traits.insert("phone".into(), typing::phone(chance, &phone).into());
    }
    if let Some((company, _, _)) = professional {
        let short = company.split(',').next().unwrap_or(company);
        traits.insert(
            "company".into(),
            if chance.happens(0.5) { short } else { *company }.into(),
        );
    }
    traits
}
