//! Owns a made-up but realistic day of a savings bank and its customers: website, call centre, newsletter, shops, a fair
//! and the rows of the core system, with the true person of every touch kept aside. The same options give the same
//! bytes for ever. Reads no clock, sends nothing, judges nothing: who plays the day decides when and how a touch
//! arrives, and `quality` measures what identity made of it.
//!
//! The flow: `population` draws people and households with their `belongings`; the places (`core_system`, `letters`,
//! `website`, `counters`, `fair`) write their touches on the `sheet`; `investor` adds story A.

mod belongings;
pub mod chance;
mod core_system;
mod counters;
mod fair;
mod identifiers;
mod investor;
mod letters;
mod names;
mod people;
mod places;
mod population;
pub mod quality;
pub mod rates;
mod sheet;
mod summary;
mod typing;
mod website;

#[cfg(test)]
mod tests;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Value, json};

pub use chance::Chance;
pub use investor::{
    INVESTOR_ACCOUNT, INVESTOR_BADGE, INVESTOR_BALANCE, INVESTOR_DNI, INVESTOR_EMAIL,
    INVESTOR_PHONE, INVESTOR_TOPIC, INVESTOR_VISITOR, InvestorValues, story_a,
};
pub use people::{Address, Household, HouseholdKind, HouseholdNo, PersonNo, PersonTruth, Sex};
pub use places::{CALL_CENTRE_PHONE, Country, DEMO_BADGE, DUMMY_DNI};
pub use summary::{Summary, identifiers as identifiers_of, summary};

use sheet::Sheet;

/// Which collector takes a touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Place {
    /// The website, at the server.
    Website,
    /// The call centre's program, at the server.
    CallCentre,
    /// The newsletter's program, at the server.
    Mailing,
    /// The shops' kiosks, at an agent.
    Shop,
    /// The fair's kiosks, at another agent.
    Fair,
    /// Rows of the core system, by the server's import.
    Import,
}

impl Place {
    /// Every place.
    pub const ALL: [Self; 6] = [
        Self::Website,
        Self::CallCentre,
        Self::Mailing,
        Self::Shop,
        Self::Fair,
        Self::Import,
    ];
}

/// Whether a messageId is there for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Repeat {
    /// The first with this id.
    First,
    /// The same bytes once more, sent again by an SDK that got no answer.
    Retry,
    /// The same id with other content: a program that went wrong.
    Conflict,
}

/// One event, where it is taken and whose it truly is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Touch {
    /// When the place sends it, UTC ms: the event's own time, but for a retry or a conflict, which come later.
    pub at_ms: i64,
    /// Who takes it.
    pub place: Place,
    /// A body of the Segment spec, as an SDK would put it in a batch. Nothing of the truth is in it.
    pub body: Value,
    /// Who it truly was; nobody for a demonstration by staff and for letters to a mailbox of several.
    pub truth: Option<PersonNo>,
    /// Whether the id is new.
    pub repeat: Repeat,
}

impl Touch {
    /// `messageId` of the body.
    pub fn message_id(&self) -> &str {
        self.body["messageId"].as_str().unwrap_or_default()
    }
}

/// A whole day.
#[derive(Debug, Clone, Serialize)]
pub struct Day {
    /// In order of time.
    pub events: Vec<Touch>,
    /// Everybody, by number; the investor of story A is number 0.
    pub people: Vec<PersonTruth>,
    /// By number.
    pub households: Vec<Household>,
}

/// What day to make.
#[derive(Debug, Clone)]
pub struct Options {
    /// Another seed, another day.
    pub seed: u64,
    /// How many people, the investor among them.
    pub people: usize,
    /// At least so many events; more when that many people do more of their own accord.
    pub events: usize,
    /// The local date.
    pub date: Date,
    /// Where the day is.
    pub zone: TimeZone,
}

impl Default for Options {
    fn default() -> Self {
        let zone = TimeZone::get("Europe/Madrid").expect("the time zone database is compiled in");
        Self {
            seed: 14,
            people: 3_000,
            events: 24_000,
            date: date(2026, 3, 14),
            zone,
        }
    }
}

