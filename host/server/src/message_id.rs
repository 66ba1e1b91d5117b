//! Finds the `id` of a message that cannot be parsed, so that its sender is answered instead of
//! left waiting.

use serde_json::Value;

/// An id that is longer than this is not looked for.
const MAX_ID: usize = 256;

/// Reads a JSON object byte by byte, in constant memory, and keeps the value of its top-level `id`.
///
/// It works on text that is truncated, too big to keep, or no valid UTF-8.
#[derive(Default)]
pub struct IdScanner {
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// Top-level token that is being read: a key, or the id's value.
    token: Vec<u8>,
    /// Whether the next top-level token is a value, and whether it is the id's.
    state: State,
    id: Option<Value>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Key,
    IdValue,
    OtherValue,
}

impl IdScanner {
    /// The id in `text`, a whole line.
    pub fn find(text: &[u8]) -> Option<Value> {
        let mut scanner = Self::default();
        scanner.feed(text);
        scanner.finish()
    }

    /// Read on.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.id.is_none() {
            for byte in bytes {
                self.step(*byte);
            }
        }
    }

    /// The id, if it is a string or an integer.
    pub fn finish(mut self) -> Option<Value> {
        self.end_of_value();
        self.id
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            self.keep(byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.keep(byte);
            }
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => {
                if self.depth == 1 {
                    self.end_of_value();
                }
                self.depth = self.depth.saturating_sub(1);
            }
            b':' if self.depth == 1 && self.state == State::Key => {
                self.state = if self.token == b"\"id\"" {
                    State::IdValue
                } else {
                    State::OtherValue
                };
                self.token.clear();
            }
            b',' if self.depth == 1 => self.end_of_value(),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.keep(byte),
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.depth == 1 && self.state != State::OtherValue && self.token.len() <= MAX_ID {
            self.token.push(byte);
        }
    }

    fn end_of_value(&mut self) {
        if self.state == State::IdValue && self.id.is_none() && self.token.len() <= MAX_ID {
            self.id = serde_json::from_slice(&self.token).ok().filter(is_id);
        }
        self.state = State::Key;
        self.token.clear();
    }
}

/// Whether MCP allows `value` as a request id.
pub fn is_id(value: &Value) -> bool {
    value.is_string() || value.is_i64() || value.is_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn the_id_is_found_wherever_it_stands() {
        let cases: [(&[u8], Option<Value>); 12] = [
            (
                br#"{"jsonrpc":"2.0","id":7,"method":"x","params":{"id":8}}"#,
                Some(json!(7)),
            ),
            (
                br#"{"params":{"id":8,"a":[{"id":9}],"s":"\"id\":3,"},"method":"x" , "id" : -7 }"#,
                Some(json!(-7)),
            ),
            (br#"{"params":"}\\","id":"a\"b"}"#, Some(json!("a\"b"))),
            (b"{\"p\":\"\xff\xfe\",\"id\":3}", Some(json!(3))),
            (br#"{"id":5,"params":{"x":"#, Some(json!(5))),
            (br#"{"id":5"#, Some(json!(5))),
            (br#"{"id":"five"#, None),
            (br#"{"id":1.5}"#, None),
            (br#"{"id":null}"#, None),
            (br#"{"id":{"a":1}}"#, None),
            (br#"[{"id":1}]"#, None),
            (b"hello id: 5", None),
        ];
        for (line, id) in cases {
            assert_eq!(
                IdScanner::find(line),
                id,
                "{}",
                String::from_utf8_lossy(line)
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_in_constant_memory(bytes: Vec<u8>) {
            let mut scanner = IdScanner::default();
            scanner.feed(&bytes);
            prop_assert!(scanner.token.len() <= MAX_ID + 1);
        }

        #[test]
        fn the_id_of_a_valid_message_is_the_one_serde_reads(
            id: i64,
            text in ".*",
            split: proptest::sample::Index,
        ) {
            let line = json!({
                "params": {"id": text, text: [1, {"id": 2}]},
                "id": id,
                "method": "m"
            }).to_string();
            let (head, tail) = line.as_bytes().split_at(split.index(line.len()));
            let mut scanner = IdScanner::default();
            scanner.feed(head);
            scanner.feed(tail);
            prop_assert_eq!(scanner.finish(), Some(json!(id)));
        }
    }
}
