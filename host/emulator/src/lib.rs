//! The embedded backend: the firmware's own init under the distribution's qemu-user, in fresh
//! namespaces, supervised through seccomp user notification. Needs no root, no container, and
//! touches nothing global.
//!
//! Folders depend one way, each on those above it only:
//!
//! | folder | what is in it |
//! |---|---|
//! | `kernel` | the kernel's ABI as types, every `unsafe`, netlink, text of paths |
//! | `process` | a process of the guest: its `/proc` directory, its memory, its calls, its view |
//! | `qemu` | the emulators: architectures, their files, what is changed in them, signals |
//! | `models` | modelled files as a file system of their own |
//! | `files` | what the guest's file system holds beside files: devices, mounts, terminal |
//! | `network` | ports of the host that lead to the guest |
//! | `limits` | what a guest may make the host hold |
//! | `sandbox` | building the guest's world: root filesystem, namespaces, the system call filter |
//! | `guest` | the running guest: its state, and what handlers are given of it |
//! | `handlers` | what is answered to a system call, one module a kind |
//! | `supervisor` | the loop, commands in the guest, whether this host can run one |

mod backend;
mod files;
mod guest;
mod handlers;
mod kernel;
mod limits;
mod models;
mod network;
mod process;
mod qemu;
mod sandbox;
mod supervisor;

pub use self::backend::UserBackend;
pub use self::handlers::answered;
#[doc(hidden)]
pub use self::kernel::netlink;
pub use self::kernel::process::usual_signals;
#[doc(hidden)]
pub use self::sandbox::bare;
pub use self::sandbox::rootfs;
