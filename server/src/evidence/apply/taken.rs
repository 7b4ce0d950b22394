//! What the entries of a record of the log say, before anything is asked of the tables.

use trenza_shared::{
    event::Event,
    id::AgentId,
    skew::Fact,
    wire::{
        Shape,
        dropped::Dropped,
        entry::{Entry, Open, What},
    },
};

use crate::tables::{Hop, OriginRow, Position, RecordRow, RejectedRow};

/// An entry of the log as it is taken in.
pub struct Taken {
    pub position: Position,
    pub agent: Option<AgentId>,
    /// Or why it is kept apart.
    pub what: Result<Said, RejectedRow>,
}

/// What an entry says.
pub enum Said {
    /// An event, and how it was taken in.
    Event(Box<Event>, Box<OriginRow>),
    /// A measurement in a boot of an agent.
    Clock(u64, Fact),
    /// What an agent gave up.
    Dropped(Dropped),
}

impl Taken {
    /// The entries of a record. One record that cannot be read must not keep the others waiting: it is kept apart, and its number says
    /// where it is.
    pub fn of(number: u64, record: &RecordRow) -> Vec<Self> {
        let agent = match &record.hop {
            Hop::Agent { agent, .. } => Some(*agent),
            Hop::Own | Hop::Import(_) => None,
        };
        let at = |index| Position {
            record: number,
            index,
        };
        match record.run.unpack() {
            Ok(entries) => {
                let one = |(entry, index)| Self {
                    position: at(index),
                    agent,
                    what: Said::of(entry, agent),
                };
                entries.iter().zip(0..).map(one).collect()
            }
            Err(error) => {
                tracing::error!(log.record = number, %error, "a record of the log cannot be read");
                vec![Self {
                    position: at(0),
                    agent,
                    what: Err(unreadable(&error)),
                }]
            }
        }
    }
}

impl Said {
    fn of(entry: &Entry, agent: Option<AgentId>) -> Result<Self, RejectedRow> {
        let open = Open::from_bytes(&entry.open).map_err(|error| unreadable(&error))?;
        match open.what {
            What::Rejected {
                code,
                reason,
                message_id,
            } => Err(RejectedRow {
                code,
                reason,
                message_id,
            }),
            What::Clock {
                server_ms,
                round_trip_ms,
            } => {
                let fact = Fact {
                    round_trip_ms,
                    boottime_ms: open.boottime_ms,
                    server_ms,
                };
                Ok(Self::Clock(open.boot, fact))
            }
            What::Dropped(dropped) => Ok(Self::Dropped(dropped)),
            What::Event(_) => {
                let text = entry.text().map_err(|error| unreadable(&error))?;
                let event = Event::stored(text.to_owned()).map_err(|error| unreadable(&error))?;
                let origin = OriginRow::new(open, agent);
                Ok(Self::Event(Box::new(event), Box::new(origin)))
            }
        }
    }
}

fn unreadable(error: &dyn ToString) -> RejectedRow {
    RejectedRow {
        code: "unreadable".into(),
        reason: error.to_string(),
        message_id: None,
    }
}
