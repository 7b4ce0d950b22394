use trenza_shared::{clock::TestClock, id::AgentId};

use super::*;
use crate::{
    admin::{
        Command, Link, import,
        tests::{body, made},
    },
    sync::audit::Audit,
    tables::{AgentRow, AgentState},
};

const LATER: i64 = 1_900_000_000_000;

fn tablet() -> (AgentId, AgentRow) {
    let row = AgentRow {
        touchpoint: "Stand B".into(),
        country: "ES".into(),
        zone: "Europe/Madrid".into(),
        venue: String::new(),
        write_key: "wk_stand".into(),
        enrolled_ms: LATER - 1,
        state: AgentState::Active,
        copy_of: None,
    };
    (AgentId([7; 16]), row)
}

async fn exports(config: Config) -> Vec<String> {
    let link = Link::open(config).await.unwrap();
    let out = vec![
        body(&link, &Command::ExportCustomers).await,
        body(&link, &Command::ExportEvents).await,
    ];
    link.close().await;
    out
}

#[tokio::test]
async fn a_backup_restores_to_the_same_server_of_a_new_generation() {
    let (dir, config, made) = made();
    let link = Link::open(config.clone()).await.unwrap();
    let events = dir.path().join("e.jsonl");
    fs::write(&events, "{\"type\":\"identify\",\"userId\":\"u\",\"traits\":{\"email\":\"ada@example.org\"},\"messageId\":\"m\"}").unwrap();
    import::run(&link, "CRM", &events, None, false)
        .await
        .unwrap();
    let Link::Own(own) = &link else {
        panic!("nothing else runs")
    };
    let (agent, row) = tablet();
    let registry = &own.running.app.registry;
    registry.put_agent(&agent, &row, Batch::new()).unwrap();
    let whole = async |link: &Link| {
        let audit: Audit = link.ask(&Command::Audit { agent: None }).await.unwrap();
        (audit.ok, audit.unheard)
    };
    assert_eq!(whole(&link).await, (true, vec![]), "it never had anything");
    let to = dir.path().join("backup");
    let command = Command::Backup {
        to: to.clone(),
        settings: made.config.clone(),
    };
    let written: Made = link.ask(&command).await.unwrap();
    assert!(written.rows > 5, "{written:?}");
    let error = link.ask::<Made>(&command).await.unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
    link.close().await;
    let before = exports(config.clone()).await;

    // Into a new folder: everything comes from the backup.
    let moved = dir.path().join("moved").join("server.toml");
    let restored = restore(&to, &moved, &TestClock::at(LATER)).unwrap();
    assert_eq!((restored.rows, restored.moved_aside), (written.rows, None));
    let there = Config::load(&moved).unwrap();
    assert_eq!(exports(there.clone()).await, before);
    let link = Link::open(there.clone()).await.unwrap();
    let Link::Own(own) = &link else {
        panic!("nothing else runs")
    };
    let running = &own.running;
    assert_eq!(running.app.generation, u64::try_from(LATER).unwrap());
    // What it captured since the backup it alone knows.
    assert_eq!(whole(&link).await, (false, vec![agent]));
    // Not while it is in use.
    assert!(
        format!(
            "{:#}",
            restore(&to, &moved, &TestClock::at(LATER)).unwrap_err()
        )
        .contains("open")
    );
    link.close().await;

    // Over what is there: it is moved aside.
    let restored = restore(&to, &moved, &TestClock::at(LATER + 1)).unwrap();
    assert!(
        restored
            .moved_aside
            .is_some_and(|path| path.join("CURRENT").exists())
    );
    assert_eq!(exports(there).await, before);
}

#[tokio::test]
async fn what_is_no_whole_backup_or_of_another_server_is_refused() {
    let (dir, config, made) = made();
    let link = Link::open(config).await.unwrap();
    let to = dir.path().join("backup");
    link.ask::<Made>(&Command::Backup {
        to: to.clone(),
        settings: made.config.clone(),
    })
    .await
    .unwrap();
    link.close().await;
    let clock = TestClock::at(LATER);
    let (_other_dir, _other_config, other) = crate::admin::tests::made();
    assert!(
        format!("{:#}", restore(&to, &other.config, &clock).unwrap_err())
            .contains("another server")
    );
    let manifest = fs::read_to_string(to.join(MANIFEST)).unwrap();
    let mut wrong: Manifest = serde_json::from_str(&manifest).unwrap();
    wrong.tables.get_mut("source").unwrap().rows += 1;
    fs::write(to.join(MANIFEST), serde_json::to_vec(&wrong).unwrap()).unwrap();
    let target = dir.path().join("new").join("server.toml");
    assert!(format!("{:#}", restore(&to, &target, &clock).unwrap_err()).contains("table source"));
    assert!(!target.exists() && !dir.path().join("new").join(STORE).exists());
    fs::remove_file(to.join(MANIFEST)).unwrap();
    assert!(format!("{:#}", restore(&to, &target, &clock).unwrap_err()).contains("no backup"));
}
