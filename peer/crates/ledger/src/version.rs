//! The version of a key: which transaction wrote it last.

use protos::kvrwset;

/// Block and position in it of the transaction that wrote a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The block.
    pub block_num: u64,
    /// Index among all transactions of the block, valid or not.
    pub tx_num: u64,
}

impl Version {
    /// The version that a transaction gives to what it writes.
    #[must_use]
    pub const fn new(block_num: u64, tx_num: u64) -> Self {
        Self { block_num, tx_num }
    }

    /// Fabric's bytes of a version: both numbers as length and significant bytes, big-endian.
    pub(crate) fn order_preserving_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(18);
        for number in [self.block_num, self.tx_num] {
            let bytes = number.to_be_bytes();
            let significant = bytes.iter().skip_while(|byte| **byte == 0);
            out.push(u8::try_from(significant.clone().count()).unwrap_or(u8::MAX));
            out.extend(significant);
        }
        out
    }
}

impl From<Version> for kvrwset::Version {
    fn from(version: Version) -> Self {
        Self {
            block_num: version.block_num,
            tx_num: version.tx_num,
        }
    }
}

impl From<&kvrwset::Version> for Version {
    fn from(version: &kvrwset::Version) -> Self {
        Self::new(version.block_num, version.tx_num)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_encode_to_their_significant_bytes() {
        assert_eq!(Version::new(0, 0).order_preserving_bytes(), [0, 0]);
        assert_eq!(Version::new(1, 0x0102).order_preserving_bytes(), [1, 1, 2, 1, 2]);
        let longest = Version::new(u64::MAX, 3).order_preserving_bytes();
        assert_eq!(longest, [8, 255, 255, 255, 255, 255, 255, 255, 255, 1, 3]);
    }
}
