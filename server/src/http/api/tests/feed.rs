use serde_json::{Value, json};

use crate::{
    tables::Role,
    testing::{Server, WEB},
};

fn page(message: &str, user: &str) -> Value {
    json!({"type": "page", "messageId": message, "userId": user, "timestamp": "2026-03-01T00:00:00Z"})
}

#[tokio::test]
async fn the_feed_tells_every_change_once_in_order() {
    let server = Server::start().await;
    server.capture(WEB, &[page("m1", "a")]).await;
    server.capture(WEB, &[page("m2", "b")]).await;
    server.capture(WEB, &[json!({"type": "identify", "messageId": "m3", "userId": "a", "traits": {"userId": "b"}, "timestamp": "2026-03-01T00:00:00Z"})]).await;
    server.capture(WEB, &[page("m4", "a")]).await;
    let all = server.get(Role::Reader, "/v1/changes").await.json;
    let told: Vec<(&str, &str)> = all["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            (
                change["id"].as_str().unwrap(),
                change["type"].as_str().unwrap(),
            )
        })
        .collect();
    let kinds: Vec<&str> = told.iter().map(|(_, kind)| *kind).collect();
    assert_eq!(
        kinds[..2],
        ["customer.created", "customer.created"],
        "{all}"
    );
    let mut after = "0".to_owned();
    let mut one_by_one = Vec::new();
    loop {
        let page = server
            .get(Role::Reader, &format!("/v1/changes?limit=1&after={after}"))
            .await
            .json;
        after = page["next"].as_str().unwrap().to_owned();
        match page["changes"].as_array().unwrap().first() {
            Some(change) => one_by_one.push(change.clone()),
            None => break,
        }
    }
    assert_eq!(Value::Array(one_by_one), all["changes"]);
    assert_eq!(all["next"], after.as_str());
    server.close().await;
}

#[tokio::test]
async fn whoever_waits_is_told_of_an_event_and_of_a_decision() {
    let server = Server::start().await;
    let waiting = server.get(Role::Reader, "/v1/changes?wait_s=60");
    let capturing = async {
        server
            .capture(WEB, &[page("m1", "a"), page("m2", "b")])
            .await
    };
    let (told, _) = tokio::join!(waiting, capturing);
    assert_eq!(
        told.json["changes"].as_array().unwrap().len(),
        2,
        "{}",
        told.text
    );
    let after = told.json["next"].as_str().unwrap().to_owned();

    let path = format!("/v1/changes?wait_s=60&after={after}");
    let waiting = server.get(Role::Reader, &path);
    let same = json!({"kind": "same", "subjects": ["userId:a", "userId:b"], "reason": "one login was renamed"});
    let (told, decided) = tokio::join!(waiting, server.post(Role::Steward, "/v1/decisions", &same));
    assert_eq!(decided.status, 200);
    assert_eq!(
        told.json["changes"][0]["type"], "customer.merged",
        "{}",
        told.text
    );
    server.close().await;
}

#[tokio::test]
async fn nothing_new_answers_at_once_when_nobody_waits() {
    let server = Server::start().await;
    let answer = server.get(Role::Reader, "/v1/changes?after=41").await;
    assert_eq!(answer.json, json!({"changes": [], "next": "41"}));
    server.close().await;
}

#[tokio::test]
async fn whoever_waits_is_let_go_when_the_server_stops() {
    let server = Server::start().await;
    let waiting = server.get(Role::Reader, "/v1/changes?wait_s=60&after=7");
    let stopping = async { server.app.draining.send_replace(true) };
    let (told, _) = tokio::join!(waiting, stopping);
    assert_eq!(told.json, json!({"changes": [], "next": "7"}));
    server.close().await;
}
