//! Calling neighbours: each says what it holds, then what the other lacks goes over.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::{
    sync::watch,
    task::{JoinSet, spawn_blocking},
    time::sleep,
};
use trenza_shared::{
    id::AgentId,
    net::{
        client::{Client, ClientError},
        tls::TlsError,
    },
    wire::{
        Shape, WireError,
        carried::{Ask, CARRY_FULL, Meet, Signed},
        sync::Ack,
    },
};

use super::{Lan, LanError, carried::CarryError, plan};
use crate::{
    config::{LAN_PEERS_MAX, SyncSection},
    state::random_unit,
    sync::{plan::BackOff, uplink::CredentialsError},
};

/// Shortest pause between two talks with one neighbour, in which what is captured gathers to one frame.
const PAUSE: Duration = Duration::from_millis(200);
/// Most frames that go one way in one talk.
const FRAMES_MAX: usize = 256;
/// Longest wait for one answer.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// Why a talk with a neighbour ended.
#[derive(Debug, thiserror::Error)]
pub enum MeetError {
    /// No answer, or not of a neighbour.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// An answer that is not a success.
    #[error("it answers {status} {code}: {message}")]
    Refused {
        /// The status.
        status: u16,
        /// Its stable name.
        code: String,
        /// Its sentence.
        message: String,
    },
    /// An answer that cannot be read.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The server took this agent's right back.
    #[error("this agent was revoked by an admin: it exchanges nothing with neighbours")]
    Revoked,
    /// This agent has no venue, so it has no neighbours.
    #[error("this agent belongs to no venue; invite it again with --venue NAME")]
    NoVenue,
    /// What was brought is not what it says, or cannot be kept.
    #[error(transparent)]
    Lan(#[from] LanError),
    /// The device's own files.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// They do not fit.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A thread died.
    #[error("a part of this agent ended with a panic: {0}")]
    Local(String),
}

/// Talks with whoever answers at `addresses`, until `stop` says true.
pub async fn run(
    lan: Arc<Lan>,
    waits: SyncSection,
    mut addresses: watch::Receiver<BTreeSet<String>>,
    mut stop: watch::Receiver<bool>,
) {
    let mut talks = JoinSet::new();
    let mut running: BTreeMap<String, tokio::task::AbortHandle> = BTreeMap::new();
    loop {
        let wanted = addresses.borrow_and_update().clone();
        running.retain(|url, task| {
            let stays = wanted.contains(url);
            if !stays {
                task.abort();
            }
            stays
        });
        for url in wanted.into_iter().take(LAN_PEERS_MAX) {
            running.entry(url.clone()).or_insert_with(|| {
                let talker = Talker {
                    lan: lan.clone(),
                    url,
                    client: None,
                    revoked: Vec::new(),
                };
                talks.spawn(talker.run(waits.clone(), stop.clone()))
            });
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            // Whoever keeps the list is gone: the agent stops.
            changed = addresses.changed() => if changed.is_err() { break },
        }
    }
    while talks.join_next().await.is_some() {}
}

/// Calls one address.
struct Talker {
    lan: Arc<Lan>,
    url: String,
    client: Option<Client>,
    /// Whom the client does not talk to.
    revoked: Vec<AgentId>,
}

impl Talker {
    async fn run(mut self, waits: SyncSection, mut stop: watch::Receiver<bool>) {
        let mut failures: u32 = 0;
        let (mut heads, mut taken) = (self.lan.heads(), self.lan.taken());
        loop {
            heads.mark_unchanged();
            taken.mark_unchanged();
            let talked = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                talked = self.talk() => talked,
            };
            let hello = Duration::from_millis(self.lan.settings.hello_every_ms);
            let pause = match talked {
                Ok(()) => {
                    failures = 0;
                    if self.lan.note_problem(&self.url, String::new()) {
                        tracing::info!(lan.peer = %self.url, "a neighbour answers");
                    }
                    tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => return,
                        Ok(()) = heads.changed() => {}
                        Ok(()) = taken.changed() => {}
                        () = sleep(hello) => {}
                    }
                    PAUSE
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    // The certificate may be another one by now.
                    self.client = None;
                    metrics::counter!("trenza_agent_lan_failures_total").increment(1);
                    let problem = error.to_string();
                    if self.lan.note_problem(&self.url, problem) {
                        tracing::warn!(lan.peer = %self.url, error = %error, "no exchange with a neighbour; capture goes on");
                    }
                    let wait = BackOff {
                        min_ms: waits.retry_wait_ms_min,
                        max_ms: waits.retry_wait_ms_max,
                    };
                    PAUSE + Duration::from_millis(wait.wait_ms(failures, None, random_unit()))
                }
            };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = sleep(pause) => {}
            }
        }
    }

    /// One talk: both say what they hold, then each gets what it lacks.
    async fn talk(&mut self) -> Result<(), MeetError> {
        let lan = self.lan.clone();
        if lan.credentials.venue().is_empty() {
            return Err(MeetError::NoVenue);
        }
        if lan.own_right_is_gone() {
            self.client = None;
            blocking(&lan, |lan| Ok(lan.give_up_carried()?)).await?;
            return Err(MeetError::Revoked);
        }
        let revoked = lan.revoked();
        if revoked != self.revoked {
            (self.client, self.revoked) = (None, revoked);
        }
        // A copy of an agent that became one of its own has another key and another certificate now.
        if lan.credentials.agent() != Some(lan.me()) {
            self.client = None;
            blocking(&lan, |lan| Ok(lan.credentials.refresh().map(drop)?)).await?;
        }
        let client = match &self.client {
            Some(client) => client.clone(),
            None => {
                let client = lan.credentials.client(REQUEST_MAX, &self.revoked)?;
                self.client.insert(client).clone()
            }
        };
        let said = blocking(&lan, |lan| Ok(lan.meet()?)).await?;
        let answer = self.post(&client, "meet", said.to_bytes()).await?;
        let theirs = Meet::from_bytes(&answer)?;
        let Some(peer) = theirs.members.first().map(|member| member.agent) else {
            return Err(WireError::malformed(Meet::WHAT, "it names nobody").into());
        };
        // An address that leads back here, as a list that is the same on every device has one.
        if peer == lan.me() {
            return Ok(());
        }
        if lan.is_revoked(&peer) {
            return Err(LanError::Revoked(peer).into());
        }
        let heard = theirs.clone();
        blocking(&lan, move |lan| Ok(lan.hear(&heard)?)).await?;
        for ask in plan::missing(&said.held, &theirs.held, peer) {
            if !self.give(&client, ask).await? {
                break;
            }
        }
        for ask in plan::missing(&theirs.held, &said.held, lan.me()) {
            if !self.get(&client, ask).await? {
                break;
            }
        }
        Ok(())
    }

    /// Gives what comes after a number; whether there is room for more.
    async fn give(&self, client: &Client, ask: Ask) -> Result<bool, MeetError> {
        let mut after = ask.after;
        for _ in 0..FRAMES_MAX {
            let Some(signed) = blocking(&self.lan, move |lan| lan.next(&ask.name, after)).await?
            else {
                break;
            };
            let last = signed.frame.last();
            let answer = match self.post(client, "frame", signed.to_bytes()).await {
                Err(MeetError::Refused { code, .. }) if code == CARRY_FULL => return Ok(false),
                answer => answer?,
            };
            match Ack::from_bytes(&answer)? {
                Ack::Stored(have) => after = have.acked.max(last),
                Ack::Gap(_) | Ack::Fork(_) => break,
            }
        }
        Ok(true)
    }

    /// Gets what comes after a number; whether there is room for more.
    async fn get(&self, client: &Client, ask: Ask) -> Result<bool, MeetError> {
        let mut after = ask.after;
        for _ in 0..FRAMES_MAX {
            let question = Ask { after, ..ask };
            let answer = self.post(client, "next", question.to_bytes()).await?;
            if answer.is_empty() {
                break;
            }
            let signed = Signed::from_bytes(&answer)?;
            if signed.lane() != ask.name || signed.frame.last() <= after {
                return Err(WireError::malformed(Signed::WHAT, "not what was asked for").into());
            }
            after = signed.frame.last();
            let taken = blocking(&self.lan, move |lan| lan.take(&signed)).await;
            match taken {
                Ok(_) => {}
                Err(MeetError::Lan(LanError::Carry(CarryError::Full { .. }))) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    async fn post(&self, client: &Client, what: &str, body: Vec<u8>) -> Result<Bytes, MeetError> {
        let url = format!("{}/lan/v1/{what}", self.url.trim_end_matches('/'));
        let kind = HeaderValue::from_static("application/msgpack");
        let headers: HeaderMap = [(header::CONTENT_TYPE, kind)].into_iter().collect();
        let answer = client.post(&url, headers, body).await?;
        if matches!(answer.status, StatusCode::OK | StatusCode::NO_CONTENT) {
            return Ok(answer.body);
        }
        let said = answer.error();
        let (code, message) = said
            .map(|said| (said.code, said.message))
            .unwrap_or_default();
        Err(MeetError::Refused {
            status: answer.status.as_u16(),
            code,
            message,
        })
    }
}

/// Runs what reads or writes the disk away from the threads that serve.
async fn blocking<T: Send + 'static>(
    lan: &Arc<Lan>,
    job: impl FnOnce(&Lan) -> Result<T, LanError> + Send + 'static,
) -> Result<T, MeetError> {
    let lan = lan.clone();
    let done = spawn_blocking(move || job(&lan)).await;
    Ok(done.map_err(|error| MeetError::Local(error.to_string()))??)
}
