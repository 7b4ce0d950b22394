//! The HTTP client: HTTP/2 over TLS to a server, HTTP/1.1 over the local socket to a running program.
//!
//! Owns time and size limits of every call. Never logs a header or a query: they carry secrets.

mod unix; // the local socket

use std::{fmt, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    http::{HeaderMap, Method, Request, StatusCode, Uri, header},
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::ClientConfig;
use tokio::time::timeout;

pub use unix::{UnixClient, UnixResponse, unix};

use super::error::ErrorBody;

/// The limits of one client.
#[derive(Debug, Clone)]
pub struct ClientLimits {
    /// Longest wait for a connection (each address of the host shares it).
    pub connect: Duration,
    /// Longest wait for a whole answer, connecting included.
    pub request: Duration,
    /// Largest answer, in bytes.
    pub response_bytes_max: usize,
    /// How often a quiet connection in use is asked whether it is alive, and how long the answer may take.
    pub ping: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(60),
            response_bytes_max: 16 * 1024 * 1024,
            ping: Duration::from_secs(15),
            idle: Duration::from_secs(90),
        }
    }
}

/// A call that brought no answer. `place` is the URL without what could be secret.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL is none, or not one that can be called.
    #[error(
        "{place:?} is not a URL to call; it must begin with http:// or https:// and name a host"
    )]
    BadUrl {
        /// What was given.
        place: String,
    },
    /// Nobody answers there, or it is not whom we trust.
    #[error("cannot reach {place}: {cause}; is the server running, and is this its address?")]
    Unreachable {
        /// Where.
        place: String,
        /// The chain of causes.
        cause: String,
    },
    /// The server's certificate is not one that we trust for this name and time.
    #[error(
        "{place} is not the server that this device trusts: {cause}; check the address, the CA fingerprint and the clock"
    )]
    Untrusted {
        /// Where.
        place: String,
        /// What is wrong with the certificate.
        cause: String,
    },
    /// No whole answer in time.
    #[error("{place} did not answer within {limit_s} s; try again later")]
    TimedOut {
        /// Where.
        place: String,
        /// The limit, in seconds.
        limit_s: u64,
    },
    /// The connection broke before the answer was whole: it is unknown whether the request took effect.
    #[error("the connection to {place} broke: {cause}; try again")]
    Broken {
        /// Where.
        place: String,
        /// The chain of causes.
        cause: String,
    },
    /// The answer is larger than the limit.
    #[error("the answer of {place} is larger than {bytes_max} bytes; ask for less")]
    TooLarge {
        /// Where.
        place: String,
        /// The limit.
        bytes_max: usize,
    },
    /// The local socket is not there: the program does not run.
    #[error("no program answers at {}: {cause}; is it running, and are you its user?", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// A whole answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// The body of an error in the one form; `None` for anything else.
    pub fn error(&self) -> Option<ErrorBody> {
        if self.status.is_success() {
            None
        } else {
            serde_json::from_slice(&self.body).ok()
        }
    }

    /// When to come back, in seconds, as the server asked.
    pub fn retry_after_s(&self) -> Option<u64> {
        self.headers
            .get(header::RETRY_AFTER)?
            .to_str()
            .ok()?
            .trim()
            .parse()
            .ok()
    }
}

