//! What cannot be delivered: entries that the server refuses for good, and parts of the log that cannot be read.
//!
//! Each is kept aside with its reason and told in the next hello, so that it neither holds back the acknowledgement of what follows
//! nor is sent at every talk. It is tried again when the server or this program is another version than the one that refused it, or
//! when a person asks to send now: nothing else makes the answer another one.

use trenza_shared::{
    id::{Epoch, Lane, Seq},
    store::{Batch, Direction, Durable, Key as _, Range, Store, StoreError, Value as _, View},
    wire::{
        Shape as _,
        frame::Frame,
        sync::{Ack, KEPT_MAX, Kept},
    },
};

use super::{Sender, blocking, plan::Stretch, uplink::TalkError};
use crate::{
    log::chunks_change,
    tables::{ChunkRow, KEPT, KEPT_BYTES, KeptRow, LOG},
};

/// This program's version.
pub const PROGRAM: &str = env!("CARGO_PKG_VERSION");
/// Code of a part of the log that cannot be read.
pub const UNREADABLE: &str = "unreadable";
/// Most entries that are kept aside, so that all of them are told; further ones stay in the log, and hold up the acknowledgement of
/// what follows them there.
pub const ROWS_MAX: usize = KEPT_MAX;
/// Longest reason that is kept. Unit: characters.
const REASON_CHARS_MAX: usize = 300;
/// Most chunks moved aside at once; further ones are found by the next talk.
const SET_ASIDE_MAX: usize = 64;
/// Chunks looked at in one go. Few, since each may have the size of a frame.
const PAGE_CHUNKS: usize = 16;

/// A key and row of what is kept.
pub type One = ((Epoch, Lane, Seq), KeptRow);

/// All that is kept aside.
///
/// # Errors
/// The store cannot be read.
pub fn all(view: &dyn View) -> Result<Vec<One>, StoreError> {
    KEPT.scan(view, None, None, Direction::Forward, ROWS_MAX)
}

/// Whether the answer may be another one now.
fn is_due(row: &KeptRow, server: &str, asked: bool) -> bool {
    row.code != UNREADABLE && (asked || row.program != PROGRAM || row.server != server)
}

/// As it is told to the server: neighbours of one reason in one run.
fn told(rows: &[One]) -> Vec<Kept> {
    let mut runs: Vec<Kept> = Vec::new();
    for ((epoch, lane, first), row) in rows {
        match runs.last_mut() {
            Some(open)
                if (open.epoch, open.lane) == (*epoch, *lane)
                    && open.last + 1 == *first
                    && open.code == row.code =>
            {
                open.last = row.last;
            }
            _ => runs.push(Kept {
                epoch: *epoch,
                lane: *lane,
                first: *first,
                last: row.last,
                code: row.code.clone(),
            }),
        }
    }
    runs.truncate(KEPT_MAX);
    runs
}

/// Moves chunks of the log that cannot be decoded out of it, each with what is known of it; says how many. At most
/// `SET_ASIDE_MAX`, the first ones.
///
/// # Errors
/// The store itself cannot be read or written: that is damage of another kind.
pub fn set_aside(store: &dyn Store, now_ms: i64) -> Result<usize, StoreError> {
    let _alone = chunks_change();
    let mut from = Vec::new();
    let mut batch = Batch::new();
    let mut open: Option<((Epoch, Lane, Seq), KeptRow)> = None;
    let mut count = 0;
    loop {
        let page = store.scan(
            LOG.space(),
            Range::starting(&from),
            Direction::Forward,
            PAGE_CHUNKS,
        )?;
        let full = page.len() == PAGE_CHUNKS;
        for (raw, value) in page {
            from.clone_from(&raw);
            from.push(0);
            let Some(key) = <(Epoch, Lane, Seq)>::decode(&raw) else {
                continue;
            };
            if let Some((at, mut row)) = open.take() {
                // It reached up to the next chunk of its lane, or nobody knows how far.
                if (at.0, at.1) == (key.0, key.1) {
                    row.last = key.2.saturating_sub(1).max(at.2);
                }
                KEPT.put(&mut batch, &at, &row)?;
            }
            let broken = match ChunkRow::decode(&value) {
                Ok(ChunkRow(chunk)) => match chunk.run.unpack() {
                    Ok(entries) if entries.len() == chunk.count as usize => None,
                    Ok(entries) => Some((
                        chunk.last(),
                        format!(
                            "it says {} entries and holds {}",
                            chunk.count,
                            entries.len()
                        ),
                    )),
                    Err(error) => Some((chunk.last(), error.to_string())),
                },
                Err(reason) => Some((key.2, reason)),
            };
            if let Some((last, reason)) = broken
                && count < SET_ASIDE_MAX
            {
                tracing::error!(log.epoch = key.0, log.lane = ?key.1, log.first = key.2, error = %reason, "a part of the log cannot be read: it is kept aside, the rest is sent");
                let row = KeptRow {
                    last,
                    code: UNREADABLE.into(),
                    reason: reason.chars().take(REASON_CHARS_MAX).collect(),
                    at_ms: now_ms,
                    program: PROGRAM.into(),
                    server: String::new(),
                };
                KEPT_BYTES.put(&mut batch, &key, &value)?;
                batch.delete(LOG.space(), raw);
                open = Some((key, row));
                count += 1;
            }
        }
        if !full || count == SET_ASIDE_MAX {
            break;
        }
    }
    if let Some((at, row)) = open {
        KEPT.put(&mut batch, &at, &row)?;
    }
    if count > 0 {
        store.commit(batch, Durable::Yes)?;
    }
    Ok(count)
}

