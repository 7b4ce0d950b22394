//! People who were parted, and events that are nobody's alone.

use serde_json::{Value, json};

use super::decisions::customer;
use crate::{
    tables::Role,
    testing::{Server, WEB},
};

/// What an event with these traits or this visitor id says about the newsletter.
fn said(message: &str, who: Value, granted: bool) -> Value {
    let mut event = json!({"type": "identify", "messageId": message, "timestamp": "2026-03-04T00:00:00Z",
        "context": {"trenza": {"consent": {"purpose": "newsletter", "channel": "email", "granted": granted}}}});
    for (name, value) in who.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

async fn newsletter(server: &Server, identifier: &str) -> (Value, usize) {
    let one = customer(server, identifier).await;
    let beside = one["refused_beside"].as_array().map_or(0, Vec::len);
    (one["consents"]["newsletter"]["email"].clone(), beside)
}

#[tokio::test]
async fn after_a_split_what_nobody_alone_refuses_holds_for_both_and_what_it_allows_for_none() {
    let server = Server::start().await;
    // The first two share a device until somebody parts them; the other two a telephone that clashing documents keep from linking.
    let id = |who: &str, national: &str| json!({"traits": {"email": format!("{who}@example.org"), "phone": "600111222", "nationalId": national}});
    let device = |who: &str| json!({"userId": who, "anonymousId": "tablet-0001"});
    let events = [
        said("g1", device("eva"), true),
        said("g2", device("luis"), true),
        said("g3", id("ana", "12345678Z"), true),
        said("g4", id("paz", "87654321X"), true),
    ];
    server.capture(WEB, &events).await;
    let apart = json!({"kind": "not_same", "subjects": ["userId:eva", "userId:luis"], "reason": "A couple"});
    let decided = server.post(Role::Steward, "/v1/decisions", &apart).await;
    assert_eq!(decided.status, 200, "{}", decided.text);
    let all = [
        "userId:eva",
        "userId:luis",
        "email:ana@example.org",
        "email:paz@example.org",
    ];
    for one in all {
        assert_eq!(
            newsletter(&server, one).await,
            (json!("granted"), 0),
            "{one}"
        );
    }
    let before = server.get(Role::Reader, "/v1/changes").await;
    let next = before.json["next"].clone();
    let events = [
        said("r1", json!({"anonymousId": "tablet-0001"}), false),
        said("r2", json!({"traits": {"phone": "600111222"}}), false),
    ];
    server.capture(WEB, &events).await;
    let mut ids = Vec::new();
    for one in all {
        assert_eq!(
            newsletter(&server, one).await,
            (json!("denied"), 1),
            "{one}"
        );
        ids.push(customer(&server, one).await["id"].clone());
    }
    // Whoever follows the changes hears of all four.
    let path = format!(
        "/v1/changes?after={}",
        next.as_str()
            .map_or_else(|| next.to_string(), str::to_owned)
    );
    let feed = server.get(Role::Reader, &path).await;
    let told: Vec<&Value> = feed.json["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["customer"])
        .collect();
    assert!(ids.iter().all(|id| told.contains(&id)), "{}", feed.text);
    // A grant of nobody alone lifts nothing; one of their own that knows of it does.
    server
        .capture(
            WEB,
            &[said("r3", json!({"traits": {"phone": "600111222"}}), true)],
        )
        .await;
    assert_eq!(newsletter(&server, all[2]).await, (json!("denied"), 1));
    // Without the decision the device's refusal is the one customer's own.
    let undone = json!({"undoes": decided.json["id"], "reason": "They are one"});
    let undone = server.post(Role::Steward, "/v1/decisions", &undone).await;
    assert_eq!(undone.status, 200, "{}", undone.text);
    assert_eq!(
        newsletter(&server, "userId:eva").await,
        (json!("denied"), 0)
    );
    server.close().await;
}

#[tokio::test]
async fn what_holds_both_of_two_who_were_parted_refuses_for_both_and_allows_for_none() {
    let server = Server::start().await;
    let login = json!({"userId": "eva"});
    let mail = json!({"traits": {"email": "luis@example.org"}});
    let both = json!({"userId": "eva", "traits": {"email": "luis@example.org"}});
    let mut allows = said("b2", both.clone(), true);
    allows["context"]["trenza"]["consent"]["channel"] = json!("sms");
    let events = [
        said("o1", login, true),
        said("o2", mail, true),
        said("b1", both, false),
        allows,
    ];
    server.capture(WEB, &events).await;
    let halves = ["userId:eva", "email:luis@example.org"];
    let apart = json!({"kind": "not_same", "subjects": halves, "reason": "A couple"});
    let decided = server.post(Role::Steward, "/v1/decisions", &apart).await;
    assert_eq!(decided.json["notes"][0]["reason"], "held_at_once");
    for message in ["o1", "o2"] {
        let event = server
            .get(Role::Steward, &format!("/v1/events/{message}"))
            .await;
        let id = event.json["customer"].as_str().unwrap();
        let one = server
            .get(Role::Steward, &format!("/v1/customers/{id}"))
            .await
            .json;
        let newsletter = json!({"newsletter": {"email": "denied"}});
        assert_eq!(one["consents"], newsletter, "{message}: {one}");
        assert_eq!(
            one["refused_beside"].as_array().map_or(0, Vec::len),
            1,
            "{one}"
        );
    }
    // Asked within either half they are two; the record that holds both explains itself.
    for (message, linked) in [("o1", false), ("o2", false), ("b1", true)] {
        let event = server
            .get(Role::Steward, &format!("/v1/events/{message}"))
            .await;
        let id = event.json["customer"].as_str().unwrap();
        let path = format!("/v1/customers/{id}/why?from={}&to={}", halves[0], halves[1]);
        let why = server.get(Role::Steward, &path).await;
        assert_eq!(why.json["linked"], linked, "{message}: {}", why.text);
    }
    server.close().await;
}

#[tokio::test]
async fn a_preview_shows_the_records_as_they_become_with_what_each_allows() {
    let server = Server::start().await;
    let device = |who: &str| json!({"userId": who, "anonymousId": "tablet-0001"});
    let events = [
        said("g1", device("eva"), true),
        said("g2", device("luis"), false),
        said("g3", json!({"anonymousId": "tablet-0001"}), false),
    ];
    server.capture(WEB, &events).await;
    let apart = json!({"kind": "not_same", "subjects": ["userId:eva", "userId:luis"], "reason": "A couple"});
    let path = "/v1/decisions?preview=1";
    let preview = server.post(Role::Steward, path, &apart).await;
    let results = preview.json["results"].as_array().unwrap();
    let decided = server.post(Role::Steward, "/v1/decisions", &apart).await;
    assert!(decided.json.get("results").is_none(), "{}", decided.text);
    for (who, beside) in [("userId:eva", 1), ("userId:luis", 0)] {
        assert_eq!(
            newsletter(&server, who).await,
            (json!("denied"), beside),
            "{who}"
        );
        let mut one = customer(&server, who).await;
        for belongs in ["accounts", "households"] {
            one.as_object_mut().unwrap().remove(belongs);
        }
        assert!(results.contains(&one), "{one} is not in {}", preview.text);
    }
    server.close().await;
}

#[tokio::test]
async fn what_holds_two_parted_values_at_once_is_told_of_and_does_not_explain_them_as_one() {
    let server = Server::start().await;
    let events = [
        json!({"type": "identify", "messageId": "a", "userId": "ana", "timestamp": "2026-03-01T00:00:00Z", "traits": {"email": "ana@example.org"}}),
        json!({"type": "identify", "messageId": "b", "userId": "eva", "timestamp": "2026-03-01T00:00:00Z", "traits": {"email": "eva@example.org"}}),
        json!({"type": "alias", "messageId": "c", "userId": "ana", "previousId": "eva", "timestamp": "2026-03-02T00:00:00Z"}),
    ];
    server.capture(WEB, &events).await;
    let before = customer(&server, "email:ana@example.org").await;
    assert_eq!(before, customer(&server, "email:eva@example.org").await);
    let path = "/v1/why?from=userId:ana&to=userId:eva";
    assert_eq!(server.get(Role::Steward, path).await.json["linked"], true);
    let apart = json!({"kind": "not_same", "subjects": ["userId:ana", "userId:eva"], "reason": "An alias by mistake"});
    let decided = server.post(Role::Steward, "/v1/decisions", &apart).await;
    assert_eq!(
        decided.json["notes"][0]["reason"], "held_at_once",
        "{}",
        decided.text
    );
    let [ana, eva] = ["email:ana@example.org", "email:eva@example.org"];
    let (ana, eva) = (customer(&server, ana).await, customer(&server, eva).await);
    assert_ne!(ana["id"], eva["id"]);
    let why = server.get(Role::Steward, path).await;
    assert_eq!(why.json["linked"], false, "{}", why.text);
    assert_eq!(why.json["apart"][0]["reason"], "decision", "{}", why.text);
    server.close().await;
}
