//! An X.509 certificate, parsed once into the parts that membership rules look at.

use std::ops::Range;

use bytes::Bytes;
use protos::sha256;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ParsedExtension, X509Extension};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use crate::ecdsa_signature::to_low_s;
use crate::public_key::{KeyKind, SignatureAlgorithm, signed_by};

/// The label of a PEM block that holds a certificate.
const PEM_LABEL: &str = "CERTIFICATE";

/// Why bytes are not a usable certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// There is no PEM block.
    #[error("could not decode the PEM structure")]
    NotPem(#[source] pem::PemError),
    /// The PEM block holds something else.
    #[error("pem type is {0}, should be 'CERTIFICATE' or missing")]
    WrongLabel(String),
    /// The DER inside does not parse.
    #[error("parseCertificate failed: {0}")]
    Malformed(String),
    /// The certificate's signature has numbers that no signature has.
    #[error("the certificate's signature is malformed")]
    Signature(#[source] crate::ecdsa_signature::SignatureFormatError),
}

/// The basic constraints of a certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CaConstraints {
    pub(crate) ca: bool,
    pub(crate) path_length: Option<u32>,
}

/// A parsed certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: Bytes,
    tbs: Range<usize>,
    signature: Bytes,
    signature_algorithm: SignatureAlgorithm,
    pub(crate) issuer: Bytes,
    pub(crate) subject: Bytes,
    subject_text: String,
    issuer_text: String,
    pub(crate) serial: Bytes,
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
    pub(crate) version_3: bool,
    pub(crate) extensions: Extensions,
    organizational_units: Vec<String>,
    key_kind: KeyKind,
    key: Bytes,
}

/// The extensions that matter to membership.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extensions {
    pub(crate) constraints: Option<CaConstraints>,
    /// Whether the key may sign certificates; `None` without a key usage extension.
    pub(crate) may_sign_certificates: Option<bool>,
    /// Whether the extended key usages, if any, exclude the use Go's verification asks for.
    pub(crate) usage_excluded: bool,
    pub(crate) subject_key_id: Option<Bytes>,
    pub(crate) alternative_names: Option<Bytes>,
    pub(crate) name_constraints: bool,
    pub(crate) unhandled_critical: bool,
}

