//! What an unquoted scalar means.

use super::value::Value;

/// The YAML 1.2 core schema, as Penguin's loader applies it to configuration files.
pub fn resolve_core(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    core_int(text)
        .map(Value::Int)
        .or_else(|| core_float(text).map(Value::Float))
        .unwrap_or_else(|| Value::from(text))
}

/// A scalar of a result file: typed where readers of YAML 1.1 and 1.2 agree, otherwise its source
/// text.
///
/// In mappings the prefixed integers of `core_config.yaml` (`0o755`) are numbers too. In lists
/// stand names of the guest, of which no character may be lost.
pub fn resolve_result(text: &str, in_mapping: bool) -> Value {
    let typed = resolve_core(text);
    let agreed = match &typed {
        Value::Int(_) => {
            let digits = text.trim_start_matches(['+', '-']);
            let prefixed = digits.starts_with("0x") || digits.starts_with("0o");
            prefixed || digits == "0" || !digits.starts_with('0')
        }
        // YAML 1.1 wants a point, digits before it or none but no sign, and a signed exponent.
        Value::Float(_) => {
            let mantissa_end = text.find(['e', 'E']).unwrap_or(text.len());
            let exponent_is_signed = text[mantissa_end..]
                .chars()
                .nth(1)
                .is_none_or(|sign| "+-".contains(sign));
            text.contains('.')
                && exponent_is_signed
                && !text.starts_with("-.5")
                && !signed_point(text)
        }
        Value::Bool(_) | Value::Null | Value::Str(_) => true,
        Value::Bytes(_) | Value::List(_) | Value::Map(_) => false,
    };
    let is_whole = || {
        text.is_empty() || serde_json::to_string(&typed.to_json()).is_ok_and(|json| json == text)
    };
    if agreed && (in_mapping || is_whole()) {
        typed
    } else {
        Value::from(text)
    }
}

fn signed_point(text: &str) -> bool {
    let mut chars = text.chars();
    matches!(chars.next(), Some('+' | '-'))
        && chars.next() == Some('.')
        && chars.next().is_some_and(|c| c.is_ascii_digit())
}

/// `[-+]?[0-9]+`, `0o[0-7]+` or `0x[0-9a-fA-F]+`.
pub fn core_int(text: &str) -> Option<i128> {
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let decimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    decimal
        .then(|| text.strip_prefix('+').unwrap_or(text).parse().ok())
        .flatten()
}

fn radix(digits: &str, radix: u32) -> Option<i128> {
    // `from_str_radix` takes a sign, which the schema does not have here.
    let plain = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    plain
        .then(|| i128::from_str_radix(digits, radix).ok())
        .flatten()
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, the infinities and not-a-number.
pub fn core_float(text: &str) -> Option<f64> {
    match text.strip_prefix(['+', '-']).unwrap_or(text) {
        ".inf" | ".Inf" | ".INF" => {
            return Some(if text.starts_with('-') {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            });
        }
        unsigned if unsigned.len() == text.len() && matches!(text, ".nan" | ".NaN" | ".NAN") => {
            return Some(f64::NAN);
        }
        unsigned => {
            let (mantissa, exponent) = unsigned
                .split_once(['e', 'E'])
                .map_or((unsigned, None), |(m, e)| (m, Some(e)));
            let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
            let mantissa_ok = match mantissa.split_once('.') {
                None => digits(mantissa),
                Some(("", fraction)) => digits(fraction),
                Some((whole, fraction)) => {
                    digits(whole) && (fraction.is_empty() || digits(fraction))
                }
            };
            if !mantissa_ok
                || exponent.is_some_and(|e| !digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
            {
                return None;
            }
        }
    }
    text.parse().ok()
}

/// Whether no reader of YAML 1.1 or 1.2 takes this plain text for something but a string.
///
/// Only letters-first words and paths are ever called safe, so numbers, dates and base-60 values
/// need no rule here.
pub fn plain_is_a_string(text: &str) -> bool {
    const WORDS: [&str; 11] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf",
    ];
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'/'))
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'/' | b'.' | b'-'))
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquoted_scalars_mean_what_penguins_loader_makes_of_them() {
        for text in [
            "on",
            "off",
            "yes",
            "no",
            "y",
            "n",
            "0b101",
            "1_000",
            "12:30:45",
            "2001-01-01",
            "aa:bb:cc:dd:ee:ff",
            "1.2.3.4",
            "-0x1F",
            "0o8",
            "+.nan",
            "1e",
            ".",
        ] {
            assert_eq!(resolve_core(text), Value::from(text), "{text}");
        }
        for (text, number) in [
            ("0755", 755),
            ("0o755", 493),
            ("0x1F", 31),
            ("08", 8),
            ("+1", 1),
            ("-5", -5),
        ] {
            assert_eq!(resolve_core(text), Value::Int(number), "{text}");
        }
        for (text, number) in [
            ("1e3", 1e3),
            ("1.5e3", 1.5e3),
            ("-.5", -0.5),
            ("+.5", 0.5),
            ("1.", 1.0),
            ("1e400", f64::INFINITY),
            ("-.inf", f64::NEG_INFINITY),
        ] {
            assert_eq!(resolve_core(text), Value::Float(number), "{text}");
        }
        assert_eq!(resolve_core("TRUE"), Value::Bool(true));
        assert_eq!(resolve_core("~"), Value::Null);
    }

    #[test]
    fn result_scalars_are_typed_only_where_both_versions_agree() {
        for text in [
            "08", "0o17", "0755", "1e3", "1.5e3", "-.5", "+.5", "1_000", "12:30", "0x1F", "+1",
            "1.50", "True", "~",
        ] {
            assert_eq!(resolve_result(text, false), Value::from(text), "{text}");
        }
        assert_eq!(resolve_result("12", false), Value::Int(12));
        assert_eq!(resolve_result("1.5", false), Value::Float(1.5));
        assert_eq!(resolve_result("", false), Value::Null);
        assert_eq!(resolve_result("0o755", true), Value::Int(0o755));
        assert_eq!(resolve_result("15.212", true), Value::Float(15.212));
        assert_eq!(resolve_result("1.0e+16", true), Value::Float(1e16));
    }
}
