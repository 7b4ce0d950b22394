//! The rules of identity as an admin changes them.

use serde_json::json;

use super::{Browser, Lang, Role, Server, WEB, between};

async fn office() -> Server {
    let server = Server::start().await;
    let at_work = |message: &str, badge: &str| json!({"type": "identify", "messageId": message, "traits": {"email": "info@acme.es", "badgeId": badge}});
    let events = [at_work("m1", "B-0001"), at_work("m2", "B-0002")];
    server.capture(WEB, &events).await;
    server
}

/// Every field of the form as it is shown, with some written over.
fn fields(page: &str, over: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for name in [
        "nationalId",
        "accountId",
        "loyaltyId",
        "userId",
        "badgeId",
        "email",
        "phone",
        "anonymousId",
    ] {
        let select = between(page, &format!("name=\"class-{name}\""), "</select>").unwrap();
        let chosen = select
            .split("<option ")
            .find(|option| option.contains(" selected"));
        let class = between(chosen.unwrap(), "value=\"", "\"").unwrap();
        fields.push((format!("class-{name}"), class.to_owned()));
        for what in ["strength", "max", "window"] {
            let input = between(page, &format!("name=\"{what}-{name}\""), ">").unwrap();
            let value = between(input, "value=\"", "\"").unwrap();
            fields.push((format!("{what}-{name}"), value.to_owned()));
        }
    }
    for (name, value) in [
        ("cap", "20"),
        ("matching", "on"),
        ("model", "es"),
        ("ask", "0"),
        ("link", "11"),
        ("blocked", ""),
        ("shared", ""),
        ("reason", ""),
    ] {
        let over = over.iter().find(|(other, _)| *other == name);
        let value = over.map_or(value, |(_, value)| value);
        fields.push((name.into(), value.into()));
    }
    fields
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_tried_out_published_and_taken_back() {
    let server = office().await;
    let browser = Browser::of(&server, Role::Admin).await;
    for (lang, says, why) in [
        (Lang::Es, "1 separación", "las reglas lo dan por compartido"),
        (Lang::En, "1 split", "the rules list it as shared"),
    ] {
        let path = format!("/{}/rules", lang.code());
        let page = browser.get(&path).await.text;
        let sent = |over: &[(&str, &str)]| fields(&page, over);
        let post = async |path: &str, sent: Vec<(String, String)>| {
            let sent: Vec<(&str, &str)> = sent
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            browser.post(path, &sent).await
        };
        let tried = post(
            &format!("{path}/simulate"),
            sent(&[("shared", "email: Info@acme.es")]),
        )
        .await;
        assert!(
            tried.text.contains(says) && tried.text.contains(why),
            "{}",
            tried.text
        );
        assert!(
            tried.text.contains("email: info@acme.es")
                || tried.text.contains("email: Info@acme.es"),
            "{}",
            tried.text
        );
        // What is in force changes nothing.
        let same = post(&format!("{path}/simulate"), sent(&[])).await;
        assert!(same.text.contains(lang.rules_nothing()), "{}", same.text);
        let wrong = post(&path, sent(&[("shared", "email: *"), ("reason", "r")])).await;
        assert!(
            wrong.status == 400 && wrong.text.contains("shared: email"),
            "{}",
            wrong.text
        );
        let wrong = post(&path, sent(&[("shared", "mail: x")])).await;
        assert!(
            wrong.status == 400 && wrong.text.contains("mail: x"),
            "{}",
            wrong.text
        );
        let silent = post(&path, sent(&[("cap", "7")])).await;
        assert!(
            silent.status == 400 && silent.text.contains(lang.error_reason()),
            "{}",
            silent.text
        );
    }
    let page = browser.get("/en/rules").await.text;
    let sent = fields(
        &page,
        &[
            ("shared", "email: info@acme.es"),
            ("reason", "an office is nobody"),
        ],
    );
    let sent: Vec<(&str, &str)> = sent
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(browser.post("/en/rules", &sent).await.status, 303);
    let mut going = server.app.publisher.going();
    going.wait_for(Option::is_none).await.unwrap();
    let page = browser.get("/en/rules").await.text;
    for part in [
        "email: info@acme.es",
        "an office is nobody",
        "Version 2 · In force",
        "Back to v1",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let first = browser.get("/en/rules?version=1").await.text;
    assert!(
        first.contains("Version 1") && !first.contains("email: info@acme.es"),
        "{first}"
    );
    server.close().await;
}

#[tokio::test]
async fn a_steward_tries_rules_out_and_only_an_admin_publishes_them() {
    let server = office().await;
    let steward = Browser::of(&server, Role::Steward).await;
    let page = steward.get("/es/rules").await.text;
    assert!(
        page.contains("Simular") && !page.contains("Publicar</button>"),
        "{page}"
    );
    assert_eq!(
        steward.post("/es/rules", &[("reason", "r")]).await.status,
        403
    );
    let reader = Browser::of(&server, Role::Reader).await;
    assert_eq!(reader.get("/es/rules").await.status, 403);
    server.close().await;
}
