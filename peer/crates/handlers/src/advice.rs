//! [`closest`]: which of the known words somebody may have meant.

/// Longest word that is compared; nothing that people type is longer, and the comparison costs its square.
const LONGEST: usize = 64;

/// The known word that is closest to `word`, unless none is close. Case does not matter.
pub(crate) fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let lower = word.to_lowercase();
    // neighbours that changed places count as one mistake
    let distance = |known: &str| strsim::osa_distance(&lower, &known.to_lowercase());
    known
        .into_iter()
        .filter(|known| known.len() <= LONGEST)
        .map(|known| (distance(known), known))
        .filter(|(distance, known)| *distance <= tolerated(word.len().max(known.len())))
        .min()
        .map(|(_, known)| known)
}

/// How many letters of a word of this length may be wrong.
fn tolerated(length: usize) -> usize {
    (length / 3).clamp(1, 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_forgiven_and_another_word_is_not() {
        let known = ["allow", "deny", "ExpirationCheck", "timeoutMs"];
        for (word, meant) in [
            ("alow", Some("allow")),
            ("ALLOW", Some("allow")),
            ("dney", Some("deny")),
            ("expiration-chek", Some("ExpirationCheck")),
            ("timeout_ms", Some("timeoutMs")),
            ("x", None),
            ("", None),
            ("colour", None),
        ] {
            assert_eq!(closest(word, known), meant, "{word}");
        }
        assert_eq!(closest(&"allow".repeat(1 << 20), known), None);
    }
}
