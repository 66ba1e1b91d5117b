//! What a process has mapped, from the text of its table (`proc_pid_maps(5)`).

use std::ops::Range;

/// The table's name in a directory of `/proc`.
pub const FILE: &str = "maps";

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping<'a> {
    /// Its addresses.
    pub range: Range<u64>,
    /// `rwxp`, each or `-`; `s` in the place of `p` where it is shared.
    pub rights: &'a str,
    /// Where in its file it begins.
    pub offset: u64,
    /// The file's number; 0 where there is none.
    pub inode: u64,
    /// The file's path, or what else it is (`[vdso]`); mostly empty where there is none.
    pub name: &'a str,
}

impl Mapping<'_> {
    /// Whether it is more than addresses that are set aside, as an emulator does it for its guest.
    pub fn is_used(&self) -> bool {
        !self.rights.starts_with("---p")
    }

    /// The address at which an offset of its file is.
    pub fn address(&self, offset: u64) -> Option<u64> {
        let address = self
            .range
            .start
            .checked_add(offset.checked_sub(self.offset)?)?;
        self.range.contains(&address).then_some(address)
    }
}

/// The lines of a table.
pub fn mappings(table: &str) -> impl Iterator<Item = Mapping<'_>> {
    table.lines().filter_map(mapping)
}

/// `7f2c8000-7f2ca000 rw-p 00002000 08:01 1234     /lib/libc.so.0`
fn mapping(line: &str) -> Option<Mapping<'_>> {
    let number = |hex| u64::from_str_radix(hex, 16).ok();
    let mut fields = line.splitn(6, ' ');
    let (low, high) = fields.next()?.split_once('-')?;
    let (rights, offset, _device) = (fields.next()?, fields.next()?, fields.next()?);
    Some(Mapping {
        range: number(low)?..number(high)?,
        rights,
        offset: number(offset)?,
        inode: fields.next()?.parse().ok()?,
        name: fields.next().unwrap_or_default().trim_start(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells_of_this_process_is_read_whole() {
        let table = std::fs::read_to_string("/proc/self/maps").unwrap();
        let all: Vec<_> = mappings(&table).collect();
        assert_eq!(all.len(), table.lines().count());
        let place = (&raw const all).addr() as u64;
        let stack = all.iter().find(|mapping| mapping.range.contains(&place));
        let stack = stack.unwrap();
        assert!(stack.rights.starts_with("rw") && stack.is_used() && stack.inode == 0);
        let own = std::env::current_exe().unwrap();
        let program = all
            .iter()
            .find(|mapping| Some(mapping.name) == own.to_str());
        let program = program.unwrap();
        assert!(program.inode != 0);
        assert_eq!(program.address(program.offset), Some(program.range.start));
    }

    #[test]
    fn names_may_have_spaces_and_what_is_no_mapping_is_left_out() {
        let table = "7f00-8f00 rw-s 00000100 00:01 2053   /dev/zero (deleted)\n\
                     9000-a000 ---p 00000000 00:00 0 \n\
                     b000-c000 rwxp 00000000 00:00 0\n\
                     \n\
                     x-y rw-p 00000000 00:00 0\n\
                     9000-a000 rw-p\n";
        let all: Vec<_> = mappings(table).collect();
        let names: Vec<_> = all.iter().map(|mapping| mapping.name).collect();
        assert_eq!(names, ["/dev/zero (deleted)", "", ""]);
        let [shared, aside, other] = all.try_into().unwrap();
        assert_eq!((shared.range.clone(), shared.inode), (0x7f00..0x8f00, 2053));
        assert!(shared.is_used() && !aside.is_used() && other.is_used());
        let addresses = [0xff, 0x100, 0x10ff, 0x1100].map(|offset| shared.address(offset));
        assert_eq!(addresses, [None, Some(0x7f00), Some(0x8eff), None]);
    }
}
