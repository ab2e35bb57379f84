//! The right of one request to read on, asked anew before every block.

use std::error::Error;
use std::sync::Arc;
use std::time::SystemTime;

use protos::{SignedData, UnpackedEnvelope};

use super::request::identity_expires_at;
use super::source::{BlockForm, BlockSource};

/// Why a client may not read (any longer).
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    #[error("deliver client identity expired")]
    Expired,
    #[error("access denied")]
    Denied(#[source] Box<dyn Error + Send + Sync>),
    #[error("access check was aborted")]
    Aborted(#[source] tokio::task::JoinError),
}

/// Access of one request. The policy is evaluated again only after a change of configuration.
pub(crate) struct SessionAccess {
    source: Arc<dyn BlockSource>,
    form: BlockForm,
    signed: SignedData,
    ends: Option<SystemTime>,
    granted_at: Option<u64>,
}

impl SessionAccess {
    pub(crate) fn new(
        source: Arc<dyn BlockSource>,
        form: BlockForm,
        request: &UnpackedEnvelope,
        check_expiration: bool,
    ) -> Self {
        let signed = request.signed_data();
        Self {
            source,
            form,
            ends: check_expiration
                .then(|| identity_expires_at(&signed.identity))
                .flatten(),
            signed,
            granted_at: None,
        }
    }

    /// Signatures are checked on the blocking pool: a policy may ask for much of it.
    pub(crate) async fn evaluate(&mut self) -> Result<(), AccessError> {
        if self.ends.is_some_and(|ends| SystemTime::now() > ends) {
            return Err(AccessError::Expired);
        }
        // read before the check: a change in between leads to another check, never to a missed one
        let sequence = self.source.config_sequence();
        if self.granted_at == Some(sequence) {
            return Ok(());
        }
        self.granted_at = None;
        let (source, form, signed) = (Arc::clone(&self.source), self.form, self.signed.clone());
        let checking = tokio::task::spawn_blocking(move || source.check_access(form, &signed));
        let checked = checking.await.map_err(AccessError::Aborted)?;
        checked.map_err(AccessError::Denied)?;
        self.granted_at = Some(sequence);
        Ok(())
    }
}
