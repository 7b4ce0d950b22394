//! The certificates of the TLS listeners, kept good while the server runs.
//!
//! Owns when each is made anew or read again; handshakes take what is there, open connections go on. The agents' is held in memory
//! alone, since agents pin the authority. The web's is a file, which an administrator may replace by one of his own at any time:
//! one that our authority did not issue is never replaced, only told about. Where a start finds files that cannot be used, a
//! certificate of our authority stands in for them, in memory alone, until they can.

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use tracing::{error, info, warn};
use trenza_shared::{
    clock::{Clock, format_ms},
    net::{
        pki::{self, Ca, Validity, WEB_CERT_DAYS},
        tls::CertCell,
    },
};

use crate::{
    app::server_names,
    config::{Config, Tls},
};

/// How often the certificates are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Unit: ms.
const DAY_MS: i64 = 24 * 3_600_000;

/// Whose a web certificate is, and how long it is good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Of our own authority: made anew in time.
    pub own: bool,
    /// From when to when.
    pub validity: Validity,
}

impl Standing {
    /// Of a certificate (DER); none when it is not X.509.
    pub fn of(leaf: &[u8], ca: &Ca) -> Option<Self> {
        Some(Self {
            own: pki::is_issued_by(ca.cert_der(), leaf),
            validity: Validity::of(leaf)?,
        })
    }

    /// It is to be made anew now.
    pub fn is_due(self, now_ms: i64) -> bool {
        self.own && !self.validity.is_good(now_ms)
    }

    /// What an administrator has to do about it. Nobody else can renew his.
    pub fn problem(self, now_ms: i64) -> Option<String> {
        if self.own || self.validity.is_good(now_ms) {
            return None;
        }
        let Validity {
            begins_ms,
            expires_ms,
        } = self.validity;
        let what = if now_ms < begins_ms {
            format!("is good from {} on only", format_ms(begins_ms))
        } else if now_ms > expires_ms {
            format!("ran out at {}: browsers refuse it", format_ms(expires_ms))
        } else {
            let days = (expires_ms - now_ms) / DAY_MS;
            format!("runs out at {}, in {days} days", format_ms(expires_ms))
        };
        Some(format!(
            "it is your own and {what}; put a new one and its key in its place, the server reads them by itself"
        ))
    }
}

/// What helps where the web certificate's files cannot be used.
const FILES_ADVICE: &str = "put a PEM certificate chain and its key there, of your own or from a backup: the server takes them by itself, and serves the last ones that it could use until then, or one of its own authority";

/// The files of the web certificate, as they were read last.
#[derive(PartialEq, Eq)]
struct Texts {
    chain: String,
    key: String,
}

impl Texts {
    fn read(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            chain: read(config, |tls| &tls.web_cert)?,
            key: read(config, |tls| &tls.web_key)?,
        })
    }

    /// Puts them into `cell`, if they are a certificate and its key.
    fn put_into(&self, cell: &CertCell, config: &Config) -> anyhow::Result<()> {
        let place = |path: &PathBuf| config.path(path).display().to_string();
        let (cert, key) = (place(&config.tls.web_cert), place(&config.tls.web_key));
        let chain =
            pki::read_chain(&self.chain).with_context(|| format!("{cert} cannot be used"))?;
        let private = pki::read_key(&self.key).with_context(|| format!("{key} cannot be used"))?;
        cell.set(chain, private)
            .with_context(|| format!("the certificate in {cert} and its key in {key} do not fit"))
    }
}

/// The web certificate of the files (DER), which could be served.
///
/// # Errors
/// Which file is wrong, why, and what to do.
pub fn web_leaf(config: &Config) -> anyhow::Result<Vec<u8>> {
    let cell = CertCell::default();
    advised(Texts::read(config).and_then(|texts| texts.put_into(&cell, config)))?;
    Ok(cell.leaf().map(|leaf| leaf.to_vec()).unwrap_or_default())
}

fn advised<T>(found: anyhow::Result<T>) -> anyhow::Result<T> {
    found.map_err(|error| anyhow::anyhow!("{error:#}; {FILES_ADVICE}"))
}

