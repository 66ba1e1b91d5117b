//! Mounts of images that lie inside the firmware: behind a loop device, or behind a disk of the
//! configuration. What an image holds is unpacked, and the caller waits for it.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};

use rookery_images::{Format, HEAD, format};
use rookery_records::event::What;
use rustix::io::Errno;

use crate::files::devices::{self, Backing, Device};
use crate::files::image_mount::{Failure, Mounted, Wanted, id_of_node, mount_again, set_read_only};
use crate::files::mounting::{Kept, Key, Mounting};
use crate::guest::access::{
    Callers, HasDevices, HasImages, HasKept, HasMounts, HasNamespaces, HasPlan, Paths, Reports,
};
use crate::guest::tree::Found;
use crate::handlers::memory_file::memory_file;
use crate::kernel::{enter, paths};
use crate::models::contents;
use crate::process::call::{Action, Call};
use crate::process::path_arg::PathArg;
use crate::process::view;

/// What one image may hold in files.
const IMAGE_MAX: u64 = 256 << 20;

/// What mounting an image needs.
pub trait MountsImages:
    Reports + Paths + HasMounts + HasDevices + HasNamespaces + HasImages
{
}

impl<T> MountsImages for T where
    T: Reports + Paths + HasMounts + HasDevices + HasNamespaces + HasImages
{
}

/// An image that the source of a mount stands for.
#[derive(Debug)]
pub struct Image {
    file: File,
    offset: u64,
    /// The loop device that shows it, and whether nobody may write to that.
    device: Option<u32>,
    read_only: bool,
    format: Format,
}

/// How a type and an image go together.
#[derive(Debug, PartialEq, Eq)]
enum Fit {
    Mounts,
    /// It is an image of another type, or none.
    Refused,
    /// Nobody here can read it.
    Unknown,
}

fn fit(fstype: &str, format: Format) -> Fit {
    let is_ext = matches!(fstype, "ext2" | "ext3" | "ext4");
    let is_squashfs = fstype == "squashfs";
    match format {
        Format::Squashfs if is_squashfs => Fit::Mounts,
        Format::Ext if is_ext => Fit::Mounts,
        Format::Squashfs | Format::Ext => Fit::Refused,
        // A kernel of the firmware's maker may take it by any name.
        Format::Cpio | Format::Gzip | Format::Packed(_) if !is_ext && !is_squashfs => Fit::Mounts,
        Format::Other { .. } => Fit::Unknown,
        _ if is_ext || is_squashfs => Fit::Refused,
        _ => Fit::Unknown,
    }
}

/// The image behind the source of a mount, which is the first argument; `None` where a mount of
/// `fstype` is to seem to work only.
pub fn find<'a>(
    guest: &mut (impl MountsImages + HasPlan<'a> + HasKept),
    call: &Call,
    fstype: &str,
) -> Result<Option<Image>, Errno> {
    let Ok(path) = guest.path(call, PathArg::FIRST) else {
        return Ok(None);
    };
    let image = match guest.resolve(call, &path, true) {
        Ok(Found::Device(path, device)) => of_device(guest, &path, &device)?,
        // A file that the configuration has put into a device's place.
        Ok(Found::File(real, _)) if paths::is_below(&real, "/dev") => {
            let found = guest.view(call).ok_or(Errno::SRCH)?.find(&path)?;
            view::read(found).ok().map(|file| (file, 0, None, false))
        }
        _ => None,
    };
    let Some((mut file, offset, device, read_only)) = image else {
        return Ok(None);
    };
    let mut head = [0; HEAD];
    let length = rustix::io::pread(&file, &mut head, offset).unwrap_or(0);
    let format = format(head.get(..length).unwrap_or_default());
    match fit(fstype, format) {
        Fit::Unknown => Ok(None),
        Fit::Refused if device.is_none() => Ok(None),
        Fit::Refused => Err(Errno::INVAL),
        Fit::Mounts => {
            file.seek(SeekFrom::Start(offset))
                .map_err(|_| Errno::INVAL)?;
            Ok(Some(Image {
                file,
                offset,
                device,
                read_only,
                format,
            }))
        }
    }
}

type Behind = (File, u64, Option<u32>, bool);

