//! A disk with its faults: how full it is, what fails, when its power goes.
//!
//! Owns what the kernel's requests and the test's controls both change. Pure: answers go back to the kernel elsewhere.

use fuser::Errno;

use super::model::{Ino, Kind, Model};

/// Which requests a fault meets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// Writing bytes or making room.
    Write,
    /// fsync of a file or a folder.
    Sync,
    /// Both.
    Any,
}

/// A disk's own failures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// EIO.
    Broken,
    /// ENOSPC, wherever there may be room.
    Full,
}

impl Failure {
    fn errno(self) -> Errno {
        match self {
            Self::Broken => Errno::EIO,
            Self::Full => Errno::ENOSPC,
        }
    }
}

/// Which moment of an fsync.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Nothing of it is on the disk for sure.
    Before,
    /// All of it is, and nobody was told.
    After,
}

/// The disk as it was at a sync point.
#[derive(Clone, Debug)]
pub struct Image {
    /// Number of the fsync, from 1.
    pub sync: u64,
    /// Before it or after it.
    pub side: Side,
    pub(super) model: Model,
}

/// What was done to the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Requests to write.
    pub writes: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// fsyncs of files and folders.
    pub syncs: u64,
}

struct Every {
    nth: u64,
    op: Op,
    failure: Failure,
    met: u64,
}

/// What becomes of an fsync.
pub(super) enum Synced {
    Done,
    Failed(Errno),
    /// It gets its answer when the disk moves again.
    Hangs,
}

/// The disk and what goes wrong with it.
#[derive(Default)]
pub(super) struct State {
    pub model: Model,
    pub counters: Counters,
    /// Bytes that all files together may have.
    pub capacity: Option<u64>,
    every: Option<Every>,
    pub hangs: bool,
    /// The power is off: this was the disk when it went.
    pub dark: Option<Model>,
    cut_at: Option<(u64, Side)>,
    /// Where every sync point is kept.
    pub images: Option<Vec<Image>>,
}

impl State {
    pub fn fail_every(&mut self, nth: u64, op: Op, failure: Failure) {
        self.every = (nth > 0).then_some(Every {
            nth,
            op,
            failure,
            met: 0,
        });
    }

    pub fn cut_at(&mut self, sync: u64, side: Side) {
        self.cut_at = Some((sync, side));
    }

    pub fn free(&self) -> u64 {
        const PLENTY: u64 = 64 << 30;
        self.capacity
            .unwrap_or(PLENTY)
            .saturating_sub(self.model.used())
    }

    /// Anything but reading: refused while the power is off.
    pub fn alive(&self) -> Result<(), Errno> {
        self.dark.as_ref().map_or(Ok(()), |_| Err(Errno::EIO))
    }

    fn meets(&mut self, op: Op) -> Result<(), Errno> {
        self.alive()?;
        let Some(every) = &mut self.every else {
            return Ok(());
        };
        if every.op != Op::Any && every.op != op {
            return Ok(());
        }
        every.met += 1;
        if every.met.is_multiple_of(every.nth) {
            return Err(every.failure.errno());
        }
        Ok(())
    }

    /// Writes what there is room for, and says how much that was.
    pub fn write(&mut self, ino: Ino, at: usize, bytes: &[u8]) -> Result<usize, Errno> {
        self.meets(Op::Write)?;
        let size = self.model.node(ino).ok_or(Errno::ENOENT)?.bytes().len();
        let grows = (at + bytes.len()).saturating_sub(size);
        let room = usize::try_from(self.free()).unwrap_or(usize::MAX);
        let fits = bytes.len() - grows.saturating_sub(room).min(bytes.len());
        if fits == 0 && !bytes.is_empty() {
            return Err(Errno::ENOSPC);
        }
        self.model.write(ino, at, &bytes[..fits]);
        self.counters.writes += 1;
        self.counters.bytes_written += fits as u64;
        Ok(fits)
    }

    pub fn resize(&mut self, ino: Ino, size: usize) -> Result<(), Errno> {
        self.meets(Op::Write)?;
        let old = self.model.node(ino).ok_or(Errno::ENOENT)?.bytes().len();
        if size.saturating_sub(old) as u64 > self.free() {
            return Err(Errno::ENOSPC);
        }
        self.model.resize(ino, size);
        Ok(())
    }

