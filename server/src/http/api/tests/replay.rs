use serde_json::json;
use trenza_shared::store::{Range, View};

use super::investor;
use crate::{
    tables::{DERIVED, Role},
    testing::{Server, WEB, source},
};

type Dump = Vec<(&'static str, Vec<u8>, Vec<u8>)>;

fn dump(view: &dyn View) -> Dump {
    let mut out = Vec::new();
    for space in DERIVED {
        let rows = view
            .scan(
                space,
                Range::ALL,
                trenza_shared::store::Direction::Forward,
                usize::MAX,
            )
            .unwrap();
        out.extend(rows.into_iter().map(|(key, value)| (space.0, key, value)));
    }
    out
}

#[tokio::test]
async fn a_replay_gives_the_same_bytes_after_moves_conflicts_and_decisions() {
    let server = Server::start().await;
    let mut shop = source("Shop", 100);
    shop.namespace = "shop".into();
    server.app.registry.put_source("wk_shop", &shop).unwrap();
    for (key, events) in investor() {
        server.capture(key, &events).await;
        server.capture(WEB, &events).await;
    }
    let apart = json!({"kind": "not_same", "subjects": ["email:ada@example.org", "nationalId:12345678Z"], "reason": "two people"});
    let decided = server.post(Role::Steward, "/v1/decisions", &apart).await;
    assert_eq!(decided.status, 200, "{}", decided.text);
    let event = json!({"type": "page", "messageId": "n1", "userId": "77", "timestamp": "2026-03-01T00:00:00Z"});
    server.capture(WEB, std::slice::from_ref(&event)).await;
    let earlier_ms = server.app.clock.wall_ms() - 1000;
    server.clock.set_wall_ms(earlier_ms);
    server
        .capture("wk_shop", std::slice::from_ref(&event))
        .await;
    let mut conflict = event.clone();
    conflict["userId"] = "78".into();
    server
        .capture(
            WEB,
            &[
                conflict,
                json!({"type": "dance", "messageId": "n2", "userId": "1"}),
            ],
        )
        .await;

    let feed = server.get(Role::Reader, "/v1/changes").await.json;
    let before = dump(&*server.app.store);
    let last = *server.app.log.last().borrow();
    server.app.resolver.replay().await.unwrap();
    assert!(server.app.resolved(last).await);
    let after = dump(&*server.app.store);
    for (one, other) in before.iter().zip(&after) {
        assert_eq!(one, other);
    }
    assert_eq!(before.len(), after.len());
    assert_eq!(
        feed,
        server.get(Role::Reader, "/v1/changes").await.json,
        "the feed is history: a replay tells nothing again"
    );
    server.close().await;
}
