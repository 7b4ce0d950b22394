//! Customers without a common identifier: linked, asked about, answered, explained.

use std::sync::Arc;

use serde_json::{Value, json};
use trenza_shared::{identity::Rules, store::MemStore};

use crate::{
    evidence::replay,
    tables::Role,
    testing::{CORE, Server, WEB},
};

fn ana(message: &str, birthday: &str, contact: Value) -> Value {
    let mut traits = json!({"firstName": "Ana", "lastName": "Bordils Amengual", "birthday": birthday,
        "address": {"street": "Calle Mayor 5", "city": "Soria", "postalCode": "42001"}});
    for (key, value) in contact.as_object().unwrap() {
        traits[key] = value.clone();
    }
    json!({"type": "identify", "messageId": message, "timestamp": "2026-03-01T00:00:00Z", "traits": traits})
}

async fn id_of(server: &Server, identifier: &str) -> String {
    let path = format!("/v1/customers?identifier={identifier}");
    let found = server.get(Role::Steward, &path).await;
    let customers = found.json["customers"].as_array().unwrap();
    assert_eq!(customers.len(), 1, "{}", found.text);
    customers[0]["id"].as_str().unwrap().to_owned()
}

/// What a replay gives is what is stored.
fn assert_replays(server: &Server) {
    let fresh = MemStore::new();
    let verified = trenza_shared::store::snapshot(&*server.app.store, |view| {
        replay::verify_in(view, &server.app.applier, &fresh)
    });
    assert_eq!(verified.unwrap().unwrap().difference, None);
}

#[tokio::test]
async fn two_sources_without_a_common_identifier_are_one_customer_and_why() {
    let server = Server::start().await;
    let web = ana(
        "w1",
        "1980-05-12",
        json!({"email": "ana.bordils@example.org"}),
    );
    server.capture(WEB, &[web]).await;
    let core = ana("c1", "1980-05-12", json!({"accountId": "ES-0007"}));
    server.capture(CORE, &[core]).await;
    let id = id_of(&server, "email:ana.bordils@example.org").await;
    assert_eq!(id, id_of(&server, "accountId:ES-0007").await);
    let timeline = server
        .get(Role::Steward, &format!("/v1/customers/{id}/timeline"))
        .await;
    assert_eq!(timeline.json["events"].as_array().unwrap().len(), 2);
    let path = "/v1/why?from=email:ana.bordils@example.org&to=accountId:ES-0007";
    let why = server.get(Role::Steward, path).await;
    assert_eq!(why.json["linked"], true, "{}", why.text);
    let matched = &why.json["steps"][0]["match"];
    assert!(matched["bits"].as_f64().unwrap() >= 11.0, "{}", why.text);
    assert_eq!(matched["terms"][2]["field"], "birth", "{}", why.text);
    let says = why.json["sentence"]["es"].as_str().unwrap();
    assert!(says.contains("la misma fecha de nacimiento"), "{says}");
    let feed = server.get(Role::Reader, "/v1/changes").await;
    let changes = feed.json["changes"].as_array().unwrap();
    let told: Vec<&str> = changes
        .iter()
        .filter_map(|one| one["type"].as_str())
        .collect();
    assert_eq!(
        told,
        ["customer.created", "customer.updated"],
        "{}",
        feed.text
    );
    let review = server.get(Role::Reader, "/v1/review").await;
    assert_eq!(review.json, json!({"questions": [], "next": null}));
    assert_replays(&server);
    server.close().await;
}

#[tokio::test]
async fn other_rules_make_everything_anew_when_the_server_starts() {
    let store = Arc::new(MemStore::new());
    let rules = |version, on| {
        let mut rules = Rules {
            version,
            ..Rules::default()
        };
        rules.matching.on = on;
        rules
    };
    let events = [
        ana(
            "w1",
            "1980-05-12",
            json!({"email": "ana.bordils@example.org"}),
        ),
        ana("w2", "1980-05-12", json!({"accountId": "ES-0007"})),
    ];
    for (version, on) in [(2, false), (3, true), (4, false)] {
        let server = Server::ruled(store.clone(), Some(rules(version, on))).await;
        let mut going = server.app.publisher.going();
        going.wait_for(Option::is_none).await.unwrap();
        assert_eq!(server.app.applier.rules.now().version, version);
        // What came before is applied before what comes now, the third time to the same result.
        server.capture(WEB, &events).await;
        let ids = (
            id_of(&server, "email:ana.bordils@example.org").await,
            id_of(&server, "accountId:ES-0007").await,
        );
        assert_eq!(ids.0 == ids.1, on);
        assert_replays(&server);
        server.close().await;
    }
}

