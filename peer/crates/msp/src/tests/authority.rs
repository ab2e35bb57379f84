//! Certificate authorities for tests.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use protos::msp::{FabricMspConfig, FabricNodeOUs, FabricOuIdentifier, SerializedIdentity};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, RevokedCertParams,
    SerialNumber, date_time_ymd,
};

use crate::{Admins, Certificate, LocalSigner, Msp};

pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub(super) struct Member {
    pub(super) pem: String,
    pub(super) key_pem: String,
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
    params
}

fn ca_params(common_name: &str) -> CertificateParams {
    let mut params = params(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params
}

impl Authority {
    pub(super) fn root(common_name: &str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self(CertifiedIssuer::self_signed(ca_params(common_name), key).unwrap())
    }

    /// A root whose path length constraint is zero.
    pub(super) fn root_without_intermediates(common_name: &str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = ca_params(common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(super) fn root_p384(common_name: &str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        Self(CertifiedIssuer::self_signed(ca_params(common_name), key).unwrap())
    }

    pub(super) fn intermediate(&self, common_name: &str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self(CertifiedIssuer::signed_by(ca_params(common_name), key, &self.0).unwrap())
    }

    pub(super) fn pem(&self) -> Bytes {
        self.0.pem().into()
    }

    pub(super) fn member(&self, units: &[&str]) -> Member {
        self.member_with(units, |_| {})
    }

    pub(super) fn member_with(&self, units: &[&str], adapt: impl FnOnce(&mut CertificateParams)) -> Member {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        self.member_with_key(key, units, adapt)
    }

    pub(super) fn member_p384(&self) -> Member {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        self.member_with_key(key, &[], |_| {})
    }

    fn member_with_key(
        &self,
        key: KeyPair,
        units: &[&str],
        adapt: impl FnOnce(&mut CertificateParams),
    ) -> Member {
        let mut params = params("member");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // rcgen keeps one value per kind of attribute; the same attribute under two kinds makes two units
        let kinds = [
            DnType::OrganizationalUnitName,
            DnType::CustomDnType(vec![2, 5, 4, 11]),
        ];
        for (kind, unit) in kinds.into_iter().zip(units) {
            params.distinguished_name.push(kind, *unit);
        }
        adapt(&mut params);
        Member {
            pem: params.signed_by(&key, &self.0).unwrap().pem(),
            key_pem: key.serialize_pem(),
        }
    }

    /// A revocation list for serial numbers.
    pub(super) fn revocation_list(&self, serials: &[u8]) -> Bytes {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&[*serial]),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2021, 1, 1),
            next_update: date_time_ymd(2022, 1, 1),
            crl_number: SerialNumber::from_slice(&[1]),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap().pem().unwrap().into()
    }
}

impl Member {
    pub(super) fn serialized(&self, msp_id: &str) -> Bytes {
        serialized(msp_id, &self.pem)
    }

    pub(super) fn signer(&self, msp_id: &str) -> LocalSigner {
        let certificate = Certificate::from_pem(self.pem.as_bytes()).unwrap();
        LocalSigner::new(msp_id, &certificate, self.key_pem.as_bytes()).unwrap()
    }
}

pub(super) fn serialized(msp_id: &str, pem: &str) -> Bytes {
    let identity = SerializedIdentity {
        mspid: msp_id.into(),
        id_bytes: Bytes::copy_from_slice(pem.as_bytes()),
    };
    identity.encode_to_vec().into()
}

pub(super) fn config(msp_id: &str, roots: &[&Authority]) -> FabricMspConfig {
    FabricMspConfig {
        name: msp_id.into(),
        root_certs: roots.iter().map(|root| root.pem()).collect(),
        ..FabricMspConfig::default()
    }
}

pub(super) fn msp(config: &FabricMspConfig) -> Arc<Msp> {
    Arc::new(Msp::from_config(config, Admins::Optional).unwrap())
}

/// Node OUs by their usual names, perhaps bound to a CA.
pub(super) fn node_ous(certifier: Option<&Authority>) -> FabricNodeOUs {
    let unit = |name: &str| {
        Some(FabricOuIdentifier {
            certificate: certifier.map(Authority::pem).unwrap_or_default(),
            organizational_unit_identifier: name.into(),
        })
    };
    FabricNodeOUs {
        enable: true,
        client_ou_identifier: unit("client"),
        peer_ou_identifier: unit("peer"),
        admin_ou_identifier: unit("admin"),
        orderer_ou_identifier: unit("orderer"),
    }
}
