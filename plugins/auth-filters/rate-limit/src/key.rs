//! What a bucket is for.

use plugin_api::Request;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use x509_parser::asn1_rs::{Any, FromDer};

/// What is longer is no certificate and no name: it shares a bucket, so that nobody can keep the filter busy hashing.
const LONGEST: usize = 64 * 1024;

/// A bucket's key: of one length, however long the names are that clients think of.
pub(crate) type BucketKey = [u8; 32];

/// A fact of a request that buckets are kept by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum By {
    /// MSP id and certificate that the creator claims.
    Identity,
    /// The MSP id that the creator claims.
    Mspid,
    Channel,
    Chaincode,
    /// The first argument.
    Function,
    /// The certificate of the client's connection.
    TlsCert,
    /// The client's address without its port.
    RemoteIp,
}

/// The bucket of a request in a rule.
pub(crate) fn bucket_key(by: &[By], request: &Request, function: &[u8]) -> BucketKey {
    let mut parts = Parts(Sha256::new());
    for by in by {
        match by {
            By::Identity => {
                parts.add(request.msp_id().as_str().as_bytes());
                parts.add_creator(request.creator_cert().as_slice());
            }
            By::Mspid => parts.add(request.msp_id().as_str().as_bytes()),
            By::Channel => parts.add(request.channel_id().as_str().as_bytes()),
            By::Chaincode => parts.add(request.chaincode_name().as_str().as_bytes()),
            By::Function => parts.add(function),
            By::TlsCert => match request.attr("tls.peer-cert".into()).into_option() {
                Some(certificate) => parts.add(signed_part(&certificate)),
                None => parts.add(b""),
            },
            By::RemoteIp => parts.add(&network(request.remote_addr().as_str())),
        }
    }
    parts.0.finalize().into()
}

/// Parts with their lengths, so that no two lists of parts look the same.
struct Parts(Sha256);

impl Parts {
    fn add(&mut self, part: &[u8]) {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        if part.len() > LONGEST {
            self.0.update(u64::MAX.to_be_bytes());
            return;
        }
        self.0.update(length.to_be_bytes());
        self.0.update(part);
    }

    /// The certificate in a creator's `id_bytes`, read as the endorser reads it: other PEM around the same certificate
    /// (lines, headers, text before and after) is the same identity to the endorser, and must not be another bucket.
    fn add_creator(&mut self, id_bytes: &[u8]) {
        let block = (id_bytes.len() <= LONGEST)
            .then(|| pem::parse(id_bytes).ok())
            .flatten();
        self.add(
            block
                .as_ref()
                .map_or(id_bytes, |block| signed_part(block.contents())),
        );
    }
}

/// What a certificate's issuer has signed, or all of what is no certificate. Without the signature, of which everybody can
/// make a second one that is as good (ECDSA with the other S).
fn signed_part(der: &[u8]) -> &[u8] {
    let parts = Any::from_der(der).ok().and_then(|(_rest, certificate)| {
        let parts = certificate.data;
        let (rest, _signed) = Any::from_der(parts).ok()?;
        parts.get(..parts.len() - rest.len())
    });
    parts.unwrap_or(der)
}

/// The address that a client cannot choose freely; empty when it is unknown.
fn network(remote_addr: &str) -> Vec<u8> {
    match remote_addr
        .parse::<SocketAddr>()
        .map(|address| address.ip().to_canonical())
    {
        Ok(IpAddr::V4(address)) => address.octets().to_vec(),
        Ok(IpAddr::V6(address)) => {
            let of_host = Ipv6Addr::from_bits(address.to_bits() >> 64 << 64);
            of_host.octets().to_vec()
        }
        Err(_unknown) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn of_creator(id_bytes: &[u8]) -> [u8; 32] {
        let mut parts = Parts(Sha256::new());
        parts.add_creator(id_bytes);
        parts.0.finalize().into()
    }

    #[test]
    fn a_certificate_has_one_key_however_it_is_written() {
        let certificate = || {
            let params = CertificateParams::new(Vec::new()).unwrap();
            params.self_signed(&KeyPair::generate().unwrap()).unwrap()
        };
        let (own, other) = (certificate(), certificate());
        let pem = own.pem();
        let key = of_creator(pem.as_bytes());
        for same in [
            pem.replace('\n', "\r\n"),
            pem.replacen("-----\n", "-----\nA: b\n\n", 1),
            format!("x\n{pem}"),
            format!("{pem}x"),
            format!("{pem}{}", other.pem()),
        ] {
            assert_eq!(of_creator(same.as_bytes()), key, "{same}");
        }
        // another signature over the same content
        let mut der = own.der().to_vec();
        *der.last_mut().unwrap() ^= 1;
        let signed_anew = pem::encode(&pem::Pem::new("CERTIFICATE", der));
        assert_eq!(of_creator(signed_anew.as_bytes()), key);
        assert_ne!(of_creator(other.pem().as_bytes()), key);
        assert_ne!(of_creator(b"alice"), of_creator(b"bob"));
        let long = |end: &str| of_creator(format!("{pem}{}{end}", "x".repeat(LONGEST)).as_bytes());
        assert_eq!(long("1"), long("2"), "nobody's");
    }

    #[test]
    fn an_address_counts_without_what_its_client_chooses() {
        assert_eq!(network("192.0.2.7:40000"), network("192.0.2.7:7"));
        assert_ne!(network("192.0.2.7:40000"), network("192.0.2.8:40000"));
        assert_eq!(
            network("192.0.2.7:1"),
            network("[::ffff:192.0.2.7]:2"),
            "the same host"
        );
        assert_eq!(network("[2001:db8::1]:1"), network("[2001:db8::ffff:2]:1"));
        assert_ne!(network("[2001:db8::1]:1"), network("[2001:db8:0:1::1]:1"));
        assert_eq!(network("").len() + network("a client").len(), 0);
    }

    #[test]
    fn parts_cannot_be_shifted_into_each_other() {
        let key = |parts: &[&[u8]]| {
            let mut all = Parts(Sha256::new());
            parts.iter().for_each(|part| all.add(part));
            all.0.finalize()
        };
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
        assert_ne!(key(&[b"a", b""]), key(&[b"a"]));
        let long = vec![b'x'; LONGEST + 1];
        assert_eq!(
            key(&[&long]),
            key(&[&long[..LONGEST], b""].map(|_| long.as_slice())[..1])
        );
        assert_ne!(key(&[&long]), key(&[&long[..LONGEST]]));
    }
}
