//! The lives of certificates under the real programs, by a clock that is set: agents' and the server's own.

use std::{path::Path, time::Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use trenza_shared::{
    clock::{Clock as _, SystemClock},
    net::pki::{Ca, cert_fingerprint, read_chain},
};
use trenza_tests::{
    http::Http,
    pour::{pour, stored_once},
    process::{Agent, FalseClock, Server, until},
    relay::Relay,
};

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;
/// A revocation holds after this long at the latest. Unit: s.
const REFUSED_WITHIN_S: u64 = 60;

/// A server and an agent of it that believe one clock.
struct Site {
    home: tempfile::TempDir,
    clock: FalseClock,
    server: Server,
    agent: Agent,
    /// Numbers of the events that were acknowledged.
    acknowledged: Vec<u64>,
}

impl Site {
    /// Agents' certificates live for so many days.
    fn new(cert_days: u32) -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let clock = FalseClock::new(home.path())?;
        let mut server = Server::init(&home.path().join("server"), None)?;
        server.env.extend(clock.env());
        let days = ("TRENZA_TLS__AGENT_CERT_DAYS", cert_days.to_string());
        server.env.insert(days.0.into(), days.1);
        server.start()?;
        let dir = home.path().join("agent");
        let agent = server.enrol_in("Tienda", None, &dir, clock.env().collect())?;
        let mut site = Self {
            home,
            clock,
            server,
            agent,
            acknowledged: Vec::new(),
        };
        site.quick();
        site.agent.start()?;
        Ok(site)
    }

    /// The agent says hello often.
    fn quick(&mut self) {
        for (key, ms) in [("HELLO_EVERY_MS", 200), ("RETRY_WAIT_MS_MAX", 2_000)] {
            let name = format!("TRENZA_SYNC__{key}");
            self.agent.env.insert(name, ms.to_string());
        }
    }

    /// Takes some events in.
    async fn pour(&mut self) -> anyhow::Result<()> {
        let (url, key) = (self.agent.up().url("http"), self.agent.write_key()?);
        let from = self.acknowledged.len() as u64;
        let poured = pour(url, key, from, 3).await;
        ensure!(poured.len() == 21, "{} were taken in", poured.len());
        self.acknowledged.extend(poured);
        Ok(())
    }

    /// Everything that was acknowledged is on the server, once.
    async fn is_whole(&self) -> anyhow::Result<()> {
        self.agent.drained().await?;
        let stored = stored_once(&self.server, &self.acknowledged)?;
        ensure!(stored == self.acknowledged.len(), "{stored} are stored");
        Ok(())
    }

    /// Two hellos were heard since now.
    async fn heard(&self) -> anyhow::Result<()> {
        let http = self.server.http()?;
        let url = format!("{}/v1/agents", self.server.up().url("http"));
        let contact = async || -> anyhow::Result<String> {
            let fleet = http.get(&url).await?;
            let at = fleet["agents"][0]["last_contact_at"].as_str();
            Ok(at
                .with_context(|| format!("no contact in {fleet}"))?
                .to_owned())
        };
        let mut last = contact().await?;
        for _ in 0..2 {
            last = until("another hello", || async {
                let now = contact().await?;
                ensure!(now != last, "since {last}");
                Ok(now)
            })
            .await?;
        }
        Ok(())
    }
}

