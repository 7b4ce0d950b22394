//! `make demo`: one server, two agents, a small website, and a realistic day with the investor of story A in it.

mod website;

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use trenza_tests::{
    day::{Day, INVESTOR_DNI, Options, Place, generate},
    http::Http,
    process::{Agent, Server},
    relay::Relay,
};

/// Plays a day of a savings bank: website, call centre, mailing, a shop, a fair, a core system
#[derive(Parser)]
struct Cli {
    /// Folder of the demo's data; emptied at every start
    #[arg(long, default_value = "target/demo")]
    dir: PathBuf,
    /// Seed of the day
    #[arg(long, default_value_t = 14)]
    seed: u64,
    /// Stop after the day instead of staying until Ctrl-C
    #[arg(long)]
    once: bool,
    /// How long the day takes at least. Unit: seconds
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

/// Slices in which the day is played.
const SLICES: usize = 120;
/// The fair's cable is pulled during these slices of the day.
const OFFLINE: std::ops::Range<usize> = 35..75;
/// Events of one post.
const POST_EVENTS_MAX: usize = 200;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    // Whenever it is stopped, what it started goes with it: a dropped program is killed.
    tokio::select! {
        done = show(Cli::parse()) => done,
        interrupted = tokio::signal::ctrl_c() => {
            println!("\nStopped.");
            Ok(interrupted?)
        }
        _ = terminate.recv() => Ok(()),
    }
}

