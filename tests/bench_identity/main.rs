//! `make bench-identity`: how right the matching is, on labelled days of our own and on data everybody has.
//!
//! The days are resolved as the server does it, with the weights that are shipped (`--learn` learns them, on another day), by
//! identifiers alone and with matching; and their records once more without any identifier.
//!
//! FEBRL 3 (5,000 records of 2,000 people) and FEBRL 4 (two files of 5,000 people), with and without the national id, and with
//! nothing but names, birthday and state. The weights are learned on FEBRL 2 and the threshold is even odds, so nothing is judged
//! on what it was learned from, and no threshold is tuned. Prints a table and writes `target/bench/identity.json`.
//!
//! `--speed` says instead how fast it is.

mod day;
mod febrl;
mod measure;
mod speed;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context as _;
use clap::Parser;
use serde_json::json;
use trenza_shared::{
    identity::Rules,
    matching::{Bands, Model, Sample, Weights, candidates, compare, group, train},
};

use crate::{
    febrl::{Fields, Record},
    measure::Quality,
};

/// Even odds. Unit: thousandths of a bit.
const BANDS: Bands = Bands {
    ask: -6_000,
    link: 0,
};

/// Pairs taken at random to learn how strangers agree.
const RANDOM_PAIRS: usize = 400_000;

#[derive(Parser)]
struct Args {
    /// The folder with FEBRL's `dataset2.csv` to `dataset4b.csv`.
    #[arg(required_unless_present = "speed")]
    febrl: Option<PathBuf>,
    /// Measures how fast, not how right, and writes `target/bench/identity-speed.json`.
    #[arg(long)]
    speed: bool,
    /// How many people are there already when speed is measured; a million takes an hour.
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000])]
    sizes: Vec<usize>,
    /// Measures speed by identifiers alone, without matching: a million takes ten minutes.
    #[arg(long, requires = "speed")]
    unmatched: bool,
    /// Learns the weights that are shipped and writes them into this folder (`shared/src/matching/models`); measures nothing.
    #[arg(long)]
    learn: Option<PathBuf>,
    /// People of the labelled day.
    #[arg(long, default_value_t = 20_000)]
    people: usize,
}

/// The day that the shipped Spanish weights are learned on.
const LEARNED_SEED: u64 = 7;
/// The days that they are judged on.
const JUDGED_SEEDS: [u64; 2] = [14, 15];

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let Some(febrl) = args.febrl.as_deref().filter(|_| !args.speed) else {
        return write(
            "identity-speed.json",
            &speed::speed(&args.sizes, !args.unmatched)?,
        );
    };
    if let Some(folder) = &args.learn {
        return ship(febrl, args.people, folder);
    }
    let mut rows = days(args.people)?;
    println!(
        "{:<34} {:>9} {:>9} {:>9} {:>12} {:>12}",
        "", "precision", "recall", "F1", "wrong/1000", "records/s"
    );
    for fields in Fields::ALL {
        let known = febrl::load(febrl, &["dataset2.csv"], fields)?;
        let model = learned(&known);
        for (name, files) in [
            ("FEBRL 3", &["dataset3.csv"][..]),
            ("FEBRL 4", &["dataset4a.csv", "dataset4b.csv"][..]),
        ] {
            let records = febrl::load(febrl, files, fields)?;
            let subjects: Vec<_> = records.iter().map(|one| one.subject.clone()).collect();
            let start = Instant::now();
            let groups = group(&subjects, &model, BANDS, &|_, _| false);
            let rate = records.len() as f64 / start.elapsed().as_secs_f64();
            let quality = Quality::of(&records, &groups);
            println!(
                "{:<34} {:>9.4} {:>9.4} {:>9.4} {:>12.2} {:>12.0}",
                format!("{name}, {}", fields.name()),
                quality.precision,
                quality.recall,
                quality.f1(),
                quality.wrong_per_thousand,
                rate
            );
            rows.push(json!({
                "data": name, "fields": fields.name(), "precision": quality.precision, "recall": quality.recall,
                "f1": quality.f1(), "wrong_per_thousand": quality.wrong_per_thousand, "records_per_s": rate,
            }));
        }
    }
    write("identity.json", &rows)
}

