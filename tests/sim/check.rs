//! What must be true after every step, and what at the end.

use std::collections::{BTreeMap, BTreeSet};

use trenza_shared::{event::Event, wire::dropped::Dropped};

use crate::world::World;

/// Hellos of each device after which there is nothing new: copies may yet have to part.
const IDLE_HELLOS: usize = 8;

impl World<'_> {
    /// All texts that any disk of the world holds.
    ///
    /// # Errors
    /// A disk fails.
    pub fn everywhere(&self) -> anyhow::Result<BTreeSet<String>> {
        let mut there: BTreeSet<String> = self.hub.held()?.into_values().flatten().collect();
        for edge in &self.edges {
            there.extend(edge.texts()?);
        }
        Ok(there)
    }

    /// What any disk of the world says was given up.
    ///
    /// # Errors
    /// A disk fails.
    pub fn reports(&self) -> anyhow::Result<BTreeSet<Dropped>> {
        let mut reports: BTreeSet<Dropped> = self.hub.reports()?.into_iter().collect();
        for edge in &self.edges {
            reports.extend(edge.reports()?);
        }
        Ok(reports)
    }

    /// Whether a text is within a range of which one of these reports says that it was given up.
    pub fn is_dropped(&self, text: &str, reports: &BTreeSet<Dropped>) -> bool {
        let said = self.dropped.get(text);
        said.is_some_and(|said| said.iter().any(|one| reports.contains(one)))
    }

    /// What must always be true.
    ///
    /// # Errors
    /// It is not.
    pub fn check_step(&self) -> anyhow::Result<()> {
        // What was acknowledged to a client is on the device or on the server: whatever crashed, whoever deleted.
        let (there, reports) = (self.everywhere()?, self.reports()?);
        for text in self.owed.keys() {
            anyhow::ensure!(
                there.contains(text) || self.is_dropped(text, &reports),
                "acknowledged, nowhere any more, and nobody says that it was dropped: {text}"
            );
        }
        // What a device counts as stored is stored, as long as the server has the history that it told of.
        for edge in &self.edges {
            let Some(link) = edge.link() else { continue };
            if link.told.generation != self.hub.generation() {
                continue;
            }
            for have in &link.told.lanes {
                let last = self.hub.lane_last(have.epoch, have.lane)?;
                anyhow::ensure!(
                    have.acked <= last && have.archived <= have.acked,
                    "device {} counts {} of {:?} in epoch {} as stored, of {last}",
                    edge.number,
                    have.acked,
                    have.lane,
                    have.epoch
                );
            }
        }
        Ok(())
    }

    /// What must be true once all is quiet.
    ///
    /// # Errors
    /// It is not.
    pub fn check_end(&mut self) -> anyhow::Result<()> {
        self.check_step()?;
        let held = self.hub.held()?;
        self.hub.verify_chains(&held)?;
        let mut stored: BTreeMap<&String, u64> = BTreeMap::new();
        for text in held.values().flatten() {
            anyhow::ensure!(
                self.sent.contains_key(text),
                "the server has what nobody sent: {text}"
            );
            *stored.entry(text).or_default() += 1;
        }
        let told: BTreeSet<Dropped> = self.hub.reports()?.into_iter().collect();
        for text in self.owed.keys() {
            anyhow::ensure!(
                stored.contains_key(text) || self.is_dropped(text, &told),
                "acknowledged, and at rest neither on the server nor told as dropped: {text}"
            );
        }
        // Once in the evidence, however often it came.
        let evidence = self.hub.evidence()?;
        anyhow::ensure!(
            evidence.len() == stored.len(),
            "{} events in the evidence, {} different ones stored",
            evidence.len(),
            stored.len()
        );
        for (text, times) in &stored {
            let id = Event::stored((*text).clone())?.id;
            anyhow::ensure!(
                evidence.get(&id) == Some(times),
                "stored {times} times, in the evidence {:?}: {text}",
                evidence.get(&id)
            );
        }
        // Within the life of a log, in the order in which its device took them in.
        let mut last: BTreeMap<_, u64> = BTreeMap::new();
        for ((agent, epoch, lane, seq), text) in &held {
            let origin = text.as_ref().and_then(|text| self.sent.get(text));
            let Some(origin) = origin.filter(|origin| origin.once) else {
                continue;
            };
            // Of a life with two branches the server may have the end of one before it knows the other.
            if origin.epoch != *epoch || self.branched.contains(&(origin.edge, *epoch)) {
                continue;
            }
            let before = last.insert((*agent, *epoch, *lane, origin.edge), origin.number);
            anyhow::ensure!(
                before.is_none_or(|before| before < origin.number),
                "{agent} epoch {epoch} {lane:?} {seq}: event {} comes after event {before:?}",
                origin.number
            );
        }
        // Without the ids of agents: a copy gets a random one.
        let mut summary: Vec<String> = held
            .iter()
            .map(|((_, epoch, lane, seq), text)| format!("{epoch} {lane:?} {seq} {text:?}"))
            .collect();
        summary.sort_unstable();
        self.note(&summary.join("\n"));
        Ok(())
    }

    /// Who has nothing new says only that.
    pub(crate) fn idle(&mut self) -> anyhow::Result<()> {
        let mut said = Vec::new();
        for _ in 0..IDLE_HELLOS {
            said.clear();
            for edge in 0..self.edges.len() {
                self.edges[edge].rest_is_over(true);
                while let Some(at) = self.first_call() {
                    said.push(self.net.calls()[at].request.uri().path().to_owned());
                    if self.arrive(at)? {
                        self.answer(at, false);
                    }
                }
            }
            if said.len() == self.edges.len() && said.iter().all(|path| path == "/sync/v1/pulse") {
                return Ok(());
            }
        }
        anyhow::bail!("with nothing new the devices say {said:?}")
    }
}
