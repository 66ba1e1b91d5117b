//! The memory in which this program itself is.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

/// Give back the pages of the program's text and constants: what is needed again comes from the
/// file's cache again, several pages a fault. Of a program as large as this one, what started a run
/// and a boot is most of what a process holds, and little of it is needed later.
pub fn give_back() {
    // SAFETY: the callback gets what it is declared with, and keeps nothing of it.
    unsafe { libc::dl_iterate_phdr(Some(of_first), std::ptr::null_mut()) };
}

/// Of the first object, which is the program.
unsafe extern "C" fn of_first(info: *mut libc::dl_phdr_info, _: usize, _: *mut c_void) -> c_int {
    const END: c_int = 1;
    // SAFETY: the dynamic loader gives a description that is valid during the call.
    let info = unsafe { &*info };
    // SAFETY: the loader says how many headers there are.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let page = rustix::param::page_size();
    for header in headers {
        let is_written = header.p_flags & libc::PF_W != 0;
        let bounds = (
            usize::try_from(info.dlpi_addr + header.p_vaddr),
            usize::try_from(header.p_memsz),
        );
        if let (libc::PT_LOAD, false, (Ok(begin), Ok(length))) = (header.p_type, is_written, bounds)
        {
            let into_page = begin % page;
            let first = std::ptr::without_provenance_mut(begin - into_page);
            // SAFETY: these pages are a file's, mapped by the loader so that nobody writes to them:
            // what they hold is the same when they are read again.
            unsafe { libc::madvise(first, length + into_page, libc::MADV_DONTNEED) };
        }
    }
    END
}

#[cfg(test)]
mod tests {
    use super::*;

    static TEXT: &str = "constants are what they were";

    /// Kilobytes of files that this process has mapped and in memory.
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssFile:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.unwrap().parse().unwrap()
    }

    #[test]
    fn a_program_goes_on_with_less_of_itself_in_memory() {
        let before = resident();
        give_back();
        let after = resident();
        assert!(after < before, "{after} KiB of {before}");
        assert_eq!(TEXT, ["constants are", "what they were"].join(" "));
    }
}
