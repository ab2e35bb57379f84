//! ECDSA signatures as Fabric wants them: DER, with the smaller of the two possible values of S.
//!
//! Only the numbers inside a signature are looked at here; checking one against a key is aws-lc's work.

use std::borrow::Cow;

use x509_parser::num_bigint::BigUint;

/// The orders of the curves Fabric identities use, big-endian.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
const P384_ORDER: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf, 0x58, 0x1a,
    0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

/// Longest integer that a signature on a supported curve can hold, with its sign byte.
const MAX_INTEGER: usize = 49;

/// Longest length that Go reads: it gives up where another byte would make more than 32 bits.
const MAX_LENGTH_BYTES: usize = 4;

/// A curve that identities may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
}

impl Curve {
    fn order(self) -> &'static [u8] {
        match self {
            Self::P256 => &P256_ORDER,
            Self::P384 => &P384_ORDER,
        }
    }

    fn half_order(self) -> BigUint {
        BigUint::from_bytes_be(self.order()) >> 1
    }
}

/// What is wrong with a signature's numbers.
#[derive(Debug, thiserror::Error)]
pub enum SignatureFormatError {
    /// Not a DER sequence of two positive integers.
    #[error("failed unmashalling signature")]
    Malformed,
    /// S is not the smaller of its two possible values.
    #[error("Invalid S. Must be smaller than half the order [{s}][{half_order}].")]
    HighS {
        /// The value found, in decimal.
        s: String,
        /// Half the order of the curve, in decimal.
        half_order: String,
    },
}

/// The two integers of a signature, minimal big-endian without a sign byte.
struct Integers<'a> {
    r: &'a [u8],
    s: &'a [u8],
}

/// Refuses a signature whose S is high. Returns it in the strict form that aws-lc asks for: Go, and so Fabric, does
/// not look at what follows the two numbers.
pub(crate) fn check_low_s(curve: Curve, signature: &[u8]) -> Result<Cow<'_, [u8]>, SignatureFormatError> {
    let integers = parse(signature).ok_or(SignatureFormatError::Malformed)?;
    if is_low(curve, integers.s) {
        return Ok(integers.strict(signature));
    }
    Err(SignatureFormatError::HighS {
        s: BigUint::from_bytes_be(integers.s).to_string(),
        half_order: curve.half_order().to_string(),
    })
}

/// The signature with low S, strictly encoded, or `None` when it already is both.
pub(crate) fn to_low_s(curve: Curve, signature: &[u8]) -> Result<Option<Vec<u8>>, SignatureFormatError> {
    let integers = parse(signature).ok_or(SignatureFormatError::Malformed)?;
    if is_low(curve, integers.s) {
        return Ok(match integers.strict(signature) {
            Cow::Borrowed(_) => None,
            Cow::Owned(strict) => Some(strict),
        });
    }
    let order = BigUint::from_bytes_be(curve.order());
    let s = BigUint::from_bytes_be(integers.s);
    if s >= order {
        return Err(SignatureFormatError::Malformed);
    }
    Ok(Some(encode(integers.r, &(order - s).to_bytes_be())))
}

impl Integers<'_> {
    /// Their encoding with nothing else in it.
    fn strict<'s>(&self, signature: &'s [u8]) -> Cow<'s, [u8]> {
        let strict = encode(self.r, self.s);
        match strict == signature {
            true => Cow::Borrowed(signature),
            false => Cow::Owned(strict),
        }
    }
}

/// Compares without big integers: half the order is the order shifted right by one, byte by byte.
fn is_low(curve: Curve, s: &[u8]) -> bool {
    let order = curve.order();
    if s.len() != order.len() {
        return s.len() < order.len();
    }
    let mut carry = 0;
    for (byte, full) in s.iter().zip(order) {
        let half = (full >> 1) | (carry << 7);
        carry = full & 1;
        if *byte != half {
            return *byte < half;
        }
    }
    true
}

/// Reads as Go's encoding/asn1 does: minimal lengths and integers, but anything may follow the second integer and
/// the sequence.
fn parse(signature: &[u8]) -> Option<Integers<'_>> {
    let (tag, content, _) = element(signature)?;
    if tag != 0x30 {
        return None;
    }
    let (r, rest) = integer(content)?;
    let (s, _) = integer(rest)?;
    Some(Integers { r, s })
}

fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, input) = input.split_first()?;
    let (length, input) = length(input)?;
    let (content, rest) = input.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// A definite length in as few bytes as possible.
