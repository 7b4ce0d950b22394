//! What the commands do, whether the server runs or not.
//!
//! One code path: a command is a [`Command`] that is posted to the local socket of the running server, or to the same router over a
//! store that the command opened itself ([`Link`]).

pub mod access; // sources, tokens, users
pub mod backup; // everything in a folder, and back
pub mod check; // what values must be
pub mod doctor; // what runs out, is full or broken
pub mod export; // long answers, piece by piece
pub mod fleet; // agents
pub mod import; // files of events and rows
pub mod init; // before the first start
mod intake; // a chunk of an import
mod link; // how a command reaches the server
pub mod rules; // of identity
pub mod secret; // passwords, tokens, codes

use std::path::PathBuf;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use trenza_shared::{id::AgentId, identity::Rules, matching::Language, net::error::HttpError};

pub use link::{Link, is_busy};

use crate::{app::App, tables::Role};

/// Who published rules over the local socket.
const COMMAND_LINE: &str = "command line";
/// Rank of a source whose rank nobody set.
pub const PRIORITY_DEFAULT: u8 = 100;

/// Everything that can be asked over the local socket.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// A new source.
    SourceCreate(NewSource),
    /// Every source.
    SourceList,
    /// Takes the write key of a source back.
    SourceRevoke {
        /// Its name or its write key.
        source: String,
    },
    /// An invitation for an agent.
    AgentInvite {
        /// Where it will stand.
        touchpoint: String,
        /// Its country; the settings' where none is given.
        country: Option<String>,
        /// Its zone; the settings' where none is given.
        zone: Option<String>,
        /// Its venue; none where none is given.
        #[serde(default)]
        venue: Option<String>,
    },
    /// The fleet.
    AgentList,
    /// Takes an agent's right back.
    AgentRevoke {
        /// Which.
        agent: AgentId,
    },
    /// A new API token.
    TokenCreate {
        /// What it may do.
        role: Role,
    },
    /// A new person who signs in.
    UserCreate {
        /// Under what name.
        name: String,
        /// What they may do.
        role: Role,
    },
    /// A new password for a person; ends their sessions.
    UserPassword {
        /// Whose.
        name: String,
    },
    /// Everybody who signs in.
    UserList,
    /// Looks for the source of an import, and makes it where there is none.
    ImportStart {
        /// Its name.
        source: String,
    },
    /// A chunk of an import, at most [`import::CHUNK_EVENTS_MAX`] events.
    ImportChunk {
        /// The source's write key.
        key: String,
        /// Texts of events, each as one that can be stored.
        events: Vec<String>,
    },
    /// Where the log ends and how far it is applied, after waiting a moment for the end.
    Progress {
        /// Whether to wait.
        wait: bool,
    },
    /// Every customer, a line each.
    ExportCustomers,
    /// Every event, a line each.
    ExportEvents,
    /// A consistent copy of everything.
    Backup {
        /// The folder, absolute.
        to: PathBuf,
        /// The settings file, absolute.
        settings: PathBuf,
    },
    /// Throws the derived tables away and rebuilds them.
    Replay,
    /// Builds the derived tables anew beside the ones there are, and compares.
    ReplayVerify,
    /// The rules of identity.
    RulesShow {
        /// Which version; those in force where none is given.
        version: Option<u32>,
    },
    /// What other rules would do.
    RulesSimulate {
        /// The other rules.
        rules: Box<Rules>,
    },
    /// Brings other rules into force.
    RulesPublish(Box<rules::Publish>),
    /// Learns weights of matching from the customers that there are.
    MatchTrain {
        /// The weights that hold where little is seen.
        from: Language,
    },
    /// Reads every record of every agent again and checks its chain.
    Audit {
        /// Only this one's.
        agent: Option<AgentId>,
    },
}

/// What a source is made of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NewSource {
    /// Its name, unique.
    pub name: String,
    /// Pages of which origins may send; none = any.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Within what its ids are unique.
    pub namespace: Option<String>,
    /// By which national formats it is read; the settings' where none is given.
    pub country: Option<String>,
    /// Its zone; the settings' where none is given.
    pub zone: Option<String>,
}

/// Code of an error of what somebody typed.
pub const BAD_VALUE: &str = "bad_value";

impl From<check::Advised> for HttpError {
    fn from(error: check::Advised) -> Self {
        Self::bad_request(BAD_VALUE, error.message).hint(error.hint)
    }
}

/// `POST /admin` on the local socket.
pub async fn serve(State(app): State<App>, body: Bytes) -> Result<Response, HttpError> {
    let command = serde_json::from_slice(&body).map_err(|error| {
        HttpError::bad_request(
            "bad_command",
            format!("the command cannot be read: {error}"),
        )
        .hint("use the trenza-server of the same version as the running one")
    })?;
    match command {
        Command::SourceCreate(new) => answer(access::source_create(&app, new).await?),
        Command::SourceRevoke { source } => answer(access::source_revoke(&app, &source).await?),
        Command::SourceList => answer(access::source_list(&app)),
        Command::AgentInvite {
            touchpoint,
            country,
            zone,
            venue,
        } => answer(fleet::invite(&app, &touchpoint, country, zone, venue).await?),
        Command::AgentList => answer(fleet::list(&app)?),
        Command::AgentRevoke { agent } => answer(fleet::revoke(&app, agent)?),
        Command::TokenCreate { role } => answer(access::token_create(&app, role)?),
        Command::UserCreate { name, role } => answer(access::user_create(&app, &name, role).await?),
        Command::UserPassword { name } => answer(access::user_password(&app, &name).await?),
        Command::UserList => answer(access::user_list(&app)?),
        Command::ImportStart { source } => answer(intake::start(&app, source).await?),
        Command::ImportChunk { key, events } => answer(intake::chunk(&app, &key, events).await?),
        Command::Progress { wait } => answer(export::progress(&app, wait).await),
        Command::ExportCustomers => export::customers(&app).await,
        Command::ExportEvents => export::events(&app).await,
        Command::Backup { to, settings } => answer(backup::backup(&app, to, settings).await?),
        Command::Replay => answer(export::replay(&app).await?),
        Command::ReplayVerify => answer(export::verify(&app).await?),
        Command::RulesShow { version } => answer(rules::show(&app, version).await?),
        Command::RulesSimulate { rules } => {
            let stands = rules::simulate(&app, &rules).await?;
            answer(rules::stands_json(&stands))
        }
        Command::RulesPublish(asked) => answer(rules::publish(&app, &asked, COMMAND_LINE).await?),
        Command::MatchTrain { from } => answer(rules::train(&app, from).await?),
        Command::Audit { agent } => answer(fleet::audit(&app, agent).await?),
    }
}

fn answer(value: impl Serialize) -> Result<Response, HttpError> {
    Ok(Json(value).into_response())
}

#[cfg(test)]
mod tests;
