//! What a chaincode may be called, for whoever judges definitions (Fabric core/scc/lscc).

/// The names of system chaincodes of every release: no user chaincode may have one.
const RESERVED: [&str; 5] = ["cscc", "escc", "lscc", "qscc", "vscc"];

/// Whether the name starts with a letter or digit and consists of runs of those, joined by single `-` or `_`.
#[must_use]
pub fn is_valid_name(name: &str) -> bool {
    name.split(['-', '_'])
        .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// Whether the version consists of letters, digits, `_`, `.`, `+` and `-`, at least one.
#[must_use]
pub fn is_valid_version(version: &str) -> bool {
    !version.is_empty()
        && version
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.+-".contains(c))
}

/// Whether the name is one of a system chaincode.
#[must_use]
pub fn is_reserved_name(name: &str) -> bool {
    RESERVED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_fabrics_pattern() {
        for good in ["a", "example02", "a-b_c9", "9"] {
            assert!(is_valid_name(good), "{good}");
        }
        for bad in [
            "",
            "example02.go",
            "-a",
            "a-",
            "a--b",
            "a_-b",
            "ü",
            "a b",
            "../a",
            "a:b",
            "a\n",
        ] {
            assert!(!is_valid_name(bad), "{bad}");
        }
    }

    #[test]
    fn versions_follow_fabrics_pattern() {
        for good in ["1.0", "1.0-alpha+001", "1.0+sha.c0ffee", "_"] {
            assert!(is_valid_version(good), "{good}");
        }
        for bad in ["", "1{}0", "1/0", "1 0", "1:0"] {
            assert!(!is_valid_version(bad), "{bad}");
        }
    }
}
