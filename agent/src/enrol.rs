//! Enrolment: a device gets its key, its certificate and its settings.
//!
//! Owns the files of a new device. The private key is made here and never leaves. Leaves nothing half-made: everything is
//! written under other names first, `agent.toml` gets its name last.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};
use trenza_shared::{
    clock::{BUILT_MS, Clock},
    id::AgentId,
    net::{
        client::{Client, ClientError, ClientLimits, Response},
        pki::{self, DeviceKey, PkiError, parse_fingerprint, write_secret},
        tls::{self, TlsError, TlsTime, Trust},
    },
};

use crate::config::{Config, files};

/// Largest answer. Unit: bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// What is needed to enrol.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// The server's `https` listener.
    pub server: String,
    /// Works once.
    pub code: String,
    /// SHA-256 of the server's CA, hexadecimal.
    pub ca_fingerprint: String,
}

/// Why a device was not enrolled. No file is left behind.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// Something of an earlier enrolment is there.
    #[error("{} is there already; enrol into another folder, or remove this device's old one on purpose", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Not 64 hexadecimal digits.
    #[error(
        "the CA fingerprint must be 64 hexadecimal digits (SHA-256); copy it from trenza-server agent invite"
    )]
    BadFingerprint,
    /// The address must be encrypted.
    #[error("{0:?} must begin with https://")]
    BadUrl(String),
    /// No answer, or not from whom we trust.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The server said no.
    #[error("the server refused: {message} ({code}); {hint}")]
    Refused {
        /// Stable name.
        code: String,
        /// Sentence.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The CA in the answer is not the one of the invitation.
    #[error(
        "the server's CA does not have the fingerprint of the invitation; somebody may stand between: do not go on, ask for a new invitation"
    )]
    WrongCa,
    /// An answer that cannot be read.
    #[error("the server's answer cannot be read: {0}; are server and agent of one version?")]
    BadAnswer(String),
    /// Keys and certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The TLS configuration.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The folder.
    #[error("cannot write {}: {cause}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

#[derive(Serialize)]
struct Request<'a> {
    code: &'a str,
    csr: &'a str,
    program: &'static str,
}

#[derive(Deserialize)]
struct Answer {
    agent: AgentId,
    certificate: String,
    ca: String,
    agents_url: String,
    touchpoint: String,
    country: String,
    zone: String,
    write_key: String,
}

/// Enrols this device; returns the path of its settings.
///
/// # Errors
/// [`EnrolError`]; `dir` is then as it was, but for itself.
pub async fn enrol(
    invitation: &Invitation,
    dir: &Path,
    clock: Arc<dyn Clock>,
) -> Result<PathBuf, EnrolError> {
    let fingerprint =
        parse_fingerprint(&invitation.ca_fingerprint).ok_or(EnrolError::BadFingerprint)?;
    if !invitation.server.starts_with("https://") {
        return Err(EnrolError::BadUrl(invitation.server.clone()));
    }
    // Keys and visits are for the program's own user alone.
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|cause| EnrolError::Write {
            path: dir.to_owned(),
            cause,
        })?;
    for name in [files::KEY, files::CERT, files::CA, files::CONFIG] {
        let path = dir.join(name);
        if path.exists() {
            return Err(EnrolError::Exists { path });
        }
    }
    let mut made = Made::begin(dir);
    // Before the code is used up: a folder that cannot be written must not cost it.
    let key = DeviceKey::generate()?;
    made.write(files::KEY, key.to_pem().as_bytes())?;
    let request = Request {
        code: invitation.code.trim(),
        csr: &key.csr_pem()?,
        program: env!("CARGO_PKG_VERSION"),
    };
    let answer = ask(invitation, fingerprint, &request, clock).await?;
    let ca = pki::read_chain(&answer.ca)?;
    if ca
        .first()
        .is_none_or(|ca| pki::cert_fingerprint(ca) != fingerprint)
    {
        return Err(EnrolError::WrongCa);
    }
    pki::read_chain(&answer.certificate)?;
    made.write(files::CERT, answer.certificate.as_bytes())?;
    made.write(files::CA, answer.ca.as_bytes())?;
    made.write(
        files::CONFIG,
        settings(&answer, &invitation.server)?.as_bytes(),
    )?;
    made.finish()
}

