//! An agent's first call, and the renewal of its certificate.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::{Extension, Json, extract::State};
use serde::{Deserialize, Serialize};
use trenza_shared::{
    capture::rate::{RateDecision, RateLimit},
    id::AgentId,
    net::{error::HttpError, pki::IssuedCert, serve::Peer},
    store::Batch,
};

use super::{Buckets, sync::agent_renewing};
use crate::{
    app::{App, random},
    tables::{AgentRow, AgentState, CERTS, CertRow, INVITES, SOURCES, SourceRow},
};

/// What guessing codes may cost: a code has 40 bits and works for a day, so a guess a second would find one of a hundred open codes
/// once in three centuries. Only wrong codes count: a hundred tablets may enrol at once.
const GUESS_LIMIT: RateLimit = RateLimit {
    burst: 600,
    per_second: 1,
};
/// One address: ten wrong codes at once, then one a minute.
const GUESS_COST: u32 = 60;
/// All addresses together: six hundred wrong codes at once, then one a second.
const GUESS_COST_OF_ALL: u32 = 1;

/// What is left of the guesses of each address, and of all.
#[derive(Debug)]
pub struct Guesses {
    of: Buckets<IpAddr>,
    of_all: Buckets<()>,
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            of: Buckets::new(GUESS_LIMIT),
            of_all: Buckets::new(GUESS_LIMIT),
        }
    }
}

impl Guesses {
    /// Whether a code from there is looked at; else when to come back. Unit: seconds.
    fn may(&self, from: IpAddr, now_ms: i64) -> Result<(), u32> {
        let decisions = [
            self.of.look(&network(from), now_ms, GUESS_COST),
            self.of_all.look(&(), now_ms, GUESS_COST_OF_ALL),
        ];
        let wait = decisions.into_iter().filter_map(|decision| match decision {
            RateDecision::Go => None,
            RateDecision::Wait { retry_after_s } => Some(retry_after_s),
        });
        wait.max().map_or(Ok(()), Err)
    }

    /// A wrong code came from there.
    fn wrong(&mut self, from: IpAddr, now_ms: i64) {
        self.of.take(network(from), now_ms, GUESS_COST);
        self.of_all.take((), now_ms, GUESS_COST_OF_ALL);
    }
}

/// What one household has: an IPv4 address, or the first half of an IPv6 address.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) >> 64 << 64).into(),
        ip => ip,
    }
}

/// What the device says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    code: String,
    csr: String,
    #[serde(default)]
    program: String,
}

/// What it gets.
#[derive(Serialize)]
pub struct EnrolAnswer {
    agent: AgentId,
    certificate: String,
    ca: String,
    agents_url: String,
    touchpoint: String,
    country: String,
    zone: String,
    write_key: String,
}

/// A code as its hash: codes are not kept.
pub fn code_hash(code: &str) -> [u8; 32] {
    // Typed by people: case and dashes do not count.
    let plain: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|char| char.to_ascii_uppercase())
        .collect();
    *blake3::hash(plain.as_bytes()).as_bytes()
}

/// `POST /v1/enrol`
pub async fn enrol(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    Json(request): Json<EnrolRequest>,
) -> Result<Json<EnrolAnswer>, HttpError> {
    let now_ms = app.clock.wall_ms();
    let key = code_hash(&request.code);
    // One enrolment at a time: a code works once.
    let mut guesses = app.enrolling.lock().await;
    // Who comes over a local socket is this machine.
    let from = peer.map_or(Ipv4Addr::LOCALHOST.into(), |Extension(peer)| peer.addr.ip());
    guesses.may(from, now_ms).map_err(|wait_s| {
        HttpError::too_many("too many codes that do not work came from there", wait_s)
            .hint("wait, then type the code again; ask the admin for a new one if it has expired")
    })?;
    let invite = INVITES
        .get(&*app.store, &key)
        .map_err(HttpError::internal)?;
    let mut refused = |message: &str| {
        guesses.wrong(from, now_ms);
        HttpError::forbidden(message)
            .hint("ask the admin for a new invitation: trenza-server agent invite")
    };
    let mut invite = invite.ok_or_else(|| refused("this code is not known here"))?;
    if invite.used_by.is_some() {
        return Err(refused("this code was used already"));
    }
    if invite.expires_ms < now_ms {
        return Err(refused("this code has expired"));
    }
    let agent = AgentId(random());
    let issued = sign(&app, &request.csr, agent, &invite.venue)?;
    let write_key = format!("wk_{}", trenza_shared::id::to_hex(&random::<12>()));
    let row = AgentRow {
        touchpoint: invite.touchpoint.clone(),
        country: invite.country.clone(),
        zone: invite.zone.clone(),
        venue: invite.venue.clone(),
        write_key: write_key.clone(),
        enrolled_ms: now_ms,
        state: AgentState::Active,
        copy_of: None,
    };
    let source = SourceRow {
        name: row.touchpoint.clone(),
        origins: Vec::new(),
        namespace: String::new(),
        country: row.country.clone(),
        zone: row.zone.clone(),
        priority: crate::admin::PRIORITY_DEFAULT,
        revoked: false,
    };
    invite.used_by = Some(agent);
    let mut batch = Batch::new();
    INVITES
        .put(&mut batch, &key, &invite)
        .map_err(HttpError::internal)?;
    SOURCES
        .put(&mut batch, &write_key, &source)
        .map_err(HttpError::internal)?;
    CERTS
        .put(
            &mut batch,
            &issued.fingerprint,
            &CertRow {
                agent,
                not_after_ms: issued.not_after_ms,
            },
        )
        .map_err(HttpError::internal)?;
    app.registry
        .put_agent(&agent, &row, batch)
        .map_err(HttpError::internal)?;
    app.registry.note_source(&write_key, &source);
    tracing::info!(agent.id = %agent, agent.touchpoint = %row.touchpoint, agent.program = %request.program.chars().take(40).collect::<String>(), "agent enrolled");
    Ok(Json(EnrolAnswer {
        agent,
        certificate: issued.pem,
        ca: app.ca.cert_pem().to_owned(),
        agents_url: app.agents_url(),
        touchpoint: row.touchpoint,
        country: row.country,
        zone: row.zone,
        write_key,
    }))
}

