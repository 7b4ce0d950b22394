//! E. The family: four persons, one home, one who pays and decides. A household is a group of persons and never one person.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use trenza_tests::process::Server;

/// The same public ids in every run.
const ID_KEY: &str = "7c0e9a55d1f24b86a3c47be1509f2d6877aa10c2e3f4956b8d21ce0f4a6b7913";

/// First name, surnames, e-mail, what they are in the household.
const FAMILY: [(&str, &str, &str, &str); 4] = [
    (
        "Carmen",
        "Vidal Ríos",
        "carmen@example.org",
        r#"{"role":"madre","decides":true,"pays":true}"#,
    ),
    (
        "Jorge",
        "Lara Gil",
        "jorge@example.org",
        r#"{"role":"padre"}"#,
    ),
    (
        "Nora",
        "Lara Vidal",
        "nora@example.org",
        r#"{"role":"hija","uses":true}"#,
    ),
    (
        "Hugo",
        "Lara Vidal",
        "hugo@example.org",
        r#"{"role":"hijo","uses":true}"#,
    ),
];

/// All four give the telephone and the address of their home at the fair.
fn visits() -> Vec<Value> {
    let visit = |(nth, (first, last, email, _)): (usize, &(&str, &str, &str, &str))| {
        json!({"type": "identify", "messageId": format!("visit-{nth}"), "timestamp": "2026-03-10T11:00:00Z",
            "traits": {"firstName": first, "lastName": last, "email": email, "phone": "913 45 67 89",
                "address": {"street": "Calle del Olmo 14, 2º B", "city": "Madrid", "postalCode": "28012"}}})
    };
    FAMILY.iter().enumerate().map(visit).collect()
}

/// What the core system knows of the household.
fn household() -> Vec<Value> {
    let member = |(nth, (_, _, email, role)): (usize, &(&str, &str, &str, &str))| {
        let mut traits: Value = serde_json::from_str(role).unwrap_or_default();
        traits["type"] = "household".into();
        traits["name"] = "Familia Lara Vidal".into();
        json!({"type": "group", "messageId": format!("home-{nth}"), "timestamp": "2026-01-01T09:00:00Z",
            "groupId": "poliza-7781", "traits": traits, "context": {"traits": {"email": email}}})
    };
    FAMILY.iter().enumerate().map(member).collect()
}

async fn told(home_first: bool) -> anyhow::Result<(String, Value)> {
    let dir = tempfile::tempdir()?;
    let mut server = Server::init(&dir.path().join("server"), Some(ID_KEY))?;
    server.start()?;
    let (http, url) = (server.http()?, server.up().url("http"));
    let file = dir.path().join("hogares.jsonl");
    let lines: Vec<String> = household().iter().map(Value::to_string).collect();
    std::fs::write(&file, lines.join("\n"))?;
    for part in [home_first, !home_first] {
        if part {
            server.must([
                "import".as_ref(),
                "--source".as_ref(),
                "Pólizas".as_ref(),
                file.as_os_str(),
            ])?;
            server.resolved("home-3").await?;
        } else {
            let answer = http
                .capture(&url, &server.write_key(), &visits(), "?wait=resolved")
                .await?;
            ensure!(answer["resolved"] == true, "{answer}");
        }
    }
    let found = http.get(&format!("{url}/v1/accounts?q=lara+vid")).await?;
    let accounts = found["accounts"].as_array().context("accounts")?;
    ensure!(
        accounts.len() == 1 && accounts[0]["household"] == true,
        "{found}"
    );
    let id = accounts[0]["id"].as_str().context("id")?;
    let account = http.get(&format!("{url}/v1/accounts/{id}")).await?;
    let verified = server.command(["replay", "--verify"])?;
    ensure!(
        verified.status.success(),
        "replay --verify: {}",
        String::from_utf8_lossy(&verified.stderr)
    );
    let export = String::from_utf8(server.must(["export", "customers"])?)?;
    server.stop()?;
    Ok((export, account))
}

#[tokio::test(flavor = "multi_thread")]
async fn story_e_a_household_has_a_payer_who_decides_and_four_persons() -> anyhow::Result<()> {
    let (export, account) = told(true).await?;
    let other = told(false).await?;
    ensure!(
        (export.clone(), account.clone()) == other,
        "another order differs:\n{account:#}\n{:#}",
        other.1
    );
    assert_eq!(export.lines().count(), 4, "nobody became one: {export}");
    let members = account["members"].as_array().context("members")?;
    assert_eq!(members.len(), 4, "{account:#}");
    assert_eq!(account["decider_known"], true);
    let who = |mark: &str| -> Vec<&str> {
        let marked = members.iter().filter(|one| one["roles"][0][mark] == true);
        marked.filter_map(|one| one["name"].as_str()).collect()
    };
    assert_eq!(who("decides"), ["Carmen Vidal Ríos"]);
    assert_eq!(who("pays"), ["Carmen Vidal Ríos"]);
    assert_eq!(who("uses").len(), 2);
    Ok(())
}
