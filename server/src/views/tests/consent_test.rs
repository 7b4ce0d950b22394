//! The consent test of a source that takes events from some origins alone.

use axum::{body::Body, http::Request};

use super::{Browser, Role, Server, between};
use crate::testing::{Answer, source};

const OURS: &str = "http://127.0.0.1:8080";
const EVENT: &str = r#"{"writeKey":"wk_closed","batch":[{"type":"track","event":"Consent test","anonymousId":"trenza-test","messageId":"c-1"}]}"#;

async fn send(server: &Server, path: &str, origin: &str, site: Option<&str>) -> Answer {
    let mut request = Request::post(path)
        .header("host", "127.0.0.1:8080")
        .header("origin", origin);
    if let Some(site) = site {
        request = request.header("sec-fetch-site", site);
    }
    server.send(request.body(Body::from(EVENT)).unwrap()).await
}

async fn closed() -> Server {
    let server = Server::start().await;
    for key in ["wk_closed", "wk_other"] {
        let mut row = source(key, 1);
        row.origins = vec!["https://www.example.org".into()];
        server.app.registry.put_source(key, &row).unwrap();
    }
    server
}

#[tokio::test]
async fn the_tests_own_page_may_send_whatever_origins_the_source_has_and_no_other_page() {
    let server = closed().await;
    let browser = Browser::of(&server, Role::Admin).await;
    let host = async |key: &str| {
        let path = format!("/es/consent-test/frame?source={key}&case=all&run=r");
        let frame = browser.get(&path).await.text;
        let host = between(&frame, "data-host=\"", "\"").unwrap();
        format!("{host}/v1/batch")
    };
    let (path, same) = (host("wk_closed").await, Some("same-origin"));
    assert!(path.starts_with("/consent-test/"), "{path}");
    let refused = send(&server, "/v1/batch", OURS, same).await;
    assert_eq!(refused.json["code"], "origin_refused", "{}", refused.text);
    // A page of elsewhere, should it ever learn the pass.
    for (origin, site) in [
        ("https://evil.example", Some("cross-site")),
        ("https://evil.example", None),
        ("http://127.0.0.1:9999", Some("same-site")),
    ] {
        let refused = send(&server, &path, origin, site).await;
        assert_eq!(refused.status, 403, "{origin}: {}", refused.text);
        assert!(!refused.headers.contains_key("access-control-allow-origin"));
    }
    for wrong in [
        host("wk_other").await,
        format!("{}0/v1/batch", path.trim_end_matches("/v1/batch")),
    ] {
        let refused = send(&server, &wrong, OURS, same).await;
        assert_eq!(refused.json["code"], "origin_refused", "{}", refused.text);
    }
    for site in [same, None] {
        let taken = send(&server, &path, OURS, site).await;
        assert_eq!(taken.status, 200, "{}", taken.text);
    }
    server.clock.advance_ms(6 * 60_000);
    let late = send(&server, &path, OURS, same).await;
    assert_eq!(late.json["code"], "origin_refused", "{}", late.text);
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn what_the_test_may_be_refused_for_is_on_its_page_in_the_readers_language() {
    let server = closed().await;
    let browser = Browser::of(&server, Role::Admin).await;
    for (lang, says) in [("es", "Origen no permitido"), ("en", "Origin not allowed")] {
        let page = browser.get(&format!("/{lang}/consent-test")).await.text;
        let reason = between(&page, "data-code=\"origin_refused\">", "<").unwrap();
        assert!(reason.contains(says), "{page}");
    }
    drop(browser);
    server.close().await;
}
