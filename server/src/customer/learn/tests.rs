use serde_json::{Value, json};
use trenza_shared::{
    identity::Rules,
    matching::{Class, Field, Language, Weights},
};

use crate::{
    admin::rules::{Trained, train},
    testing::{CORE, Server, WEB},
};

const PEOPLE: usize = 300;
const GIVEN: [&str; 10] = [
    "Ana", "Luis", "Marta", "Jorge", "Elena", "Pablo", "Lucía", "Diego", "Irene", "Óscar",
];
const SURNAMES: [&str; 7] = [
    "Prado", "Vallejo", "Quesada", "Ibáñez", "Rueda", "Salas", "Cuevas",
];

/// Somebody as one system knows them: by a login that both know, or by none in common.
fn seen(number: usize, system: &str, common: bool, birthday: &str) -> Value {
    let surname = SURNAMES[number / GIVEN.len() % SURNAMES.len()];
    let second = SURNAMES[number / 70 % SURNAMES.len()];
    let mut body = json!({
        "type": "identify", "messageId": format!("{system}-{number}"), "timestamp": "2026-02-01T09:00:00Z",
        "traits": {
            "firstName": GIVEN[number % GIVEN.len()], "lastName": format!("{surname} {second}"), "birthday": birthday,
            "address": {"street": format!("Calle Mayor {number}"), "postalCode": format!("28{:03}", number % 50), "city": if system == "web" { "Madrid" } else { "" }},
        },
    });
    match common {
        true => body["userId"] = json!(format!("user-{number}")),
        false => body["traits"]["badgeId"] = json!(format!("B-{system}-{number}")),
    }
    body
}

/// Everybody in two systems; every third has their birthday wrong in the second one where that one is careless.
async fn trained(careless: bool) -> Trained {
    let server = Server::start().await;
    for (key, system) in [(CORE, "core"), (WEB, "web")] {
        let all: Vec<Value> = (0..PEOPLE)
            .map(|number| {
                let wrong = careless && system == "web" && number % 3 == 0;
                let (month, day) = (1 + number % 9, 10 + number % 18);
                let birthday = match wrong {
                    true => format!("19{}-{month:02}-{:02}", 50 + number % 40, day + 1),
                    false => format!("19{}-{month:02}-{day:02}", 50 + number % 40),
                };
                seen(number, system, number % 2 == 0, &birthday)
            })
            .collect();
        server.capture(key, &all).await;
    }
    let learned = train(&server.app, Language::Es).await.unwrap();
    let again = train(&server.app, Language::Es).await.unwrap();
    assert_eq!(learned.rules, again.rules);
    learned
}

#[tokio::test]
async fn the_weights_are_learned_from_the_records_that_there_are() {
    let (careful, careless) = (trained(false).await, trained(true).await);
    for learned in [&careful, &careless] {
        let Trained {
            customers,
            same,
            alike,
            ..
        } = learned;
        let seen = *customers > PEOPLE as u64 && *same > 100 && *alike > 50;
        assert!(seen, "{customers} {same} {alike}");
        // What is printed is what can be published.
        let text = toml::to_string(&learned.rules).unwrap();
        assert_eq!(toml::from_str::<Rules>(&text).unwrap(), learned.rules);
        assert_eq!(learned.rules.matching.model.wrong(), None);
    }
    // Of one person, other birthdays are the more probable the more careless the systems are.
    let alike = |learned: &Trained| {
        let Weights::Own(model) = &learned.rules.matching.model else {
            panic!("no own weights");
        };
        model.levels[Class::Person as usize][Field::Birth as usize][1]
    };
    let (more, less) = (alike(&careful), alike(&careless));
    assert!(more > less + 100, "{more} {less}");
}

#[tokio::test]
async fn where_nobody_is_compared_nothing_is_learned() {
    let server = Server::start().await;
    let Err(refused) = train(&server.app, Language::Es).await else {
        panic!("weights of nobody");
    };
    assert_eq!(refused.code, "nothing_to_learn");
    server.close().await;
}
