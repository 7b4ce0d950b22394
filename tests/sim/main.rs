//! A deterministic simulation of the whole sync: devices, networks, disks and the server in one thread, driven by a seed.
//!
//! The real log, sender, routes and tables run; the simulation decides what becomes of every request, answer, commit and
//! program. The same seed gives the same history. More seeds than by default:
//! `TRENZA_SIM_SEEDS=100000 TRENZA_SIM_FROM=1 cargo test -p trenza-tests --test sim seeds -- --nocapture`;
//! one seed, told step by step: `TRENZA_SIM_SEED=77 cargo test -p trenza-tests --test sim seeds -- --nocapture`.

mod check; // what must be true
mod edge; // one device
mod herd; // ten thousand devices that come back at once
mod hub; // the server
mod net; // what is on the way
mod perils; // what goes wrong with programs and disks
mod world; // what happens

use std::{env, str::FromStr, time::Instant};

use anyhow::Context as _;
use hub::Site;
use world::World;

/// When every simulation begins. Unit: ms since 1970.
pub const START_MS: i64 = 1_773_480_000_000;
/// Seeds of an ordinary run.
const SEEDS: u64 = 2_500;

fn setting<T: FromStr>(name: &str) -> Option<T> {
    env::var(name).ok()?.parse().ok()
}

#[test]
fn seeds_lose_nothing_double_nothing_and_come_to_rest() {
    let site = Site::new().expect("a temporary folder");
    if let Some(seed) = setting::<u64>("TRENZA_SIM_SEED") {
        let mut world = World::new(&site, seed, true).expect("a world");
        let ran = world.run();
        println!(
            "seed {seed}: {} steps, trace {}",
            world.steps(),
            world.trace()
        );
        ran.unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
        return;
    }
    let from: u64 = setting("TRENZA_SIM_FROM").unwrap_or(0);
    let count: u64 = setting("TRENZA_SIM_SEEDS").unwrap_or(SEEDS);
    let started = Instant::now();
    let (mut steps, mut events, mut faults) = (0, 0, 0);
    for seed in from..from + count {
        let mut world = World::new(&site, seed, false).expect("a world");
        if let Err(error) = world.run() {
            panic!(
                "seed {seed} fails after {} steps: {error:#}\nreplay it: TRENZA_SIM_SEED={seed} cargo test -p trenza-tests --test sim seeds -- --nocapture",
                world.steps()
            );
        }
        steps += world.steps();
        events += world.captured();
        faults += world.faults();
    }
    println!(
        "{count} seeds from {from}: {steps} steps, {events} events, {faults} faults in {:.1} s",
        started.elapsed().as_secs_f64()
    );
}

#[test]
fn a_seed_has_one_history() -> anyhow::Result<()> {
    let site = Site::new()?;
    for seed in 0..20 {
        let trace = || {
            let mut world = World::new(&site, seed, false)?;
            let _ended = world.run();
            anyhow::Ok(world.trace())
        };
        let (first, second) = (trace()?, trace()?);
        anyhow::ensure!(first == second, "seed {seed}: {first} and {second}");
    }
    let other = |seed| {
        let mut world = World::new(&site, seed, false)?;
        world.run().context("the world")?;
        anyhow::Ok(world.trace())
    };
    anyhow::ensure!(other(1)? != other(2)?);
    Ok(())
}
