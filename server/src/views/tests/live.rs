//! What a developer sees: what arrives, a source's page, the consent test.

use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::json;

use super::{Browser, Lang, Role, Server, WEB, between};
use crate::testing::source;

const EVIL: &str = "<script>alert(1)</script>";

pub(super) async fn arrived() -> Server {
    let server = Server::start().await;
    let page = json!({"type": "track", "event": "Renta fija", "userId": "ada-lovelace", "messageId": "web-1", "properties": {"note": "it's"}});
    server.capture(WEB, std::slice::from_ref(&page)).await;
    server.capture(WEB, &[page]).await;
    server
        .capture(
            WEB,
            &[json!({"type": "track", "event": EVIL, "messageId": EVIL})],
        )
        .await;
    server
        .capture(
            &format!("wk_{EVIL}"),
            &[json!({"type": "page", "anonymousId": EVIL, "messageId": "web-9"})],
        )
        .await;
    server
}

#[tokio::test]
async fn what_nothing_is_read_of_is_named_in_the_readers_language() {
    let server = Server::start().await;
    let odd = json!({"type": "track", "event": "Compra", "userId": "u-1", "timestamp": "ayer"});
    server.capture(WEB, &[odd]).await;
    let browser = Browser::of(&server, Role::Steward).await;
    for (lang, words) in [
        ("es", ["No se usa", "no es fecha y hora ISO 8601"]),
        ("en", ["Not used", "is no date and time by ISO 8601"]),
    ] {
        let page = browser
            .get(&format!("/{lang}/live?show=problems"))
            .await
            .text;
        for word in words {
            assert!(page.contains(word), "{word} not in {page}");
        }
        assert!(page.contains("timestamp "), "{page}");
    }
}

