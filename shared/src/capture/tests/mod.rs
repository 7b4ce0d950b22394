//! The surface as clients see it, against a collector that only remembers.

mod answers;
mod clients;
mod hostile;
mod posthog;
mod reading;
mod served;
mod snowplow;

use std::sync::{Arc, Mutex};

use axum::{
    body::Body,
    http::{Method, Request, Response, StatusCode},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{CannotStore, Collector, Options, Stored, Taken, Verdict, router};
use crate::event::Event;

/// `base64("key:")`
pub const BASIC: &str = "Basic a2V5Og==";
pub const EVENT: &str = r#"{"type":"track","event":"e","userId":"u","messageId":"m"}"#;
const SNIPPET: &[u8] =
    b"window.trenza=1;window.trenza=2;window.trenza=3;window.trenza=4;window.trenza=5;\n";

/// Write key and origin, as asked.
type Judged = (String, Option<String>);

/// What was taken in, read back as whoever applies it does.
pub fn events(taken: &Taken) -> Vec<Event> {
    let stored = taken.events.iter();
    stored
        .map(|captured| Event::stored(captured.text.clone()).unwrap())
        .collect()
}

/// Remembers what it is given and whom it was asked about.
#[derive(Clone)]
pub struct Recorder {
    pub verdict: Verdict,
    pub result: Result<Stored, CannotStore>,
    pub taken: Arc<Mutex<Vec<Taken>>>,
    pub judged: Arc<Mutex<Vec<Judged>>>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            verdict: Verdict::Known,
            result: Ok(Stored::default()),
            taken: Arc::default(),
            judged: Arc::default(),
        }
    }
}

impl Recorder {
    pub fn judging(verdict: Verdict) -> Self {
        Self {
            verdict,
            ..Self::default()
        }
    }

    pub fn storing(result: Result<Stored, CannotStore>) -> Self {
        Self {
            result,
            ..Self::default()
        }
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }

    /// The ids of all stored events, in order.
    pub fn ids(&self) -> Vec<String> {
        self.taken()
            .into_iter()
            .flat_map(|taken| events(&taken))
            .map(|event| event.message_id)
            .collect()
    }

    pub async fn ask(&self, request: Request<Body>) -> Answer {
        let options = Options {
            snippet: SNIPPET,
            snippet_version: "1.2.3",
            protocol: "https",
        };
        let response = router(self.clone(), options)
            .oneshot(request)
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Answer {
            response: Response::from_parts(parts, ()),
            bytes,
        }
    }

    /// Posts with the key in the usual header.
    pub async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.ask(request(
            Method::POST,
            path,
            &[("authorization", BASIC)],
            body,
        ))
        .await
    }
}

impl Collector for Recorder {
    fn judge(&self, key: &str, origin: Option<&str>) -> Verdict {
        self.judged
            .lock()
            .unwrap()
            .push((key.to_owned(), origin.map(str::to_owned)));
        self.verdict.clone()
    }

    async fn store(&self, taken: Taken) -> Result<Stored, CannotStore> {
        self.taken.lock().unwrap().push(taken);
        self.result.clone()
    }

    fn now_ms(&self) -> i64 {
        1_768_472_430_456
    }

    fn fresh_message_id(&self) -> String {
        "fresh".into()
    }
}

pub struct Answer {
    pub response: Response<()>,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub fn header(&self, name: &str) -> &str {
        self.response
            .headers()
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|_| json!(String::from_utf8_lossy(&self.bytes)))
    }

    /// Status and code of an error, which must have code and message.
    pub fn error(&self) -> (u16, String) {
        let body = self.json();
        assert!(
            body["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty()),
            "{body}"
        );
        assert_eq!(self.header("content-type"), "application/json");
        (
            self.status().as_u16(),
            body["code"].as_str().unwrap().to_owned(),
        )
    }

    #[track_caller]
    pub fn is_success(&self) {
        assert_eq!(
            (
                self.status().as_u16(),
                String::from_utf8_lossy(&self.bytes).as_ref()
            ),
            (200, r#"{"success":true,"ok":true}"#)
        );
        assert_eq!(self.header("content-type"), "application/json");
    }
}

pub fn request(
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn batch(events: &[&str]) -> String {
    format!(r#"{{"batch":[{}]}}"#, events.join(","))
}
