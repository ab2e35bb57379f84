//! Reading, checking and verifying identities (endorser cases 45 to 47).

use aws_lc_rs::digest::{self, Digest, SHA3_256, SHA256};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use protos::msp::FabricCryptoConfig;
use protos::wire_message;
use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, date_time_ymd};

use super::authority::{Authority, config, msp, serialized};
use crate::ecdsa_signature::{Curve, flipped, to_low_s};
use crate::{Admins, Certificate, LocalSigner, Msp, MspManager};

#[test]
fn a_member_verifies_what_its_key_signed() {
    for (root, curve) in [
        (Authority::root("ca"), Curve::P256),
        (Authority::root_p384("ca"), Curve::P384),
    ] {
        let member = match curve {
            Curve::P256 => root.member(&[]),
            Curve::P384 => root.member_p384(),
        };
        let signer = member.signer("A");
        let identity = msp(&config("A", &[&root]))
            .deserialize(&signer.serialized_identity())
            .unwrap();
        identity.validate().unwrap();
        for round in 0..16_u8 {
            let signature = signer.sign(&[b"mes", b"sage", &[round]]).unwrap();
            assert!(
                to_low_s(curve, &signature).unwrap().is_none(),
                "the signature's S is high"
            );
            let message = [b"message".as_slice(), &[round]].concat();
            identity.verify(&message, &signature).unwrap();
            identity
                .verify_parts(&[b"message", &[round]], &signature)
                .unwrap();
            let wrong = identity.verify(b"other", &signature).unwrap_err();
            assert_eq!(wire_message(&wrong), "The signature is invalid");
            let high = identity
                .verify(&message, &flipped(curve, &signature))
                .unwrap_err();
            let text = wire_message(&high);
            assert!(
                text.contains("Invalid S. Must be smaller than half the order ["),
                "{text}"
            );
        }
    }
}

#[test]
fn the_hash_of_signatures_is_the_one_of_the_msp() {
    let root = Authority::root("ca");
    let member = root.member(&[]);
    let key = pem::parse(&member.key_pem).unwrap();
    let key = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, key.contents()).unwrap();
    let hash = digest::digest(&SHA3_256, b"message");
    let hash = Digest::import_less_safe(hash.as_ref(), &SHA256).unwrap();
    let signature = key.sign_digest(&hash).unwrap();
    let low = to_low_s(Curve::P256, signature.as_ref()).unwrap();
    let with_sha3 = low.unwrap_or_else(|| signature.as_ref().to_vec());
    let with_sha2 = member.signer("A").sign(&[b"message"]).unwrap();
    for (family, good, bad) in [
        ("SHA3", with_sha3.as_slice(), with_sha2.as_ref()),
        ("SHA2", &with_sha2, &with_sha3),
        ("", &with_sha2, &with_sha3),
    ] {
        let mut config = config("A", &[&root]);
        config.crypto_config = Some(FabricCryptoConfig {
            signature_hash_family: family.into(),
            ..Default::default()
        });
        let identity = msp(&config).deserialize(&member.serialized("A")).unwrap();
        identity.verify(b"message", good).unwrap();
        assert!(identity.verify(b"message", bad).is_err());
    }
    let mut config = config("A", &[&root]);
    config.crypto_config = Some(FabricCryptoConfig {
        signature_hash_family: "MD5".into(),
        ..Default::default()
    });
    let error = Msp::from_config(&config, Admins::Optional).unwrap_err();
    assert_eq!(wire_message(&error), "hash family not recognized [MD5]");
}

#[test]
fn what_follows_the_numbers_of_a_signature_does_not_count() {
    let root = Authority::root("ca");
    let signer = root.member(&[]).signer("A");
    let identity = msp(&config("A", &[&root]))
        .deserialize(&signer.serialized_identity())
        .unwrap();
    let mut signature = signer.sign(&[b"message"]).unwrap().to_vec();
    signature.extend_from_slice(b"more");
    identity.verify(b"message", &signature).unwrap();
    assert!(identity.verify(b"other", &signature).is_err());
}

