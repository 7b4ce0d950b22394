//! What a disk holds now, and what of it would survive a power cut.
//!
//! Owns the difference between the two: writes until the file's fsync, names until the folder's. Pure: no kernel, no clock.
//! Stricter than common file systems: a file's fsync keeps its bytes and not its name (POSIX promises no more).

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    sync::Arc,
};

use crate::day::Chance;

/// Number of a file or folder.
pub type Ino = u64;
/// The folder at the top.
pub const ROOT: Ino = 1;
/// What a disk writes whole: a torn write is kept or lost by pieces of this size. Unit: bytes.
pub const SECTOR: usize = 512;

/// A name in a folder.
type Name = (Ino, OsString);
type Names = BTreeMap<Name, Ino>;

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A socket.
    Socket,
}

/// A file, a folder or a socket.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub perm: u16,
    live: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    pending: Vec<Change>,
}

/// A change of a file's bytes that was not synced yet.
#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Arc<[u8]> },
    Resize(usize),
}

/// A change of names that was not synced yet.
#[derive(Clone, Debug)]
enum NameChange {
    Put(Name, Ino),
    Remove(Name),
    Move(Name, Name),
}

impl NameChange {
    fn names(&self) -> impl Iterator<Item = &Name> {
        let (one, two) = match self {
            Self::Put(name, _) | Self::Remove(name) => (name, None),
            Self::Move(from, to) => (from, Some(to)),
        };
        std::iter::once(one).chain(two)
    }

    fn apply(&self, names: &mut Names) {
        match self {
            Self::Put(name, ino) => {
                names.insert(name.clone(), *ino);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Move(from, to) => {
                if let Some(ino) = names.remove(from) {
                    names.insert(to.clone(), ino);
                }
            }
        }
    }
}

/// The whole disk. Cloning is cheap: bytes are shared until written.
#[derive(Clone, Debug)]
pub struct Model {
    nodes: BTreeMap<Ino, Node>,
    live: Names,
    durable: Names,
    pending: Vec<NameChange>,
    opens: BTreeMap<Ino, u32>,
    next: Ino,
}

impl Default for Model {
    fn default() -> Self {
        let root = Node::new(Kind::Folder, 0o755);
        Self {
            nodes: BTreeMap::from([(ROOT, root)]),
            live: Names::new(),
            durable: Names::new(),
            pending: Vec::new(),
            opens: BTreeMap::new(),
            next: ROOT + 1,
        }
    }
}

impl Node {
    fn new(kind: Kind, perm: u16) -> Self {
        Self {
            kind,
            perm,
            live: Arc::default(),
            durable: Arc::default(),
            pending: Vec::new(),
        }
    }

    /// Its bytes, as programs see them.
    pub fn bytes(&self) -> &[u8] {
        &self.live
    }

    fn change(&mut self, change: Change) {
        change.apply(Arc::make_mut(&mut self.live));
        self.pending.push(change);
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => put(to, *at, bytes),
            Self::Resize(size) => to.resize(*size, 0),
        }
    }

    /// What a power cut leaves of it.
    fn cut(&self, to: &mut Vec<u8>, chance: &mut Chance) {
        match (self, chance.below(3)) {
            (_, 0) => {}
            (Self::Write { at, bytes }, 1) => {
                // Pieces end where sectors of the file end, not where the write does.
                let mut from = 0;
                while from < bytes.len() {
                    let to_end = SECTOR - (at + from) % SECTOR;
                    let end = (from + to_end).min(bytes.len());
                    if chance.happens(0.5) {
                        put(to, at + from, &bytes[from..end]);
                    }
                    from = end;
                }
                if chance.happens(0.5) && to.len() < at + bytes.len() {
                    to.resize(at + bytes.len(), 0); // the new length came through, the bytes did not
                }
            }
            _ => self.apply(to),
        }
    }
}

/// Writes over and past the end, with zeros in between.
fn put(to: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[at..end].copy_from_slice(bytes);
}

impl Model {
    /// A node, whatever its name.
    pub fn node(&self, ino: Ino) -> Option<&Node> {
        self.nodes.get(&ino)
    }

    /// What `name` in `folder` leads to.
    pub fn find(&self, folder: Ino, name: &OsStr) -> Option<Ino> {
        self.live.get(&(folder, name.to_owned())).copied()
    }

    /// Names in a folder.
    pub fn list(&self, folder: Ino) -> Vec<(OsString, Ino)> {
        self.live
            .range((folder, OsString::new())..(folder + 1, OsString::new()))
            .map(|((_, name), ino)| (name.clone(), *ino))
            .collect()
    }

