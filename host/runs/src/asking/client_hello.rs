//! The first message of a TLS client (RFC 5246): what a TLS server answers with a `ServerHello` or
//! an alert, and nobody else does.

/// Of the elliptic curves, RSA and old block ciphers, what devices of the last twenty years know.
const CIPHERS: [u16; 14] = [
    0xc02f, 0xc02b, 0xc030, 0xc02c, 0xc013, 0xc014, 0xc009, 0xc00a, 0x009c, 0x002f, 0x0035, 0x000a,
    0x0005, 0x00ff,
];
const CURVES: [u16; 3] = [0x0017, 0x0018, 0x0019];
const SIGNATURES: [u16; 6] = [0x0403, 0x0401, 0x0501, 0x0601, 0x0201, 0x0203];

/// A record with a `ClientHello` of TLS 1.2 that also an older server can answer.
pub(super) fn client_hello() -> Vec<u8> {
    let list = |numbers: &[u16]| {
        numbers
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .collect()
    };
    let extensions = [
        extension(0x000a, &counted(2, list(&CURVES))),
        extension(0x000b, &[1, 0]),
        extension(0x000d, &counted(2, list(&SIGNATURES))),
    ]
    .concat();
    let hello = [
        vec![3, 3],
        // The client's random bytes, which need not be random where no connection comes of it.
        b"rookery asks whether this is TLS".to_vec(),
        vec![0],
        counted(2, list(&CIPHERS)),
        vec![1, 0],
        counted(2, extensions),
    ]
    .concat();
    let handshake = [vec![1], counted(3, hello)].concat();
    [vec![0x16, 3, 1], counted(2, handshake)].concat()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().to_vec(), counted(2, data.to_vec())].concat()
}

/// `data` with its length before it, in so many bytes.
fn counted(bytes: usize, data: Vec<u8>) -> Vec<u8> {
    let length = data.len().to_be_bytes();
    let mut counted = length[length.len() - bytes..].to_vec();
    counted.extend(data);
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_in_the_record_is_that_of_what_follows() {
        let record = client_hello();
        let number = |at: usize| usize::from(u16::from_be_bytes([record[at], record[at + 1]]));
        assert_eq!(number(3), record.len() - 5);
        assert_eq!((record[5], number(7)), (1, record.len() - 9));
        let ciphers = 9 + 2 + 32 + 1;
        assert_eq!(number(ciphers), CIPHERS.len() * 2);
        let extensions = ciphers + 2 + CIPHERS.len() * 2 + 2;
        assert_eq!(number(extensions), record.len() - extensions - 2);
    }
}