impl Sender {
    /// What is not to be sent, and how it is told.
    pub(super) async fn kept(&self) -> Result<(Vec<Stretch>, Vec<Kept>), TalkError> {
        let store = self.log.store().clone();
        let rows = blocking(move || all(&*store)).await?;
        let stretches = rows.iter().map(|((epoch, lane, first), row)| Stretch {
            epoch: *epoch,
            lane: *lane,
            first: *first,
            last: row.last,
        });
        Ok((stretches.collect(), told(&rows)))
    }

    /// The server will never take this entry: it is kept aside, the others go on. False where that is no news, or too
    /// many are.
    pub(super) async fn keep(&self, frame: &Frame, error: &TalkError) -> Result<bool, TalkError> {
        let (code, reason) = match error {
            TalkError::Refused { code, message, .. } => (code.clone(), message.clone()),
            other => (String::new(), other.to_string()),
        };
        metrics::counter!("trenza_agent_refused_entries_total").increment(u64::from(frame.count));
        tracing::error!(log.epoch = frame.epoch, log.lane = ?frame.lane, log.first = frame.first, log.last = frame.last(), error = %error, "the server refuses an entry of the log; it is kept on this device, the others are sent");
        let row = KeptRow {
            last: frame.last(),
            code,
            reason: reason.chars().take(REASON_CHARS_MAX).collect(),
            at_ms: self.now_ms(),
            program: PROGRAM.into(),
            server: self.link.told().program.clone(),
        };
        let bytes = frame.to_bytes();
        let (store, key) = (
            self.log.store().clone(),
            (frame.epoch, frame.lane, frame.first),
        );
        blocking(move || {
            if all(&*store)?.len() >= ROWS_MAX {
                return Ok::<_, StoreError>(false);
            }
            let known = KEPT.get(&*store, &key)?.is_some();
            let mut batch = Batch::new();
            KEPT.put(&mut batch, &key, &row)?;
            KEPT_BYTES.put(&mut batch, &key, &bytes)?;
            store.commit(batch, Durable::Yes)?;
            Ok(!known)
        })
        .await
    }

