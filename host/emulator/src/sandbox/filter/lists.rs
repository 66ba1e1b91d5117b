//! Which calls are made, refused, or seem to be made, whatever their arguments are.

/// Calls that succeed without effect, because the guest may not do them and firmware expects that
/// root may. What it would flush is in memory, but the kernel would flush every disk of the host.
#[rustfmt::skip]
pub(super) const PRETEND: &[i64] = &[
    libc::SYS_capset, libc::SYS_sched_setscheduler, libc::SYS_sched_setparam, libc::SYS_setpriority,
    libc::SYS_ioprio_set, libc::SYS_mlockall, libc::SYS_mlock, libc::SYS_mlock2, libc::SYS_vhangup,
    libc::SYS_acct, libc::SYS_personality, libc::SYS_sync, libc::SYS_syncfs,
];

/// Calls refused with `EPERM` rather than `ENOSYS`, because a program gives up more politely then.
#[rustfmt::skip]
pub(super) const REFUSE: &[i64] = &[
    libc::SYS_ptrace, libc::SYS_unshare, libc::SYS_setns, libc::SYS_quotactl, libc::SYS_iopl,
    libc::SYS_ioperm, libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
];

/// Calls refused with `ENOSYS`, as all that are in no list, that a program may need.
pub(super) const UNKNOWN: &[i64] = &[
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_io_setup,
    libc::SYS_io_uring_setup,
    libc::SYS_fanotify_init,
    libc::SYS_kexec_load,
    libc::SYS_vmsplice,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
];

