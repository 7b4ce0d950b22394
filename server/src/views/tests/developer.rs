//! What a website's developer copies, and what they are told of what arrived.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::json;

use super::{Browser, Role, Server, WEB, between, live::arrived};
use crate::{config::Config, http};

#[tokio::test]
async fn a_line_to_paste_names_an_address_that_works_where_its_reader_is() {
    let server = Server::start().await;
    server
        .capture(
            WEB,
            &[json!({"type": "page", "anonymousId": "v", "messageId": "web-1"})],
        )
        .await;
    let browser = Browser::of(&server, Role::Admin).await;
    let at = async |path: &str, host: &str, proto: &str| {
        let request = Request::get(path)
            .header(header::COOKIE, &browser.cookie)
            .header(header::HOST, host)
            .header("x-forwarded-proto", proto);
        let answer = server.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 200, "{path}");
        answer.text
    };
    let quote = "&#34;";
    for path in ["/en/sources/wk_web", "/en/first-steps"] {
        let page = at(path, "127.0.0.1:8080", "http").await;
        let line = format!("src={quote}http://127.0.0.1:8080/t.js{quote}");
        assert!(page.contains(&line), "{path}: {page}");
        assert!(
            page.contains("script-src http://127.0.0.1:8080;"),
            "{path}: {page}"
        );
        assert!(
            page.contains("works on this machine alone"),
            "{path}: {page}"
        );
        // Over TLS, or from elsewhere.
        for (host, proto) in [("127.0.0.1:8443", "https"), ("trenza.example", "http")] {
            let page = at(path, host, proto).await;
            assert!(
                page.contains(&format!("src={quote}https://")),
                "{path}: {page}"
            );
            assert!(
                page.contains("ERR_CERT_AUTHORITY_INVALID"),
                "{path}: {page}"
            );
        }
    }
    let page = at("/es/sources/wk_web", "127.0.0.1:8080", "http").await;
    assert!(page.contains("vale solo en este equipo"), "{page}");
    assert!(
        page.contains("curl -sS &#39;http://127.0.0.1:8080/v1/page&#39;"),
        "{page}"
    );
    let page = at("/es/sources/wk_web", "127.0.0.1:8443", "https").await;
    assert!(
        page.contains("curl -sS --cacert &#39;") && page.contains("ca.pem&#39; &#39;https://"),
        "{page}"
    );
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn with_a_public_address_the_line_names_it_to_everybody() {
    let mut server = Server::start().await;
    let mut config = Config::clone(&server.app.config);
    config.public.url = "https://trenza.example".into();
    server.app.config = Arc::new(config);
    server.router = http::routes(server.app.clone(), "http");
    let browser = Browser::of(&server, Role::Admin).await;
    let request = Request::get("/en/sources/wk_web")
        .header(header::COOKIE, &browser.cookie)
        .header(header::HOST, "127.0.0.1:8080");
    let page = server.send(request.body(Body::empty()).unwrap()).await.text;
    assert!(page.contains("https://trenza.example/t.js"), "{page}");
    assert!(!page.contains("works on this machine alone"), "{page}");
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn the_line_to_paste_stands_above_what_arrives() {
    let server = arrived().await;
    let browser = Browser::of(&server, Role::Admin).await;
    let page = browser.get("/en/sources/wk_web").await.text;
    let at = |text: &str| page.find(text).unwrap();
    assert!(at("data-write-key=") < at("id=\"rows\""), "{page}");
    assert!(at("id=\"origins\"") < at("id=\"rows\""), "{page}");
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn a_spanish_row_gives_its_reason_in_spanish_alone() {
    let server = arrived().await;
    let broken = Request::post("/v1/batch").header("x-write-key", WEB);
    server
        .send(broken.body(Body::from("{not json")).unwrap())
        .await;
    let browser = Browser::of(&server, Role::Steward).await;
    let page = browser.get("/es/live").await.text;
    for says in [
        "no es de ninguna fuente",
        "falta quién",
        "No es JSON válido",
    ] {
        assert!(page.contains(says), "{says}: {page}");
        let why = between(&page, says, "</p>").unwrap();
        assert!(!why.contains("<code>"), "{why}");
    }
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn an_event_of_a_program_is_flagged_and_is_nothing_that_went_wrong() {
    let server = Server::start().await;
    let event = json!({"type": "page", "name": "Crawled", "anonymousId": "v", "messageId": "b-1",
        "context": {"userAgent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}});
    server.capture(WEB, &[event]).await;
    let browser = Browser::of(&server, Role::Steward).await;
    let all = browser.get("/en/live").await.text;
    assert!(
        all.contains("Crawled") && all.contains(">Program<"),
        "{all}"
    );
    let wrong = browser.get("/en/live?show=problems").await.text;
    assert!(!wrong.contains("Crawled"), "{wrong}");
    assert!(
        wrong.contains("the last 200 events and no further back"),
        "{wrong}"
    );
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn a_filter_looks_back_as_far_as_the_page_says() {
    let server = Server::start().await;
    let event = |n: usize| json!({"type": "track", "event": if n == 0 { "First" } else { "Later" }, "userId": "u", "messageId": format!("m-{n}")});
    for n in 0..200 {
        server.capture(WEB, &[event(n)]).await;
    }
    let browser = Browser::of(&server, Role::Steward).await;
    let found = browser.get("/en/live?q=first").await.text;
    assert_eq!(found.matches("<li id=\"row-").count(), 1, "{found}");
    server.capture(WEB, &[event(200)]).await;
    let found = browser.get("/en/live?q=first").await.text;
    assert!(found.contains("no further back"), "{found}");
    drop(browser);
    server.close().await;
}

#[tokio::test]
async fn a_messageid_with_two_contents_is_told_on_the_record_and_in_its_timeline() {
    let server = Server::start().await;
    let event = |name: &str, id: &str| json!({"type": "track", "event": name, "userId": "ada", "messageId": id});
    server
        .capture(
            WEB,
            &[
                event("One", "m-1"),
                event("Two", "m-1"),
                event("Alone", "m-2"),
            ],
        )
        .await;
    let found = server
        .get(Role::Steward, "/v1/customers?identifier=userId:ada")
        .await;
    let id = found.json["customers"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let line = server
        .get(Role::Steward, &format!("/v1/customers/{id}/timeline"))
        .await;
    let mut told: Vec<(&str, bool)> = line.json["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            (
                event["event"].as_str().unwrap(),
                event["id_conflict"] == true,
            )
        })
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [("Alone", false), ("One", true), ("Two", true)],
        "{}",
        line.text
    );
    let browser = Browser::of(&server, Role::Steward).await;
    for (lang, says) in [
        ("es", "Otro evento distinto usa este messageId"),
        ("en", "A different event uses this messageId"),
    ] {
        let page = browser.get(&format!("/{lang}/customers/{id}")).await.text;
        assert_eq!(page.matches(says).count(), 2, "{page}");
    }
    drop(browser);
    server.close().await;
}
