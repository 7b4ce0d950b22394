//! Several machines on one: network namespaces on a bridge, so that programs find each other as on a venue's network.

use std::{fs::File, process::Command, thread};

use anyhow::{Context as _, anyhow, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// One bridge and the namespaces on it. The first, [`HUB`], holds the bridge and what lies behind it; all go when it is dropped.
pub struct Nets {
    prefix: String,
    names: Vec<String>,
}

/// The namespace of the bridge.
pub const HUB: usize = 0;
/// An address that only the hub has: nobody reaches it without a route.
pub const FAR: &str = "10.78.0.1";

fn ip(args: &str) -> anyhow::Result<()> {
    let output = Command::new("ip")
        .args(args.split(' '))
        .output()
        .context("the command `ip` (Debian: iproute2)")?;
    ensure!(
        output.status.success(),
        "ip {args}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

impl Nets {
    /// A hub and `machines` others, numbered from 1. `None` where this machine has no network namespaces: why is on stderr, and the
    /// test ends without having shown anything.
    pub fn new(machines: usize) -> Option<Self> {
        let mut nets = Self {
            prefix: format!("trz{}", std::process::id()),
            names: Vec::new(),
        };
        match nets.build(machines) {
            Ok(()) => Some(nets),
            Err(error) => {
                eprintln!(
                    "SKIPPED, nothing was tested: no network of several machines can be made here ({error:#}); it needs root and iproute2"
                );
                None
            }
        }
    }

    fn build(&mut self, machines: usize) -> anyhow::Result<()> {
        for number in 0..=machines {
            let name = format!("{}-{number}", self.prefix);
            ip(&format!("netns add {name}"))?;
            self.names.push(name.clone());
            ip(&format!("-n {name} link set lo up"))?;
        }
        let hub = self.names[HUB].clone();
        ip(&format!("-n {hub} link add bridge type bridge"))?;
        ip(&format!("-n {hub} addr add 10.77.0.1/24 dev bridge"))?;
        ip(&format!("-n {hub} addr add {FAR}/32 dev lo"))?;
        ip(&format!("-n {hub} link set bridge up"))?;
        for number in 1..=machines {
            let name = self.names[number].clone();
            ip(&format!(
                "-n {name} link add eth0 type veth peer name port{number} netns {hub}"
            ))?;
            ip(&format!("-n {hub} link set port{number} master bridge up"))?;
            let addr = address(number);
            ip(&format!("-n {name} addr add {addr}/24 brd + dev eth0"))?;
            ip(&format!("-n {name} link set eth0 up"))?;
        }
        Ok(())
    }

    /// Lets a machine reach [`FAR`], or not.
    ///
    /// # Errors
    /// The system refuses.
    pub fn uplink(&self, machine: usize, there: bool) -> anyhow::Result<()> {
        let (name, what) = (&self.names[machine], if there { "add" } else { "del" });
        ip(&format!("-n {name} route {what} {FAR}/32 via 10.77.0.1"))
    }

    /// Does a job on one machine: its sockets, and the programs that it starts, are there.
    ///
    /// # Errors
    /// The namespace cannot be entered, or what the job says.
    pub fn on<T: Send>(
        &self,
        machine: usize,
        job: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        let path = format!("/run/netns/{}", self.names[machine]);
        thread::scope(|scope| {
            // A thread of its own, since only that enters.
            let done = scope.spawn(|| {
                let file = File::open(&path).with_context(|| path.clone())?;
                move_into_link_name_space(
                    std::os::fd::AsFd::as_fd(&file),
                    Some(LinkNameSpaceType::Network),
                )?;
                job()
            });
            done.join().map_err(|_panic| anyhow!("the job panicked"))?
        })
    }

    /// The same for what waits on the network.
    ///
    /// # Errors
    /// As [`Nets::on`].
    pub fn ask<T: Send, F: Future<Output = anyhow::Result<T>>>(
        &self,
        machine: usize,
        job: impl FnOnce() -> F + Send,
    ) -> anyhow::Result<T> {
        self.on(machine, || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(job())
        })
    }
}

/// The address of a machine on the bridge.
pub fn address(machine: usize) -> String {
    format!("10.77.0.{}", machine + 1)
}

impl Drop for Nets {
    fn drop(&mut self) {
        for name in &self.names {
            if let Err(error) = ip(&format!("netns del {name}")) {
                eprintln!("a network namespace stays: {error:#}");
            }
        }
    }
}