#[tokio::test]
async fn a_question_about_a_record_without_a_value_of_its_own_is_decided_too() {
    let server = Server::start().await;
    // One telephone of two who contradict each other, and a third record that holds nothing else.
    let of = |message: &str, name: &str, birthday: &str, contact: Value| {
        let mut event = ana(message, birthday, contact);
        event["traits"]["firstName"] = json!(name);
        event["traits"]["address"] = json!({"city": "Soria"});
        event
    };
    let phone = "600111222";
    let holders = [
        of(
            "r1",
            "Xesqueta",
            "1980-05-12",
            json!({"phone": phone, "nationalId": "12345678Z"}),
        ),
        of(
            "r2",
            "Bartomeu",
            "1950-01-02",
            json!({"phone": phone, "nationalId": "87654321X"}),
        ),
    ];
    server.capture(CORE, &holders).await;
    let third = of(
        "r3@example.org",
        "Xesqueta",
        "1980-05-17",
        json!({ "phone": phone }),
    );
    server.capture(WEB, &[third]).await;
    let review = server.get(Role::Steward, "/v1/review").await;
    let questions = review.json["questions"].as_array().unwrap();
    assert_eq!(questions.len(), 1, "{}", review.text);
    let subjects = questions[0]["subjects"].as_array().unwrap().clone();
    let named = |of: &str| {
        let texts = subjects.iter().filter_map(Value::as_str);
        texts.filter(|text| text.starts_with(of)).count()
    };
    assert_eq!(
        (named("nationalId:"), named("customer:c_")),
        (1, 1),
        "{}",
        review.text
    );
    assert!(!review.text.contains("fp_"), "{}", review.text);
    // Asked about as it is called here, and told to who sees no values without what its sender called the event.
    let by_id = subjects.iter().filter_map(Value::as_str);
    let by_id = by_id.filter(|text| text.starts_with("customer:"));
    for subject in by_id {
        let path = format!("/v1/why?from={subject}&to=nationalId:12345678Z");
        let why = server.get(Role::Reader, &path).await;
        assert_eq!(why.json["linked"], false, "{}", why.text);
        let id = subject.trim_start_matches("customer:");
        let path = format!("/v1/customers/{id}/timeline");
        let timeline = server.get(Role::Reader, &path).await;
        assert_eq!(timeline.json["events"][0]["messageId"], "***");
        let chain = format!("/v1/customers/{id}/why?from=phone:600111222&to=phone:600111222");
        let why = server.get(Role::Reader, &chain).await;
        assert_eq!(why.json["linked"], true, "{}", why.text);
        for said in [&why.text, &timeline.text] {
            assert!(!said.contains("r3@") && !said.contains("600"), "{said}");
        }
    }

    let answer = json!({"kind": "same", "subjects": subjects, "reason": "asked at the desk"});
    let preview = server
        .post(Role::Steward, "/v1/decisions?preview=1", &answer)
        .await;
    assert_eq!(
        preview.json["changes"][0]["type"], "customer.merged",
        "{}",
        preview.text
    );
    let decided = server.post(Role::Steward, "/v1/decisions", &answer).await;
    assert_eq!(decided.status, 200, "{}", decided.text);
    let whole = server
        .get(
            Role::Steward,
            "/v1/customers?identifier=nationalId:12345678Z",
        )
        .await;
    let record = &whole.json["customers"][0]["counters"]["type.identify"];
    assert_eq!(record, 2, "{}", whole.text);
    let list = server.get(Role::Reader, "/v1/decisions").await;
    let told = list.json["decisions"][0]["subjects"].to_string();
    assert!(
        told.contains("customer:c_") && !list.text.contains("fp_"),
        "{}",
        list.text
    );
    let left = server.get(Role::Steward, "/v1/review").await;
    assert_eq!(left.json["questions"], json!([]), "{}", left.text);
    assert_replays(&server);

    let undo = json!({"undoes": decided.json["id"], "reason": "it was her sister"});
    server.post(Role::Steward, "/v1/decisions", &undo).await;
    let not = json!({"kind": "not_same", "subjects": subjects, "reason": "it was her sister"});
    let decided = server.post(Role::Steward, "/v1/decisions", &not).await;
    assert_eq!(decided.status, 200, "{}", decided.text);
    let left = server.get(Role::Steward, "/v1/review").await;
    assert_eq!(left.json["questions"], json!([]), "{}", left.text);
    assert_replays(&server);

    let wrong = [
        ("same", "customer:c_00000000000000000000000000000000", 404),
        ("same", "customer:nobody", 400),
    ];
    let of_record = subjects.iter().filter_map(Value::as_str);
    let of_record = of_record.filter(|text| text.starts_with("customer:"));
    let shared = of_record.map(|text| ("shared_identifier", text, 400));
    for (kind, subject, status) in wrong.into_iter().chain(shared) {
        let mut named = vec![subject];
        if kind == "same" {
            named.push("phone:600111222");
        }
        let asked = json!({"kind": kind, "subjects": named, "reason": "try"});
        let answer = server.post(Role::Steward, "/v1/decisions", &asked).await;
        assert_eq!(answer.status, status, "{subject}: {}", answer.text);
    }
    server.close().await;
}