/// What a renewal brings and gets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    csr: String,
}

/// The new certificate.
#[derive(Serialize)]
pub struct RenewAnswer {
    certificate: String,
}

/// `POST /sync/v1/renew`
pub async fn renew(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Json(request): Json<RenewRequest>,
) -> Result<Json<RenewAnswer>, HttpError> {
    let agent = agent_renewing(&app, &peer)?;
    let row = app.registry.agent(&agent);
    let venue = row.map(|row| row.venue).unwrap_or_default();
    let issued = sign(&app, &request.csr, agent, &venue)?;
    let mut batch = Batch::new();
    CERTS
        .put(
            &mut batch,
            &issued.fingerprint,
            &CertRow {
                agent,
                not_after_ms: issued.not_after_ms,
            },
        )
        .map_err(HttpError::internal)?;
    app.store
        .commit(batch, trenza_shared::store::Durable::Yes)
        .map_err(HttpError::internal)?;
    Ok(Json(RenewAnswer {
        certificate: issued.pem,
    }))
}

/// Signs an agent's request.
pub fn sign(app: &App, csr: &str, agent: AgentId, venue: &str) -> Result<IssuedCert, HttpError> {
    app.ca
        .sign_member(
            csr,
            agent,
            venue,
            app.clock.wall_ms(),
            app.config.tls.agent_cert_days,
        )
        .map_err(|error| HttpError::bad_request("bad_csr", error.to_string()))
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        http::{Request, StatusCode},
    };
    use serde_json::json;
    use trenza_shared::net::pki::DeviceKey;

    use super::*;
    use crate::{
        admin,
        testing::{Answer, Server},
    };

    async fn enrol_from(server: &Server, last: u16, code: &str) -> Answer {
        let csr = DeviceKey::generate().unwrap().csr_pem().unwrap();
        let mut request = Request::post("/v1/enrol")
            .header("content-type", "application/json")
            .body(Body::from(json!({ "code": code, "csr": csr }).to_string()))
            .unwrap();
        let [high, low] = last.to_be_bytes();
        request.extensions_mut().insert(Peer {
            addr: ([10, 0, high, low], 4000).into(),
            tls: true,
            client_cert: None,
            client_cert_expires_ms: None,
            client_owner: None,
        });
        server.send(request).await
    }

    #[tokio::test]
    async fn guessing_codes_is_slowed_down_for_one_address_and_for_all() {
        let server = Server::start().await;
        for _ in 0..10 {
            let answer = enrol_from(&server, 1, "AAAA-AAAA").await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
        }
        let invited = admin::fleet::invite(&server.app, "Stand", None, None, None)
            .await
            .unwrap();
        let slowed = enrol_from(&server, 1, &invited.code).await;
        assert_eq!(slowed.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(slowed.headers["retry-after"], "61");
        // The house next door is not meant.
        assert_eq!(enrol_from(&server, 2, &invited.code).await.status, 200);
        server.clock.advance_ms(60_000);
        assert_eq!(enrol_from(&server, 1, "BBBB").await.status, 403);
        assert_eq!(enrol_from(&server, 1, "BBBB").await.status, 429);

        // Many addresses together.
        let mut last = StatusCode::OK;
        for guess in 0..700 {
            last = enrol_from(&server, 100 + guess, "CCCC").await.status;
        }
        assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
        server.clock.advance_ms(1_000);
        assert_eq!(enrol_from(&server, 2000, "CCCC").await.status, 403);
        server.close().await;
    }

    #[test]
    fn a_hundred_right_codes_cost_nothing_and_an_ipv6_household_is_one() {
        let guesses = Guesses::default();
        let home: IpAddr = "2001:db8:1:2::7".parse().unwrap();
        assert!((0..100).all(|_| guesses.may(home, 0).is_ok()));
        assert_eq!(
            network(home),
            network("2001:db8:1:2:ffff::1".parse().unwrap())
        );
        assert_ne!(network(home), network("2001:db8:1:3::7".parse().unwrap()));
        assert_eq!(
            network("::ffff:10.0.0.1".parse().unwrap()),
            IpAddr::from([10, 0, 0, 1])
        );
    }
}
