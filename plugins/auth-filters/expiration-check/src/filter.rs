//! The filter itself.

use crate::expiry::Expiries;
use crate::messages::creator_of;
use plugin_api::{Filter, Flow, PluginError, Request, Result};
use std::time::SystemTime;

/// Rejects expired creators with the texts of Fabric's filter.
pub(crate) struct ExpirationCheck {
    expiries: Expiries,
}

impl ExpirationCheck {
    pub(crate) fn new() -> Self {
        Self {
            expiries: Expiries::new(),
        }
    }

    fn check(&self, id_bytes: &[u8], now: SystemTime) -> Result<()> {
        match self.expiries.not_after(id_bytes) {
            Some(not_after) if not_after < now => Err(PluginError::unknown("identity expired")),
            _ => Ok(()),
        }
    }
}

impl Filter for ExpirationCheck {
    type State = ();

    async fn before(&self, request: &Request) -> Result<Flow<()>> {
        let now = SystemTime::now();
        let parsed = request.creator_cert();
        if !parsed.is_empty() {
            self.check(&parsed, now)?;
        } else if let Some(creator) = creator_of(&request.proposal_bytes()).map_err(PluginError::unknown)? {
            self.check(&creator, now)?;
        }
        Ok(Flow::Continue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{Header, Proposal, SerializedIdentity, SignatureHeader};
    use bytes::Bytes;
    use prost::Message;
    use std::time::Duration;
    use time::OffsetDateTime;

    fn certificate(not_after: SystemTime) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.not_after = OffsetDateTime::from(not_after);
        params.self_signed(&key).unwrap().pem()
    }

    fn proposal(creator: Vec<u8>) -> Vec<u8> {
        let signature_header = SignatureHeader {
            creator: creator.into(),
        }
        .encode_to_vec();
        let header = Header {
            signature_header: signature_header.into(),
        }
        .encode_to_vec();
        Proposal {
            header: header.into(),
        }
        .encode_to_vec()
    }

    /// All that the endorser takes for this certificate, which does not look at the end of validity itself.
    #[test]
    fn an_expired_certificate_is_one_however_its_pem_is_written() {
        let filter = ExpirationCheck::new();
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let pem = certificate(end);
        let headed = pem.replacen("-----\n", "-----\nProc-Type: 4,CLEAR\n\n", 1);
        let windows = pem.replace('\n', "\r\n");
        let binary_before = [b"\xff\xfe\n", pem.as_bytes()].concat();
        let binary_after = [pem.as_bytes(), b"\xff\xfe"].concat();
        let text_before = format!("subject: alice {pem}");
        for written in [
            headed.as_bytes(),
            windows.as_bytes(),
            &binary_before,
            &binary_after,
            text_before.as_bytes(),
        ] {
            let shown = String::from_utf8_lossy(written);
            let error = filter.check(written, SystemTime::now()).expect_err(&shown);
            assert_eq!(error.message.as_str(), "identity expired", "{shown}");
        }
    }

    #[test]
    fn the_certificate_decides() {
        let filter = ExpirationCheck::new();
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
        let pem = certificate(end);
        // twice each: the second answer comes from the memory
        for _ in 0..2 {
            assert!(filter.check(pem.as_bytes(), end).is_ok());
            let error = filter
                .check(pem.as_bytes(), end + Duration::from_nanos(1))
                .unwrap_err();
            assert_eq!((error.code.0, error.message.as_str()), (2, "identity expired"));
        }
    }

    #[test]
    fn what_is_no_certificate_passes() {
        let filter = ExpirationCheck::new();
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(9_000_000_000);
        let not_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for id_bytes in ["", "garbage", not_x509] {
            assert!(filter.check(id_bytes.as_bytes(), far).is_ok());
        }
        assert!(filter.check(&vec![b'x'; MIB], far).is_ok());
    }

    const MIB: usize = 1 << 20;

    #[test]
    fn every_layer_has_its_text() {
        let identity = SerializedIdentity {
            id_bytes: Bytes::from("pem"),
        }
        .encode_to_vec();
        assert_eq!(
            creator_of(&proposal(identity)).unwrap().unwrap(),
            Bytes::from("pem")
        );
        assert_eq!(creator_of(&proposal(b"\xff\xff".to_vec())).unwrap(), None);
        assert_eq!(creator_of(b"").unwrap().unwrap(), Bytes::new());
        let broken = Bytes::from_static(b"\xff\xff");
        let in_header = Header {
            signature_header: broken.clone(),
        }
        .encode_to_vec();
        for (bytes, text) in [
            (broken.to_vec(), "failed parsing proposal: "),
            (
                Proposal { header: broken }.encode_to_vec(),
                "failed parsing header: ",
            ),
            (
                Proposal {
                    header: in_header.into(),
                }
                .encode_to_vec(),
                "failed parsing signature header: ",
            ),
        ] {
            let error = creator_of(&bytes).unwrap_err();
            assert!(error.starts_with(text), "{error}");
        }
    }
}
