//! The certificate of this device's own `https` listener: asked for where there is none, renewed at two thirds of its life.
//!
//! Owns its key and certificate as files. The listener is open from the start; until the first talk with the server there is no
//! certificate, and who calls it finds nobody.

use std::{
    collections::BTreeSet,
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use trenza_shared::{
    clock::format_ms,
    net::{
        pki::{self, DeviceKey, write_secret},
        tls::CertCell,
    },
    wire::WireError,
};

use super::{
    Sender,
    uplink::{CredentialsError, TalkError, Validity, replace},
};
use crate::config::files;

/// What keeps the listener's certificate.
#[derive(Clone)]
pub struct ListenerCert {
    dir: PathBuf,
    names: Arc<BTreeSet<String>>,
    cell: CertCell,
}

impl ListenerCert {
    /// For a listener under these names and addresses; uses the certificate that an earlier start got, if there is one.
    pub fn open(dir: &Path, names: impl IntoIterator<Item = String>) -> Self {
        let cert = Self {
            dir: dir.to_owned(),
            names: Arc::new(names.into_iter().map(|name| one_spelling(&name)).collect()),
            cell: CertCell::default(),
        };
        if let Err(error) = cert.load() {
            tracing::warn!(error = %error, "the https listener has no certificate yet; the server gives it one at the next contact");
        }
        cert
    }

    /// Where the listener finds it.
    pub fn cell(&self) -> CertCell {
        self.cell.clone()
    }

    /// Forgets key and certificate: they are those of the device whose folder was copied.
    ///
    /// # Errors
    /// The key cannot be removed.
    pub fn forget(&self) -> io::Result<()> {
        self.cell.clear();
        for name in [files::LISTENER_CERT, files::LISTENER_KEY] {
            match fs::remove_file(self.dir.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn load(&self) -> Result<(), CredentialsError> {
        let read = |name: &str| {
            let path = self.dir.join(name);
            fs::read_to_string(&path).map_err(|cause| CredentialsError::Unreadable { path, cause })
        };
        let key = pki::read_key(&read(files::LISTENER_KEY)?)?;
        let chain = pki::read_chain(&read(files::LISTENER_CERT)?)?;
        Ok(self.cell.set(chain, key)?)
    }

    /// Whether a new one is needed: there is none, two thirds of its life are over, or the names are others.
    fn is_due(&self, now_ms: i64) -> bool {
        let Some(leaf) = self.cell.leaf() else {
            return true;
        };
        let old = Validity::of(&leaf).is_none_or(|validity| validity.wants_renewal(now_ms));
        old || pki::cert_names(&leaf).is_none_or(|names| names != *self.names)
    }

    /// Why callers find no certificate, or refuse the one there is; none where all is well.
    pub fn lacks(&self, now_ms: i64) -> Option<String> {
        let Some(leaf) = self.cell.leaf() else {
            return Some("it has no certificate".into());
        };
        let good_for = pki::cert_names(&leaf).unwrap_or_default();
        let others: Vec<_> = self.names.difference(&good_for).cloned().collect();
        if !others.is_empty() {
            return Some(format!(
                "its certificate is not good for {}",
                others.join(", ")
            ));
        }
        let validity = Validity::of(&leaf)?;
        (now_ms > validity.expires_ms).then(|| {
            let until = format_ms(validity.expires_ms);
            format!("its certificate ran out at {until}")
        })
    }

    /// The listener's key, which never leaves the device; made where there is none.
    fn key(&self) -> Result<DeviceKey, CredentialsError> {
        let path = self.dir.join(files::LISTENER_KEY);
        match fs::read_to_string(&path) {
            Ok(text) => return Ok(DeviceKey::from_pem(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(CredentialsError::Unreadable { path, cause }),
        }
        let key = DeviceKey::generate()?;
        write_secret(&path, key.to_pem().as_bytes())
            .map_err(|cause| CredentialsError::Unwritable { path, cause })?;
        Ok(key)
    }
}

/// As a certificate spells it, so that the two can be compared.
fn one_spelling(name: &str) -> String {
    name.parse::<IpAddr>().map_or_else(
        |_| name.to_ascii_lowercase(),
        |ip| ip.to_canonical().to_string(),
    )
}

/// Why the server gave no certificate, with what to do.
fn told(error: &TalkError) -> String {
    match error {
        TalkError::Refused { status: 403, .. } => format!(
            "{error}; correct listen.https_names in agent.toml, or allow the name in tls.listener_names of server.toml"
        ),
        _ => error.to_string(),
    }
}

#[derive(Serialize)]
struct ListenerRequest<'a> {
    csr: &'a str,
    names: &'a BTreeSet<String>,
}

#[derive(Deserialize)]
struct ListenerAnswer {
    certificate: String,
}

impl Sender {
    /// Gets the listener's certificate when it is due. Sync goes on without it.
    pub(super) async fn keep_listener(&mut self, now_ms: i64) {
        let Some(cert) = self.around.listener.clone() else {
            return;
        };
        if !cert.is_due(now_ms) {
            return;
        }
        match self.ask_for_listener(&cert).await {
            Ok(()) => {
                self.link.https(String::new());
                tracing::info!("the https listener has a new certificate");
            }
            Err(error) => {
                tracing::warn!(error = %error, "the https listener got no certificate; trying again at the next hello");
                self.link.https(told(&error));
            }
        }
    }

    async fn ask_for_listener(&mut self, cert: &ListenerCert) -> Result<(), TalkError> {
        let key = cert.key()?;
        let csr = key.csr_pem().map_err(CredentialsError::from)?;
        let request = ListenerRequest {
            csr: &csr,
            names: &cert.names,
        };
        let body = serde_json::to_vec(&request).map_err(|e| TalkError::Local(e.to_string()))?;
        let answer = self.uplink.post_json("listener", body).await?;
        let granted: ListenerAnswer = serde_json::from_slice(&answer.body)
            .map_err(|error| WireError::malformed("certificate of the listener", error))?;
        pki::read_chain(&granted.certificate).map_err(CredentialsError::from)?;
        let path = cert.dir.join(files::LISTENER_CERT);
        replace(&path, granted.certificate.as_bytes())
            .map_err(|cause| CredentialsError::Unwritable { path, cause })?;
        Ok(cert.load()?)
    }
}

#[cfg(test)]
mod tests {
    use trenza_shared::net::pki::Ca;

    use super::*;

    const NOW: i64 = 1_773_480_000_000;
    const DAY_MS: i64 = 24 * 3_600_000;

    #[test]
    fn a_certificate_is_due_when_it_is_missing_old_or_of_other_names() {
        let dir = tempfile::tempdir().unwrap();
        let open = |names: &[&str]| {
            ListenerCert::open(dir.path(), names.iter().map(|name| (*name).to_owned()))
        };
        let cert = open(&["Kiosko.local", "192.168.1.20", "FD00:0::7"]);
        assert!(cert.is_due(NOW), "there is none");
        let csr = cert.key().unwrap().csr_pem().unwrap();
        assert_eq!(cert.key().unwrap().to_pem(), cert.key().unwrap().to_pem());
        let issued = Ca::generate("test", NOW)
            .unwrap()
            .sign_device_server(
                &csr,
                &["kiosko.local".into()],
                &["192.168.1.20".parse().unwrap(), "fd00::7".parse().unwrap()],
                NOW,
                30,
            )
            .unwrap();
        fs::write(dir.path().join(files::LISTENER_CERT), &issued.pem).unwrap();
        cert.load().unwrap();
        assert!(!cert.is_due(NOW) && !cert.is_due(NOW + 19 * DAY_MS));
        assert!(cert.is_due(NOW + 21 * DAY_MS), "two thirds are over");
        let again = open(&["192.168.1.20", "kiosko.local", "fd00::7"]);
        assert!(!again.is_due(NOW), "an earlier start got it");
        assert!(
            open(&["other.local"]).is_due(NOW),
            "the settings name others"
        );
        again.forget().unwrap();
        assert!(again.is_due(NOW) && again.cell().leaf().is_none());
        assert_ne!(again.key().unwrap().csr_pem().unwrap(), csr);
    }
}
