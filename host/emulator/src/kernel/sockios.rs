//! Ioctl commands of sockets (`linux/sockios.h`) that libc has no names for.

pub const SIOCETHTOOL: u32 = 0x8946;
pub const SIOCSMIIREG: u32 = 0x8949;
pub const SIOCGIFVLAN: u32 = 0x8982;
pub const SIOCSIFVLAN: u32 = 0x8983;
pub const SIOCBRADDBR: u32 = 0x89A0;
pub const SIOCBRDELBR: u32 = 0x89A1;
pub const SIOCBRADDIF: u32 = 0x89A2;
pub const SIOCBRDELIF: u32 = 0x89A3;
/// The first of sixteen that belong to drivers.
pub const SIOCDEVPRIVATE: u32 = 0x89F0;
