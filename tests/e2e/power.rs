//! The power of either program's disk goes under load, at an fsync: every acknowledged event is stored exactly once.

use anyhow::{Context as _, ensure};
use trenza_tests::{
    day::Chance,
    disk::{Disk, Side, number},
    pour::{BATCH, pour, stored_once},
    process::{Server, until},
};

/// Cuts in the short loop; `TRENZA_CUTS` asks for more.
const CUTS: u64 = 9;
/// A cut is at one of so many next fsyncs.
const SYNCS: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_by_a_power_cut() -> anyhow::Result<()> {
    let (Some(agent_disk), Some(server_disk)) = (Disk::mount()?, Disk::mount()?) else {
        return Ok(());
    };
    let (seed, cuts) = (number("TRENZA_SEED", 11)?, number("TRENZA_CUTS", CUTS)?);
    println!("TRENZA_SEED={seed} TRENZA_CUTS={cuts}");
    let mut chance = Chance::new(seed);
    let logs = tempfile::tempdir()?;
    let mut server = Server::init(&server_disk.path().join("server"), None)?;
    server.log = logs.path().join("server.log");
    // What init wrote must be there when it has answered.
    server_disk.restore(chance.roll())?;
    server.start()?;
    let mut agent = server.enrol("Tienda", &agent_disk.path().join("agent"))?;
    agent.log = logs.path().join("agent.log");
    // What enrol wrote must be there when it has answered.
    agent_disk.restore(chance.roll())?;
    agent.start()?;
    let key = agent.write_key()?;
    let (mut acknowledged, mut next) = (Vec::new(), 0);
    for cut in 0..cuts {
        let side = *chance.pick(&[Side::Before, Side::After]);
        let disk = if cut % 3 == 2 {
            &server_disk
        } else {
            &agent_disk
        };
        disk.cut_at_sync(1 + chance.below(SYNCS) as u64, side);
        let batches = 200;
        let pouring = tokio::spawn(pour(agent.up().url("http"), key.clone(), next, batches));
        next += batches * BATCH;
        until("the power goes", || async {
            ensure!(disk.is_dark() || pouring.is_finished(), "not yet");
            Ok(())
        })
        .await?;
        disk.cut(); // where the load was over before it came to that fsync
        if cut % 3 == 2 {
            server.kill()?;
        } else {
            agent.kill()?;
        }
        acknowledged.extend(pouring.await?);
        let seed = chance.roll();
        disk.restore(seed)?;
        let at = || format!("cut {cut}, {side:?}, disk seed {seed}");
        if cut % 3 == 2 {
            server.start().with_context(at)?;
        } else {
            agent.start().with_context(at)?;
        }
    }
    agent.drained().await?;
    agent.stop()?;
    let stored = stored_once(&server, &acknowledged).with_context(|| format!("seed {seed}"))?;
    println!(
        "{} acknowledged, {stored} stored, {cuts} cuts",
        acknowledged.len()
    );
    server.must(["replay", "--verify"])?;
    server.stop()
}
