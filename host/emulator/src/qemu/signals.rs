//! Numbers of signals. What a guest calls by a number of its own, qemu sends under the host's.

use crate::qemu::arch::Arch;

/// Signals whose number on MIPS is not the host's (Linux, `arch/mips/include/uapi/asm/signal.h`).
const MIPS: &[(i32, i32)] = &[
    (libc::SIGBUS, 10),
    (libc::SIGSYS, 12),
    (libc::SIGUSR1, 16),
    (libc::SIGUSR2, 17),
    (libc::SIGCHLD, 18),
    (libc::SIGPWR, 19),
    (libc::SIGWINCH, 20),
    (libc::SIGURG, 21),
    (libc::SIGIO, 22),
    (libc::SIGSTOP, 23),
    (libc::SIGTSTP, 24),
    (libc::SIGCONT, 25),
    (libc::SIGTTIN, 26),
    (libc::SIGTTOU, 27),
    (libc::SIGVTALRM, 28),
    (libc::SIGPROF, 29),
    (libc::SIGXCPU, 30),
    (libc::SIGXFSZ, 31),
];

/// The first of the realtime signals that the C library leaves to programs.
const RTMIN: i32 = 34;

/// The host's number under which an emulator of this version sends a guest's `SIGABRT`. Since 8.2
/// qemu tells it from its own by a realtime signal; since 10.0 the first of these serves itself.
pub fn abort_of(version: Option<(u32, u32)>) -> i32 {
    match version {
        Some((10.., _)) => RTMIN + 1,
        Some((9, _) | (8, 2..)) => RTMIN,
        _ => libc::SIGABRT,
    }
}

fn is_mips(arch: &str) -> bool {
    Arch::by_name(arch).is_some_and(|arch| arch.abi.is_mips())
}

/// The number in a guest of Penguin's architecture `arch`, which is also what the configuration
/// means, of the host's `signal`.
pub fn in_guest(arch: &str, abort: i32, signal: i32) -> i32 {
    let other = MIPS.iter().find(|(host, _)| *host == signal);
    match other {
        _ if signal == abort => libc::SIGABRT,
        Some((_, mips)) if is_mips(arch) => *mips,
        _ => signal,
    }
}

/// The host's number for a guest's `signal`: those of realtime begin behind what qemu itself uses.
pub fn on_host(arch: &str, abort: i32, signal: i32) -> i32 {
    const GUESTS_RTMIN: i32 = 32;
    let first = if abort == libc::SIGABRT {
        RTMIN
    } else {
        abort + 1
    };
    let other = MIPS.iter().find(|(_, mips)| *mips == signal);
    match other {
        _ if signal == libc::SIGABRT => abort,
        _ if signal >= GUESTS_RTMIN => first + signal - GUESTS_RTMIN,
        Some((host, _)) if is_mips(arch) => *host,
        _ => signal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mips_guest_has_its_own_numbers_and_no_two_signals_share_one() {
        assert_eq!(
            in_guest("armel", libc::SIGABRT, libc::SIGUSR1),
            libc::SIGUSR1
        );
        assert_eq!(in_guest("mipseb", 35, libc::SIGUSR1), 16);
        assert_eq!(in_guest("mipsel", 35, libc::SIGTERM), libc::SIGTERM);
        // 16 is a signal that MIPS does not have, and 7 one that only MIPS has.
        let hosts = (1..32).filter(|signal| *signal != libc::SIGSTKFLT);
        let guests: std::collections::BTreeSet<i32> =
            hosts.map(|signal| in_guest("mipsel", 35, signal)).collect();
        assert_eq!(guests.len(), 30);
        assert!(!guests.contains(&7));
    }

    #[test]
    fn a_guests_signal_has_the_number_under_which_the_emulator_takes_it() {
        for (abort, realtime) in [(libc::SIGABRT, 35), (34, 36), (35, 37)] {
            assert_eq!(on_host("mipsel", abort, 33), realtime);
            for signal in (1..32).filter(|signal| *signal != libc::SIGSTKFLT) {
                let guests = in_guest("mipsel", abort, signal);
                if guests != libc::SIGABRT {
                    assert_eq!(on_host("mipsel", abort, guests), signal);
                }
                assert_eq!(on_host("armel", libc::SIGABRT, signal), signal);
            }
        }
        assert_eq!(on_host("armel", 35, libc::SIGABRT), 35);
    }

    #[test]
    fn an_abort_is_known_by_the_number_of_the_emulators_version() {
        for (version, number) in [
            (None, libc::SIGABRT),
            (Some((7, 2)), libc::SIGABRT),
            (Some((8, 1)), libc::SIGABRT),
            (Some((8, 2)), 34),
            (Some((9, 0)), 34),
            (Some((10, 0)), 35),
            (Some((11, 1)), 35),
        ] {
            assert_eq!(abort_of(version), number, "{version:?}");
            assert_eq!(in_guest("mipsel", number, number), libc::SIGABRT);
        }
    }
}