/// Of the first certificate in a file.
fn fingerprint(path: &Path) -> anyhow::Result<[u8; 32]> {
    let chain = read_chain(&std::fs::read_to_string(path)?)?;
    Ok(cert_fingerprint(&chain[0]))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_renews_at_two_thirds_of_its_certificates_life_and_goes_on() -> anyhow::Result<()>
{
    // It began 2.4 hours before it was made, and lives for 24 more: two thirds of it are over 15.2 hours from now.
    let mut site = Site::new(1)?;
    let cert = site.agent.dir.join("device.cert.pem");
    let pid = site.agent.up().pid();
    site.pour().await?;
    site.is_whole().await?;
    let first = fingerprint(&cert)?;
    site.clock.set_off_by(15 * HOUR_S)?;
    site.heard().await?;
    ensure!(fingerprint(&cert)? == first, "renewed before two thirds");
    // Beyond the end of the first one, and of the second.
    let mut last = first;
    for hours in [16, 32, 48, 64] {
        site.clock.set_off_by(hours * HOUR_S)?;
        let renewed = until("a new certificate", || async {
            let now = fingerprint(&cert)?;
            ensure!(now != last, "after {hours} hours");
            Ok(now)
        });
        last = renewed.await?;
        site.pour().await?;
        site.is_whole().await?;
    }
    ensure!(site.agent.up().pid() == pid, "it was never restarted");
    site.agent.stop()?;
    site.server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_certificate_expired_a_year_ago_takes_visits_in_at_once_and_delivers_all()
-> anyhow::Result<()> {
    let mut site = Site::new(30)?;
    let cert = site.agent.dir.join("device.cert.pem");
    site.pour().await?;
    site.is_whole().await?;
    let first = fingerprint(&cert)?;
    site.agent.stop()?;
    site.server.stop()?;
    site.clock.set_off_by((30 + 364) * DAY_S)?;
    site.agent.start()?;
    // Before any contact.
    site.pour().await?;
    let status = site.agent.status()?;
    ensure!(
        status["waiting"] == 21 && status["server"] == "down",
        "{status}"
    );
    ensure!(fingerprint(&cert)? == first);
    site.server.start()?;
    site.is_whole().await?;
    ensure!(fingerprint(&cert)? != first, "it was renewed");
    site.agent.stop()?;
    site.server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_agent_is_refused_soon_goes_on_and_after_a_new_enrolment_delivers_all_once()
-> anyhow::Result<()> {
    let mut site = Site::new(30)?;
    site.pour().await?;
    site.is_whole().await?;
    let list: Value = serde_json::from_slice(&site.server.must(["agent", "list", "--json"])?)?;
    let rows = list.as_array().or_else(|| list["agents"].as_array());
    let id = rows
        .and_then(|rows| rows.first())
        .and_then(|row| row["agent"].as_str().or(row["id"].as_str()))
        .with_context(|| format!("no agent in {list}"))?
        .to_owned();
    site.server.must(["agent", "revoke", &id])?;
    let revoked = Instant::now();
    site.pour().await?;
    until("the agent says that it is refused", || async {
        let status = site.agent.status()?;
        ensure!(
            status["refused"] == true && status["server"] == "down",
            "{status}"
        );
        Ok(())
    })
    .await?;
    let took = revoked.elapsed();
    println!("refused after {took:?}");
    ensure!(took.as_secs() < REFUSED_WITHIN_S, "after {took:?}");
    site.pour().await?;
    let status = site.agent.status()?;
    ensure!(status["waiting"] == 42, "{status}");
    let delivered = stored_once(&site.server, &site.acknowledged[..21])?;
    ensure!(delivered == 21, "{delivered} are on the server");
    // As the agent says itself: enrol into a new folder, move the store there.
    site.agent.stop()?;
    let dir = site.home.path().join("again");
    let env = site.clock.env().collect();
    let old = std::mem::replace(
        &mut site.agent,
        site.server.enrol_in("Tienda", None, &dir, env)?,
    );
    std::fs::rename(old.dir.join("store"), dir.join("store.damaged-1"))?;
    site.quick();
    site.agent.start()?;
    site.pour().await?;
    until("all is on the server, once", || async {
        site.agent.drained().await?;
        let stored = stored_once(&site.server, &site.acknowledged)?;
        ensure!(stored == site.acknowledged.len(), "{stored} are stored");
        Ok(())
    })
    .await?;
    site.agent.stop()?;
    site.server.stop()
}

/// What the doctor says of the web certificate, and whether all is well.
fn doctor(server: &Server) -> anyhow::Result<(bool, String)> {
    let output = server.command(["doctor", "--json"])?;
    let found: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    ensure!(found["ok"] == output.status.success(), "{found}");
    let said = found["checks"]
        .as_array()
        .and_then(|all| all.iter().find(|one| one["name"] == "web_certificate"))
        .with_context(|| format!("no web_certificate in {found}"))?;
    let message = said["message"].as_str().unwrap_or_default().to_owned();
    Ok((output.status.success(), message))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_web_certificate_is_made_anew_while_it_runs_and_connections_go_on()
-> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let clock = FalseClock::new(home.path())?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.env.extend(clock.env());
    server.start()?;
    let (web, key) = (server.dir.join("web.pem"), server.dir.join("web.key.pem"));
    let ca = std::fs::read_to_string(server.dir.join("ca.pem"))?;
    let https = server.up().url("https");
    let (_, address) = https.split_once("://").context("the https address")?;
    let cable = Relay::to(address.parse()?).await?;
    let url = format!("https://{}/v1/agents", cable.addr);
    let now_ms = SystemClock.wall_ms();
    // One whose clock is 400 days ahead: for it the first certificate has run out.
    let later = |ca: &str| Http::trusting_at(ca, now_ms + 400 * DAY_S * 1_000);
    let answers = async |http: &Http| http.get(&url).await.err().map(|error| error.to_string());
    // Without a token: an answer, not a broken handshake.
    let refused =
        |said: Option<String>| said.is_some_and(|said| said.contains(": 401 Unauthorized"));
    let old = Http::trusting(&ca)?;
    ensure!(refused(answers(&old).await));
    let said = answers(&later(&ca)?).await;
    ensure!(!refused(said), "it is good for 397 days");
    let (well, said) = doctor(&server)?;
    ensure!(well && said.contains("valid until"), "{said}");

    let connections = cable.connections();
    let first = fingerprint(&web)?;
    clock.set_off_by(300 * DAY_S)?;
    let second = until("a new web certificate", || async {
        let now = fingerprint(&web)?;
        ensure!(now != first);
        ensure!(refused(answers(&later(&ca)?).await), "it is served");
        Ok(now)
    })
    .await?;
    let others = cable.connections();
    ensure!(refused(answers(&old).await));
    ensure!(
        cable.connections() == others && others > connections,
        "the old connection goes on"
    );
    let (well, said) = doctor(&server)?;
    ensure!(well && said.contains("in time"), "{said}");

    // An administrator's own is read without a restart, never replaced, and told about.
    let authority = Ca::generate("Somebody", now_ms)?;
    let names = ["localhost".to_owned()];
    let ips = ["127.0.0.1".parse()?];
    let own = authority.issue_server(&names, &ips, now_ms, 700)?;
    std::fs::write(&key, &own.key_pem)?;
    std::fs::write(&web, &own.chain_pem)?;
    until("the administrator's certificate is served", || async {
        ensure!(refused(answers(&later(authority.cert_pem())?).await));
        Ok(())
    })
    .await?;
    ensure!(fingerprint(&web)? != second);
    ensure!(doctor(&server)?.0);
    clock.set_off_by(690 * DAY_S)?;
    until("the log tells that it runs out", || async {
        let log = std::fs::read_to_string(&server.log)?;
        ensure!(log.contains("runs out at"), "{log}");
        Ok(())
    })
    .await?;
    let (well, said) = doctor(&server)?;
    ensure!(!well && said.contains("runs out at"), "{said}");
    ensure!(
        std::fs::read_to_string(&web)? == own.chain_pem,
        "it is replaced by nobody"
    );
    server.stop()
}
