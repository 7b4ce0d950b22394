//! How fast identity is: from the stored log to the customer through the server's own resolver, and one record's own work over
//! tables in memory.
//!
//! Every record is of another person of one seed: names, birthday, address, telephone, e-mail, an account and a login of their
//! own. A store grows to each size; what is measured is what comes next, so the figures of two sizes are the curve.

use std::{path::Path, sync::Arc, time::Instant};

use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tokio::sync::watch;
use trenza_server::{
    customer::{lookup::Scopes, search},
    evidence::{self, Applier, Resolver},
    homes::Homes,
    registry::Registry,
    rules::InForce,
    sync::log::Arrival,
    tables::{Hop, LOG, RecordRow, SourceRow, plain, point_lookups, prefixes, spaces},
};
use trenza_shared::{
    clock::SystemClock,
    event::EventType,
    identifier::Place,
    identity::{Decisions, MemoryGraph, Rules, insert},
    store::{Batch, Durable, RocksStore, Store, rocks::RocksOptions},
    wire::entry::{Entry, Open, What},
};
use trenza_tests::{
    day::{PersonTruth, everybody},
    figures,
};

use crate::day::node_of;

/// What somebody types to find a person.
type Typed = dyn Fn(&PersonTruth) -> String;

/// The seed of everybody.
const SEED: u64 = 16;
/// How many of each sort are measured at a size.
const MEASURED: usize = 10_000;
/// How many hold the shared e-mail address and the shared name.
const SHARING: usize = 100_000;
/// Searches of each sort.
const SEARCHES: usize = 500;
/// Entries of one record of the log.
const ENTRIES: usize = 100;
/// Records of the log put at once.
const RECORDS: usize = 100;
/// Of the stored log: as the shipped configuration says. Unit: bytes.
const CACHE_BYTES: usize = 64 << 20;
const WRITE_BUFFER_BYTES: usize = 16 << 20;
/// Write key of the source.
const KEY: &str = "wk_speed";
/// When all happens: 2026-03-14. Unit: ms since 1970.
const AT_MS: i64 = 1_773_446_400_000;

/// Measures at every size, without matching and, if wanted, with it.
pub fn speed(sizes: &[usize], matched: bool) -> anyhow::Result<Vec<Value>> {
    let mut rows = Vec::new();
    println!(
        "{:<58} {:>10} {:>10} {:>8} {:>8} {:>8}",
        "", "a core/s", "a clock/s", "p50 us", "p99 us", "max us"
    );
    let largest = sizes.iter().max().copied().unwrap_or_default();
    let people = everybody(SEED, largest.max(SHARING + MEASURED) + MEASURED);
    let modes: &[bool] = if matched { &[false, true] } else { &[false] };
    for on in modes.iter().copied() {
        let mut rules = Rules::default();
        rules.matching.on = on;
        let mut flow = Flow::new(rules.clone())?;
        for size in sizes {
            flow.at(&people, *size, &mut rows)?;
        }
        drop(flow);
        // Last: its tables are as large as the memory that the store's files are cached in.
        memory(&people, sizes, &rules, &mut rows)?;
    }
    let mut flow = Flow::new(Rules::default())?;
    flow.shared(&people, &mut rows)?;
    Ok(rows)
}

/// What a system of records says of a person.
fn record(person: &PersonTruth, number: usize) -> Value {
    let home = &person.address;
    let surnames = match &person.second_surname {
        Some(second) => format!("{} {second}", person.surname),
        None => person.surname.clone(),
    };
    json!({
        "type": "identify", "messageId": format!("record-{number}"), "timestamp": "2026-03-14T10:00:00Z",
        "userId": format!("user-{number}"),
        "traits": {
            "accountId": format!("account-{number}"), "firstName": person.given, "lastName": surnames, "birthday": person.birthday,
            "email": person.emails.first(), "phone": person.phones.first(),
            "address": {
                "street": home.street, "city": home.city, "postalCode": home.postal_code, "state": home.state,
                "country": home.country,
            },
        },
    })
}

/// A record of somebody who shares an address and a name with all others of the sort.
fn sharing(person: &PersonTruth, number: usize) -> Value {
    let mut body = record(person, number);
    body["traits"]["firstName"] = json!("María");
    body["traits"]["lastName"] = json!("García López");
    body["traits"]["email"] = json!("info@empresa.example");
    body
}

/// A visit of somebody whose login is known.
fn visit(number: usize, time: usize) -> Value {
    json!({
        "type": "track", "event": "Visit", "messageId": format!("visit-{time}-{number}"), "timestamp": "2026-03-14T11:00:00Z",
        "userId": format!("user-{number}"), "properties": {"topic": "mortgages", "path": "/mortgages/fixed"},
    })
}