async fn ask(
    invitation: &Invitation,
    fingerprint: [u8; 32],
    request: &Request<'_>,
    clock: Arc<dyn Clock>,
) -> Result<Answer, EnrolError> {
    // A web certificate that was replaced by a public one is trusted by the system's roots; the CA in the answer must have
    // the fingerprint all the same.
    let trust = Trust::ca_fingerprint(fingerprint).or_system_roots();
    let (config, _) = tls::client_config(trust, None, TlsTime::new(clock, BUILT_MS))?;
    let limits = ClientLimits {
        request: Duration::from_secs(30),
        response_bytes_max: ANSWER_BYTES_MAX,
        ..ClientLimits::default()
    };
    let body =
        serde_json::to_vec(request).map_err(|error| EnrolError::BadAnswer(error.to_string()))?;
    let headers: HeaderMap = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )]
    .into_iter()
    .collect();
    let url = format!("{}/v1/enrol", invitation.server.trim_end_matches('/'));
    let answer = Client::new(config, limits)
        .post(&url, headers, body)
        .await?;
    if !answer.status.is_success() {
        return Err(refusal(&answer));
    }
    serde_json::from_slice(&answer.body).map_err(|error| EnrolError::BadAnswer(error.to_string()))
}

fn refusal(answer: &Response) -> EnrolError {
    match answer.error() {
        Some(error) => EnrolError::Refused {
            code: error.code,
            message: error.message,
            hint: error.hint,
        },
        None => EnrolError::BadAnswer(format!("status {}", answer.status)),
    }
}

/// The settings file: what differs from the defaults, which the shipped file documents.
fn settings(answer: &Answer, server: &str) -> Result<String, EnrolError> {
    let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let file = format!(
        "# Made by trenza-agent enrol. All keys, their units and defaults: config/agent.toml of the release.\n\n\
         [agent]\nid = {}\ntouchpoint = {}\ncountry = {}\nzone = {}\n\n\
         [capture]\n# The kiosk's own write key.\nwrite_key = {}\n\n\
         [server]\nurl = {}\nagents_url = {}\n",
        text(&answer.agent.to_string()),
        text(&answer.touchpoint),
        text(&answer.country),
        text(&answer.zone),
        text(&answer.write_key),
        text(server),
        text(&answer.agents_url),
    );
    let config: Config =
        toml::from_str(&file).map_err(|error| EnrolError::BadAnswer(error.to_string()))?;
    config
        .check()
        .map_err(|error| EnrolError::BadAnswer(error.to_string()))?;
    Ok(file)
}

/// Files under other names, until all are there; removed again when not.
struct Made {
    dir: PathBuf,
    names: Vec<&'static str>,
    named: usize,
    done: bool,
}