/// Makes the day: the same options, the same day.
pub fn generate(options: &Options) -> Day {
    let seed = Chance::new(options.seed);
    let drawn = population::draw(
        &mut seed.apart("people"),
        options.people,
        i64::from(options.date.year()),
    );
    let (people, households) = (drawn.people, drawn.households);
    let mut sheet = Sheet::new(
        seed.apart("ids"),
        options.date,
        &options.zone,
        options.events + options.events / 8,
    );
    // The investor does what story A says and nothing else.
    let others = &people[1.min(people.len())..];
    core_system::export(&mut seed.apart("core"), &mut sheet, others, options.date);
    letters::newsletter(&mut seed.apart("letters"), &mut sheet, others, &households);
    let mut chance = seed.apart("counters");
    for person in others {
        let in_spain = person.country == Country::Es;
        let in_shop = if in_spain {
            rates::IN_SHOP.0
        } else {
            rates::IN_SHOP.1
        };
        if chance.happens(in_shop) {
            for _ in 0..*chance.weighted(&[(1, 88), (2, 12)]) {
                counters::shop_visit(&mut chance, &mut sheet, person);
            }
        }
        if chance.happens(rates::ON_PHONE) {
            for _ in 0..*chance.weighted(&[(1, 80), (2, 15), (3, 5)]) {
                counters::call(&mut chance, &mut sheet, person);
            }
        }
    }
    let mut chance = seed.apart("fair");
    for person in others.iter().filter(|person| person.badge.is_some()) {
        fair::visit(&mut chance, &mut sheet, person);
        if chance.happens(rates::DEMO_SCAN * 5.0) {
            fair::demo_scan(&mut chance, &mut sheet);
        }
    }
    browse(&mut seed.apart("web"), &mut sheet, others, options.events);
    let mut events = std::mem::take(&mut sheet.touches);
    add_repeats(&mut seed.apart("copies"), &mut events);
    events.extend(investor_touches(&sheet));
    // Stable: what happens in one millisecond stays in the order it was written in.
    events.sort_by_key(|touch| touch.at_ms);
    Day {
        events,
        people,
        households,
    }
}

/// The people of a seed, the investor first: those of the day of the same seed and number.
pub fn everybody(seed: u64, count: usize) -> Vec<PersonTruth> {
    let year = i64::from(Options::default().date.year());
    population::draw(&mut Chance::new(seed).apart("people"), count, year).people
}

/// Sessions on the website: first of those who come anyway and of those who did nothing else, then of whoever, until
/// there are enough events.
fn browse(chance: &mut Chance, sheet: &mut Sheet, people: &[PersonTruth], events: usize) {
    let mut seen = vec![false; people.len() + 1];
    for person in sheet.touches.iter().filter_map(|touch| touch.truth) {
        seen[person.0 as usize] = true;
    }
    let mut surfers = Vec::new();
    for person in people {
        let comes = chance.happens(rates::ON_WEB);
        if comes || !seen[person.number.0 as usize] {
            website::session(chance, sheet, person);
            surfers.push(person);
        }
    }
    while !surfers.is_empty() && sheet.touches.len() < events {
        let person = *chance.pick(&surfers);
        website::session(chance, sheet, person);
    }
}

/// Adds what SDKs send twice and what one of them gets wrong.
fn add_repeats(chance: &mut Chance, events: &mut Vec<Touch>) {
    let first = events.len();
    for at in 0..first {
        if chance.happens(rates::RETRIED) {
            let at_ms = events[at].at_ms + chance.between(300, 90_000);
            events.push(Touch {
                at_ms,
                repeat: Repeat::Retry,
                ..events[at].clone()
            });
        }
    }
    for _ in 0..rates::CONFLICTS.min(first) {
        let mut wrong = events[chance.below(first)].clone();
        let part = if wrong.body["type"] == "identify" {
            "traits"
        } else {
            "properties"
        };
        wrong.body[part]["revision"] = json!(chance.between(2, 999));
        wrong.at_ms += chance.between(300, 90_000);
        wrong.repeat = Repeat::Conflict;
        events.push(wrong);
    }
}

fn investor_touches(sheet: &Sheet) -> Vec<Touch> {
    let values = InvestorValues {
        web_at_ms: sheet.at(9 * 60 + 12),
        kiosk_at_ms: sheet.at(11 * 60 + 58),
        import_at_ms: sheet.at(20 * 60 + 30),
        ..InvestorValues::default()
    };
    let places = [Place::Website, Place::Fair, Place::Import];
    let mut touches = Vec::new();
    for (place, bodies) in places.into_iter().zip(story_a(&values)) {
        for body in bodies {
            let at = body["timestamp"]
                .as_str()
                .and_then(|text| text.parse::<jiff::Timestamp>().ok());
            let at_ms = at.map_or(values.web_at_ms, jiff::Timestamp::as_millisecond);
            touches.push(Touch {
                at_ms,
                place,
                body,
                truth: Some(PersonNo(0)),
                repeat: Repeat::First,
            });
        }
    }
    touches
}
