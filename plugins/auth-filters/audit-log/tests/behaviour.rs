//! What the filter does in a peer's chain.

#![cfg(test)]

use conformance::behaviour::{AloneFilter, ParsedRequest, Rejection, Sample, answer, endorsed};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn load(config: &Value) -> Result<AloneFilter, String> {
    let library = conformance::library("audit_log").unwrap();
    AloneFilter::load(&library, config).map_err(|error| error.to_string())
}

fn eventually<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::yield_now();
    }
}

/// So many records, once they are there.
fn records(file: &Path, expected: usize) -> Vec<Value> {
    eventually("the records", || {
        let text = fs::read_to_string(file).ok()?;
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        (lines.len() == expected && lines.iter().all(|line| line.ends_with('\n'))).then(|| {
            lines
                .iter()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        })
    })
}

fn is_of_sample(record: &Value) {
    for (name, value) in [
        ("txId", "0123456789abcdef"),
        ("channel", "mychannel"),
        ("chaincode", "mycc"),
        ("function", "put"),
        ("mspid", "Org1MSP"),
        ("remoteAddr", "192.0.2.7:40000"),
    ] {
        assert_eq!(record[name], value);
    }
    assert!(record["subject"].as_str().unwrap().contains("CN=alice"));
    assert_eq!(record["certSha256"].as_str().unwrap().len(), 64);
    assert_eq!(
        record["attrs"],
        json!({ "policy.id": "sales", "jwt.sub": "alice@example.com" })
    );
}

#[test]
fn every_outcome_is_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.log");
    let filter = load(&json!({ "file": file })).unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "alice");
    let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    let pem = certificate.pem();
    let sample = Sample {
        creator_cert: pem.as_bytes(),
        attrs: &[
            ("policy.id", b"sales"),
            ("jwt.sub", b"alice@example.com"),
            ("jwt.iss", b"other"),
        ],
        ..Sample::default()
    };
    let request = sample.request();
    let refuse = |code, text: &str| Err(Rejection::new(code, text));
    for outcome in [
        endorsed(),
        answer(500, "no such key", false),
        refuse(7, "not permitted"),
        refuse(14, "filter x is switched off"),
    ] {
        assert_eq!(
            filter.call(&request, outcome.clone()),
            outcome,
            "handed on unchanged"
        );
    }
    filter.abandon(&request);
    let undecodable = ParsedRequest {
        proposal_bytes: (&b"\xff\xff"[..]).into(),
        remote_addr: "192.0.2.9:1".to_owned(),
        ..ParsedRequest::default()
    };
    assert!(
        filter
            .call(&Arc::new(undecodable), refuse(2, "error unmarshalling Proposal"))
            .is_err()
    );
    let seen = records(&file, 6);
    let expected = [
        ("endorsed", 0, "OK", json!(200)),
        ("answered", 0, "no such key", json!(500)),
        ("rejected", 7, "not permitted", Value::Null),
        ("failed", 14, "filter x is switched off", Value::Null),
        (
            "failed",
            1,
            "the request ended before it had an outcome",
            Value::Null,
        ),
        ("rejected", 2, "error unmarshalling Proposal", Value::Null),
    ];
    for (record, (decision, code, text, status)) in seen.iter().zip(expected) {
        assert_eq!(
            (
                &record["decision"],
                &record["code"],
                &record["text"],
                &record["status"]
            ),
            (&json!(decision), &json!(code), &json!(text), &status)
        );
        assert!(record["durationMs"].as_f64().unwrap() >= 0.0);
        assert!(record["time"].as_str().unwrap().ends_with('Z'));
    }
    seen[..5].iter().for_each(is_of_sample);
    assert_eq!(
        (&seen[5]["function"], &seen[5]["subject"], &seen[5]["remoteAddr"]),
        (&json!(""), &Value::Null, &json!("192.0.2.9:1"))
    );
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn hostile_texts_make_one_line_each() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.log");
    let filter = load(&json!({ "file": file, "attrs": [] })).unwrap();
    let hostile = "\"}\n{\"decision\":\"endorsed\"}\r\u{1b}[2J\u{202e}";
    let long = "\u{7}".repeat(1 << 20);
    for name in [hostile, &long] {
        let sample = Sample {
            channel: name,
            chaincode: name,
            tx_id: name,
            args: &[name],
            msp_id: name,
            creator_cert: name.as_bytes(),
            remote_addr: name,
            ..Sample::default()
        };
        assert!(
            filter
                .call(&sample.request(), Err(Rejection::new(2, name)))
                .is_err()
        );
    }
    let seen = records(&file, 2);
    assert_eq!(
        (&seen[0]["function"], &seen[0]["text"]),
        (&json!(hostile), &json!(hostile))
    );
    assert!(fs::metadata(&file).unwrap().len() < 20_000);
}

