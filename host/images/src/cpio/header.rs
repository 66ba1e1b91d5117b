//! Headers of entries, in each kind of archive (cpio(5), and the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst).

use std::io::Read;

use anyhow::{Context, Result, bail, ensure};

/// The longest name, with the zero that ends it.
const MAX_NAME: u64 = 4096;

/// What ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// What tells of an entry before its content.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub name: Vec<u8>,
    /// By device and inode: the same for all names of one file.
    pub file: (u64, u64),
    /// Type and permissions.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// How many names the file has.
    pub links: u32,
    /// Seconds since 1970.
    pub mtime: u32,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Bytes of content.
    pub size: u64,
    /// Bytes after the content that belong to nothing.
    pub padding: u64,
}

impl Header {
    pub(super) fn read(input: &mut impl Read) -> Result<Self> {
        let mark: [u8; 2] = bytes(input)?;
        match &mark {
            b"\xc7\x71" => Self::of_words(input, u16::from_le_bytes),
            b"\x71\xc7" => Self::of_words(input, u16::from_be_bytes),
            b"07" => match &bytes(input)? {
                b"0701" | b"0702" => Self::of_hexadecimals(input),
                b"0707" => Self::of_octals(input),
                other => bail!("an entry begins with 07{}", other.escape_ascii()),
            },
            other => bail!("an entry begins with {}", other.escape_ascii()),
        }
    }

    pub(super) fn is_trailer(&self) -> bool {
        self.name == TRAILER
    }

    /// `newc`, with and without checksums.
    fn of_hexadecimals(input: &mut impl Read) -> Result<Self> {
        let mut next = || number(&bytes::<8>(input)?, 16);
        let header = Self {
            file: (0, next()?.into()),
            mode: next()?,
            uid: next()?,
            gid: next()?,
            links: next()?,
            mtime: next()?,
            size: next()?.into(),
            ..Self::default()
        };
        let device = u64::from(next()?) << 32 | u64::from(next()?);
        let header = Self {
            file: (device, header.file.1),
            device: (next()?, next()?),
            ..header
        };
        let (name, _checksum) = (next()?, next()?);
        header.with_name(input, name.into(), 110, 4)
    }

    /// `odc`, of POSIX.
    fn of_octals(input: &mut impl Read) -> Result<Self> {
        let mut next = || number(&bytes::<6>(input)?, 8);
        let file = (next()?.into(), next()?.into());
        let [mode, uid, gid, links, device] = [next()?, next()?, next()?, next()?, next()?];
        let mtime = long(&bytes::<11>(input)?)?;
        let name = number(&bytes::<6>(input)?, 8)?;
        let header = Self {
            file,
            mode,
            uid,
            gid,
            links,
            // What lies beyond 2106 is no time at all.
            mtime: mtime.try_into().unwrap_or_default(),
            device: (device >> 8, device & 0xff),
            size: long(&bytes::<11>(input)?)?,
            ..Self::default()
        };
        header.with_name(input, name.into(), 0, 1)
    }

    /// What `cpio -o` makes without a format: words of 16 bits, of two the higher first.
    fn of_words(input: &mut impl Read, word: fn([u8; 2]) -> u16) -> Result<Self> {
        let mut next = || anyhow::Ok(u32::from(word(bytes(input)?)));
        let file = (next()?.into(), next()?.into());
        let [mode, uid, gid, links, device] = [next()?, next()?, next()?, next()?, next()?];
        let mtime = next()? << 16 | next()?;
        let name = next()?;
        let size = next()? << 16 | next()?;
        let header = Self {
            file,
            mode,
            uid,
            gid,
            links,
            mtime,
            device: (device >> 8, device & 0xff),
            size: size.into(),
            ..Self::default()
        };
        header.with_name(input, name.into(), 26, 2)
    }

