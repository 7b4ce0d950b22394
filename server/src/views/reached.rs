//! By which address this server's reader can use it, now and from a website.
//!
//! Owns what a page says where no public address is set and the certificate is of the server's own authority: browsers refuse that one, so
//! the lines to paste name the address in clear where the reader's own machine is meant.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use trenza_shared::net::{error::HttpError, serve::Peer};

use super::{session::secure, text::Lang};
use crate::{
    app::App,
    certs::{Standing, web_leaf},
};

/// The address for lines that a developer copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Scheme, host and port.
    pub url: String,
    /// What is to be known of it.
    pub trust: Trust,
    /// The authority's certificate, for programs that are to trust it.
    pub ca: String,
}

/// Who trusts an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It is the public one, or its certificate is an administrator's.
    Everybody,
    /// It is in clear and for this machine alone.
    ThisMachine,
    /// Its certificate is of the server's own authority: nobody who was not told to.
    Nobody,
}

impl Reached {
    /// What is to be said beside a line with the address.
    pub fn note(&self, t: Lang) -> Option<&'static str> {
        match self.trust {
            Trust::Everybody => None,
            Trust::ThisMachine => Some(t.reached_here()),
            Trust::Nobody => Some(t.reached_untrusted()),
        }
    }

    /// What curl needs to trust it: the authority's file.
    pub fn cacert(&self) -> Option<&str> {
        (self.trust == Trust::Nobody).then_some(self.ca.as_str())
    }
}

/// Which address to show.
///
/// `here` is the address in clear at which the reader looks at the page from the server's own machine.
fn choose(public: String, is_set: bool, own: bool, here: Option<String>) -> (String, Trust) {
    match here {
        _ if is_set || !own => (public, Trust::Everybody),
        Some(here) => (here, Trust::ThisMachine),
        None => (public, Trust::Nobody),
    }
}

/// The address in clear of a request that came from this machine to this machine.
fn in_clear_here(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let (name, port) = host
        .rsplit_once(':')
        .filter(|(_, port)| !port.ends_with(']'))
        .unwrap_or((host, "80"));
    let named = ["127.0.0.1", "localhost", "[::1]"].contains(&name);
    (named && port.parse::<u16>().is_ok()).then(|| format!("http://{host}"))
}

impl FromRequestParts<App> for Reached {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, HttpError> {
        let is_set = !app.config.public.url.is_empty();
        let peer = parts.extensions.get::<Peer>();
        let here = in_clear_here(&parts.headers).filter(|_| !secure(peer, &parts.headers));
        let (config, ca) = (app.config.clone(), app.ca.clone());
        // Reads files. Where they cannot be used, a certificate of the own authority stands in for them.
        let own = tokio::task::spawn_blocking(move || {
            let standing = web_leaf(&config).ok();
            let standing = standing.and_then(|leaf| Standing::of(&leaf, &ca));
            standing.is_none_or(|standing| standing.own)
        });
        let own = own.await.map_err(HttpError::internal)?;
        let (url, trust) = choose(app.public_url(), is_set, own, here);
        let ca = app.config.path(&app.config.tls.ca_cert);
        Ok(Self {
            url,
            trust,
            ca: ca.display().to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_an_address_that_its_reader_can_use() {
        let shown = |set, own, here: Option<&str>| {
            choose("https://x:8443".into(), set, own, here.map(str::to_owned))
        };
        let here = Some("http://localhost:8080");
        for (set, own, here, url, trust) in [
            (true, true, here, "https://x:8443", Trust::Everybody),
            (false, false, here, "https://x:8443", Trust::Everybody),
            (
                false,
                true,
                here,
                "http://localhost:8080",
                Trust::ThisMachine,
            ),
            (false, true, None, "https://x:8443", Trust::Nobody),
        ] {
            assert_eq!(shown(set, own, here), (url.to_owned(), trust));
        }
    }

    #[test]
    fn only_this_machine_is_here() {
        let here = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            in_clear_here(&headers)
        };
        for host in [
            "127.0.0.1:8080",
            "localhost:80",
            "localhost",
            "[::1]:8080",
            "[::1]",
        ] {
            assert_eq!(here(host), Some(format!("http://{host}")), "{host}");
        }
        for host in [
            "trenza.example",
            "10.0.0.7:8080",
            "localhost:x\"",
            "localhost.evil.example",
            "127.0.0.1:",
        ] {
            assert_eq!(here(host), None, "{host}");
        }
    }
}
