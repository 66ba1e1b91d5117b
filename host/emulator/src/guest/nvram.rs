//! The guest's NVRAM: one for all its programs, which lasts as long as the run.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rookery_records::event::NvramOrigin;

use crate::guest::nvram_area::Area;
use crate::qemu::library::Library;

/// The longest key.
pub const KEY_MAX: usize = 512;
/// The longest value.
pub const VALUE_MAX: usize = 64 << 10;
/// What all of it takes: an NVRAM holds less.
const BYTES_MAX: usize = 4 << 20;
/// What an entry takes beyond its key and value.
const ENTRY: usize = 64;

/// Keys, each with its value and where that is from.
type Values = BTreeMap<Vec<u8>, (Vec<u8>, NvramOrigin)>;

/// The values, and what they are set back to.
#[derive(Debug, Default)]
pub struct Nvram {
    values: Values,
    initial: Values,
    bytes: usize,
    /// Programs are given the library that asks for them.
    is_asked: bool,
    /// Further names of the library's functions.
    names: Vec<(String, String)>,
    /// The library's files that programs have asked for.
    files: HashMap<Library, Rc<OwnedFd>>,
    /// What programs map that ask a driver, once one did.
    area: Option<Area>,
}

impl Nvram {
    /// With `values` and where each is from, of which the first of a key counts. `is_asked` is
    /// whether programs are given the library, and `names` which further names its functions have.
    pub fn new<'a>(
        values: impl IntoIterator<Item = (&'a str, &'a str, NvramOrigin)>,
        is_asked: bool,
        names: Vec<(String, String)>,
    ) -> Self {
        let mut nvram = Self {
            is_asked,
            names,
            ..Self::default()
        };
        for (key, value, origin) in values {
            if !nvram.values.contains_key(key.as_bytes()) {
                nvram.put(key.as_bytes(), value.as_bytes(), origin);
            }
        }
        nvram.initial = nvram.values.clone();
        nvram
    }

    /// Whether programs are given the library that asks for values.
    pub fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// Further names of the library's functions.
    pub fn names(&self) -> &[(String, String)] {
        &self.names
    }

    /// The file of a library that some program has asked for before.
    pub fn file(&self, library: Library) -> Option<Rc<OwnedFd>> {
        self.files.get(&library).map(Rc::clone)
    }

    /// Keep the file of a library for others.
    pub fn keep_file(&mut self, library: Library, file: &Rc<OwnedFd>) {
        self.files.insert(library, Rc::clone(file));
    }

    /// What programs map that ask a driver, once one did.
    pub fn area(&mut self) -> &mut Option<Area> {
        &mut self.area
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.values.get(key).map(|(value, _)| value.as_slice())
    }

    /// Where the value of a key is from.
    pub fn origin(&self, key: &[u8]) -> Option<NvramOrigin> {
        self.values.get(key).map(|(_, origin)| origin.clone())
    }

    /// A program of the guest gives a key a value. `false` where there is no room for it.
    pub fn set(&mut self, key: &[u8], value: &[u8]) -> bool {
        self.put(key, value, NvramOrigin::Guest)
    }

    fn put(&mut self, key: &[u8], value: &[u8], origin: NvramOrigin) -> bool {
        if key.is_empty() || key.len() > KEY_MAX || value.len() > VALUE_MAX {
            return false;
        }
        let before = self.get(key).map_or(0, |value| size(key, value));
        let bytes = self.bytes - before + size(key, value);
        if bytes > BYTES_MAX {
            return false;
        }
        self.bytes = bytes;
        self.values.insert(key.to_vec(), (value.to_vec(), origin));
        true
    }

    /// Remove a key; whether it was there.
    pub fn unset(&mut self, key: &[u8]) -> bool {
        let removed = self.values.remove(key);
        if let Some((value, _)) = &removed {
            self.bytes -= size(key, value);
        }
        removed.is_some()
    }

    /// Remove all.
    pub fn clear(&mut self) {
        self.values.clear();
        self.bytes = 0;
    }

    /// As it was when the run started.
    pub fn reset(&mut self) {
        self.values = self.initial.clone();
        self.bytes = self
            .values
            .iter()
            .map(|(key, (value, _))| size(key, value))
            .sum();
    }

    /// `key=value`, each with a NUL, as many as have room in `most` bytes.
    pub fn all(&self, most: usize) -> Vec<u8> {
        let mut all = Vec::new();
        for (key, (value, _)) in &self.values {
            if all.len() + key.len() + value.len() + 2 > most {
                break;
            }
            for part in [key.as_slice(), b"=", value.as_slice(), b"\0"] {
                all.extend_from_slice(part);
            }
        }
        all
    }
}

fn size(key: &[u8], value: &[u8]) -> usize {
    key.len() + value.len() + ENTRY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_of_a_key_counts_and_comes_back() {
        let firmware = || NvramOrigin::Firmware("/etc/nvram.default".into());
        let given = [
            ("lan", "configured", NvramOrigin::Configuration),
            ("wan", "x", firmware()),
            ("lan", "firmware's", firmware()),
        ];
        let mut nvram = Nvram::new(given, true, Vec::new());
        assert_eq!(nvram.origin(b"lan"), Some(NvramOrigin::Configuration));
        assert_eq!(nvram.origin(b"wan"), Some(firmware()));
        assert_eq!(nvram.get(b"lan"), Some(&b"configured"[..]));
        assert!(nvram.set(b"lan", b"new") && nvram.set(b"own", b""));
        assert_eq!(nvram.origin(b"lan"), Some(NvramOrigin::Guest));
        nvram.unset(b"wan");
        assert_eq!(nvram.all(100), b"lan=new\0own=\0");
        assert_eq!(nvram.all(9), b"lan=new\0");
        nvram.reset();
        assert_eq!(nvram.all(100), b"lan=configured\0wan=x\0");
        assert_eq!(nvram.origin(b"lan"), Some(NvramOrigin::Configuration));
        nvram.clear();
        assert_eq!((nvram.get(b"lan"), nvram.bytes), (None, 0));
    }

    #[test]
    fn it_holds_no_more_than_an_nvram_does() {
        let mut nvram = Nvram::default();
        let value = vec![b'v'; VALUE_MAX];
        assert!(!nvram.set(b"", b"v") && !nvram.set(&[b'k'; KEY_MAX + 1], b"v"));
        assert!(!nvram.set(b"k", &[&value[..], b"v"].concat()));
        let fit = (0_u32..).take_while(|n| nvram.set(&n.to_ne_bytes(), &value));
        assert_eq!(fit.count(), BYTES_MAX / (4 + VALUE_MAX + ENTRY));
        assert!(nvram.set(&0_u32.to_ne_bytes(), b"less") && nvram.set(b"another", b"v"));
    }
}
