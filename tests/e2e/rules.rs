//! Other rules of identity come into force while the server captures, also when it is killed in the middle.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use trenza_tests::{
    day::Chance,
    disk::number,
    http::Http,
    process::{Server, until},
};

/// Offices with one mailbox and two badges each.
const OFFICES: u64 = 400;
/// Kills on the way.
const KILLS: u64 = 4;

fn at_work(office: u64, badge: u64) -> Value {
    json!({"type": "identify", "messageId": format!("m-{office}-{badge}"), "timestamp": "2026-03-01T10:00:00Z",
        "traits": {"email": format!("office{office}@acme.es"), "badgeId": format!("B-{office}-{badge}")}})
}

async fn capture(server: &Server, offices: std::ops::Range<u64>) -> anyhow::Result<()> {
    let events: Vec<Value> = offices
        .flat_map(|office| [at_work(office, 1), at_work(office, 2)])
        .collect();
    let (http, key) = (Http::new(None)?, server.write_key());
    let answer = http
        .capture(&server.up().url("http"), &key, &events, "")
        .await?;
    ensure!(answer["success"] == true, "{answer}");
    Ok(())
}

/// Every customer's id.
fn customers(server: &Server) -> anyhow::Result<BTreeSet<String>> {
    let lines = String::from_utf8(server.must(["export", "customers"])?)?;
    let id = |line: &str| -> anyhow::Result<String> {
        let customer: Value = serde_json::from_str(line)?;
        Ok(customer["id"].as_str().context("an id")?.to_owned())
    };
    lines.lines().map(id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_come_into_force_whole_though_the_server_is_killed_on_the_way() -> anyhow::Result<()>
{
    let seed = number("TRENZA_SEED", 20_261_122)?;
    println!("TRENZA_SEED={seed}");
    let mut chance = Chance::new(seed);
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    for office in (0..OFFICES).step_by(20) {
        capture(&server, office..office + 20).await?;
    }
    let before = customers(&server)?;
    ensure!(before.len() as u64 == OFFICES, "{} customers", before.len());
    let file = home.path().join("rules.toml");
    std::fs::write(&file, "[shared]\nemail = [\"*@acme.es\"]\n")?;
    let path = file.to_str().context("a path")?;
    let said: Value = serde_json::from_slice(&server.must(["rules", "simulate", path, "--json"])?)?;
    ensure!(said["found"]["split"]["times"] == OFFICES, "{said}");
    let (http, url) = (
        server.http()?,
        format!("{}/v1/rules", server.up().url("http")),
    );
    let asked =
        json!({"rules": {"shared": {"email": ["*@acme.es"]}}, "reason": "offices are not persons"});
    http.post(&url, &asked).await?;
    // Killed again and again, and captured beside it.
    for kill in 0..KILLS {
        let office = OFFICES + kill;
        capture(&server, office..office + 1).await?;
        let some = chance.below(200) as u64;
        let http = server.http()?;
        let url = format!("{}/v1/rules", server.up().url("http"));
        until("some of it is derived, or all", || async {
            let rules = http.get(&url).await?;
            let done = rules["publishing"]["done"].as_u64();
            ensure!(
                done.is_none_or(|done| done >= some.min(OFFICES / 20)),
                "{rules}"
            );
            Ok(())
        })
        .await?;
        server.kill()?;
        server.start()?;
    }
    let (http, url) = (
        server.http()?,
        format!("{}/v1/rules", server.up().url("http")),
    );
    until("they are in force", || async {
        let rules = http.get(&url).await?;
        ensure!(
            rules["in_force"] == 2 && rules["publishing"].is_null(),
            "{rules}"
        );
        Ok(())
    })
    .await?;
    let after = customers(&server)?;
    ensure!(
        after.len() as u64 == 2 * (OFFICES + KILLS),
        "{} customers",
        after.len()
    );
    server.must(["replay", "--verify"])?;
    // Each split is told once, however often it was begun, and every id leads somewhere.
    let mut split = 0;
    let mut next = "0".to_owned();
    loop {
        let url = format!(
            "{}/v1/changes?limit=1000&after={next}",
            server.up().url("http")
        );
        let page = http.get(&url).await?;
        let changes = page["changes"].as_array().context("changes")?;
        if changes.is_empty() {
            break;
        }
        split += changes
            .iter()
            .filter(|one| one["type"] == "customer.split")
            .count() as u64;
        next = page["next"].as_str().context("a cursor")?.to_owned();
    }
    // An office that came while it was under way may have been split from the start.
    ensure!(
        (OFFICES..=OFFICES + KILLS).contains(&split),
        "{split} splits were told"
    );
    for id in &before {
        http.get(&format!("{}/v1/customers/{id}", server.up().url("http")))
            .await?;
    }
    server.stop()
}
