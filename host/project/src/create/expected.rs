//! What firmware expects of the system that it is started on, as Penguin's own init adds it: the
//! library that stands before a program's own, and directories and files that a flash chip's other
//! partitions, or a vendor's own init, would have had.

use serde_json::{Map, Value, json};

use crate::Result;
use crate::firmware::Image;
use crate::firmware::tree::{Content, Entry, Tree, Unresolved, name, parent};

/// Directories that programs write to without making them.
const DIRECTORIES: [&str; 20] = [
    "proc",
    "etc_ro",
    "tmp",
    "var",
    "run",
    "sys",
    "root",
    "tmp/var",
    "tmp/media",
    "tmp/etc",
    "tmp/var/run",
    "tmp/home",
    "tmp/home/root",
    "tmp/mnt",
    "tmp/opt",
    "tmp/www",
    "var/run",
    "var/lock",
    "usr/bin",
    "usr/sbin",
];

/// Files that keep a shell or a button's daemon from what it is for.
const UNWANTED: [&str; 2] = ["etc/securetty", "etc/scripts/sys_resetbutton"];

/// The longest table of hosts that is kept.
const HOSTS_BYTES: usize = 4 << 10;

/// The patches, by name; those with nothing in them are left out.
pub(super) fn patches(image: &Image) -> Result<Vec<(&'static str, Value)>> {
    let files = |files: Map<String, Value>| json!({ "static_files": files });
    let mut patches = Vec::new();
    let links = preloaded(image)?;
    if !links.is_empty() {
        patches.push((
            "lib_inject.core",
            json!({ "static_files": links, "env": { "LD_PRELOAD": "lib_inject.so" } }),
        ));
    }
    for (name, found) in [
        ("static.missing_dirs", directories(&image.tree)),
        ("static.missing_files", missing_files(image)?),
        ("static.delete_files", unwanted(&image.tree)),
    ] {
        if !found.is_empty() {
            patches.push((name, files(found)));
        }
    }
    Ok(patches)
}

/// Beside each C library a link to the library that Penguin injects, of the same ABI: there a
/// program's own dynamic linker looks for it.
fn preloaded(image: &Image) -> Result<Map<String, Value>> {
    let mut links = Map::new();
    let libraries = image
        .tree
        .iter()
        .filter(|(path, _)| name(path).starts_with(b"libc.so"));
    for (path, _) in libraries {
        let Some((_, entry)) = image.tree.follow(path) else {
            continue;
        };
        let header = image.read(entry, 0, 64)?;
        let (Some(dir), Some(abi)) = (plain(parent(path)), abi(&header)) else {
            continue;
        };
        links.insert(
            format!("{}/lib_inject.so", dir.trim_end_matches('/')),
            json!({ "type": "symlink", "target": format!("/igloo/lib_inject_{abi}.so") }),
        );
    }
    Ok(links)
}

/// Penguin's name for the calling convention of a library, by its ELF header.
fn abi(header: &[u8]) -> Option<&'static str> {
    const HARD_FLOAT: u32 = 0x400;
    const ABI2: u32 = 0x20;
    if !header.starts_with(b"\x7fELF") {
        return None;
    }
    let wide = *header.get(4)? == 2;
    let big = *header.get(5)? == 2;
    let number = |at: usize, bytes: usize| {
        let bytes = header.get(at..at + bytes)?;
        let join = |sum: u32, byte: &u8| sum << 8 | u32::from(*byte);
        Some(if big {
            bytes.iter().fold(0, join)
        } else {
            bytes.iter().rev().fold(0, join)
        })
    };
    let flags = number(if wide { 48 } else { 36 }, 4)?;
    Some(match number(18, 2)? {
        3 => "i386",
        8 if wide => "n64",
        8 if flags & ABI2 != 0 => "n32",
        8 => "o32",
        40 if flags & HARD_FLOAT != 0 => "hard_float",
        40 => "soft_float",
        _ => "default",
    })
}

/// Where links lead is where a directory is missing.
fn directories(tree: &Tree) -> Map<String, Value> {
    let mut tree = tree.clone();
    let mut made = Map::new();
    for directory in DIRECTORIES {
        while let Err(Unresolved::Missing(missing)) = tree.resolve(directory.as_bytes(), true) {
            let Some(path) = plain(&missing) else { break };
            if made.contains_key(&path) || tree.insert(&missing, an_empty_directory()).is_err() {
                break;
            }
            made.insert(path, json!({ "type": "dir", "mode": 0o755 }));
        }
    }
    made
}

