//! `doctor`: what runs out, before it does. Reads the files of the settings alone, whether the server runs or not; changes nothing.

use serde::Serialize;
use trenza_shared::{
    clock::format_ms,
    net::pki::{self, Ca, Validity},
};

use crate::{
    certs::{self, Standing},
    config::Config,
};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// authority or web_certificate.
    pub name: &'static str,
    /// Nothing to do.
    pub ok: bool,
    /// What was found, and what to do.
    pub message: String,
}

/// Looks at everything.
pub fn examine(config: &Config, now_ms: i64) -> Vec<Check> {
    let check = |name, found: anyhow::Result<(bool, String)>| match found {
        Ok((ok, message)) => Check { name, ok, message },
        Err(error) => Check {
            name,
            ok: false,
            message: format!("{error:#}"),
        },
    };
    vec![
        check("authority", authority(config, now_ms)),
        check("web_certificate", web_certificate(config, now_ms)),
    ]
}

fn ca(config: &Config) -> anyhow::Result<Ca> {
    let cert = certs::read(config, |tls| &tls.ca_cert)?;
    let key = certs::read(config, |tls| &tls.ca_key)?;
    Ok(Ca::from_pem(&cert, &key)?)
}

fn authority(config: &Config, now_ms: i64) -> anyhow::Result<(bool, String)> {
    let validity = Validity::of(ca(config)?.cert_der());
    let until_ms = validity.map_or(0, |validity| validity.expires_ms);
    let until = format_ms(until_ms);
    Ok(if now_ms <= until_ms {
        (true, format!("valid until {until}"))
    } else {
        let message = format!(
            "it ran out at {until}, or the clock of this machine is wrong; agents go on taking events in and cannot send them"
        );
        (false, message)
    })
}

fn web_certificate(config: &Config, now_ms: i64) -> anyhow::Result<(bool, String)> {
    let chain = pki::read_chain(&certs::read(config, |tls| &tls.web_cert)?)?;
    let key = pki::read_key(&certs::read(config, |tls| &tls.web_key)?)?;
    let leaf = chain.first().map(|leaf| leaf.to_vec()).unwrap_or_default();
    trenza_shared::net::tls::CertCell::holding(chain, key)?;
    let ca = ca(config)?;
    let Some(standing) = Standing::of(&leaf, &ca) else {
        anyhow::bail!("it cannot be read; put another one in its place");
    };
    if let Some(problem) = standing.problem(now_ms) {
        return Ok((false, problem));
    }
    let until = format_ms(standing.validity.expires_ms);
    let how = match (standing.own, standing.is_due(now_ms)) {
        (true, false) => "; the server makes it anew in time",
        (true, true) => {
            "; the server makes it anew within seconds while it runs, or at its next start"
        }
        (false, _) => ", your own: replace it in time, the server reads the new one by itself",
    };
    Ok((true, format!("valid until {until}{how}")))
}

#[cfg(test)]
mod tests {
    use trenza_shared::clock::TestClock;

    use super::*;
    use crate::admin::init::init;

    const NOW: i64 = 1_768_472_430_456;
    const DAY_MS: i64 = 24 * 3_600_000;

    #[test]
    fn it_says_how_long_certificates_last_and_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("server");
        let made = init(&dir, "ES", "Europe/Madrid", &TestClock::at(NOW)).unwrap();
        let config = Config::load(&made.config).unwrap();
        let said = |days: i64| {
            let checks = examine(&config, NOW + days * DAY_MS);
            assert_eq!(checks.len(), 2);
            checks
                .into_iter()
                .map(|one| (one.ok, one.message))
                .collect::<Vec<_>>()
        };
        let [(true, authority), (true, web)] = &said(0)[..] else {
            panic!("{:?}", said(0));
        };
        assert!(
            authority.contains("until 2046-01-1") && web.contains("until 2027-02-1"),
            "{authority} {web}"
        );
        assert!(said(300)[1].1.contains("within seconds"));
        assert!(!said(8_000)[0].0);
        let own = Ca::generate("Somebody", NOW)
            .unwrap()
            .issue_server(&["a.example".into()], &[], NOW, 90)
            .unwrap();
        std::fs::write(dir.join("web.pem"), &own.chain_pem).unwrap();
        assert!(!said(0)[1].0, "the key does not fit");
        std::fs::write(dir.join("web.key.pem"), &own.key_pem).unwrap();
        assert!(said(0)[1].0 && said(0)[1].1.contains("your own"));
        assert!(!said(61)[1].0 && said(61)[1].1.contains("in 28 days"));
        std::fs::remove_file(dir.join("ca.pem")).unwrap();
        assert!(said(0)[0].1.contains("ca.pem"));
    }
}
