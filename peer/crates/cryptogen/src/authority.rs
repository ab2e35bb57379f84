//! A certificate authority.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams,
    ExtendedKeyUsagePurpose as Extended, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose, RevokedCertParams,
    SanType, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use crate::{CryptogenError, Curve, SigningKey, Subject, Validity};

const SERIAL_LEN: usize = 16;

/// What a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Usage {
    /// Signing proposals, endorsements and blocks.
    Signing,
    /// Either side of a TLS connection, under these host names and IP addresses.
    Tls {
        /// Host names and IP addresses.
        names: Vec<String>,
    },
}

/// A certificate to issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSpec {
    /// The holder.
    pub subject: Subject,
    /// When it is valid.
    pub validity: Validity,
    /// The curve of its key.
    pub curve: Curve,
    /// What it is for.
    pub usage: Usage,
}

impl CertificateSpec {
    /// A P-256 certificate that signs, valid from now.
    pub fn signing(subject: Subject) -> Self {
        Self {
            subject,
            validity: Validity::from_now(),
            curve: Curve::P256,
            usage: Usage::Signing,
        }
    }

    /// A P-256 certificate for TLS, valid from now.
    pub fn tls<S: Into<String>>(subject: Subject, names: impl IntoIterator<Item = S>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        Self {
            usage: Usage::Tls { names },
            ..Self::signing(subject)
        }
    }
}

/// A certificate with its key.
#[derive(Debug)]
pub struct IssuedCertificate {
    certificate: Certificate,
    key: SigningKey,
    serial: Vec<u8>,
}

impl IssuedCertificate {
    /// The certificate in PEM.
    pub fn certificate_pem(&self) -> String {
        pem_of("CERTIFICATE", self.certificate_der())
    }

    /// The certificate.
    pub fn certificate_der(&self) -> &[u8] {
        self.certificate.der()
    }

    /// Its key.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Its serial number, for [`CertificateAuthority::revocation_list`].
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }
}

/// A CA: a certificate that signs others, and its key.
#[derive(Debug)]
pub struct CertificateAuthority {
    issued: IssuedCertificate,
    params: CertificateParams,
}

impl CertificateAuthority {
    /// A root, which signs its own certificate.
    pub fn new(subject: &Subject, validity: Validity, curve: Curve) -> Result<Self, CryptogenError> {
        let (params, key, serial) = Self::prepare(subject, validity, curve)?;
        let certificate = params
            .self_signed(&key)
            .map_err(CryptogenError::certificate("a root CA"))?;
        Ok(Self {
            issued: IssuedCertificate {
                certificate,
                key,
                serial,
            },
            params,
        })
    }

    /// An intermediate CA below this one.
    pub fn intermediate(
        &self,
        subject: &Subject,
        validity: Validity,
        curve: Curve,
    ) -> Result<Self, CryptogenError> {
        let (mut params, key, serial) = Self::prepare(subject, validity, curve)?;
        params.use_authority_key_identifier_extension = true;
        let certificate = params
            .signed_by(&key, &self.issuer())
            .map_err(CryptogenError::certificate("an intermediate CA"))?;
        Ok(Self {
            issued: IssuedCertificate {
                certificate,
                key,
                serial,
            },
            params,
        })
    }

    /// A certificate for somebody else, with a new key.
    pub fn issue(&self, spec: &CertificateSpec) -> Result<IssuedCertificate, CryptogenError> {
        let key = SigningKey::generate(spec.curve)?;
        let (mut params, serial) = common_params(&spec.subject, spec.validity, &key)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if let Usage::Tls { names } = &spec.usage {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
            params.extended_key_usages = vec![Extended::ServerAuth, Extended::ClientAuth];
            params.subject_alt_names = names
                .iter()
                .map(|name| alternative_name(name))
                .collect::<Result<_, _>>()?;
        }
        let certificate = params
            .signed_by(&key, &self.issuer())
            .map_err(CryptogenError::certificate("a certificate"))?;
        Ok(IssuedCertificate {
            certificate,
            key,
            serial,
        })
    }

    /// A list of revoked certificates in PEM, by serial number, valid for a day from `now`.
    pub fn revocation_list<'a>(
        &self,
        serials: impl IntoIterator<Item = &'a [u8]>,
        now: OffsetDateTime,
    ) -> Result<String, CryptogenError> {
        let revoked = |serial: &[u8]| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: now,
            next_update: now + Duration::days(1),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: serials.into_iter().map(revoked).collect(),
            key_identifier_method: self.params.key_identifier_method.clone(),
        };
        let list = params
            .signed_by(&self.issuer())
            .map_err(CryptogenError::certificate("a list of revoked certificates"))?;
        Ok(pem_of("X509 CRL", list.der()))
    }

    /// The CA's certificate in PEM.
    pub fn certificate_pem(&self) -> String {
        self.issued.certificate_pem()
    }

    /// The CA's certificate.
    pub fn certificate_der(&self) -> &[u8] {
        self.issued.certificate_der()
    }

    /// The CA's key.
    pub fn key(&self) -> &SigningKey {
        self.issued.key()
    }

    /// The CA's own serial number, for the list of the CA above it.
    pub fn serial(&self) -> &[u8] {
        self.issued.serial()
    }

    fn issuer(&self) -> Issuer<'_, &SigningKey> {
        Issuer::from_params(&self.params, &self.issued.key)
    }

    fn prepare(
        subject: &Subject,
        validity: Validity,
        curve: Curve,
    ) -> Result<(CertificateParams, SigningKey, Vec<u8>), CryptogenError> {
        let key = SigningKey::generate(curve)?;
        let (mut params, serial) = common_params(subject, validity, &key)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        params.extended_key_usages = vec![Extended::ClientAuth, Extended::ServerAuth];
        Ok((params, key, serial))
    }
}

fn common_params(
    subject: &Subject,
    validity: Validity,
    key: &SigningKey,
) -> Result<(CertificateParams, Vec<u8>), CryptogenError> {
    let serial = random_serial()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = subject.distinguished_name();
    params.not_before = validity.not_before;
    params.not_after = validity.not_after;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.key_identifier_method = KeyIdMethod::PreSpecified(key.subject_key_id());
    Ok((params, serial))
}

/// Positive, and never with a leading zero that some encoders would drop.
fn random_serial() -> Result<Vec<u8>, CryptogenError> {
    let mut serial = [0u8; SERIAL_LEN];
    aws_lc_rs::rand::fill(&mut serial).map_err(CryptogenError::Random)?;
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(serial.to_vec())
}

fn alternative_name(name: &str) -> Result<SanType, CryptogenError> {
    if let Ok(ip) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(ip));
    }
    let host = name
        .try_into()
        .map_err(CryptogenError::certificate("an alternative name"))?;
    Ok(SanType::DnsName(host))
}

fn pem_of(label: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), config)
}

#[cfg(test)]
mod tests;
