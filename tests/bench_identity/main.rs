//! `make bench-identity`: how right the matching is, on data everybody has.
//!
//! FEBRL 3 (5,000 records of 2,000 people) and FEBRL 4 (two files of 5,000 people), with and without the national id, and with
//! nothing but names, birthday and state. The weights are learned on FEBRL 2 and the threshold is even odds, so nothing is judged
//! on what it was learned from, and no threshold is tuned. Prints a table and writes `target/bench/identity.json`.

mod febrl;
mod measure;

use std::{path::PathBuf, time::Instant};

use anyhow::Context as _;
use clap::Parser;
use serde_json::json;
use trenza_shared::matching::{Bands, Model, Sample, candidates, compare, group, train};

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
    febrl: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut rows = Vec::new();
    println!(
        "{:<34} {:>9} {:>9} {:>9} {:>12} {:>12}",
        "", "precision", "recall", "F1", "wrong/1000", "records/s"
    );
    for fields in Fields::ALL {
        let known = febrl::load(&args.febrl, &["dataset2.csv"], fields)?;
        let model = learned(&known);
        for (name, files) in [
            ("FEBRL 3", &["dataset3.csv"][..]),
            ("FEBRL 4", &["dataset4a.csv", "dataset4b.csv"][..]),
        ] {
            let records = febrl::load(&args.febrl, files, fields)?;
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
    let path = PathBuf::from("target/bench");
    std::fs::create_dir_all(&path)?;
    let path = path.join("identity.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&rows)?)
        .with_context(|| format!("cannot write {}", path.display()))
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