impl Certificate {
    /// Parses the first PEM block; what follows it is ignored.
    ///
    /// # Errors
    /// When there is no block, it is not a certificate, or the certificate does not parse.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CertificateError> {
        let block = pem::parse(pem).map_err(CertificateError::NotPem)?;
        if !block.tag().is_empty() && block.tag() != PEM_LABEL {
            return Err(CertificateError::WrongLabel(block.tag().to_owned()));
        }
        Self::from_der(block.into_contents().into())
    }

    /// Parses DER.
    ///
    /// # Errors
    /// When it is not one certificate.
    pub fn from_der(der: Bytes) -> Result<Self, CertificateError> {
        let (rest, parsed) = X509Certificate::from_der(&der)
            .map_err(|error| CertificateError::Malformed(error.to_string()))?;
        if !rest.is_empty() {
            return Err(CertificateError::Malformed("trailing data".into()));
        }
        let tbs = parsed.tbs_certificate.as_ref();
        let start = range_start(&der, tbs);
        let serial = parsed.raw_serial();
        let inner_algorithm = range_start(&der, serial) + serial.len();
        let name = parsed.subject().iter_organizational_unit();
        let certificate = Self {
            tbs: start..start + tbs.len(),
            signature: Bytes::copy_from_slice(&parsed.signature_value.data),
            signature_algorithm: SignatureAlgorithm::of(&parsed.signature_algorithm.algorithm),
            issuer: Bytes::copy_from_slice(parsed.issuer().as_raw()),
            subject: Bytes::copy_from_slice(parsed.subject().as_raw()),
            subject_text: parsed.subject().to_string(),
            issuer_text: parsed.issuer().to_string(),
            serial: Bytes::copy_from_slice(significant(parsed.raw_serial())),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            version_3: parsed.version() == X509Version::V3,
            extensions: Extensions::of(&parsed),
            organizational_units: name
                .filter_map(|unit| unit.as_str().ok())
                .map(str::to_owned)
                .collect(),
            key_kind: KeyKind::of(parsed.public_key()),
            key: Bytes::copy_from_slice(&parsed.public_key().subject_public_key.data),
            der: der.clone(),
        };
        certificate.check_canonical(inner_algorithm)?;
        Ok(certificate)
    }

    /// Refuses a second encoding of what is outside the signed part. Identities are told apart by their bytes,
    /// so one certificate in two encodings would count as two signers.
    fn check_canonical(&self, inner_algorithm: usize) -> Result<(), CertificateError> {
        let signed = self.der.get(inner_algorithm..).unwrap_or_default();
        if !signed.starts_with(self.algorithm()) {
            return Err(CertificateError::Malformed(
                "inner and outer signature algorithm identifiers don't match".into(),
            ));
        }
        if self.with_signature(&self.signature) != self.der {
            return Err(CertificateError::Malformed(
                "not in distinguished encoding".into(),
            ));
        }
        Ok(())
    }

    /// The DER encoding.
    #[must_use]
    pub fn der(&self) -> &Bytes {
        &self.der
    }

    /// The PEM encoding, as Go writes it.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        pem::encode_config(&pem::Pem::new(PEM_LABEL, self.der.as_ref()), config)
    }

    /// The subject, for people.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject_text
    }

    /// The issuer, for people.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer_text
    }

    /// The organizational units of the subject, in order.
    #[must_use]
    pub fn organizational_units(&self) -> &[String] {
        &self.organizational_units
    }

    /// When the certificate expires, in seconds since 1970.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// The public key: for elliptic curves the uncompressed point.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.key
    }

    /// The id that key stores use for the key: SHA-256 of the uncompressed point.
    #[must_use]
    pub fn key_id(&self) -> [u8; 32] {
        sha256(&[&self.key])
    }

    pub(crate) fn key_kind(&self) -> KeyKind {
        self.key_kind
    }

    /// Whether the certificate says it is a CA's.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.extensions
            .constraints
            .is_some_and(|constraints| constraints.ca)
    }

    /// The serial number in hexadecimal.
    #[must_use]
    pub fn serial_hex(&self) -> String {
        hex::encode(&self.serial)
    }

    /// Whether this certificate's key made the signature.
    pub(crate) fn signed(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        signed_by(self.key_kind, &self.key, algorithm, message, signature)
    }

    /// Whether `parent`'s key signed this certificate and may sign certificates.
    pub(crate) fn is_signed_by(&self, parent: &Self) -> bool {
        let extensions = &parent.extensions;
        let is_ca = match extensions.constraints {
            Some(constraints) => constraints.ca,
            None => !parent.version_3,
        };
        let may_sign = extensions.may_sign_certificates.unwrap_or(true);
        let tbs = self.der.get(self.tbs.clone()).unwrap_or_default();
        is_ca && may_sign && parent.signed(self.signature_algorithm, tbs, &self.signature)
    }

    /// The certificate with low S in its own signature; Fabric compares and hashes that form.
    pub(crate) fn sanitized(self, parent: &Self) -> Result<Self, CertificateError> {
        let KeyKind::Ec(curve) = parent.key_kind else {
            return Ok(self);
        };
        if !self.signature_algorithm.is_ecdsa() {
            return Ok(self);
        }
        match to_low_s(curve, &self.signature).map_err(CertificateError::Signature)? {
            None => Ok(self),
            Some(signature) => Self::from_der(self.with_signature(&signature)),
        }
    }

    /// The outer signature algorithm: all that stands between the signed part and the signature's BIT STRING.
    fn algorithm(&self) -> &[u8] {
        let after_tbs = self.der.get(self.tbs.end..).unwrap_or_default();
        let length = after_tbs
            .len()
            .saturating_sub(bit_string_length(self.signature.len()));
        after_tbs.get(..length).unwrap_or_default()
    }

    /// The same certificate around another signature value.
    fn with_signature(&self, signature: &[u8]) -> Bytes {
        let tbs = self.der.get(self.tbs.clone()).unwrap_or_default();
        let algorithm = self.algorithm();
        let mut content = Vec::with_capacity(self.der.len());
        content.extend_from_slice(tbs);
        content.extend_from_slice(algorithm);
        content.push(0x03);
        push_length(&mut content, signature.len() + 1);
        content.push(0);
        content.extend_from_slice(signature);
        let mut der = Vec::with_capacity(content.len() + 4);
        der.push(0x30);
        push_length(&mut der, content.len());
        der.append(&mut content);
        der.into()
    }
}

impl Extensions {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let mut found = Self::default();
        for extension in certificate.extensions() {
            found.read(extension);
        }
        found
    }

    fn read(&mut self, extension: &X509Extension<'_>) {
        let mut handled = true;
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints) => {
                self.constraints = Some(CaConstraints {
                    ca: constraints.ca,
                    path_length: constraints.path_len_constraint,
                });
            }
            ParsedExtension::KeyUsage(usage) => self.may_sign_certificates = Some(usage.key_cert_sign()),
            ParsedExtension::ExtendedKeyUsage(usage) => {
                self.usage_excluded = !(usage.any || usage.server_auth)
            }
            ParsedExtension::SubjectKeyIdentifier(id) => {
                self.subject_key_id = Some(Bytes::copy_from_slice(id.0));
            }
            ParsedExtension::SubjectAlternativeName(_) => {
                self.alternative_names = Some(Bytes::copy_from_slice(extension.value));
            }
            ParsedExtension::NameConstraints(_) => self.name_constraints = true,
            ParsedExtension::AuthorityKeyIdentifier(_)
            | ParsedExtension::CRLDistributionPoints(_)
            | ParsedExtension::CertificatePolicies(_)
            | ParsedExtension::AuthorityInfoAccess(_) => {}
            _ => handled = false,
        }
        self.unhandled_critical |= extension.critical && !handled;
    }
}

/// An integer's bytes without leading zeros, so that serial numbers compare by value.
pub(crate) fn significant(integer: &[u8]) -> &[u8] {
    let start = integer.iter().position(|byte| *byte != 0);
    start.and_then(|start| integer.get(start..)).unwrap_or_default()
}

/// Where a part lies inside the whole it was borrowed from.
fn range_start(whole: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize)
}

fn bit_string_length(content: usize) -> usize {
    let mut header = vec![0x03];
    push_length(&mut header, content + 1);
    header.len() + 1 + content
}

fn push_length(out: &mut Vec<u8>, length: usize) {
    let bytes = length.to_be_bytes();
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let digits = significant(&bytes);
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
            out.extend_from_slice(digits);
        }
    }
}
