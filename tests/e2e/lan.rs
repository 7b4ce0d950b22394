//! Neighbours: agents of one venue exchange while the server is away, and any one with a way to it brings everything there once.

use std::{net::SocketAddr, path::Path};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use trenza_tests::{
    http::Http,
    process::{Agent, Server, until},
    relay::Relay,
};

/// An agent of a venue with a cable of its own to the server.
pub(crate) struct Stand {
    pub(crate) agent: Agent,
    pub(crate) cable: Relay,
    pub(crate) key: String,
    pub(crate) id: String,
}

impl Stand {
    pub(crate) async fn new(
        server: &Server,
        home: &Path,
        place: &str,
        venue: &str,
    ) -> anyhow::Result<Self> {
        let mut agent = server.enrol_at(place, Some(venue), &home.join(place))?;
        let target: SocketAddr = server.env["TRENZA_LISTEN__AGENTS"].parse()?;
        let cable = Relay::to(target).await?;
        for (name, value) in [
            ("SERVER__AGENTS_URL", format!("https://{}", cable.addr)),
            ("LAN__LISTEN", "127.0.0.1:0".to_owned()),
            ("LAN__HELLO_EVERY_MS", "200".to_owned()),
            ("SYNC__HELLO_EVERY_MS", "500".to_owned()),
            ("SYNC__RETRY_WAIT_MS_MIN", "50".to_owned()),
            ("SYNC__RETRY_WAIT_MS_MAX", "200".to_owned()),
        ] {
            agent.env.insert(format!("TRENZA_{name}"), value);
        }
        agent.start()?;
        let lan = agent.up().url("lan");
        let addr = lan.strip_prefix("https://").context("a lan address")?;
        agent.env.insert("TRENZA_LAN__LISTEN".into(), addr.into());
        let (key, id) = (agent.write_key()?, agent.status()?["agent"].clone());
        Ok(Self {
            agent,
            cable,
            key,
            id: id.as_str().unwrap_or_default().to_owned(),
        })
    }

    pub(crate) fn lan(&self) -> String {
        format!("https://{}", self.agent.env["TRENZA_LAN__LISTEN"])
    }

    /// Starts it again with these neighbours.
    pub(crate) fn know(&mut self, peers: &[String]) -> anyhow::Result<()> {
        self.agent.stop()?;
        let peers = serde_json::to_string(peers)?;
        self.agent.env.insert("TRENZA_LAN__PEERS".into(), peers);
        self.agent.start()
    }

    pub(crate) async fn visit(
        &self,
        http: &Http,
        numbers: std::ops::Range<u32>,
    ) -> anyhow::Result<()> {
        let events: Vec<Value> = numbers
            .map(|number| {
                json!({"type": "track", "event": "Visit Registered", "messageId": format!("{}-{number}", self.id),
                    "anonymousId": format!("{}-{number}", self.id)})
            })
            .collect();
        let url = self.agent.up().url("http");
        http.capture(&url, &self.key, &events, "").await?;
        Ok(())
    }

    async fn status(&self, http: &Http) -> anyhow::Result<Value> {
        http.get(&format!("{}/v1/status", self.agent.up().url("http")))
            .await
    }

    /// Entries of another stand that it keeps and the server does not have.
    async fn carries(&self, http: &Http, of: &Self) -> anyhow::Result<u64> {
        let status = self.status(http).await?;
        let neighbours = status["neighbours"].as_array().cloned().unwrap_or_default();
        let one = neighbours.iter().find(|one| one["agent"] == of.id.as_str());
        Ok(one
            .and_then(|one| one["carried_waiting"].as_u64())
            .unwrap_or(0))
    }
}

/// Everything that the server holds of a stand: its stored numbers, and none twice.
pub(crate) async fn stored(server: &Server, http: &Http, stand: &Stand) -> anyhow::Result<u64> {
    let fleet = http
        .get(&format!("{}/v1/agents", server.up().url("http")))
        .await?;
    let agents = fleet["agents"].as_array().cloned().unwrap_or_default();
    let one = agents.iter().find(|one| one["id"] == stand.id.as_str());
    let one = one.with_context(|| format!("{} in {fleet}", stand.id))?;
    one["acked_seq"].as_u64().context("acked_seq")
}