async fn show(cli: Cli) -> anyhow::Result<()> {
    if cli.dir.exists() {
        fs::remove_dir_all(&cli.dir)
            .with_context(|| format!("cannot empty {}", cli.dir.display()))?;
    }
    fs::create_dir_all(&cli.dir)?;
    println!("Trenza demo · data in {}", cli.dir.display());

    let mut server = Server::init(&cli.dir.join("server"), None)?;
    for (name, port) in [
        ("HTTPS", 8443),
        ("HTTP", 8080),
        ("AGENTS", 8444),
        ("OPS", 9464),
    ] {
        server
            .env
            .insert(format!("TRENZA_LISTEN__{name}"), address(port));
    }
    server.start()?;
    let url = server.up().url("http");
    println!("  server   {url}  (TLS: {})", server.up().url("https"));

    // The fair is connected by a cable that the demo pulls for part of the day.
    let sync: SocketAddr = server
        .up()
        .url("agents")
        .trim_start_matches("https://")
        .parse()?;
    let cable = Relay::to(sync).await?;
    let mut shop = server.enrol("Tienda Alcalá", &cli.dir.join("agent-shop"))?;
    let mut fair = server.enrol("Feria del Ahorro, puesto B", &cli.dir.join("agent-fair"))?;
    shop.env.extend([
        ("TRENZA_LISTEN__HTTP".into(), address(8321)),
        ("TRENZA_LISTEN__OPS".into(), address(9465)),
    ]);
    fair.env.extend([
        ("TRENZA_LISTEN__HTTP".into(), address(8322)),
        ("TRENZA_LISTEN__OPS".into(), address(9466)),
    ]);
    fair.env.insert(
        "TRENZA_SERVER__AGENTS_URL".into(),
        format!("https://{}", cable.addr),
    );
    shop.start()?;
    fair.start()?;
    println!(
        "  shop     {}  (kiosk)\n  fair     {}  (kiosk)",
        shop.up().url("http"),
        fair.up().url("http")
    );
    let site = website::serve(address(8090).parse()?, url.clone(), server.write_key()).await?;
    println!("  website  http://{site}\n");

    let day = generate(&Options {
        seed: cli.seed,
        ..Options::default()
    });
    let mut keys = BTreeMap::new();
    for (place, name) in [
        (Place::CallCentre, "Centro de llamadas"),
        (Place::Mailing, "Mailing"),
    ] {
        let made: Value =
            serde_json::from_slice(&server.must(["source", "create", "--name", name, "--json"])?)?;
        keys.insert(
            place,
            made["write_key"].as_str().unwrap_or_default().to_owned(),
        );
    }
    let started = Instant::now();
    play(&cli, &server, &shop, &fair, &cable, &keys, &day).await?;
    settle(&server, &shop, &fair, &day).await?;
    let agents = 2;
    let export = String::from_utf8(server.must(["export", "customers"])?)?;
    let events = String::from_utf8(server.must(["export", "events"])?)?
        .lines()
        .count();
    println!(
        "\nThe day is over, after {:.0} s.",
        started.elapsed().as_secs_f64()
    );
    println!(
        "  {events} events stored once, from {} sent; {agents} agents, nothing waiting; {} customers",
        day.events.len(),
        export.lines().count()
    );
    let http = server.http()?;
    let found = http
        .get(&format!(
            "{url}/v1/customers?identifier=nationalId:{INVESTOR_DNI}"
        ))
        .await?;
    let id = found["customers"][0]["id"]
        .as_str()
        .context("the investor has a record")?;
    println!(
        "\nThe investor (web, fair and core system in one record):\n  {url}/es/customers/{id}"
    );
    println!("  {url}/en/customers/{id}");
    println!(
        "\nSign in at {url}/ with\n  user      {}\n  password  {}",
        text(&server.init["admin_user"]),
        text(&server.init["admin_password"])
    );
    println!("  API token {}", text(&server.init["api_token"]));
    if !cli.once {
        println!("\nRunning until Ctrl-C.");
        std::future::pending::<()>().await;
    }
    shop.stop()?;
    fair.stop()?;
    server.stop()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

/// The usual port when it is free, else any.
fn address(port: u16) -> String {
    let free = TcpListener::bind(("127.0.0.1", port)).is_ok();
    format!("127.0.0.1:{}", if free { port } else { 0 })
}

async fn play(
    cli: &Cli,
    server: &Server,
    shop: &Agent,
    fair: &Agent,
    cable: &Relay,
    keys: &BTreeMap<Place, String>,
    day: &Day,
) -> anyhow::Result<()> {
    let (Some(first), Some(last)) = (day.events.first(), day.events.last()) else {
        return Ok(());
    };
    let span = (last.at_ms - first.at_ms).max(1);
    let mut slices: Vec<BTreeMap<Place, Vec<Value>>> = vec![BTreeMap::new(); SLICES];
    for touch in &day.events {
        let slice = usize::try_from((touch.at_ms - first.at_ms) * (SLICES as i64 - 1) / span)?;
        slices[slice]
            .entry(touch.place)
            .or_default()
            .push(touch.body.clone());
    }
    let bar = ProgressBar::new(day.events.len() as u64);
    bar.set_style(ProgressStyle::with_template(
        "  {msg:44} {bar:30} {pos}/{len} events",
    )?);
    let http = Http::new(None)?;
    let pace = Duration::from_secs(cli.seconds) / u32::try_from(SLICES)?;
    let mut tick = tokio::time::interval(pace);
    for (number, slice) in slices.into_iter().enumerate() {
        tick.tick().await;
        cable.plug(!OFFLINE.contains(&number));
        let at =
            jiff::Timestamp::from_millisecond(first.at_ms + span * number as i64 / SLICES as i64)?
                .in_tz("Europe/Madrid")?;
        let note = if OFFLINE.contains(&number) {
            "fair without network"
        } else {
            "all connected"
        };
        bar.set_message(format!("{} · {note}", at.strftime("%H:%M")));
        if bar.is_hidden() && number % (SLICES / 10) == 0 {
            println!(
                "  {} · {note} · {} events",
                at.strftime("%H:%M"),
                bar.position()
            );
        }
        for (place, events) in slice {
            let count = events.len() as u64;
            let (base, key) = match place {
                Place::Website => (server.up().url("http"), server.write_key()),
                Place::CallCentre | Place::Mailing => (
                    server.up().url("http"),
                    keys.get(&place).cloned().unwrap_or_default(),
                ),
                Place::Shop => (shop.up().url("http"), shop.write_key()?),
                Place::Fair => (fair.up().url("http"), fair.write_key()?),
                Place::Import => {
                    let file = cli.dir.join("core-system.jsonl");
                    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
                    fs::write(&file, lines.join("\n"))?;
                    server.must([
                        "import".as_ref(),
                        "--source".as_ref(),
                        "Sistema central".as_ref(),
                        file.as_os_str(),
                    ])?;
                    bar.inc(count);
                    continue;
                }
            };
            for post in events.chunks(POST_EVENTS_MAX) {
                http.capture(&base, &key, post, "").await?;
            }
            bar.inc(count);
        }
    }
    cable.plug(true);
    bar.finish_with_message("the day is over");
    Ok(())
}

/// Waits until the agents have sent everything and the last events are in their customers.
async fn settle(server: &Server, shop: &Agent, fair: &Agent, day: &Day) -> anyhow::Result<()> {
    shop.drained().await?;
    fair.drained().await?;
    for place in Place::ALL {
        if let Some(touch) = day.events.iter().rev().find(|touch| touch.place == place) {
            server.resolved(touch.message_id()).await?;
        }
    }
    Ok(())
}