    /// Names that lead to a node.
    pub fn links(&self, ino: Ino) -> u32 {
        u32::try_from(self.live.values().filter(|one| **one == ino).count()).unwrap_or(u32::MAX)
    }

    /// Bytes of all files that have a name or are open. Unit: bytes.
    pub fn used(&self) -> u64 {
        let named: BTreeSet<Ino> = self.live.values().copied().collect();
        let counts = |ino: &Ino| named.contains(ino) || self.opens.contains_key(ino);
        self.nodes
            .iter()
            .filter(|(ino, _)| counts(ino))
            .map(|(_, node)| node.live.len() as u64)
            .sum()
    }

    /// Makes a node with a name; a name that was there leads to the new one.
    pub fn make(&mut self, folder: Ino, name: &OsStr, kind: Kind, perm: u16) -> Ino {
        let ino = self.next;
        self.next += 1;
        self.nodes.insert(ino, Node::new(kind, perm));
        self.link(ino, folder, name);
        ino
    }

    /// Gives a node one more name.
    pub fn link(&mut self, ino: Ino, folder: Ino, name: &OsStr) {
        self.rename_by(NameChange::Put((folder, name.to_owned()), ino));
    }

    /// Takes a name away.
    pub fn unlink(&mut self, folder: Ino, name: &OsStr) {
        self.rename_by(NameChange::Remove((folder, name.to_owned())));
    }

    /// Moves a name, over another if there is one.
    pub fn rename(&mut self, from: (Ino, &OsStr), to: (Ino, &OsStr)) {
        let own = |(folder, name): (Ino, &OsStr)| (folder, name.to_owned());
        self.rename_by(NameChange::Move(own(from), own(to)));
    }

    fn rename_by(&mut self, change: NameChange) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    /// Writes bytes; false when there is no such file.
    pub fn write(&mut self, ino: Ino, at: usize, bytes: &[u8]) -> bool {
        self.change(
            ino,
            Change::Write {
                at,
                bytes: bytes.into(),
            },
        )
    }

    /// Cuts or lengthens with zeros; false when there is no such file.
    pub fn resize(&mut self, ino: Ino, size: usize) -> bool {
        self.change(ino, Change::Resize(size))
    }

    fn change(&mut self, ino: Ino, change: Change) -> bool {
        let node = self.nodes.get_mut(&ino);
        node.map(|node| node.change(change)).is_some()
    }

