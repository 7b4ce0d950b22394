use serde_json::{Value, json};

use super::investor;
use crate::{
    tables::Role,
    testing::{Server, WEB},
};

async fn told(order: [usize; 3]) -> Server {
    let server = Server::start().await;
    let parts = investor();
    for at in order {
        let (key, events) = &parts[at];
        server.capture(key, events).await;
    }
    server
}

#[tokio::test]
async fn the_investor_is_one_customer_in_any_order_of_arrival() {
    let mut seen: Option<(Value, Value)> = None;
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
        let server = told(order).await;
        let found = server
            .get(
                Role::Steward,
                "/v1/customers?identifier=nationalId:12345678Z",
            )
            .await;
        assert_eq!(found.status, 200, "{}", found.text);
        let customers = found.json["customers"].as_array().unwrap().clone();
        assert_eq!(customers.len(), 1, "{order:?}");
        let customer = customers[0].clone();
        let id = customer["id"].as_str().unwrap();
        assert_eq!(
            customer["interests"][0],
            json!({"topic": "renta fija", "count": 3})
        );
        assert_eq!(customer["traits"]["balance"]["value"], json!(10000));
        let timeline = server
            .get(Role::Steward, &format!("/v1/customers/{id}/timeline"))
            .await
            .json;
        let events: Vec<&str> = timeline["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["messageId"].as_str().unwrap())
            .collect();
        assert_eq!(
            events,
            ["core-1", "web-1", "web-2", "web-3", "web-4", "fair-1"]
        );
        for alias in customer["aliases"].as_array().unwrap() {
            let by_alias = server
                .get(
                    Role::Steward,
                    &format!("/v1/customers/{}", alias.as_str().unwrap()),
                )
                .await;
            assert_eq!(by_alias.json, customer);
        }
        match &seen {
            None => seen = Some((customer, timeline)),
            Some(first) => assert_eq!(*first, (customer, timeline), "{order:?}"),
        }
        server.close().await;
    }
}