#[tokio::test]
async fn a_near_one_is_a_question_that_a_decision_answers() {
    let server = Server::start().await;
    let asked = ["same", "not_same", "household"];
    for (nth, kind) in asked.into_iter().enumerate() {
        let (first, second) = (format!("a{nth}@example.org"), format!("6001112{nth}2"));
        let mut web = ana(&format!("w{nth}"), "1980-05-12", json!({"email": first}));
        let mut core = ana(&format!("c{nth}"), "1980-05-17", json!({"phone": second}));
        let name = ["Xesqueta", "Bartomeu", "Wistremundo"][nth];
        for event in [&mut web, &mut core] {
            event["traits"]["firstName"] = json!(name);
            event["traits"]["address"] = json!({"city": "Soria"});
        }
        server.capture(WEB, &[web]).await;
        server.capture(CORE, &[core]).await;
        let review = server.get(Role::Steward, "/v1/review?limit=1").await;
        let questions = review.json["questions"].as_array().unwrap();
        assert_eq!(questions.len(), 1, "{}", review.text);
        let bits = questions[0]["match"]["bits"].as_f64().unwrap();
        assert!((0.0..11.0).contains(&bits), "{}", review.text);
        let masked = server.get(Role::Reader, "/v1/review").await;
        assert!(
            !masked.text.contains(&first)
                && !masked.text.contains("Bordils")
                && !masked.text.contains("1980-05"),
            "{}",
            masked.text
        );
        let of = |field: &str| {
            let fields = questions[0]["compared"].as_array().unwrap();
            fields.iter().find(|one| one["field"] == field).cloned()
        };
        let birth = of("birth").unwrap();
        let mut days: Vec<&str> = birth["values"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|one| one[0].as_str())
            .collect();
        days.sort_unstable();
        assert_eq!(days, ["1980-05-12", "1980-05-17"]);
        assert_eq!(birth["verdict"], "nearly", "{}", review.text);
        assert_eq!(of("given").unwrap()["values"], json!([[name], [name]]));
        assert_eq!(of("email").unwrap()["verdict"], "missing");
        assert_eq!(of("gender"), None);
        let subjects = &questions[0]["subjects"];
        assert_eq!(subjects.as_array().unwrap().len(), 2);
        let answer = json!({"kind": kind, "subjects": subjects, "reason": "asked at the desk"});
        let decided = server.post(Role::Steward, "/v1/decisions", &answer).await;
        assert_eq!(decided.status, 200, "{}", decided.text);
        let left = server.get(Role::Steward, "/v1/review").await;
        assert_eq!(left.json["questions"], json!([]), "{}", left.text);
        // To repeat it changes nothing, and that is told.
        server.clock.advance_ms(1);
        let again = server.post(Role::Steward, "/v1/decisions", &answer).await;
        assert_eq!(again.json["changes"], json!([]), "{}", again.text);
        let told = ["already_one", "already_apart", "already_household"][nth];
        assert_eq!(again.json["notes"][0]["reason"], told, "{}", again.text);
        let (one, other) = (
            id_of(&server, &format!("email:{first}")).await,
            id_of(&server, &format!("phone:{second}")).await,
        );
        assert_eq!(one == other, kind == "same");
    }
    assert_replays(&server);
    server.close().await;
}

