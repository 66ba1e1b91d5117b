//! How a size and an age are written on the command line.

use std::time::Duration;

/// `30d`, `12h`
pub fn days(text: &str) -> Result<Duration, String> {
    let (number, unit) = parts(text);
    let hours = match unit {
        "d" => 24,
        "h" => 1,
        _ => return Err("it is a number with `d` or `h`, such as 30d".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "it is too large".to_owned())?;
    Ok(Duration::from_secs(number.saturating_mul(hours * 3600)))
}

/// `10G`, `512M`
pub fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = parts(text);
    let factor: u64 = match unit {
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return Err("it is a number with K, M, G or T, such as 10G".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "it is too large".to_owned())?;
    Ok(number.saturating_mul(factor))
}

fn parts(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_and_an_age_have_a_unit() {
        assert_eq!((bytes("2K"), bytes("1G")), (Ok(2048), Ok(1 << 30)));
        assert_eq!(days("2d"), Ok(Duration::from_hours(48)));
        for wrong in ["", "5", "G", "-1G", "5X", "99999999999999999999d"] {
            assert!(bytes(wrong).is_err() && days(wrong).is_err(), "{wrong}");
        }
    }
}
