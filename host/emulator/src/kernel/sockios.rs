//! Ioctl commands of sockets (`linux/sockios.h`, `linux/wireless.h`) that libc has no names for.

pub const SIOCGIFBR: u32 = 0x8940;
pub const SIOCSIFBR: u32 = 0x8941;
pub const SIOCETHTOOL: u32 = 0x8946;
pub const SIOCGMIIPHY: u32 = 0x8947;
pub const SIOCGMIIREG: u32 = 0x8948;
pub const SIOCSMIIREG: u32 = 0x8949;
pub const SIOCGIFVLAN: u32 = 0x8982;
pub const SIOCSIFVLAN: u32 = 0x8983;
pub const SIOCBRADDBR: u32 = 0x89A0;
pub const SIOCBRDELBR: u32 = 0x89A1;
pub const SIOCBRADDIF: u32 = 0x89A2;
pub const SIOCBRDELIF: u32 = 0x89A3;
/// The first of sixteen that belong to drivers.
pub const SIOCDEVPRIVATE: u32 = 0x89F0;
/// Those of wireless interfaces: `SIOCSIWCOMMIT` to `SIOCSIWPMKSA`.
pub const SIOCIWFIRST: u32 = 0x8B00;
pub const SIOCIWLASTSTANDARD: u32 = 0x8B36;
/// Those that belong to drivers of wireless interfaces.
pub const SIOCIWFIRSTPRIV: u32 = 0x8BE0;
pub const SIOCIWLAST: u32 = 0x8BFF;
