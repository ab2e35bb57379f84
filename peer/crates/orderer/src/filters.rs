//! What every message must pass before it is ordered (Fabric orderer/common/msgprocessor's rule sets).

use std::time::SystemTime;

use deliver::server::identity_expires_at;
use protos::UnpackedEnvelope;

use crate::rejection::Rejection;
use crate::resources::Resources;

/// Applies size, expiration and signature rules, in this order.
pub(crate) fn apply(
    resources: &Resources,
    message: &UnpackedEnvelope,
    check_expiration: bool,
) -> Result<(), Rejection> {
    check_size(resources, message)?;
    if check_expiration && resources.checks_expiration() {
        check_not_expired(message)?;
    }
    let policy = match resources.in_maintenance() {
        true => "/Channel/Orderer/Writers",
        false => "/Channel/Writers",
    };
    resources
        .evaluate(policy, &message.signed_data())
        .map_err(Rejection::PermissionDenied)
}

fn check_size(resources: &Resources, message: &UnpackedEnvelope) -> Result<(), Rejection> {
    let size = message
        .payload_bytes
        .len()
        .saturating_add(message.signature.len());
    let size = u64::try_from(size).unwrap_or(u64::MAX);
    let max = u64::from(resources.batch_size().absolute_max_bytes);
    if size > max {
        return Err(Rejection::TooLarge { size, max });
    }
    Ok(())
}

fn check_not_expired(message: &UnpackedEnvelope) -> Result<(), Rejection> {
    match identity_expires_at(&message.signature_header.creator) {
        Some(ends) if SystemTime::now() >= ends => Err(Rejection::Expired),
        _ => Ok(()),
    }
}