    /// A new name costs room too, though none is counted: a full disk makes no new files.
    pub fn make(
        &mut self,
        folder: Ino,
        name: &std::ffi::OsStr,
        kind: Kind,
        perm: u16,
    ) -> Result<Ino, Errno> {
        self.meets(Op::Write)?;
        if self.free() == 0 {
            return Err(Errno::ENOSPC);
        }
        Ok(self.model.make(folder, name, kind, perm))
    }

    pub fn sync(&mut self, ino: Ino) -> Synced {
        if self.hangs {
            return Synced::Hangs;
        }
        if let Err(errno) = self.alive() {
            return Synced::Failed(errno);
        }
        let number = self.counters.syncs + 1;
        self.moment(number, Side::Before);
        if let Err(errno) = self.meets(Op::Sync) {
            self.model.fail_sync(ino);
            return Synced::Failed(errno);
        }
        self.counters.syncs = number;
        match self.model.node(ino).map(|node| node.kind) {
            Some(Kind::Folder) => self.model.sync_folder(ino),
            Some(_) => self.model.sync_file(ino),
            None => return Synced::Failed(Errno::ENOENT),
        }
        self.moment(number, Side::After);
        match self.alive() {
            Ok(()) => Synced::Done,
            Err(errno) => Synced::Failed(errno),
        }
    }

    fn moment(&mut self, sync: u64, side: Side) {
        if let Some(images) = &mut self.images {
            images.push(Image {
                sync,
                side,
                model: self.model.clone(),
            });
        }
        if self.cut_at == Some((sync, side)) {
            self.cut_at = None;
            self.dark = Some(self.model.clone());
        }
    }

    /// The power comes back: the disk as the cut left it.
    pub fn restore(&mut self, seed: u64) {
        let at = self.dark.take().unwrap_or_else(|| self.model.clone());
        self.show(&at, seed);
    }

    pub fn show(&mut self, at: &Model, seed: u64) {
        self.model = at.after_cut(seed).numbered_after(&self.model);
        (self.cut_at, self.dark) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::model::ROOT;

    fn with_file() -> (State, Ino) {
        let mut state = State::default();
        let ino = state.make(ROOT, "a".as_ref(), Kind::File, 0o644).unwrap();
        (state, ino)
    }

    #[test]
    fn a_full_disk_takes_what_fits_and_overwrites() {
        let (mut state, ino) = with_file();
        state.capacity = Some(5);
        assert_eq!(state.write(ino, 0, b"1234567"), Ok(5));
        assert_eq!(state.write(ino, 5, b"67"), Err(Errno::ENOSPC));
        assert_eq!(state.write(ino, 0, b"abc"), Ok(3));
        assert_eq!(state.free(), 0);
    }

    #[test]
    fn every_third_write_fails_and_syncs_do_not_count() {
        let (mut state, ino) = with_file();
        state.fail_every(3, Op::Write, Failure::Broken);
        let mut results = Vec::new();
        for _ in 0..6 {
            assert!(matches!(state.sync(ino), Synced::Done));
            results.push(state.write(ino, 0, b"x").is_ok());
        }
        assert_eq!(results, [true, true, false, true, true, false]);
    }

    #[test]
    fn a_cut_at_a_sync_lets_nothing_through_until_the_power_is_back() {
        for (side, kept) in [(Side::Before, false), (Side::After, true)] {
            let (mut state, ino) = with_file();
            assert!(matches!(state.sync(ROOT), Synced::Done));
            state.write(ino, 0, b"x").unwrap();
            state.cut_at(2, side);
            assert!(matches!(state.sync(ino), Synced::Failed(_)));
            assert!(state.write(ino, 0, b"y").is_err());
            let always = (0..50).all(|seed| {
                let mut after = State {
                    dark: state.dark.clone(),
                    ..State::default()
                };
                after.restore(seed);
                after.model.node(ino).unwrap().bytes() == b"x"
            });
            assert_eq!(always, kept, "{side:?}");
        }
    }
}