impl Made {
    fn begin(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            names: Vec::new(),
            named: 0,
            done: false,
        }
    }

    fn hidden(&self, name: &str) -> PathBuf {
        self.dir.join(format!(".{name}.enrolling"))
    }

    fn write(&mut self, name: &'static str, bytes: &[u8]) -> Result<(), EnrolError> {
        let path = self.hidden(name);
        let failed = |cause| EnrolError::Write {
            path: path.clone(),
            cause,
        };
        // Left by an enrolment that was killed: nobody knows its key.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        self.names.push(name);
        write_secret(&path, bytes).map_err(failed)
    }

    /// Gives all files their names; the settings were written last and get theirs last.
    fn finish(mut self) -> Result<PathBuf, EnrolError> {
        for name in self.names.clone() {
            let path = self.dir.join(name);
            // A hard link fails where a rename would overwrite.
            fs::hard_link(self.hidden(name), &path)
                .map_err(|cause| EnrolError::Write { path, cause })?;
            self.named += 1;
        }
        let synced = fs::File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.map_err(|cause| EnrolError::Write {
            path: self.dir.clone(),
            cause,
        })?;
        self.done = true;
        Ok(self.dir.join(files::CONFIG))
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for (at, name) in self.names.iter().enumerate() {
            let _best_effort = fs::remove_file(self.hidden(name));
            if !self.done && at < self.named {
                let _best_effort = fs::remove_file(self.dir.join(name));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, routing::post};
    use serde_json::{Value, json};
    use tokio::sync::oneshot;
    use trenza_shared::{
        clock::TestClock,
        net::{
            error::HttpError,
            pki::{AGENT_CERT_DAYS_DEFAULT, Ca},
            serve::{Limits, Listener, serve},
            tls::{CertCell, web_server_config},
        },
    };

    use super::*;

    const NOW: i64 = 1_773_480_000_000;

    /// A server that signs, or refuses when `code` is not "GOOD"; or answers with another CA.
    async fn server(other_ca: bool) -> (String, String, oneshot::Sender<()>) {
        let ca = Arc::new(Ca::generate("test", NOW).unwrap());
        let cert = ca
            .issue_server(
                &["localhost".into()],
                &["127.0.0.1".parse().unwrap()],
                NOW,
                10,
            )
            .unwrap();
        let clock: Arc<dyn Clock> = Arc::new(TestClock::at(NOW));
        let cell = CertCell::holding(
            pki::read_chain(&cert.chain_pem).unwrap(),
            pki::read_key(&cert.key_pem).unwrap(),
        )
        .unwrap();
        let tls = web_server_config(cell, clock).unwrap();
        let fingerprint = ca.fingerprint();
        let answer = move |Json(asked): Json<Value>| {
            let ca = ca.clone();
            async move {
                if asked["code"] != "GOOD" {
                    return Err(HttpError::forbidden("this code was used already")
                        .hint("ask for a new one"));
                }
                let agent = AgentId([4; 16]);
                let certificate = ca
                    .sign_agent(
                        asked["csr"].as_str().unwrap_or_default(),
                        agent,
                        NOW,
                        AGENT_CERT_DAYS_DEFAULT,
                    )
                    .unwrap()
                    .pem;
                let shown = if other_ca {
                    Ca::generate("other", NOW).unwrap().cert_pem().to_owned()
                } else {
                    ca.cert_pem().to_owned()
                };
                Ok(Json(json!({
                    "agent": agent, "certificate": certificate, "ca": shown, "agents_url": "https://localhost:8444",
                    "touchpoint": "Feria \"Norte\", puesto B", "country": "ES", "zone": "Europe/Madrid", "write_key": "wk_1",
                })))
            }
        };
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), Some(tls), Limits::default())
            .await
            .unwrap();
        let (stop, stopped) = oneshot::channel();
        let url = listener.url();
        tokio::spawn(serve(
            listener,
            Router::new().route("/v1/enrol", post(answer)),
            async {
                let _gone = stopped.await;
            },
        ));
        (url, fingerprint, stop)
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    async fn try_enrol(
        server: &str,
        code: &str,
        fingerprint: &str,
        dir: &Path,
    ) -> Result<PathBuf, EnrolError> {
        let invitation = Invitation {
            server: server.into(),
            code: code.into(),
            ca_fingerprint: fingerprint.into(),
        };
        enrol(&invitation, dir, Arc::new(TestClock::at(NOW))).await
    }

    #[tokio::test]
    async fn an_enrolled_device_has_four_files_and_settings_that_load() {
        use std::os::unix::fs::PermissionsExt;
        let (url, fingerprint, _stop) = server(false).await;
        let dir = tempfile::tempdir().unwrap();
        let config = try_enrol(&url, "GOOD", &fingerprint, dir.path())
            .await
            .unwrap();
        assert_eq!(
            names(dir.path()),
            ["agent.toml", "ca.pem", "device.cert.pem", "device.key.pem"]
        );
        let mode = fs::metadata(dir.path().join(files::KEY))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let config: Config = toml::from_str(&fs::read_to_string(config).unwrap()).unwrap();
        assert_eq!(
            (
                config.agent.touchpoint.as_str(),
                config.capture.write_key.as_str()
            ),
            ("Feria \"Norte\", puesto B", "wk_1")
        );
        let again = try_enrol(&url, "GOOD", &fingerprint, dir.path())
            .await
            .unwrap_err();
        assert!(matches!(again, EnrolError::Exists { .. }), "{again}");
        assert_eq!(names(dir.path()).len(), 4);
    }

    #[tokio::test]
    async fn an_enrolment_that_fails_leaves_nothing_behind() {
        let (url, fingerprint, _stop) = server(false).await;
        let (other_url, other_fingerprint, _other_stop) = server(true).await;
        let dir = tempfile::tempdir().unwrap();
        let refused = try_enrol(&url, "USED", &fingerprint, dir.path())
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("used already") && refused.to_string().contains("new one"),
            "{refused}"
        );
        let untrusted = try_enrol(&url, "GOOD", &"0".repeat(64), dir.path())
            .await
            .unwrap_err();
        assert!(
            matches!(untrusted, EnrolError::Client(ClientError::Untrusted { .. })),
            "{untrusted}"
        );
        assert!(matches!(
            try_enrol(&other_url, "GOOD", &other_fingerprint, dir.path()).await,
            Err(EnrolError::WrongCa)
        ));
        assert!(matches!(
            try_enrol(&url, "GOOD", "12", dir.path()).await,
            Err(EnrolError::BadFingerprint)
        ));
        assert!(
            try_enrol("https://127.0.0.1:1", "GOOD", &fingerprint, dir.path())
                .await
                .is_err()
        );
        assert!(names(dir.path()).is_empty(), "{:?}", names(dir.path()));
    }
}
