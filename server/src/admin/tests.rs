use serde_json::{Value, json};
use trenza_shared::{clock::TestClock, net::serve::serve_unix};

use super::*;
use crate::{config::Config, http};

const NOW: i64 = 1_768_472_430_456;

/// A server's folder and settings, as `init` makes them.
pub fn made() -> (tempfile::TempDir, Config, init::Made) {
    let dir = tempfile::tempdir().unwrap();
    let made = init::init(
        &dir.path().join("s"),
        "ES",
        "Europe/Madrid",
        &TestClock::at(NOW),
    )
    .unwrap();
    let config = Config::load(&made.config).unwrap();
    (dir, config, made)
}

/// The whole body of an answer.
pub async fn body(link: &Link, command: &Command) -> String {
    let mut answer = link.send(command).await.unwrap();
    let mut out = Vec::new();
    while let Some(piece) = answer.chunk().await.unwrap() {
        out.extend_from_slice(&piece);
    }
    String::from_utf8(out).unwrap()
}

async fn ask(link: &Link, command: Value) -> anyhow::Result<Value> {
    link.ask(&serde_json::from_value(command).unwrap()).await
}

#[tokio::test]
async fn a_key_that_was_taken_back_is_refused_and_its_name_is_free_again() {
    let (_dir, config, _made) = made();
    let link = Link::open(config).await.unwrap();
    let create = json!({"command": "source_create", "name": "Shop"});
    let first = ask(&link, create.clone()).await.unwrap();
    let revoke = |source: &str| json!({"command": "source_revoke", "source": source});
    let told = ask(&link, revoke("Shop")).await.unwrap();
    assert_eq!(told["write_key"], first["write_key"]);
    let again = ask(&link, revoke("Shop")).await.unwrap();
    assert_eq!(again["write_key"], first["write_key"]);
    let unknown = ask(&link, revoke("Shup")).await.unwrap_err();
    assert!(unknown.to_string().contains("no such source"), "{unknown}");
    let second = ask(&link, create).await.unwrap();
    assert_ne!(second["write_key"], first["write_key"]);
    // Twice is once.
    let key = first["write_key"].as_str().unwrap();
    ask(&link, revoke(key)).await.unwrap();
    let list = ask(&link, json!({"command": "source_list"})).await.unwrap();
    let states: Vec<(&Value, &Value)> = list["sources"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["name"] == "Shop")
        .map(|one| (&one["write_key"], &one["revoked"]))
        .collect();
    assert_eq!(states.len(), 2);
    for (key, revoked) in states {
        assert_eq!(*revoked, *key == first["write_key"]);
    }
}

#[tokio::test]
async fn what_is_made_is_there_when_the_store_is_opened_again() {
    let (_dir, config, made) = made();
    let link = Link::open(config.clone()).await.unwrap();
    let source = ask(&link, json!({"command": "source_create", "name": "Shop", "origins": ["https://A.org"], "country": "mx", "zone": "America/Mexico_City"})).await.unwrap();
    let key = source["write_key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("wk_") && key.len() == 27);
    let taken = ask(&link, json!({"command": "source_create", "name": "Shop"}))
        .await
        .unwrap_err();
    assert!(
        taken
            .downcast_ref::<check::Advised>()
            .is_some_and(|error| error.hint.contains("another name")),
        "{taken}"
    );
    let token = ask(&link, json!({"command": "token_create", "role": "steward"}))
        .await
        .unwrap();
    let invite = ask(
        &link,
        json!({"command": "agent_invite", "touchpoint": "Stand B"}),
    )
    .await
    .unwrap();
    assert_eq!(invite["ca_fingerprint"].as_str().unwrap().len(), 64);
    let user = ask(
        &link,
        json!({"command": "user_create", "name": "ada", "role": "reader"}),
    )
    .await
    .unwrap();
    link.close().await;

    let link = Link::open(config).await.unwrap();
    let Link::Own(own) = &link else {
        panic!("nothing else runs")
    };
    let running = &own.running;
    let app = &running.app;
    let row = app.registry.source(&key).unwrap();
    assert_eq!(
        (row.origins, row.country.as_str(), row.priority),
        (vec!["https://a.org".to_owned()], "MX", PRIORITY_DEFAULT)
    );
    assert!(app.registry.source(&made.write_key).is_some());
    let role = |token: &str| {
        crate::tables::TOKENS
            .get(&*app.store, &secret::token_hash(token))
            .unwrap()
            .map(|row| row.role)
    };
    assert_eq!(role(&made.api_token), Some(Role::Admin));
    assert_eq!(role(token["token"].as_str().unwrap()), Some(Role::Steward));
    let code = invite["code"].as_str().unwrap().to_lowercase();
    let invited = crate::tables::INVITES
        .get(&*app.store, &http::code_hash(&code))
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            invited.touchpoint.as_str(),
            invited.country.as_str(),
            invited.used_by
        ),
        ("Stand B", "ES", None)
    );
    let hash = |name: &str| {
        crate::tables::USERS
            .get(&*app.store, &name.to_owned())
            .unwrap()
            .unwrap()
            .password_hash
    };
    assert!(secret::password_matches(
        &made.admin_password,
        &hash(init::ADMIN)
    ));
    assert!(secret::password_matches(
        user["password"].as_str().unwrap(),
        &hash("ada")
    ));
    link.close().await;
}