fn write(name: &str, rows: &[serde_json::Value]) -> anyhow::Result<()> {
    let path = PathBuf::from("target/bench");
    std::fs::create_dir_all(&path)?;
    let path = path.join(name);
    std::fs::write(&path, serde_json::to_vec_pretty(rows)?)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Learns the weights that come with the program.
fn ship(febrl: &Path, people: usize, folder: &Path) -> anyhow::Result<()> {
    let es = day::labelled(LEARNED_SEED, people)?.learned(&Rules::default());
    let en = learned(&febrl::load(febrl, &["dataset2.csv"], Fields::All)?);
    for (name, model) in [("es.json", es), ("en.json", en)] {
        let path = folder.join(name);
        let text = serde_json::to_string(&model)? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The labelled days as the server resolves them, by identifiers alone and with matching.
fn days(people: usize) -> anyhow::Result<Vec<serde_json::Value>> {
    let mut rows = Vec::new();
    println!(
        "{:<34} {:>9} {:>9} {:>9} {:>12} {:>7} {:>8} {:>11} {:>7}",
        "", "precision", "recall", "F1", "F1 reachable", "wrong", "at home", "asked", "right"
    );
    let taught = day::labelled(LEARNED_SEED, people)?;
    let own = Weights::Own(taught.learned_unlabelled(&Rules::default()).into());
    drop(taught);
    for seed in JUDGED_SEEDS {
        let day = day::labelled(seed, people)?;
        let mut rules = Rules::default();
        for on in [false, true] {
            rules.matching.on = on;
            let rate = day.streamed(&rules)?;
            let nodes = day.nodes.len();
            println!("day {seed}, {nodes} nodes one by one, matching {on}: {rate:.0}/s");
            rows.push(json!({"data": format!("day {seed}"), "nodes": nodes, "matching": on, "nodes_per_s": rate}));
        }
        let link = Rules::default().matching.bands.link;
        let ways = [
            (false, 0, Weights::default(), ""),
            (true, link, Weights::default(), ""),
            (true, link, own.clone(), ", learned unlabelled"),
        ];
        for (on, link, model, learned) in ways {
            rules.matching.on = on;
            rules.matching.bands.link = link;
            rules.matching.model = model;
            let day::Judged {
                quality,
                of_told,
                questions: (asked, right),
            } = day.judge(&rules);
            let name = match on {
                true => format!("day {seed}, linked from {link}{learned}"),
                false => format!("day {seed}, identifiers alone"),
            };
            println!(
                "{name:<34} {:>9.4} {:>9.4} {:>9.4} {:>12.4} {:>7} {:>8} {:>11} {:>7}",
                quality.precision,
                quality.recall,
                quality.f1,
                quality.f1_reachable,
                quality.wrong_merges,
                quality.wrong_merges_in_households,
                asked,
                right
            );
            println!(
                "{:<34} {:>9.4} {:>9.4} {:>9.4} {:>12.4} {:>7} {:>8}",
                "  where it is told who was there",
                of_told.precision,
                of_told.recall,
                of_told.f1,
                of_told.f1_reachable,
                of_told.wrong_merges,
                of_told.wrong_merges_in_households
            );
            rows.push(json!({
                "data": name, "people": people, "asked": asked, "asked_rightly": right, "quality": quality, "of_told": of_told,
            }));
            if on {
                let alone = day.alone(&rules);
                println!(
                    "  {} records without identifiers: {} pairs linked rightly of {} that tell more than a name, {} wrongly; {} asked, {} rightly",
                    alone.records,
                    alone.right,
                    alone.could,
                    alone.wrong,
                    alone.asked,
                    alone.asked_rightly
                );
                rows.push(json!({
                    "data": format!("{name}, without identifiers"), "records": alone.records, "right": alone.right, "wrong": alone.wrong,
                    "could": alone.could, "asked": alone.asked, "asked_rightly": alone.asked_rightly,
                }));
            }
        }
    }
    Ok(rows)
}

/// The weights that fit some records nobody labelled.
fn learned(records: &[Record]) -> Model {
    let mut sample = Sample {
        records: records.len() as u64,
        ..Sample::default()
    };
    let subjects: Vec<_> = records.iter().map(|one| one.subject.clone()).collect();
    for (one, other) in candidates(&subjects) {
        *sample
            .candidates
            .entry(compare(&subjects[one], &subjects[other]))
            .or_default() += 1;
    }
    let mut chance = trenza_tests::day::Chance::new(2);
    for _ in 0..RANDOM_PAIRS {
        let (one, other) = (chance.below(subjects.len()), chance.below(subjects.len()));
        if one != other {
            *sample
                .random
                .entry(compare(&subjects[one], &subjects[other]))
                .or_default() += 1;
        }
    }
    train(&sample, &Model::untrained(&subjects))
}
