use serde_json::{Value, json};

use crate::{
    tables::Role,
    testing::{Server, WEB},
};

/// Two spouses who shared a phone, wrongly one person.
async fn couple() -> Server {
    let server = Server::start().await;
    let events = [
        json!({"type": "identify", "messageId": "m1", "timestamp": "2026-03-01T00:00:00Z", "traits": {"email": "eva@example.org", "phone": "600111222"}}),
        json!({"type": "identify", "messageId": "m2", "timestamp": "2026-03-02T00:00:00Z", "traits": {"email": "luis@example.org", "phone": "600111222"}}),
        json!({"type": "track", "event": "Visit", "messageId": "m3", "timestamp": "2026-03-03T00:00:00Z", "traits": {"email": "luis@example.org"}}),
    ];
    server.capture(WEB, &events).await;
    server
}

pub async fn customer(server: &Server, identifier: &str) -> Value {
    let found = server
        .get(
            Role::Steward,
            &format!("/v1/customers?identifier={identifier}"),
        )
        .await;
    let customers = found.json["customers"].as_array().unwrap();
    assert_eq!(customers.len(), 1, "{}", found.text);
    customers[0].clone()
}

fn apart() -> Value {
    json!({"kind": "not_same", "subjects": ["email:eva@example.org", "email:luis@example.org"], "reason": "They are a couple"})
}

