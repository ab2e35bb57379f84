//! Evaluating signature policies (endorser cases 43 and 44).

use bytes::Bytes;
use protos::SignedData;
use protos::common::SignaturePolicyEnvelope;

use super::authority::{Authority, Member, config, msp};
use crate::MspManager;
use crate::policy::{
    CompileError, PolicyError, SignaturePolicy, accept_all, from_string, n_out_of, reject_all, signed_by,
    signed_by_any_admin, signed_by_any_member,
};

struct Network {
    authorities: Vec<Authority>,
    msps: MspManager,
}

impl Network {
    fn new(names: &[&str]) -> Self {
        let authorities: Vec<Authority> = names.iter().map(|name| Authority::root(name)).collect();
        let msps = names
            .iter()
            .zip(&authorities)
            .map(|(name, root)| msp(&config(name, &[root])));
        Self {
            msps: MspManager::new(msps),
            authorities,
        }
    }

    fn member(&self, index: usize) -> Member {
        self.authorities[index].member(&[])
    }

    fn evaluate(&self, policy: &str, signatures: &[SignedData]) -> Result<(), PolicyError> {
        let policy = SignaturePolicy::compile(from_string(policy).unwrap()).unwrap();
        policy.evaluate(signatures, &self.msps)
    }
}

fn signed(member: &Member, msp_id: &str) -> SignedData {
    let signer = member.signer(msp_id);
    SignedData {
        data: Bytes::from_static(b"data"),
        identity: signer.serialized_identity(),
        signature: signer.sign(&[b"data"]).unwrap(),
    }
}

#[test]
fn one_identity_counts_once() {
    let network = Network::new(&["A", "B"]);
    let member = network.member(0);
    let twice = [signed(&member, "A"), signed(&member, "A")];
    network.evaluate("OR('A.member','B.member')", &twice).unwrap();
    assert_eq!(
        network
            .evaluate("AND('A.member','A.member')", &twice)
            .unwrap_err()
            .to_string(),
        "signature set did not satisfy policy"
    );
    let two = [signed(&member, "A"), signed(&network.member(0), "A")];
    network.evaluate("AND('A.member','A.member')", &two).unwrap();
}

#[test]
fn any_two_of_three_suffice_and_one_does_not() {
    let network = Network::new(&["A", "B", "C"]);
    let policy = "OutOf(2,'A.member','B.member','C.member')";
    let names = ["A", "B", "C"];
    let signatures: Vec<SignedData> = names
        .iter()
        .enumerate()
        .map(|(index, name)| signed(&network.member(index), name))
        .collect();
    for (first, second) in [(0, 1), (0, 2), (1, 2), (2, 0)] {
        let pair = [signatures[first].clone(), signatures[second].clone()];
        network.evaluate(policy, &pair).unwrap();
    }
    for single in &signatures {
        network
            .evaluate(policy, std::slice::from_ref(single))
            .unwrap_err();
    }
}

#[test]
fn a_wrong_signature_does_not_count_and_does_not_hide_a_right_one() {
    let network = Network::new(&["A"]);
    let member = network.member(0);
    let good = signed(&member, "A");
    let wrong = SignedData {
        data: Bytes::from_static(b"other"),
        ..good.clone()
    };
    let garbage = SignedData {
        identity: Bytes::from_static(b"\xff\xff"),
        ..good.clone()
    };
    network
        .evaluate("OR('A.member')", &[wrong.clone(), garbage.clone()])
        .unwrap_err();
    network
        .evaluate("OR('A.member')", &[wrong, garbage, good])
        .unwrap();
    network.evaluate("OR('A.member')", &[]).unwrap_err();
}

#[test]
fn a_failed_branch_gives_its_signatures_back() {
    let network = Network::new(&["A", "B"]);
    let only_a = [signed(&network.member(0), "A")];
    network
        .evaluate("OR(AND('A.member','B.member'),'A.member')", &only_a)
        .unwrap();
    // both branches of an AND want the same signature
    network
        .evaluate("AND(OR('A.member'),OR('A.member'))", &only_a)
        .unwrap_err();
}

#[test]
fn made_policies_hold_for_whom_they_say() {
    let network = Network::new(&["A", "B"]);
    let a = [signed(&network.member(0), "A")];
    let evaluate = |envelope| {
        SignaturePolicy::compile(envelope)
            .unwrap()
            .evaluate(&a, &network.msps)
    };
    evaluate(accept_all()).unwrap();
    evaluate(reject_all()).unwrap_err();
    evaluate(signed_by_any_member(&["B", "A"])).unwrap();
    evaluate(signed_by_any_member(&["B"])).unwrap_err();
    evaluate(signed_by_any_admin(&["A", "B"])).unwrap_err();
}

#[test]
fn malformed_policies_do_not_compile() {
    let envelope = |rule| SignaturePolicyEnvelope {
        version: 0,
        rule,
        identities: Vec::new(),
    };
    let compile = |rule| SignaturePolicy::compile(envelope(rule)).unwrap_err();
    assert!(matches!(compile(None), CompileError::Empty));
    assert_eq!(
        compile(Some(signed_by(0))).to_string(),
        "identity index out of range, requested 0, but identities length is 0"
    );
    assert!(matches!(compile(Some(signed_by(-1))), CompileError::Index { .. }));
    let empty = protos::common::SignaturePolicy { r#type: None };
    assert!(matches!(compile(Some(empty)), CompileError::UnknownType));
    let mut deep = n_out_of(0, Vec::new());
    for _ in 0..100 {
        deep = n_out_of(1, vec![deep]);
    }
    assert!(matches!(compile(Some(deep)), CompileError::TooLarge));
    let wide = n_out_of(1, vec![n_out_of(0, Vec::new()); 5_000]);
    assert!(matches!(compile(Some(wide)), CompileError::TooLarge));
    let newer = SignaturePolicyEnvelope {
        version: 1,
        ..accept_all()
    };
    assert_eq!(
        SignaturePolicy::compile(newer).unwrap_err().to_string(),
        "This evaluator only understands messages of version 0, but version was 1"
    );
    assert!(SignaturePolicy::from_bytes(Bytes::from_static(b"\xff")).is_err());
}
