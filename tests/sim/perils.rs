//! What goes wrong with programs and disks: deaths, failing commits, older images, copies, backups.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
};

use trenza_shared::{
    clock::Clock as _,
    store::{Fault, FaultyStore},
    wire::dropped::Dropped,
};
use trenza_tests::day::chance::Chance;

use crate::{
    edge::{Edge, RETENTION_HOURS, lane_of, text},
    world::{Image, World},
};

/// How long archived events stay on a simulated device. Unit: ms.
const RETENTION_MS: i64 = RETENTION_HOURS as i64 * 3_600_000;

/// What can go wrong in one world: not everything in every one, so that rare combinations come about too.
#[derive(Clone, Copy, Debug)]
pub struct Perils {
    /// Requests and answers are lost, repeated, late.
    pub network: bool,
    /// Programs die.
    pub crashes: bool,
    /// Power is lost with what was not synced.
    pub power: bool,
    /// Commits fail, and may be there all the same.
    pub disks: bool,
    /// Devices are set back to older images.
    pub images: bool,
    /// Devices are copied and both run.
    pub copies: bool,
    /// The server is set back to a backup.
    pub backups: bool,
    /// Hours pass, and what is archived is deleted.
    pub ages: bool,
    /// Devices have no room for low-priority events.
    pub narrow: bool,
}

impl Perils {
    /// Rolls the dice for one world.
    pub fn roll(chance: &mut Chance) -> Self {
        Self {
            network: chance.happens(0.85),
            crashes: chance.happens(0.6),
            power: chance.happens(0.5),
            disks: chance.happens(0.5),
            images: chance.happens(0.4),
            copies: chance.happens(0.3),
            backups: chance.happens(0.3),
            ages: chance.happens(0.5),
            narrow: chance.happens(0.4),
        }
    }
}

