//! The entries of a JSON object, one at a time.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::error::{Result, not_of_the_contract};

/// Hand over each entry of what the host answered to `function`; of what is not an object, nothing.
pub(crate) fn each(function: &str, json: &str, entry: &mut dyn FnMut(String, Value)) -> Result<()> {
    if !json.starts_with('{') {
        return Ok(());
    }
    serde_json::Deserializer::from_str(json)
        .deserialize_map(Each(entry))
        .map_err(|error| not_of_the_contract(function, &error))
}

struct Each<'a>(&'a mut dyn FnMut(String, Value));

impl<'de> Visitor<'de> for Each<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry()? {
            (self.0)(name, value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_entry_comes_once_and_in_order() {
        let read = |json: &str| {
            let mut found = Vec::new();
            each("f", json, &mut |name, value| found.push((name, value))).map(|()| found)
        };
        let found = read(r#"{"b": {"x": [1]}, "a": null}"#).unwrap();
        let expected = [
            ("b".to_owned(), json!({"x": [1]})),
            ("a".to_owned(), json!(null)),
        ];
        assert_eq!(found, expected);
        for other in ["null", "[1]", "3"] {
            assert_eq!(read(other), Ok(Vec::new()));
        }
        assert!(read("{\"a\": ").is_err());
    }
}
