//! No answer runs what a stranger put into a request: whatever is echoed is marked as what it is, and inert in it.

use axum::{
    body::Body,
    http::{Request, header},
};

use super::description::described;
use crate::testing::{Answer, Server, WEB};

const EVIL: [&str; 4] = [
    "\"><script>alert(7)</script>",
    "'-alert(7)-'",
    "</script><svg onload=alert(7)>",
    "\\\");alert(7)//",
];
/// What a browser may do with an answer.
const KINDS: [&str; 6] = [
    "application/json",
    "text/plain; charset=utf-8",
    "text/html; charset=utf-8",
    "text/javascript; charset=utf-8",
    "text/css; charset=utf-8",
    "image/gif",
];
/// Answers that name a page's origin or its headers on purpose (CORS).
const ECHOES: [&str; 2] = [
    "access-control-allow-origin",
    "access-control-allow-headers",
];
const PAGES: [&str; 6] = [
    "/es/{id}",
    "/es/find?q={id}",
    "/es/sign-in?next={id}",
    "/en/live/rows?source={id}&after={id}",
    "/assets/{id}",
    "/{id}",
];

fn encoded(text: &str) -> String {
    crate::views::encoded(text)
}

fn inert(what: &str, evil: &str, answer: &Answer) {
    let what = format!("{what} with {evil}: {}", answer.text);
    assert_eq!(
        answer.headers[header::X_CONTENT_TYPE_OPTIONS],
        "nosniff",
        "{what}"
    );
    for (name, value) in &answer.headers {
        let said = String::from_utf8_lossy(value.as_bytes());
        assert!(
            ECHOES.contains(&name.as_str()) || !said.contains(evil),
            "{name}: {said} of {what}"
        );
    }
    let Some(kind) = answer.headers.get(header::CONTENT_TYPE) else {
        assert!(answer.text.is_empty(), "{what}");
        return;
    };
    let kind = kind.to_str().unwrap();
    assert!(KINDS.contains(&kind), "{kind} of {what}");
    match kind {
        "text/html; charset=utf-8" => {
            let policy = answer.headers[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap();
            assert!(
                policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
                "{what}"
            );
            assert!(
                !answer.text.contains(evil) && !answer.text.contains("<svg onload"),
                "{what}"
            );
            assert!(!answer.text.contains("<script>"), "{what}");
        }
        "text/javascript; charset=utf-8" => assert!(!answer.text.contains("alert(7)"), "{what}"),
        _ => {}
    }
}

#[tokio::test]
async fn no_answer_of_any_public_url_runs_what_a_request_says() {
    let server = Server::start().await;
    let paths = described()
        .into_iter()
        .chain(PAGES.map(|path| (path.to_owned(), "get".to_owned())));
    let mut html = 0;
    for (path, method) in paths {
        for evil in EVIL {
            let filled = path.split(['{', '}']).enumerate().map(|(at, part)| {
                if at % 2 == 1 {
                    encoded(evil)
                } else {
                    part.to_owned()
                }
            });
            let filled: String = filled.collect();
            let ask = if filled.contains('?') { '&' } else { '?' };
            let query = ["p", "v", "e", "writeKey", "next", "q", "wait", "data"]
                .map(|name| format!("{name}={}", encoded(evil)))
                .join("&");
            let bodies = [
                evil.to_owned(),
                serde_json::json!({"type": evil, "event": evil, "userId": evil, "messageId": evil, "writeKey": evil, "api_key": evil,
                    "batch": [{"type": evil, "messageId": evil, "userId": evil}], "schema": evil, "data": [{"e": evil, "eid": evil}]})
                .to_string(),
            ];
            for (body, key) in bodies.into_iter().zip([evil, WEB]) {
                for accept in ["text/html", "*/*"] {
                    let mut request = Request::builder()
                        .method(method.to_uppercase().as_str())
                        .uri(format!("{filled}{ask}{query}"))
                        .header(header::ACCEPT, accept)
                        .header("x-write-key", key);
                    for name in [
                        "origin",
                        "user-agent",
                        "referer",
                        "content-type",
                        "sentat",
                        "x-forwarded-proto",
                        "access-control-request-headers",
                        "accept-language",
                    ] {
                        request = request.header(name, evil);
                    }
                    let answer = server
                        .send(request.body(Body::from(body.clone())).unwrap())
                        .await;
                    assert!(!answer.status.is_server_error(), "{path}: {}", answer.text);
                    html += usize::from(answer.text.starts_with("<!doctype html>"));
                    inert(&format!("{method} {path}"), evil, &answer);
                }
            }
        }
    }
    assert!(html > 20, "errors as pages were among them: {html}");
    server.close().await;
}
