//! The certificate of an agent's own listener, for tablets on its network.
//!
//! Owns which names an agent may get. A certificate of our CA under a name is believed by every agent and every tablet, so none is
//! given for a name of the server itself, and none for a public name that the administrator did not allow.

use std::net::IpAddr;

use axum::{Extension, Json, extract::State};
use serde::{Deserialize, Serialize};
use trenza_shared::net::{error::HttpError, serve::Peer};

use super::sync::agent_of;
use crate::app::{App, names_of};

/// Most names and addresses of one certificate.
pub const NAMES_MAX: usize = 16;
/// Longest name (RFC 1035). Unit: bytes.
const NAME_BYTES_MAX: usize = 253;
/// Endings of names that mean something on the local network alone (RFC 6762, RFC 8375, ICANN's reservation; `lan` by custom).
const LOCAL_ENDINGS: [&str; 4] = [".local", ".home.arpa", ".internal", ".lan"];

/// What the agent asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerRequest {
    csr: String,
    names: Vec<String>,
}

/// What it gets.
#[derive(Serialize)]
pub struct ListenerAnswer {
    certificate: String,
}

/// `POST /sync/v1/listener`
pub async fn sign(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Json(request): Json<ListenerRequest>,
) -> Result<Json<ListenerAnswer>, HttpError> {
    let agent = agent_of(&app, &peer)?;
    let allowed = &app.config.tls.listener_names;
    let (names, ips) = granted(&request.names, &names_of(&app), allowed).map_err(|why| {
        HttpError::forbidden(why).hint(
            "correct listen.https_names in agent.toml, or allow the name in tls.listener_names of server.toml",
        )
    })?;
    let issued = app
        .ca
        .sign_device_server(
            &request.csr,
            &names,
            &ips,
            app.clock.wall_ms(),
            app.config.tls.agent_cert_days,
        )
        .map_err(|error| HttpError::bad_request("bad_csr", error.to_string()))?;
    tracing::info!(agent.id = %agent, listener.names = %request.names.join(" "), "an agent's listener got a certificate");
    Ok(Json(ListenerAnswer {
        certificate: issued.pem,
    }))
}

/// The names and addresses of a certificate, or why there is none. `own` are the server's; `allowed` the administrator's, exact or
/// `*.` and an ending.
fn granted(
    asked: &[String],
    own: &(Vec<String>, Vec<IpAddr>),
    allowed: &[String],
) -> Result<(Vec<String>, Vec<IpAddr>), String> {
    if asked.is_empty() || asked.len() > NAMES_MAX {
        return Err(format!(
            "a listener has 1 to {NAMES_MAX} names, not {}",
            asked.len()
        ));
    }
    let (mut names, mut ips) = (Vec::new(), Vec::new());
    for text in asked {
        if let Ok(ip) = text.parse::<IpAddr>() {
            let ip = ip.to_canonical();
            if own.1.contains(&ip) {
                return Err(format!("{ip} is an address of the server"));
            }
            if !is_private(ip) && !allowed.iter().any(|one| one.parse() == Ok(ip)) {
                return Err(format!("{ip} is not an address of a local network"));
            }
            ips.push(ip);
        } else {
            let name = text.to_ascii_lowercase();
            if !is_name(&name) {
                let shown: String = text.chars().take(80).collect();
                return Err(format!("{shown:?} is neither a host name nor an address"));
            }
            if own.0.iter().any(|own| own.eq_ignore_ascii_case(&name)) {
                return Err(format!("{name} is a name of the server"));
            }
            let local = LOCAL_ENDINGS.iter().any(|ending| name.ends_with(ending));
            if !local && !allowed.iter().any(|pattern| fits(pattern, &name)) {
                return Err(format!("{name} is not a name of a local network"));
            }
            names.push(name);
        }
    }
    Ok((names, ips))
}

/// Of a network that no router leads into: private (RFC 1918, RFC 4193) or link-local. Never the loopback, which needs no TLS.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Labels of letters, digits and inner dashes; no wildcard, and not a single label, which any network may resolve as it likes.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= NAME_BYTES_MAX && name.contains('.') && name.split('.').all(label)
}

fn fits(pattern: &str, name: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    match pattern.strip_prefix('*') {
        Some(ending) if ending.starts_with('.') => name
            .strip_suffix(ending)
            .is_some_and(|rest| !rest.is_empty()),
        _ => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str) -> Result<(Vec<String>, Vec<IpAddr>), String> {
        let own = (
            vec![
                "localhost".into(),
                "Trenza.local".into(),
                "trenza.example.org".into(),
            ],
            vec!["127.0.0.1".parse().unwrap(), "10.0.0.1".parse().unwrap()],
        );
        let allowed = [
            "*.kiosks.example.org".into(),
            "tablet.example.net".into(),
            "192.0.2.7".into(),
        ];
        granted(&[name.to_owned()], &own, &allowed)
    }

    #[test]
    fn local_and_allowed_names_are_granted() {
        for name in [
            "kiosko.local",
            "KIOSKO.local",
            "tienda-3.lan",
            "a.b.home.arpa",
            "shop.kiosks.example.org",
            "tablet.example.net",
        ] {
            assert_eq!(ask(name).unwrap().0, [name.to_ascii_lowercase()]);
        }
        for ip in [
            "192.168.1.20",
            "10.0.0.2",
            "172.16.5.5",
            "169.254.3.3",
            "fd00::7",
            "fe80::1",
            "192.0.2.7",
        ] {
            assert_eq!(ask(ip).unwrap().1, [ip.parse::<IpAddr>().unwrap()], "{ip}");
        }
    }

    #[test]
    fn no_agent_gets_a_name_of_the_server_or_of_anybody_else() {
        for name in [
            "trenza.local",
            "trenza.example.org",
            "TRENZA.example.org",
            "localhost",
            "10.0.0.1",
            "::ffff:10.0.0.1",
            "127.0.0.1",
            "::1",
            "127.0.0.2",
            "8.8.8.8",
            "2001:db8::1",
            "0.0.0.0",
            "www.example.org",
            "kiosks.example.org",
            "evilkiosks.example.org",
            "*.local",
            ".local",
            "local",
            "kiosko",
            "a..local",
            "-a.local",
            "a b.local",
            "ñ.local",
            "",
        ] {
            assert!(ask(name).is_err(), "{name}");
        }
        assert!(granted(&[], &(vec![], vec![]), &[]).is_err());
        let many = vec!["a.local".to_owned(); NAMES_MAX + 1];
        assert!(granted(&many, &(vec![], vec![]), &[]).is_err());
    }
}
