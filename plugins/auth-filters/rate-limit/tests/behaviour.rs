//! What the filter does in a peer's chain.

#![cfg(test)]

use conformance::behaviour::{AloneFilter, Sample, endorsed};
use serde_json::{Value, json};

/// Rates are so low that nothing is filled again while a test runs.
fn load(rules: Value) -> AloneFilter {
    let library = conformance::library("rate_limit").unwrap();
    AloneFilter::load(&library, &json!({ "rules": rules })).unwrap()
}

/// How many of ten equal requests pass.
fn passed(filter: &AloneFilter, sample: &Sample<'_>) -> usize {
    let request = sample.request();
    (0..10)
        .filter(|_| filter.call(&request, endorsed()).is_ok())
        .count()
}

#[test]
fn an_empty_bucket_says_when_to_try_again() {
    let filter = load(json!([{ "name": "per-client", "by": ["identity"], "rate": 0.001, "burst": 3 }]));
    let sample = Sample {
        creator_cert: b"alice",
        ..Sample::default()
    };
    assert_eq!(passed(&filter, &sample), 3);
    let refusal = filter.call(&sample.request(), endorsed()).unwrap_err();
    assert_eq!(refusal.code, 8);
    let begins = "too many proposals (limit \"per-client\"): retry after ";
    let wait = refusal
        .message
        .strip_prefix(begins)
        .unwrap()
        .strip_suffix(" s")
        .unwrap();
    let wait: f64 = wait.parse().unwrap();
    assert!((900.0..=1000.0).contains(&wait), "{refusal}");
    assert_eq!(filter.metric("limited"), 8.0);
    let bob = Sample {
        creator_cert: b"bob",
        ..sample
    };
    assert_eq!(passed(&filter, &bob), 3);
}

#[test]
fn each_key_has_buckets_of_its_own() {
    let one = Sample {
        channel: "a",
        chaincode: "a",
        args: &["a", "1"],
        msp_id: "a",
        creator_cert: b"a",
        remote_addr: "192.0.2.1:1",
        attrs: &[("tls.peer-cert", b"a")],
        ..Sample::default()
    };
    // differs in what no key looks at
    let same = Sample {
        tx_id: "b",
        args: &["a", "2"],
        remote_addr: "192.0.2.1:2",
        ..one.clone()
    };
    let others = [
        (
            "channel",
            Sample {
                channel: "b",
                ..one.clone()
            },
        ),
        (
            "chaincode",
            Sample {
                chaincode: "b",
                ..one.clone()
            },
        ),
        (
            "function",
            Sample {
                args: &["b", "1"],
                ..one.clone()
            },
        ),
        (
            "mspid",
            Sample {
                msp_id: "b",
                ..one.clone()
            },
        ),
        (
            "identity",
            Sample {
                creator_cert: b"b",
                ..one.clone()
            },
        ),
        (
            "remote-ip",
            Sample {
                remote_addr: "192.0.2.2:1",
                ..one.clone()
            },
        ),
        (
            "tls-cert",
            Sample {
                attrs: &[("tls.peer-cert", b"b")],
                ..one.clone()
            },
        ),
    ];
    for (by, _) in &others {
        let filter = load(json!([{ "name": "r", "by": [by], "rate": 0.001, "burst": 2 }]));
        assert_eq!(passed(&filter, &one), 2, "{by}");
        assert_eq!(passed(&filter, &same), 0, "{by}");
        for (differs_in, other) in &others {
            let expected = match (*by, *differs_in) {
                (by, differs_in) if by == differs_in => 2,
                // an identity is a certificate of an MSP
                ("identity", "mspid") => 2,
                _ => 0,
            };
            assert_eq!(passed(&filter, other), expected, "by {by}, other {differs_in}");
        }
    }
}

#[test]
fn rules_are_for_what_they_match_and_all_must_pass() {
    let filter = load(json!([
        { "name": "transfers", "by": ["mspid"], "rate": 0.001, "burst": 2,
          "match": { "channel": "mychannel", "chaincode": ["mycc", "other"], "function": "trans*", "mspid": "Org1MSP" } },
        { "name": "all", "by": [], "rate": 0.001, "burst": 7 }
    ]));
    let transfer = Sample {
        args: &["transfer", "a", "b"],
        ..Sample::default()
    };
    assert_eq!(passed(&filter, &transfer), 2);
    let refusal = filter.call(&transfer.request(), endorsed()).unwrap_err();
    assert!(refusal.message.contains("(limit \"transfers\")"), "{refusal}");
    // five are left for others: what the first rule refused has spent nothing of the second
    let others = [
        Sample {
            channel: "ch2",
            ..transfer.clone()
        },
        Sample {
            chaincode: "cc2",
            ..transfer.clone()
        },
        Sample {
            msp_id: "Org2MSP",
            ..transfer.clone()
        },
        Sample {
            args: &["query"],
            ..transfer.clone()
        },
    ];
    for other in &others {
        assert_eq!(filter.call(&other.request(), endorsed()), endorsed());
    }
    assert_eq!(passed(&filter, &others[0]), 1);
    let refusal = filter.call(&others[0].request(), endorsed()).unwrap_err();
    assert!(refusal.message.contains("(limit \"all\")"), "{refusal}");
}

#[test]
fn what_says_nothing_shares_one_bucket() {
    let filter = load(json!([{ "name": "r", "by": ["tls-cert", "function"], "rate": 0.001, "burst": 3 }]));
    let undecodable = conformance::behaviour::ParsedRequest {
        proposal_bytes: (&b"\xff\xff"[..]).into(),
        ..Default::default()
    };
    let request = std::sync::Arc::new(undecodable);
    for _ in 0..3 {
        assert_eq!(filter.call(&request, endorsed()), endorsed());
    }
    assert_eq!(filter.call(&request, endorsed()).unwrap_err().code, 8);
    let nothing = Sample {
        args: &[],
        ..Sample::default()
    };
    assert_eq!(passed(&filter, &nothing), 0);
}

#[test]
fn a_wrong_configuration_is_refused_when_the_peer_starts() {
    let library = conformance::library("rate_limit").unwrap();
    for (config, text) in [
        (json!({}), "\"rules\" is a required property"),
        (
            json!({ "rules": [{ "name": "a", "by": ["client"], "rate": 1 }] }),
            "\"client\" is not one of",
        ),
        (
            json!({ "rules": [{ "name": "a", "by": [], "rate": 0 }] }),
            "config.rules[0].rate",
        ),
        (
            json!({ "rules": [{ "name": "a", "by": [], "rate": 1, "match": { "org": "x" } }] }),
            "org",
        ),
    ] {
        let error = AloneFilter::load(&library, &config).err().unwrap().to_string();
        assert!(error.contains(text), "{error}");
    }
}
