//! Values as Go's viper reads them: durations, booleans and lists of texts.

use std::time::Duration;

const NANOS_OF: &[(&str, u128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Go's duration syntax, a sequence of number and unit (`1m30s`, `1.5h`); a bare number means nanoseconds.
/// Durations below zero have no meaning for any key and are refused, as is what Go's 63 bits cannot hold.
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let has_unit = text.chars().any(char::is_alphabetic);
    let nanos = if has_unit {
        nanos_of_terms(text)?
    } else {
        nanos_of_number(text, 1)?
    };
    let nanos = u64::try_from(nanos)
        .ok()
        .filter(|nanos| i64::try_from(*nanos).is_ok())?;
    Some(Duration::from_nanos(nanos))
}

fn nanos_of_terms(mut rest: &str) -> Option<u128> {
    let mut total = 0u128;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(unit_at)?;
        let unit_len = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(unit_len)?;
        let (_, scale) = NANOS_OF.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(nanos_of_number(number, *scale)?)?;
        rest = next;
    }
    Some(total)
}

/// `whole[.fraction]` times `scale`, cut off below one nanosecond as in Go.
fn nanos_of_number(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole = digits(whole)?.checked_mul(scale)?;
    // 18 digits are more than any unit has below it
    let fraction = fraction.get(..18).unwrap_or(fraction);
    let places = u32::try_from(fraction.len()).ok()?;
    let fraction = digits(fraction)?
        .checked_mul(scale)?
        .checked_div(10u128.checked_pow(places)?)?;
    whole.checked_add(fraction)
}

fn digits(text: &str) -> Option<u128> {
    if text.is_empty() {
        return Some(0);
    }
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// Go's `strconv.ParseBool`, and the words that YAML 1.1 (the version Fabric's parser speaks) takes as well.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        other => match other.to_ascii_lowercase().as_str() {
            "y" | "yes" | "on" => Some(true),
            "n" | "no" | "off" => Some(false),
            _ => None,
        },
    }
}

/// A blank-separated list.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{Duration, boolean, duration};

    #[test]
    fn durations_follow_go() {
        for (text, nanos) in [
            ("300s", 300_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("10ms", 10_000_000),
            ("2\u{b5}s", 2_000),
            ("2us", 2_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("7", 7),
            ("1.9", 1),
            ("0", 0),
            ("+3ns", 3),
            ("2562047h47m16.854775807s", 9_223_372_036_854_775_807),
        ] {
            assert_eq!(duration(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in [
            "", "s", "1x", "-1s", "1 s", ".", ".s", "1s2", "1e3s", "2562048h", "\u{664}s",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn booleans_follow_go_and_yaml() {
        for text in ["1", "t", "T", "TRUE", "true", "True", "yes", "On"] {
            assert_eq!(boolean(text), Some(true), "{text}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False", "no", "off"] {
            assert_eq!(boolean(text), Some(false), "{text}");
        }
        assert_eq!(boolean("tRUE"), None);
        assert_eq!(boolean("enable"), None);
    }
}