fn length(input: &[u8]) -> Option<(usize, &[u8])> {
    let (first, input) = input.split_first()?;
    let Some(count) = first.checked_sub(0x80) else {
        return Some((usize::from(*first), input));
    };
    let (bytes, rest) = input.split_at_checked(usize::from(count))?;
    let minimal = bytes.len() <= MAX_LENGTH_BYTES && bytes.first().is_some_and(|first| *first > 0);
    let length = bytes
        .iter()
        .fold(0, |length, byte| (length << 8) | usize::from(*byte));
    (minimal && length >= 0x80).then_some((length, rest))
}

fn integer(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(input)?;
    if tag != 0x02 || content.is_empty() || content.len() > MAX_INTEGER {
        return None;
    }
    let value = match content {
        [0] => return None,
        [0, high, ..] if *high >= 0x80 => content.get(1..)?,
        [0, ..] => return None,
        [first, ..] if *first >= 0x80 => return None,
        _ => content,
    };
    Some((value, rest))
}

fn encode(r: &[u8], s: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(110);
    for value in [r, s] {
        let sign = value.first().is_some_and(|byte| *byte >= 0x80);
        content.push(0x02);
        content.push(u8::try_from(value.len()).unwrap_or(0x7f) + u8::from(sign));
        if sign {
            content.push(0);
        }
        content.extend_from_slice(value);
    }
    let mut signature = Vec::with_capacity(content.len() + 2);
    signature.push(0x30);
    signature.push(u8::try_from(content.len()).unwrap_or(0x7f));
    signature.append(&mut content);
    signature
}

/// The other signature that is just as right, for tests: S replaced by the order less S.
#[cfg(test)]
pub(crate) fn flipped(curve: Curve, signature: &[u8]) -> Vec<u8> {
    let integers = parse(signature).unwrap();
    let s = BigUint::from_bytes_be(curve.order()) - BigUint::from_bytes_be(integers.s);
    encode(integers.r, &s.to_bytes_be())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(curve: Curve, s: &BigUint) -> Vec<u8> {
        let r = vec![0x81; curve.order().len()];
        encode(&r, &s.to_bytes_be())
    }

    #[test]
    fn half_the_order_is_low_and_one_more_is_high() {
        for curve in [Curve::P256, Curve::P384] {
            let half = curve.half_order();
            assert!(check_low_s(curve, &signature(curve, &half)).is_ok());
            let high = signature(curve, &(&half + 1u8));
            let text = check_low_s(curve, &high).unwrap_err().to_string();
            assert!(
                text.starts_with("Invalid S. Must be smaller than half the order ["),
                "{text}"
            );
            assert!(text.ends_with(&format!("][{half}].")), "{text}");
            let low = to_low_s(curve, &high).unwrap().unwrap();
            assert_eq!(low, signature(curve, &half));
            assert!(to_low_s(curve, &low).unwrap().is_none());
        }
    }

    #[test]
    fn what_follows_the_numbers_is_not_looked_at() {
        let good = signature(Curve::P256, &BigUint::from(5u8));
        let content = &good[2..];
        let wrapped = |length: &[u8], more: &[u8]| [&[0x30], length, content, more].concat();
        let short = u8::try_from(content.len()).unwrap();
        let trailing = [good.as_slice(), b"trailing"].concat();
        let inside = wrapped(&[short + 3], &[0x02, 0x01, 0x07]);
        let no_element = wrapped(&[short + 1], &[0xff]);
        let long = wrapped(&[0x81, short + 100], &[0xff; 100]);
        for loose in [trailing, inside, no_element, long] {
            assert_eq!(check_low_s(Curve::P256, &loose).unwrap(), good);
            assert_eq!(to_low_s(Curve::P256, &loose).unwrap(), Some(good.clone()));
        }
        assert!(to_low_s(Curve::P256, &good).unwrap().is_none());
        // lengths are minimal
        for length in [&[0x81, short][..], &[0x82, 0, short], &[0x80]] {
            assert!(check_low_s(Curve::P256, &wrapped(length, &[])).is_err());
        }
    }

    #[test]
    fn only_minimal_positive_numbers_are_a_signature() {
        let good = signature(Curve::P256, &BigUint::from(5u8));
        assert_eq!(check_low_s(Curve::P256, &good).unwrap(), good);
        for cut in 0..good.len() {
            assert!(check_low_s(Curve::P256, &good[..cut]).is_err());
        }
        for zero in [[1, 0], [0, 1]] {
            let zero = [0x30, 0x06, 0x02, 0x01, zero[0], 0x02, 0x01, zero[1]];
            assert!(check_low_s(Curve::P256, &zero).is_err());
        }
        let padded = [0x30, 0x08, 0x02, 0x01, 0x05, 0x02, 0x03, 0x00, 0x00, 0x05];
        assert!(check_low_s(Curve::P256, &padded).is_err());
        let negative = [0x30, 0x06, 0x02, 0x01, 0x85, 0x02, 0x01, 0x05];
        assert!(check_low_s(Curve::P256, &negative).is_err());
    }
}
