//! Who reads: signing in and out, and the proof that a form came from one of our pages.
//!
//! Owns the session's cookie and the limit on guessing. Never keeps a password or a cookie: only what proves them.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use askama::Template;
use axum::{
    Extension, Form,
    extract::{FromRequest, FromRequestParts, Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::sync::Semaphore;
use trenza_shared::{
    capture::rate::{RateDecision, RateLimit},
    id::to_hex,
    net::{error::HttpError, serve::Peer},
    store::{Batch, Durable},
};

use super::{
    page::{Frame, Visitor, encoded, respond_as, see_other},
    text::Lang,
};
use crate::{
    admin::secret,
    app::{App, random},
    http::{
        Buckets,
        auth::{Caller, SESSION_COOKIE, cookie, session},
    },
    tables::{SESSIONS, SessionRow, USERS},
};

/// How long somebody stays signed in. Unit: ms.
const SESSION_MS: i64 = 12 * 3_600_000;
/// Ten attempts at once, then one in twelve seconds. A bucket's tokens come back at one a second.
const GUESSES: RateLimit = RateLimit {
    burst: 120,
    per_second: 1,
};
/// What one attempt takes.
const GUESS_COST: u32 = 12;
/// Longest password that is looked at; more would only cost time. Unit: bytes.
const PASSWORD_BYTES_MAX: usize = 512;
/// Most sessions looked at to throw expired ones away.
const SWEEP_MAX: usize = 1_000;
/// Passwords that are checked at one time: each takes tens of MiB.
static CHECKING: Semaphore = Semaphore::const_new(2);
/// Checked for names that nobody has, so that they take as long as those that somebody has.
static NOBODY: LazyLock<Option<String>> =
    LazyLock::new(|| secret::password_hash(&to_hex(&random::<16>())).ok());

/// What is left of the attempts of each address and name.
pub struct Attempts(Mutex<Buckets<(IpAddr, String)>>);

impl Default for Attempts {
    fn default() -> Self {
        Self(Mutex::new(Buckets::new(GUESSES)))
    }
}

impl Attempts {
    fn may(&self, address: IpAddr, user: &str, now_ms: i64) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let user = user.chars().take(100).collect();
        buckets.take((address, user), now_ms, GUESS_COST) == RateDecision::Go
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    next: String,
    user: String,
    problem: Option<&'static str>,
}

/// Where to go after signing in.
#[derive(Deserialize)]
pub struct Next {
    #[serde(default)]
    next: String,
}

/// A path of our own pages; anything else is none.
fn own_path(next: &str) -> Option<&str> {
    let safe = Lang::of_path(next).is_some()
        && next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains(['\\', '\r', '\n']);
    (safe && next.len() <= 2_000).then_some(next)
}

/// `GET /`
pub async fn root(headers: HeaderMap) -> Response {
    let accepted = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut response = see_other(&format!("/{}/find", Lang::accepted(accepted).code()));
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("accept-language"));
    response
}

/// `GET /LANG`
pub async fn home(uri: Uri) -> Response {
    see_other(&format!("/{}/find", lang_of(&uri).code()))
}

fn lang_of(uri: &Uri) -> Lang {
    Lang::of_path(uri.path()).unwrap_or(Lang::Es)
}

/// `GET /LANG/sign-in`
pub async fn form(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    Query(next): Query<Next>,
) -> Result<Response, HttpError> {
    let lang = lang_of(&uri);
    if session(&app, &headers)?.is_some() {
        return Ok(see_other(
            own_path(&next.next).unwrap_or(&format!("/{}/find", lang.code())),
        ));
    }
    let page = SignInPage {
        frame: Frame::new(&uri, lang, None),
        next: next.next,
        user: String::new(),
        problem: None,
    };
    respond_as(StatusCode::OK, &page)
}

/// What is typed to sign in.
#[derive(Deserialize)]
pub struct SignIn {
    user: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// `POST /LANG/sign-in`
pub async fn sign_in(
    State(app): State<App>,
    Extension(attempts): Extension<Arc<Attempts>>,
    peer: Option<Extension<Peer>>,
    uri: Uri,
    headers: HeaderMap,
    Form(typed): Form<SignIn>,
) -> Result<Response, HttpError> {
    from_our_page(&app, &headers)?;
    let lang = lang_of(&uri);
    let now_ms = app.clock.wall_ms();
    let user = typed.user.trim().to_owned();
    let refused = |status, problem| {
        let page = SignInPage {
            frame: Frame::new(&uri, lang, None),
            next: typed.next.clone(),
            user: user.clone(),
            problem: Some(problem),
        };
        respond_as(status, &page)
    };
    let peer = peer.map(|Extension(peer)| peer);
    let address = peer
        .as_ref()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.addr.ip());
    if !attempts.may(address, &user, now_ms) {
        let mut response = refused(StatusCode::TOO_MANY_REQUESTS, lang.sign_in_wait())?;
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        return Ok(response);
    }
    let row = USERS.get(&*app.store, &user).map_err(HttpError::internal)?;
    let hash = row.as_ref().map(|row| row.password_hash.clone());
    let password = typed.password;
    let one = CHECKING.acquire().await.map_err(HttpError::internal)?;
    let checked = tokio::task::spawn_blocking(move || {
        let known = hash.is_some();
        let hash = hash.or_else(|| NOBODY.clone()).unwrap_or_default();
        let fits = password.len() <= PASSWORD_BYTES_MAX;
        let given = if fits { password.as_str() } else { "" };
        secret::password_matches(given, &hash) && known && fits
    });
    let right = checked.await.map_err(HttpError::internal)?;
    drop(one);
    let Some(row) = row.filter(|_| right) else {
        tracing::info!(session.peer = %address, "sign-in refused");
        return refused(StatusCode::UNAUTHORIZED, lang.sign_in_wrong());
    };
    let cookie = to_hex(&random::<32>());
    let session = SessionRow {
        user: user.clone(),
        role: row.role,
        expires_ms: now_ms.saturating_add(SESSION_MS),
        csrf: to_hex(&random::<16>()),
    };
    let mut batch = Batch::new();
    for (key, old) in SESSIONS
        .scan(
            &*app.store,
            None,
            None,
            trenza_shared::store::Direction::Forward,
            SWEEP_MAX,
        )
        .map_err(HttpError::internal)?
    {
        if old.expires_ms <= now_ms {
            SESSIONS.delete(&mut batch, &key);
        }
    }
    SESSIONS
        .put(
            &mut batch,
            blake3::hash(cookie.as_bytes()).as_bytes(),
            &session,
        )
        .map_err(HttpError::internal)?;
    app.store
        .commit(batch, Durable::Yes)
        .map_err(HttpError::internal)?;
    tracing::info!(session.user = %user, "signed in");
    let mut response =
        see_other(own_path(&typed.next).unwrap_or(&format!("/{}/find", lang.code())));
    set_cookie(
        &mut response,
        &cookie,
        SESSION_MS / 1000,
        secure(peer.as_ref(), &headers),
    )?;
    Ok(response)
}

/// `POST /LANG/sign-out`
pub async fn sign_out(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    Posted(visitor, _): Posted<Nothing>,
) -> Result<Response, HttpError> {
    if let Some(value) = cookie(&headers, SESSION_COOKIE) {
        let mut batch = Batch::new();
        SESSIONS.delete(&mut batch, blake3::hash(value.as_bytes()).as_bytes());
        app.store
            .commit(batch, Durable::Yes)
            .map_err(HttpError::internal)?;
    }
    let mut response = see_other(&visitor.frame.at("/sign-in"));
    let peer = peer.map(|Extension(peer)| peer);
    set_cookie(&mut response, "", 0, secure(peer.as_ref(), &headers))?;
    // What the browser kept of pages goes with the session.
    response
        .headers_mut()
        .insert("clear-site-data", HeaderValue::from_static("\"cache\""));
    Ok(response)
}

/// Whether the browser came over TLS, to us or to the proxy before us.
pub(super) fn secure(peer: Option<&Peer>, headers: &HeaderMap) -> bool {
    peer.is_some_and(|peer| peer.tls)
        || headers
            .get("x-forwarded-proto")
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"https"))
}

