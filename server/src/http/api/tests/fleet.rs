use serde_json::json;
use trenza_shared::{
    id::{AgentId, BootId, ChainHash, Lane},
    store::{Batch, Durable},
    wire::sync::{Hello, LaneHead},
};

use crate::{
    tables::{AgentRow, AgentState, CONTACTS, ContactRow, LANES, LaneRow, Role},
    testing::Server,
};

#[tokio::test]
async fn the_fleet_shows_what_was_said_against_what_is_stored() {
    let server = Server::start().await;
    let (known, silent) = (AgentId([1; 16]), AgentId([2; 16]));
    let row = |touchpoint: &str, venue: &str| AgentRow {
        touchpoint: touchpoint.into(),
        country: "ES".into(),
        zone: "Europe/Madrid".into(),
        venue: venue.into(),
        write_key: "wk".into(),
        enrolled_ms: 0,
        state: AgentState::Active,
        copy_of: None,
    };
    let now_ms = trenza_shared::clock::parse_time_ms(crate::testing::NOW).unwrap();
    let hash = ChainHash([9; 32]);
    let head = |epoch, seq, oldest| LaneHead {
        epoch,
        lane: Lane::Visits,
        seq,
        hash,
        oldest,
    };
    let hello = Hello {
        agent: known,
        program: "0.1.0".into(),
        epoch: 2,
        lanes: vec![head(1, 10, 5), head(2, 37, 1)],
        waiting: 7,
        boot: BootId([0; 16]),
        boottime_ms: 5,
        wall_ms: now_ms - 300,
        clock_offset_ms: None,
        disk_free_bytes: 1000,
        lineage: Vec::new(),
        instance: None,
        proof: None,
        introduction: None,
        kept: vec![],
        began: None,
    };
    let mut batch = Batch::new();
    CONTACTS
        .put(
            &mut batch,
            &known,
            &ContactRow {
                earlier: None,
                at_ms: now_ms,
                hello,
                fork: None,
                lineage: Vec::new(),
            },
        )
        .unwrap();
    LANES
        .put(
            &mut batch,
            &(known, 1, Lane::Visits),
            &LaneRow::up_to(3, hash),
        )
        .unwrap();
    LANES
        .put(
            &mut batch,
            &(known, 2, Lane::Visits),
            &LaneRow::up_to(30, hash),
        )
        .unwrap();
    LANES
        .put(
            &mut batch,
            &(known, 2, Lane::Urgent),
            &LaneRow::up_to(4, hash),
        )
        .unwrap();
    server.app.store.commit(batch, Durable::Yes).unwrap();
    server
        .app
        .registry
        .put_agent(&known, &row("Stand B", "Feria Norte"), Batch::new())
        .unwrap();
    server
        .app
        .registry
        .put_agent(&silent, &row("Door", ""), Batch::new())
        .unwrap();
    server.clock.advance_ms(1500);

    let fleet = server.get(Role::Reader, "/v1/agents").await.json;
    let agents = fleet["agents"].as_array().unwrap();
    assert_eq!(
        (
            agents[0]["touchpoint"].as_str(),
            agents[0]["lag_ms"].is_null()
        ),
        (Some("Door"), true)
    );
    let stand = &agents[1];
    assert_eq!(
        (
            stand["head_seq"].as_u64(),
            stand["acked_seq"].as_u64(),
            stand["missing"].as_u64()
        ),
        (Some(51), Some(37), Some(14))
    );
    let gaps = json!([
        {"epoch": 1, "lane": 1, "from": 4, "to": 10, "on_device": false},
        {"epoch": 2, "lane": 1, "from": 31, "to": 37, "on_device": true},
    ]);
    assert_eq!(stand["gaps"], gaps);
    assert_eq!(
        (stand["lag_ms"].as_i64(), stand["clock_offset_ms"].as_i64()),
        (Some(1500), Some(-300))
    );
    assert_eq!(
        (stand["version"].as_str(), stand["state"].as_str()),
        (Some("0.1.0"), Some("active"))
    );
    assert_eq!(
        (stand["venue"].as_str(), agents[0]["venue"].as_str()),
        (Some("Feria Norte"), Some(""))
    );
    assert_eq!(
        fleet["sums"],
        json!({"agents": 2, "active": 2, "head_seq": 51, "acked_seq": 37, "waiting": 7, "missing": 14, "dropped": 0})
    );

    // What came since the last hello does not wait any more.
    let mut batch = Batch::new();
    for (epoch, last) in [(1, 10), (2, 35)] {
        LANES
            .put(
                &mut batch,
                &(known, epoch, Lane::Visits),
                &LaneRow::up_to(last, hash),
            )
            .unwrap();
    }
    server.app.store.commit(batch, Durable::Yes).unwrap();
    let fleet = server.get(Role::Reader, "/v1/agents").await.json;
    assert_eq!(fleet["agents"][1]["waiting"], 2);
    server.close().await;
}
