//! Scalars: what is accepted for what, with the lenience that Penguin's validation has.

use compact_str::CompactString;

use super::types::Type;
use crate::ground::yaml::value::Value;

/// The value as `ty` has it, or nothing when it is not one. `exact` allows no conversion.
///
/// Only scalar types and lists of them; the other types never stand in an alternative.
pub fn convert(ty: Type, value: &Value, exact: bool) -> Option<Value> {
    match ty {
        Type::Str | Type::Joined(_) => string(value, exact).map(Value::Str),
        Type::Hex => string(value, exact)
            .filter(|text| is_hex(text))
            .map(Value::Str),
        Type::Bool => boolean(value, exact).map(Value::Bool),
        Type::Int => integer(value, exact).map(Value::Int),
        Type::Natural => integer(value, exact)
            .filter(|number| *number >= 0)
            .map(Value::Int),
        Type::Word(words) => value
            .as_str()
            .filter(|text| words.contains(text))
            .map(Value::from),
        Type::Version => match value {
            Value::Int(2) => Some(Value::Int(2)),
            Value::Float(number) if number.to_bits() == 2.0_f64.to_bits() => Some(Value::Int(2)),
            Value::Str(text) if text == "1.0.0" => Some(value.clone()),
            _ => None,
        },
        Type::List(item) => match value {
            Value::List(items) => items
                .iter()
                .map(|value| convert(*item, value, exact))
                .collect::<Option<_>>()
                .map(Value::List),
            _ => None,
        },
        Type::Either(types) => [true, exact]
            .iter()
            .find_map(|exact| types.iter().find_map(|ty| convert(*ty, value, *exact))),
        _ => None,
    }
}

fn string(value: &Value, exact: bool) -> Option<CompactString> {
    match value {
        Value::Str(text) => Some(text.clone()),
        Value::Bytes(bytes) if !exact => CompactString::from_utf8(bytes).ok(),
        _ => None,
    }
}

fn boolean(value: &Value, exact: bool) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        _ if exact => None,
        Value::Int(0) => Some(false),
        Value::Int(1) => Some(true),
        Value::Float(number) if *number == 0.0 => Some(false),
        Value::Float(number) if number.to_bits() == 1.0_f64.to_bits() => Some(true),
        Value::Str(_) | Value::Bytes(_) => {
            match string(value, false)?.to_ascii_lowercase().as_str() {
                "1" | "on" | "t" | "true" | "y" | "yes" => Some(true),
                "0" | "off" | "f" | "false" | "n" | "no" => Some(false),
                _ => None,
            }
        }
        _ => None,
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "only whole floats in range of i64 are converted"
)]
fn integer(value: &Value, exact: bool) -> Option<i128> {
    match value {
        Value::Int(number) => Some(*number),
        _ if exact => None,
        Value::Bool(flag) => Some(i128::from(*flag)),
        Value::Float(number) => {
            (number.fract() == 0.0 && number.abs() < 9.2e18).then_some(*number as i128)
        }
        Value::Str(_) | Value::Bytes(_) => decimal(string(value, false)?.trim()),
        _ => None,
    }
}

/// Decimal digits with an optional sign, single underscores between them, and a fraction of zeros.
pub fn decimal(text: &str) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').map_or((text, "0"), |(w, f)| (w, f));
    let digits = whole.strip_prefix(['+', '-']).unwrap_or(whole);
    let groups_ok = digits
        .split('_')
        .all(|group| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit()));
    let fraction_ok = !fraction.is_empty() && fraction.bytes().all(|b| b == b'0');
    (groups_ok && fraction_ok)
        .then(|| whole.replace('_', "").trim_start_matches('+').parse().ok())
        .flatten()
}

fn is_hex(text: &str) -> bool {
    let text = text.trim();
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text)
        .replace(' ', "");
    digits.len().is_multiple_of(2) && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

/// What a type takes, for a message.
pub fn expected(ty: Type) -> String {
    match ty {
        Type::Any => "anything".to_owned(),
        Type::Str | Type::Joined(_) => "a string".to_owned(),
        Type::Hex => "a quoted string with an even number of hexadecimal digits".to_owned(),
        Type::Bool => "true or false".to_owned(),
        Type::Int => "an integer".to_owned(),
        Type::Natural => "an integer that is not negative".to_owned(),
        Type::Word(words) => format!("one of {}", words.join(", ")),
        Type::Version => "2".to_owned(),
        Type::Either(types) => types
            .iter()
            .map(|ty| expected(*ty))
            .collect::<Vec<_>>()
            .join(" or "),
        Type::Optional(ty) | Type::NullIsEmpty(ty) => expected(*ty),
        Type::List(item) => format!("a list, each item {}", expected(*item)),
        Type::Table(_) | Type::Model(_) => "a mapping".to_owned(),
        Type::Tagged(union) => format!("a mapping with '{}'", union.tag),
        Type::OneOrTable(union, _) => format!(
            "a mapping with '{}', or a mapping of commands to such",
            union.tag
        ),
        Type::Short(_, field) => format!("true, false, a string ({field}) or a mapping"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_taken_from_what_pydantic_takes_them_from() {
        for (text, number) in [
            ("9", 9),
            (" 9 ", 9),
            ("+9", 9),
            ("1_000", 1000),
            ("9.0", 9),
            ("-0", 0),
            ("00", 0),
        ] {
            assert_eq!(
                convert(Type::Int, &Value::from(text), false),
                Some(Value::Int(number)),
                "{text}"
            );
        }
        for text in [
            "0x10", "9.5", "1e3", "", "9.", "1__0", "٣", "_1", "+", "--1",
        ] {
            assert_eq!(
                convert(Type::Int, &Value::from(text), false),
                None,
                "{text}"
            );
        }
        assert_eq!(
            convert(Type::Int, &Value::Float(15.0), false),
            Some(Value::Int(15))
        );
        assert_eq!(convert(Type::Int, &Value::Float(1e20), false), None);
        assert_eq!(
            convert(Type::Int, &Value::Bool(true), false),
            Some(Value::Int(1))
        );
    }

    #[test]
    fn an_alternative_prefers_what_needs_no_conversion() {
        let scope = Type::Either(&[Type::Bool, Type::Str]);
        assert_eq!(
            convert(scope, &Value::from("yes"), false),
            Some(Value::from("yes"))
        );
        assert_eq!(
            convert(scope, &Value::Int(1), false),
            Some(Value::Bool(true))
        );
        let bytes = Type::Either(&[Type::Str, Type::List(&Type::Int), Type::List(&Type::Str)]);
        let list = |items: &[Value]| Value::List(items.to_vec());
        assert_eq!(
            convert(bytes, &list(&["1".into(), "2".into()]), false),
            Some(list(&["1".into(), "2".into()]))
        );
        assert_eq!(
            convert(bytes, &list(&[Value::Int(1), "2".into()]), false),
            Some(list(&[Value::Int(1), Value::Int(2)]))
        );
        assert_eq!(
            convert(bytes, &list(&["a".into(), Value::Int(1)]), false),
            None
        );
    }
}
