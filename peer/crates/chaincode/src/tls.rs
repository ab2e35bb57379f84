//! TLS between peer and chaincode: a CA that lives as long as the process, an identity for every launch, and
//! the check that a stream comes from the chaincode that its certificate was made for.

use std::collections::HashMap;
use std::time::Duration;

use container::TlsFiles;
use parking_lot::Mutex;
use prost::Message;
use protos::peer::chaincode_message::Type;
use protos::peer::{ChaincodeId, ChaincodeMessage};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use time::OffsetDateTime;
use tokio::time::Instant;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};
use uuid::Uuid;

use crate::stream::CertificateHash;

/// How long a certificate waits for its chaincode to register (Fabric accesscontrol/mapper.go).
const REGISTRATION_TTL: Duration = Duration::from_secs(10 * 60);

/// How long a TLS handshake may take (Fabric's connection timeout of a server).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Life of the CA and of the server's certificate; the process will not live that long.
const AUTHORITY_DAYS: i64 = 10 * 365;

/// No TLS identity could be made.
#[derive(Debug, thiserror::Error)]
#[error("making a certificate failed")]
pub struct TlsError(#[from] rcgen::Error);

/// A stream does not belong to the chaincode it claims to be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AccessError {
    /// The first message is not a REGISTER.
    #[error("First message needs to be a register")]
    NotRegister,
    /// The REGISTER does not decode.
    #[error("failed unmarshaling REGISTER")]
    Undecodable(#[source] prost::DecodeError),
    /// The stream has no client certificate.
    #[error("TLS is active but chaincode {0} didn't send certificate")]
    NoCertificate(String),
    /// The certificate is not one of the peer's, or waited too long.
    #[error("Chaincode {chaincode} with given certificate hash {hash} not found in registry")]
    Unknown {
        /// The name in REGISTER.
        chaincode: String,
        /// SHA-256 of the certificate.
        hash: String,
    },
    /// The certificate was made for another chaincode.
    #[error("Chaincode {chaincode} with given certificate hash {hash} belongs to a different chaincode")]
    OtherChaincode {
        /// The name in REGISTER.
        chaincode: String,
        /// SHA-256 of the certificate.
        hash: String,
    },
}

struct Issued {
    chaincode: String,
    expires: Instant,
}

/// The CA of the chaincode listener.
pub struct TlsAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    server_cert_pem: String,
    server_key_pem: String,
    issued: Mutex<HashMap<CertificateHash, Issued>>,
}

impl TlsAuthority {
    /// A fresh CA and a server certificate for the host of `chaincode_address` (`host:port`).
    ///
    /// # Errors
    /// When the host cannot be a name in a certificate, or no key can be made.
    pub fn new(chaincode_address: &str) -> Result<Self, TlsError> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        describe(&mut params, "chaincode listener CA", AUTHORITY_DAYS);
        let issuer = CertifiedIssuer::self_signed(params, new_key()?)?;

        let mut server = CertificateParams::new(vec![host_of(chaincode_address).to_owned()])?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        describe(&mut server, "chaincode listener", AUTHORITY_DAYS);
        let key = new_key()?;
        let certificate = server.signed_by(&key, &issuer)?;
        Ok(Self {
            issuer,
            server_cert_pem: certificate.pem(),
            server_key_pem: key.serialize_pem(),
            issued: Mutex::default(),
        })
    }

    /// The listener's side: its certificate, and client certificates of this CA required.
    #[must_use]
    pub fn server_config(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(Identity::from_pem(&self.server_cert_pem, &self.server_key_pem))
            .client_ca_root(Certificate::from_pem(self.ca_pem()))
            .client_auth_optional(false)
            .timeout(HANDSHAKE_TIMEOUT)
    }

    /// The CA's certificate.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.issuer.pem()
    }

    /// The server's certificate.
    #[must_use]
    pub fn server_cert_pem(&self) -> &str {
        &self.server_cert_pem
    }

    /// An identity for one start of a chaincode. Its certificate lets it register, under this name only.
    ///
    /// # Errors
    /// When no key or certificate can be made.
    pub fn issue(&self, chaincode: &str) -> Result<TlsFiles, TlsError> {
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        describe(&mut params, chaincode, 1);
        let key = new_key()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let hash = protos::sha256(&[certificate.der().as_ref()]);
        let now = Instant::now();
        let mut issued = self.issued.lock();
        issued.retain(|_, issued| issued.expires > now);
        let entry = Issued {
            chaincode: chaincode.into(),
            expires: now + REGISTRATION_TTL,
        };
        issued.insert(hash, entry);
        drop(issued);
        Ok(TlsFiles {
            client_cert_pem: certificate.pem().into_bytes(),
            client_key_pem: key.serialize_pem().into_bytes(),
            root_cert_pem: self.ca_pem().into_bytes(),
        })
    }

    /// Checks the first message of a stream against the certificate that the stream came with.
    ///
    /// # Errors
    /// When the certificate was not made for the chaincode that registers.
    pub fn authenticate(
        &self,
        first: &ChaincodeMessage,
        certificate: Option<CertificateHash>,
    ) -> Result<(), AccessError> {
        if first.r#type != i32::from(Type::Register) {
            return Err(AccessError::NotRegister);
        }
        let id = ChaincodeId::decode(first.payload.clone()).map_err(AccessError::Undecodable)?;
        let chaincode = id.name;
        let Some(certificate) = certificate else {
            return Err(AccessError::NoCertificate(chaincode));
        };
        let hash = || hex::encode(certificate);
        let issued = self.issued.lock();
        let entry = issued.get(&certificate);
        match entry.filter(|entry| entry.expires > Instant::now()) {
            None => Err(AccessError::Unknown {
                chaincode,
                hash: hash(),
            }),
            Some(entry) if entry.chaincode != chaincode => Err(AccessError::OtherChaincode {
                chaincode,
                hash: hash(),
            }),
            Some(_) => Ok(()),
        }
    }
}

fn new_key() -> Result<KeyPair, TlsError> {
    Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)
}

/// Name, life from a day ago on, and a random serial number of 128 bits.
fn describe(params: &mut CertificateParams, name: &str, days: i64) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - time::Duration::days(1);
    params.not_after = now + time::Duration::days(days);
    params.serial_number = Some(Uuid::new_v4().as_bytes().to_vec().into());
    params.distinguished_name.push(DnType::CommonName, name);
}

/// The host of `host:port` or `[address]:port`.
fn host_of(address: &str) -> &str {
    let host = match address.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => address,
    };
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests;
