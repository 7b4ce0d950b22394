//! Why and why not: by which rule, what speaks against it, what the rules leave out, and names as they were written.

use std::sync::Arc;

use serde_json::{Value, json};
use trenza_shared::{
    identifier::Kind,
    identity::{Class, KindRule, Rules},
};

use crate::{
    tables::Role,
    testing::{Server, WEB},
};

fn seen(message: &str, day: u32, traits: Value) -> Value {
    json!({"type": "identify", "messageId": message, "timestamp": format!("2026-03-{day:02}T10:00:00Z"), "traits": traits})
}

async fn asked(server: &Server, role: Role, from: &str, to: &str) -> Value {
    let path = format!("/v1/why?from={from}&to={to}");
    let answer = server.get(role, &path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json
}

fn says(answer: &Value, es: &str, en: &str) {
    for (lang, part) in [("es", es), ("en", en)] {
        let said = answer["sentence"][lang].as_str().unwrap();
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn a_chain_names_the_rule_of_each_step_and_the_version_of_the_rules() {
    let server = Server::start().await;
    let events = [
        seen(
            "m1",
            1,
            json!({"email": "ana@example.org", "badgeId": "B-0001"}),
        ),
        seen(
            "m2",
            2,
            json!({"email": "ana@example.org", "phone": "600111222"}),
        ),
    ];
    server.capture(WEB, &events).await;
    let why = asked(&server, Role::Steward, "badgeId:B-0001", "phone:600111222").await;
    assert_eq!(why["linked"], true);
    let mail = json!({"kind": "email", "class": "shareable", "window_days": null, "facet": null, "links": true});
    let end = |kind: &str, class: &str| json!({"kind": kind, "class": class, "window_days": null, "facet": null, "links": false});
    assert_eq!(
        why["steps"][0]["rule"],
        json!({"by": "event", "from": end("badgeId", "owned"), "to": mail})
    );
    assert_eq!(
        why["steps"][1]["rule"],
        json!({"by": "event", "from": mail, "to": end("phone", "shareable")})
    );
    let in_force = server.get(Role::Steward, "/v1/rules").await.json["in_force"].clone();
    assert_eq!(
        (&why["rules_version"], &why["competing"]),
        (&in_force, &json!([]))
    );
    says(
        &why,
        "El correo ana@example.org une porque sus usuarios no son demasiados ni se contradicen. Así lo dicen las reglas en su versión 1.",
        "The e-mail ana@example.org links because those who use it are not too many and do not contradict each other. So say the rules in version 1.",
    );
    let other = asked(&server, Role::Steward, "phone:600111222", "phone:600999888").await;
    assert_eq!(
        (
            &other["linked"],
            &other["rules_version"],
            &other["competing"]
        ),
        (&json!(false), &in_force, &json!([]))
    );
    let same = json!({"kind": "same", "subjects": ["badgeId:B-0001", "phone:600111222"], "reason": "a test"});
    server.post(Role::Steward, "/v1/decisions", &same).await;
    let decided = asked(&server, Role::Steward, "badgeId:B-0001", "phone:600111222").await;
    assert_eq!(decided["steps"][0]["rule"], json!({"by": "decision"}));
    server.close().await;
}

#[tokio::test]
async fn others_who_hold_a_value_of_the_chain_are_named_to_whoever_asks() {
    let server = Server::start().await;
    let events = [
        seen(
            "m1",
            1,
            json!({"nationalId": "12345678Z", "phone": "600111222"}),
        ),
        seen(
            "m2",
            2,
            json!({"nationalId": "87654321X", "phone": "600111222"}),
        ),
    ];
    server.capture(WEB, &events).await;
    let (from, to) = ("nationalId:12345678Z", "phone:600111222");
    let why = asked(&server, Role::Steward, from, to).await;
    assert_eq!(why["linked"], true, "{why}");
    let other = server
        .get(
            Role::Steward,
            "/v1/customers?identifier=nationalId:87654321X",
        )
        .await;
    let [held] = &why["competing"].as_array().unwrap()[..] else {
        panic!("{why}")
    };
    assert_eq!(
        (
            &held["reason"],
            &held["value"],
            &held["count"],
            &held["more"],
            &held["why"]
        ),
        (
            &json!("held"),
            &json!("phone:+34600111222"),
            &json!(1),
            &json!(false),
            &json!("contradiction")
        )
    );
    assert_eq!(held["customers"], json!([other.json["customers"][0]["id"]]));
    assert_eq!(held["against"]["reason"], "exclusive");
    says(
        &why,
        "El teléfono +34600111222 está también en otra ficha: quienes lo usan se contradicen (el DNI 12345678Z y el DNI 87654321X).",
        "The phone +34600111222 is also in one other record: those who use it contradict each other",
    );
    let masked = asked(&server, Role::Reader, from, to).await;
    assert_eq!(masked["competing"][0]["count"], 1);
    for secret in ["600111222", "12345678", "87654321"] {
        assert!(!masked.to_string().contains(secret), "{secret} in {masked}");
    }
    server.close().await;
}

#[tokio::test]
async fn names_and_dates_inside_one_customer_that_do_not_fit_speak_against_it() {
    let server = Server::start().await;
    let events = [
        seen(
            "m1",
            1,
            json!({"email": "ana@example.org", "firstName": "Ana", "lastName": "García", "birthday": "1980-05-12"}),
        ),
        seen(
            "m2",
            2,
            json!({"email": "luis@example.org", "firstName": "LUIS", "lastName": "Núñez", "birthday": "1979-01-01"}),
        ),
    ];
    server.capture(WEB, &events).await;
    let (from, to) = ("email:ana@example.org", "email:luis@example.org");
    let same = json!({"kind": "same", "subjects": [from, to], "reason": "a test"});
    server.post(Role::Steward, "/v1/decisions", &same).await;
    let why = asked(&server, Role::Steward, from, to).await;
    assert_eq!(why["linked"], true, "{why}");
    let reasons: Vec<&Value> = why["competing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["reason"])
        .collect();
    assert_eq!(reasons, ["names", "birthdays"]);
    assert_eq!(
        why["competing"][1]["values"],
        json!(["1979-01-01", "1980-05-12"])
    );
    says(
        &why,
        "Los nombres Ana García y LUIS Núñez no parecen de la misma persona. Hay fechas de nacimiento distintas: 1979-01-01 y 1980-05-12.",
        "The names Ana García and LUIS Núñez do not look like one person's.",
    );
    let masked = asked(&server, Role::Reader, from, to).await.to_string();
    for secret in ["García", "Núñez", "1979", "1980"] {
        assert!(!masked.contains(secret), "{secret} in {masked}");
    }
    server.close().await;
}

#[tokio::test]
async fn names_that_keep_two_apart_are_told_as_either_record_wrote_them() {
    let server = Server::start().await;
    let named = |message: &str, mail: &str, first: &str, last: &str| {
        seen(
            message,
            1,
            json!({"email": mail, "phone": "600111222", "firstName": first, "lastName": last}),
        )
    };
    let events = [
        named("m1", "jose@example.org", "José", "García"),
        named("m2", "ana@example.org", "Ana", "Ibáñez"),
        seen(
            "m3",
            3,
            json!({"email": "jose@example.org", "lastName": "GARCIA"}),
        ),
    ];
    server.capture(WEB, &events).await;
    let (from, to) = ("email:jose@example.org", "email:ana@example.org");
    let why = asked(&server, Role::Steward, from, to).await;
    assert_eq!(why["linked"], false, "{why}");
    assert_eq!(
        why["apart"][0]["values"],
        json!(["Ana Ibáñez", "José García"])
    );
    says(
        &why,
        "Los nombres Ana Ibáñez y José García no pueden ser de la misma persona.",
        "The names Ana Ibáñez and José García cannot be the same person's.",
    );
    let same =
        json!({"kind": "same", "subjects": [from, "phone:600111222", to], "reason": "a test"});
    let noted = server
        .post(Role::Steward, "/v1/decisions?preview=1", &same)
        .await;
    assert!(!noted.text.contains("Garcia"), "{}", noted.text);
    server.close().await;
}

#[tokio::test]
async fn what_the_rules_leave_out_is_not_said_to_be_nobodys() {
    let server = Server::start().await;
    let mut rules = Rules::default();
    rules.blocked.insert(Kind::Email, "info@*");
    let blocked = KindRule {
        class: Class::Blocked,
        ..KindRule::of(Kind::Phone)
    };
    rules.kinds.insert(Kind::Phone, blocked);
    server.app.applier.rules.replace(Arc::new(rules));
    let events = [seen(
        "m1",
        1,
        json!({"email": "info@acme.es", "badgeId": "B-0001", "phone": "600111222"}),
    )];
    server.capture(WEB, &events).await;
    for (value, stored, by, es, en) in [
        (
            "email:info@acme.es",
            "email:info@acme.es",
            "list",
            "Las reglas dejan fuera el correo info@acme.es: está en la lista de valores bloqueados",
            "The rules leave the e-mail info@acme.es out: it is on the list of blocked values",
        ),
        (
            "phone:600111222",
            "phone:+34600111222",
            "kind",
            "Las reglas dejan fuera el teléfono +34600111222: ningún dato de esa clase es prueba de nada.",
            "The rules leave the phone +34600111222 out: no value of its kind is evidence of anything.",
        ),
    ] {
        let why = asked(&server, Role::Steward, "badgeId:B-0001", value).await;
        assert_eq!(
            why["apart"],
            json!([{"reason": "blocked", "value": stored, "by": by}])
        );
        says(&why, es, en);
        let same =
            json!({"kind": "same", "subjects": ["badgeId:B-0001", value], "reason": "a test"});
        let noted = server
            .post(Role::Steward, "/v1/decisions?preview=1", &same)
            .await;
        let [note] = &noted.json["notes"].as_array().unwrap()[..] else {
            panic!("{}", noted.text)
        };
        assert_eq!(note["reason"], "blocked_value");
        says(note, es, en);
        says(
            note,
            "Mientras sea así, la decisión no hace nada",
            "While that is so, the decision does nothing",
        );
    }
    let nobody = asked(
        &server,
        Role::Steward,
        "badgeId:B-0001",
        "email:other@acme.es",
    )
    .await;
    assert_eq!(nobody["apart"][0]["reason"], "unknown");
    server.close().await;
}

#[tokio::test]
async fn two_ids_of_one_customer_are_the_same_customer() {
    let server = Server::start().await;
    let event = seen("m1", 1, json!({"email": "ana@example.org"}));
    server.capture(WEB, &[event]).await;
    let found = server
        .get(
            Role::Steward,
            "/v1/customers?identifier=email:ana@example.org",
        )
        .await;
    let id = found.json["customers"][0]["id"].as_str().unwrap();
    let why = asked(&server, Role::Steward, id, id).await;
    assert_eq!(why["sentence"]["es"], "Es el mismo cliente.");
    let value = asked(
        &server,
        Role::Steward,
        "email:ana@example.org",
        "email:ana@example.org",
    )
    .await;
    assert_eq!(value["sentence"]["es"], "Es el mismo dato.");
    server.close().await;
}
