//! Who asks, and what they may do.
//!
//! Owns the two proofs: an API token in `Authorization: Bearer`, and the cookie of somebody who signed in, which counts for
//! reading alone, since a browser sends it whoever made the page. Both are found by their hash, so that neither the time of a
//! look-up nor the store gives a secret away.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, header, request::Parts},
};
use trenza_shared::net::error::HttpError;

use crate::{
    app::App,
    tables::{Role, SESSIONS, SessionRow, TOKENS},
};

/// Name of the cookie of a signed-in browser.
pub const SESSION_COOKIE: &str = "trenza_session";
/// Longest token or cookie that is looked up. Unit: bytes.
const SECRET_BYTES_MAX: usize = 256;

/// Who asks. As an extractor it refuses whom nobody knows with 401.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// What they may do.
    pub role: Role,
    /// A name for decisions and logs: the user's, or the first digits of the token's hash.
    pub who: String,
}

impl Caller {
    /// Whether personal values are hidden from them.
    pub fn masked(&self) -> bool {
        self.role < Role::Steward
    }

    /// Goes on only with at least this role.
    ///
    /// # Errors
    /// 403 says which role it takes.
    pub fn at_least(&self, role: Role) -> Result<(), HttpError> {
        if self.role >= role {
            return Ok(());
        }
        let name = |role| match role {
            Role::Reader => "reader",
            Role::Steward => "steward",
            Role::Admin => "admin",
        };
        let message = format!(
            "this takes the role {}, and you have {}",
            name(role),
            name(self.role)
        );
        Err(HttpError::forbidden(message)
            .hint("ask an admin for a token of that role: trenza-server token create"))
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, HttpError> {
        if let Some(token) = bearer(&parts.headers) {
            return by_token(app, token);
        }
        if matches!(parts.method, Method::GET | Method::HEAD)
            && let Some(session) = session(app, &parts.headers)?
        {
            return Ok(Self {
                role: session.role,
                who: session.user,
            });
        }
        Err(HttpError::unauthorized("this needs a token")
            .hint("send Authorization: Bearer TOKEN; trenza-server token create makes one"))
    }
}

fn by_token(app: &App, token: &str) -> Result<Caller, HttpError> {
    let hash = blake3::hash(token.as_bytes());
    let row = TOKENS
        .get(&*app.store, hash.as_bytes())
        .map_err(HttpError::internal)?;
    let row = row.ok_or_else(|| {
        HttpError::unauthorized("this token is not known here")
            .hint("trenza-server token create makes a new one")
    })?;
    Ok(Caller {
        role: row.role,
        who: format!("token {}", &hash.to_hex()[..8]),
    })
}

/// The token of `Authorization: Bearer`; an empty one for a header that says something else, which nobody has.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?;
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().split_once(' '))
        .unwrap_or_default();
    let token = token.trim();
    Some(
        if scheme.eq_ignore_ascii_case("bearer") && token.len() <= SECRET_BYTES_MAX {
            token
        } else {
            ""
        },
    )
}

/// The session of a signed-in browser, while it lasts.
///
/// # Errors
/// The store cannot be read.
pub fn session(app: &App, headers: &HeaderMap) -> Result<Option<SessionRow>, HttpError> {
    let Some(cookie) = cookie(headers, SESSION_COOKIE) else {
        return Ok(None);
    };
    let row = SESSIONS
        .get(&*app.store, blake3::hash(cookie.as_bytes()).as_bytes())
        .map_err(HttpError::internal)?;
    let now_ms = app.clock.wall_ms();
    Ok(row.filter(|row| row.expires_ms > now_ms))
}

/// The value of a cookie.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok());
    let mut pairs = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(key, value)| *key == name && !value.is_empty() && value.len() <= SECRET_BYTES_MAX)
        .map(|(_, value)| value)
}
