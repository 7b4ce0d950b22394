//! What this device shows to its neighbours and signs its frames with: the key and the certificate of its enrolment.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use trenza_shared::{
    id::AgentId,
    net::{
        client::{Client, ClientLimits},
        pki::{self, CertificateDer, DeviceKey, Owner, PkiError},
        tls::{
            Identity, ServerConfig, Shown, TlsError, TlsTime, neighbours_client_config,
            neighbours_server_config,
        },
    },
    wire::{
        carried::{Signed, statement},
        frame::Frame,
    },
};

use crate::{
    config::files,
    sync::uplink::{CredentialsError, read},
};

/// Longest wait for a connection to a neighbour.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How often a quiet connection is asked whether it is alive.
const PING_EVERY: Duration = Duration::from_secs(5);
/// Largest answer: a frame, or everything that a venue holds by name. Unit: bytes.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The device's key, its certificate, and the authority that it trusts.
pub struct Credentials {
    dir: PathBuf,
    ca: CertificateDer<'static>,
    time: Arc<TlsTime>,
    shown: Arc<Shown>,
    now: RwLock<Arc<Present>>,
}

/// Key and certificate as they are now, and whose the latter says this device is.
pub struct Present {
    key: DeviceKey,
    /// DER.
    pub certificate: CertificateDer<'static>,
    /// This agent and its venue; none of a certificate that names no agent.
    pub owner: Option<Owner>,
}

impl Present {
    fn read(dir: &Path) -> Result<Self, CredentialsError> {
        let key = DeviceKey::from_pem(&read(&dir.join(files::KEY))?)?;
        let mut chain = pki::read_chain(&read(&dir.join(files::CERT))?)?;
        let certificate = chain.swap_remove(0);
        let owner = pki::cert_owner(&certificate);
        Ok(Self {
            key,
            certificate,
            owner,
        })
    }

    fn identity(&self) -> Identity {
        (vec![self.certificate.clone()], self.key.to_der())
    }
}

impl Credentials {
    /// Reads them in `dir`.
    ///
    /// # Errors
    /// [`CredentialsError`] names the file.
    pub fn open(dir: &Path, time: Arc<TlsTime>) -> Result<Self, CredentialsError> {
        let mut ca = pki::read_chain(&read(&dir.join(files::CA))?)?;
        let present = Present::read(dir)?;
        let shown = Shown::new(present.identity())?;
        Ok(Self {
            dir: dir.to_owned(),
            ca: ca.swap_remove(0),
            time,
            shown: Arc::new(shown),
            now: RwLock::new(Arc::new(present)),
        })
    }

    /// The certificate as it is now.
    pub fn present(&self) -> Arc<Present> {
        self.now
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The venue that the certificate names; empty for none.
    pub fn venue(&self) -> String {
        let present = self.present();
        let owner = present.owner.as_ref();
        owner.map(|owner| owner.venue.clone()).unwrap_or_default()
    }

    /// Who the certificate says this device is.
    pub fn agent(&self) -> Option<AgentId> {
        self.present().owner.as_ref().map(|owner| owner.agent)
    }

    /// The authority's certificate (DER).
    pub fn ca(&self) -> &[u8] {
        &self.ca
    }

    /// Takes a certificate that was renewed meanwhile; whether there was one.
    ///
    /// # Errors
    /// The file cannot be read; the one before stays in use.
    pub fn refresh(&self) -> Result<bool, CredentialsError> {
        let next = Present::read(&self.dir)?;
        if next.certificate == self.present().certificate {
            return Ok(false);
        }
        self.shown.replace(next.identity())?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Ok(true)
    }

    /// Signs a frame of this device.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn sign(&self, frame: Frame) -> Result<Signed, PkiError> {
        let present = self.present();
        Ok(Signed {
            signature: present.key.sign(&statement(&frame))?,
            certificate: present.certificate.to_vec(),
            frame,
        })
    }

    /// For the listener.
    ///
    /// # Errors
    /// The CA cannot be used.
    pub fn listener(&self) -> Result<Arc<ServerConfig>, TlsError> {
        neighbours_server_config(self.shown.clone(), &self.ca, self.time.clone())
    }

    /// For calling neighbours of the venue but for those whose right was taken back.
    ///
    /// # Errors
    /// Key and certificate do not fit.
    pub fn client(&self, request: Duration, revoked: &[AgentId]) -> Result<Client, TlsError> {
        let present = self.present();
        let venue = present.owner.as_ref().map_or("", |owner| &owner.venue);
        let config = neighbours_client_config(
            present.identity(),
            &self.ca,
            venue,
            revoked,
            self.time.clone(),
        )?;
        let limits = ClientLimits {
            connect: CONNECT_MAX.min(request),
            request,
            response_bytes_max: ANSWER_BYTES_MAX,
            ping: PING_EVERY,
            ..ClientLimits::default()
        };
        Ok(Client::new(config, limits))
    }
}
