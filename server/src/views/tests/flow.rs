//! What people do: decide, undo, invite, revoke, create.

use axum::{body::Body, http::header};
use serde_json::json;
use trenza_shared::store::Batch;

use super::{Browser, Role, Server, WEB, between, form, investor, posted};
use crate::tables::{AgentRow, AgentState};

/// References of the record's values, with their labels.
async fn values(browser: &Browser<'_>, record: &str) -> Vec<(String, String)> {
    let why = browser.get(&format!("{record}/why")).await.text;
    let select = between(&why, "<select id=\"mine\"", "</select>")
        .unwrap()
        .to_owned();
    let options = select.split("<option value=\"").skip(1).filter_map(|rest| {
        Some((
            rest.split('"').next()?.to_owned(),
            between(rest, ">", "<")?.to_owned(),
        ))
    });
    options.collect()
}

fn reference(values: &[(String, String)], part: &str) -> String {
    values
        .iter()
        .find(|(_, label)| label.contains(part))
        .unwrap_or_else(|| panic!("no {part} in {values:?}"))
        .0
        .clone()
}

#[tokio::test]
async fn a_wrong_merge_is_explained_taken_apart_and_put_back() {
    let server = investor().await;
    let browser = Browser::of(&server, Role::Steward).await;
    let record = browser.record("byron").await;
    let id = record.rsplit('/').next().unwrap().to_owned();
    let values = values(&browser, &record).await;
    let (document, mail) = (
        reference(&values, "12345678Z"),
        reference(&values, "ada@example.org"),
    );
    let why = browser
        .get(&format!("{record}/why?from={document}&to={mail}"))
        .await
        .text;
    for text in ["One person", "12345678Z", "core-1", "fair-1", "Stand B"] {
        assert!(why.contains(text), "{text} not in {why}");
    }
    let asked = [
        ("kind", "not_same"),
        ("one", id.as_str()),
        ("one_value", document.as_str()),
        ("two", id.as_str()),
        ("two_value", mail.as_str()),
    ];
    let preview = browser
        .get(&format!("/en/decisions/new?{}", form(&asked)))
        .await;
    assert_eq!(preview.status, 200, "{}", preview.text);
    assert!(
        preview.text.contains("The record splits into 2 records."),
        "{}",
        preview.text
    );
    assert_eq!(
        browser.record("ada@example.org").await,
        browser.record("12345678Z").await,
        "a preview changes nothing"
    );

    let mut fields = asked.to_vec();
    assert_eq!(
        browser.post("/en/decisions", &fields).await.status,
        400,
        "a reason is needed"
    );
    fields.push(("reason", "Two people, one phone"));
    let done = browser.post("/en/decisions", &fields).await;
    assert_eq!(
        (
            done.status.as_u16(),
            done.headers[header::LOCATION].to_str().unwrap()
        ),
        (303, "/en/decisions?done=1")
    );
    let (one, other) = (
        browser.record("ada@example.org").await,
        browser.record("12345678Z").await,
    );
    assert_ne!(one, other);

    let apart = browser
        .get(&format!(
            "{other}/why?from={document}&other=ada%40example.org"
        ))
        .await
        .text;
    assert!(
        apart.contains("They are not the same record") && apart.contains("Somebody decided"),
        "{apart}"
    );
    let list = browser.get("/en/decisions").await.text;
    assert!(list.contains("Two people, one phone") && list.contains("In force"));
    let undo = between(&list, "href=\"/en/decisions/", "\"").unwrap();
    let undo = format!("/en/decisions/{undo}");
    assert!(
        browser
            .get(&undo)
            .await
            .text
            .contains("These become one record")
    );
    assert_eq!(
        browser
            .post(&undo, &[("reason", "It was one person")])
            .await
            .status,
        303
    );
    assert_eq!(
        browser.record("ada@example.org").await,
        browser.record("12345678Z").await
    );
    assert!(browser.get("/en/decisions").await.text.contains("Undone"));
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn two_records_are_said_to_be_one() {
    let server = investor().await;
    server.capture(WEB, &[json!({"type": "identify", "userId": "ada-portal", "messageId": "m-9", "traits": {"plan": "gold"}})]).await;
    let browser = Browser::of(&server, Role::Steward).await;
    let record = browser.record("byron").await;
    let values = values(&browser, &record).await;
    let mail = reference(&values, "ada@example.org");
    let page = browser
        .get(&format!("{record}/why?from={mail}&other=ada-portal"))
        .await
        .text;
    assert!(
        page.contains("They have no identifier in common that the rules take into account."),
        "{page}"
    );
    let field = |name: &str| {
        between(&page, &format!("name=\"{name}\" value=\""), "\"")
            .unwrap()
            .to_owned()
    };
    let fields = [
        ("kind", "same".to_owned()),
        ("one", field("one")),
        ("one_value", field("one_value")),
        ("two", field("two")),
        ("two_value", field("two_value")),
        ("reason", "He showed us his login".to_owned()),
    ];
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert_eq!(browser.post("/es/decisions", &fields).await.status, 303);
    assert_eq!(
        browser.record("ada-portal").await,
        browser.record("byron").await
    );
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn a_form_counts_only_from_a_page_of_the_session() {
    let server = investor().await;
    let browser = Browser::of(&server, Role::Admin).await;
    let fields = [("name", "Shop"), ("origins", "")];
    assert_eq!(browser.post_bare("/es/sources", &fields).await.status, 403);
    let wrong = [
        ("name", "Shop"),
        ("csrf", "0123456789abcdef0123456789abcdef"),
    ];
    let refused = browser.post_bare("/es/sources", &wrong).await;
    assert!(
        refused.text.contains("El formulario ha caducado"),
        "{}",
        refused.text
    );
    let elsewhere = posted("/es/sources")
        .header(header::COOKIE, &browser.cookie)
        .header("sec-fetch-site", "cross-site");
    let body = form(&[("name", "Shop"), ("csrf", &browser.csrf)]);
    assert_eq!(
        server
            .send(elsewhere.body(Body::from(body)).unwrap())
            .await
            .status,
        403
    );
    assert!(
        !server
            .app
            .registry
            .sources()
            .values()
            .any(|row| row.name == "Shop")
    );
    let old = |origin: &str| {
        let request = posted("/es/sources").header(header::COOKIE, &browser.cookie);
        let request = request
            .header(header::HOST, "trenza.example")
            .header(header::ORIGIN, origin);
        let body = form(&[("name", "Kiosk"), ("csrf", &browser.csrf)]);
        server.send(request.body(Body::from(body)).unwrap())
    };
    assert_eq!(old("https://evil.example").await.status, 403);
    assert_eq!(old("https://trenza.example").await.status, 200);
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn an_admin_creates_a_source_and_gets_its_line() {
    let server = Server::start().await;
    let browser = Browser::of(&server, Role::Admin).await;
    let made = browser
        .post(
            "/es/sources",
            &[
                ("name", "Tienda"),
                (
                    "origins",
                    "https://tienda.example\nhttps://www.tienda.example",
                ),
            ],
        )
        .await;
    assert_eq!(made.status, 200, "{}", made.text);
    let row = server
        .app
        .registry
        .sources()
        .into_iter()
        .find(|(_, row)| row.name == "Tienda")
        .unwrap();
    assert_eq!(row.1.origins.len(), 2);
    assert!(
        made.text
            .contains(&format!("/t.js&#34; data-write-key=&#34;{}", row.0)),
        "{}",
        made.text
    );
    assert!(
        browser
            .post("/es/sources", &[("name", "Tienda")])
            .await
            .text
            .contains("que no esté ya en uso")
    );
    assert!(
        browser
            .post("/es/sources", &[("name", "Otra"), ("origins", "nope")])
            .await
            .text
            .contains("Un origen es")
    );
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn a_tablet_is_invited_with_code_command_and_qr_and_revoked_after_asking() {
    let server = Server::start().await;
    let browser = Browser::of(&server, Role::Admin).await;
    assert!(
        browser
            .get("/es/fleet")
            .await
            .text
            .contains("Ninguna tablet. Imprima una invitación.")
    );
    let made = browser
        .post(
            "/es/fleet/invite",
            &[
                ("touchpoint", "Puesto B"),
                ("country", "ES"),
                ("zone", "Europe/Madrid"),
            ],
        )
        .await
        .text;
    let code = between(&made, "class=\"code\">", "<").unwrap();
    assert_eq!(code.len(), 9);
    assert!(made.contains(&format!("--code {code}")) && made.contains("class=\"qr\""));
    assert!(
        browser
            .post(
                "/es/fleet/invite",
                &[("touchpoint", "B"), ("zone", "Mars/Olympus")]
            )
            .await
            .text
            .contains("Europe/Madrid")
    );

    let id: trenza_shared::id::AgentId = "ag_000102030405060708090a0b0c0d0e0f".parse().unwrap();
    let row = AgentRow {
        touchpoint: "Puesto B".into(),
        country: "ES".into(),
        zone: "Europe/Madrid".into(),
        venue: String::new(),
        write_key: "wk_tablet".into(),
        enrolled_ms: 0,
        state: AgentState::Active,
        copy_of: None,
    };
    server
        .app
        .registry
        .put_agent(&id, &row, Batch::new())
        .unwrap();
    assert!(browser.get("/es/fleet").await.text.contains("Nunca"));
    let path = format!("/es/fleet/{id}/revoke");
    assert!(
        browser
            .get(&path)
            .await
            .text
            .contains("¿Revocar este agente?")
    );
    assert_eq!(
        server.app.registry.agent(&id).unwrap().state,
        AgentState::Active
    );
    assert_eq!(browser.post(&path, &[]).await.status, 303);
    assert_eq!(
        server.app.registry.agent(&id).unwrap().state,
        AgentState::Revoked
    );
    let steward = Browser::of(&server, Role::Steward).await;
    assert_eq!(steward.post(&path, &[]).await.status, 403);
    drop((browser, steward));
    server.close().await;
}

#[tokio::test]
async fn the_first_steps_tick_themselves() {
    let server = Server::start().await;
    let browser = Browser::of(&server, Role::Admin).await;
    let before = browser.get("/en/first-steps").await.text;
    assert!(
        before.contains("data-write-key=&#34;wk_web&#34;")
            && before.contains("Waiting for the first event"),
        "{before}"
    );
    assert_eq!(before.matches("✓ Done").count(), 0);
    server
        .capture(
            WEB,
            &[json!({"type": "page", "anonymousId": "a", "messageId": "m"})],
        )
        .await;
    assert_eq!(
        browser
            .get("/en/first-steps")
            .await
            .text
            .matches("✓ Done")
            .count(),
        2
    );
    let reader = Browser::of(&server, Role::Reader).await;
    assert!(!reader.get("/en/first-steps").await.text.contains("wk_web"));
    drop((browser, reader));
    server.close().await;
}
