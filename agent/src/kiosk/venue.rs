//! The venue on the home page: what all its devices took in today, and which of them are near.

use std::collections::BTreeMap;

use trenza_shared::id::AgentId;

use super::words::Words;
use crate::{lan::members::Neighbour, state::App};

/// Most devices named on the page: more do not fit a small screen under the buttons.
const SHOWN_MAX: usize = 6;

/// What the page shows.
pub struct Venue {
    /// Its name and what was taken in there today.
    pub tally: String,
    /// Something is wrong here, and what.
    pub problem: String,
    /// The devices.
    pub devices: Vec<Device>,
    /// How many more there are; empty when all are shown.
    pub more: String,
}

/// Another device of the venue.
pub struct Device {
    /// Where it stands.
    pub place: String,
    /// It was heard lately.
    pub near: bool,
    /// What is said of it.
    pub state: String,
}

/// The venue as far as it is known here; none where the settings do not ask for one. Reads the disk.
pub fn of(app: &App, w: &Words, own: u64) -> Option<Venue> {
    let lan = app.lan.as_ref()?;
    let name = lan.credentials.venue();
    if name.is_empty() {
        return Some(Venue {
            tally: String::new(),
            problem: w.no_venue.into(),
            devices: Vec::new(),
            more: String::new(),
        });
    }
    let neighbours = lan.neighbours();
    Some(match lan.visits_today() {
        Ok(visits) => shown(w, &name, own, &neighbours, &visits),
        // A count that cannot be read must not keep the buttons from the staff.
        Err(error) => {
            tracing::warn!(error = %error, "the venue's count cannot be read");
            let mut venue = shown(w, &name, own, &neighbours, &BTreeMap::new());
            (venue.tally, venue.problem) = (String::new(), w.venue_unread.into());
            venue
        }
    })
}

fn shown(
    w: &Words,
    name: &str,
    own: u64,
    neighbours: &[Neighbour],
    visits: &BTreeMap<AgentId, u64>,
) -> Venue {
    let all = visits
        .values()
        .fold(own, |sum, one| sum.saturating_add(*one));
    let devices = neighbours.iter().take(SHOWN_MAX).map(|one| Device {
        place: if one.touchpoint.is_empty() {
            one.agent.to_string()
        } else {
            one.touchpoint.clone()
        },
        near: one.near,
        state: w.device(one.near, visits.get(&one.agent).copied().unwrap_or(0)),
    });
    Venue {
        tally: w.venue_tally(name, all),
        problem: if neighbours.iter().any(|one| one.near) {
            String::new()
        } else {
            w.nobody_near.into()
        },
        devices: devices.collect(),
        more: match neighbours.len().saturating_sub(SHOWN_MAX) {
            0 => String::new(),
            more => w.more_devices(more),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kiosk::Lang;

    fn neighbour(number: u8, near: bool) -> Neighbour {
        Neighbour {
            agent: AgentId([number; 16]),
            touchpoint: format!("Puerta {number}"),
            seen_ms: Some(1),
            near,
            revoked: false,
            carried_waiting: 0,
        }
    }

    #[test]
    fn the_venue_counts_all_its_devices_and_says_who_is_near() {
        let (es, en) = (Words::of(Lang::Es), Words::of(Lang::En));
        let visits = [(AgentId([1; 16]), 4), (AgentId([2; 16]), 1)].into();
        let two = [neighbour(1, true), neighbour(2, false)];
        let venue = shown(es, "Feria", 3, &two, &visits);
        assert_eq!(venue.tally, "Feria: 8 visitas hoy entre todos los equipos");
        assert_eq!(venue.problem, "");
        assert_eq!(venue.devices[0].state, "conectado · 4");
        assert_eq!(venue.devices[1].state, "sin noticias · 1");
        let alone = shown(en, "Fair", 1, &[], &BTreeMap::new());
        assert_eq!(alone.tally, "Fair: 1 visit today over all devices");
        assert_eq!(alone.problem, "No other device of the venue is in sight");
        let many: Vec<_> = (0..9).map(|number| neighbour(number, true)).collect();
        let venue = shown(en, "Fair", 0, &many, &BTreeMap::new());
        assert_eq!(
            (venue.devices.len(), venue.more.as_str()),
            (6, "and 3 more")
        );
    }
}
