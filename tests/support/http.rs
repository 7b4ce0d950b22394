//! A plain HTTP client for loopback.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use trenza_shared::{
    clock::{SystemClock, TestClock},
    net::{
        client::{Client, ClientLimits},
        pki,
        tls::{TlsTime, Trust, client_config},
    },
};

/// How long an answer may take.
const ANSWER_WAIT: Duration = Duration::from_secs(120);

/// A client that sends one bearer token, or none.
#[derive(Clone)]
pub struct Http {
    client: Client,
    token: Option<String>,
}

impl Http {
    /// A client; the token goes with every request.
    ///
    /// # Errors
    /// The TLS library cannot be set up.
    pub fn new(token: Option<&str>) -> anyhow::Result<Self> {
        let time = TlsTime::new(Arc::new(SystemClock), 0);
        let (tls, _) = client_config(Trust::system_roots(), None, time)?;
        Ok(Self {
            client: Client::new(tls, ClientLimits::default()),
            token: token.map(str::to_owned),
        })
    }

    /// A client that believes this authority (PEM) alone.
    ///
    /// # Errors
    /// The text is no certificate.
    pub fn trusting(ca_pem: &str) -> anyhow::Result<Self> {
        Self::with_trust(ca_pem, TlsTime::new(Arc::new(SystemClock), 0))
    }

    /// The same at another time, which has surely come. Unit: ms since 1970.
    ///
    /// # Errors
    /// The text is no certificate.
    pub fn trusting_at(ca_pem: &str, at_ms: i64) -> anyhow::Result<Self> {
        Self::with_trust(ca_pem, TlsTime::new(Arc::new(TestClock::at(at_ms)), at_ms))
    }

    fn with_trust(ca_pem: &str, time: Arc<TlsTime>) -> anyhow::Result<Self> {
        let ca = pki::read_chain(ca_pem)?.swap_remove(0);
        let (tls, _) = client_config(Trust::ca(ca), None, time)?;
        Ok(Self {
            client: Client::new(tls, ClientLimits::default()),
            token: None,
        })
    }

    /// Sends a request and reads the answer, whatever its status.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        mut headers: HeaderMap,
        body: Vec<u8>,
    ) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        if let Some(token) = &self.token {
            headers.insert(
                header::AUTHORIZATION,
                HeaderValue::from_str(&format!("Bearer {token}"))?,
            );
        }
        let answer = self
            .client
            .send(method, url, headers, body.into(), ANSWER_WAIT)
            .await?;
        Ok((answer.status, answer.body.to_vec()))
    }

    /// Gets JSON; anything but 200 is an error.
    ///
    /// # Errors
    /// Nobody answers, or the answer is no success.
    pub async fn get(&self, url: &str) -> anyhow::Result<Value> {
        let (status, body) = self
            .send(Method::GET, url, HeaderMap::new(), Vec::new())
            .await?;
        ensure!(
            status == StatusCode::OK,
            "GET {url}: {status} {}",
            String::from_utf8_lossy(&body)
        );
        serde_json::from_slice(&body).with_context(|| format!("GET {url}"))
    }

    /// Gets a text; anything but 200 is an error.
    ///
    /// # Errors
    /// Nobody answers, or the answer is no success.
    pub async fn text(&self, url: &str) -> anyhow::Result<String> {
        let (status, body) = self
            .send(Method::GET, url, HeaderMap::new(), Vec::new())
            .await?;
        let text = String::from_utf8(body)?;
        ensure!(status == StatusCode::OK, "GET {url}: {status} {text}");
        Ok(text)
    }

    /// Posts JSON; anything but 200 is an error.
    ///
    /// # Errors
    /// Nobody answers, or the answer is no success.
    pub async fn post(&self, url: &str, body: &Value) -> anyhow::Result<Value> {
        let (status, answer) = self.post_any(url, body).await?;
        ensure!(
            status == StatusCode::OK,
            "POST {url}: {status} {}",
            String::from_utf8_lossy(&answer)
        );
        serde_json::from_slice(&answer).with_context(|| format!("POST {url}"))
    }

    /// Posts JSON and reads the answer, whatever its status.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn post_any(&self, url: &str, body: &Value) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        let body = body.to_string().into_bytes();
        self.send(Method::POST, url, json_headers(), body).await
    }

    /// Posts a batch of events to a collector, with the write key in the body.
    ///
    /// # Errors
    /// As [`Http::post`].
    pub async fn capture(
        &self,
        base: &str,
        write_key: &str,
        events: &[Value],
        query: &str,
    ) -> anyhow::Result<Value> {
        let keyless = Self {
            client: self.client.clone(),
            token: None,
        };
        keyless
            .post(
                &format!("{base}/v1/batch{query}"),
                &serde_json::json!({"writeKey": write_key, "batch": events}),
            )
            .await
    }
}

/// Headers of a JSON body.
pub fn json_headers() -> HeaderMap {
    HeaderMap::from_iter([(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )])
}