    /// Tries again what the server may take now. What it takes is kept no longer.
    pub(super) async fn try_kept_again(&mut self) -> Result<(), TalkError> {
        let asked = std::mem::take(&mut self.asked);
        let server = self.link.told().program.clone();
        let store = self.log.store().clone();
        let rows = blocking(move || all(&*store)).await?;
        for (key, row) in rows
            .into_iter()
            .filter(|(_, row)| is_due(row, &server, asked))
        {
            let store = self.log.store().clone();
            let bytes = blocking(move || KEPT_BYTES.get(&*store, &key)).await?;
            let frame = bytes.and_then(|bytes| Frame::from_bytes(&bytes).ok());
            // What a copy held under another id was appended again under its own.
            let Some(frame) = frame.filter(|frame| frame.agent == self.log.agent()) else {
                continue;
            };
            let answer = self.uplink.frame(&frame, self.around.instance).await;
            let taken = match answer {
                Ok(Ack::Stored(have)) => {
                    self.acknowledged(have).await?;
                    true
                }
                Ok(Ack::Gap(_) | Ack::Fork(_)) => false,
                Err(error) if error.refuses_content() => false,
                Err(error) => return Err(error),
            };
            let store = self.log.store().clone();
            let again = KeptRow {
                program: PROGRAM.into(),
                server: server.clone(),
                ..row
            };
            blocking(move || {
                let mut batch = Batch::new();
                if taken {
                    KEPT.delete(&mut batch, &key);
                    KEPT_BYTES.delete(&mut batch, &key);
                } else {
                    KEPT.put(&mut batch, &key, &again)?;
                }
                store.commit(batch, Durable::Yes)
            })
            .await?;
            if taken {
                tracing::info!(log.epoch = key.0, log.lane = ?key.1, log.seq = key.2, "the server took an entry that it had refused");
                // What is told is not so any more.
                self.said = None;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use trenza_shared::{
        id::AgentId,
        store::MemStore,
        wire::entry::{CHAIN_START, Entry, SaltRoot},
    };

    use super::*;

    fn row(last: Seq, code: &str) -> KeptRow {
        KeptRow {
            last,
            code: code.into(),
            reason: "why".into(),
            at_ms: 1,
            program: PROGRAM.into(),
            server: "1.0.0".into(),
        }
    }

    #[test]
    fn it_is_tried_again_only_where_something_changed() {
        let refused = row(7, "bad_frame");
        assert!(!is_due(&refused, "1.0.0", false));
        assert!(is_due(&refused, "1.0.1", false));
        assert!(is_due(&refused, "1.0.0", true));
        let older = KeptRow {
            program: "0.0.1".into(),
            ..refused
        };
        assert!(is_due(&older, "1.0.0", false));
        assert!(!is_due(&row(7, UNREADABLE), "1.0.1", true));
    }

    #[test]
    fn neighbours_are_told_as_one_run_and_not_more_than_a_hello_holds() {
        let at = |seq| (1, Lane::Visits, seq);
        let rows = [
            (at(3), row(3, "a")),
            (at(4), row(6, "a")),
            (at(7), row(7, "b")),
            (at(9), row(9, "b")),
        ];
        let runs: Vec<_> = told(&rows)
            .iter()
            .map(|run| (run.first, run.last))
            .collect();
        assert_eq!(runs, [(3, 6), (7, 7), (9, 9)]);
        let many: Vec<_> = (0..KEPT_MAX as u64 + 9)
            .map(|n| (at(2 * n), row(2 * n, "a")))
            .collect();
        assert_eq!(told(&many).len(), KEPT_MAX);
    }

    #[test]
    fn a_chunk_that_cannot_be_decoded_is_moved_aside_and_the_others_stay() {
        let store = MemStore::new();
        let mut batch = Batch::new();
        for seq in [1, 5, 9] {
            let salt = SaltRoot([1; 32]).block_key(1, Lane::Visits, seq);
            let entry = Entry {
                open: vec![1],
                personal: vec![0],
            };
            let (agent, lane) = (AgentId([1; 16]), Lane::Visits);
            let frame = Frame::seal(agent, 1, lane, seq, CHAIN_START, salt, &[entry]);
            LOG.put(&mut batch, &(1, Lane::Visits, seq), &ChunkRow(frame))
                .unwrap();
        }
        store.commit(batch, Durable::Yes).unwrap();
        let (key, _) = store
            .scan(LOG.space(), Range::ALL, Direction::Forward, 3)
            .unwrap()
            .swap_remove(1);
        let mut batch = Batch::new();
        batch.put(LOG.space(), key, b"nonsense".to_vec());
        store.commit(batch, Durable::Yes).unwrap();
        assert_eq!(set_aside(&store, 7).unwrap(), 1);
        assert_eq!(set_aside(&store, 8).unwrap(), 0);
        let left: Vec<Seq> = LOG.rows(&store).map(|row| row.unwrap().0.2).collect();
        assert_eq!(left, [1, 9]);
        let kept = all(&store).unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!((kept[0].0.2, kept[0].1.last, kept[0].1.at_ms), (5, 8, 7));
        let bytes = KEPT_BYTES.get(&store, &kept[0].0).unwrap();
        assert_eq!(bytes.as_deref(), Some(&b"nonsense"[..]));
    }
}