/// One record after another over tables in memory: the work of one alone.
fn memory(
    people: &[PersonTruth],
    sizes: &[usize],
    rules: &Rules,
    rows: &mut Vec<Value>,
) -> anyhow::Result<()> {
    let decisions = Decisions::default();
    let mut graph = MemoryGraph::default();
    let mut there = 0;
    for size in sizes {
        let mut took = Vec::with_capacity(MEASURED);
        for (number, person) in people[..size + MEASURED].iter().enumerate().skip(there) {
            let body = record(person, number).to_string();
            let Some((_, node)) = node_of(&body, AT_MS, "CRM", rules)? else {
                continue;
            };
            let start = thread_ns();
            match insert(&mut graph, node, &decisions, rules) {
                Ok(_outcome) => {}
                Err(never) => match never {},
            }
            if number >= *size {
                took.push(thread_ns() - start);
            }
        }
        there = size + MEASURED;
        took.sort_unstable();
        let sum: i64 = took.iter().sum();
        let us = |part: f64| {
            let at = (part * (took.len().max(1) - 1) as f64) as usize;
            took.get(at).copied().unwrap_or_default() as f64 / 1e3
        };
        let rate = 1e9 * took.len() as f64 / sum.max(1) as f64;
        let name = format!("in memory, matching {}, at {size}", rules.matching.on);
        println!(
            "{name:<58} {rate:>10.0} {:>10} {:>8.1} {:>8.1} {:>8.1}",
            "",
            us(0.5),
            us(0.99),
            us(1.0)
        );
        rows.push(json!({
            "speed": name, "matching": rules.matching.on, "records": size, "a_core_per_s": rate, "p50_us": us(0.5), "p99_us": us(0.99),
            "max_us": us(1.0),
        }));
    }
    Ok(())
}

/// Processor time of this thread. Unit: ns.
fn thread_ns() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// A store, its log and the resolver that follows it.
struct Flow {
    store: Arc<RocksStore>,
    scopes: Scopes,
    rules: Rules,
    records: u64,
    people: usize,
    log_last: watch::Sender<u64>,
    resolver: Resolver,
    _stop: watch::Sender<bool>,
    runtime: tokio::runtime::Runtime,
    _dir: tempfile::TempDir,
}

impl Flow {
    fn new(rules: Rules) -> anyhow::Result<Self> {
        // Beside the program: a temporary folder may be memory.
        std::fs::create_dir_all("target/bench")?;
        let dir = tempfile::tempdir_in("target/bench")?;
        let store = Arc::new(open(dir.path())?);
        let registry = Registry::open(store.clone())?;
        registry.put_source(
            KEY,
            &SourceRow {
                name: "CRM".into(),
                origins: Vec::new(),
                namespace: String::new(),
                country: "ES".into(),
                zone: "Europe/Madrid".into(),
                priority: 100,
                revoked: false,
            },
        )?;
        let place = Place {
            country: "ES",
            namespace: "",
        };
        let scopes = Scopes::of(&registry, &place);
        let applier = Applier {
            registry: Arc::new(registry),
            rules: InForce::of(rules.clone()),
            id_key: [7; 32],
        };
        let (log_last, log) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Runtime::new()?;
        let homes = Arc::new(Homes::open(store.clone())?);
        let (resolver, follow) =
            evidence::run(homes, applier, Arc::new(SystemClock), log, stopped)?;
        runtime.spawn(follow);
        Ok(Self {
            resolver,
            store,
            scopes,
            rules,
            records: 0,
            people: 0,
            log_last,
            _stop: stop,
            runtime,
            _dir: dir,
        })
    }

    /// Grows to a size and measures what comes next.
    fn at(
        &mut self,
        people: &[PersonTruth],
        size: usize,
        rows: &mut Vec<Value>,
    ) -> anyhow::Result<()> {
        let grow = self.people..size;
        let records = grow.clone().map(|at| record(&people[at], at));
        let what = format!("growing by {}", grow.len());
        self.measured(&what, size, records, rows)?;
        // What is measured next does not pay for that.
        self.store.settle()?;
        let new = size..size + MEASURED;
        self.people = new.end;
        let records = new.clone().map(|at| record(&people[at], at));
        self.measured("new named records", size, records, rows)?;
        // Of people all over the store, but for those who came at smaller sizes.
        let (from, step) = match size > 3 * MEASURED {
            true => (2 * MEASURED, (size - 2 * MEASURED) / MEASURED),
            false => (size, 1),
        };
        let known = |time| (0..MEASURED).map(move |nth| visit(from + nth * step, time));
        self.measured("first visits by a known login", size, known(2 * size), rows)?;
        self.measured("more visits of the same", size, known(2 * size + 1), rows)?;
        self.searches(people, size, rows)
    }