#[test]
fn a_certificate_with_high_s_becomes_the_one_with_low_s() {
    let root = Authority::root("ca");
    let msp = msp(&config("A", &[&root]));
    let mut rewritten = 0;
    for _ in 0..24 {
        let member = root.member(&[]);
        let given = Certificate::from_pem(member.pem.as_bytes()).unwrap();
        let identity = msp.deserialize(&member.serialized("A")).unwrap();
        identity.validate().unwrap();
        let used = identity.certificate();
        assert_eq!(used.public_key(), given.public_key());
        let canonical = Certificate::from_der(used.der().clone()).unwrap();
        let parent = Certificate::from_pem(&root.pem()).unwrap();
        assert!(canonical.is_signed_by(&parent));
        rewritten += usize::from(used.der() != given.der());
        assert_eq!(canonical.sanitized(&parent).unwrap().der(), used.der());
        assert_eq!(identity.id(), hex::encode(protos::sha256(&[used.der()])));
    }
    assert!(
        (1..24).contains(&rewritten),
        "{rewritten} of 24 certificates were rewritten"
    );
}

#[test]
fn an_expired_certificate_is_valid_here() {
    let root = Authority::root("ca");
    let expired = root.member_with(&[], |params| {
        params.not_before = date_time_ymd(2020, 2, 1);
        params.not_after = date_time_ymd(2020, 2, 2);
    });
    let identity = msp(&config("A", &[&root]))
        .deserialize(&expired.serialized("A"))
        .unwrap();
    identity.validate().unwrap();
    assert!(identity.certificate().not_after() < 1_600_000_000);
}

#[test]
fn a_ca_certificate_cannot_act() {
    let root = Authority::root("ca");
    let ca = root.member_with(&[], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)
    });
    let identity = msp(&config("A", &[&root]))
        .deserialize(&ca.serialized("A"))
        .unwrap();
    let text = wire_message(&identity.validate().unwrap_err());
    assert_eq!(
        text,
        "could not obtain certification chain: An X509 certificate with Basic Constraint: Certificate Authority equals true cannot be used as an identity"
    );
}

#[test]
fn only_leaf_cas_issue_identities() {
    let root = Authority::root("ca");
    let intermediate = root.intermediate("intermediate");
    let lower = intermediate.intermediate("lower");
    let mut config = config("A", &[&root]);
    config.intermediate_certs = vec![intermediate.pem(), lower.pem()];
    let msp = msp(&config);
    let by_leaf = msp.deserialize(&lower.member(&[]).serialized("A")).unwrap();
    by_leaf.validate().unwrap();
    for inner in [&root, &intermediate] {
        let identity = msp.deserialize(&inner.member(&[]).serialized("A")).unwrap();
        let text = wire_message(&identity.validate().unwrap_err());
        assert!(
            text.contains("Parent certificate should be a leaf of the certification tree"),
            "{text}"
        );
    }
}

#[test]
fn an_unknown_issuer_is_refused_though_its_name_fits() {
    let root = Authority::root("ca");
    let other = Authority::root("ca");
    let msp = msp(&config("A", &[&root]));
    let error = msp.deserialize(&other.member(&[]).serialized("A")).unwrap_err();
    assert_eq!(
        wire_message(&error),
        "the supplied identity is not valid: x509: certificate signed by unknown authority"
    );
}

#[test]
fn an_identity_for_another_purpose_is_refused() {
    let root = Authority::root("ca");
    let for_code = root.member_with(&[], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    });
    let error = msp(&config("A", &[&root]))
        .deserialize(&for_code.serialized("A"))
        .unwrap_err();
    assert!(wire_message(&error).contains("incompatible key usage"));
}

#[test]
fn an_identity_of_an_intermediate_needs_that_intermediate() {
    let root = Authority::root("ca");
    let intermediate = root.intermediate("intermediate");
    let mut config = config("A", &[&root]);
    config.intermediate_certs = vec![intermediate.pem()];
    let member = intermediate.member(&[]);
    msp(&config)
        .deserialize(&member.serialized("A"))
        .unwrap()
        .validate()
        .unwrap();
    config.intermediate_certs.clear();
    let error = msp(&config).deserialize(&member.serialized("A")).unwrap_err();
    assert!(wire_message(&error).contains("unknown authority"));
}

