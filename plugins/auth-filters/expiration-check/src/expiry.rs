//! When a creator's certificate expires.

use quick_cache::sync::Cache;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{FromDer, X509Certificate};

/// How many certificates are remembered; more clients than that are seldom active at the same time.
const REMEMBERED: usize = 1024;
/// Longer ones are parsed each time, so that they cannot fill the memory.
const MAX_REMEMBERED_SIZE: usize = 16 * 1024;

/// The end of validity by certificate; `None` for what is no X.509 certificate in PEM.
pub(crate) struct Expiries(Cache<Vec<u8>, Option<SystemTime>>);

impl Expiries {
    pub(crate) fn new() -> Self {
        Self(Cache::new(REMEMBERED))
    }

    /// The certificate's `NotAfter`, parsed once per certificate.
    pub(crate) fn not_after(&self, id_bytes: &[u8]) -> Option<SystemTime> {
        if id_bytes.len() > MAX_REMEMBERED_SIZE {
            return parse(id_bytes);
        }
        if let Some(known) = self.0.get(id_bytes) {
            return known;
        }
        let not_after = parse(id_bytes);
        self.0.insert(id_bytes.to_vec(), not_after);
        not_after
    }
}

/// The first PEM block, by the reader that the endorser uses: what another one could not read would pass here, and the
/// endorser, which does not look at the end of validity, would take it.
fn parse(id_bytes: &[u8]) -> Option<SystemTime> {
    let block = pem::parse(id_bytes).ok()?;
    let (_rest, certificate) = X509Certificate::from_der(block.contents()).ok()?;
    let seconds = certificate.validity().not_after.timestamp();
    match u64::try_from(seconds) {
        Ok(after_1970) => UNIX_EPOCH.checked_add(Duration::from_secs(after_1970)),
        Err(_before_1970) => Some(UNIX_EPOCH),
    }
}
