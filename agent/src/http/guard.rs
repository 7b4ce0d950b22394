//! Which hosts and origins may call.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use trenza_shared::net::error::HttpError;

use crate::config::ListenSection;

/// Names and addresses under which the listener may be called.
#[derive(Clone)]
pub struct Names(Arc<BTreeSet<String>>);

impl Names {
    /// The loopback's, the listener's own address, and the configured ones.
    pub fn of(listen: &ListenSection) -> Self {
        let own = std::iter::once(listen.http)
            .chain(listen.https())
            .map(|addr| addr.ip())
            .filter(|ip| !ip.is_unspecified())
            .map(|ip| ip.to_string());
        let names = ["localhost", "127.0.0.1", "::1"]
            .map(str::to_owned)
            .into_iter()
            .chain(own);
        Self(Arc::new(
            names
                .chain(
                    listen
                        .names
                        .iter()
                        .chain(&listen.https_names)
                        .map(|name| name.to_ascii_lowercase()),
                )
                .collect(),
        ))
    }

    fn knows(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<Authority>() else {
            return false;
        };
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_ascii_lowercase();
        // One spelling for an address.
        let host = host.parse::<IpAddr>().map_or(host, |ip| ip.to_string());
        self.0.contains(&host)
    }
}

/// The host that a request names: HTTP/2 has it in the URI.
fn authority(request: &Request) -> Option<String> {
    let in_uri = request
        .uri()
        .authority()
        .map(|authority| authority.as_str().to_owned());
    in_uri.or_else(|| {
        request
            .headers()
            .get(header::HOST)?
            .to_str()
            .ok()
            .map(str::to_owned)
    })
}

/// Refuses requests under a name that is not this device's.
pub async fn known_host(State(names): State<Names>, request: Request, next: Next) -> Response {
    match authority(&request) {
        Some(host) if names.knows(&host) => next.run(request).await,
        _ => HttpError::forbidden("this device is not called by that host name")
            .hint("call it as localhost, or add the name to listen.names in agent.toml")
            .into_response(),
    }
}

/// Refuses what another site's page sends; reading without effect is left to the browser's own rules.
pub async fn same_origin(request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    if safe || is_same_origin(request.headers(), authority(&request).as_deref()) {
        return next.run(request).await;
    }
    HttpError::forbidden("the form was sent by a page of another site")
        .hint("open the kiosk page itself and send it there")
        .into_response()
}

fn is_same_origin(headers: &HeaderMap, host: Option<&str>) -> bool {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    match text(header::ORIGIN) {
        Some(origin) => {
            let place = origin
                .strip_prefix("http://")
                .or_else(|| origin.strip_prefix("https://"));
            place.is_some() && place == host
        }
        // Programs send none; browsers that leave Origin out still say where a form comes from.
        None => matches!(
            text(header::HeaderName::from_static("sec-fetch-site")),
            None | Some("same-origin" | "none")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_device_are_known() {
        let names = Names::of(&ListenSection {
            names: vec!["Kiosko.local".into()],
            https: "192.168.1.20:8322".into(),
            https_names: vec!["Tablet.lan".into(), "fd00::7".into()],
            ..ListenSection::default()
        });
        for good in [
            "localhost:8321",
            "127.0.0.1",
            "[::1]:8321",
            "KIOSKO.local:80",
            "192.168.1.20:8322",
            "tablet.LAN",
            "[fd00::7]:8322",
            "LOCALHOST",
        ] {
            assert!(names.knows(good), "{good}");
        }
        for bad in [
            "evil.example:8321",
            "localhost.evil.example",
            "10.0.0.7",
            "",
            "a b",
            "[::2]",
        ] {
            assert!(!names.knows(bad), "{bad}");
        }
    }

    #[test]
    fn a_form_of_another_site_is_refused() {
        let headers = |list: &[(&'static str, &str)]| {
            list.iter()
                .map(|(name, value)| {
                    (
                        header::HeaderName::from_static(name),
                        value.parse().unwrap(),
                    )
                })
                .collect::<HeaderMap>()
        };
        let host = Some("localhost:8321");
        assert!(is_same_origin(
            &headers(&[("origin", "http://localhost:8321")]),
            host
        ));
        assert!(is_same_origin(&headers(&[]), host));
        assert!(!is_same_origin(
            &headers(&[("origin", "http://evil.example")]),
            host
        ));
        assert!(!is_same_origin(&headers(&[("origin", "null")]), host));
        assert!(!is_same_origin(
            &headers(&[("sec-fetch-site", "cross-site")]),
            host
        ));
    }
}