#[test]
fn a_ca_that_allows_no_further_cas_has_none_that_count() {
    let root = Authority::root_without_intermediates("ca");
    let intermediate = root.intermediate("intermediate");
    let mut config = config("A", &[&root]);
    msp(&config)
        .deserialize(&root.member(&[]).serialized("A"))
        .unwrap()
        .validate()
        .unwrap();
    config.intermediate_certs = vec![intermediate.pem()];
    let msp = msp(&config);
    let error = msp
        .deserialize(&intermediate.member(&[]).serialized("A"))
        .unwrap_err();
    assert_eq!(
        wire_message(&error),
        "the supplied identity is not valid: x509: too many intermediates for path length constraint"
    );
}

#[test]
fn text_after_the_certificate_is_ignored_and_other_pem_refused() {
    let root = Authority::root("ca");
    let member = root.member(&[]);
    let msp = msp(&config("A", &[&root]));
    let trailing = format!("{}trailing bytes", member.pem);
    let identity = msp.deserialize(&serialized("A", &trailing)).unwrap();
    let plain = msp.deserialize(&member.serialized("A")).unwrap();
    assert_eq!(identity.id(), plain.id());
    assert_ne!(identity.serialized(), plain.serialized());
    for (pem, expected) in [
        (
            member.key_pem.as_str(),
            "pem type is PRIVATE KEY, should be 'CERTIFICATE' or missing",
        ),
        ("no pem", "could not decode the PEM structure"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "parseCertificate failed",
        ),
    ] {
        let text = wire_message(&msp.deserialize(&serialized("A", pem)).unwrap_err());
        assert!(text.starts_with(expected), "{text}");
    }
}

#[test]
fn the_manager_names_what_it_does_not_know_and_remembers_only_valid_identities() {
    let root = Authority::root("ca");
    let member = root.member(&[]);
    let ca = root.member_with(&[], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)
    });
    let msps = MspManager::new([msp(&config("A", &[&root]))]);
    let unknown = msps.deserialize(&member.serialized("B")).unwrap_err();
    assert_eq!(wire_message(&unknown), "MSP B is unknown");
    let none = MspManager::new([])
        .deserialize(&member.serialized("A"))
        .unwrap_err();
    assert_eq!(wire_message(&none), "channel doesn't exist");
    assert!(msps.deserialize(b"\xff").is_err());
    let other_msp = msp(&config("B", &[&root]))
        .deserialize(&member.serialized("A"))
        .unwrap_err();
    assert_eq!(wire_message(&other_msp), "expected MSP ID B, received A");

    msps.deserialize(&ca.serialized("A"))
        .unwrap()
        .validate()
        .unwrap_err();
    assert_eq!(msps.cached(), 0);
    let padded = format!("{}{}", member.pem, "x".repeat(64 * 1024));
    msps.deserialize(&serialized("A", &padded))
        .unwrap()
        .validate()
        .unwrap();
    assert_eq!(msps.cached(), 0, "an identity with a long tail was remembered");
    let first = msps.deserialize(&member.serialized("A")).unwrap();
    let second = msps.deserialize(&member.serialized("A")).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &second));
    assert_eq!(msps.cached(), 1);
}

#[test]
fn every_shortened_or_changed_identity_is_refused_without_a_panic() {
    let root = Authority::root("ca");
    let member = root.member(&["client"]);
    let msps = MspManager::new([msp(&config("A", &[&root]))]);
    let der = Certificate::from_pem(member.pem.as_bytes())
        .unwrap()
        .der()
        .clone();
    for cut in 0..der.len() {
        assert!(Certificate::from_der(der.slice(..cut)).is_err());
    }
    for place in 0..der.len() {
        let mut changed = der.to_vec();
        changed[place] ^= 0x55;
        let Ok(certificate) = Certificate::from_der(changed.into()) else {
            continue;
        };
        let accepted = msps.deserialize(&serialized("A", &certificate.to_pem()));
        assert!(accepted.is_err(), "a certificate changed at {place} was accepted");
    }
}

#[test]
fn a_signer_needs_the_key_of_its_certificate() {
    let root = Authority::root("ca");
    let (member, other) = (root.member(&[]), root.member(&[]));
    let certificate = Certificate::from_pem(member.pem.as_bytes()).unwrap();
    let error = LocalSigner::new("A", &certificate, other.key_pem.as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the private key does not belong to the signing certificate"
    );
}