#[tokio::test]
async fn questions_are_paged_the_surest_first_and_a_wrong_cursor_is_refused() {
    let server = Server::start().await;
    for (nth, name) in ["Xesqueta", "Bartomeu", "Guillem"].into_iter().enumerate() {
        for (source, birthday) in [(WEB, "1980-05-12"), (CORE, "1980-05-17")] {
            let contact = json!({"email": format!("{source}{}@example.org", nth * 71)});
            let mut event = ana(&format!("{source}-{nth}"), birthday, contact);
            event["traits"]["firstName"] = json!(name);
            event["traits"]["lastName"] = json!(["Bordils Amengual", "Fiol", "Oms Rosselló"][nth]);
            event["traits"]["address"] = json!({"city": "Soria"});
            server.capture(source, &[event]).await;
        }
    }
    let mut path = "/v1/review?limit=1".to_owned();
    let mut bits = Vec::new();
    loop {
        let page = server.get(Role::Steward, &path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        for question in page.json["questions"].as_array().unwrap() {
            bits.push(question["match"]["bits"].as_f64().unwrap());
        }
        let Some(next) = page.json["next"].as_str() else {
            break;
        };
        path = format!("/v1/review?limit=1&after={next}");
    }
    assert_eq!(bits.len(), 3, "{bits:?}");
    assert!(bits.is_sorted_by(|one, other| one >= other), "{bits:?}");
    let wrong = server.get(Role::Steward, "/v1/review?after=12").await;
    assert_eq!(
        (wrong.status.as_u16(), wrong.json["code"].as_str()),
        (400, Some("bad_cursor")),
        "{}",
        wrong.text
    );
    server.close().await;
}

#[tokio::test]
async fn who_may_live_together_is_listed_with_the_reason_until_somebody_decides() {
    let server = Server::start().await;
    let lives = |message: &str, first: &str, last: &str, street: &str, phone: &str| {
        json!({"type": "identify", "messageId": message, "timestamp": "2026-03-01T10:00:00Z", "traits": {
            "firstName": first, "lastName": last, "email": format!("{message}@example.org"), "phone": phone,
            "address": {"street": street, "postalCode": "28012"}}})
    };
    let events = [
        lives(
            "carmen",
            "Carmen",
            "Vidal Ríos",
            "Calle del Olmo 14",
            "913456789",
        ),
        lives("jorge", "Jorge", "Lara Gil", "Calle Mayor 3", "913456789"),
        lives(
            "nora",
            "Nora",
            "Lara Vidal",
            "Calle del Olmo 14",
            "600111222",
        ),
    ];
    server.capture(WEB, &events).await;
    let all = server.get(Role::Steward, "/v1/review/homes").await;
    let homes = all.json["homes"].as_array().unwrap();
    let because: Vec<&Value> = homes.iter().map(|home| &home["because"][0]).collect();
    let address =
        json!({"kind": "address", "address": "Calle del Olmo 14, 28012", "surnames": ["Vidal"]});
    let landline = json!({"kind": "landline", "phone": "+34913456789"});
    assert_eq!(homes.len(), 2, "{}", all.text);
    assert!(
        because.contains(&&address) && because.contains(&&landline),
        "{}",
        all.text
    );
    // The same, one after the other.
    let mut path = "/v1/review/homes?limit=1".to_owned();
    let mut paged = Vec::new();
    loop {
        let page = server.get(Role::Steward, &path).await;
        paged.extend(page.json["homes"].as_array().unwrap().iter().cloned());
        let Some(next) = page.json["next"].as_str() else {
            break;
        };
        path = format!("/v1/review/homes?limit=1&after={next}");
    }
    assert_eq!(&paged, homes);
    let masked = server.get(Role::Reader, "/v1/review/homes").await;
    for hidden in ["Vidal", "Olmo", "3456789", "carmen@"] {
        assert!(!masked.text.contains(hidden), "{hidden}: {}", masked.text);
    }
    for home in homes {
        let answer = json!({"kind": "household", "subjects": home["subjects"], "reason": "asked"});
        let decided = server.post(Role::Steward, "/v1/decisions", &answer).await;
        assert_eq!(decided.status, 200, "{}", decided.text);
    }
    let left = server.get(Role::Steward, "/v1/review/homes").await;
    assert_eq!(left.json, json!({"homes": [], "next": null}));
    let wrong = server.get(Role::Steward, "/v1/review/homes?after=12").await;
    assert_eq!(wrong.json["code"], "bad_cursor", "{}", wrong.text);
    server.close().await;
}