/// What carries a request to its server and the answer back, in place of a network: a simulated one.
pub trait Carrier: Send + Sync {
    /// Brings the whole answer, or says why there is none.
    fn carry(
        &self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response, ClientError>> + Send>>;
}

#[derive(Clone)]
enum Way {
    Network(Box<legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>>),
    Carried(Arc<dyn Carrier>),
}

/// Calls servers over HTTP/2 (TLS) or HTTP/1.1 (plain); keeps its connections. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    way: Way,
    limits: ClientLimits,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client with a configuration of [`super::tls::client_config`]; plain `http` URLs work too.
    pub fn new(tls: ClientConfig, limits: ClientLimits) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(limits.connect));
        tcp.set_keepalive(Some(limits.ping));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(limits.idle)
            .http2_keep_alive_interval(limits.ping)
            .http2_keep_alive_timeout(limits.ping)
            .build(connector);
        Self {
            way: Way::Network(Box::new(inner)),
            limits,
        }
    }

    /// A client over something else than a network, which keeps limits of time itself.
    pub fn over(carrier: Arc<dyn Carrier>) -> Self {
        Self {
            way: Way::Carried(carrier),
            limits: ClientLimits::default(),
        }
    }

    /// Sends a body and reads the whole answer.
    ///
    /// # Errors
    /// [`ClientError`] when there is no whole answer; an answer with an error status is an answer.
    pub async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) -> Result<Response, ClientError> {
        self.send(Method::POST, url, headers, body.into(), self.limits.request)
            .await
    }

    /// Reads the whole answer.
    ///
    /// # Errors
    /// As [`Client::post`].
    pub async fn get(&self, url: &str, headers: HeaderMap) -> Result<Response, ClientError> {
        self.send(Method::GET, url, headers, Bytes::new(), self.limits.request)
            .await
    }

    /// Any method, with its own limit of time: for calls that the server holds on purpose.
    ///
    /// # Errors
    /// As [`Client::post`].
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
        limit: Duration,
    ) -> Result<Response, ClientError> {
        let place = place(url);
        let bad = || ClientError::BadUrl {
            place: place.clone(),
        };
        let uri: Uri = url.parse().map_err(|_| bad())?;
        if uri.host().is_none() || !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(bad());
        }
        let mut request = Request::new(body);
        (
            *request.method_mut(),
            *request.uri_mut(),
            *request.headers_mut(),
        ) = (method, uri, headers);
        let network = match &self.way {
            Way::Network(network) => network,
            Way::Carried(carrier) => return carrier.carry(request).await,
        };
        let call = async {
            let answer = network
                .request(request.map(Full::new))
                .await
                .map_err(|error| unanswered(&place, &error))?;
            let (head, body) = answer.into_parts();
            let body = read_limited(body, self.limits.response_bytes_max, &place).await?;
            Ok(Response {
                status: head.status,
                headers: head.headers,
                body,
            })
        };
        let late = |_| ClientError::TimedOut {
            place: place.clone(),
            limit_s: limit.as_secs(),
        };
        timeout(limit, call).await.map_err(late)?
    }
}

async fn read_limited(body: Incoming, bytes_max: usize, place: &str) -> Result<Bytes, ClientError> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ClientError::TooLarge {
            place: place.into(),
            bytes_max,
        }),
        Err(error) => Err(ClientError::Broken {
            place: place.into(),
            cause: chain(&*error),
        }),
    }
}

fn unanswered(place: &str, error: &legacy::Error) -> ClientError {
    let (place, cause) = (place.to_owned(), chain(error));
    if certificate_error(error) {
        ClientError::Untrusted { place, cause }
    } else if error.is_connect() {
        ClientError::Unreachable { place, cause }
    } else {
        ClientError::Broken { place, cause }
    }
}

/// Whether a refused certificate is among the causes; rustls hides it inside I/O errors.
fn certificate_error(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return true;
        }
        let io = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        next = match io {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

/// An error and its causes in one line, each text once.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text
}

/// A URL as it may be shown: no user, no query.
fn place(url: &str) -> String {
    match url.parse::<Uri>() {
        Ok(uri) if uri.scheme().is_some() => {
            let host = uri.host().unwrap_or_default();
            let port = uri
                .port()
                .map(|port| format!(":{port}"))
                .unwrap_or_default();
            format!(
                "{}://{host}{port}{}",
                uri.scheme_str().unwrap_or_default(),
                uri.path()
            )
        }
        _ => url
            .split(['?', '@'])
            .next()
            .unwrap_or_default()
            .chars()
            .take(80)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_has_no_user_and_no_query() {
        assert_eq!(
            place("https://ann:secret@host:8443/v1/enrol?code=secret"),
            "https://host:8443/v1/enrol"
        );
        assert_eq!(place("not a url?code=secret"), "not a url");
    }
}
