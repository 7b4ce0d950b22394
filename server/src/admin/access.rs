//! Who may send and who may see: sources, tokens, users.

use serde::Serialize;
use trenza_shared::{
    net::error::HttpError,
    store::{Batch, Durable, View},
};

use super::{NewSource, PRIORITY_DEFAULT, check, secret};
use crate::{
    app::App,
    tables::{Role, SESSIONS, SourceRow, TOKENS, TokenRow, USERS, UserRow},
};

/// A new source.
#[derive(Debug, Serialize)]
pub struct SourceMade {
    /// Its name.
    pub name: String,
    /// With what its events are sent.
    pub write_key: String,
}

/// Makes a source.
pub async fn source_create(app: &App, new: NewSource) -> Result<SourceMade, HttpError> {
    let name = check::name("a source", &new.name)?;
    // One at a time: a name is unique.
    let _one = app.enrolling.lock().await;
    if app
        .registry
        .sources()
        .values()
        .any(|row| row.name == name && !row.revoked)
    {
        return Err(HttpError::conflict("name_taken", format!("there is a source called {name:?} already"))
            .hint("choose another name; `trenza-server source list` shows the write keys of those there are"));
    }
    let origins = origins(&new.origins)?;
    let (country, zone) = place(app, new.country, new.zone)?;
    let namespace = new
        .namespace
        .map(|text| check::name("a namespace", &text))
        .transpose()?
        .unwrap_or_default();
    let write_key = secret::write_key();
    let row = SourceRow {
        name: name.clone(),
        origins,
        namespace,
        country,
        zone,
        priority: PRIORITY_DEFAULT,
        revoked: false,
    };
    app.registry
        .put_source(&write_key, &row)
        .map_err(HttpError::internal)?;
    tracing::info!(source.name = %name, "source created");
    Ok(SourceMade { name, write_key })
}

