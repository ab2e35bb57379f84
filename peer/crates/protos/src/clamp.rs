//! Ids as clients send them, before anything is known of them, for logs and error texts.

use std::borrow::Cow;

/// Characters of an id that are shown. Those of channels, chaincode and MSPs that exist have at most 249.
const SHOWN: usize = 256;

/// An id, cut and marked if it is longer than any that exists: a client could send a hundred megabytes of it.
#[must_use]
pub fn clamped(id: &str) -> Cow<'_, str> {
    let shown = id.char_indices().nth(SHOWN).and_then(|(end, _)| id.get(..end));
    shown.map_or(Cow::Borrowed(id), |shown| Cow::Owned(format!("{shown}…")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_too_long_is_cut_and_between_characters() {
        for fits in ["", "mychannel", &"é".repeat(SHOWN)] {
            assert_eq!(clamped(fits), fits);
        }
        assert_eq!(clamped(&"é".repeat(100_000)), format!("{}…", "é".repeat(SHOWN)));
    }
}
