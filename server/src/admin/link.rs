//! How a command reaches the server: over the local socket of the running one, or over a store that it opens itself.

use std::time::Duration;

use anyhow::Context as _;
use axum::{
    Router,
    body::{Body, Bytes},
    http::{Request, Response, StatusCode},
};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use tower::ServiceExt as _;
use trenza_shared::{
    net::{
        client::{ClientError, UnixClient, UnixResponse, unix},
        error::ErrorBody,
    },
    store::StoreError,
};

use super::{BAD_VALUE, Command, check::Advised};
use crate::{
    app::{App, Running},
    config::Config,
    http,
};

/// How often a store in use, whose socket nobody answers, is tried again: a server that starts or stops, another command.
const TRIES: u32 = 40;
/// Pause between two tries.
const TRY_AGAIN: Duration = Duration::from_millis(250);
/// Longest answer that is read as a whole. Unit: bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The server, however it is reached.
pub enum Link {
    /// It runs.
    Running(UnixClient),
    /// It does not: the command has the store to itself.
    Own(Box<Own>),
}

/// An open store, and the same routes as behind the socket.
pub struct Own {
    /// The store.
    pub running: Running,
    /// The routes.
    pub router: Router,
}

/// An answer whose body may be longer than memory.
pub enum Answer {
    /// Over the socket.
    Running(UnixResponse),
    /// In this process.
    Own(Response<Body>),
}

impl Link {
    /// Reaches the server of these settings.
    ///
    /// # Errors
    /// The store is in use by something that does not answer, or cannot be opened.
    pub async fn open(config: Config) -> anyhow::Result<Self> {
        let client = unix(config.socket());
        let mut tries = 0;
        loop {
            match client.get("/admin/ping").await {
                Ok(answer) if answer.status == StatusCode::OK => return Ok(Self::Running(client)),
                Ok(_) | Err(ClientError::NotRunning { .. } | ClientError::Broken { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            match App::open(config.clone()) {
                Ok(running) => {
                    let router = http::admin_routes(running.app.clone());
                    return Ok(Self::Own(Box::new(Own { running, router })));
                }
                Err(error) if is_busy(&error) && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(TRY_AGAIN).await;
                }
                Err(error) if is_busy(&error) => {
                    let hint = format!(
                        "another program has the store open but does not answer on {}; wait for it or stop it",
                        config.socket().display()
                    );
                    return Err(Advised::new(format!("{error:#}"), hint).into());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a command; an answer that is no success becomes an error with its hint.
    ///
    /// # Errors
    /// What the server said, or that it stopped meanwhile.
    pub async fn send(&self, command: &Command) -> anyhow::Result<Answer> {
        let body = serde_json::to_vec(command)?;
        let mut answer = match self {
            Self::Running(client) => Answer::Running(client.post_json("/admin", body).await?),
            Self::Own(own) => {
                let request = Request::post("/admin")
                    .header("content-type", "application/json")
                    .body(Body::from(body))?;
                match own.router.clone().oneshot(request).await {
                    Ok(answer) => Answer::Own(answer),
                    Err(never) => match never {},
                }
            }
        };
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let text = answer.whole().await?;
        Err(match serde_json::from_slice::<ErrorBody>(&text) {
            Ok(error) if error.code == BAD_VALUE => {
                Advised::wrong(error.message, error.hint).into()
            }
            Ok(error) => Advised::new(error.message, error.hint).into(),
            Err(_) => anyhow::anyhow!("the server answered {status}"),
        })
    }

    /// Sends a command and reads its answer.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub async fn ask<T: DeserializeOwned>(&self, command: &Command) -> anyhow::Result<T> {
        let body = self.send(command).await?.whole().await?;
        serde_json::from_slice(&body).context("the answer cannot be read; use the trenza-server of the same version as the running one")
    }

    /// Lets go of the server; a store that the command opened is closed.
    pub async fn close(self) {
        if let Self::Own(own) = self {
            let Own { running, router } = *own;
            drop(router);
            running.close().await;
        }
    }
}

impl Answer {
    fn status(&self) -> StatusCode {
        match self {
            Self::Running(answer) => answer.status,
            Self::Own(answer) => answer.status(),
        }
    }

    /// The next piece of the body; none at its end.
    ///
    /// # Errors
    /// The answer broke off.
    pub async fn chunk(&mut self) -> anyhow::Result<Option<Bytes>> {
        match self {
            Self::Running(answer) => Ok(answer.chunk().await?),
            Self::Own(answer) => {
                while let Some(frame) = answer.body_mut().frame().await {
                    if let Ok(data) = frame.context("the answer broke off")?.into_data() {
                        return Ok(Some(data));
                    }
                }
                Ok(None)
            }
        }
    }

    async fn whole(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut out = Vec::new();
        while let Some(piece) = self.chunk().await? {
            anyhow::ensure!(
                out.len() + piece.len() <= ANSWER_BYTES_MAX,
                "the answer is longer than {ANSWER_BYTES_MAX} bytes"
            );
            out.extend_from_slice(&piece);
        }
        Ok(out)
    }
}

/// Whether somebody else has the store open.
pub fn is_busy(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<StoreError>(),
        Some(StoreError::Busy { .. })
    )
}