#[test]
fn a_large_file_moves_away() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.log");
    let filter = load(&json!({ "file": file, "maxSizeMiB": 1, "keep": 2 })).unwrap();
    let long = "x".repeat(1024);
    let request = Sample::default().request();
    for _ in 0..3000 {
        assert!(
            filter
                .call(&request, Err(Rejection::new(2, long.as_str())))
                .is_err()
        );
    }
    assert!(
        filter
            .call(&request, Err(Rejection::new(2, "the last one")))
            .is_err()
    );
    drop(filter);
    // from then on no file moves any more
    eventually("the last one", || {
        let text = fs::read_to_string(&file).ok()?;
        text.lines().last()?.contains("the last one").then_some(())
    });
    let sizes = || {
        let size = |name: &str| fs::metadata(folder.path().join(name)).map_or(0, |file| file.len());
        [
            size("audit.log"),
            size("audit.log.1"),
            size("audit.log.2"),
            size("audit.log.3"),
        ]
    };
    let sizes = sizes();
    assert!(
        sizes.iter().all(|size| *size <= 1 << 20) && sizes[2] > 1_000_000 && sizes[3] == 0,
        "{sizes:?}"
    );
    for name in ["audit.log.1", "audit.log.2"] {
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(
            text.lines()
                .all(|line| serde_json::from_str::<Value>(line).is_ok())
        );
    }
}

/// Takes the file's folder away, so that a write fails, and the places run out.
#[test]
fn requests_are_refused_while_records_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("below");
    fs::create_dir(&below).unwrap();
    let file = below.join("audit.log");
    let filter = load(&json!({ "file": file })).unwrap();
    let request = Sample::default().request();
    fs::remove_dir_all(&below).unwrap();
    let refusal = eventually("a refusal", || filter.call(&request, endorsed()).err());
    assert_eq!(refusal.code, 14);
    assert!(
        refusal.message.contains("audit log cannot be written"),
        "{refusal}"
    );
    assert!(filter.metric("denied") >= 1.0);
    fs::create_dir(&below).unwrap();
    eventually("it goes on", || filter.call(&request, endorsed()).ok());
    // what was endorsed meanwhile is not lost
    eventually("the records", || {
        let text = fs::read_to_string(&file).ok()?;
        (text.lines().count() >= 2).then_some(())
    });
}

#[test]
fn requests_pass_without_a_record_where_records_may_be_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("below");
    fs::create_dir(&below).unwrap();
    let filter = load(&json!({ "file": below.join("audit.log"), "onFull": "drop", "queue": 16 })).unwrap();
    let request = Sample::default().request();
    fs::remove_dir_all(&below).unwrap();
    for _ in 0..100 {
        assert_eq!(filter.call(&request, endorsed()), endorsed());
    }
    eventually("all of them counted", || {
        (filter.metric("dropped") == 100.0).then_some(())
    });
}

#[test]
fn an_instance_that_ends_writes_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.log");
    let request = Sample::default().request();
    for _ in 0..3 {
        // as at a reload: the next one appends
        let filter = load(&json!({ "file": file })).unwrap();
        for _ in 0..100 {
            assert!(filter.call(&request, endorsed()).is_ok());
        }
    }
    assert_eq!(records(&file, 300).len(), 300);
}

#[test]
fn a_wrong_configuration_is_refused_when_the_peer_starts() {
    let folder = tempfile::tempdir().unwrap();
    let open_to_all = folder.path().join("open");
    fs::write(&open_to_all, "").unwrap();
    fs::set_permissions(&open_to_all, fs::Permissions::from_mode(0o666)).unwrap();
    for (config, text) in [
        (json!({ "file": "relative" }), "config.file"),
        (
            json!({ "file": folder.path().join("no/such/folder") }),
            "No such file or directory",
        ),
        (json!({ "file": folder.path() }), "no regular file"),
        (json!({ "file": open_to_all }), "others may write it (mode 666)"),
        (json!({ "onFull": "wait" }), "\"wait\" is not one of"),
        (json!({ "keep": 0 }), "config.keep"),
    ] {
        let error = load(&config).err().unwrap();
        assert!(error.contains(text), "{error}");
    }
}