    /// Changes permission bits.
    pub fn set_perm(&mut self, ino: Ino, perm: u16) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.perm = perm;
        }
    }

    /// A program opened it.
    pub fn open(&mut self, ino: Ino) {
        *self.opens.entry(ino).or_default() += 1;
    }

    /// A program closed it.
    pub fn close(&mut self, ino: Ino) {
        if let Some(count) = self.opens.get_mut(&ino) {
            *count -= 1;
            if *count == 0 {
                self.opens.remove(&ino);
            }
        }
    }

    /// Files that programs have open.
    pub fn open_files(&self) -> usize {
        self.opens.len()
    }

    /// fsync of a file: its bytes survive from now on.
    pub fn sync_file(&mut self, ino: Ino) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            for change in std::mem::take(&mut node.pending) {
                change.apply(Arc::make_mut(&mut node.durable));
            }
        }
    }

    /// A failed fsync: the system shows the bytes on and forgets that they are not on the disk, as Linux does.
    pub fn fail_sync(&mut self, ino: Ino) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.pending.clear();
        }
    }

    /// fsync of a folder: its names survive from now on.
    pub fn sync_folder(&mut self, folder: Ino) {
        let (now, later) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|change| change.names().any(|(at, _)| *at == folder));
        self.pending = later;
        for change in now {
            change.apply(&mut self.durable);
        }
        self.forget_unreachable();
    }

    /// Everything survives from now on, as after `sync`.
    pub fn sync_all(&mut self) {
        let all: Vec<Ino> = self.nodes.keys().copied().collect();
        for ino in all {
            self.sync_file(ino);
        }
        self.durable = self.live.clone();
        self.pending.clear();
        self.forget_unreachable();
    }

    fn forget_unreachable(&mut self) {
        let mut kept: BTreeSet<Ino> = BTreeSet::from([ROOT]);
        kept.extend(self.live.values().chain(self.durable.values()));
        kept.extend(self.opens.keys());
        for change in &self.pending {
            if let NameChange::Put(_, ino) = change {
                kept.insert(*ino);
            }
        }
        self.nodes.retain(|ino, _| kept.contains(ino));
    }

    /// The disk after the power went and came back: what was synced, and of the rest what chance kept whole, tore or lost.
    pub fn after_cut(&self, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        // Some cuts lose or keep everything: each alone is a state that random choices hardly reach.
        let (none, all) = (chance.happens(0.15), chance.happens(0.15));
        let mut names = self.durable.clone();
        let mut lost: BTreeSet<&Name> = BTreeSet::new();
        for change in &self.pending {
            // A later change of a name does not survive an earlier one of the same name.
            let possible = !change.names().any(|name| lost.contains(name));
            if possible && !none && (all || chance.happens(0.5)) {
                change.apply(&mut names);
            } else {
                lost.extend(change.names());
            }
        }
        let mut nodes = self.nodes.clone();
        for node in nodes.values_mut() {
            let mut bytes = (*node.durable).clone();
            for change in node.pending.drain(..) {
                if all {
                    change.apply(&mut bytes);
                } else if !none {
                    change.cut(&mut bytes, &mut chance);
                }
            }
            node.live = Arc::new(bytes);
            node.durable = node.live.clone();
        }
        let mut model = Self {
            nodes,
            live: names.clone(),
            durable: names,
            pending: Vec::new(),
            opens: BTreeMap::new(),
            next: self.next,
        };
        model.forget_unreachable();
        model
    }

    /// Numbers of nodes never come again, so that the kernel mistakes none for an older one.
    pub fn numbered_after(mut self, other: &Self) -> Self {
        self.next = self.next.max(other.next);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(model: &mut Model, name: &str, bytes: &[u8]) -> Ino {
        let ino = model.make(ROOT, name.as_ref(), Kind::File, 0o644);
        assert!(model.write(ino, 0, bytes));
        ino
    }

    #[test]
    fn what_was_synced_survives_every_cut_and_what_was_not_survives_some() {
        let mut model = Model::default();
        let kept = file(&mut model, "kept", b"kept");
        model.sync_file(kept);
        model.sync_folder(ROOT);
        let long = [7; 3 * SECTOR];
        file(&mut model, "maybe", &long);
        model.write(kept, 4, b" and more");
        let (mut there, mut absent, mut torn) = (0, 0, 0);
        for seed in 0..500 {
            let after = model.after_cut(seed);
            let ino = after.find(ROOT, "kept".as_ref()).unwrap();
            assert!(after.node(ino).unwrap().bytes().starts_with(b"kept"));
            match after.find(ROOT, "maybe".as_ref()) {
                None => absent += 1,
                Some(ino) if after.node(ino).unwrap().bytes() == long => there += 1,
                Some(_) => torn += 1,
            }
        }
        assert!(
            there > 20 && absent > 20 && torn > 20,
            "{there} {absent} {torn}"
        );
    }

    #[test]
    fn a_file_without_its_folders_sync_may_lose_its_name() {
        let mut model = Model::default();
        let ino = file(&mut model, "a", b"1");
        model.sync_file(ino);
        let named =
            (0..99).filter(|seed| model.after_cut(*seed).find(ROOT, "a".as_ref()).is_some());
        assert!((10..90).contains(&named.count()));
    }

    #[test]
    fn a_rename_is_whole_or_not_at_all() {
        let mut model = Model::default();
        let old = file(&mut model, "a", b"old");
        model.sync_file(old);
        model.sync_folder(ROOT);
        let new = file(&mut model, "a.next", b"new");
        model.sync_file(new);
        model.rename((ROOT, "a.next".as_ref()), (ROOT, "a".as_ref()));
        let mut seen = BTreeSet::new();
        for seed in 0..99 {
            let after = model.after_cut(seed);
            let ino = after.find(ROOT, "a".as_ref()).unwrap();
            seen.insert(after.node(ino).unwrap().bytes().to_vec());
        }
        assert_eq!(seen, BTreeSet::from([b"old".to_vec(), b"new".to_vec()]));
    }

    #[test]
    fn after_a_failed_sync_a_later_one_does_not_bring_the_bytes_back() {
        let mut model = Model::default();
        let ino = file(&mut model, "a", b"1");
        model.sync_folder(ROOT);
        model.fail_sync(ino);
        model.sync_file(ino);
        assert_eq!(model.node(ino).unwrap().bytes(), b"1");
        let after = model.after_cut(1);
        assert_eq!(after.node(ino).unwrap().bytes(), b"");
    }
}
