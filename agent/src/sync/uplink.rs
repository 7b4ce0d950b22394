//! The way to the server: credentials, and the calls of the sync protocol.
//!
//! Owns the device's key and certificate as files. Never decides what is sent.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use trenza_shared::{
    clock::format_ms,
    id::{InstanceId, Lane},
    net::{
        client::{Client, ClientError, ClientLimits, Response},
        pki::{self, DeviceKey, PkiError},
        tls::{self, TlsError, TlsTime, Trust},
    },
    wire::{
        Shape, WireError,
        frame::Frame,
        pulse::{Heard, Pulse},
        sync::{
            Ack, BUSY, CERTIFICATE_EXPIRED, CERTIFICATE_TOO_OLD, Hello, INSTANCE_HEADER, Welcome,
        },
    },
};

use crate::config::files;
pub use trenza_shared::net::pki::{Validity, replace};

/// Largest answer: a welcome with all lanes and write keys. Unit: bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);
const MESSAGE_PACK: &str = "application/msgpack";
/// How often a quiet connection is asked whether it is alive.
const PING_EVERY: Duration = Duration::from_secs(10);

/// What helps when the device's credentials are lost. Nobody else has its key, so there is no other way.
const ENROL_AGAIN: &str = "visits are taken in all the same and cannot be sent; enrol the device into a new folder, then move this folder's store there under the name store.damaged-1: what it holds is sent from there";

/// Why the device's credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file is missing or unreadable.
    #[error("cannot read {}: {cause}; {ENROL_AGAIN}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file holds something else.
    #[error("{} is damaged: {cause}; {ENROL_AGAIN}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: PkiError,
    },
    /// Key and certificate do not fit.
    #[error("the device's key and certificate cannot be used: {0}; {ENROL_AGAIN}")]
    Tls(#[from] TlsError),
    /// No request can be made with this key.
    #[error("the device's key cannot be used: {0}; {ENROL_AGAIN}")]
    Key(#[from] PkiError),
    /// The new certificate cannot be written.
    #[error("cannot write {}: {cause}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// Why a talk with the server ended.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
    /// No answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// An answer that is not a success.
    #[error("the server answers {status} {code}: {message}")]
    Refused {
        /// The status.
        status: u16,
        /// Its stable name; empty when the answer was not in the usual form.
        code: String,
        /// Its sentence.
        message: String,
        /// When to come back. Unit: seconds.
        retry_after_s: Option<u64>,
    },
    /// An answer that cannot be read.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The device's own files.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The device's own store, or a thread that died.
    #[error("this device cannot read or write its log: {0}")]
    Local(String),
    /// A part of the device's own store cannot be read.
    #[error("this device cannot read a part of its log: {0}")]
    Damaged(String),
    /// Nothing can be renewed any more.
    #[error(
        "the certificate expired at {} and is too old to be renewed; enrol the device again, its visits are kept", format_ms(*.expired_ms)
    )]
    CertificateTooOld {
        /// End of its validity. Unit: ms since 1970.
        expired_ms: i64,
    },
    /// Nothing can be renewed any more if the device's clock is right, which no server has confirmed since the start.
    #[error(
        "the server {}; by this device's clock ({}) its certificate expired at {}, too long ago to be renewed. No server has confirmed that clock since the start: if it is wrong set it, all is sent by itself then; if it is right enrol the device again. Visits are kept",
        if *.there { "breaks the talk off" } else { "cannot be reached" }, format_ms(*.now_ms), format_ms(*.expired_ms)
    )]
    CertificateInDoubt {
        /// End of its validity. Unit: ms since 1970.
        expired_ms: i64,
        /// The device's clock. Unit: ms since 1970.
        now_ms: i64,
        /// Somebody answered, and broke the talk off.
        there: bool,
    },
    /// The server keeps a limited number of gaps.
    #[error(
        "the server has so many gaps of the lane {0:?} that it takes no more of it: far too much of it is refused; nothing is lost, other lanes are sent. Update the server and this program, then send now"
    )]
    Full(Lane),
    /// An answer that makes no sense twice in a row.
    #[error("server and agent do not agree where the log ends: {0}")]
    Disagreement(String),
}

impl TalkError {
    /// The server does not want this agent: trying often is of no use. A certificate that has expired is no such thing, whichever
    /// call hears it: the next hello renews it.
    pub fn refuses_agent(&self) -> bool {
        matches!(
            self,
            Self::CertificateTooOld { .. }
                | Self::CertificateInDoubt { there: true, .. }
                | Self::Refused {
                    status: 401 | 403,
                    ..
                }
        ) && !self.is_refused_as(CERTIFICATE_EXPIRED)
    }

