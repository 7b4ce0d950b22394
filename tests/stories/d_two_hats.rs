//! D. Two hats: at home with one address, at the fair with another, with one phone on both: one person, two sides, and what one side
//! allows never leaks into the other.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use trenza_tests::process::Server;

/// The same public ids in every run.
const ID_KEY: &str = "7c0e9a55d1f24b86a3c47be1509f2d6877aa10c2e3f4956b8d21ce0f4a6b7913";

/// What comes from where.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    /// The website at home, with a newsletter by e-mail.
    Home,
    /// The kiosk at the fair, with calls of the sales team.
    Fair,
    /// The core system, which knows of no side: no text messages.
    Core,
}

const ORDERS: [[Part; 3]; 3] = [
    [Part::Home, Part::Fair, Part::Core],
    [Part::Core, Part::Fair, Part::Home],
    [Part::Fair, Part::Core, Part::Home],
];

fn touch(id: &str, at: &str, facet: Option<&str>, traits: &Value, consent: &Value) -> Value {
    json!({"type": "identify", "messageId": id, "timestamp": at, "traits": traits,
        "context": {"trenza": {"facet": facet, "consent": consent}}})
}

fn events(part: Part) -> Vec<Value> {
    match part {
        Part::Home => vec![touch(
            "home",
            "2026-03-01T21:00:00Z",
            Some("personal"),
            &json!({"email": "marta.soler@gmail.com", "phone": "612 34 56 78", "firstName": "Marta", "lastName": "Soler"}),
            &json!([{"purpose": "newsletter", "channel": "email", "granted": true},
                {"purpose": "offers", "channel": "sms", "granted": true}]),
        )],
        Part::Fair => vec![touch(
            "fair",
            "2026-03-10T11:00:00Z",
            Some("professional"),
            &json!({"email": "m.soler@talleres-soler.example", "phone": "+34612345678", "firstName": "Marta", "lastName": "Soler"}),
            &json!({"purpose": "sales", "channel": "call", "granted": true}),
        )],
        Part::Core => vec![touch(
            "core",
            "2025-01-01T09:00:00Z",
            None,
            &json!({"phone": "612345678", "nationalId": "12345678Z"}),
            &json!({"purpose": "offers", "channel": "sms", "granted": false}),
        )],
    }
}

async fn told(order: [Part; 3]) -> anyhow::Result<(String, Value)> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), Some(ID_KEY))?;
    server.start()?;
    let mut agent = server.enrol("Feria, puesto B", &home.path().join("agent"))?;
    server.stop()?;
    // The fair has no network.
    agent.start()?;
    let plain = trenza_tests::http::Http::new(None)?;
    plain
        .capture(
            &agent.up().url("http"),
            &agent.write_key()?,
            &events(Part::Fair),
            "",
        )
        .await?;
    agent.stop()?;
    server.start()?;
    let (http, url) = (server.http()?, server.up().url("http"));
    for part in order {
        match part {
            Part::Fair => {
                agent.start()?;
                agent.drained().await?;
                server.resolved("fair").await?;
            }
            Part::Home | Part::Core => {
                let answer = http
                    .capture(&url, &server.write_key(), &events(part), "?wait=resolved")
                    .await?;
                ensure!(answer["resolved"] == true, "{answer}");
            }
        }
    }
    let found = http
        .get(&format!(
            "{url}/v1/customers?identifier=email:marta.soler@gmail.com"
        ))
        .await?;
    let other = http
        .get(&format!(
            "{url}/v1/customers?identifier=email:m.soler@talleres-soler.example"
        ))
        .await?;
    ensure!(
        found == other,
        "one person by either address: {found} {other}"
    );
    let customers = found["customers"].as_array().context("customers")?;
    ensure!(customers.len() == 1, "{found}");
    let verified = server.command(["replay", "--verify"])?;
    ensure!(
        verified.status.success(),
        "replay --verify: {}",
        String::from_utf8_lossy(&verified.stderr)
    );
    let export = String::from_utf8(server.must(["export", "customers"])?)?;
    // Times of the fair are corrected by what was measured of its clock, so they are a matter of the run.
    let sides = customers[0]["facets"].as_array().context("facets")?;
    let sides = sides.iter().map(|side| {
        json!({"facet": side["facet"], "emails": emails(side), "consents": side["consents"]})
    });
    let customer = json!({"id": customers[0]["id"], "consents": customers[0]["consents"], "facets": sides.collect::<Vec<_>>()});
    server.stop()?;
    agent.stop()?;
    Ok((export, customer))
}

fn emails(side: &Value) -> Vec<&str> {
    let all = side["identifiers"].as_array().into_iter().flatten();
    all.filter(|one| one["kind"] == "email")
        .filter_map(|one| one["value"].as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn story_d_one_person_has_two_sides_and_no_consent_leaks() -> anyhow::Result<()> {
    let mut first: Option<(String, Value)> = None;
    for order in ORDERS {
        let seen = told(order)
            .await
            .with_context(|| format!("order {order:?}"))?;
        let first = first.get_or_insert_with(|| seen.clone());
        ensure!(
            *first == seen,
            "order {order:?} differs:\n{first:#?}\n{seen:#?}"
        );
    }
    let (_, customer) = first.context("three orders")?;
    let facets = customer["facets"].as_array().context("facets")?;
    assert_eq!(facets.len(), 2, "{customer:#}");
    let (home, work) = (&facets[0], &facets[1]);
    assert_eq!(
        (&home["facet"], &work["facet"]),
        (&json!("personal"), &json!("professional"))
    );
    assert_eq!(home["emails"], json!(["marta.soler@gmail.com"]));
    assert_eq!(work["emails"], json!(["m.soler@talleres-soler.example"]));
    // The newsletter goes home, the calls to the office, and nothing the other way. A no that names no side stands on both.
    assert_eq!(
        home["consents"],
        json!({"newsletter": {"email": "granted"}, "offers": {"sms": "denied"}})
    );
    assert_eq!(
        work["consents"],
        json!({"sales": {"call": "granted"}, "offers": {"sms": "denied"}})
    );
    assert_eq!(
        customer["consents"],
        json!({"newsletter": {"email": "unknown"}, "offers": {"sms": "denied"}, "sales": {"call": "unknown"}})
    );
    Ok(())
}