fn an_empty_directory() -> Entry {
    Entry {
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: 0,
        content: Content::Directory,
        same_as: None,
    }
}

fn missing_files(image: &Image) -> Result<Map<String, Value>> {
    let inline = |contents: &str, mode: u32| {
        let kind = "inline_file";
        json!({ "type": kind, "contents": contents, "mode": mode })
    };
    let mut files = Map::new();
    for (path, file) in [
        (
            "bin/sh",
            json!({ "type": "symlink", "target": "/igloo/utils/busybox" }),
        ),
        ("etc/TZ", inline("EST5EDT", 0o755)),
        ("var/run/nvramd.pid", inline("", 0o644)),
    ] {
        if image.tree.follow(path.as_bytes()).is_none() {
            files.insert(format!("/{path}"), file);
        }
    }
    let hosts = match image.tree.follow(b"etc/hosts") {
        Some((_, entry)) => image.read(entry, 0, HOSTS_BYTES + 1)?,
        None => Vec::new(),
    };
    let is_local = |line: &str| line.split_whitespace().eq(["127.0.0.1", "localhost"]);
    // A configuration is a template: what could be one is left as it is.
    let is_plain = |c: char| matches!(c, '\n' | '\t' | ' '..='~') && !matches!(c, '{' | '}' | '%');
    if let Ok(mut hosts) = String::from_utf8(hosts)
        && hosts.len() <= HOSTS_BYTES
        && hosts.chars().all(is_plain)
        && !hosts.lines().any(is_local)
    {
        if !hosts.is_empty() && !hosts.ends_with('\n') {
            hosts.push('\n');
        }
        hosts.push_str("127.0.0.1 localhost\n");
        files.insert("/etc/hosts".to_owned(), inline(&hosts, 0o755));
    }
    Ok(files)
}

fn unwanted(tree: &Tree) -> Map<String, Value> {
    let there = UNWANTED.into_iter().filter(|path| {
        let entry = tree.get(path.as_bytes());
        entry.is_some_and(|entry| matches!(entry.content, Content::File { .. }))
    });
    there
        .map(|path| (format!("/{path}"), json!({ "type": "delete" })))
        .collect()
}

/// The absolute path, if each of its characters means itself everywhere.
pub(super) fn plain(path: &[u8]) -> Option<String> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(byte);
    let path = path.iter().all(is_plain).then_some(path)?;
    Some(format!("/{}", std::str::from_utf8(path).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_abi_of_a_library_is_in_its_header() {
        let header = |class: u8, order: u8, machine: u16, flags: u32| {
            let mut header = vec![0; 64];
            header[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order]);
            let at = if class == 2 { 48 } else { 36 };
            let (machine, flags) = if order == 2 {
                (machine.to_be_bytes(), flags.to_be_bytes())
            } else {
                (machine.to_le_bytes(), flags.to_le_bytes())
            };
            header[18..20].copy_from_slice(&machine);
            header[at..at + 4].copy_from_slice(&flags);
            header
        };
        for (class, order, machine, flags, name) in [
            (1, 1, 40, 0x0500_0400, "hard_float"),
            (1, 1, 40, 0x0500_0200, "soft_float"),
            (1, 2, 8, 0x7000_1007, "o32"),
            (1, 1, 8, 0x2000_0027, "n32"),
            (2, 2, 8, 0x8000_0007, "n64"),
            (2, 1, 183, 0, "default"),
            (1, 1, 3, 0, "i386"),
        ] {
            assert_eq!(abi(&header(class, order, machine, flags)), Some(name));
        }
        assert_eq!(abi(b"/* GNU ld script */"), None);
        assert_eq!(abi(b"\x7fELF"), None);
    }

    #[test]
    fn a_missing_directory_is_made_where_links_lead() {
        let mut tree = Tree::default();
        let link = |target: &str| Entry {
            content: Content::Symlink(target.into()),
            ..an_empty_directory()
        };
        tree.insert(b"var", link("tmp/var")).unwrap();
        tree.insert(b"tmp", link("/ramfs")).unwrap();
        tree.insert(b"sys", link("/a b;{{x}}")).unwrap();
        tree.insert(b"run", link("run")).unwrap();
        let made = directories(&tree);
        for path in [
            "/ramfs",
            "/ramfs/var",
            "/ramfs/var/run",
            "/usr/sbin",
            "/usr",
            "/proc",
        ] {
            assert!(made.contains_key(path), "{path}: {made:?}");
        }
        let odd = |path: &String| path.starts_with("/var") || path.contains(['{', ' ']);
        assert!(!made.keys().any(odd), "{made:?}");
    }
}
