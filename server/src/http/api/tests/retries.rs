//! A messageId is known for as long as its event is stored, however late it comes again.

use serde_json::{Value, json};
use trenza_shared::store::{Direction, Key as _};

use crate::{
    tables::{MESSAGES, Role},
    testing::{Server, WEB},
};

const DAY_MS: u64 = 86_400_000;
/// Most bytes that knowing a messageId costs, before the store packs it: key and row.
const MESSAGE_BYTES_MAX: usize = 80;

fn event(content: u32) -> Value {
    json!({"type": "track", "event": "Bought", "messageId": "order-1", "userId": "u-1", "timestamp": "2026-03-14T09:00:00Z", "properties": {"n": content}})
}

#[tokio::test]
async fn the_same_id_is_found_again_after_400_days_and_other_content_is_kept_and_flagged() {
    let server = Server::start().await;
    server.capture(WEB, &[event(1)]).await;
    for (wait_ms, duplicates) in [(400 * DAY_MS - 1, 1), (1, 2), (4_000 * DAY_MS, 3)] {
        server.clock.advance_ms(wait_ms);
        server.capture(WEB, &[event(1)]).await;
        let found = server.get(Role::Steward, "/v1/events/order-1").await.json;
        assert_eq!(found["duplicates"], json!(duplicates));
        assert_eq!(found["conflicts"], json!([]));
    }
    let customer = "/v1/customers?identifier=userId:u-1";
    let found = server.get(Role::Steward, customer).await.json;
    assert_eq!(
        found["customers"][0]["counters"]["events"], 1,
        "counted once"
    );
    server.capture(WEB, &[event(2)]).await;
    let found = server.get(Role::Steward, "/v1/events/order-1").await.json;
    assert_eq!(found["conflicts"].as_array().unwrap().len(), 1, "{found}");
    let found = server.get(Role::Steward, customer).await.json;
    assert_eq!(
        found["customers"][0]["counters"]["events"], 2,
        "both are kept"
    );
    server.close().await;
}

#[tokio::test]
async fn knowing_an_id_costs_less_than_its_limit() {
    let server = Server::start().await;
    let events: Vec<Value> = (0..500)
        .map(|n| json!({"type": "page", "anonymousId": "v", "messageId": format!("8c1f6f0e-0000-4000-8000-{n:012}")}))
        .collect();
    server.capture(WEB, &events).await;
    let rows = MESSAGES
        .scan(&*server.app.store, None, None, Direction::Forward, 1_000)
        .unwrap();
    assert_eq!(rows.len(), events.len());
    for (key, row) in rows {
        let bytes = key.to_key().len() + trenza_shared::store::Value::encode(&row).unwrap().len();
        assert!(bytes <= MESSAGE_BYTES_MAX, "{bytes} bytes");
    }
    server.close().await;
}