/// Origins as they are stored, each once.
fn origins(given: &[String]) -> Result<Vec<String>, HttpError> {
    if given.len() > check::ORIGINS_MAX {
        let message = format!(
            "{} origins, the limit is {}",
            given.len(),
            check::ORIGINS_MAX
        );
        return Err(HttpError::bad_request("too_many_origins", message));
    }
    let mut origins: Vec<String> = Vec::with_capacity(given.len());
    for text in given {
        let origin = check::origin(text)?;
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    Ok(origins)
}

/// Changes which pages may send with a source's key; none = any.
pub async fn source_origins(app: &App, key: &str, given: &[String]) -> Result<(), HttpError> {
    let origins = origins(given)?;
    // One at a time: what another changes meanwhile must not be lost.
    let _one = app.enrolling.lock().await;
    let row = app
        .registry
        .source(key)
        .ok_or_else(|| HttpError::not_found("there is no such source"))?;
    let name = row.name.clone();
    app.registry
        .put_source(key, &SourceRow { origins, ..row })
        .map_err(HttpError::internal)?;
    tracing::info!(source.name = %name, "origins of a source changed");
    Ok(())
}

/// A source whose write key is taken back.
#[derive(Debug, Serialize)]
pub struct SourceRevoked {
    name: String,
    write_key: String,
    revoked: bool,
}

/// Takes the write key of a source back, named by its name or its key: from now on what is sent with it is refused. What came stays.
pub async fn source_revoke(app: &App, named: &str) -> Result<SourceRevoked, HttpError> {
    // One at a time: what another changes meanwhile must not be lost.
    let _one = app.enrolling.lock().await;
    // Twice is once: one that is taken back is found, too.
    let (write_key, row) = app.registry.source_named(named).ok_or_else(|| {
        HttpError::not_found("there is no such source")
            .hint("`trenza-server source list` shows names and write keys of those there are")
    })?;
    let row = SourceRow {
        revoked: true,
        ..row
    };
    app.registry
        .put_source(&write_key, &row)
        .map_err(HttpError::internal)?;
    tracing::info!(source.name = %row.name, "write key of a source taken back");
    Ok(SourceRevoked {
        name: row.name,
        write_key,
        revoked: true,
    })
}

/// Country and zone, by default those of the settings.
pub fn place(
    app: &App,
    country: Option<String>,
    zone: Option<String>,
) -> Result<(String, String), HttpError> {
    let place = &app.config.place;
    let country = check::country(country.as_deref().unwrap_or(&place.country))?;
    let zone = zone.unwrap_or_else(|| place.zone.clone());
    check::zone(&zone)?;
    Ok((country, zone))
}

/// One source of the list.
#[derive(Debug, Serialize)]
pub struct SourceLine {
    name: String,
    write_key: String,
    origins: Vec<String>,
    namespace: String,
    country: String,
    zone: String,
    priority: u8,
    revoked: bool,
}

/// The list of sources.
#[derive(Debug, Serialize)]
pub struct SourceLines {
    sources: Vec<SourceLine>,
}

/// Every source, by name.
pub fn source_list(app: &App) -> SourceLines {
    let line = |(write_key, row): (String, SourceRow)| {
        let SourceRow {
            name,
            origins,
            namespace,
            country,
            zone,
            priority,
            revoked,
        } = row;
        SourceLine {
            name,
            write_key,
            origins,
            namespace,
            country,
            zone,
            priority,
            revoked,
        }
    };
    let mut sources: Vec<SourceLine> = app.registry.sources().into_iter().map(line).collect();
    sources.sort_by(|one, other| (&one.name, &one.write_key).cmp(&(&other.name, &other.write_key)));
    SourceLines { sources }
}

/// A new token.
#[derive(Debug, Serialize)]
pub struct TokenMade {
    token: String,
    role: Role,
}

/// Makes an API token; only its hash is kept.
pub fn token_create(app: &App, role: Role) -> Result<TokenMade, HttpError> {
    let token = secret::token();
    let mut batch = Batch::new();
    TOKENS
        .put(
            &mut batch,
            &secret::token_hash(&token),
            &TokenRow {
                role,
                created_ms: app.clock.wall_ms(),
            },
        )
        .map_err(HttpError::internal)?;
    app.store
        .commit(batch, Durable::Yes)
        .map_err(HttpError::internal)?;
    tracing::info!(token.role = ?role, "token created");
    Ok(TokenMade { token, role })
}

/// A person with a new password.
#[derive(Debug, Serialize)]
pub struct UserMade {
    user: String,
    role: Role,
    password: String,
}

/// A person of the list.
#[derive(Debug, Serialize)]
pub struct UserLine {
    user: String,
    role: Role,
}

/// The list of people.
#[derive(Debug, Serialize)]
pub struct UserLines {
    users: Vec<UserLine>,
}

/// Everybody who signs in.
pub fn user_list(app: &App) -> Result<UserLines, HttpError> {
    let view: &dyn View = &*app.store;
    let users = USERS.rows(view).map(|row| {
        row.map(|(user, row)| UserLine {
            user,
            role: row.role,
        })
    });
    Ok(UserLines {
        users: users
            .collect::<Result<_, _>>()
            .map_err(HttpError::internal)?,
    })
}

/// Makes a person who signs in.
pub async fn user_create(app: &App, name: &str, role: Role) -> Result<UserMade, HttpError> {
    let name = check::name("a person", name)?;
    let _one = app.enrolling.lock().await;
    if USERS.has(&*app.store, &name).map_err(HttpError::internal)? {
        return Err(HttpError::conflict(
            "name_taken",
            format!("there is a user called {name:?} already"),
        )
        .hint("choose another name, or give a new password with `trenza-server user password`"));
    }
    put_user(app, name, role, Batch::new()).await
}

/// Gives a person a new password; whoever is signed in under that name is signed out.
pub async fn user_password(app: &App, name: &str) -> Result<UserMade, HttpError> {
    let name = check::name("a person", name)?;
    let _one = app.enrolling.lock().await;
    let Some(row) = USERS.get(&*app.store, &name).map_err(HttpError::internal)? else {
        return Err(
            HttpError::not_found(format!("there is no user called {name:?}"))
                .hint("`trenza-server user list` shows who there is"),
        );
    };
    let mut batch = Batch::new();
    let view: &dyn View = &*app.store;
    for session in SESSIONS.rows(view) {
        let (key, session) = session.map_err(HttpError::internal)?;
        if session.user == name {
            SESSIONS.delete(&mut batch, &key);
        }
    }
    put_user(app, name, row.role, batch).await
}

async fn put_user(
    app: &App,
    user: String,
    role: Role,
    mut batch: Batch,
) -> Result<UserMade, HttpError> {
    let password = secret::password();
    let secret = password.clone();
    // Hashing is slow on purpose: not on the async threads.
    let hashed = tokio::task::spawn_blocking(move || secret::password_hash(&secret))
        .await
        .map_err(HttpError::internal)?;
    let row = UserRow {
        password_hash: hashed.map_err(HttpError::internal)?,
        role,
    };
    USERS
        .put(&mut batch, &user, &row)
        .map_err(HttpError::internal)?;
    app.store
        .commit(batch, Durable::Yes)
        .map_err(HttpError::internal)?;
    tracing::info!(user.role = ?role, "password made");
    Ok(UserMade {
        user,
        role,
        password,
    })
}
