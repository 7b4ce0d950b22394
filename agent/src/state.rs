//! The one `App`: what every part of the running agent shares.
//!
//! Owns nothing but the ties. Built in `app`, passed first, never a static.

use std::{collections::VecDeque, ops::Deref, path::PathBuf, sync::Arc};

use tokio::sync::{Mutex, Notify};
use trenza_shared::{
    clock::Clock,
    id::{BootId, to_hex},
    store::Store,
};

use crate::{
    config::Config, lan::Lan, link::LinkCell, log::Log, merge::Today, room::RoomCell,
    salvage::Salvage, time::KnownTime,
};

/// A handle to the running agent; clones share it.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What the handle leads to.
pub struct Parts {
    /// The settings.
    pub config: Config,
    /// Folder of the settings file.
    pub dir: PathBuf,
    /// The device's clocks.
    pub clock: Arc<dyn Clock>,
    /// This boot of the device.
    pub boot: BootId,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The log.
    pub log: Log,
    /// What is known of the server.
    pub link: Arc<LinkCell>,
    /// The venue's other agents; none when the settings do not ask for them.
    pub lan: Option<Arc<Lan>>,
    /// How much room there is for visits.
    pub room: Arc<RoomCell>,
    /// The day, folded.
    pub today: Today,
    /// Makes sync try at once.
    pub send_now: Arc<Notify>,
    /// Makes the store be looked after at once.
    pub mend: Arc<Notify>,
    /// What comes back out of damaged stores.
    pub salvage: Arc<Salvage>,
    /// Signs the forms of the kiosk. Kept over a restart, so that a form that was open meanwhile still saves its visit.
    pub form_key: [u8; 32],
    /// The visits saved last on the kiosk, against a second press of Save.
    pub saved_visits: Mutex<VecDeque<String>>,
}

impl App {
    /// Ties the parts together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// How the clock of this boot is known to run.
    pub fn time(&self) -> KnownTime {
        KnownTime::new(self.boot.number(), &self.link.told(), &*self.clock)
    }

    /// The same as the venue's agents agree, where there are any: what a day is, for people. Nothing is decided by it.
    pub fn shared_time(&self) -> KnownTime {
        self.lan
            .as_ref()
            .map_or_else(|| self.time(), |lan| lan.time())
    }

    /// What time it is, as far as is known. Unit: ms since 1970.
    pub fn now_ms(&self) -> i64 {
        self.time().now_ms(&*self.clock)
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Random bytes of the system; on a system without any the process cannot be safe, so it ends.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has a random source");
    bytes
}

/// A random number in 0..1.
pub fn random_unit() -> f64 {
    f64::from(u32::from_be_bytes(random())) / (f64::from(u32::MAX) + 1.0)
}

/// A random UUID (RFC 9562, version 4) as text.
pub fn random_uuid() -> String {
    let mut bytes: [u8; 16] = random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = to_hex(&bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_id_is_a_uuid() {
        let id = random_uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'4');
        assert_ne!(id, random_uuid());
        assert!((0.0..1.0).contains(&random_unit()));
    }
}
