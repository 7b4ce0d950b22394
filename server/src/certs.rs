//! The certificates of the TLS listeners, kept good while the server runs.
//!
//! Owns when each is made anew or read again; handshakes take what is there, open connections go on. The agents' is held in memory
//! alone, since agents pin the authority. The web's is a file, which an administrator may replace by one of his own at any time:
//! one that our authority did not issue is never replaced, only told about.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use tracing::{info, warn};
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

/// The files of the web certificate, as they were read last.
#[derive(Default, PartialEq, Eq)]
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
}

/// Reads a PEM file of the settings.
///
/// # Errors
/// It cannot be read.
pub fn read(config: &Config, which: impl Fn(&Tls) -> &PathBuf) -> anyhow::Result<String> {
    let path = config.path(which(&config.tls));
    std::fs::read_to_string(&path).with_context(|| {
        format!(
            "cannot read {}; run `trenza-server init` first",
            path.display()
        )
    })
}

/// Names and addresses of a certificate.
type Names = (Vec<String>, Vec<IpAddr>);

/// Makes a listener's certificate where there is none in `cell`, or it is due.
///
/// # Errors
/// None can be made; what was there stays.
pub fn keep_made(cell: &CertCell, ca: &Ca, names: &Names, now_ms: i64) -> anyhow::Result<()> {
    let held = cell.leaf().and_then(|leaf| Validity::of(&leaf));
    if held.is_some_and(|validity| validity.is_good(now_ms)) {
        return Ok(());
    }
    let made = ca.issue_server(&names.0, &names.1, now_ms, WEB_CERT_DAYS)?;
    let key = pki::read_key(&made.key_pem)?;
    cell.set(pki::read_chain(&made.chain_pem)?, key)?;
    let until = format_ms(made.cert.not_after_ms);
    info!(until, "the agents' listener has a new certificate");
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
    texts: Texts,
    /// The last problem that was told, so that it is told once.
    said: Option<String>,
}

impl Certs {
    /// Makes and reads them for the first time.
    ///
    /// # Errors
    /// None can be made, or the web certificate's files cannot be used.
    pub fn open(config: Arc<Config>, ca: Arc<Ca>, now_ms: i64) -> anyhow::Result<Self> {
        let mut certs = Self {
            agents: CertCell::default(),
            web: CertCell::default(),
            names: server_names(&config),
            config,
            ca,
            texts: Texts::default(),
            said: None,
        };
        keep_made(&certs.agents, &certs.ca, &certs.names, now_ms)?;
        certs.keep_web(now_ms)?;
        certs.tell(None, now_ms);
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
        let made = keep_made(&self.agents, &self.ca, &self.names, now_ms);
        let kept = self.keep_web(now_ms);
        self.tell(made.and(kept).err(), now_ms);
    }

    fn keep_web(&mut self, now_ms: i64) -> anyhow::Result<()> {
        let path = self.config.path(&self.config.tls.web_cert);
        let texts = Texts::read(&self.config)?;
        if texts != self.texts {
            let cannot = || format!("cannot use {} and its key", path.display());
            let used = pki::read_chain(&texts.chain)
                .and_then(|chain| Ok((chain, pki::read_key(&texts.key)?)));
            let (chain, key) = used.with_context(cannot)?;
            self.web.set(chain, key).with_context(cannot)?;
            self.texts = texts;
            info!("the web certificate was read");
        }
        if self
            .standing()
            .is_some_and(|standing| standing.is_due(now_ms))
        {
            self.renew_web(&path, now_ms)?;
        }
        Ok(())
    }

    /// The key stays: of the two files only one changes, so that they always fit.
    fn renew_web(&mut self, path: &Path, now_ms: i64) -> anyhow::Result<()> {
        let (names, ips) = &self.names;
        let key = &self.texts.key;
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
        pki::replace(path, made.chain_pem.as_bytes()).with_context(|| {
            format!(
                "the new web certificate cannot be written to {}",
                path.display()
            )
        })?;
        self.texts.chain = made.chain_pem;
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
            warn!(problem, "the server's certificates want attention");
        }
        self.said = problem;
    }
}

#[cfg(test)]
mod tests {
    use trenza_shared::clock::TestClock;

    use super::*;
    use crate::admin::init::init;

    const NOW: i64 = 1_768_472_430_456;

    struct Site {
        _home: tempfile::TempDir,
        config: Arc<Config>,
        ca: Arc<Ca>,
    }

    impl Site {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let dir = home.path().join("server");
            let made = init(&dir, "ES", "Europe/Madrid", &TestClock::at(NOW)).unwrap();
            let config = Arc::new(Config::load(&made.config).unwrap());
            let of = |which: fn(&Tls) -> &PathBuf| read(&config, which).unwrap();
            let ca = Ca::from_pem(&of(|tls| &tls.ca_cert), &of(|tls| &tls.ca_key)).unwrap();
            Self {
                _home: home,
                ca: Arc::new(ca),
                config,
            }
        }

        fn certs(&self, now_ms: i64) -> Certs {
            Certs::open(self.config.clone(), self.ca.clone(), now_ms).unwrap()
        }