/// What is behind a device: a file from an offset on, the loop device, whether it is only read.
fn of_device<'a>(
    guest: &mut (impl HasDevices + HasImages + HasPlan<'a> + HasKept),
    path: &str,
    device: &Device,
) -> Result<Option<Behind>, Errno> {
    match device.backing {
        Backing::Loop(number) => {
            let shown = guest.images().loops().get(number);
            let shown = shown.map_err(|_| Errno::IO)?.clone();
            let file = view::read(&*shown.file).map_err(|_| Errno::INVAL)?;
            let offset = shown.info.offset();
            Ok(Some((file, offset, Some(number), shown.is_read_only())))
        }
        Backing::Model(index) => {
            let file = match guest.kept().get(path) {
                Some(kept) => std::rc::Rc::clone(kept),
                None => match guest.devices().model(index) {
                    Some(model) => memory_file(path, contents(&model, 0).unwrap_or_default())?,
                    None => return Ok(None),
                },
            };
            Ok(view::read(&*file).ok().map(|file| (file, 0, None, false)))
        }
        Backing::Flash { block, number } => {
            let file = guest
                .devices()
                .flash()
                .open(block, number, libc::O_RDONLY)?;
            Ok(view::read(&*file).ok().map(|file| (file, 0, None, false)))
        }
        _ => Ok(None),
    }
}

/// What the caller asks for, in its words, and where that is.
pub struct Request<'a> {
    pub source: &'a str,
    pub target: &'a str,
    pub fstype: &'a str,
    pub read_only: bool,
    /// What is at the target.
    pub at: OwnedFd,
    pub real: String,
}

/// Mount an image. The caller waits, unless it was mounted before: then this gives `true`.
pub fn begin(
    guest: &mut impl MountsImages,
    call: &Call,
    image: Image,
    request: Request<'_>,
) -> Result<bool, Errno> {
    let changes = image.format == Format::Ext;
    if changes && image.read_only && !request.read_only {
        return Err(Errno::ACCESS);
    }
    let status = rustix::fs::fstat(&image.file)?;
    let when = (status.st_mtime, status.st_mtime_nsec);
    let key: Key = (devices::id(&status), status.st_size, when, image.offset);
    let read_only = request.read_only || !changes;
    if let Some(kept) = guest.images().take_kept(&key) {
        let device = rustix::fs::fstat(&kept.mount)?.st_dev;
        let mount = mount_again(&guest.namespaces(), &kept.mount, &request.at, read_only)?;
        let number = kept.image;
        let kept = Kept {
            image: number,
            mount,
        };
        guest.images().keep(key, kept);
        let (fstype, source) = (request.fstype, request.source);
        guest.mounts().images.name(number, fstype, source);
        note_device(guest, device, image.device);
        return Ok(true);
    }
    let mounting = Mounting {
        call: call.clone(),
        image: image.file,
        key,
        wanted: Wanted {
            at: request.at,
            image: guest.mounts().images.number(),
            read_only,
            lasts: changes,
        },
        source: request.source.to_owned(),
        fstype: request.fstype.to_owned(),
        target: request.target.to_owned(),
        real: request.real,
        device: image.device,
    };
    if !guest.images().wait(mounting) {
        return Err(Errno::NOMEM);
    }
    advance(guest);
    Ok(false)
}

fn note_device(guest: &mut impl HasImages, device: u64, number: Option<u32>) {
    if let Some(number) = number {
        guest.images().loops().mount(device, number);
    }
}

/// Unpack the next image, where none is being unpacked.
fn advance(guest: &mut impl MountsImages) {
    while let Some(mounting) = guest.images().next() {
        let table = guest.init().text("mountinfo").unwrap_or_default();
        let Some(most) = guest.mounts().room(Some(IMAGE_MAX), &table) else {
            end(guest, mounting, Err(Errno::NOMEM.into()));
            continue;
        };
        let namespaces = guest.namespaces();
        match guest.images().start(mounting, &namespaces, most) {
            Ok(()) => guest.mounts().promise(most),
            Err((mounting, failure)) => end(guest, *mounting, Err(failure)),
        }
    }
}

