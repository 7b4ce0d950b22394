//! Questions as people read them, and their answers.

use serde_json::json;

use super::{Browser, CORE, Lang, Role, Server, WEB, between};

/// Two records that may be one person's.
async fn asked() -> Server {
    let server = Server::start().await;
    for (source, birthday, contact) in [
        (WEB, "1980-05-12", json!({"email": "xesca@example.org"})),
        (CORE, "1980-05-17", json!({"phone": "600111222"})),
    ] {
        let mut traits = json!({"firstName": "Xesqueta", "lastName": "Bordils Amengual", "birthday": birthday, "city": "Soria"});
        for (key, value) in contact.as_object().unwrap() {
            traits[key] = value.clone();
        }
        let event =
            json!({"type": "identify", "messageId": format!("m-{source}"), "traits": traits});
        server.capture(source, &[event]).await;
    }
    server
}

#[tokio::test]
async fn a_question_is_read_and_answered_and_gone() {
    let server = asked().await;
    let browser = Browser::of(&server, Role::Steward).await;
    for (lang, for_it) in [
        (Lang::Es, "A favor: el mismo nombre, los mismos apellidos"),
        (Lang::En, "For: the same given name, the same surnames"),
    ] {
        let page = browser.get(&format!("/{}/review", lang.code())).await.text;
        assert!(page.contains(for_it), "{page}");
        assert_eq!(
            page.matches("name=\"kind\" value=\"same\"").count(),
            1,
            "{page}"
        );
    }
    let page = browser.get("/en/review").await.text;
    let field = |name: &str| {
        between(&page, &format!("name=\"{name}\" value=\""), "\"")
            .unwrap()
            .to_owned()
    };
    let (one, two) = (field("one"), field("two"));
    let (one_value, two_value) = (field("one_value"), field("two_value"));
    let query =
        format!("kind=same&one={one}&one_value={one_value}&two={two}&two_value={two_value}");
    let preview = browser.get(&format!("/en/decisions/new?{query}")).await;
    assert!(
        preview.text.contains("These become one record:"),
        "{}",
        preview.text
    );
    let fields = [
        ("kind", "same"),
        ("one", &one),
        ("one_value", &one_value),
        ("two", &two),
        ("two_value", &two_value),
        ("reason", "She showed both"),
    ];
    assert_eq!(browser.post("/en/decisions", &fields).await.status, 303);
    let page = browser.get("/en/review").await.text;
    assert!(page.contains("Nothing to decide."), "{page}");
    assert_eq!(
        browser.record("xesca").await,
        browser.record("bordils").await
    );
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn a_reader_sees_questions_masked_and_decides_nothing() {
    let server = asked().await;
    let browser = Browser::of(&server, Role::Reader).await;
    let page = browser.get("/en/review").await.text;
    assert!(page.contains("For: the same given name"), "{page}");
    assert!(
        !page.contains("xesca@") && !page.contains("Bordils"),
        "{page}"
    );
    assert!(!page.contains("name=\"kind\""), "{page}");
    drop(browser);
    server.close().await;
}