/// Reads a PEM file of the settings.
///
/// # Errors
/// It cannot be read.
pub fn read(config: &Config, which: impl Fn(&Tls) -> &PathBuf) -> anyhow::Result<String> {
    let path = config.path(which(&config.tls));
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The agents' authority, as its files say.
///
/// # Errors
/// Which of them is wrong, why, and what to do.
pub fn authority(config: &Config) -> anyhow::Result<Ca> {
    let read = || {
        let cert = read(config, |tls| &tls.ca_cert)?;
        let key = read(config, |tls| &tls.ca_key)?;
        Ok::<_, anyhow::Error>(Ca::from_pem(&cert, &key)?)
    };
    read().map_err(|error| {
        anyhow::anyhow!(
            "the authority cannot be used: {error:#}; put {} and {} back from a backup, agents trust no other",
            config.tls.ca_cert.display(),
            config.tls.ca_key.display()
        )
    })
}

/// Names and addresses of a certificate.
type Names = (Vec<String>, Vec<IpAddr>);

/// Makes a listener's certificate in memory where there is none in `cell`, or it is due.
///
/// # Errors
/// None can be made; what was there stays.
pub fn keep_made(
    which: &str,
    cell: &CertCell,
    ca: &Ca,
    names: &Names,
    now_ms: i64,
) -> anyhow::Result<()> {
    let held = cell.leaf().and_then(|leaf| Validity::of(&leaf));
    if held.is_some_and(|validity| validity.is_good(now_ms)) {
        return Ok(());
    }
    let made = ca.issue_server(&names.0, &names.1, now_ms, WEB_CERT_DAYS)?;
    let key = pki::read_key(&made.key_pem)?;
    cell.set(pki::read_chain(&made.chain_pem)?, key)?;
    let until = format_ms(made.cert.not_after_ms);
    info!(until, "the {which} listener has a new certificate");
    Ok(())
}

/// Both listeners' certificates.
pub struct Certs {
    /// For the `agents` listener.
    pub agents: CertCell,
    /// For the `https` listener.
    pub web: CertCell,
    config: Arc<Config>,
    ca: Arc<Ca>,
    names: Names,
    /// None until files could be used: a certificate that is in no file stands in for them.
    texts: Option<Texts>,
    /// The last problem that was told, so that it is told once.
    said: Option<String>,
}

impl Certs {
    /// Makes and reads them for the first time.
    ///
    /// # Errors
    /// None can be made.
    pub fn open(config: Arc<Config>, ca: Arc<Ca>, now_ms: i64) -> anyhow::Result<Self> {
        let mut certs = Self {
            agents: CertCell::default(),
            web: CertCell::default(),
            names: server_names(&config),
            config,
            ca,
            texts: None,
            said: None,
        };
        certs.keep_agents(now_ms)?;
        let kept = certs.keep_web(now_ms);
        certs.stand_in(now_ms)?;
        certs.tell(kept.err(), now_ms);
        Ok(certs)
    }

    /// Looks after them until `stopped`.
    pub async fn keep(mut self, clock: Arc<dyn Clock>, stopped: impl Future<Output = ()>) {
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                () = &mut stopped => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let clock = clock.clone();
            let looked = tokio::task::spawn_blocking(move || {
                self.look(clock.wall_ms());
                self
            });
            match looked.await {
                Ok(certs) => self = certs,
                Err(error) => {
                    warn!(%error, "looking after the certificates ended badly; restart the server before they run out");
                    return;
                }
            }
        }
    }

    /// Makes anew what is due, reads what was replaced, tells what runs out.
    fn look(&mut self, now_ms: i64) {
        let made = self.keep_agents(now_ms);
        let kept = self.keep_web(now_ms);
        let stands_in = self.stand_in(now_ms);
        self.tell(made.and(kept).and(stands_in).err(), now_ms);
    }

    fn keep_agents(&self, now_ms: i64) -> anyhow::Result<()> {
        keep_made("agents", &self.agents, &self.ca, &self.names, now_ms)
    }

    /// Serves a certificate of our authority as long as no files could be used.
    fn stand_in(&self, now_ms: i64) -> anyhow::Result<()> {
        if self.texts.is_some() {
            return Ok(());
        }
        keep_made("https", &self.web, &self.ca, &self.names, now_ms)
    }

    fn keep_web(&mut self, now_ms: i64) -> anyhow::Result<()> {
        let texts = advised(Texts::read(&self.config))?;
        if self.texts.as_ref() != Some(&texts) {
            advised(texts.put_into(&self.web, &self.config))?;
            self.texts = Some(texts);
            info!("the web certificate was read");
        }
        if self
            .standing()
            .is_some_and(|standing| standing.is_due(now_ms))
        {
            self.renew_web(now_ms)?;
        }
        Ok(())
    }

    /// The key stays: of the two files only one changes, so that they always fit.
    fn renew_web(&mut self, now_ms: i64) -> anyhow::Result<()> {
        let path = self.config.path(&self.config.tls.web_cert);
        let Some(Texts { chain, key }) = &mut self.texts else {
            return Ok(());
        };
        let (names, ips) = &self.names;
        let made = self
            .ca
            .renew_server(key, names, ips, now_ms, WEB_CERT_DAYS)?;
        self.web
            .set(pki::read_chain(&made.chain_pem)?, pki::read_key(key)?)?;
        info!(
            until = format_ms(made.cert.not_after_ms),
            "the web certificate was made anew"
        );
        // It is used all the same; another one is made at the next start.
        pki::replace(&path, made.chain_pem.as_bytes()).with_context(|| {
            format!(
                "the new web certificate cannot be written to {}",
                path.display()
            )
        })?;
        *chain = made.chain_pem;
        Ok(())
    }

    fn standing(&self) -> Option<Standing> {
        Standing::of(&self.web.leaf()?, &self.ca)
    }

    fn tell(&mut self, error: Option<anyhow::Error>, now_ms: i64) {
        let standing = self.standing();
        if let Some(standing) = standing {
            let left_s = (standing.validity.expires_ms - now_ms) / 1000;
            metrics::gauge!("trenza_server_web_certificate_left_seconds").set(left_s as f64);
        }
        let problem = error
            .map(|error| format!("{error:#}"))
            .or_else(|| standing?.problem(now_ms));
        if let Some(problem) = problem.as_ref().filter(|_| problem != self.said) {
            if self.texts.is_some() {
                warn!(problem, "the server's certificates want attention");
            } else {
                error!(
                    problem,
                    "the https listener serves a certificate of the server's own authority"
                );
            }
        }
        self.said = problem;
    }
}

#[cfg(test)]
mod tests;