fn set_cookie(
    response: &mut Response,
    value: &str,
    age_s: i64,
    secure: bool,
) -> Result<(), HttpError> {
    let secure = if secure { "; Secure" } else { "" };
    let line = format!(
        "{SESSION_COOKIE}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}"
    );
    response.headers_mut().append(
        header::SET_COOKIE,
        HeaderValue::from_str(&line).map_err(HttpError::internal)?,
    );
    Ok(())
}

/// Browsers say from which site a form was sent; one of another site is refused. `Sec-Fetch-Site` (W3C Fetch Metadata) knows
/// best; of browsers without it `Origin` must be the host that was asked, or the server's public address behind a proxy.
pub(super) fn from_our_page(app: &App, headers: &HeaderMap) -> Result<(), HttpError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let ours = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        // Pages that tell no referrer tell no origin either.
        (None, None | Some("null")) => true,
        (None, Some(origin)) => {
            let host = origin.split_once("://").map_or("", |(_, host)| host);
            text("host").is_none_or(|asked| asked.eq_ignore_ascii_case(host))
                || origin.eq_ignore_ascii_case(&app.public_url())
        }
    };
    if ours { Ok(()) } else { Err(stale()) }
}

fn stale() -> HttpError {
    HttpError::new(
        StatusCode::FORBIDDEN,
        "stale_form",
        "the form was not sent from a page of this session",
    )
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let lang = lang_of(&parts.uri);
        match session(app, &parts.headers) {
            Ok(Some(row)) => Ok(Self {
                frame: Frame::new(&parts.uri, lang, Some(&row)),
                caller: Caller {
                    role: row.role,
                    who: row.user,
                },
            }),
            Ok(None) => {
                let next = parts
                    .uri
                    .path_and_query()
                    .filter(|_| parts.method.is_safe())
                    .map_or("", |path| path.as_str());
                Err(see_other(&format!(
                    "/{}/sign-in?next={}",
                    lang.code(),
                    encoded(next)
                )))
            }
            Err(error) => Err(error.into_response()),
        }
    }
}