    /// How long a search takes.
    fn searches(
        &self,
        people: &[PersonTruth],
        size: usize,
        rows: &mut Vec<Value>,
    ) -> anyhow::Result<()> {
        let full = |one: &PersonTruth| format!("{} {}", one.given, one.surname);
        let sorts: [(&str, &Typed); 5] = [
            ("given name and surname", &full),
            ("four letters of both", &|one| {
                format!("{} {}", first(&one.given, 4), first(&one.surname, 4))
            }),
            ("a letter left out of both", &|one| {
                format!("{} {}", gap(&one.given), gap(&one.surname))
            }),
            ("the end of a surname", &|one| {
                one.surname.chars().skip(2).collect()
            }),
            ("e-mail", &|one| {
                one.emails.first().cloned().unwrap_or_default()
            }),
        ];
        for (sort, query) in sorts {
            let mut took = Vec::with_capacity(SEARCHES);
            let mut hits = 0;
            for nth in 0..SEARCHES {
                let query = query(&people[nth * (size / SEARCHES).max(1)]);
                let start = Instant::now();
                hits += search::whoever(self.store.as_ref(), &self.scopes, &query)?
                    .groups
                    .len();
                took.push(start.elapsed().as_secs_f64() * 1e3);
            }
            took.sort_by(f64::total_cmp);
            let of = |part: f64| took[(part * (SEARCHES - 1) as f64) as usize];
            let name = format!("search by {sort}, at {size}");
            println!(
                "{name:<58} {:>10.1} found, p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
                hits as f64 / SEARCHES as f64,
                of(0.5),
                of(0.99),
                of(1.0)
            );
            rows.push(json!({
                "search": name, "records": size, "p50_ms": of(0.5), "p99_ms": of(0.99), "max_ms": of(1.0),
            }));
        }
        Ok(())
    }

    /// What an address and a name that very many share cost the others, and those.
    fn shared(&mut self, people: &[PersonTruth], rows: &mut Vec<Value>) -> anyhow::Result<()> {
        let shares = |number: usize| sharing(&people[number], number);
        self.take((0..SHARING).map(shares))?;
        let next = SHARING + MEASURED;
        self.measured(
            "more with the shared name and e-mail",
            SHARING,
            (SHARING..next).map(shares),
            rows,
        )?;
        let others = (next..next + MEASURED).map(|number| record(&people[number], number));
        self.measured(
            "others, beside a shared name and e-mail",
            SHARING,
            others,
            rows,
        )
    }

    fn measured(
        &mut self,
        what: &str,
        size: usize,
        bodies: impl Iterator<Item = Value>,
        rows: &mut Vec<Value>,
    ) -> anyhow::Result<()> {
        let (count, core_s, clock_s) = self.take(bodies)?;
        let (core, clock) = (count as f64 / core_s, count as f64 / clock_s);
        let name = format!("{what}, matching {}, at {size}", self.rules.matching.on);
        println!("{name:<58} {core:>10.0} {clock:>10.0}");
        rows.push(json!({
            "speed": name, "matching": self.rules.matching.on, "records": size, "a_core_per_s": core, "a_clock_per_s": clock,
        }));
        Ok(())
    }

    /// Stores events, then lets the resolver go; how many, and what processor and clock time that took. Unit: s.
    fn take(&mut self, bodies: impl Iterator<Item = Value>) -> anyhow::Result<(usize, f64, f64)> {
        let open = Open {
            what: What::Event(EventType::Identify),
            captured_ms: AT_MS,
            boottime_ms: 0,
            boot: 0,
            offset_min: 0,
            key: KEY.into(),
            unverified: false,
            bot: None,
            sent_lag_ms: 0,
        };
        let (mut bodies, mut count) = (bodies.peekable(), 0);
        while bodies.peek().is_some() {
            let next = bodies.by_ref().take(ENTRIES * RECORDS);
            let records: Vec<Entry> = next
                .map(|body| Entry::clear(&open, &body.to_string()))
                .collect();
            count += records.len();
            let mut batch = Batch::new();
            for entries in records.chunks(ENTRIES) {
                self.records += 1;
                let arrival = Arrival::own(AT_MS, Hop::Own, entries);
                let row = RecordRow {
                    received_ms: arrival.received_ms,
                    hop: arrival.hop,
                    count: arrival.count,
                    run: arrival.run,
                    links: None,
                };
                LOG.put(&mut batch, &self.records, &row)?;
            }
            self.store.commit(batch, Durable::Yes)?;
        }
        let last = self.records;
        let (cpu, clock) = (figures::cpu_ms(std::process::id())?, Instant::now());
        self.log_last.send_replace(last);
        self.runtime
            .block_on(self.resolver.applied().wait_for(|applied| *applied >= last))
            .context("the resolver ended")?;
        let cpu = figures::cpu_ms(std::process::id())? - cpu;
        Ok((count, cpu.max(10.0) / 1e3, clock.elapsed().as_secs_f64()))
    }
}

/// The first letters of a name.
fn first(name: &str, letters: usize) -> String {
    name.chars().take(letters).collect()
}

/// A name without its third letter.
fn gap(name: &str) -> String {
    let letters = name.chars().enumerate().filter(|(at, _)| *at != 2);
    letters.map(|(_, letter)| letter).collect()
}

fn open(dir: &Path) -> anyhow::Result<RocksStore> {
    let options = RocksOptions {
        cache_bytes: CACHE_BYTES,
        write_buffer_bytes: WRITE_BUFFER_BYTES,
        write_buffers_bytes_max: WRITE_BUFFER_BYTES << 2,
        point_lookups: point_lookups(),
        prefixes: prefixes(),
        plain: plain(),
        ..RocksOptions::default()
    };
    Ok(RocksStore::open(dir.join("store"), &spaces(), options)?)
}
