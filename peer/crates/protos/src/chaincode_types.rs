//! The language of a chaincode: a name for people and platforms, a number in `ChaincodeSpec.type`.
//!
//! Fabric numbers five languages. Every other one has a number that follows from its name, so that whoever packs and
//! whoever installs need no list in common: 2^30, plus the first 30 bits of the SHA-256 of the name in upper case.

use std::borrow::Cow;

use crate::peer::chaincode_spec::Type;
use crate::sha256;

/// The smallest number of a language that Fabric does not number.
const FIRST: i32 = 1 << 30;

/// The number of a language. Case does not matter.
#[must_use]
pub fn chaincode_type_number(name: &str) -> i32 {
    let name = name.to_ascii_uppercase();
    if let Some(known) = Type::from_str_name(&name) {
        return known.into();
    }
    let [a, b, c, d, ..] = sha256(&[name.as_bytes()]);
    // the first 30 bits, so it fits
    let bits = i32::from_be_bytes([
        a >> 2,
        (a << 6) | (b >> 2),
        (b << 6) | (c >> 2),
        (c << 6) | (d >> 2),
    ]);
    FIRST | bits
}

/// The name of a language that Fabric numbers; the number itself, in digits, of one that it does not; else `UNDEFINED`.
#[must_use]
pub fn chaincode_type_text(number: i32) -> Cow<'static, str> {
    match Type::try_from(number) {
        Ok(known) => known.as_str_name().into(),
        Err(_unknown) if number >= FIRST => number.to_string().into(),
        Err(_unknown) => Type::Undefined.as_str_name().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fabrics_languages_keep_their_numbers() {
        for (name, number) in [
            ("GOLANG", 1),
            ("node", 2),
            ("Car", 3),
            ("JAVA", 4),
            ("UNDEFINED", 0),
        ] {
            assert_eq!(chaincode_type_number(name), number);
            assert_eq!(chaincode_type_text(number), name.to_uppercase());
        }
    }

    #[test]
    fn other_languages_have_the_first_bits_of_their_hash() {
        // printf LUA | sha256sum begins with 189ea33e
        assert_eq!(chaincode_type_number("LUA"), FIRST + (0x189e_a33e >> 2));
        assert_eq!(chaincode_type_number("lua"), chaincode_type_number("LUA"));
        assert_ne!(chaincode_type_number("LUB"), chaincode_type_number("LUA"));
        let number = chaincode_type_number("LUA");
        assert_eq!(chaincode_type_text(number), number.to_string());
        for nothing in [5, -1, i32::MIN, FIRST - 1] {
            assert_eq!(chaincode_type_text(nothing), "UNDEFINED");
        }
    }
}