#[tokio::test]
async fn the_explanation_names_the_two_links() {
    let server = told([1, 0, 2]).await;
    let found = server.get(Role::Steward, "/v1/customers?q=ada@exa").await;
    let id = found.json["customers"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let why = server
        .get(
            Role::Steward,
            &format!(
                "/v1/customers/{id}/why?from=anonymousId:visitor-aaaa-0001&to=nationalId:12345678Z"
            ),
        )
        .await;
    assert_eq!(why.status, 200, "{}", why.text);
    assert_eq!(why.json["linked"], true);
    let steps: Vec<(&str, &str, &str)> = why.json["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            (
                step["from"].as_str().unwrap(),
                step["to"].as_str().unwrap(),
                step["messageId"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        (
            "anonymousId:visitor-aaaa-0001",
            "email:ada@example.org",
            "web-4",
        ),
        ("email:ada@example.org", "phone:+34600111222", "fair-1"),
        ("phone:+34600111222", "nationalId:12345678Z", "core-1"),
    ];
    assert_eq!(steps, expected);
    assert_eq!(why.json["steps"][1]["touchpoint"], "Stand B");
    assert_eq!(why.json["steps"][2]["source"], "Core system");
    let spanish = why.json["sentence"]["es"].as_str().unwrap();
    assert!(
        spanish.contains("Stand B") && spanish.contains("2026-03-10"),
        "{spanish}"
    );

    let by_id = server
        .get(Role::Reader, &format!("/v1/why?from={id}&to={id}"))
        .await;
    assert_eq!(
        (by_id.status.as_u16(), by_id.json["linked"].as_bool()),
        (200, Some(true)),
        "{}",
        by_id.text
    );
    server.close().await;
}

#[tokio::test]
async fn two_customers_are_told_what_keeps_them_apart() {
    let server = told([0, 1, 2]).await;
    let other = json!({"type": "identify", "messageId": "o1", "traits": {"nationalId": "87654321X", "email": "bob@example.org"}, "timestamp": "2026-03-01T00:00:00Z"});
    server.capture(WEB, &[other]).await;
    let why = server
        .get(
            Role::Steward,
            "/v1/why?from=nationalId:12345678Z&to=email:bob@example.org",
        )
        .await;
    assert_eq!(
        (why.status.as_u16(), why.json["linked"].as_bool()),
        (200, Some(false))
    );
    assert_eq!(why.json["apart"][0]["reason"], "exclusive");
    assert!(!why.json["sentence"]["en"].as_str().unwrap().is_empty());
    let nobody = server
        .get(
            Role::Steward,
            "/v1/why?from=nationalId:12345678Z&to=email:nobody@example.org",
        )
        .await;
    assert_eq!(nobody.json["apart"][0]["reason"], "unknown");
    server.close().await;
}

#[tokio::test]
async fn a_reader_sees_no_personal_value_anywhere() {
    let server = told([0, 1, 2]).await;
    let found = server
        .get(
            Role::Reader,
            "/v1/customers?identifier=email:ada@example.org",
        )
        .await;
    let id = found.json["customers"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let timeline = server
        .get(Role::Reader, &format!("/v1/customers/{id}/timeline"))
        .await;
    let why = server
        .get(
            Role::Reader,
            &format!("/v1/customers/{id}/why?from=badgeId:B-7741&to=nationalId:12345678Z"),
        )
        .await;
    let event = server.get(Role::Reader, "/v1/events/fair-1").await;
    for answer in [found, timeline, why, event] {
        assert_eq!(answer.status, 200, "{}", answer.text);
        for secret in [
            "ada@",
            "Ada@",
            "12345678Z",
            "600111222",
            "600 111 222",
            "Byron",
            "B-7741",
        ] {
            assert!(!answer.text.contains(secret), "{secret} in {}", answer.text);
        }
    }
    server.close().await;
}

#[tokio::test]
async fn a_timeline_comes_in_pages_without_gaps() {
    let server = told([2, 0, 1]).await;
    let found = server
        .get(Role::Steward, "/v1/customers?identifier=accountId:ES-0001")
        .await;
    let id = found.json["customers"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut ids = Vec::new();
    let mut after = String::new();
    loop {
        let page = server
            .get(
                Role::Steward,
                &format!("/v1/customers/{id}/timeline?limit=2&after={after}"),
            )
            .await;
        let events = page.json["events"].as_array().unwrap().clone();
        assert!(events.len() <= 2);
        ids.extend(
            events
                .iter()
                .map(|event| event["messageId"].as_str().unwrap().to_owned()),
        );
        match page.json["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(
        ids,
        ["core-1", "web-1", "web-2", "web-3", "web-4", "fair-1"]
    );
    let event = &server
        .get(Role::Steward, &format!("/v1/customers/{id}/timeline"))
        .await
        .json["events"][5];
    assert_eq!(
        (
            event["channel"].as_str(),
            event["touchpoint"].as_str(),
            event["source"].as_str()
        ),
        (Some("event"), Some("Stand B"), Some("Website"))
    );
    assert_eq!(event["at"], "2026-03-10T17:00:00.000Z");
    assert_eq!(
        (&event["captured_at"], &event["received_at"]),
        (&json!(crate::testing::NOW), &json!(crate::testing::NOW))
    );
    server.close().await;
}

#[tokio::test]
async fn an_event_says_where_it_stands() {
    let server = Server::start().await;
    let event = json!({"type": "track", "event": "Visit", "messageId": "m1", "userId": "u-1", "timestamp": "2026-03-01T00:00:00Z"});
    server.capture(WEB, std::slice::from_ref(&event)).await;
    server.capture(WEB, &[event.clone(), event.clone()]).await;
    let standing = server.get(Role::Steward, "/v1/events/m1").await.json;
    assert_eq!(
        (standing["state"].as_str(), standing["duplicates"].as_u64()),
        (Some("resolved"), Some(2))
    );
    assert_eq!(standing["conflicts"], json!([]));
    assert_eq!(standing["event"]["event"], "Visit");
    let customer = server
        .get(Role::Steward, "/v1/customers?identifier=userId:u-1")
        .await;
    assert_eq!(standing["customer"], customer.json["customers"][0]["id"]);

    let mut other = event.clone();
    other["event"] = "Purchase".into();
    server.capture(WEB, &[other]).await;
    let standing = server.get(Role::Steward, "/v1/events/m1").await.json;
    assert_eq!(standing["conflicts"].as_array().unwrap().len(), 1);

    let nobody =
        json!({"type": "identify", "messageId": "m2", "traits": {"nationalId": "12345678A"}});
    server.capture(WEB, &[nobody]).await;
    let standing = server.get(Role::Steward, "/v1/events/m2").await.json;
    assert_eq!(
        (standing["state"].as_str(), standing["customer"].is_null()),
        (Some("stored"), true)
    );
    assert!(
        standing["reason"].as_str().unwrap().contains("nationalId"),
        "{standing}"
    );

    let bad = json!({"type": "dance", "messageId": "m3", "userId": "u-1"});
    let answer = server.capture(WEB, &[bad]).await;
    assert_eq!(answer.json["rejected"][0]["messageId"], "m3");
    let standing = server.get(Role::Steward, "/v1/events/m3").await.json;
    assert_eq!(standing["state"], "rejected");
    assert!(
        standing["reason"].as_str().unwrap().contains("dance"),
        "{standing}"
    );

    server
        .capture(
            "wk_nobody",
            &[json!({"type": "page", "messageId": "m4", "userId": "u-1"})],
        )
        .await;
    let standing = server.get(Role::Steward, "/v1/events/m4").await.json;
    assert_eq!(standing["state"], "rejected");

    let unknown = server.get(Role::Steward, "/v1/events/m5").await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.json["code"].as_str()),
        (404, Some("not_found"))
    );
    server.close().await;
}

#[tokio::test]
async fn a_value_of_a_namespace_is_found_without_naming_it() {
    let server = Server::start().await;
    let mut source = crate::testing::source("Shop", 100);
    source.namespace = "shop".into();
    server.app.registry.put_source("wk_shop", &source).unwrap();
    server
        .capture(
            "wk_shop",
            &[json!({"type": "page", "messageId": "s1", "userId": "77"})],
        )
        .await;
    server
        .capture(
            WEB,
            &[json!({"type": "page", "messageId": "s2", "userId": "77"})],
        )
        .await;
    let found = server
        .get(Role::Steward, "/v1/customers?identifier=userId:77")
        .await;
    assert_eq!(found.json["customers"].as_array().unwrap().len(), 2);
    server.close().await;
}

#[tokio::test]
async fn a_value_is_found_however_its_signs_are_written() {
    let server = Server::start().await;
    let events = [
        json!({"type": "identify", "messageId": "p1", "traits": {"email": "ada+news@example.org", "phone": "+34600111222"}}),
        json!({"type": "page", "messageId": "p2", "userId": "50%41"}),
        json!({"type": "page", "messageId": "p3", "userId": "50A"}),
        json!({"type": "page", "messageId": "p4", "userId": "ana maria"}),
    ];
    server.capture(WEB, &events).await;
    let cases = [
        ("email:ada+news@example.org", "email:ada+news@example.org"),
        (
            "email%3Aada%2Bnews%40example.org",
            "email:ada+news@example.org",
        ),
        ("phone:+34600111222", "email:ada+news@example.org"),
        ("phone:%2B34600111222", "email:ada+news@example.org"),
        ("phone:600%20111%20222", "email:ada+news@example.org"),
        ("userId:50%2541", "userId:50%41"),
        ("userId:50%41", "userId:50A"),
        ("userId:ana+maria", "userId:ana maria"),
        ("userId:ana%20maria", "userId:ana maria"),
    ];
    for (asked, expected) in cases {
        let found = server
            .get(Role::Steward, &format!("/v1/customers?identifier={asked}"))
            .await;
        let customers = found.json["customers"].as_array().unwrap();
        assert_eq!(customers.len(), 1, "{asked}: {}", found.text);
        let (kind, value) = expected.split_once(':').unwrap();
        let identifiers = customers[0]["identifiers"].as_array().unwrap();
        assert!(
            identifiers
                .iter()
                .any(|one| one["kind"] == kind && one["value"] == value),
            "{asked}: {}",
            found.text
        );
    }
    server.close().await;
}

#[tokio::test]
async fn an_id_once_shown_leads_on_when_an_earlier_source_changes_what_its_event_says() {
    let server = Server::start().await;
    let mut shop = crate::testing::source("Shop", 100);
    shop.namespace = "shop".into();
    server.app.registry.put_source("wk_shop", &shop).unwrap();
    let event = json!({"type": "page", "messageId": "n1", "userId": "77", "timestamp": "2026-03-01T00:00:00Z"});
    server.capture(WEB, std::slice::from_ref(&event)).await;
    let shown = server
        .get(Role::Steward, "/v1/customers?identifier=userId:77")
        .await
        .json["customers"][0]
        .clone();
    assert!(shown["identifiers"][0].get("scope").is_none());
    let earlier_ms = server.app.clock.wall_ms() - 1000;
    server.clock.set_wall_ms(earlier_ms);
    server
        .capture("wk_shop", std::slice::from_ref(&event))
        .await;
    let id = shown["id"].as_str().unwrap();
    let now = server
        .get(Role::Steward, &format!("/v1/customers/{id}"))
        .await;
    assert_eq!(now.status, 200, "{}", now.text);
    assert_eq!(now.json["identifiers"][0]["scope"], "shop");
    assert_ne!(now.json["id"], shown["id"]);
    let timeline = server
        .get(Role::Steward, &format!("/v1/customers/{id}/timeline"))
        .await;
    assert_eq!(
        timeline.json["events"][0]["sources"],
        json!(["Shop", "Website"])
    );
    server.close().await;
}

#[tokio::test]
async fn events_one_by_one_in_shuffled_orders_make_the_same_customer() {
    let events: Vec<(&str, Value)> = investor()
        .into_iter()
        .flat_map(|(key, events)| events.into_iter().map(move |event| (key, event)))
        .collect();
    let mut seen: Option<Value> = None;
    for round in 0..24u64 {
        let mut order: Vec<usize> = (0..events.len()).collect();
        order.sort_by_key(|at| {
            blake3::hash(&[round.to_be_bytes(), (*at as u64).to_be_bytes()].concat()).to_hex()
        });
        let server = Server::start().await;
        for at in &order {
            let (key, event) = &events[*at];
            server.capture(key, std::slice::from_ref(event)).await;
            if round % 3 == 0 {
                server.capture(key, std::slice::from_ref(event)).await;
            }
        }
        let found = server
            .get(
                Role::Steward,
                "/v1/customers?identifier=email:ada@example.org",
            )
            .await
            .json;
        match &seen {
            None => seen = Some(found),
            Some(first) => assert_eq!(*first, found, "{order:?}"),
        }
        server.close().await;
    }
}
