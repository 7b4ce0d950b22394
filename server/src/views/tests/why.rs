//! The page that explains: by which rule, of which version, and what speaks against it.

use std::sync::Arc;

use serde_json::{Value, json};
use trenza_shared::{
    identifier::Kind,
    identity::{Class, KindRule, Rules},
};

use super::{Browser, Role, Server, WEB};

fn seen(message: &str, traits: Value) -> Value {
    json!({"type": "identify", "messageId": message, "timestamp": "2026-03-01T10:00:00Z", "traits": traits})
}

async fn told() -> Server {
    let server = Server::start().await;
    let named = |message: &str, document: &str, name: &str| {
        seen(
            message,
            json!({"nationalId": document, "phone": "600111222", "firstName": name, "lastName": "Gil"}),
        )
    };
    let events = [
        named("m1", "12345678Z", "Ana"),
        named("m2", "87654321X", "Eva"),
        seen(
            "m3",
            json!({"nationalId": "12345678Z", "badgeId": "B-0001"}),
        ),
    ];
    server.capture(WEB, &events).await;
    server
}

/// The page that explains two values of a record, by the words before their references.
async fn page(browser: &Browser<'_>, record: &str, from: &str, to: &str) -> String {
    let form = browser.get(&format!("{record}/why")).await.text;
    let reference = |value: &str| -> String {
        let options = form.split("<option value=\"").skip(1);
        let mut named =
            options.filter(|option| option.split("</option>").next().unwrap().ends_with(value));
        let named = named
            .next()
            .unwrap_or_else(|| panic!("no {value} in {form}"));
        named.split('"').next().unwrap().to_owned()
    };
    let path = format!("{record}/why?from={}&to={}", reference(from), reference(to));
    browser.get(&path).await.text
}

#[tokio::test]
async fn the_rule_its_version_and_what_speaks_against_one_person_are_told_in_both_languages() {
    let server = told().await;
    let browser = Browser::of(&server, Role::Steward).await;
    let english = browser.record("12345678Z").await;
    let spanish = english.replacen("/en/", "/es/", 1);
    for (record, texts) in [
        (
            &english,
            [
                "By which rule",
                "The DNI 12345678Z links because it can only be one person&#39;s.",
                "Rules in force: version",
                "What speaks against it",
                "The phone +34600111222 is also in one other record",
                "Among them:",
            ],
        ),
        (
            &spanish,
            [
                "Por qué regla",
                "El DNI 12345678Z une porque solo puede ser de una persona.",
                "Reglas en vigor: versión",
                "Lo que habla en contra",
                "El teléfono +34600111222 está también en otra ficha",
                "Entre ellas:",
            ],
        ),
    ] {
        let shown = page(&browser, record, "B0001", "+34600111222").await;
        for text in texts {
            assert!(shown.contains(text), "{text} is not in {shown}");
        }
        assert!(shown.contains(">Eva Gil</a>"), "{shown}");
    }
    let quiet = page(&browser, &spanish, "B0001", "12345678Z").await;
    assert!(quiet.contains("Nada habla en contra."), "{quiet}");
    let quiet = page(&browser, &english, "B0001", "12345678Z").await;
    assert!(quiet.contains("Nothing speaks against it."), "{quiet}");
    drop(browser);
    let reader = Browser::of(&server, Role::Reader).await;
    let record = reader.record("12345678Z").await;
    let form = reader.get(&format!("{record}/why")).await.text;
    let options: Vec<&str> = form
        .split("<option value=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    for one in &options {
        for other in &options {
            let shown = reader
                .get(&format!("{record}/why?from={one}&to={other}"))
                .await
                .text;
            for secret in ["Eva", "Gil", "600111222", "12345678", "87654321"] {
                assert!(!shown.contains(secret), "{secret} in {shown}");
            }
        }
    }
    drop(reader);
    server.close().await;
}

#[tokio::test]
async fn a_value_that_the_rules_leave_out_is_told_so_and_another_is_nobodys() {
    let server = told().await;
    let mut rules = Rules::default();
    rules.blocked.insert(Kind::Email, "info@*");
    let blocked = KindRule {
        class: Class::Blocked,
        ..KindRule::of(Kind::LoyaltyId)
    };
    rules.kinds.insert(Kind::LoyaltyId, blocked);
    server.app.applier.rules.replace(Arc::new(rules));
    let browser = Browser::of(&server, Role::Steward).await;
    let record = browser.record("12345678Z").await;
    let form = browser.get(&format!("{record}/why")).await.text;
    let from = super::between(&form, "<option value=\"", "\"")
        .unwrap()
        .to_owned();
    for (other, says) in [
        (
            "info@acme.es",
            "The rules leave the e-mail info@acme.es out",
        ),
        (
            "email:info@acme.es",
            "The rules leave the e-mail info@acme.es out",
        ),
        ("other@acme.es", "Nobody holds that value."),
        (
            "loyaltyId:L-55555",
            "The rules leave the loyalty card L55555 out",
        ),
        // Of a bare text nobody knows the kind.
        ("L-55555", "loyaltyId (loyaltyId:L-55555)"),
    ] {
        let path = format!("{record}/why?from={from}&other={other}");
        let shown = browser.get(&path).await.text;
        assert!(shown.contains(says), "{shown}");
    }
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn a_record_is_compared_with_another_by_its_id_also_where_every_value_is_shared() {
    let server = told().await;
    let alone = seen("m4", json!({"phone": "600111222"}));
    server.capture(WEB, &[alone]).await;
    let browser = Browser::of(&server, Role::Steward).await;
    let record = browser.record("12345678Z").await;
    let event = server.get(Role::Steward, "/v1/events/m4").await;
    let id = event.json["customer"].as_str().unwrap().to_owned();
    let form = browser.get(&format!("{record}/why")).await.text;
    let from = super::between(&form, "<option value=\"", "\"").unwrap();
    let asked = |other: &str| format!("{record}/why?from={from}&other={other}");
    for other in [id.clone(), format!("customer:{id}")] {
        let shown = browser.get(&asked(&other)).await.text;
        assert!(shown.contains("600111222 does not link them"), "{shown}");
        let named = |name: &str| super::between(&shown, &format!("name=\"{name}\" value=\""), "\"");
        assert_eq!(named("two"), Some(id.as_str()), "{shown}");
        let path = format!(
            "/en/decisions/new?kind=same&one={}&one_value={}&two={id}&two_value={}",
            named("one").unwrap(),
            named("one_value").unwrap(),
            named("two_value").unwrap(),
        );
        let preview = browser.get(&path).await.text;
        assert!(preview.contains("These become one record"), "{preview}");
    }
    let own = record.rsplit('/').next().unwrap();
    let shown = browser.get(&asked(own)).await.text;
    assert!(shown.contains("It is the same customer."), "{shown}");
    assert!(!shown.contains("/decisions/new"), "{shown}");
    drop(browser);
    server.close().await;
}