async fn named(server: &Server, http: &Http, stand: &Stand, number: u32) -> anyhow::Result<()> {
    let message = format!("{}-{number}", stand.id);
    let event = server.resolved(&message).await?;
    ensure!(
        event["event"]["agent"] == stand.id.as_str(),
        "{message} names its agent: {event}"
    );
    let url = format!("{}/v1/events/{message}", server.up().url("http"));
    let again = http.get(&url).await?;
    ensure!(again["duplicates"].as_u64().unwrap_or(0) == 0, "{again}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_share_while_the_server_is_away_and_one_cable_serves_all_once()
-> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let mut a = Stand::new(&server, home.path(), "Puerta", "Feria Norte").await?;
    let b = Stand::new(&server, home.path(), "Barra", "Feria Norte").await?;
    let mut c = Stand::new(&server, home.path(), "Sala", "Feria Norte").await?;
    let mut stranger = Stand::new(&server, home.path(), "Lejos", "Otra feria").await?;
    for cable in [&a.cable, &b.cable, &c.cable, &stranger.cable] {
        cable.plug(false);
    }
    // A line: A and C know only B, B knows nobody.
    a.know(&[b.lan()])?;
    c.know(&[b.lan()])?;
    stranger.know(&[b.lan()])?;
    let (plain, admin) = (Http::new(None)?, server.http()?);
    a.visit(&plain, 0..40).await?;
    b.visit(&plain, 0..25).await?;
    c.visit(&plain, 0..10).await?;
    until("everybody holds everything of the others", || async {
        for (here, there, count) in [
            (&a, &b, 25),
            (&a, &c, 10),
            (&b, &a, 40),
            (&b, &c, 10),
            (&c, &a, 40),
            (&c, &b, 25),
        ] {
            let carried = here.carries(&plain, there).await?;
            ensure!(
                carried == count,
                "{} has {carried} of {}",
                here.id,
                there.id
            );
        }
        Ok(())
    })
    .await?;
    let page = plain
        .text(&format!("{}/es/", c.agent.up().url("http")))
        .await?;
    ensure!(page.contains("75 visitas"), "the venue's count: {page}");
    ensure!(page.contains("Puerta") && page.contains("Barra"), "{page}");

    let away = stranger.status(&plain).await?;
    ensure!(
        away["neighbours"] == json!([]),
        "another venue sees nobody: {away}"
    );
    let doctor = std::process::Command::new(trenza_tests::process::bin("trenza-agent")?)
        .args(["doctor", "--config"])
        .arg(stranger.agent.config())
        .envs(&stranger.agent.env)
        .output()?;
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    ensure!(
        said.contains("Feria Norte") && said.contains("Otra feria"),
        "the doctor says why: {said}"
    );

    // The carrier is killed while it brings what it carries, and started again.
    c.cable.plug(true);
    until("the carrier brings something", || async {
        ensure!(stored(&server, &admin, &a).await? + stored(&server, &admin, &b).await? > 0);
        Ok(())
    })
    .await?;
    c.agent.kill()?;
    a.visit(&plain, 40..60).await?;
    c.agent.start()?;
    until("everything of all three is on the server", || async {
        for (stand, count) in [(&a, 60), (&b, 25), (&c, 10)] {
            let there = stored(&server, &admin, stand).await?;
            ensure!(there == count, "{} has {there} of {count}", stand.id);
        }
        Ok(())
    })
    .await?;
    for (stand, number) in [(&a, 0), (&a, 59), (&b, 24), (&c, 9)] {
        named(&server, &admin, stand, number).await?;
    }
    // A knows only B, and hears of it all the same; nothing of it counts as sent before the server says so.
    until("those without a cable hear who brought it", || async {
        for (stand, count) in [(&a, 60), (&b, 25)] {
            let status = stand.status(&plain).await?;
            let brought = &status["delivered"][0];
            ensure!(
                brought["events"] == count
                    && brought["touchpoint"] == "Sala"
                    && status["waiting"] == count,
                "{status}"
            );
        }
        Ok(())
    })
    .await?;
    let page = plain
        .text(&format!("{}/en/outbox", a.agent.up().url("http")))
        .await?;
    ensure!(
        page.contains("60 delivered by Sala") && !page.contains("To send"),
        "{page}"
    );
    // Their own cables come back: nothing is doubled.
    a.cable.plug(true);
    b.cable.plug(true);
    a.visit(&plain, 60..61).await?;
    a.agent.drained().await?;
    b.agent.drained().await?;
    ensure!(stored(&server, &admin, &a).await? == 61);
    ensure!(stored(&server, &admin, &b).await? == 25);
    named(&server, &admin, &a, 60).await?;
    named(&server, &admin, &a, 3).await?;
    for (stand, count) in [(&a, 61), (&b, 25), (&c, 10)] {
        let events = exported(&server, &stand.id)?;
        ensure!(events == count, "{} events of {}", events, stand.id);
    }
    Ok(())
}

/// Events of a stand in the whole export: each line is one taking-in.
fn exported(server: &Server, id: &str) -> anyhow::Result<usize> {
    let out = server.must(["export", "events"])?;
    let text = String::from_utf8(out)?;
    let mark = format!("\"messageId\":\"{id}-");
    Ok(text.lines().filter(|line| line.contains(&mark)).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_agent_is_not_carried_and_a_full_carrier_goes_on_capturing() -> anyhow::Result<()>
{
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let mut a = Stand::new(&server, home.path(), "Puerta", "Feria").await?;
    let mut b = Stand::new(&server, home.path(), "Barra", "Feria").await?;
    a.cable.plug(false);
    b.cable.plug(false);
    // Room for one frame and not for two.
    b.agent
        .env
        .insert("TRENZA_LAN__CARRY_BYTES_MAX".into(), "3000".into());
    b.know(&[])?;
    a.know(&[b.lan()])?;
    let (plain, admin) = (Http::new(None)?, server.http()?);
    a.visit(&plain, 0..1).await?;
    until("the first is carried", || async {
        ensure!(b.carries(&plain, &a).await? == 1);
        Ok(())
    })
    .await?;
    for number in 1..20 {
        a.visit(&plain, number * 100..number * 100 + 50).await?;
        b.visit(&plain, number..number + 1).await?;
    }
    let metrics = format!("{}/metrics", b.agent.up().url("ops"));
    until("the carrier is full", || async {
        let text = plain.text(&metrics).await?;
        ensure!(text.contains("trenza_agent_carry_refused_total"), "{text}");
        Ok(())
    })
    .await?;
    let status = b.status(&plain).await?;
    ensure!(
        status["head_seq"] == 19,
        "its own visits are all there: {status}"
    );

    server.must(["agent", "revoke", &a.id])?;
    b.cable.plug(true);
    b.agent.drained().await?;
    until("the carrier knows of the revocation", || async {
        let status = b.status(&plain).await?;
        let neighbours = status["neighbours"].as_array().cloned().unwrap_or_default();
        let one = neighbours.iter().find(|one| one["agent"] == a.id.as_str());
        ensure!(
            one.is_some_and(|one| one["carried_waiting"] == 0),
            "{status}"
        );
        Ok(())
    })
    .await?;
    ensure!(
        stored(&server, &admin, &a).await? == 0,
        "nothing of a revoked agent"
    );
    ensure!(stored(&server, &admin, &b).await? == 19);
    until("the revoked agent is told so", || async {
        let doctor = std::process::Command::new(trenza_tests::process::bin("trenza-agent")?)
            .args(["doctor", "--config"])
            .arg(a.agent.config())
            .envs(&a.agent.env)
            .output()?;
        let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
        ensure!(said.contains("revoked"), "{said}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_agent_gets_nothing_more_of_its_neighbours() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server.start()?;
    let mut a = Stand::new(&server, home.path(), "Puerta", "Feria").await?;
    let mut b = Stand::new(&server, home.path(), "Barra", "Feria").await?;
    // It does not hear of its revocation itself.
    b.cable.plug(false);
    b.know(&[a.lan()])?;
    a.know(&[b.lan()])?;
    let plain = Http::new(None)?;
    a.visit(&plain, 0..3).await?;
    until("they exchange", || async {
        ensure!(b.carries(&plain, &a).await? == 3);
        Ok(())
    })
    .await?;
    server.must(["agent", "revoke", &b.id])?;
    until("its neighbour knows", || async {
        let status = a.status(&plain).await?;
        let one = &status["neighbours"][0];
        ensure!(one["revoked"] == true && one["near"] == false, "{status}");
        Ok(())
    })
    .await?;
    a.visit(&plain, 3..10).await?;
    a.agent.drained().await?;
    // Both have called the other since, and were refused.
    for (stand, word) in [(&a, "taken back"), (&b, "revoked")] {
        until("the talks end", || async {
            let doctor = std::process::Command::new(trenza_tests::process::bin("trenza-agent")?)
                .args(["doctor", "--config"])
                .arg(stand.agent.config())
                .envs(&stand.agent.env)
                .output()?;
            let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
            ensure!(said.contains(word), "{said}");
            Ok(())
        })
        .await?;
    }
    ensure!(b.carries(&plain, &a).await? == 3, "it got more");
    // Once it hears of it, it keeps nothing of others.
    b.cable.plug(true);
    until("it gave up what it carried", || async {
        ensure!(b.carries(&plain, &a).await? == 0);
        Ok(())
    })
    .await
}