#[tokio::test]
async fn a_command_uses_the_running_server() {
    let (_dir, config, _made) = made();
    let Link::Own(own) = Link::open(config.clone()).await.unwrap() else {
        panic!("nothing else runs")
    };
    let link::Own { running, router } = *own;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let socket = config.socket();
    let (path, serving) = (socket.clone(), router);
    let server = tokio::spawn(async move {
        let stopped = async {
            let _told = stopped.await;
        };
        serve_unix(&path, serving, stopped).await.unwrap();
    });
    while !socket.exists() {
        tokio::task::yield_now().await;
    }
    let link = Link::open(config).await.unwrap();
    assert!(matches!(link, Link::Running(_)));
    let made = ask(
        &link,
        json!({"command": "source_create", "name": "Over the socket"}),
    )
    .await
    .unwrap();
    assert!(
        running
            .app
            .registry
            .source(made["write_key"].as_str().unwrap())
            .is_some()
    );
    let events: Vec<String> = (0..900).map(|n| json!({"type": "track", "event": "x".repeat(500), "userId": format!("u{n}"), "messageId": format!("m{n}")}).to_string()).collect();
    let took: intake::Took = link
        .ask(&Command::ImportChunk {
            key: made["write_key"].as_str().unwrap().into(),
            events: events.clone(),
        })
        .await
        .unwrap();
    assert_eq!((took.stored, took.duplicates), (900, 0));
    assert_eq!(
        body(&link, &Command::ExportEvents)
            .await
            .lines()
            .collect::<Vec<_>>(),
        events
    );
    assert!(
        ask(&link, json!({"command": "user_password", "name": "nobody"}))
            .await
            .is_err()
    );
    stop.send(()).unwrap();
    server.await.unwrap();
    running.close().await;
}

#[tokio::test]
async fn a_revoked_agent_loses_its_right_and_its_key() {
    let (_dir, config, _made) = made();
    let link = Link::open(config).await.unwrap();
    let Link::Own(own) = &link else {
        panic!("nothing else runs")
    };
    let running = &own.running;
    let agent = AgentId([7; 16]);
    let made = ask(
        &link,
        json!({"command": "source_create", "name": "Stand B"}),
    )
    .await
    .unwrap();
    let row = crate::tables::AgentRow {
        touchpoint: "Stand B".into(),
        country: "ES".into(),
        zone: "Europe/Madrid".into(),
        venue: String::new(),
        write_key: made["write_key"].as_str().unwrap().into(),
        enrolled_ms: NOW,
        state: crate::tables::AgentState::Active,
        copy_of: None,
    };
    running
        .app
        .registry
        .put_agent(&agent, &row, trenza_shared::store::Batch::new())
        .unwrap();
    let revoked = ask(&link, json!({"command": "agent_revoke", "agent": agent}))
        .await
        .unwrap();
    assert_eq!(revoked["state"], "revoked");
    let list = ask(&link, json!({"command": "agent_list"})).await.unwrap();
    assert_eq!(
        (&list["agents"][0]["state"], &list["agents"][0]["agent"]),
        (&json!("revoked"), &json!(agent))
    );
    assert!(running.app.registry.source(&row.write_key).unwrap().revoked);
    assert!(
        ask(
            &link,
            json!({"command": "agent_revoke", "agent": AgentId([8; 16])})
        )
        .await
        .is_err()
    );
    link.close().await;
}
