//! A. The investor: web, kiosk without network and core system land in one record, in any order of arrival.

use anyhow::{Context as _, ensure};
use serde_json::Value;
use trenza_tests::{
    day::{InvestorValues, story_a},
    process::Server,
};

/// The same public ids in every run.
const ID_KEY: &str = "7c0e9a55d1f24b86a3c47be1509f2d6877aa10c2e3f4956b8d21ce0f4a6b7913";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Web,
    Kiosk,
    Core,
}

const ORDERS: [[Part; 3]; 6] = [
    [Part::Web, Part::Kiosk, Part::Core],
    [Part::Web, Part::Core, Part::Kiosk],
    [Part::Kiosk, Part::Web, Part::Core],
    [Part::Kiosk, Part::Core, Part::Web],
    [Part::Core, Part::Web, Part::Kiosk],
    [Part::Core, Part::Kiosk, Part::Web],
];

/// What must not depend on the order.
#[derive(Debug, PartialEq)]
struct Seen {
    export: String,
    id: String,
    timeline: Vec<String>,
    top_interest: Value,
    sentence: [String; 2],
}

async fn told(order: [Part; 3], values: &InvestorValues) -> anyhow::Result<Seen> {
    let home = tempfile::tempdir()?;
    let [web, kiosk, core] = story_a(values);
    let mut server = Server::init(&home.path().join("server"), Some(ID_KEY))?;
    server.start()?;
    let mut agent = server.enrol("Feria, puesto B", &home.path().join("agent"))?;

    // The kiosk captures while there is no server at all, and is switched off before one comes back.
    server.stop()?;
    agent.start()?;
    let answer = trenza_tests::http::Http::new(None)?
        .capture(&agent.up().url("http"), &agent.write_key()?, &kiosk, "")
        .await?;
    ensure!(
        answer["success"] == true && answer.get("rejected").is_none(),
        "{answer}"
    );
    let status = agent.status()?;
    ensure!(
        status["waiting"] == kiosk.len() && status["server"] == "down",
        "{status}"
    );
    agent.stop()?;

    server.start()?;
    let url = server.up().url("http");
    let http = server.http()?;
    for part in order {
        match part {
            Part::Web => {
                let answer = http
                    .capture(&url, &server.write_key(), &web, "?wait=resolved")
                    .await?;
                ensure!(answer["resolved"] == true, "{answer}");
            }
            Part::Kiosk => {
                agent.start()?;
                agent.drained().await?;
                let last = kiosk
                    .last()
                    .and_then(|event| event["messageId"].as_str())
                    .context("the kiosk part has events")?;
                server.resolved(last).await?;
            }
            Part::Core => {
                let file = home.path().join("core.jsonl");
                let lines: Vec<String> = core.iter().map(Value::to_string).collect();
                std::fs::write(&file, lines.join("\n"))?;
                server.must([
                    "import".as_ref(),
                    "--source".as_ref(),
                    "Sistema central".as_ref(),
                    file.as_os_str(),
                ])?;
                let last = core
                    .last()
                    .and_then(|event| event["messageId"].as_str())
                    .context("the core part has events")?;
                server.resolved(last).await?;
            }
        }
    }

    let found = http
        .get(&format!(
            "{url}/v1/customers?identifier=nationalId:{}",
            values.national_id
        ))
        .await?;
    let customers = found["customers"].as_array().context("customers")?;
    ensure!(customers.len() == 1, "one record by the DNI: {found}");
    let id = customers[0]["id"].as_str().context("id")?.to_owned();
    for (kind, value) in [
        ("email", &values.email),
        ("anonymousId", &values.anonymous_id),
        ("badgeId", &values.badge_id),
    ] {
        let same = http
            .get(&format!("{url}/v1/customers?identifier={kind}:{value}"))
            .await?;
        ensure!(
            same["customers"]
                .as_array()
                .is_some_and(|list| list.len() == 1 && list[0]["id"] == id.as_str()),
            "{kind}: {same}"
        );
    }
    let timeline = http
        .get(&format!("{url}/v1/customers/{id}/timeline?limit=100"))
        .await?;
    let timeline: Vec<String> = timeline["events"]
        .as_array()
        .context("events")?
        .iter()
        .map(|event| event["messageId"].as_str().unwrap_or("?").to_owned())
        .collect();
    ensure!(
        timeline.len() == web.len() + kiosk.len() + core.len(),
        "every touch once: {timeline:?}"
    );
    let why = http
        .get(&format!(
            "{url}/v1/customers/{id}/why?from=anonymousId:{}&to=nationalId:{}",
            values.anonymous_id, values.national_id
        ))
        .await?;
    ensure!(why["linked"] == true, "{why}");
    let steps = why["steps"].to_string();
    ensure!(
        steps.contains(&format!("email:{}", values.email)) && steps.contains("phone:+34"),
        "the two links are named: {why}"
    );
    let sentence = ["es", "en"].map(|language| {
        why["sentence"][language]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    });
    ensure!(
        sentence.iter().all(|text| !text.is_empty()) && sentence[0] != sentence[1],
        "{why}"
    );

    let verified = server.command(["replay", "--verify"])?;
    ensure!(
        verified.status.success(),
        "replay --verify: {}",
        String::from_utf8_lossy(&verified.stderr)
    );
    let export = String::from_utf8(server.must(["export", "customers"])?)?;
    ensure!(export.lines().count() == 1, "one customer: {export}");
    server.stop()?;
    agent.stop()?;
    Ok(Seen {
        export,
        id,
        timeline,
        top_interest: customers[0]["interests"][0]["topic"].clone(),
        sentence,
    })
}

async fn in_every_order(values: &InvestorValues) -> anyhow::Result<Seen> {
    let mut first: Option<Seen> = None;
    for order in ORDERS {
        let seen = told(order, values)
            .await
            .with_context(|| format!("order {order:?}"))?;
        if let Some(first) = &first {
            ensure!(
                first == &seen,
                "order {order:?} differs:\n{first:#?}\n{seen:#?}"
            );
        }
        first.get_or_insert(seen);
    }
    first.context("six orders")
}

#[tokio::test(flavor = "multi_thread")]
async fn story_a_the_investor_is_one_record_in_every_order() -> anyhow::Result<()> {
    let values = InvestorValues::default();
    let seen = in_every_order(&values).await?;
    assert_eq!(seen.top_interest, "renta fija");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn story_a_holds_with_other_values() -> anyhow::Result<()> {
    let values = InvestorValues {
        first_name: "Iñaki".into(),
        last_name: "Etxeberría".into(),
        second_last_name: "de la Cruz".into(),
        email: "i.etxeberria@correo.example".into(),
        phone: "699 00 11 22".into(),
        phone_in_core: "+34699001122".into(),
        national_id: "X1234567L".into(),
        anonymous_id: "0b6f3f9e-3333-4f0e-9d3c-aaaaaaaaaaaa".into(),
        badge_id: "Z-991".into(),
        topic: "fondos".into(),
        ..InvestorValues::default()
    };
    let seen = told(ORDERS[4], &values).await?;
    assert_eq!(seen.top_interest, "fondos");
    Ok(())
}
