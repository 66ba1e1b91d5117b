//! An ext2, ext3 or ext4 image. The crate reads it, also one that was not unmounted; what it does
//! not tell, the numbers of devices and which names are one file, is read beside it.

mod inodes;

use std::collections::{BTreeMap, HashMap};
use std::io::Write;

use anyhow::{Context, Result, ensure};
use ext4_view::{Ext4, Ext4Read, FileType, Metadata, PathBuf};

use self::inodes::{Inode, Inodes, ROOT};
use crate::source::Source;
use crate::tarball::{Entry, Meta, Tarball};

/// The longest path. One that is longer leads in a circle.
const MAX_PATH: usize = 4096;

impl Ext4Read for Source {
    fn read(
        &mut self,
        at: u64,
        to: &mut [u8],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync + 'static>> {
        Ok(self.read_exact_at(to, at)?)
    }
}

pub(crate) fn read(image: &Source, to: &mut Tarball<impl Write>) -> Result<()> {
    let filesystem = Ext4::load(Box::new(image.clone())).context(
        "its ext file system is damaged, cut off, or of a kind that is not read; extract it with \
         `debugfs -R 'rdump / DIR'` or `7z x`, and use the directory instead",
    )?;
    let mut walk = Walk {
        filesystem,
        inodes: Inodes::open(image).ok(),
        firsts: HashMap::new(),
        nameless: 0,
        to,
    };
    walk.all()?;
    if walk.nameless > 0 {
        let nameless = walk.nameless;
        to.warn(format!(
            "{nameless} device nodes are left out: the image was not unmounted, or has a structure \
             in which their numbers are not found"
        ));
    }
    Ok(())
}

struct Walk<'a, W: Write> {
    filesystem: Ext4,
    /// None where its structure is not one of the usual ones.
    inodes: Option<Inodes>,
    /// Where each file of several names came first.
    firsts: HashMap<u32, Vec<u8>>,
    /// Devices whose numbers are not known.
    nameless: u64,
    to: &'a mut Tarball<W>,
}

impl<W: Write> Walk<'_, W> {
    fn all(&mut self) -> Result<()> {
        let root = PathBuf::new("/");
        let meta = meta(&self.filesystem.metadata(&root)?);
        self.to.entry(b"", &meta, &Entry::Directory)?;
        let mut todo = vec![(root, Some(ROOT))];
        while let Some((dir, number)) = todo.pop() {
            ensure!(
                dir.as_ref().len() <= MAX_PATH,
                "its directories are nested too deep: it is damaged"
            );
            let numbers = self.numbers(number);
            for entry in self.filesystem.read_dir(&dir)? {
                let entry = entry?;
                let name = entry.file_name();
                if matches!(name.as_ref(), b"." | b"..") {
                    continue;
                }
                let path = entry.path();
                let shown = path.display().to_string();
                let metadata = entry.metadata().with_context(|| shown.clone())?;
                let number = numbers.get(name.as_ref()).copied();
                self.entry(&path, &metadata, number).context(shown)?;
                if metadata.is_dir() {
                    todo.push((path, number));
                }
            }
        }
        Ok(())
    }

    /// The inode of each name in a directory; none where they cannot be had.
    fn numbers(&self, dir: Option<u32>) -> BTreeMap<Vec<u8>, u32> {
        let numbers = self.inodes.as_ref().zip(dir);
        numbers
            .and_then(|(inodes, dir)| inodes.names(dir).ok())
            .unwrap_or_default()
    }

    fn entry(&mut self, path: &PathBuf, metadata: &Metadata, number: Option<u32>) -> Result<()> {
        let name = path.as_ref();
        let described = meta(metadata);
        // What was written since the journal began may stand elsewhere than it seems.
        let inode = number
            .zip(self.inodes.as_ref())
            .and_then(|(number, inodes)| inodes.inode(number).ok())
            .filter(|inode| inode.is(metadata.file_type()));
        match metadata.file_type() {
            FileType::Regular => self.file(path, metadata, number.zip(inode))?,
            FileType::Directory => self.to.entry(name, &described, &Entry::Directory)?,
            FileType::Symlink => {
                let target = self.filesystem.read_link(path)?;
                let link = Entry::Symlink(target.as_ref());
                self.to.entry(name, &described, &link)?;
            }
            FileType::Fifo => self.to.entry(name, &described, &Entry::Fifo)?,
            FileType::Socket => {
                let shown = path.display();
                self.to.warn(format!("{shown} is a socket and is left out"));
            }
            kind @ (FileType::BlockDevice | FileType::CharacterDevice) => {
                let Some((major, minor)) = inode.map(|inode| inode.device()) else {
                    self.nameless += 1;
                    return Ok(());
                };
                let device = Entry::Device {
                    block: kind.is_block_dev(),
                    major,
                    minor,
                };
                self.to.entry(name, &described, &device)?;
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &PathBuf,
        metadata: &Metadata,
        inode: Option<(u32, Inode)>,
    ) -> Result<()> {
        let name = path.as_ref();
        let described = meta(metadata);
        let several = inode.filter(|(_, inode)| inode.links > 1);
        let several = several.map(|(number, _)| number);
        if let Some(first) = several.and_then(|number| self.firsts.get(&number)) {
            let link = Entry::HardLink(first);
            return self.to.entry(name, &described, &link);
        }
        let mut content = self.filesystem.open(path)?;
        self.to
            .file(name, &described, metadata.len(), &mut content)?;
        if let Some(number) = several {
            self.firsts.insert(number, name.to_vec());
        }
        Ok(())
    }
}

fn meta(metadata: &Metadata) -> Meta {
    Meta {
        mode: metadata.mode().into(),
        uid: metadata.uid().into(),
        gid: metadata.gid().into(),
        mtime: metadata.modified().seconds().try_into().unwrap_or(0),
    }
}