    /// The server cannot take what was sent, and never will: sending the same again is of no use.
    pub fn refuses_content(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 400 | 413 | 422,
                ..
            }
        )
    }

    /// The server is there, and wants to be asked later.
    pub fn is_later(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 429 | 503,
                ..
            }
        )
    }

    /// Nobody answers at the server's address.
    pub fn is_nobody_there(&self) -> bool {
        matches!(
            self,
            Self::Client(ClientError::Unreachable { .. })
                | Self::CertificateInDoubt { there: false, .. }
        )
    }

    /// No answer of the server came over the network there was: another one may bring it.
    pub fn is_no_answer(&self) -> bool {
        matches!(self, Self::Client(_) | Self::CertificateInDoubt { .. })
    }

    /// The server has too much to do, and says when this agent's turn comes. Unit: seconds.
    pub fn turn_in_s(&self) -> Option<u64> {
        self.retry_after_s().filter(|_| self.is_refused_as(BUSY))
    }

    /// The server said no under this name.
    pub fn is_refused_as(&self, name: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == name)
    }

    /// When the server wants to be asked again. Unit: seconds.
    pub fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::Refused { retry_after_s, .. } => *retry_after_s,
            _ => None,
        }
    }
}

/// Makes the client from the credentials in a folder, and says how long they are valid.
pub type Connect = dyn Fn(&Path, &Arc<TlsTime>, Duration) -> Result<(Client, Option<Validity>), CredentialsError>
    + Send
    + Sync;

/// A client that authenticates itself as this device.
pub struct Uplink {
    connect: Arc<Connect>,
    dir: PathBuf,
    base: String,
    time: Arc<TlsTime>,
    request: Duration,
    /// None until the files can be used: every call tries them again.
    client: Option<Client>,
    validity: Option<Validity>,
}

impl Uplink {
    /// Reads the credentials in `dir`; `base` is the URL of the listener for agents. Credentials that cannot be used stop
    /// no agent: every call says what is wrong with them, until they can be.
    pub fn open(dir: &Path, base: &str, time: Arc<TlsTime>, request: Duration) -> Self {
        Self::over(Arc::new(client), dir, base, time, request)
    }

    /// The same over another way than the network.
    pub fn over(
        connect: Arc<Connect>,
        dir: &Path,
        base: &str,
        time: Arc<TlsTime>,
        request: Duration,
    ) -> Self {
        let mut uplink = Self {
            connect,
            dir: dir.to_owned(),
            base: base.trim_end_matches('/').to_owned(),
            time,
            request,
            client: None,
            validity: None,
        };
        if let Err(error) = uplink.ready() {
            tracing::error!(error = %error, "nothing can be sent");
        }
        uplink
    }