#[tokio::test]
async fn the_wrong_couple_is_split_and_stays_split_until_undone() {
    let server = couple().await;
    let before = customer(&server, "email:eva@example.org").await;
    assert_eq!(before, customer(&server, "email:luis@example.org").await);

    let preview = server
        .post(Role::Steward, "/v1/decisions?preview=1", &apart())
        .await;
    assert_eq!(preview.status, 200, "{}", preview.text);
    assert_eq!(
        preview.json["changes"][0]["type"], "customer.split",
        "{}",
        preview.text
    );
    assert!(preview.json.get("id").is_none());
    assert_eq!(
        before,
        customer(&server, "email:luis@example.org").await,
        "a preview changes nothing"
    );

    let decided = server.post(Role::Steward, "/v1/decisions", &apart()).await;
    assert_eq!(decided.status, 200, "{}", decided.text);
    assert_eq!(decided.json["changes"], preview.json["changes"]);
    let id = decided.json["id"].as_str().unwrap().to_owned();
    let (eva, luis) = (
        customer(&server, "email:eva@example.org").await,
        customer(&server, "email:luis@example.org").await,
    );
    assert_ne!(eva["id"], luis["id"]);
    let timeline = server
        .get(
            Role::Steward,
            &format!("/v1/customers/{}/timeline", luis["id"].as_str().unwrap()),
        )
        .await;
    let events: Vec<&str> = timeline.json["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["messageId"].as_str().unwrap())
        .collect();
    assert_eq!(events, ["m2", "m3"]);
    let feed = server.get(Role::Reader, "/v1/changes").await;
    assert!(
        feed.json["changes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|change| change["type"] == "customer.split"),
        "{}",
        feed.text
    );
    let why = server
        .get(
            Role::Steward,
            "/v1/why?from=email:eva@example.org&to=email:luis@example.org",
        )
        .await;
    assert_eq!(why.json["linked"], false);
    assert!(
        why.json["apart"]
            .as_array()
            .unwrap()
            .iter()
            .any(|reason| reason["decision"] == id.as_str()),
        "{}",
        why.text
    );

    let again = json!({"type": "identify", "messageId": "m4", "timestamp": "2026-03-04T00:00:00Z", "traits": {"email": "luis@example.org", "phone": "600111222", "city": "Vigo"}});
    server.capture(WEB, &[again]).await;
    assert_ne!(
        customer(&server, "email:eva@example.org").await["id"],
        customer(&server, "email:luis@example.org").await["id"]
    );

    let undo = json!({"undoes": id, "reason": "They were one after all"});
    let preview = server
        .post(Role::Steward, "/v1/decisions?preview=1", &undo)
        .await;
    assert_eq!(
        preview.json["changes"][0]["type"], "customer.merged",
        "{}",
        preview.text
    );
    let undone = server.post(Role::Steward, "/v1/decisions", &undo).await;
    assert_eq!(undone.status, 200, "{}", undone.text);
    assert_eq!(
        customer(&server, "email:eva@example.org").await,
        customer(&server, "email:luis@example.org").await
    );
    let all = server.get(Role::Steward, "/v1/decisions").await;
    assert_eq!(all.json["decisions"].as_array().unwrap().len(), 2);
    server.close().await;
}

#[tokio::test]
async fn a_later_same_that_observed_the_split_brings_them_together() {
    let server = couple().await;
    server.post(Role::Steward, "/v1/decisions", &apart()).await;
    let same = json!({"kind": "same", "subjects": ["email:eva@example.org", "email:luis@example.org"], "reason": "One person, two addresses"});
    let decided = server.post(Role::Admin, "/v1/decisions", &same).await;
    assert_eq!(
        decided.json["changes"][0]["type"], "customer.merged",
        "{}",
        decided.text
    );
    assert_eq!(
        customer(&server, "email:eva@example.org").await,
        customer(&server, "email:luis@example.org").await
    );
    let why = server
        .get(
            Role::Steward,
            "/v1/why?from=email:eva@example.org&to=email:luis@example.org",
        )
        .await;
    assert_eq!(why.json["linked"], true);
    server.close().await;
}

#[tokio::test]
async fn a_decision_that_cannot_be_taken_says_what_is_wrong_with_it() {
    let server = couple().await;
    let cases = [
        (
            json!({"kind": "same", "subjects": ["email:eva@example.org"], "reason": "r"}),
            400,
            "bad_decision",
            "identifiers",
        ),
        (
            json!({"kind": "same", "subjects": ["email:eva@example.org", "email:eva"], "reason": "r"}),
            400,
            "bad_identifier",
            "subjects[1]",
        ),
        (
            json!({"kind": "same", "subjects": ["email:eva@example.org", "email:luis@example.org"]}),
            400,
            "bad_reason",
            "reason",
        ),
        (
            json!({"kind": "merge", "subjects": ["email:eva@example.org", "email:luis@example.org"], "reason": "r"}),
            400,
            "bad_decision",
            "kind",
        ),
        (
            json!({"kind": "same", "subjects": ["email:a@b.es", "email:c@d.es"], "undoes": "d_00", "reason": "r"}),
            400,
            "bad_decision",
            "either",
        ),
        (
            json!({"undoes": "d_00000000000000000000000000000000", "reason": "r"}),
            404,
            "not_found",
            "undoes",
        ),
        (
            json!({"kind": "same", "subject": [], "reason": "r"}),
            400,
            "bad_json",
            "subject",
        ),
    ];
    for (body, status, code, says) in cases {
        let answer = server.post(Role::Steward, "/v1/decisions", &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json["code"].as_str()),
            (status, Some(code)),
            "{body}: {}",
            answer.text
        );
        assert!(
            answer.json["message"].as_str().unwrap().contains(says),
            "{}",
            answer.text
        );
    }
    server.close().await;
}

#[tokio::test]
async fn a_phone_declared_shared_links_nobody_and_the_answer_says_who_said_so() {
    let server = couple().await;
    let shared = json!({"kind": "shared_identifier", "subjects": ["phone:600 111 222"], "reason": "Eva's and Luis's landline"});
    let decided = server.post(Role::Steward, "/v1/decisions", &shared).await;
    assert_eq!(
        decided.json["changes"][0]["type"], "customer.split",
        "{}",
        decided.text
    );
    let eva = customer(&server, "email:eva@example.org").await;
    let phone = eva["identifiers"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["kind"] == "phone")
        .unwrap();
    assert_eq!(phone["shared"], true);
    let holders = server
        .get(
            Role::Steward,
            "/v1/customers?identifier=phone:%2B34600111222",
        )
        .await;
    assert_eq!(
        holders.json["customers"].as_array().unwrap().len(),
        2,
        "a shared value finds everybody who holds it"
    );
    let why = server
        .get(
            Role::Steward,
            "/v1/why?from=email:eva@example.org&to=email:luis@example.org",
        )
        .await;
    assert_eq!(
        (
            why.json["apart"][0]["reason"].as_str(),
            why.json["apart"][0]["why"].as_str()
        ),
        (Some("shared"), Some("declared")),
        "{}",
        why.text
    );
    assert_eq!(
        why.json["apart"][0]["against"]["decision"],
        decided.json["id"]
    );

    let same = json!({"kind": "same", "subjects": ["email:eva@example.org", "email:luis@example.org"], "reason": "Luis writes from Eva's"});
    server.post(Role::Steward, "/v1/decisions", &same).await;
    let why = server
        .get(
            Role::Steward,
            "/v1/why?from=email:eva@example.org&to=email:luis@example.org",
        )
        .await;
    let step = &why.json["steps"][0];
    assert_eq!(
        (step["decision"]["reason"].as_str(), step["at"].as_str()),
        (Some("Luis writes from Eva's"), Some(crate::testing::NOW)),
        "{}",
        why.text
    );
    for path in [
        "/v1/why?from=email:eva@example.org&to=email:luis@example.org",
        "/v1/decisions",
    ] {
        let masked = server.get(Role::Reader, path).await;
        assert!(
            !masked.text.contains("Luis") && !masked.text.contains("eva@"),
            "{}",
            masked.text
        );
    }
    let first = server.get(Role::Reader, "/v1/decisions?limit=1").await.json;
    let second = server
        .get(
            Role::Reader,
            &format!(
                "/v1/decisions?limit=1&after={}",
                first["next"].as_str().unwrap()
            ),
        )
        .await
        .json;
    assert_eq!(
        (
            second["decisions"].as_array().unwrap().len(),
            second["next"].is_null()
        ),
        (1, true)
    );
    assert_ne!(first["decisions"], second["decisions"]);
    server.close().await;
}

#[tokio::test]
async fn a_decision_says_what_it_does_not_do_and_why() {
    let server = couple().await;
    let with = |message: &str, dni: &str| json!({"type": "identify", "messageId": message, "traits": {"nationalId": dni, "firstName": "Eva", "lastName": "Ruiz"}});
    server
        .capture(WEB, &[with("d1", "12345678Z"), with("d2", "87654321X")])
        .await;
    let documents = ["nationalId:12345678Z", "nationalId:87654321X"];
    let one = ["email:eva@example.org", "email:luis@example.org"];
    let nobody = ["email:eva@example.org", "email:nobody@example.org"];
    let before_mending = [
        (
            "same",
            documents,
            "not_joined",
            "el DNI 12345678Z y el DNI 87654321X",
        ),
        (
            "not_same",
            documents,
            "already_apart",
            "Ya son fichas distintas",
        ),
        ("same", one, "already_one", "Ya son una sola ficha"),
        (
            "same",
            nobody,
            "unknown_value",
            "Nadie tiene el correo nobody@example.org",
        ),
        ("not_same", nobody, "unknown_value", "Nadie tiene"),
        (
            "household",
            one,
            "one_person",
            "Todos los datos son de una misma ficha",
        ),
    ];
    for (kind, subjects, reason, says) in before_mending {
        let asked = json!({"kind": kind, "subjects": subjects, "reason": "a test"});
        let preview = server
            .post(Role::Steward, "/v1/decisions?preview=1", &asked)
            .await;
        assert_eq!(
            preview.json["changes"],
            json!([]),
            "{kind}: {}",
            preview.text
        );
        let notes = preview.json["notes"].as_array().unwrap();
        assert_eq!(notes.len(), 1, "{kind}: {}", preview.text);
        assert_eq!(notes[0]["reason"], reason, "{}", preview.text);
        let es = notes[0]["sentence"]["es"].as_str().unwrap();
        assert!(es.contains(says), "{es}");
        assert!(!notes[0]["sentence"]["en"].as_str().unwrap().is_empty());
    }
    // Carried out it says the same.
    let asked = json!({"kind": "same", "subjects": documents, "reason": "a test"});
    let decided = server.post(Role::Steward, "/v1/decisions", &asked).await;
    assert_eq!(
        decided.json["notes"][0]["reason"], "not_joined",
        "{}",
        decided.text
    );
    let undo = json!({"undoes": decided.json["id"], "reason": "a test"});
    let undone = server.post(Role::Steward, "/v1/decisions", &undo).await;
    assert_eq!(
        undone.json["notes"][0]["reason"], "undoes_nothing",
        "{}",
        undone.text
    );
    // What does all it says has nothing to note.
    let split = server.post(Role::Steward, "/v1/decisions", &apart()).await;
    assert_eq!(split.json["notes"], json!([]), "{}", split.text);
    // Of equal ones each has to be undone.
    for _ in 0..8 {
        server.clock.advance_ms(1);
        let again = server.post(Role::Steward, "/v1/decisions", &apart()).await;
        assert_eq!(again.json["changes"], json!([]), "{}", again.text);
        assert_eq!(again.json["notes"][0]["reason"], "already_apart");
        let undo = json!({"undoes": again.json["id"], "reason": "twice"});
        let undone = server.post(Role::Steward, "/v1/decisions", &undo).await;
        assert_eq!(undone.json["changes"], json!([]), "{}", undone.text);
        let notes = undone.json["notes"].as_array().unwrap();
        let reasons: Vec<&str> = notes
            .iter()
            .filter_map(|note| note["reason"].as_str())
            .collect();
        assert_eq!(reasons, ["undoes_nothing", "still_decided"]);
    }
    let undo = json!({"undoes": split.json["id"], "reason": "one person"});
    let undone = server.post(Role::Steward, "/v1/decisions", &undo).await;
    assert_eq!(
        undone.json["changes"].as_array().unwrap().len(),
        1,
        "{}",
        undone.text
    );
    assert_eq!(undone.json["notes"], json!([]), "{}", undone.text);
    server.close().await;
}

#[tokio::test]
async fn a_decision_that_overturns_an_earlier_one_says_so() {
    let person = |number: u8, document: Option<&str>| {
        json!({"type": "identify", "messageId": format!("m{number}"), "timestamp": "2026-03-01T00:00:00Z",
            "traits": {"email": format!("s{number}@example.org"), "nationalId": document}})
    };
    let same = |(one, other): (u8, u8)| json!({"kind": "same", "subjects": [format!("email:s{one}@example.org"), format!("email:s{other}@example.org")], "reason": "a test"});
    // The same one of two that cannot both hold does, whichever came first.
    let mut told = Vec::new();
    for order in [[(2, 3), (1, 2)], [(1, 2), (2, 3)]] {
        let server = Server::start().await;
        let events = [
            person(1, Some("10000013G")),
            person(2, None),
            person(3, Some("10000014M")),
        ];
        server.capture(WEB, &events).await;
        let [first, second] = order.map(same);
        let decided = server.post(Role::Steward, "/v1/decisions", &first).await;
        assert_eq!(decided.json["notes"], json!([]), "{}", decided.text);
        server.clock.advance_ms(1);
        let preview = server
            .post(Role::Steward, "/v1/decisions?preview=1", &second)
            .await;
        let decided = server.post(Role::Steward, "/v1/decisions", &second).await;
        assert_eq!(preview.json["notes"], decided.json["notes"]);
        assert_eq!(decided.json["notes"].as_array().map(Vec::len), Some(1));
        let note = &decided.json["notes"][0];
        told.push(note["reason"].as_str().unwrap().to_owned());
    }
    told.sort();
    assert_eq!(told, ["not_joined", "overturned"]);
}
