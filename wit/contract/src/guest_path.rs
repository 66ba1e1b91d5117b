//! The path among the arguments of a recorded system call: the SQL function `guest_path`.

/// Names that system calls give to an argument that is a path.
const NAMES: [&[u8]; 15] = [
    b"filename",
    b"pathname",
    b"path",
    b"name",
    b"file_name",
    b"oldname",
    b"old_name",
    b"oldpath",
    b"dir_name",
    b"new_root",
    b"library",
    b"specialfile",
    b"newname",
    b"uservaddr",
    b"umyaddr",
];

/// The path in an argument such as `filename=0x7e9f0010("/sbin/init")`, or none.
///
/// Penguin inserts strings as they are, so the path goes from the first `("` to the last `")`,
/// whatever is between.
pub fn path_of(argument: &[u8]) -> Option<&[u8]> {
    let name = argument.iter().position(|byte| *byte == b'=')?;
    if !NAMES.contains(&argument.get(..name)?) {
        return None;
    }
    let value = argument.get(name + 1..)?;
    let open = value.windows(2).position(|pair| pair == b"(\"")? + 2;
    let path = value.get(open..)?;
    path.get(..path.windows(2).rposition(|pair| pair == b"\")")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_argument_has_a_path() {
        assert_eq!(
            path_of(b"filename=0x7e9f0010(\"/sbin/init\")"),
            Some(&b"/sbin/init"[..])
        );
        assert_eq!(
            path_of(b"filename=0x1(\"/a(\"b\")c\")"),
            Some(&b"/a(\"b\")c"[..])
        );
        assert_eq!(path_of(b"filename=0x1(\"\")"), Some(&b""[..]));
        assert_eq!(path_of(b"buf=0x1(\"text\")"), None);
        assert_eq!(path_of(b"dfd=0xffffff9c"), None);
        assert_eq!(path_of(b"filename=[NULL]"), None);
        assert_eq!(path_of(b"filename=0x1(\""), None);
        assert_eq!(path_of(b""), None);
    }
}
