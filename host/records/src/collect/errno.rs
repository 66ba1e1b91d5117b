//! Errors of the guest's syscalls, as Penguin writes them: `ENOENT(No such file or directory)`.

/// `negative` is a negative errno; other values are written in hexadecimal.
pub(super) fn describe(negative: i64) -> String {
    let Some(errno) = i32::try_from(negative)
        .ok()
        .and_then(i32::checked_neg)
        .filter(|errno| (1..4096).contains(errno))
    else {
        return hexadecimal(negative);
    };
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    let text = text
        .rsplit_once(" (os error")
        .map_or(text.as_str(), |(text, _)| text);
    match NAMES.iter().find(|(number, _)| *number == errno) {
        Some((_, name)) => format!("{name}({text})"),
        None => format!("E{errno}({text})"),
    }
}

pub(super) fn hexadecimal(value: i64) -> String {
    if value < 0 {
        format!("-{:#x}", value.unsigned_abs())
    } else {
        format!("{value:#x}")
    }
}

macro_rules! names {
    ($($name:ident)*) => { [$((libc::$name, stringify!($name))),*] };
}

const NAMES: [(i32, &str); 72] = names! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT
    ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG
    ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP
    ENODATA EOVERFLOW EILSEQ ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT
    ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN
    ENETUNREACH ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ETIMEDOUT ECONNREFUSED EHOSTDOWN
    EHOSTUNREACH EALREADY EINPROGRESS ESTALE EDQUOT ENOMEDIUM ECANCELED
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_penguin_writes_them() {
        assert_eq!(describe(-2), "ENOENT(No such file or directory)");
        assert_eq!(describe(-22), "EINVAL(Invalid argument)");
        assert_eq!(describe(-16), "EBUSY(Device or resource busy)");
        assert_eq!(describe(3), "0x3");
        assert_eq!(describe(0), "0x0");
        assert_eq!(describe(-0x490a_4000), "-0x490a4000");
        assert_eq!(describe(i64::MIN), "-0x8000000000000000");
    }
}
