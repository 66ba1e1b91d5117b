//! What the process gives up: after this it can compute, use memory, and read and write what it has
//! open.
//!
//! Invariant 16: the reader of images can open nothing.

use anyhow::Context;
use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// What the work needs of the kernel. Nothing that opens, connects, starts a program or reaches
/// another process is among it. Other calls do not exist for the process, so that the C library
/// falls back from `clone3`, whose flags a filter cannot see.
const CALLS: [c_long; 30] = [
    // Input and output.
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_lseek,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_fstat,
    // Memory.
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Threads, which a compiler has; `clone` itself is below.
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_futex,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Handlers of signals, which the runtime installs for stack overflows.
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    // Seeds of hash maps, and time.
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_restart_syscall,
];

/// Let this process do nothing but compute. Where the kernel or the processor has no such filter,
/// the limits have to do.
pub(crate) fn apply() -> anyhow::Result<()> {
    let argument = |number, operator, value| {
        let condition = SeccompCondition::new(number, SeccompCmpArgLen::Qword, operator, value)?;
        SeccompRule::new(vec![condition])
    };
    let thread = u64::try_from(libc::CLONE_THREAD)?;
    let own = u64::from(std::process::id());
    let mut rules: Vec<(c_long, Vec<SeccompRule>)> =
        CALLS.iter().map(|call| (*call, Vec::new())).collect();
    rules.push((
        libc::SYS_clone,
        vec![argument(0, SeccompCmpOp::MaskedEq(thread), thread)?],
    ));
    // `abort` is a signal to itself.
    rules.push((libc::SYS_tgkill, vec![argument(0, SeccompCmpOp::Eq, own)?]));
    let Ok(arch) = std::env::consts::ARCH.try_into() else {
        return Ok(());
    };
    let missing = SeccompAction::Errno(u32::try_from(libc::ENOSYS)?);
    let filter = SeccompFilter::new(
        rules.into_iter().collect(),
        missing,
        SeccompAction::Allow,
        arch,
    )?;
    let program = BpfProgram::try_from(filter).context("the filter of system calls")?;
    let _ = seccompiler::apply_filter(&program);
    Ok(())
}
