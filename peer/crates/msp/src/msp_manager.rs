//! The MSPs of one channel configuration, and the identities they have vouched for.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use protos::decode_as_go;
use protos::msp::{MspPrincipal, SerializedIdentity};
use quick_cache::sync::Cache;

use crate::identity::{DeserializeError, Identity};
use crate::msp::Msp;
use crate::principal::PrincipalError;
use crate::validate::ValidateError;

/// Most valid identities remembered: more than a busy channel sees at a time, some kilobytes each.
const MAX_CACHED_IDENTITIES: usize = 2_000;

/// Longest serialized identity that is remembered. Certificates take one to two kilobytes; what follows one is
/// ignored, so a client could otherwise fill the cache with megabytes of it.
const MAX_CACHED_IDENTITY: usize = 16 * 1024;

/// The MSPs of a channel. A new configuration makes a new manager, whose cache is empty.
pub struct MspManager {
    msps: BTreeMap<Arc<str>, Arc<Msp>>,
    cache: Cache<Bytes, Arc<Identity>>,
}

impl MspManager {
    /// Puts MSPs together. Where two have the same id, the last one counts.
    #[must_use]
    pub fn new(msps: impl IntoIterator<Item = Arc<Msp>>) -> Self {
        Self {
            msps: msps.into_iter().map(|msp| (Arc::clone(msp.id()), msp)).collect(),
            cache: Cache::new(MAX_CACHED_IDENTITIES),
        }
    }

    /// The MSPs by id.
    #[must_use]
    pub fn msps(&self) -> &BTreeMap<Arc<str>, Arc<Msp>> {
        &self.msps
    }

    /// Reads a serialized `msp.SerializedIdentity`. One that is also valid is remembered with its answers.
    ///
    /// # Errors
    /// When the bytes are no identity, or no MSP of the channel vouches for it.
    pub fn deserialize(&self, serialized: &[u8]) -> Result<Arc<Identity>, DeserializeError> {
        if let Some(identity) = self.cache.get(serialized) {
            return Ok(identity);
        }
        if self.msps.is_empty() {
            return Err(DeserializeError::NoMsps);
        }
        let parts = SerializedIdentity::decode(serialized)
            .or_else(|_| decode_as_go(Bytes::copy_from_slice(serialized)));
        let parts: SerializedIdentity = parts.map_err(DeserializeError::Undecodable)?;
        let Some(msp) = self.msps.get(parts.mspid.as_str()) else {
            return Err(DeserializeError::UnknownMsp(parts.mspid));
        };
        let identity = Arc::new(Identity::new(Arc::clone(msp), serialized, &parts.id_bytes)?);
        if serialized.len() <= MAX_CACHED_IDENTITY && identity.validate().is_ok() {
            self.cache
                .insert(identity.serialized().clone(), Arc::clone(&identity));
        }
        Ok(identity)
    }

    /// Checks that the identity is a valid member of its MSP.
    ///
    /// # Errors
    /// When it is not.
    pub fn validate(&self, identity: &Identity) -> Result<(), Arc<ValidateError>> {
        identity.validate()
    }

    /// Checks an identity against a principal.
    ///
    /// # Errors
    /// When the identity does not satisfy it.
    pub fn satisfies_principal(
        &self,
        identity: &Identity,
        principal: &MspPrincipal,
    ) -> Result<(), Arc<PrincipalError>> {
        identity.satisfies_principal(principal)
    }

    /// How many identities are remembered.
    #[must_use]
    pub fn cached(&self) -> usize {
        self.cache.len()
    }
}

impl std::fmt::Debug for MspManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MspManager")
            .field("msps", &self.msps.keys())
            .finish_non_exhaustive()
    }
}
