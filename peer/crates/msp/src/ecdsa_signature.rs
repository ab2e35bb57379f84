//! ECDSA signatures as Fabric wants them: DER, with the smaller of the two possible values of S.
//!
//! Only the numbers inside a signature are looked at here; checking one against a key is aws-lc's work.

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

/// Refuses a signature that is not strict DER or whose S is high.
pub(crate) fn check_low_s(curve: Curve, signature: &[u8]) -> Result<(), SignatureFormatError> {
    let integers = parse(signature).ok_or(SignatureFormatError::Malformed)?;
    if is_low(curve, integers.s) {
        return Ok(());
    }
    Err(SignatureFormatError::HighS {
        s: BigUint::from_bytes_be(integers.s).to_string(),
        half_order: curve.half_order().to_string(),
    })
}

/// The signature with low S, or `None` when it already is (and is encoded minimally).
pub(crate) fn to_low_s(curve: Curve, signature: &[u8]) -> Result<Option<Vec<u8>>, SignatureFormatError> {
    let integers = parse(signature).ok_or(SignatureFormatError::Malformed)?;
    if is_low(curve, integers.s) {
        return Ok(None);
    }
    let order = BigUint::from_bytes_be(curve.order());
    let s = BigUint::from_bytes_be(integers.s);
    if s >= order {
        return Err(SignatureFormatError::Malformed);
    }
    Ok(Some(encode(integers.r, &(order - s).to_bytes_be())))
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

fn parse(signature: &[u8]) -> Option<Integers<'_>> {
    let (tag, content, rest) = element(signature)?;
    if tag != 0x30 || !rest.is_empty() {
        return None;
    }
    let (r, rest) = integer(content)?;
    let (s, rest) = integer(rest)?;
    rest.is_empty().then_some(Integers { r, s })
}

/// One element with a length below 128: all that signatures on these curves need.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, input) = input.split_first()?;
    let (length, input) = input.split_first()?;
    if *length >= 0x80 {
        return None;
    }
    let (content, rest) = input.split_at_checked(usize::from(*length))?;
    Some((*tag, content, rest))
}

fn integer(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(input)?;
    if tag != 0x02 || content.is_empty() || content.len() > MAX_INTEGER {
        return None;
    }
    let value = match content {
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
    fn only_strict_der_is_a_signature() {
        let good = signature(Curve::P256, &BigUint::from(5u8));
        assert!(check_low_s(Curve::P256, &good).is_ok());
        for cut in 0..good.len() {
            assert!(check_low_s(Curve::P256, &good[..cut]).is_err());
        }
        let mut trailing = good.clone();
        trailing.push(0);
        assert!(check_low_s(Curve::P256, &trailing).is_err());
        let padded = [0x30, 0x08, 0x02, 0x01, 0x05, 0x02, 0x03, 0x00, 0x00, 0x05];
        assert!(check_low_s(Curve::P256, &padded).is_err());
        let negative = [0x30, 0x06, 0x02, 0x01, 0x85, 0x02, 0x01, 0x05];
        assert!(check_low_s(Curve::P256, &negative).is_err());
    }
}
