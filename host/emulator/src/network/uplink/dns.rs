//! A model of a name server: every name has one address (RFC 1035).

use std::net::Ipv4Addr;

const HEADER: usize = 12;
/// How long an answer may be kept, in seconds.
const LIFE: u32 = 60;
const TYPE_A: u16 = 1;
const CLASS_IN: u16 = 1;
/// An answer, of one who knows, that asks others on demand.
const ANSWER: u16 = 0x8480;
const WISH_FOR_RECURSION: u16 = 0x0100;
/// Bits that are not zero in anything but a plain question.
const NOT_A_QUESTION: u16 = 0xF800;
/// A pointer to the question's name, which stands behind the header.
const NAME: u16 = 0xC00C;

/// What is answered to a message: `address` for the name that it asks for, and that there is
/// nothing of any other kind.
pub fn answer(question: &[u8], address: Ipv4Addr) -> Option<Vec<u8>> {
    let [_, flags, questions] = [0, 2, 4].map(|at| short(question, at));
    if flags? & NOT_A_QUESTION != 0 || questions? != 1 {
        return None;
    }
    let end = end_of_name(question)?;
    let (kind, class) = (short(question, end)?, short(question, end + 2)?);
    let has_address = kind == TYPE_A && class == CLASS_IN;
    let mut answer = question.get(..2)?.to_vec();
    for word in [
        ANSWER | (flags? & WISH_FOR_RECURSION),
        1,
        u16::from(has_address),
        0,
        0,
    ] {
        answer.extend(word.to_be_bytes());
    }
    answer.extend(question.get(HEADER..end + 4)?);
    if has_address {
        for word in [NAME, TYPE_A, CLASS_IN] {
            answer.extend(word.to_be_bytes());
        }
        answer.extend(LIFE.to_be_bytes());
        answer.extend(4_u16.to_be_bytes());
        answer.extend(address.octets());
    }
    Some(answer)
}

/// Behind the name that is asked for, which no question compresses.
fn end_of_name(question: &[u8]) -> Option<usize> {
    const LABEL_MAX: u8 = 63;
    let mut at = HEADER;
    loop {
        match *question.get(at)? {
            0 => return Some(at + 1),
            length if length <= LABEL_MAX => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
    Some(u16::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(kind: u8) -> Vec<u8> {
        let header = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        [&header[..], b"\x04pool\x03ntp\x03org\0", &[0, kind, 0, 1]].concat()
    }

    #[test]
    fn every_name_has_the_address() {
        let question = question(1);
        let answer = answer(&question, Ipv4Addr::new(10, 0, 2, 2)).unwrap();
        assert_eq!(answer[..4], [0x12, 0x34, 0x85, 0x80]);
        assert_eq!(short(&answer, 6), Some(1));
        assert_eq!(answer[HEADER..question.len()], question[HEADER..]);
        assert!(answer.ends_with(&[0, 4, 10, 0, 2, 2]));
    }

    #[test]
    fn there_is_nothing_of_another_kind() {
        for kind in [28, 15, 12] {
            let answer = answer(&question(kind), Ipv4Addr::LOCALHOST).unwrap();
            assert_eq!(short(&answer, 6), Some(0));
            assert_eq!(answer.len(), question(kind).len());
        }
    }

    #[test]
    fn what_is_not_a_question_has_no_answer() {
        let question = question(1);
        for length in 0..question.len() {
            assert_eq!(answer(&question[..length], Ipv4Addr::LOCALHOST), None);
        }
        let of = answer(&question, Ipv4Addr::LOCALHOST).unwrap();
        assert_eq!(
            answer(&of, Ipv4Addr::LOCALHOST),
            None,
            "answers go on for ever"
        );
        let mut compressed = question;
        compressed[HEADER] = 0xC0;
        assert_eq!(answer(&compressed, Ipv4Addr::LOCALHOST), None);
    }
}
