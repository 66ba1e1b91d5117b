//! The file system of the models, as the kernel asks for it.

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, InitFlags, IoctlFlags, KernelConfig, LockOwner, OpenFlags, PollEvents, PollFlags,
    PollNotifier, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyOpen, ReplyPoll,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use crate::models::sent::Log;
use crate::models::tree::{Entry, Node, Tree};

/// Names never change. What a file holds does: its size is asked for each time.
const NAMES_LAST: Duration = Duration::from_secs(1 << 20);

/// What one write hands over at most: the kernel's own usual size (`fuse(4)`).
const WRITE_MAX: u32 = 128 << 10;

/// The files, as the kernel asks for them.
pub struct FileSystem {
    tree: Arc<Tree>,
    /// How many opens there were.
    opens: AtomicU64,
    sent: Arc<Log>,
}

impl FileSystem {
    /// Those of a tree; what is written to those that do not say what writing does is kept in
    /// `sent`.
    pub fn new(tree: Arc<Tree>, sent: Arc<Log>) -> Self {
        Self {
            tree,
            opens: AtomicU64::new(1),
            sent,
        }
    }

    fn entry(&self, inode: INodeNo) -> Result<Arc<Entry>, Errno> {
        match self.tree.node(inode.0).ok_or(Errno::ENOENT)? {
            Node::File(entry) => Ok(entry),
            Node::Directory => Err(Errno::EISDIR),
        }
    }

    fn attributes(&self, inode: INodeNo) -> Result<FileAttr, Errno> {
        let node = self.tree.node(inode.0).ok_or(Errno::ENOENT)?;
        let (kind, perm, size) = match node {
            Node::File(entry) => (FileType::RegularFile, 0o666, entry.model().size()),
            Node::Directory => (FileType::Directory, 0o755, 0),
        };
        Ok(FileAttr {
            ino: inode,
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    fn tell(&self, inode: INodeNo, reply: ReplyAttr) {
        match self.attributes(inode) {
            Ok(attributes) => reply.attr(&Duration::ZERO, &attributes),
            Err(errno) => reply.error(errno),
        }
    }
}

fn errno(errno: rustix::io::Errno) -> Errno {
    Errno::from_i32(errno.raw_os_error())
}

impl Filesystem for FileSystem {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Without it only private mappings work (Linux 6.6).
        let _ = config.add_capabilities(InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP);
        let _ = config.set_max_write(WRITE_MAX);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let known = self.tree.child(parent.0, name);
        match known.map(|inode| self.attributes(INodeNo(inode))) {
            Some(Ok(attributes)) => {
                let (names, sizes) = (NAMES_LAST, Duration::ZERO);
                reply.entry_with_ttls(&names, &sizes, &attributes, Generation(0));
            }
            Some(Err(errno)) => reply.error(errno),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.tell(inode, reply);
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        if let (Some(size), Ok(entry)) = (size, self.entry(inode)) {
            entry.model().truncate(size);
        }
        self.tell(inode, reply);
    }

    /// Each open has a number, by which a sequence tells them apart.
    fn open(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.entry(inode) {
            Ok(entry) => {
                let mut flags = FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_NOFLUSH;
                if entry.model().unseekable {
                    flags |= FopenFlags::FOPEN_NONSEEKABLE;
                }
                let number = self.opens.fetch_add(1, Ordering::Relaxed);
                reply.opened(FileHandle(number), flags);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = |entry: Arc<Entry>| {
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            entry.model().read(handle.0, offset, size).map_err(errno)
        };
        match self.entry(inode).and_then(read) {
            Ok(bytes) => reply.data(&bytes),
            Err(errno) => reply.error(errno),
        }
    }

    fn write(
        &self,
        request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let write = |entry: Arc<Entry>| {
            let mut model = entry.model();
            if model.lacks_writing() {
                self.sent.keep(entry.path(), request.pid(), data);
            }
            model.write(offset, data).map_err(errno)
        };
        match self.entry(inode).and_then(write) {
            Ok(count) => reply.written(u32::try_from(count).unwrap_or(u32::MAX)),
            Err(errno) => reply.error(errno),
        }
    }

    fn release(
        &self,
        _: &Request,
        inode: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        if let Ok(entry) = self.entry(inode) {
            entry.model().close(handle.0);
        }
        reply.ok();
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    /// The supervisor answers what it knows of.
    fn ioctl(
        &self,
        _: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        _flags: IoctlFlags,
        _command: u32,
        _data: &[u8],
        _room: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }

    fn poll(
        &self,
        _: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        notifier: PollNotifier,
        _events: PollEvents,
        flags: PollFlags,
        reply: ReplyPoll,
    ) {
        let entry = match self.entry(inode) {
            Ok(entry) => entry,
            Err(errno) => return reply.error(errno),
        };
        // Before it is asked, so that a tick in between is not lost.
        if flags.contains(PollFlags::FUSE_POLL_SCHEDULE_NOTIFY) && entry.interval().is_some() {
            entry.waiting().insert(notifier.handle().0, notifier);
        }
        let (readable, writable) = entry.model().ready();
        let mut events = PollEvents::empty();
        if readable {
            events |= PollEvents::POLLIN | PollEvents::POLLRDNORM;
        }
        if writable {
            events |= PollEvents::POLLOUT | PollEvents::POLLWRNORM;
        }
        reply.poll(events);
    }
}
