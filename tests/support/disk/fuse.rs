//! The kernel's requests, answered from the simulated disk.
//!
//! Owns the translation between FUSE and [`State`]. Nothing is cached by the kernel, so that a cut shows at once.

use std::{
    ffi::OsStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::{
    model::{Ino, Kind, Node},
    state::{State, Synced},
};

/// How long the kernel may believe what it was told: not at all.
const FRESH: Duration = Duration::ZERO;
/// Block of `statfs`. Unit: bytes.
const BLOCK: u32 = 512;
/// What `statfs` says of the whole. Unit: bytes.
const SIZE: u64 = 64 << 30;
/// `FALLOC_FL_KEEP_SIZE`: room is kept beyond the end of the file; it is not counted here.
const KEEP_SIZE: i32 = 1;
/// File type bits of `st_mode`, and a socket's.
const TYPE_BITS: u32 = 0o170_000;
const SOCKET_BITS: u32 = 0o140_000;

/// The file system; clones share the disk.
#[derive(Clone, Default)]
pub(super) struct Fuse {
    state: Arc<Mutex<State>>,
    held: Arc<Mutex<Vec<(Ino, ReplyEmpty)>>>,
}

impl Fuse {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers the fsyncs that were kept waiting.
    pub fn let_go(&self) {
        let held = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        for (ino, reply) in held {
            self.synced(ino, reply);
        }
    }

    fn synced(&self, ino: Ino, reply: ReplyEmpty) {
        let mut state = self.state();
        match state.sync(ino) {
            Synced::Done => reply.ok(),
            Synced::Failed(errno) => reply.error(errno),
            Synced::Hangs => self
                .held
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((ino, reply)),
        }
    }

    fn made(
        &self,
        folder: INodeNo,
        name: &OsStr,
        kind: Kind,
        mode: u32,
    ) -> Result<FileAttr, Errno> {
        let mut state = self.state();
        let ino = state.make(folder.0, name, kind, perm(mode))?;
        attr(&state, ino)
    }
}

fn perm(mode: u32) -> u16 {
    u16::try_from(mode & 0o7777).unwrap_or(0o600)
}

fn attr(state: &State, ino: Ino) -> Result<FileAttr, Errno> {
    let node: &Node = state.model.node(ino).ok_or(Errno::ENOENT)?;
    let size = node.bytes().len() as u64;
    let at: SystemTime = UNIX_EPOCH;
    Ok(FileAttr {
        ino: INodeNo(ino),
        size,
        blocks: size.div_ceil(u64::from(BLOCK)),
        atime: at,
        mtime: at,
        ctime: at,
        crtime: at,
        kind: match node.kind {
            Kind::File => FileType::RegularFile,
            Kind::Folder => FileType::Directory,
            Kind::Socket => FileType::Socket,
        },
        perm: node.perm,
        nlink: state.model.links(ino).max(1),
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    })
}

fn entry(reply: ReplyEntry, found: Result<FileAttr, Errno>) {
    match found {
        Ok(attr) => reply.entry(&FRESH, &attr, Generation(0)),
        Err(errno) => reply.error(errno),
    }
}

fn empty(reply: ReplyEmpty, done: Result<(), Errno>) {
    match done {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

impl Filesystem for Fuse {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let state = self.state();
        let found = state.model.find(parent.0, name).ok_or(Errno::ENOENT);
        entry(reply, found.and_then(|ino| attr(&state, ino)));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match attr(&self.state(), ino.0) {
            Ok(attr) => reply.attr(&FRESH, &attr),
            Err(errno) => reply.error(errno),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut state = self.state();
        if let Some(mode) = mode {
            state.model.set_perm(ino.0, perm(mode));
        }
        let resized = match size {
            Some(size) => state.resize(ino.0, usize::try_from(size).unwrap_or(usize::MAX)),
            None => Ok(()),
        };
        match resized.and_then(|()| attr(&state, ino.0)) {
            Ok(attr) => reply.attr(&FRESH, &attr),
            Err(errno) => reply.error(errno),
        }
    }

    fn mknod(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        let kind = if mode & TYPE_BITS == SOCKET_BITS {
            Kind::Socket
        } else {
            Kind::File
        };
        entry(reply, self.made(parent, name, kind, mode & !umask));
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        entry(reply, self.made(parent, name, Kind::Folder, mode & !umask));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let mut state = self.state();
        let alive = state.alive();
        if alive.is_ok() {
            state.model.unlink(parent.0, name);
        }
        empty(reply, alive);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let mut state = self.state();
        let found = state.model.find(parent.0, name);
        let holds = found.is_some_and(|ino| !state.model.list(ino).is_empty());
        let may = state
            .alive()
            .and(if holds { Err(Errno::ENOTEMPTY) } else { Ok(()) });
        if may.is_ok() {
            state.model.unlink(parent.0, name);
        }
        empty(reply, may);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mut state = self.state();
        let alive = state.alive();
        if alive.is_ok() {
            state.model.rename((parent.0, name), (newparent.0, newname));
        }
        empty(reply, alive);
    }

    fn link(
        &self,
        _: &Request,
        ino: INodeNo,
        newparent: INodeNo,
        newname: &OsStr,
        reply: ReplyEntry,
    ) {
        let mut state = self.state();
        let linked = state.alive().map(|()| {
            state.model.link(ino.0, newparent.0, newname);
        });
        entry(reply, linked.and_then(|()| attr(&state, ino.0)));
    }

    fn open(&self, _: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.state().model.open(ino.0);
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        match self.made(parent, name, Kind::File, mode & !umask) {
            Ok(attr) => {
                self.state().model.open(attr.ino.0);
                reply.created(
                    &FRESH,
                    &attr,
                    Generation(0),
                    FileHandle(0),
                    FopenFlags::FOPEN_DIRECT_IO,
                );
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let state = self.state();
        let Some(node) = state.model.node(ino.0) else {
            return reply.error(Errno::ENOENT);
        };
        let bytes = node.bytes();
        let from = usize::try_from(offset).map_or(bytes.len(), |at| at.min(bytes.len()));
        let to = (from + size as usize).min(bytes.len());
        reply.data(&bytes[from..to]);
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        match self.state().write(ino.0, at, data) {
            Ok(count) => reply.written(u32::try_from(count).unwrap_or(u32::MAX)),
            Err(errno) => reply.error(errno),
        }
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let mut state = self.state();
        let end = usize::try_from(offset + length).unwrap_or(usize::MAX);
        let size = state.model.node(ino.0).map_or(0, |node| node.bytes().len());
        let done = match mode {
            0 if end > size => state.resize(ino.0, end),
            0 | KEEP_SIZE => state.alive(),
            _ => Err(Errno::EOPNOTSUPP),
        };
        empty(reply, done);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _flags: OpenFlags,
        _lock: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.state().model.close(ino.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _data: bool, reply: ReplyEmpty) {
        self.synced(ino.0, reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _data: bool, reply: ReplyEmpty) {
        self.synced(ino.0, reply);
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let state = self.state();
        let own = [".", ".."].map(|name| (name.into(), ino.0));
        let names = own.into_iter().chain(state.model.list(ino.0));
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (at, (name, ino)) in names.enumerate().skip(from) {
            let kind = attr(&state, ino).map_or(FileType::RegularFile, |attr| attr.kind);
            if reply.add(INodeNo(ino), at as u64 + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let free = self.state().free() / u64::from(BLOCK);
        let all = SIZE / u64::from(BLOCK);
        reply.statfs(all, free, free, 1 << 20, 1 << 20, BLOCK, 255, BLOCK);
    }
}
