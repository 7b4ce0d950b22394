//! Calls over the local socket of a running program.

use std::path::{Path, PathBuf};

use axum::{
    body::Bytes,
    http::{HeaderMap, Method, Request, StatusCode, Uri, header, uri::PathAndQuery},
};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, task::JoinHandle};

use super::{ClientError, Response, chain, read_limited};

/// Calls the program that listens on a local socket; its user is whoever may open the file.
pub fn unix(path: impl Into<PathBuf>) -> UnixClient {
    UnixClient { path: path.into() }
}

/// A client of a local socket: one connection for each call.
#[derive(Debug, Clone)]
pub struct UnixClient {
    path: PathBuf,
}

impl UnixClient {
    /// Sends a request and gives the answer as soon as its head is here. There is no limit of time: an operator waits and
    /// interrupts.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] when nobody listens, [`ClientError::Broken`] when the program stops meanwhile.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) -> Result<UnixResponse, ClientError> {
        let place = format!("{} ({path})", self.path.display());
        let uri: PathAndQuery = path
            .parse()
            .map_err(|_| ClientError::BadUrl { place: path.into() })?;
        let socket =
            UnixStream::connect(&self.path)
                .await
                .map_err(|cause| ClientError::NotRunning {
                    path: self.path.clone(),
                    cause,
                })?;
        let broken = |error: hyper::Error| ClientError::Broken {
            place: place.clone(),
            cause: chain(&error),
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket))
            .await
            .map_err(broken)?;
        let driver = Driver(tokio::spawn(async move {
            // The caller sees the same failure in its answer.
            let _ = connection.await;
        }));
        let mut request = Request::new(Full::new(body.into()));
        (
            *request.method_mut(),
            *request.uri_mut(),
            *request.headers_mut(),
        ) = (method, Uri::from(uri), headers);
        request
            .headers_mut()
            .insert(header::HOST, header::HeaderValue::from_static("localhost"));
        let (head, body) = sender
            .send_request(request)
            .await
            .map_err(broken)?
            .into_parts();
        Ok(UnixResponse {
            status: head.status,
            headers: head.headers,
            body,
            place,
            _driver: driver,
        })
    }

    /// [`UnixClient::send`] with `GET`.
    ///
    /// # Errors
    /// The same.
    pub async fn get(&self, path: &str) -> Result<UnixResponse, ClientError> {
        self.send(Method::GET, path, HeaderMap::new(), Bytes::new())
            .await
    }

    /// [`UnixClient::send`] with `POST` and JSON.
    ///
    /// # Errors
    /// The same.
    pub async fn post_json(
        &self,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<UnixResponse, ClientError> {
        let json = header::HeaderValue::from_static("application/json");
        self.send(
            Method::POST,
            path,
            [(header::CONTENT_TYPE, json)].into_iter().collect(),
            body,
        )
        .await
    }

    /// Where the socket is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Ends the connection with its answer.
#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An answer over the local socket, whose body may be longer than memory.
#[derive(Debug)]
pub struct UnixResponse {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    body: Incoming,
    place: String,
    _driver: Driver,
}

impl UnixResponse {
    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// [`ClientError::Broken`] when the program stops before the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| ClientError::Broken {
                place: self.place.clone(),
                cause: chain(&error),
            })?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The whole answer, of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`ClientError::TooLarge`], [`ClientError::Broken`].
    pub async fn whole(self, bytes_max: usize) -> Result<Response, ClientError> {
        let body = read_limited(self.body, bytes_max, &self.place).await?;
        Ok(Response {
            status: self.status,
            headers: self.headers,
            body,
        })
    }
}