/// Calls that the kernel carries out: what qemu-user makes for itself and passes on for its guests.
///
/// What these make is counted: by the kernel for each process, user or namespace
/// (`limits/kernel.rs`), or by the supervisor. Left out are calls whose like the whole host has one
/// supply of (`io_setup`), and those that hold memory unseen (`vmsplice`).
#[rustfmt::skip]
pub(super) const ALLOW: &[i64] = &[
    // files
    libc::SYS_read, libc::SYS_write, libc::SYS_close, libc::SYS_fstat, libc::SYS_lseek,
    libc::SYS_pread64, libc::SYS_pwrite64, libc::SYS_readv, libc::SYS_writev, libc::SYS_preadv,
    libc::SYS_pwritev, libc::SYS_preadv2, libc::SYS_pwritev2, libc::SYS_pipe, libc::SYS_pipe2,
    libc::SYS_dup, libc::SYS_dup2, libc::SYS_dup3, libc::SYS_fcntl, libc::SYS_flock,
    libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_sync_file_range, libc::SYS_truncate,
    libc::SYS_ftruncate, libc::SYS_getdents, libc::SYS_getdents64, libc::SYS_getcwd,
    libc::SYS_chdir, libc::SYS_fchdir, libc::SYS_rename, libc::SYS_renameat, libc::SYS_renameat2,
    libc::SYS_mkdir, libc::SYS_mkdirat, libc::SYS_rmdir, libc::SYS_link, libc::SYS_linkat,
    libc::SYS_unlink, libc::SYS_unlinkat, libc::SYS_symlink, libc::SYS_symlinkat, libc::SYS_chmod,
    libc::SYS_fchmod, libc::SYS_fchmodat, libc::SYS_umask, libc::SYS_utime, libc::SYS_utimes,
    libc::SYS_utimensat, libc::SYS_futimesat, libc::SYS_ustat,
    libc::SYS_sendfile, libc::SYS_splice, libc::SYS_tee, libc::SYS_copy_file_range,
    libc::SYS_fallocate, libc::SYS_fadvise64, libc::SYS_readahead, libc::SYS_setxattr,
    libc::SYS_lsetxattr, libc::SYS_fsetxattr, libc::SYS_getxattr, libc::SYS_lgetxattr,
    libc::SYS_fgetxattr, libc::SYS_listxattr, libc::SYS_llistxattr, libc::SYS_flistxattr,
    libc::SYS_removexattr, libc::SYS_lremovexattr, libc::SYS_fremovexattr, libc::SYS_inotify_init,
    libc::SYS_inotify_init1, libc::SYS_inotify_add_watch, libc::SYS_inotify_rm_watch,
    libc::SYS_close_range,
    // waiting
    libc::SYS_poll, libc::SYS_ppoll, libc::SYS_select, libc::SYS_pselect6, libc::SYS_epoll_create,
    libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_wait, libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2, libc::SYS_eventfd, libc::SYS_eventfd2, libc::SYS_signalfd,
    libc::SYS_signalfd4, libc::SYS_timerfd_create, libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    // memory
    libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_munmap, libc::SYS_mremap, libc::SYS_msync,
    libc::SYS_mincore, libc::SYS_madvise, libc::SYS_brk, libc::SYS_munlock, libc::SYS_munlockall,
    libc::SYS_shmget, libc::SYS_shmat, libc::SYS_shmctl, libc::SYS_shmdt, libc::SYS_semget,
    libc::SYS_semop, libc::SYS_semtimedop, libc::SYS_semctl, libc::SYS_msgget, libc::SYS_msgsnd,
    libc::SYS_msgrcv, libc::SYS_msgctl, libc::SYS_mq_open, libc::SYS_mq_unlink,
    libc::SYS_mq_timedsend, libc::SYS_mq_timedreceive, libc::SYS_mq_notify, libc::SYS_mq_getsetattr,
    libc::SYS_membarrier, libc::SYS_get_mempolicy, libc::SYS_mbind, libc::SYS_set_mempolicy,
    // processes and signals
    libc::SYS_clone, libc::SYS_fork, libc::SYS_vfork,
       libc::SYS_gettid, libc::SYS_getpgrp,
    libc::SYS_getpgid, libc::SYS_setpgid, libc::SYS_getsid, libc::SYS_setsid, libc::SYS_getgroups,
    libc::SYS_capget, libc::SYS_prctl, libc::SYS_arch_prctl, libc::SYS_set_tid_address,
    libc::SYS_set_robust_list, libc::SYS_get_robust_list, libc::SYS_futex, libc::SYS_rseq,
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigpending, libc::SYS_rt_sigtimedwait, libc::SYS_rt_sigsuspend,
    libc::SYS_sigaltstack, libc::SYS_pause, libc::SYS_alarm, libc::SYS_getitimer,
    libc::SYS_setitimer, libc::SYS_timer_create, libc::SYS_timer_settime, libc::SYS_timer_gettime,
    libc::SYS_timer_getoverrun, libc::SYS_timer_delete, libc::SYS_restart_syscall,
    libc::SYS_sched_yield, libc::SYS_sched_getparam, libc::SYS_sched_getscheduler,
    libc::SYS_sched_get_priority_max, libc::SYS_sched_get_priority_min,
    libc::SYS_sched_rr_get_interval, libc::SYS_sched_setaffinity, libc::SYS_sched_getaffinity,
    libc::SYS_sched_getattr, libc::SYS_getpriority, libc::SYS_ioprio_get, libc::SYS_getrlimit,
    libc::SYS_getrusage, libc::SYS_times, libc::SYS_getcpu, libc::SYS_pidfd_open,
    // time and identity
    libc::SYS_time, libc::SYS_gettimeofday, libc::SYS_clock_gettime, libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep, libc::SYS_nanosleep, libc::SYS_sysinfo, libc::SYS_getrandom,
    // sockets
    libc::SYS_connect, libc::SYS_accept, libc::SYS_accept4, libc::SYS_sendto, libc::SYS_recvfrom,
    libc::SYS_sendmsg, libc::SYS_recvmsg, libc::SYS_sendmmsg, libc::SYS_recvmmsg,
    libc::SYS_shutdown, libc::SYS_getsockname, libc::SYS_getpeername, libc::SYS_setsockopt,
    libc::SYS_getsockopt,
];
