//! Learning the weights from records nobody has labelled: expectation maximisation (Dempster, Laird and Rubin, 1977).
//!
//! Pairs that share a key say how people and families agree; pairs taken at random say how strangers do. What is known
//! beforehand (a start model) counts as so many pairs, so that few records cannot turn the weights upside down.

use std::collections::BTreeMap;

use super::{
    FIELDS, Model, Pattern,
    model::{Bits, CLASSES, Class, bits},
};

/// Rounds of expectation and maximisation; they change nothing that is seen long before.
const ROUNDS: usize = 60;

/// As how many pairs the start model counts, by class.
const WEIGHT: [f64; 3] = [30.0, 3_000.0, 3.0];

/// As how many pairs the start model counts where the class of every pair is known.
const LABELLED_WEIGHT: f64 = 20.0;
/// And as what share of the pairs beside, of persons and families: records of a few sources are written alike, of others less so.
const LABELLED_SHARE: f64 = 0.2;

/// What was seen.
#[derive(Clone, Default, Debug)]
pub struct Sample {
    /// Records there are.
    pub records: u64,
    /// How often each pattern stands among the pairs that share a key and may be one person or two.
    pub candidates: BTreeMap<Pattern, u64>,
    /// How often among those of them that are two persons for certain.
    pub apart: BTreeMap<Pattern, u64>,
    /// How often among pairs of records that are one person's for certain.
    pub same: BTreeMap<Pattern, u64>,
    /// How often among pairs taken at random.
    pub random: BTreeMap<Pattern, u64>,
}

/// A model that fits the sample, begun at `start`, of which it keeps the tables of names.
#[must_use]
pub fn train(sample: &Sample, start: &Model) -> Model {
    let mut model = Model {
        records: sample.records,
        ..start.clone()
    };
    let pairs = (sample.records as f64 * (sample.records as f64 - 1.0) / 2.0).max(1.0);
    // Nearly all pairs of a person or a family are among the candidates; at random nearly all are strangers.
    let candidates: u64 = sample
        .candidates
        .values()
        .chain(sample.apart.values())
        .sum();
    let share = |part: f64| (part * candidates as f64 / pairs).max(1e-12);
    let same = sample.same.values().sum::<u64>() as f64;
    let mut shares = [share(0.3), share(0.05), 1.0];
    for _ in 0..ROUNDS {
        let mut counts = [(); 3].map(|()| zeros());
        let mut sums = [0.0; 3];
        for (pattern, count) in &sample.candidates {
            let parts = posterior(&model, &shares, pattern);
            for class in [Class::Person, Class::Family] {
                let part = parts[class as usize] * *count as f64;
                sums[class as usize] += part;
                add(&mut counts[class as usize], pattern, part);
            }
        }
        for (pattern, count) in &sample.apart {
            let [_, family, strangers] = posterior(&model, &shares, pattern);
            let part = family / (family + strangers).max(f64::MIN_POSITIVE) * *count as f64;
            sums[Class::Family as usize] += part;
            add(&mut counts[Class::Family as usize], pattern, part);
        }
        for (pattern, count) in &sample.same {
            add(&mut counts[Class::Person as usize], pattern, *count as f64);
        }
        for (pattern, count) in &sample.random {
            let parts = posterior(&model, &shares, pattern);
            let part = parts[Class::Strangers as usize] * *count as f64;
            add(&mut counts[Class::Strangers as usize], pattern, part);
        }
        shares = sums.map(|sum| (sum / pairs).max(1e-12));
        shares[Class::Strangers as usize] = 1.0 - shares[0] - shares[1];
        for class in CLASSES {
            let known = match class {
                Class::Person => same * LABELLED_SHARE,
                Class::Family | Class::Strangers => 0.0,
            };
            model.levels[class as usize] = maximised(
                &counts[class as usize],
                &start.levels[class as usize],
                WEIGHT[class as usize] + known,
            );
        }
        model.shares = shares.map(bits);
    }
    model
}

/// A model of pairs of which the class is known, begun at `start`. `pairs` says by class how often each pattern stands among
/// some of its pairs, `of` how many pairs of it there are among so many records.
#[must_use]
pub fn learn(
    records: u64,
    pairs: &[BTreeMap<Pattern, u64>; 3],
    of: [u64; 3],
    start: &Model,
) -> Model {
    let mut model = Model {
        records,
        ..start.clone()
    };
    let all = of.iter().sum::<u64>().max(1) as f64;
    for class in CLASSES {
        let mut counts = zeros();
        for (pattern, count) in &pairs[class as usize] {
            add(&mut counts, pattern, *count as f64);
        }
        let seen: u64 = pairs[class as usize].values().sum();
        let weight = match class {
            Class::Strangers => LABELLED_WEIGHT,
            Class::Person | Class::Family => LABELLED_WEIGHT + seen as f64 * LABELLED_SHARE,
        };
        model.levels[class as usize] = maximised(&counts, &start.levels[class as usize], weight);
        model.shares[class as usize] = bits((of[class as usize] as f64 / all).max(1e-12));
    }
    model
}

/// How probable each class is of a pair.
fn posterior(model: &Model, shares: &[f64; 3], pattern: &Pattern) -> [f64; 3] {
    let mut parts = *shares;
    for (part, class) in parts.iter_mut().zip(CLASSES) {
        for field in FIELDS {
            let level = usize::from(pattern[field as usize]);
            if level > 0 {
                *part *= probability(model.levels[class as usize][field as usize][level]);
            }
        }
    }
    let all: f64 = parts.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    parts.map(|part| part / all)
}

type Counts = Vec<Vec<f64>>;

fn zeros() -> Counts {
    FIELDS.map(|field| vec![0.0; field.levels()]).to_vec()
}

fn add(counts: &mut Counts, pattern: &Pattern, part: f64) {
    for field in FIELDS {
        counts[field as usize][usize::from(pattern[field as usize])] += part;
    }
}

fn maximised(counts: &Counts, start: &[Vec<Bits>], weight: f64) -> Vec<Vec<Bits>> {
    let field = |(counts, start): (&Vec<f64>, &Vec<Bits>)| {
        let total: f64 = counts.iter().skip(1).sum();
        let level = |(at, (count, start)): (usize, (&f64, &Bits))| match at {
            0 => 0,
            _ => bits((count + weight * probability(*start)) / (total + weight)),
        };
        counts.iter().zip(start).enumerate().map(level).collect()
    };
    counts.iter().zip(start).map(field).collect()
}

fn probability(bits: Bits) -> f64 {
    (f64::from(bits) / 1000.0).exp2()
}
