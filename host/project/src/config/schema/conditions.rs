//! Conditions over several fields.

use crate::ground::yaml::value::{Key, Map, Value};

/// Operations that only some filesystems of the guest route to a model, and the directories where
/// they work.
const OPERATIONS: [(&str, &[&str]); 12] = [
    ("flush", &["/dev"]),
    ("fsync", &["/dev"]),
    ("fasync", &["/dev"]),
    ("lock", &["/dev"]),
    ("write_iter", &["/dev"]),
    ("lseek", &["/dev", "/proc"]),
    ("mmap", &["/dev", "/proc"]),
    ("open", &["/dev", "/proc"]),
    ("release", &["/dev", "/proc"]),
    ("compat_ioctl", &["/dev", "/proc"]),
    ("read_iter", &["/dev", "/proc"]),
    ("get_unmapped_area", &["/dev", "/proc"]),
];

/// Every operation of a pseudofile exists on the filesystem that its path lies on.
pub fn pseudofile_operations(table: &Map) -> Result<(), String> {
    for (path, node) in table {
        let path = path.text();
        let place = ["/dev/", "/proc/sys/", "/proc/", "/sys/"]
            .into_iter()
            .find(|start| path.starts_with(start))
            .unwrap_or("");
        for (operation, places) in OPERATIONS {
            let used = node
                .get(operation)
                .is_some_and(|model| *model != Value::Null);
            if used
                && !places
                    .iter()
                    .any(|allowed| place.strip_suffix('/') == Some(allowed))
            {
                let places = places.join(" or ");
                return Err(format!(
                    "{path}: operation '{operation}' works only below {places} (and not below \
                     /proc/sys); remove it or move the node"
                ));
            }
        }
    }
    Ok(())
}

/// A stub either returns a constant or holds an assembly body.
pub fn stub_forms(stub: &Map) -> Result<(), String> {
    let set = |name: &str| {
        stub.get(&Key::from(name))
            .filter(|value| **value != Value::Null)
    };
    let guards = match set("guard_null_args") {
        Some(Value::List(items)) => items.as_slice(),
        _ => &[],
    };
    let (body, returns) = (
        set("body").is_some(),
        set("return").is_some() || !guards.is_empty(),
    );
    if body && returns {
        return Err(
            "a stub has either 'body' (assembly) or 'return'/'guard_null_args', not both"
                .to_owned(),
        );
    }
    if !body && !returns {
        return Err("a stub needs 'body', 'return' or 'guard_null_args'".to_owned());
    }
    if !body && (set("mode").is_some() || set("expect").is_some()) {
        return Err("'mode' and 'expect' go only with 'body'".to_owned());
    }
    if guards
        .iter()
        .any(|index| !matches!(index, Value::Int(0..=7)))
    {
        return Err("guard_null_args takes argument positions 0 to 7".to_owned());
    }
    Ok(())
}