#[tokio::test]
async fn each_row_says_what_became_of_it_in_the_readers_language() {
    let server = arrived().await;
    let browser = Browser::of(&server, Role::Steward).await;
    for (lang, words) in [
        (
            Lang::Es,
            [
                "En su ficha",
                "Repetido",
                "Apartado",
                "falta quién",
                "Clave desconocida",
            ],
        ),
        (
            Lang::En,
            [
                "In its record",
                "Duplicate",
                "Set aside",
                "it names nobody",
                "Unknown key",
            ],
        ),
    ] {
        let page = browser.get(&format!("/{}/live", lang.code())).await.text;
        for word in words {
            assert!(page.contains(word), "{word} not in {page}");
        }
        assert!(!page.contains("<script>alert"), "{page}");
        // The newest on top.
        assert!(page.find("web-9") < page.find("web-1"), "{page}");
    }
    let page = browser.get("/en/live").await.text;
    let curl = between(&page, "curl -sS", "</code>").unwrap();
    assert!(curl.contains("x-write-key: wk_"), "{curl}");
    assert!(
        page.contains(r"it&#39;\&#39;&#39;s"),
        "quoted for a shell: {page}"
    );
    let only = browser
        .get("/en/live?source=Website&show=problems")
        .await
        .text;
    assert!(
        only.contains("Duplicate") && only.contains("Set aside"),
        "{only}"
    );
    assert!(
        !only.contains("In its record") && !only.contains("Unknown key"),
        "{only}"
    );
    let named = browser.get("/en/live?q=RENTA").await.text;
    assert_eq!(named.matches("<li id=\"row-").count(), 2, "{named}");
    let none = browser.get("/en/live?q=nothing-like-it").await.text;
    assert!(
        none.contains("Nothing of the last fits the filter."),
        "{none}"
    );
    assert_eq!(browser.get("/en/live?source=Nowhere").await.status, 404);
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn an_open_page_asks_for_what_is_new_alone() {
    let server = arrived().await;
    let browser = Browser::of(&server, Role::Reader).await;
    let page = browser.get("/es/live?source=Website").await.text;
    let next = between(&page, "data-next=\"", "\"").unwrap();
    let rows = between(&page, "data-rows=\"", "\"")
        .unwrap()
        .replace("&#38;", "&");
    let nothing = browser.get(&format!("{rows}&after={next}")).await;
    assert_eq!(nothing.text.matches("<li").count(), 0, "{}", nothing.text);
    assert_eq!(nothing.headers[header::CACHE_CONTROL], "no-store");
    server
        .capture(WEB, &[json!({"type": "track", "event": "Guide opened", "anonymousId": "v", "messageId": "web-2"})])
        .await;
    let new = browser
        .get(&format!("{rows}&after={next}&wait_s=10"))
        .await
        .text;
    assert_eq!(new.matches("<li").count(), 1, "{new}");
    assert!(
        new.contains("Guide opened") && !new.contains("<html"),
        "{new}"
    );
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn a_reader_sees_what_arrives_masked_and_no_sources() {
    let server = arrived().await;
    let browser = Browser::of(&server, Role::Reader).await;
    let page = browser.get("/en/live").await.text;
    assert!(
        page.contains("Renta fija") && !page.contains("ada-lovelace"),
        "{page}"
    );
    for path in [
        "/en/sources/wk_web",
        "/en/consent-test",
        "/en/consent-test/frame?source=wk_web&case=all&run=r",
    ] {
        assert_eq!(browser.get(path).await.status, 403, "{path}");
    }
    for path in ["/en/sources/wk_web/test", "/en/sources/wk_web/revoke"] {
        assert_eq!(browser.post(path, &[]).await.status, 403, "{path}");
    }
    assert_eq!(
        browser
            .post("/en/sources/wk_web/origins", &[("origins", "")])
            .await
            .status,
        403
    );
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn a_write_key_that_is_taken_back_on_its_page_sends_nothing_any_more() {
    let server = Server::start().await;
    let browser = Browser::of(&server, Role::Admin).await;
    let path = "/es/sources/wk_web";
    assert!(
        browser
            .get(path)
            .await
            .text
            .contains("Retirar para siempre")
    );
    assert_eq!(
        browser.post("/es/sources/wk_web/revoke", &[]).await.status,
        303
    );
    let page = browser.get(path).await.text;
    assert!(
        page.contains("Esta clave está retirada")
            && !page.contains("Retirar para siempre")
            && !page.contains("data-write-key"),
        "{page}"
    );
    let event = Request::post("/v1/track").header("x-write-key", WEB);
    let event = event.body(Body::from(r#"{"type":"track","event":"x","userId":"u"}"#));
    assert_eq!(server.send(event.unwrap()).await.status, 401);
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn a_source_waits_for_its_first_event_and_sends_a_test() {
    let server = Server::start().await;
    let browser = Browser::of(&server, Role::Admin).await;
    let page = browser.get("/en/sources/wk_web").await.text;
    assert!(page.contains("Waiting for the first event"), "{page}");
    for part in [
        "/t.js&#34; data-write-key=&#34;wk_web&#34;",
        "integrity=&#34;sha384-",
        "crossorigin=&#34;anonymous&#34;",
        "script-src https://",
        "location = /v1/batch",
    ] {
        assert!(page.contains(part), "{part} not in {page}");
    }
    let fixed = between(&page, "/t/", "&#34;").unwrap();
    let script = browser.get(&format!("/t/{fixed}")).await;
    assert_eq!(script.status, 200, "the fixed line leads to the script");
    let sent = browser.post("/en/sources/wk_web/test", &[]).await;
    assert_eq!(sent.headers[header::LOCATION], "/en/sources/wk_web#live");
    let page = browser.get("/en/sources/wk_web").await.text;
    assert!(
        page.contains("Trenza test") && page.contains("In its record"),
        "{page}"
    );
    assert!(!page.contains("Waiting for the first event"), "{page}");
    assert_eq!(browser.get("/en/sources/wk_nothing").await.status, 404);
    let mut gone = source("Gone", 1);
    gone.revoked = true;
    server.app.registry.put_source("wk_gone", &gone).unwrap();
    assert_eq!(
        browser.post("/en/sources/wk_gone/test", &[]).await.status,
        409
    );
    assert!(
        !browser
            .get("/en/sources/wk_gone")
            .await
            .text
            .contains("/test\"")
    );
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn a_refused_origin_is_shown_and_allowed_with_one_press() {
    let server = Server::start().await;
    let mut closed = source("Closed", 1);
    closed.origins = vec!["https://www.example.org".into()];
    server
        .app
        .registry
        .put_source("wk_closed", &closed)
        .unwrap();
    let send = async |origin: &str| {
        let request = Request::post("/v1/track")
            .header("x-write-key", "wk_closed")
            .header("origin", origin);
        let body = r#"{"type":"track","event":"x","userId":"u"}"#;
        server
            .send(request.body(Body::from(body)).unwrap())
            .await
            .status
    };
    assert_eq!(send("https://staging.example.org").await, 403);
    assert_eq!(send(&format!("https://{EVIL}")).await, 403);
    let browser = Browser::of(&server, Role::Admin).await;
    let page = browser.get("/es/sources/wk_closed").await.text;
    assert!(
        page.contains("Origen no permitido: https://staging.example.org"),
        "{page}"
    );
    assert!(!page.contains("<script>alert"), "{page}");
    let offered = between(
        &page,
        "name=\"origins\" value=\"https://www.example.org https://staging",
        "\"",
    );
    let origins = format!(
        "https://www.example.org https://staging{}",
        offered.unwrap()
    );
    let allowed = browser
        .post("/es/sources/wk_closed/origins", &[("origins", &origins)])
        .await;
    assert_eq!(allowed.status, 303);
    assert_eq!(send("https://staging.example.org").await, 200);
    assert_eq!(send("https://www.example.org").await, 200);
    let page = browser.get("/es/sources/wk_closed").await.text;
    assert!(
        !page.contains("Origen no permitido: https://staging"),
        "{page}"
    );
    let wrong = browser
        .post(
            "/es/sources/wk_closed/origins",
            &[("origins", "example.org/path")],
        )
        .await;
    assert_eq!(wrong.status, 400);
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn the_consent_test_may_frame_its_own_pages_alone() {
    let server = Server::start().await;
    let browser = Browser::of(&server, Role::Admin).await;
    let page = browser.get("/es/consent-test?source=wk_web").await;
    let policy = |answer: &crate::testing::Answer| {
        answer.headers[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert!(
        policy(&page).contains("frame-src 'self'")
            && policy(&page).contains("frame-ancestors 'none'")
    );
    assert_eq!(page.text.matches("<tr data-case=").count(), 5);
    let frame = browser
        .get("/es/consent-test/frame?source=wk_web&case=gpc&run=%22%3E%3Cscript%3E")
        .await;
    assert!(
        policy(&frame).contains("frame-ancestors 'self'"),
        "{}",
        policy(&frame)
    );
    assert!(frame.text.contains("data-consent=\"granted\"") && !frame.text.contains("\"><script>"));
    for query in [
        "source=wk_nobody&case=all&run=r",
        "source=wk_web&case=other&run=r",
    ] {
        assert_eq!(
            browser
                .get(&format!("/es/consent-test/frame?{query}"))
                .await
                .status,
            404
        );
    }
    drop(browser);
    server.close().await;
}
