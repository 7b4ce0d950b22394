//! Accounts, households and sides of a person through the API.

use serde_json::{Value, json};
use trenza_shared::store::MemStore;

use crate::{
    evidence::replay,
    tables::Role,
    testing::{CORE, Server, WEB},
};

fn member(message: &str, email: &str, group: &str, traits: Value) -> Value {
    json!({"type": "group", "messageId": message, "timestamp": "2026-03-01T10:00:00Z", "groupId": group, "traits": traits,
        "context": {"traits": {"email": email}}})
}

async fn get(server: &Server, path: &str) -> Value {
    let answer = server.get(Role::Steward, path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.json
}

async fn company(server: &Server) -> String {
    let events = [
        member(
            "1",
            "ana@example.org",
            "acme",
            json!({"name": "Talleres Soler", "employees": 12, "role": "Gerente", "decides": true}),
        ),
        member(
            "2",
            "eva@example.org",
            "acme",
            json!({"role": "Compras", "pays": true, "weight": 40, "to": "2026-03-13"}),
        ),
        json!({"type": "group", "messageId": "3", "groupId": "acme", "timestamp": "2026-03-02T10:00:00Z", "traits": {"nationalId": "B12345674"}}),
    ];
    server.capture(WEB, &events).await;
    let found = get(server, "/v1/accounts?q=soler%20tal").await;
    let accounts = found["accounts"].as_array().unwrap();
    assert_eq!(accounts.len(), 1, "{found}");
    accounts[0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_account_shows_who_is_what_today_and_links_nobody() {
    let server = Server::start().await;
    let id = company(&server).await;
    let account = get(&server, &format!("/v1/accounts/{id}")).await;
    assert_eq!(account["name"], "Talleres Soler");
    assert_eq!(account["traits"]["nationalId"]["value"], "B12345674");
    assert_eq!(
        (&account["events"], &account["decider_known"]),
        (&json!(3), &json!(true))
    );
    let members = account["members"].as_array().unwrap();
    assert_eq!(members.len(), 2, "two persons stay two: {account}");
    let eva = members
        .iter()
        .find(|one| one["name"] == "eva@example.org")
        .unwrap();
    let role = &eva["roles"][0];
    assert_eq!(
        (
            &role["role"],
            &role["weight"],
            &role["to"],
            &role["current"]
        ),
        (
            &json!("Compras"),
            &json!(40),
            &json!("2026-03-13"),
            &json!(false)
        )
    );
    let ana = get(&server, "/v1/customers?identifier=email:ana@example.org").await;
    let ana = &ana["customers"][0];
    assert_eq!(ana["accounts"][0]["id"], id.as_str());
    assert_eq!(ana["accounts"][0]["roles"][0]["decides"], true);
    assert_eq!(ana["households"], json!([]));
    // A company's number in a register is found like its name, and is nobody's document.
    let found = get(&server, "/v1/accounts?q=B12345674").await;
    assert_eq!(found["accounts"].as_array().unwrap().len(), 1);
    let nobody = get(&server, "/v1/customers?q=B12345674").await;
    assert_eq!(nobody["customers"], json!([]));
    server.close().await;
}

#[tokio::test]
async fn a_relation_stated_by_a_steward_is_an_event_like_any_other() {
    let server = Server::start().await;
    let id = company(&server).await;
    let asked = json!({"account": id, "person": "email:eva@example.org", "role": "Gerente", "decides": true, "from": "2026-03-01"});
    let refused = server.post(Role::Reader, "/v1/accounts", &asked).await;
    assert_eq!(refused.status, 403);
    let done = server.post(Role::Steward, "/v1/accounts", &asked).await;
    assert_eq!(
        (done.status.as_u16(), &done.json["resolved"]),
        (200, &json!(true)),
        "{}",
        done.text
    );
    assert_eq!(done.json["account"], id.as_str());
    let message = done.json["messageId"].as_str().unwrap();
    let event = get(&server, &format!("/v1/events/{message}")).await;
    assert_eq!(event["state"], "resolved");
    assert_eq!(event["event"]["type"], "group");
    let eva = get(&server, "/v1/customers?identifier=email:eva@example.org").await;
    let roles = eva["customers"][0]["accounts"][0]["roles"].to_string();
    assert!(
        roles.contains("Compras") && roles.contains("Gerente"),
        "{roles}"
    );
    // A replay gives what is stored, what people stated with it.
    let fresh = MemStore::new();
    let verified = trenza_shared::store::snapshot(&*server.app.store, |view| {
        replay::verify_in(view, &server.app.applier, &fresh)
    });
    assert_eq!(verified.unwrap().unwrap().difference, None);
    for (body, status) in [
        (json!({"person": "email:nobody@example.org"}), 404),
        (
            json!({"account": "acc_00000000000000000000000000000000", "person": "email:eva@example.org"}),
            404,
        ),
        (
            json!({"account": id, "person": "email:eva@example.org", "to": "soon"}),
            400,
        ),
        (
            json!({"account": id, "person": "email:eva@example.org", "weight": 101}),
            400,
        ),
        (
            json!({"account": id, "person": "email:eva@example.org", "from": "2026-03-02", "to": "2026-03-01"}),
            400,
        ),
        (
            json!({"person": "email:eva@example.org", "type": "club"}),
            400,
        ),
        (
            json!({"person": "email:eva@example.org", "groupId": "  "}),
            400,
        ),
    ] {
        let answer = server.post(Role::Steward, "/v1/accounts", &body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
    }
    server.close().await;
}

#[tokio::test]
async fn a_household_is_a_group_of_persons_who_stay_persons() {
    let server = Server::start().await;
    let home = |message: &str, email: &str, traits: Value| member(message, email, "h-1", traits);
    let events = [
        home(
            "1",
            "ana@example.org",
            json!({"type": "Household", "name": "Familia Gil", "role": "madre", "pays": true}),
        ),
        home(
            "2",
            "luis@example.org",
            json!({"role": "hijo", "uses": true}),
        ),
    ];
    server.capture(CORE, &events).await;
    let decided = json!({"kind": "household", "subjects": ["email:luis@example.org", "email:abuela@example.org"], "reason": "se sabe"});
    server.capture(WEB, &[json!({"type": "identify", "messageId": "3", "traits": {"email": "abuela@example.org"}})]).await;
    let decision = server.post(Role::Steward, "/v1/decisions", &decided).await;
    assert_eq!(
        decision.json["changes"],
        json!([]),
        "nobody becomes one: {}",
        decision.text
    );
    let luis = get(&server, "/v1/customers?identifier=email:luis@example.org").await;
    let households = luis["customers"][0]["households"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(households.len(), 2, "{luis}");
    let by_decision = households
        .iter()
        .find(|one| !one["decision"].is_null())
        .unwrap();
    assert_eq!(by_decision["decision"], decision.json["id"]);
    assert_eq!(by_decision["name"], "", "the id of a decision is no name");
    let path = format!("/v1/accounts/{}", by_decision["id"].as_str().unwrap());
    let whole = get(&server, &path).await;
    assert_eq!(whole["members"].as_array().unwrap().len(), 2);
    // Whoever pays there is stated like anywhere; the decision and the statement are one household.
    let pays = json!({"account": by_decision["id"], "person": "email:abuela@example.org", "role": "abuela", "pays": true});
    let done = server.post(Role::Steward, "/v1/accounts", &pays).await;
    assert_eq!(done.json["account"], by_decision["id"], "{}", done.text);
    let whole = get(&server, &path).await;
    assert_eq!(whole["members"].as_array().unwrap().len(), 2);
    assert!(whole["members"].to_string().contains("abuela"));
    // A reader sees neither the family's name nor a member's.
    let masked = server.get(Role::Reader, "/v1/accounts?q=familia").await;
    assert_eq!(masked.json["accounts"][0]["name"], "F*** G***");
    let undo = json!({"undoes": decision.json["id"], "reason": "no"});
    server.post(Role::Steward, "/v1/decisions", &undo).await;
    let luis = get(&server, "/v1/customers?identifier=email:luis@example.org").await;
    assert_eq!(
        luis["customers"][0]["households"].as_array().unwrap().len(),
        1
    );
    server.close().await;
}

#[tokio::test]
async fn a_split_takes_the_roles_along() {
    let server = Server::start().await;
    // One phone on both made them one; a decision takes them apart, and with them who is what.
    let with = |message: &str, email: &str, role: &str| {
        let mut event = member(message, email, "acme", json!({"role": role}));
        event["context"]["traits"]["phone"] = "600111222".into();
        event
    };
    server
        .capture(
            WEB,
            &[
                with("1", "ana@example.org", "Gerente"),
                with("2", "luis@example.org", "Compras"),
            ],
        )
        .await;
    let roles = |of: Value| {
        of["customers"][0]["accounts"][0]["roles"]
            .as_array()
            .unwrap()
            .len()
    };
    let ana = "/v1/customers?identifier=email:ana@example.org";
    assert_eq!(roles(get(&server, ana).await), 2);
    let apart = json!({"kind": "not_same", "subjects": ["email:ana@example.org", "email:luis@example.org"], "reason": "son dos"});
    server.post(Role::Steward, "/v1/decisions", &apart).await;
    let ana = get(&server, ana).await;
    assert_eq!(
        ana["customers"][0]["accounts"][0]["roles"][0]["role"],
        "Gerente"
    );
    assert_eq!(roles(ana), 1);
    server.close().await;
}

#[tokio::test]
async fn pages_of_accounts_have_each_once() {
    let server = Server::start().await;
    let events: Vec<Value> = (0..7)
        .map(|n| json!({"type": "group", "messageId": format!("m{n}"), "groupId": format!("g{n}"), "traits": {"name": format!("Uno {n}")}}))
        .collect();
    server.capture(WEB, &events).await;
    for query in ["uno", ""] {
        let mut seen = Vec::new();
        let mut after = String::new();
        for _ in 0..5 {
            let path = format!("/v1/accounts?limit=2&q={query}&after={after}");
            let page = get(&server, &path).await;
            for one in page["accounts"].as_array().unwrap() {
                seen.push(one["groupId"].as_str().unwrap().to_owned());
            }
            match page["next"].as_str() {
                Some(next) => after = next.to_owned(),
                None => break,
            }
        }
        seen.sort();
        assert_eq!(
            seen,
            ["g0", "g1", "g2", "g3", "g4", "g5", "g6"],
            "{query:?}"
        );
    }
    server.close().await;
}
