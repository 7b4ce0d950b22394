use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn small(seed: u64) -> Options {
    Options {
        seed,
        people: 400,
        events: 3_000,
        ..Options::default()
    }
}

fn default_day() -> Day {
    generate(&Options::default())
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_another_day() {
    let bytes = |seed| serde_json::to_vec(&generate(&small(seed))).unwrap();
    assert_eq!(bytes(7), bytes(7));
    assert_ne!(bytes(7), bytes(8));
}

#[test]
fn the_default_day_has_enough_events_and_people_in_order_of_time() {
    let day = default_day();
    let sum = summary(&day);
    println!("{sum}");
    assert!(day.events.len() >= 20_000, "{}", day.events.len());
    assert!(day.people.len() >= 3_000);
    assert_eq!(
        sum.people_seen,
        day.people.len(),
        "everybody does something"
    );
    assert!(day.events.is_sorted_by_key(|touch| touch.at_ms));
    assert!(
        Place::ALL.iter().all(|place| sum.places[place] > 300),
        "{:?}",
        sum.places
    );
}

#[test]
fn every_body_is_a_valid_event_of_the_segment_spec() {
    for touch in default_day().events {
        let body = &touch.body;
        let kind = body["type"].as_str().unwrap();
        assert!(["page", "track", "identify"].contains(&kind), "{body}");
        assert_eq!(body["event"].is_string(), kind == "track", "{body}");
        assert!(!identifiers_of(body).is_empty(), "{body}");
        assert!(
            identifiers_of(body)
                .iter()
                .all(|(_, value)| !value.is_empty()),
            "{body}"
        );
        assert!(!touch.message_id().is_empty());
        let at: jiff::Timestamp = body["timestamp"].as_str().unwrap().parse().unwrap();
        if touch.repeat == Repeat::First {
            assert_eq!(at.as_millisecond(), touch.at_ms, "{body}");
        }
        assert!(serde_json::to_vec(body).unwrap().len() < 128 * 1024);
        assert!(
            body["context"]["trenza"]["touchpoint"].is_string(),
            "{body}"
        );
    }
}

#[test]
fn an_id_comes_again_only_as_a_labelled_retry_or_conflict() {
    let day = default_day();
    let mut first: BTreeMap<&str, &Touch> = BTreeMap::new();
    for touch in day
        .events
        .iter()
        .filter(|touch| touch.repeat == Repeat::First)
    {
        assert!(
            first.insert(touch.message_id(), touch).is_none(),
            "{}",
            touch.body
        );
    }
    for touch in day
        .events
        .iter()
        .filter(|touch| touch.repeat != Repeat::First)
    {
        let original = first[touch.message_id()];
        assert_eq!(touch.body == original.body, touch.repeat == Repeat::Retry);
        assert_eq!((touch.truth, touch.place), (original.truth, original.place));
        assert!(touch.at_ms > original.at_ms);
    }
    let sum = summary(&day);
    assert_eq!(sum.conflicts, rates::CONFLICTS);
    let share = sum.retries as f64 / sum.events as f64;
    assert!((0.003..0.007).contains(&share), "{share}");
}

#[test]
fn no_body_carries_the_truth() {
    fn keys<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(key, value)| {
                found.insert(key);
                keys(value, found);
            }),
            Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
            _ => {}
        }
    }
    let day = default_day();
    let mut found = BTreeSet::new();
    day.events
        .iter()
        .for_each(|touch| keys(&touch.body, &mut found));
    let known = [
        "type",
        "event",
        "name",
        "messageId",
        "timestamp",
        "userId",
        "anonymousId",
        "traits",
        "properties",
        "context",
        "trenza",
        "channel",
        "touchpoint",
        "direction",
        "initiative",
        "purpose",
        "purposeClass",
        "consent",
        "categoryPreferences",
        "analytics",
        "marketing",
        "locale",
        "library",
        "version",
        "campaign",
        "source",
        "medium",
        "externalIds",
        "id",
        "email",
        "phone",
        "nationalId",
        "loyaltyId",
        "badgeId",
        "accountId",
        "firstName",
        "lastName",
        "secondLastName",
        "birthday",
        "gender",
        "company",
        "address",
        "street",
        "city",
        "postalCode",
        "state",
        "country",
        "balance",
        "currency",
        "title",
        "path",
        "url",
        "topic",
        "guide",
        "talk",
        "note",
        "mood",
        "orderId",
        "total",
        "products",
        "sku",
        "price",
        "quantity",
        "reason",
        "durationSeconds",
        "outcome",
        "subject",
        "link",
        "machine",
        "hard",
        "revision",
    ];
    let unknown: Vec<_> = found.iter().filter(|key| !known.contains(key)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn every_national_id_has_the_right_check_digit_and_one_holder() {
    let mut holders = BTreeSet::new();
    for person in default_day().people {
        for id in &person.national_ids {
            assert!(holders.insert(id.clone()), "{id} twice");
            let digits: Vec<u32> = id
                .chars()
                .filter_map(|letter| letter.to_digit(10))
                .collect();
            let right = match person.country {
                Country::Es => {
                    let series = ["X", "Y", "Z"]
                        .iter()
                        .position(|first| id.starts_with(first));
                    let number = series.map_or(0, |series| series as u32 * 10_000_000)
                        + digits.iter().fold(0, |sum, digit| sum * 10 + digit);
                    id.len() == 9
                        && id
                            .ends_with(char::from(identifiers::DNI_LETTERS[(number % 23) as usize]))
                }
                Country::Ar => {
                    let weights = [5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1];
                    digits.len() == 11
                        && digits.iter().zip(weights).map(|(a, b)| a * b).sum::<u32>() % 11 == 0
                }
                Country::Cl => {
                    let (number, check) = id.split_once('-').unwrap();
                    let sum: u32 = number
                        .bytes()
                        .rev()
                        .zip([2, 3, 4, 5, 6, 7, 2, 3])
                        .map(|(a, b)| u32::from(a - b'0') * b)
                        .sum();
                    let check = if check == "K" {
                        10
                    } else {
                        check.parse().unwrap()
                    };
                    (sum + check).is_multiple_of(11)
                }
                Country::Br => digits.len() == 11,
                Country::Mx => {
                    id.len() == 18 && digits.last() == Some(&identifiers::curp_check(&id[..17]))
                }
                Country::Co | Country::Pe => false,
            };
            assert!(right, "{id}");
        }
    }
}

#[test]
fn known_national_ids_come_out_of_the_makers() {
    assert_eq!(identifiers::dni(12_345_678), "12345678Z");
    assert_eq!(identifiers::dni(0), DUMMY_DNI);
    assert_eq!(identifiers::nie(0, 1_234_567), "X1234567L");
    assert_eq!(identifiers::rut(12_345_678), "12345678-5");
    assert_eq!(identifiers::cpf(111_444_777), "111.444.777-35");
    assert_eq!(identifiers::cuit(Sex::Man, 12_345_678), "20-12345678-6");
    assert_eq!(identifiers::curp_check("HEGG560427MVZRRL0"), 4);
    assert_eq!(identifiers::dni(50_817_436), INVESTOR_DNI);
}

#[test]
fn households_share_what_the_rates_say() {
    let day = generate(&Options {
        people: 12_000,
        events: 1,
        ..Options::default()
    });
    let kin = |home: &&Household| home.members.len() > 1 && home.kind != HouseholdKind::Flatmates;
    let share = |of: &dyn Fn(&&Household) -> bool, has: &dyn Fn(&Household) -> bool| {
        let all: Vec<_> = day.households.iter().filter(of).collect();
        all.iter().filter(|home| has(home)).count() as f64 / all.len() as f64
    };
    let in_spain = |home: &&Household| {
        kin(home) && day.people[home.members[0].0 as usize].country == Country::Es
    };
    let together = |home: &&Household| {
        home.members.len() > 1 && matches!(home.kind, HouseholdKind::Couple | HouseholdKind::Family)
    };
    let several = |home: &&Household| home.members.len() > 1;
    let near =
        |found: f64, wanted: f64| assert!((found - wanted).abs() < 0.03, "{found} for {wanted}");
    near(
        share(&in_spain, &|home| home.landline.is_some()),
        rates::SHARED_LANDLINE,
    );
    near(
        share(&together, &|home| home.shared_mobile.is_some()),
        rates::SHARED_MOBILE,
    );
    near(
        share(&together, &|home| home.shared_email.is_some()),
        rates::SHARED_EMAIL,
    );
    near(
        share(&several, &|home| home.shared_device.is_some()),
        rates::SHARED_DEVICE,
    );
    let of = |has: &dyn Fn(&PersonTruth) -> bool| {
        day.people.iter().filter(|person| has(person)).count() as f64 / day.people.len() as f64
    };
    near(of(&|person| person.country == Country::Es), 0.70);
    near(of(&|person| person.age < 18), 0.06);
    assert!(day.households.iter().any(|home| home.twins));
    assert!(
        day.people
            .iter()
            .any(|person| person.national_ids.len() == 2)
    );
}

#[test]
fn shops_and_fair_keep_their_hours() {
    let options = Options::default();
    for touch in generate(&options)
        .events
        .iter()
        .filter(|touch| touch.repeat == Repeat::First)
    {
        let time = jiff::Timestamp::from_millisecond(touch.at_ms)
            .unwrap()
            .to_zoned(options.zone.clone());
        let minute = i64::from(time.hour()) * 60 + i64::from(time.minute());
        let hours = match touch.place {
            Place::Shop => 570..1_245,
            Place::Fair => 600..1_200,
            Place::CallCentre => 540..1_240,
            Place::Website | Place::Mailing | Place::Import => 0..1_440,
        };
        assert!(hours.contains(&minute), "{} {time}", touch.body);
    }
}

#[test]
fn the_investor_does_what_story_a_says_and_nothing_else() {
    let day = default_day();
    let hers: Vec<_> = day
        .events
        .iter()
        .filter(|touch| touch.truth == Some(PersonNo(0)))
        .collect();
    let at = |place| {
        hers.iter()
            .filter(|touch| touch.place == place && touch.repeat == Repeat::First)
            .count()
    };
    assert_eq!(
        [at(Place::Website), at(Place::Fair), at(Place::Import)],
        [5, 2, 1]
    );
    assert_eq!(hers.len(), 8);
    let reads = hers.iter().filter(|touch| touch.body["type"] == "page");
    assert_eq!(
        reads
            .filter(|touch| touch.body["properties"]["topic"] == INVESTOR_TOPIC)
            .count(),
        3
    );
    let others = day
        .events
        .iter()
        .filter(|touch| touch.truth != Some(PersonNo(0)));
    for (_, value) in others.flat_map(|touch| identifiers_of(&touch.body)) {
        assert!(
            ![
                INVESTOR_EMAIL,
                INVESTOR_DNI,
                INVESTOR_ACCOUNT,
                INVESTOR_BADGE,
                INVESTOR_VISITOR
            ]
            .contains(&value)
        );
    }
    assert_eq!(
        hers.iter()
            .map(|touch| touch.body["traits"]["balance"].as_i64())
            .max(),
        Some(Some(INVESTOR_BALANCE))
    );
}

#[test]
fn another_investor_can_share_a_store_with_the_first() {
    let other = InvestorValues {
        message_prefix: "other".into(),
        email: "otra@ahorro.example".into(),
        ..Default::default()
    };
    let ids = |values: &InvestorValues| -> BTreeSet<String> {
        story_a(values)
            .iter()
            .flatten()
            .map(|body| body["messageId"].to_string())
            .collect()
    };
    let (hers, others) = (ids(&InvestorValues::default()), ids(&other));
    assert_eq!((hers.len(), others.len()), (8, 8));
    assert!(hers.is_disjoint(&others));
    assert!(
        !serde_json::to_string(&story_a(&other))
            .unwrap()
            .contains(INVESTOR_EMAIL)
    );
}

#[test]
fn a_default_day_takes_less_than_two_seconds() {
    // The best of three: other tests run beside this one.
    let took = |_| {
        let begun = std::time::Instant::now();
        assert!(!default_day().events.is_empty());
        begun.elapsed()
    };
    let best = (0..3).map(took).min().unwrap();
    assert!(best < std::time::Duration::from_secs(2), "{best:?}");
}
