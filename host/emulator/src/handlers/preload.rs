//! How programs of the guest come to load the library that asks for NVRAM: each is told to at its
//! start (`LD_PRELOAD`, `ld.so(8)`), whatever its parent gave it, and finds it where only the
//! supervisor answers.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;

use crate::guest::access::{Callers, HasNvram};
use crate::handlers::memory_file;
use crate::process::call::{Action, Call};
use crate::process::view;
use crate::qemu::arch::Arch;
use crate::qemu::library::{Library, PATH};

/// Between two libraries.
const SEPARATORS: [u8; 2] = *b" :";
const VARIABLE: &[u8] = b"LD_PRELOAD=";

/// What a program's environment is without the library: what its parent, which was told to load it
/// too, has handed on is not the firmware's.
pub fn without(environment: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let words = |list: &'_ [u8]| -> Vec<Vec<u8>> {
        let words = list.split(|byte| SEPARATORS.contains(byte));
        words.map(<[u8]>::to_vec).collect()
    };
    let is_other = |word: &Vec<u8>| !word.is_empty() && word != PATH.as_bytes();
    let clean = |variable: Vec<u8>| {
        let Some(list) = variable.strip_prefix(VARIABLE) else {
            return Some(variable);
        };
        if !words(list).contains(&PATH.into()) {
            return Some(variable);
        }
        let others: Vec<_> = words(list).into_iter().filter(is_other).collect();
        (!others.is_empty()).then(|| [VARIABLE, &others.join(&b' ')].concat())
    };
    environment.into_iter().filter_map(clean).collect()
}

/// The environment of a program that loads the library before all others.
pub fn with(mut environment: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let own = [VARIABLE, PATH.as_bytes()].concat();
    let given = |variable: &&mut Vec<u8>| variable.starts_with(VARIABLE);
    match environment.iter_mut().find(given) {
        Some(variable) => match variable.get(VARIABLE.len()..) {
            Some(others) if !others.is_empty() => *variable = [&own, &b" "[..], others].concat(),
            _ => *variable = own,
        },
        None => environment.push(own),
    }
    environment
}

/// Bytes of a program that tell which libraries it loads.
const HEAD: usize = 4096;

/// The library for a program of this architecture: one file for all programs that it fits.
pub fn library(
    guest: &mut impl HasNvram,
    program: &OwnedFd,
    arch: &'static Arch,
) -> Option<Rc<OwnedFd>> {
    let mut head = [0_u8; HEAD];
    let length = rustix::io::pread(view::read(program).ok()?, &mut head, 0).ok()?;
    let library = Library::of(arch, head.get(..length)?)?;
    let nvram = guest.nvram();
    if let Some(file) = nvram.file(library) {
        return Some(file);
    }
    let file = memory_file::memory_file(PATH, &library.file(nvram.names())?).ok()?;
    nvram.keep_file(library, &file);
    Some(file)
}

/// A program opens the library: it gets one that its loader takes.
pub fn open(guest: &mut impl Callers, call: &Call, flags: i32) -> Action {
    let library = guest.caller(call).and_then(|record| record.library.clone());
    let file = library
        .ok_or(Errno::NOENT)
        .and_then(|file| memory_file::reopen(&file, libc::O_RDONLY));
    match file {
        Ok(fd) => Action::Give {
            fd,
            number: None,
            close_on_exec: flags & libc::O_CLOEXEC != 0,
        },
        Err(errno) => errno.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<u8>> {
        text.split(',').map(Into::into).collect()
    }

    #[test]
    fn the_library_comes_before_those_that_the_firmware_preloads() {
        for (given, told) in [
            ("A=1", "A=1,LD_PRELOAD=/.rookery/lib_inject.so"),
            (
                "LD_PRELOAD=/lib/a.so:/lib/b.so,A=1",
                "LD_PRELOAD=/.rookery/lib_inject.so /lib/a.so:/lib/b.so,A=1",
            ),
            ("LD_PRELOAD=", "LD_PRELOAD=/.rookery/lib_inject.so"),
        ] {
            assert_eq!(with(words(given)), words(told), "{given}");
        }
    }

    #[test]
    fn what_the_firmware_gave_a_program_is_told_without_it() {
        for (handed_on, given) in [
            ("A=1,LD_PRELOAD=/.rookery/lib_inject.so", "A=1"),
            (
                "LD_PRELOAD=/.rookery/lib_inject.so /lib/a.so:/lib/b.so",
                "LD_PRELOAD=/lib/a.so /lib/b.so",
            ),
            (
                "LD_PRELOAD=/lib/a.so:/lib/b.so",
                "LD_PRELOAD=/lib/a.so:/lib/b.so",
            ),
            ("LD_PRELOAD=,B=", "LD_PRELOAD=,B="),
        ] {
            assert_eq!(without(words(handed_on)), words(given), "{handed_on}");
        }
    }
}
