//! Neighbours on a network of their own find each other by multicast, exchange, count together whatever their clocks say, and the one
//! with a way to the server serves all.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use trenza_tests::{
    http::Http,
    net::{FAR, HUB, Nets, address},
    process::{Agent, Server, until},
};

/// Port on which neighbours listen: every machine has its own address.
const PORT: u16 = 8323;

/// An agent on its machine.
struct Machine {
    agent: Agent,
    machine: usize,
    place: &'static str,
    visits: u32,
}

impl Machine {
    fn visit(&self, nets: &Nets) -> anyhow::Result<()> {
        let events: Vec<Value> = (0..self.visits)
            .map(|number| {
                json!({"type": "track", "event": "Visit Registered", "messageId": format!("{}-{number}", self.place),
                    "anonymousId": format!("{}-{number}", self.place)})
            })
            .collect();
        nets.ask(self.machine, || async {
            let (url, key) = (self.agent.up().url("http"), self.agent.write_key()?);
            Http::new(None)?.capture(&url, &key, &events, "").await
        })
        .map(drop)
    }

    fn page(&self, nets: &Nets, path: &str) -> anyhow::Result<String> {
        let url = format!("{}{path}", self.agent.up().url("http"));
        nets.ask(self.machine, || async { Http::new(None)?.text(&url).await })
    }
}

fn acked(nets: &Nets, server: &Server) -> anyhow::Result<Value> {
    let url = format!("{}/v1/agents", server.up().url("http"));
    nets.ask(HUB, || async { server.http()?.get(&url).await })
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_find_each_other_on_their_network_and_one_uplink_serves_all()
-> anyhow::Result<()> {
    let Some(nets) = Nets::new(3) else {
        return Ok(());
    };
    let home = tempfile::tempdir()?;
    let mut server = Server::init(&home.path().join("server"), None)?;
    server
        .env
        .insert("TRENZA_LISTEN__AGENTS".into(), format!("{FAR}:0"));
    nets.on(HUB, || server.start())?;
    let mut stands = Vec::new();
    for (machine, (place, visits)) in (1..).zip([("Puerta", 20), ("Barra", 10), ("Sala", 5)]) {
        let dir = home.path().join(place);
        let mut agent = nets.on(HUB, || server.enrol_at(place, Some("Feria Norte"), &dir))?;
        for (name, value) in [
            ("LAN__LISTEN", format!("0.0.0.0:{PORT}")),
            ("LAN__HELLO_EVERY_MS", "300".to_owned()),
            ("SYNC__RETRY_WAIT_MS_MIN", "100".to_owned()),
            ("SYNC__RETRY_WAIT_MS_MAX", "300".to_owned()),
        ] {
            agent.env.insert(format!("TRENZA_{name}"), value);
        }
        nets.on(machine, || agent.start())?;
        stands.push(Machine {
            agent,
            machine,
            place,
            visits,
        });
    }
    // Nobody has a way to the server, and nobody was told of anybody.
    for stand in &stands {
        stand.visit(&nets)?;
    }
    until(
        "everybody has found everybody, and all count together",
        || async {
            for stand in &stands {
                let status = stand.agent.status()?;
                let neighbours = status["neighbours"].as_array().context("neighbours")?;
                let near = neighbours.iter().filter(|one| one["near"] == true);
                ensure!(near.count() == 2, "{}: {status}", stand.place);
                let page = stand.page(&nets, "/es/")?;
                ensure!(page.contains("35 visitas"), "{}: {page}", stand.place);
            }
            Ok(())
        },
    )
    .await?;
    println!("found at {} to {}", address(1), address(3));

    let carrier = &stands[2];
    nets.uplink(carrier.machine, true)?;
    until("everything of all three is on the server", || async {
        let fleet = acked(&nets, &server)?;
        let agents = fleet["agents"].as_array().context("agents")?;
        for stand in &stands {
            let one = agents.iter().find(|one| one["touchpoint"] == stand.place);
            let one = one.context("an agent of the fleet")?;
            ensure!(
                one["acked_seq"] == stand.visits && one["venue"] == "Feria Norte",
                "{fleet}"
            );
        }
        Ok(())
    })
    .await?;
    until("those without a way hear who brought it", || async {
        for stand in &stands[..2] {
            let status = stand.agent.status()?;
            let brought = &status["delivered"][0];
            ensure!(
                brought["events"] == stand.visits && brought["touchpoint"] == carrier.place,
                "{}: {status}",
                stand.place
            );
            let page = stand.page(&nets, "/es/outbox")?;
            ensure!(page.contains("Entregado por Sala"), "{page}");
            ensure!(!page.contains("Por enviar"), "{page}");
        }
        Ok(())
    })
    .await?;
    let export = String::from_utf8(server.must(["export", "events"])?)?;
    ensure!(export.lines().count() == 35, "{export}");
    // One goes away: the others notice by themselves.
    stands[0].agent.stop()?;
    until("the others miss it", || async {
        for stand in &stands[1..] {
            let status = stand.agent.status()?;
            let neighbours = status["neighbours"].as_array().context("neighbours")?;
            let gone = neighbours.iter().find(|one| one["touchpoint"] == "Puerta");
            ensure!(gone.is_some_and(|one| one["near"] == false), "{status}");
        }
        Ok(())
    })
    .await?;
    for stand in &mut stands {
        stand.agent.stop()?;
    }
    server.stop()
}
