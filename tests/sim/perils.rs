//! What goes wrong with programs and disks: deaths, failing commits, older images, copies, backups.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
};

use trenza_shared::{
    clock::Clock as _,
    store::{Fault, FaultyStore},
};

use crate::{
    edge::RETENTION_HOURS,
    world::{Image, World},
};

/// How long archived events stay on a simulated device. Unit: ms.
const RETENTION_MS: i64 = RETENTION_HOURS as i64 * 3_600_000;

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
            let due = self.sent.get(text).is_some_and(|sent| sent.at_ms <= due_ms);
            if due && !kept.contains(text) {
                self.owed.remove(text);
                self.forgiven.insert(text.clone());
            }
        }
        self.forgive(before)
    }

    /// What only the lost disk held is nobody's to deliver any more.
    pub(crate) fn forgive(&mut self, lost: Vec<String>) -> anyhow::Result<()> {
        let there = self.everywhere()?;
        for text in lost {
            if !there.contains(&text) {
                self.owed.remove(&text);
                self.forgiven.insert(text);
            }
        }
        Ok(())
    }

    /// The device's background work: small chunks become full frames.
    pub(crate) fn settle(&mut self, edge: usize) {
        let settled = self.edges[edge].settle().is_ok();
        self.note(&format!("device {edge} settles its log: {settled}"));
    }
}
