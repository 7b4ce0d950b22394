//! Owns what visitors of the website do: sessions of page views around a topic, guides that cost an e-mail, logins.
//! Only visitors who consented to being measured are here; the others leave nothing.

use serde_json::{Map, Value, json};

use super::chance::Chance;
use super::people::PersonTruth;
use super::sheet::{Hours, Sheet, inbound};
use super::{Place, places, rates, typing};

/// When people in Spain look at websites: a first peak at mid-morning, the main one in the evening.
#[rustfmt::skip]
const WEB_HOURS: &Hours = &[
    ((0, 60), 14), ((60, 420), 16), ((420, 540), 50), ((540, 660), 92), ((660, 840), 140), ((840, 960), 96),
    ((960, 1140), 130), ((1140, 1260), 130), ((1260, 1380), 170), ((1380, 1425), 50),
];

/// Longest session, in steps.
const STEPS_MAX: usize = 16;

#[rustfmt::skip]
const PAGES: &[(&str, &str)] = &[
    ("", ""), ("Ventajas", "/ventajas"), ("Comisiones", "/comisiones"), ("Preguntas frecuentes", "/preguntas"),
    ("Cómo contratar", "/contratar"), ("Comparativa", "/comparativa"), ("Opiniones", "/opiniones"),
];

const ACTIONS: &[&str] = &[
    "Simulator Used",
    "Search Performed",
    "Video Played",
    "Document Opened",
];

/// One session of the person, in one of their browsers.
pub fn session(chance: &mut Chance, sheet: &mut Sheet, person: &PersonTruth) {
    let behind = person.country.hours_behind() * 3_600_000;
    let (first, end) = (sheet.at(0), sheet.at(1_425));
    // The curve is that of the visitor's own clock, on the server's day.
    let at_ms = first + (sheet.moment(chance, WEB_HOURS) - first + behind) % (end - first);
    let device = if chance.happens(0.62) {
        &person.devices[0]
    } else {
        chance.pick(&person.devices)
    };
    let logs_in = person
        .login
        .as_ref()
        .filter(|_| chance.happens(rates::LOGS_IN));
    let address = person
        .emails
        .first()
        .filter(|_| logs_in.is_none() && chance.happens(rates::DOWNLOADS));
    let mut visit = Visit {
        person,
        device,
        login: None,
        at_ms,
        context: context(chance, person),
    };
    let topic = if chance.happens(0.7) {
        usual_topic(person)
    } else {
        *chance.weighted(places::TOPICS)
    };
    let mut steps = 1;
    while steps < STEPS_MAX && chance.happens(0.74) {
        steps += 1;
    }
    let turning = chance.below(steps);
    for step in 0..steps {
        if step == 0 && chance.happens(0.45) {
            visit.put(chance, sheet, page("Inicio", "/", None));
        } else if step > 0 && chance.happens(0.16) {
            let event = json!({"type": "track", "event": chance.pick(ACTIONS), "properties": {"topic": topic.0}});
            visit.put(chance, sheet, event);
        } else {
            let (title, path) = chance.pick(PAGES);
            let title = format!("{} {title}", capital(topic.0));
            visit.put(
                chance,
                sheet,
                page(
                    title.trim_end(),
                    &format!("{}{path}", topic.1),
                    Some(topic.0),
                ),
            );
        }
        if step != turning {
            continue;
        }
        if let Some(login) = logs_in {
            visit.login = Some(login);
            let mut traits = Map::new();
            if let Some(own) = person.emails.first().filter(|_| chance.happens(0.7)) {
                traits.insert("email".into(), own.clone().into());
            }
            visit.put(chance, sheet, json!({"type": "identify", "traits": traits}));
        } else if let Some(address) = address {
            let traits = form(chance, person, address);
            visit.put(chance, sheet, json!({"type": "identify", "traits": traits}));
            let guide = format!("Guía de {} 2026", topic.0);
            let properties = json!({"guide": guide, "topic": topic.0});
            visit.put(
                chance,
                sheet,
                json!({"type": "track", "event": "Guide Downloaded", "properties": properties}),
            );
        }
    }
}

fn usual_topic(person: &PersonTruth) -> (&'static str, &'static str) {
    places::TOPICS
        .iter()
        .map(|(topic, _)| *topic)
        .find(|topic| topic.0 == person.topic)
        .unwrap_or((person.topic, "/"))
}

/// What a visitor types for a guide: an e-mail, mostly a name, seldom a telephone.
fn form(chance: &mut Chance, person: &PersonTruth, address: &str) -> Map<String, Value> {
    let care = &rates::CARE_WEB;
    let mut traits = Map::new();
    let wrong = places::MISTYPED_PROVIDERS
        .iter()
        .find(|(right, _)| address.ends_with(right));
    let written = match (wrong, &person.work_email) {
        (Some((right, wrong)), _) if chance.happens(care.wrong_provider) => {
            address.replace(right, wrong)
        }
        (_, Some(work)) if chance.happens(0.2) => work.clone(),
        _ => address.to_owned(),
    };
    traits.insert("email".into(), typing::email(chance, &written).into());
    if chance.happens(0.65) {
        typing::name(chance, care, person, &mut traits);
    }
    if let Some(number) = person.phones.first().filter(|_| chance.happens(0.25)) {
        traits.insert("phone".into(), typing::phone(chance, number).into());
    }
    if chance.happens(0.15) {
        traits.insert(
            "address".into(),
            json!({"postalCode": person.address.postal_code, "country": person.address.country}),
        );
    }
    traits
}

struct Visit<'a> {
    person: &'a PersonTruth,
    device: &'a str,
    login: Option<&'a String>,
    at_ms: i64,
    context: Value,
}

impl Visit<'_> {
    fn put(&mut self, chance: &mut Chance, sheet: &mut Sheet, mut event: Value) {
        event["anonymousId"] = self.device.into();
        if let Some(login) = self.login {
            event["userId"] = login.clone().into();
        }
        event["context"] = self.context.clone();
        sheet.put(Place::Website, Some(self.person.number), self.at_ms, event);
        self.at_ms += chance.between(700, 95_000);
    }
}

fn page(title: &str, path: &str, topic: Option<&str>) -> Value {
    let mut properties =
        json!({"title": title, "path": path, "url": format!("https://www.ahorro.example{path}")});
    if let Some(topic) = topic {
        properties["topic"] = topic.into();
    }
    json!({"type": "page", "name": title, "properties": properties})
}

fn context(chance: &mut Chance, person: &PersonTruth) -> Value {
    let mut context = inbound("web", "www.ahorro.example", Map::new());
    let marketing = chance.happens(0.4);
    context["consent"] =
        json!({"categoryPreferences": {"analytics": true, "marketing": marketing}});
    context["locale"] = person.country.locale().into();
    context["library"] = json!({"name": "trenza.js", "version": "0.1.0"});
    if chance.happens(0.3) {
        let (source, medium, name) = chance.weighted(places::CAMPAIGNS);
        context["campaign"] = json!({"source": source, "medium": medium, "name": name});
    }
    context
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