    /// The name of `length` bytes comes after `before` bytes; what follows it and the content are
    /// aligned.
    fn with_name(
        self,
        input: &mut impl Read,
        length: u64,
        before: u64,
        alignment: u64,
    ) -> Result<Self> {
        ensure!(
            (1..=MAX_NAME).contains(&length),
            "the name of an entry has {length} bytes, and at most {MAX_NAME} can be"
        );
        let padding = |bytes: u64| bytes.next_multiple_of(alignment) - bytes;
        let mut name = Vec::new();
        let all = length + padding(before + length);
        input.take(all).read_to_end(&mut name)?;
        ensure!(name.len() as u64 == all, "it is cut off");
        let end = name.iter().position(|byte| *byte == 0);
        name.truncate(end.context("the name of an entry has no end")?);
        Ok(Self {
            name,
            padding: padding(self.size),
            ..self
        })
    }
}

fn bytes<const N: usize>(input: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).context("it is cut off")?;
    Ok(bytes)
}

fn number(digits: &[u8], radix: u32) -> Result<u32> {
    let number = str::from_utf8(digits)
        .ok()
        .and_then(|digits| u32::from_str_radix(digits, radix).ok());
    number.with_context(|| format!("an entry has the number {}", digits.escape_ascii()))
}

/// A number of more digits than 32 bits hold.
fn long(digits: &[u8]) -> Result<u64> {
    let number = str::from_utf8(digits)
        .ok()
        .and_then(|digits| u64::from_str_radix(digits, 8).ok());
    number.with_context(|| format!("an entry has the number {}", digits.escape_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/dev/console` in each kind, and the same of a file of 5 bytes.
    fn console() -> Header {
        Header {
            name: b"dev/console".to_vec(),
            file: (0x0801, 7),
            mode: 0o020_600,
            uid: 1,
            gid: 2,
            links: 1,
            mtime: 0x0001_0002,
            device: (5, 1),
            ..Header::default()
        }
    }

    fn words(big_endian: bool) -> Vec<u8> {
        let words = [
            0o070_707, 0x0801, 7, 0o020_600, 1, 2, 1, 0x0501, 1, 2, 12, 0, 0,
        ];
        let order = if big_endian {
            u16::to_be_bytes
        } else {
            u16::to_le_bytes
        };
        let header = words.into_iter().flat_map(order);
        header.chain(*b"dev/console\0").collect()
    }

    #[test]
    fn a_device_is_the_same_in_every_kind_of_archive() {
        let octal = format!(
            "070707{:06o}{:06o}{:06o}{:06o}{:06o}{:06o}{:06o}{:011o}{:06o}{:011o}dev/console\0",
            0x0801, 7, 0o020_600, 1, 2, 1, 0x0501, 0x0001_0002, 12, 0
        );
        let hexadecimal = format!(
            "070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}\
             dev/console\0\0\0",
            7, 0o020_600, 1, 2, 1, 0x0001_0002, 0, 0, 0x0801, 5, 1, 12, 0
        );
        for archive in [
            octal.as_bytes(),
            hexadecimal.as_bytes(),
            &words(false),
            &words(true),
        ] {
            let mut input = archive;
            assert_eq!(Header::read(&mut input).unwrap(), console());
            assert_eq!(input, b"", "all of it was read");
        }
    }

    #[test]
    fn what_is_damaged_is_refused_in_words() {
        for (archive, why) in [
            (&b"0707"[..], "cut off"),
            (b"070709", "begins with 070709"),
            (b"PK\x03\x04", "begins with PK"),
            (b"070701zzzzzzzz", "the number zzzzzzzz"),
            (&words(false)[..30], "cut off"),
        ] {
            let said = format!("{:#}", Header::read(&mut &archive[..]).unwrap_err());
            assert!(said.contains(why), "{said}");
        }
        let mut endless = words(false);
        endless[20..22].copy_from_slice(&0xffff_u16.to_le_bytes());
        let said = Header::read(&mut endless.as_slice()).unwrap_err();
        assert!(said.to_string().contains("65535 bytes"), "{said}");
    }
}