impl World<'_> {
    pub(crate) fn kill_edge(&mut self, edge: usize) {
        if self.edges[edge].runs() {
            self.edges[edge].stop();
            let power = self.perils.power && self.chance.happens(0.5);
            self.fault(&format!("device {edge} dies; power {power}"));
            self.edge_again(edge, power);
        }
    }

    pub(crate) fn edge_again(&mut self, edge: usize, power: bool) {
        if power {
            self.edges[edge].disk.crash();
        } else {
            self.edges[edge].disk.restart();
        }
        self.start_edge(edge);
    }

    /// A start may fail while the disk does; it is tried again when the faults of that disk have ended.
    pub(crate) fn start_edge(&mut self, edge: usize) {
        let net = self.net.clone();
        let started = self.edges[edge].start(&net).is_ok();
        self.note(&format!("device {edge} starts: {started}"));
    }

    pub(crate) fn kill_hub(&mut self) -> anyhow::Result<()> {
        self.hub.stop();
        self.fault("the server dies");
        self.hub_again()
    }

    pub(crate) fn hub_again(&mut self) -> anyhow::Result<()> {
        let power = self.perils.power && self.chance.happens(0.5);
        if power {
            self.hub.disk.crash();
        } else {
            self.hub.disk.restart();
        }
        self.note(&format!("the server starts again; power was lost: {power}"));
        self.hub.start()
    }

    pub(crate) fn plan_death(&mut self, edge: usize) {
        let (after, applied) = (self.chance.below(6) as u64, self.chance.happens(0.5));
        let server = self.chance.happens(0.4);
        if server {
            self.hub.disk.die_after(after, applied);
        } else {
            self.edges[edge].disk.die_after(after, applied);
        }
        self.fault(&format!(
            "death planned: server {server}, device {edge}, after {after} commits, applied {applied}"
        ));
    }

    pub(crate) fn plan_fault(&mut self, edge: usize) {
        let fault = *self
            .chance
            .pick(&[Fault::Refused, Fault::AppliedButReported, Fault::Full]);
        let every = self.chance.below(4) as u64;
        let server = self.chance.happens(0.4);
        let disk = if server {
            &self.hub.disk
        } else {
            &self.edges[edge].disk
        };
        disk.fail_every(every, fault);
        self.fault(&format!(
            "server {server}, device {edge}: every {every}th commit fails: {fault:?}"
        ));
    }

    /// Programs whose disk says that they died are gone, and start again.
    pub(crate) fn after_deaths(&mut self) -> anyhow::Result<()> {
        for edge in 0..self.edges.len() {
            if self.edges[edge].disk.is_dead() || !self.edges[edge].runs() {
                self.edges[edge].stop();
                let power = self.perils.power && self.chance.happens(0.5);
                self.note(&format!("device {edge} died; power {power}"));
                self.edge_again(edge, power);
            }
        }
        if self.hub.disk.is_dead() || !self.hub.is_up() {
            self.hub.stop();
            self.hub_again()?;
        }
        Ok(())
    }

    pub(crate) fn take_image(&mut self, edge: usize) -> anyhow::Result<()> {
        let device = &self.edges[edge];
        self.images.push(Image {
            edge,
            disk: device.disk.image(),
            marker: device.marker(),
            folder: self.site.copy(&device.folder)?,
        });
        self.note(&format!("an image of device {edge} is taken"));
        Ok(())
    }

    pub(crate) fn set_back(&mut self, edge: usize) -> anyhow::Result<()> {
        let Some(image) = self.images.iter().find(|image| image.edge == edge) else {
            return Ok(());
        };
        let (disk, marker) = (image.disk.image(), image.marker.clone());
        let folder = self.site.copy(image.folder.path())?;
        // The whole device, or only its store: then the marker and the certificate know better.
        let whole = self.chance.happens(0.5);
        self.fault(&format!("device {edge} is set back; whole {whole}"));
        let device = &mut self.edges[edge];
        device.stop();
        device.disk.restart();
        let before = device.texts()?;
        device.disk = Arc::new(disk);
        if whole {
            *device.marker.lock().unwrap_or_else(PoisonError::into_inner) = marker;
            device.folder = folder.path().to_path_buf();
            self.folders.push(folder);
        }
        // Where the marker tells that the store was set back, what comes is of a new epoch. Else this one has two branches.
        let stored = device.stored()?;
        if !device.marker().is_ahead_of(&stored) {
            self.branched.insert((edge, stored.epoch));
        }
        self.start_edge(edge);
        self.forgive(before)
    }

    pub(crate) fn copy(&mut self, edge: usize) -> anyhow::Result<()> {
        let disk = Arc::new(self.edges[edge].disk.image());
        let folder = self.site.copy(&self.edges[edge].folder)?;
        let marker = self.edges[edge].marker();
        self.fault(&format!("device {edge} is copied"));
        self.add(folder, disk, marker);
        Ok(())
    }

    pub(crate) fn take_backup(&mut self) {
        self.backup = Some(self.hub.disk.image());
        self.note("a backup of the server is taken");
    }

    pub(crate) fn set_server_back(&mut self) -> anyhow::Result<()> {
        let Some(backup) = self.backup.as_ref().map(FaultyStore::image) else {
            return Ok(());
        };
        self.fault("the server is set back to its backup");
        self.hub.disk.restart();
        let before: Vec<String> = self.hub.held()?.into_values().flatten().collect();
        self.hub.restore(&backup)?;
        // What the devices were allowed to delete may be gone at any moment: an answer of before may still be on its way.
        let due_ms = self.clock.wall_ms() - RETENTION_MS;
        let kept = self.hub.held()?;
        let kept: BTreeSet<&String> = kept.values().flatten().collect();
        for text in &before {
            // Where room is short what is archived goes before its retention ends.
            let old = self.sent.get(text).is_some_and(|sent| sent.at_ms <= due_ms);
            if (old || self.perils.narrow) && !kept.contains(text) {
                self.owed.remove(text);
                self.forgiven.insert(text.clone());
            }
        }
        // The same of what says that something was given up.
        let told: BTreeSet<Dropped> = self.hub.reports()?.into_iter().collect();
        for text in self.dropped.keys() {
            let due = self.sent.get(text).is_some_and(|sent| sent.at_ms <= due_ms);
            if due && !kept.contains(text) && !self.is_dropped(text, &told) {
                self.owed.remove(text);
                self.forgiven.insert(text.clone());
            }
        }
        self.forgive(before)
    }

    /// What only the lost disk held is nobody's to deliver any more.
    pub(crate) fn forgive(&mut self, lost: Vec<String>) -> anyhow::Result<()> {
        let (there, reports) = (self.everywhere()?, self.reports()?);
        // With the disk it may also be gone that something was given up.
        let unsaid = self
            .dropped
            .keys()
            .filter(|text| !self.is_dropped(text, &reports));
        let unsaid: Vec<String> = unsaid.cloned().collect();
        for text in lost.into_iter().chain(unsaid) {
            if !there.contains(&text) {
                self.owed.remove(&text);
                self.forgiven.insert(text);
            }
        }
        Ok(())
    }

    /// The device has no room: low-priority events go, and what it says of that is noted.
    pub(crate) fn give_up(&mut self, edge: usize) -> anyhow::Result<()> {
        let bytes = *self.chance.pick(&[1_u64, 400, 100_000]);
        let device = &mut self.edges[edge];
        let held = |device: &Edge| -> anyhow::Result<_> {
            // By their places: what a lane held that was left stands in another one too.
            let mut texts = BTreeSet::new();
            for row in trenza_agent::tables::LOG.rows(&*device.disk) {
                let ((epoch, lane, first), chunk) = row?;
                for (entry, seq) in chunk.0.run.unpack()?.iter().zip(first..) {
                    texts.extend(text(entry)?.map(|text| (epoch, lane, seq, text)));
                }
            }
            let reports: BTreeSet<Dropped> = device.reports()?.into_iter().collect();
            Ok((texts, reports))
        };
        let (texts, reports) = held(device)?;
        let gone = device.give_up(bytes);
        // It may have died of it: what is there is seen when it starts again.
        self.after_deaths()?;
        let (texts_now, reports_now) = held(&self.edges[edge])?;
        let said: BTreeSet<Dropped> = reports_now.difference(&reports).copied().collect();
        let lost = texts.difference(&texts_now);
        let lost: Vec<String> = lost.map(|(.., text)| text.clone()).collect();
        anyhow::ensure!(
            lost.is_empty() || said.len() == 1,
            "device {edge} gave up {} events and said {said:?}",
            lost.len()
        );
        for text in &lost {
            anyhow::ensure!(lane_of(text).yields(), "device {edge} gave up {text}");
            self.dropped.entry(text.clone()).or_default().extend(&said);
        }
        self.fault(&format!(
            "device {edge} has no room: gives up {gone}, {} events",
            lost.len()
        ));
        Ok(())
    }

    /// The device's background work: small chunks become full frames.
    pub(crate) fn settle(&mut self, edge: usize) {
        let settled = self.edges[edge].settle().is_ok();
        self.note(&format!("device {edge} settles its log: {settled}"));
    }
}
