//! A server for tests: memory store, a clock that stands still, requests through the real routers.
//!
//! Never opens a port and never sleeps: what must have happened is waited for by `?wait=resolved`.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use trenza_shared::{
    clock::{TestClock, parse_time_ms},
    id::to_hex,
    identity::Rules,
    net::pki::Ca,
    store::{Batch, Durable, MemStore, Store},
};

use crate::{
    app::{App, Running},
    config::Config,
    http,
    tables::{RULES, Role, RulesRow, SourceRow, TOKENS, TokenRow},
};

/// When every test server begins. Unit: ms since 1970.
pub const NOW: &str = "2026-03-14T10:00:00.000Z";
/// Write key of the website that every test server has.
pub const WEB: &str = "wk_web";
/// Write key of the core system's import: it outranks the others.
pub const CORE: &str = "wk_core";

/// One server in this process.
pub struct Server {
    /// The state.
    pub app: App,
    /// Its clock.
    pub clock: Arc<TestClock>,
    /// The `http` listener's router.
    pub router: Router,
    running: Running,
    _dir: tempfile::TempDir,
}

/// An answer: status and JSON body (null where it is none).
#[derive(Debug)]
pub struct Answer {
    /// The status line.
    pub status: StatusCode,
    /// The headers.
    pub headers: axum::http::HeaderMap,
    /// The body as text.
    pub text: String,
    /// The body as JSON.
    pub json: Value,
}

impl Server {
    /// A new, empty server with two sources: [`WEB`] and [`CORE`].
    pub async fn start() -> Self {
        Self::over(Arc::new(MemStore::new())).await
    }

    /// A server over a store that may hold something.
    pub async fn over(store: Arc<dyn Store>) -> Self {
        Self::ruled(store, None).await
    }

    /// The same, for which other rules were published while it did not run.
    pub async fn ruled(store: Arc<dyn Store>, published: Option<Rules>) -> Self {
        if let Some(rules) = published {
            let mut batch = Batch::new();
            let row = RulesRow {
                by: "ana".into(),
                reason: "a test".into(),
                at_ms: 0,
                rules,
            };
            RULES.put(&mut batch, &row.rules.version, &row).unwrap();
            store.commit(batch, Durable::Yes).unwrap();
        }
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::at(parse_time_ms(NOW).unwrap()));
        let ca = Ca::generate("Test", parse_time_ms(NOW).unwrap()).unwrap();
        std::fs::write(dir.path().join("ca.pem"), ca.cert_pem()).unwrap();
        std::fs::write(dir.path().join("ca.key.pem"), ca.key_pem()).unwrap();
        let mut config = Config {
            dir: dir.path().to_path_buf(),
            ..Config::default()
        };
        config.identity.id_key = to_hex(&[7; 32]);
        let running = App::over(config, store, clock.clone()).unwrap();
        let app = running.app.clone();
        app.registry
            .put_source(WEB, &source("Website", 100))
            .unwrap();
        app.registry
            .put_source(CORE, &source("Core system", 200))
            .unwrap();
        let router = http::routes(app.clone(), "http");
        Self {
            app,
            clock,
            router,
            running,
            _dir: dir,
        }
    }

    /// Stops it and waits until all is written.
    pub async fn close(self) {
        let Self {
            app,
            router,
            running,
            ..
        } = self;
        drop((app, router));
        running.close().await;
    }

    /// A new API token.
    pub fn token(&self, role: Role) -> String {
        let token = format!("tk_{role:?}");
        let mut batch = Batch::new();
        TOKENS
            .put(
                &mut batch,
                blake3::hash(token.as_bytes()).as_bytes(),
                &TokenRow {
                    role,
                    created_ms: 0,
                },
            )
            .unwrap();
        self.app.store.commit(batch, Durable::Yes).unwrap();
        token
    }

    /// Takes in events by a write key and waits until they are in their customers.
    pub async fn capture(&self, key: &str, events: &[Value]) -> Answer {
        let request = Request::post("/v1/batch?wait=resolved")
            .header("x-write-key", key)
            .header("content-type", "application/json");
        let body = json!({ "batch": events }).to_string();
        let answer = self.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer
    }

    /// `GET` with a token of a role.
    pub async fn get(&self, role: Role, path: &str) -> Answer {
        let token = self.token(role);
        self.send(
            Request::get(path)
                .header(header::AUTHORIZATION, format!("Bearer {token}"))
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    /// `POST` of JSON with a token of a role.
    pub async fn post(&self, role: Role, path: &str, body: &Value) -> Answer {
        let token = self.token(role);
        let request = Request::builder().method(Method::POST).uri(path);
        let request = request
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    /// Any request.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer {
            status: parts.status,
            headers: parts.headers,
            text,
            json,
        }
    }
}

/// A source of a test.
pub fn source(name: &str, priority: u8) -> SourceRow {
    SourceRow {
        name: name.into(),
        origins: vec![],
        namespace: String::new(),
        country: "ES".into(),
        zone: "Europe/Madrid".into(),
        priority,
        revoked: false,
    }
}
