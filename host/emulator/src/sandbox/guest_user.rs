//! As whom the guest's root runs on the host.

/// `nobody`, where the supervisor is root.
const UNPRIVILEGED_UID: u32 = 65534;

/// The user of the host as whom a guest's root runs.
pub fn uid() -> u32 {
    if becomes_another_user() {
        UNPRIVILEGED_UID
    } else {
        rustix::process::geteuid().as_raw()
    }
}

/// Whether a guest runs as another user than its supervisor: where that is root, and not merely the
/// root of a user namespace in which nobody else is (`user_namespaces(7)`).
pub fn becomes_another_user() -> bool {
    rustix::process::geteuid().is_root()
        && ["/proc/self/uid_map", "/proc/self/gid_map"]
            .iter()
            .all(|map| std::fs::read_to_string(map).is_ok_and(|map| is_mapped(&map)))
}

/// Whether a map of users or of groups has the one as whom guests run.
fn is_mapped(map: &str) -> bool {
    map.lines().any(|line| {
        let mut numbers = line
            .split_whitespace()
            .map_while(|number| number.parse::<u64>().ok());
        let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
        first.zip(count).is_some_and(|(first, count)| {
            (first..first.saturating_add(count)).contains(&u64::from(UNPRIVILEGED_UID))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_mapped_for_a_machines_root_and_not_for_that_of_an_own_namespace() {
        assert!(is_mapped("         0          0 4294967295\n"));
        assert!(is_mapped("0 1000 1\n1 100000 65536\n"));
        assert!(!is_mapped("         0       1000          1\n"));
        assert!(!is_mapped("0 100000 65534\n") && !is_mapped(""));
    }
}