/// An image is unpacked, or cannot be.
pub fn unpacked(guest: &mut impl MountsImages) {
    if let Some((mounting, done)) = guest.images().take() {
        guest.mounts().promise(0);
        end(guest, mounting, done);
    }
    advance(guest);
}

/// Look after what is being unpacked.
pub fn tidy(guest: &mut impl MountsImages) {
    if let Some(mounting) = guest.images().tidy() {
        end(guest, mounting, Err(Errno::TIMEDOUT.into()));
    }
    if guest.images().done().is_none() {
        guest.mounts().promise(0);
        advance(guest);
    }
}

/// Answer who waits for a mount.
fn end(guest: &mut impl MountsImages, mounting: Mounting, done: Result<Mounted, Failure>) {
    let result = match done {
        Ok(mounted) => {
            take_over(guest, &mounting, mounted);
            Ok(())
        }
        Err(failure) => {
            let note = format!(
                "{} could not be mounted at {} as {}: {}",
                mounting.source.escape_debug(),
                mounting.target.escape_debug(),
                mounting.fstype,
                failure.why
            );
            guest.report_call(&mounting.call, What::Note(note.into()));
            Err(failure.errno())
        }
    };
    let Mounting {
        call,
        source,
        target,
        fstype,
        ..
    } = mounting;
    let what = What::Mount {
        source,
        target,
        fstype,
        result: result.err().map_or(0, |errno| -errno.raw_os_error()),
        faked: false,
    };
    guest.report_call(&call, what);
    call.answer(&result.map_or_else(Action::from, |()| Action::Return(0)));
}

fn take_over(guest: &mut impl MountsImages, mounting: &Mounting, mounted: Mounted) {
    let device = mounted.device;
    let image = mounting.wanted.image;
    guest.mounts().took(device, mounted.bytes);
    guest
        .mounts()
        .images
        .name(image, &mounting.fstype, &mounting.source);
    if let Some(mount) = mounted.kept {
        guest.mounts().detached(device);
        guest.images().keep(mounting.key, Kept { image, mount });
        guest.images().lasts(device);
    }
    for (node, inode) in mounted.nodes {
        if guest.devices().is_full() {
            break;
        }
        let path = paths::join(&mounting.real, node.path.trim_start_matches('/'));
        let numbers = (node.major, node.minor);
        let made = Device::node(node.block, numbers, node.mode);
        guest.devices().make(&path, made, id_of_node(device, inode));
    }
    note_device(guest, device, mounting.device);
}

/// Let an image that is mounted at `at` be written to, or not; other mounts stay as they are.
pub fn remount(
    guest: &mut (impl HasImages + HasNamespaces),
    at: &OwnedFd,
    read_only: bool,
) -> Result<(), Errno> {
    let device = paths::status(at.as_fd())?.st_dev;
    if guest.images().is_writable(device) {
        enter::run(&guest.namespaces(), || set_read_only(at, read_only))?;
    }
    Ok(())
}

/// The file system `device` was unmounted somewhere. Gives whether what it holds lasts.
pub fn unmounted(guest: &mut (impl Callers + HasImages), device: u64) -> bool {
    let table = guest.init().text("mountinfo").unwrap_or_default();
    let number = format!("{}:{}", libc::major(device), libc::minor(device));
    let is_there = |line: &str| line.split(' ').nth(2) == Some(number.as_str());
    if !table.lines().any(is_there) {
        guest.images().loops().unmount(device);
    }
    guest.images().is_writable(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_mounted_by_its_own_type_only() {
        let other = Format::Other {
            what: "a cramfs image",
            tool: "x",
        };
        for (fstype, format, expected) in [
            ("squashfs", Format::Squashfs, Fit::Mounts),
            ("ext3", Format::Squashfs, Fit::Refused),
            ("ext2", Format::Ext, Fit::Mounts),
            ("squashfs", Format::Ext, Fit::Refused),
            ("vendorfs", Format::Cpio, Fit::Mounts),
            ("squashfs", Format::Cpio, Fit::Refused),
            ("squashfs", Format::Unknown, Fit::Refused),
            ("cramfs", other, Fit::Unknown),
            ("vfat", Format::Unknown, Fit::Unknown),
        ] {
            assert_eq!(fit(fstype, format), expected, "{fstype} {format:?}");
        }
    }
}