        fn put(&self, which: fn(&Tls) -> &PathBuf, text: &str) {
            std::fs::write(self.config.path(which(&self.config.tls)), text).unwrap();
        }

        fn file(&self) -> Vec<u8> {
            let text = read(&self.config, |tls| &tls.web_cert).unwrap();
            pki::read_chain(&text).unwrap()[0].to_vec()
        }
    }

    fn served(certs: &Certs) -> [Vec<u8>; 2] {
        [&certs.web, &certs.agents].map(|cell| cell.leaf().unwrap().to_vec())
    }

    #[test]
    fn own_certificates_are_made_anew_at_two_thirds_of_their_life_and_the_file_with_them() {
        let site = Site::new();
        let mut certs = site.certs(NOW);
        let first = served(&certs);
        assert_eq!(first[0], site.file());
        certs.look(NOW + 263 * DAY_MS);
        assert_eq!(served(&certs), first, "not before");
        let key = read(&site.config, |tls| &tls.web_key).unwrap();
        certs.look(NOW + 266 * DAY_MS);
        let second = served(&certs);
        assert!(second[0] != first[0] && second[1] != first[1]);
        assert_eq!(second[0], site.file());
        assert_eq!(read(&site.config, |tls| &tls.web_key).unwrap(), key);
        let standing = Standing::of(&second[0], &site.ca).unwrap();
        assert_eq!(standing.problem(NOW + 266 * DAY_MS), None);
        assert!(standing.own && standing.validity.expires_ms > NOW + 660 * DAY_MS);
        assert_eq!(
            pki::cert_names(&second[0]),
            pki::cert_names(&first[0]),
            "under the same names"
        );
        certs.look(NOW + 267 * DAY_MS);
        assert_eq!(served(&certs), second);
        assert_eq!(certs.said, None);
        // The next start takes it as it is; one years later, or with a clock that was set back, does not.
        assert_eq!(served(&site.certs(NOW + 268 * DAY_MS))[0], second[0]);
        assert_ne!(served(&site.certs(NOW + 4_000 * DAY_MS))[0], second[0]);
        assert_eq!(served(&site.certs(NOW))[0], site.file());
        assert!(Standing::of(&site.file(), &site.ca).is_some_and(|now| now.validity.is_good(NOW)));
    }

    #[test]
    fn a_certificate_that_cannot_be_written_is_used_and_told_about_once() {
        let site = Site::new();
        let mut certs = site.certs(NOW);
        let (first, folder) = (served(&certs), site.config.path(Path::new("web.next")));
        std::fs::create_dir(&folder).unwrap();
        let later = NOW + 300 * DAY_MS;
        certs.look(later);
        let second = served(&certs);
        assert_ne!(second[0], first[0]);
        assert_eq!(site.file(), first[0]);
        assert!(
            certs
                .said
                .as_ref()
                .is_some_and(|said| said.contains("web.pem"))
        );
        certs.look(later + DAY_MS);
        assert_eq!(served(&certs), second, "not made at every look");
    }

    #[test]
    fn an_administrators_own_is_read_when_it_changes_told_about_and_never_replaced() {
        let site = Site::new();
        let mut certs = site.certs(NOW);
        let [first, _] = served(&certs);
        let other = Ca::generate("Somebody", NOW).unwrap();
        let names = ["trenza.example.org".to_owned()];
        let own = other.issue_server(&names, &[], NOW, 90).unwrap();
        // Copied one after the other: between the two they do not fit, and what was there is served on.
        site.put(|tls| &tls.web_cert, &own.chain_pem);
        certs.look(NOW);
        assert_eq!(served(&certs)[0], first);
        assert!(
            certs
                .said
                .as_ref()
                .is_some_and(|said| said.contains("its key"))
        );
        site.put(|tls| &tls.web_key, &own.key_pem);
        certs.look(NOW);
        assert_eq!(
            (served(&certs)[0].as_slice(), &certs.said),
            (&*own.cert.der, &None)
        );
        for (days, word) in [(59, None), (61, Some("in 28 days")), (91, Some("ran out"))] {
            certs.look(NOW + days * DAY_MS);
            let said = certs.said.as_deref();
            assert_eq!(said.is_some(), word.is_some(), "{days}: {said:?}");
            assert!(
                said.is_none_or(|said| word.is_some_and(|word| said.contains(word))),
                "{said:?}"
            );
            assert_eq!(site.file(), &*own.cert.der, "never replaced");
        }
        let renewed = other.renew_server(&own.key_pem, &names, &[], NOW + 91 * DAY_MS, 90);
        let renewed = renewed.unwrap();
        site.put(|tls| &tls.web_cert, &renewed.chain_pem);
        certs.look(NOW + 91 * DAY_MS);
        assert_eq!(
            (served(&certs)[0].as_slice(), &certs.said),
            (&*renewed.cert.der, &None)
        );
        std::fs::remove_file(site.config.path(&site.config.tls.web_cert)).unwrap();
        certs.look(NOW + 92 * DAY_MS);
        assert_eq!(served(&certs)[0].as_slice(), &*renewed.cert.der);
        assert!(
            certs
                .said
                .as_ref()
                .is_some_and(|said| said.contains("cannot read"))
        );
    }
}
