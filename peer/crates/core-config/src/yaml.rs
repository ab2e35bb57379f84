//! YAML text to a JSON tree.

use serde::de::DeserializeOwned;

/// Where the text is not YAML, and why.
pub(crate) type YamlError = serde_saphyr::Error;

/// Reads one document with the scalars of YAML 1.2: `yes` and `off` stay texts, which a boolean key takes as
/// well, so that an `id: y` is a text and a plugin sees the word that was written.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        // lines of the file may hold secrets, the position is enough
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::parse;

    #[test]
    fn words_stay_words() {
        let tree: Value =
            parse("{a: y, b: off, c: true, d: 007, e: 0x10, f: 1.5, g: , h: '5', i: 1_0}").unwrap();
        let expected = json!({"a": "y", "b": "off", "c": true, "d": "007", "e": 16, "f": 1.5, "g": null, "h": "5", "i": "1_0"});
        assert_eq!(tree, expected);
    }

    #[test]
    fn errors_do_not_show_the_file() {
        let error = parse::<Value>("pass: secret\npass: [hush")
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 2") && !error.contains("hush"), "{error}");
    }
}