/// A form without fields.
#[derive(Deserialize)]
pub struct Nothing {}

/// A form that was sent from a page of the reader's own session.
pub struct Posted<T>(pub Visitor, pub T);

#[derive(Deserialize)]
struct Proved<T> {
    #[serde(default)]
    csrf: String,
    #[serde(flatten)]
    form: T,
}

impl<T: DeserializeOwned> FromRequest<App> for Posted<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, app).await?;
        from_our_page(app, &parts.headers).map_err(IntoResponse::into_response)?;
        let Form(sent) = Form::<Proved<T>>::from_request(Request::from_parts(parts, body), app)
            .await
            .map_err(|error| {
                HttpError::bad_request("bad_form", error.body_text()).into_response()
            })?;
        // Hashes are compared in constant time.
        if visitor.frame.csrf.is_empty()
            || blake3::hash(sent.csrf.as_bytes()) != blake3::hash(visitor.frame.csrf.as_bytes())
        {
            return Err(stale().into_response());
        }
        Ok(Self(visitor, sent.form))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_only_to_our_own_pages() {
        for good in ["/es/find?q=x", "/en/customers/c_1"] {
            assert_eq!(own_path(good), Some(good));
        }
        for bad in [
            "",
            "//evil.org",
            "https://evil.org/es/",
            "/\\evil.org",
            "es/find",
            "/v1/x",
            "//es/x",
        ] {
            assert_eq!(own_path(bad), None, "{bad}");
        }
    }

    #[test]
    fn guessing_is_slowed_down_per_name_and_address() {
        let attempts = Attempts::default();
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert!((0..10).all(|_| attempts.may(here, "ada", 0)));
        assert!(!attempts.may(here, "ada", 0));
        assert!(attempts.may(here, "bob", 0));
        assert!(attempts.may(here, "ada", 12_000));
    }
}
