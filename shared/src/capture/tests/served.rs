//! Settings and snippet.

use axum::{body::Body, http::Method};
use serde_json::json;

use super::*;

#[tokio::test]
async fn settings_name_this_host_and_no_other_integration() {
    let ask = async |path: &str, headers: &[(&str, &str)]| {
        Recorder::default()
            .ask(request(Method::GET, path, headers, ""))
            .await
    };
    let answer = ask(
        "/v1/projects/k%2F1/settings",
        &[
            ("host", "t.example:8443"),
            ("origin", "https://shop.example"),
        ],
    )
    .await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "https://shop.example"
    );
    let body = answer.json();
    assert_eq!(body["integrations"].as_object().unwrap().len(), 1);
    let segment = &body["integrations"]["Segment.io"];
    assert_eq!(
        (
            &segment["apiKey"],
            &segment["apiHost"],
            &segment["protocol"]
        ),
        (&json!("k/1"), &json!("t.example:8443/v1"), &json!("https"))
    );
    assert_eq!(body["metrics"], json!({"sampleRate": 0}));
    let proxied = ask(
        "/projects/k/settings",
        &[("host", "[::1]:80"), ("x-forwarded-proto", "http")],
    )
    .await
    .json();
    assert_eq!(
        proxied["integrations"]["Segment.io"]["protocol"],
        json!("http")
    );
    let lying = ask(
        "/projects/k/settings",
        &[("host", "h"), ("x-forwarded-proto", "javascript")],
    )
    .await
    .json();
    assert_eq!(
        lying["integrations"]["Segment.io"]["protocol"],
        json!("https")
    );
    assert_eq!(
        ask("/v1/projects/k/settings", &[]).await.error(),
        (400, "bad_host".into())
    );
    assert_eq!(
        ask("/v1/projects/k/settings", &[("host", "a b/\"")])
            .await
            .error(),
        (400, "bad_host".into())
    );
    assert_eq!(
        ask("/v1/projects/%ff/settings", &[("host", "h")])
            .await
            .error(),
        (400, "bad_write_key".into())
    );
}

#[tokio::test]
async fn what_rudderstack_asks_for_has_no_destination() {
    let path =
        "/sourceConfig/?p=npm&v=3.34.1&build=modern&writeKey=key&lockIntegrationsVersion=false";
    let headers = [("authorization", BASIC), ("origin", "https://shop.example")];
    let answer = Recorder::default()
        .ask(request(Method::GET, path, &headers, ""))
        .await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "https://shop.example"
    );
    let source = &answer.json()["source"];
    assert_eq!(
        (&source["enabled"], &source["destinations"]),
        (&json!(true), &json!([]))
    );
    assert!(source["config"].is_object() && source["id"].is_string());
}

#[tokio::test]
async fn segments_script_for_html_is_told_whose_host_it_is_on() {
    let path = "/analytics.js/v1/wk_1/analytics.min.js";
    let ask = async |headers: &[(&str, &str)]| {
        Recorder::default()
            .ask(request(Method::GET, path, headers, ""))
            .await
    };
    let plain = ask(&[]).await;
    assert_eq!(
        plain.header("content-type"),
        "text/javascript; charset=utf-8"
    );
    assert!(
        plain
            .bytes
            .starts_with(b"!function(s){if(!s||!s.src)return;")
    );
    assert!(plain.bytes.ends_with(b"sourceMappingURL=standalone.js.map"));
    let packed = ask(&[("accept-encoding", "gzip")]).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.bytes.len() < 40_000, "{}", packed.bytes.len());
}

#[tokio::test]
async fn jitsus_script_is_as_its_package_has_it() {
    let jitsu: &[u8] = include_bytes!("../vendored/jitsu-1.11.0.js");
    for path in ["/p.js", "/p.js?v=2"] {
        let ask = async |headers: &[(&str, &str)]| {
            Recorder::default()
                .ask(request(Method::GET, path, headers, ""))
                .await
        };
        let plain = ask(&[("origin", "https://shop.example")]).await;
        assert!(plain.status() == 200 && plain.bytes == jitsu, "{path}");
        assert_eq!(
            (
                plain.header("content-type"),
                plain.header("access-control-allow-origin"),
                plain.header("x-content-type-options"),
            ),
            (
                "text/javascript; charset=utf-8",
                "https://shop.example",
                "nosniff"
            )
        );
        let packed = ask(&[("accept-encoding", "gzip, br")]).await;
        assert_eq!(packed.header("content-encoding"), "gzip");
        let bytes = packed.bytes.len();
        assert!(bytes < 40_000, "{path}: {bytes} bytes");
    }
}

#[tokio::test]
async fn probes_are_answered() {
    let ask = async |path: &str| {
        Recorder::default()
            .ask(request(Method::GET, path, &[], ""))
            .await
    };
    ask("/health").await.is_success();
    assert!(ask("/robots.txt").await.bytes.ends_with(b"Disallow: /\n"));
}

#[tokio::test]
async fn the_snippet_is_short_lived_by_name_and_immutable_by_hash() {
    let ask = async |path: &str, headers: &[(&str, &str)]| {
        Recorder::default()
            .ask(request(Method::GET, path, headers, Body::empty()))
            .await
    };
    let plain = ask("/t.js", &[("origin", "https://shop.example")]).await;
    assert_eq!(
        (plain.status().as_u16(), plain.bytes.as_slice()),
        (200, SNIPPET)
    );
    assert_eq!(
        plain.header("content-type"),
        "text/javascript; charset=utf-8"
    );
    assert_eq!(
        plain.header("access-control-allow-origin"),
        "https://shop.example"
    );
    assert!(plain.header("cache-control").contains("max-age=300"));

    let packed = ask("/t.js", &[("accept-encoding", "br, gzip;q=0.8")]).await;
    assert_eq!(
        (packed.header("content-encoding"), packed.header("vary")),
        ("gzip", "accept-encoding")
    );
    assert!(packed.bytes.starts_with(&[0x1f, 0x8b]) && packed.bytes.len() < SNIPPET.len());
    assert_ne!(packed.header("etag"), plain.header("etag"));
    assert_eq!(
        ask("/t.js", &[("accept-encoding", "gzip;q=0, br")])
            .await
            .header("content-encoding"),
        ""
    );

    let again = ask(
        "/t.js",
        &[(
            "if-none-match",
            &format!("\"x\", W/{}", plain.header("etag")),
        )],
    )
    .await;
    assert_eq!((again.status().as_u16(), again.bytes.len()), (304, 0));
    assert_eq!(
        ask("/t.js", &[("if-none-match", "\"old\"")]).await.status(),
        200
    );

    let hash = plain.header("etag").trim_matches('"').to_owned();
    let frozen = ask(&format!("/t/1.2.3.{hash}.js"), &[]).await;
    assert_eq!(
        (frozen.status().as_u16(), frozen.bytes.as_slice()),
        (200, SNIPPET)
    );
    assert_eq!(
        frozen.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(
        ask("/t/1.2.3.0000.js", &[]).await.error(),
        (404, "not_found".into())
    );
}
