//! What a file holds, as one name for it.

use std::io::{self, Read};
use std::path::Path;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::cancel::Cancel;
use super::regular;

const BLOCK: usize = 1 << 20;

/// The SHA-256 digest of a regular file, in hexadecimal digits.
pub fn of_file(path: &Path, cancel: &Cancel) -> io::Result<String> {
    let mut file = regular::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; BLOCK];
    loop {
        if cancel.is_cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match file.read(&mut buffer)? {
            0 => return Ok(HEXLOWER.encode(&digest.finalize())),
            read => digest.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// The SHA-256 digest of a text, in hexadecimal digits.
pub fn of_text(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_digest_that_sha256sum_says() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("abc");
        std::fs::write(&file, "abc").unwrap();
        let digest = of_file(&file, &Cancel::default()).unwrap();
        assert_eq!(
            digest,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let cancel = Cancel::default();
        cancel.cancel();
        assert!(of_file(&file, &cancel).is_err());
    }
}