    /// The client; reads the credentials where they are not in use yet.
    fn ready(&mut self) -> Result<Client, CredentialsError> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let (client, validity) = (self.connect)(&self.dir, &self.time, self.request)?;
        (self.client, self.validity) = (Some(client.clone()), validity);
        Ok(client)
    }

    /// The time by which certificates are judged.
    pub fn time(&self) -> &Arc<TlsTime> {
        &self.time
    }

    /// The certificate's validity.
    pub fn validity(&self) -> Option<Validity> {
        self.validity
    }

    /// Opens the talk.
    ///
    /// # Errors
    /// [`TalkError`].
    pub async fn hello(&mut self, hello: &Hello) -> Result<Welcome, TalkError> {
        let answer = self
            .call("hello", hello.to_bytes(), MESSAGE_PACK, HeaderMap::new())
            .await
            .map_err(|error| self.explained(error))?;
        Ok(Welcome::from_bytes(&answer.body)?)
    }

    /// Says that nothing is new.
    ///
    /// # Errors
    /// [`TalkError`].
    pub async fn pulse(&mut self, pulse: &Pulse) -> Result<Heard, TalkError> {
        let answer = self.post("pulse", pulse).await;
        let answer = answer.map_err(|error| self.explained(error))?;
        Ok(Heard::from_bytes(&answer.body)?)
    }

    /// A server breaks off the handshake of a certificate that is too old, or says so.
    fn explained(&self, error: TalkError) -> TalkError {
        let Some(validity) = self.validity else {
            return error;
        };
        let expired_ms = validity.expires_ms;
        // A network that is away looks the same as a server that breaks the handshake off.
        let there = match error {
            TalkError::Client(ClientError::Broken { .. }) => true,
            TalkError::Client(ClientError::Unreachable { .. }) => false,
            _ if error.is_refused_as(CERTIFICATE_TOO_OLD) => {
                return TalkError::CertificateTooOld { expired_ms };
            }
            _ => return error,
        };
        let now_ms = self.time.now_ms();
        if validity.is_too_old(self.time.floor_ms()) {
            return TalkError::CertificateTooOld { expired_ms };
        }
        if validity.is_too_old(now_ms) {
            return TalkError::CertificateInDoubt {
                expired_ms,
                now_ms,
                there,
            };
        }
        error
    }

    /// Sends a frame of this start of the program.
    ///
    /// # Errors
    /// [`TalkError`]; it is unknown then whether the server has it.
    pub async fn frame(&self, frame: &Frame, instance: InstanceId) -> Result<Ack, TalkError> {
        let instance = HeaderValue::from_str(&instance.to_string())
            .map_err(|error| TalkError::Local(error.to_string()))?;
        let headers = [(HeaderName::from_static(INSTANCE_HEADER), instance)]
            .into_iter()
            .collect();
        // A hello came before, and has read the credentials.
        let client = self
            .client
            .as_ref()
            .ok_or_else(|| TalkError::Local("a frame before the first hello".into()))?;
        let answer = self
            .call_over(client, "frame", frame.to_bytes(), MESSAGE_PACK, headers)
            .await?;
        Ok(Ack::from_bytes(&answer.body)?)
    }

    /// Gets a new certificate for the same key and uses it from the next connection on.
    ///
    /// # Errors
    /// [`TalkError`]; the old certificate stays in use.
    pub async fn renew(&mut self) -> Result<(), TalkError> {
        let key = read(&self.dir.join(files::KEY))?;
        let csr = DeviceKey::from_pem(&key)
            .and_then(|key| key.csr_pem())
            .map_err(CredentialsError::from)?;
        let body = serde_json::to_vec(&RenewRequest { csr: &csr })
            .map_err(|error| TalkError::Local(error.to_string()))?;
        let answer = self.post_json("renew", body).await?;
        let renewed: RenewAnswer = serde_json::from_slice(&answer.body)
            .map_err(|error| WireError::malformed("renewed certificate", error))?;
        pki::read_chain(&renewed.certificate).map_err(CredentialsError::from)?;
        let path = self.dir.join(files::CERT);
        replace(&path, renewed.certificate.as_bytes())
            .map_err(|cause| CredentialsError::Unwritable { path, cause })?;
        Ok(self.reload()?)
    }

    /// The folder of the credentials.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads the credentials again, and uses them from the next connection on.
    ///
    /// # Errors
    /// [`CredentialsError`]; those in use stay so.
    pub fn reload(&mut self) -> Result<(), CredentialsError> {
        let (client, validity) = (self.connect)(&self.dir, &self.time, self.request)?;
        (self.client, self.validity) = (Some(client), validity);
        Ok(())
    }

    /// Calls with JSON.
    ///
    /// # Errors
    /// [`TalkError`].
    pub async fn post_json(&mut self, what: &str, body: Vec<u8>) -> Result<Response, TalkError> {
        self.call(what, body, "application/json", HeaderMap::new())
            .await
    }

    /// Calls with a shape of the wire.
    ///
    /// # Errors
    /// [`TalkError`].
    pub async fn post(&mut self, what: &str, shape: &impl Shape) -> Result<Response, TalkError> {
        self.call(
            what,
            shape.to_bytes(),
            "application/msgpack",
            HeaderMap::new(),
        )
        .await
    }

    async fn call(
        &mut self,
        what: &str,
        body: Vec<u8>,
        kind: &'static str,
        headers: HeaderMap,
    ) -> Result<Response, TalkError> {
        let client = self.ready()?;
        self.call_over(&client, what, body, kind, headers).await
    }

    async fn call_over(
        &self,
        client: &Client,
        what: &str,
        body: Vec<u8>,
        kind: &'static str,
        mut headers: HeaderMap,
    ) -> Result<Response, TalkError> {
        let url = format!("{}/sync/v1/{what}", self.base);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        let answer = client.post(&url, headers, body).await?;
        if answer.status == StatusCode::OK {
            return Ok(answer);
        }
        let said = answer.error();
        Err(TalkError::Refused {
            status: answer.status.as_u16(),
            retry_after_s: answer.retry_after_s(),
            code: said
                .as_ref()
                .map(|said| said.code.clone())
                .unwrap_or_default(),
            message: said.map(|said| said.message).unwrap_or_default(),
        })
    }
}

#[derive(Serialize)]
struct RenewRequest<'a> {
    csr: &'a str,
}

#[derive(Deserialize)]
struct RenewAnswer {
    certificate: String,
}

fn client(
    dir: &Path,
    time: &Arc<TlsTime>,
    request: Duration,
) -> Result<(Client, Option<Validity>), CredentialsError> {
    let key = usable(dir.join(files::KEY), DeviceKey::from_pem)?;
    let chain = usable(dir.join(files::CERT), pki::read_chain)?;
    let mut ca = usable(dir.join(files::CA), pki::read_chain)?;
    let validity = chain.first().and_then(|leaf| Validity::of(leaf));
    let (config, _) = tls::client_config(
        Trust::ca(ca.swap_remove(0)),
        Some((chain, key.to_der())),
        time.clone(),
    )?;
    let limits = ClientLimits {
        connect: CONNECT_MAX.min(request),
        request,
        response_bytes_max: ANSWER_BYTES_MAX,
        ping: PING_EVERY,
        ..ClientLimits::default()
    };
    Ok((Client::new(config, limits), validity))
}

fn usable<T>(
    path: PathBuf,
    read_as: impl FnOnce(&str) -> Result<T, PkiError>,
) -> Result<T, CredentialsError> {
    let text = read(&path)?;
    read_as(&text).map_err(|cause| CredentialsError::Damaged { path, cause })
}

pub(crate) fn read(path: &Path) -> Result<String, CredentialsError> {
    std::fs::read_to_string(path).map_err(|cause| CredentialsError::Unreadable {
        path: path.to_owned(),
        cause,
    })
}
