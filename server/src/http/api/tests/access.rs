use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use trenza_shared::store::{Batch, Durable};

use crate::{
    http::{api::CALLS, auth::SESSION_COOKIE},
    tables::{Role, SESSIONS, SessionRow},
    testing::Server,
};

fn url(path: &str) -> String {
    path.replace("{id}", "c_00000000000000000000000000000000")
        .replace("{message_id}", "m")
}

#[tokio::test]
async fn without_a_known_token_every_call_is_refused() {
    let server = Server::start().await;
    for call in CALLS.iter().filter(|call| call.path != "/openapi.json") {
        for header in [
            None,
            Some("Bearer tk_wrong"),
            Some("Bearer"),
            Some("Basic dGs6"),
            Some("Bearer "),
        ] {
            let mut request = Request::builder()
                .method(call.method.to_uppercase().as_str())
                .uri(url(call.path));
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            let answer = server.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(
                answer.status, 401,
                "{} {} {header:?}",
                call.method, call.path
            );
            assert_eq!(answer.json["code"], "unauthorized");
            assert!(answer.headers.contains_key("www-authenticate"));
            assert!(!answer.json["hint"].as_str().unwrap().is_empty());
        }
    }
    server.close().await;
}

#[tokio::test]
async fn no_other_origin_may_read_the_answers() {
    let server = Server::start().await;
    let token = server.token(Role::Admin);
    let request = Request::get("/v1/customers?q=a")
        .header("authorization", format!("Bearer {token}"))
        .header("origin", "https://evil.example");
    let answer = server.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .headers
            .keys()
            .all(|name| !name.as_str().starts_with("access-control"))
    );
    assert_eq!(answer.headers["cache-control"], "no-store");
    server.close().await;
}

#[tokio::test]
async fn a_reader_decides_nothing() {
    let server = Server::start().await;
    let answer = server
        .post(
            Role::Reader,
            "/v1/decisions",
            &json!({"kind": "same", "subjects": ["userId:a", "userId:b"], "reason": "r"}),
        )
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.json["code"].as_str()),
        (403, Some("forbidden"))
    );
    server.close().await;
}

#[tokio::test]
async fn a_session_reads_while_it_lasts_and_never_writes() {
    let server = Server::start().await;
    let now_ms = trenza_shared::clock::parse_time_ms(crate::testing::NOW).unwrap();
    let row = SessionRow {
        user: "eva".into(),
        role: Role::Steward,
        expires_ms: now_ms + 1000,
        csrf: "c".into(),
    };
    let mut batch = Batch::new();
    SESSIONS
        .put(&mut batch, blake3::hash(b"secret").as_bytes(), &row)
        .unwrap();
    server.app.store.commit(batch, Durable::Yes).unwrap();
    let ask = |method: &str, path: &str, body: &Value| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("cookie", format!("a=b; {SESSION_COOKIE}=secret"))
            .header("content-type", "application/json");
        server.send(request.body(Body::from(body.to_string())).unwrap())
    };
    assert_eq!(ask("GET", "/v1/agents", &Value::Null).await.status, 200);
    let decision = json!({"kind": "same", "subjects": ["userId:a", "userId:b"], "reason": "r"});
    assert_eq!(ask("POST", "/v1/decisions", &decision).await.status, 401);
    server.clock.advance_ms(1000);
    assert_eq!(ask("GET", "/v1/agents", &Value::Null).await.status, 401);
    server.close().await;
}

#[tokio::test]
async fn what_cannot_be_answered_says_why() {
    let server = Server::start().await;
    let cases = [
        ("/v1/customers", 400, "bad_query"),
        (
            "/v1/customers?q=a&identifier=email:a@b.es",
            400,
            "bad_query",
        ),
        ("/v1/customers?identifier=ada", 400, "bad_identifier"),
        ("/v1/customers?identifier=shoe:42", 400, "bad_identifier"),
        (
            "/v1/customers?identifier=email:nobody",
            400,
            "bad_identifier",
        ),
        (
            "/v1/customers/c_00000000000000000000000000000000",
            404,
            "not_found",
        ),
        ("/v1/customers/nobody", 404, "not_found"),
        (
            "/v1/customers/c_00000000000000000000000000000000/timeline",
            404,
            "not_found",
        ),
        (
            "/v1/customers/c_00000000000000000000000000000000/timeline?after=x",
            400,
            "bad_cursor",
        ),
        (
            "/v1/customers/c_00000000000000000000000000000000/timeline?limit=x",
            400,
            "bad_query",
        ),
        (
            "/v1/customers/c_00000000000000000000000000000000/why?from=userId:a&to=userId:b",
            404,
            "not_found",
        ),
        ("/v1/why?from=userId:a", 400, "bad_query"),
        ("/v1/changes?after=x", 400, "bad_cursor"),
        ("/v1/changes?wait_s=-1", 400, "bad_query"),
        ("/v1/nowhere", 404, "not_found"),
    ];
    for (path, status, code) in cases {
        let answer = server.get(Role::Admin, path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json["code"].as_str()),
            (status, Some(code)),
            "{path}: {}",
            answer.text
        );
        assert!(
            !answer.json["message"].as_str().unwrap().is_empty(),
            "{path}"
        );
    }
    let found = server
        .get(
            Role::Admin,
            "/v1/customers?identifier=email:nobody@example.org",
        )
        .await;
    assert_eq!(
        (found.status.as_u16(), &found.json["customers"]),
        (200, &json!([]))
    );
    server.close().await;
}
