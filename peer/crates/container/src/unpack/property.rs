//! What holds for every package, tried with many damaged ones.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

use super::tests::{file, package, put, small};
use super::*;

/// All files below a folder, with their content and whether they can be executed.
fn tree(folder: &Path) -> Vec<(String, Vec<u8>, bool)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
                continue;
            }
            let name = entry.path().strip_prefix(folder).unwrap().display().to_string();
            let executable = entry.metadata().unwrap().permissions().mode() & 0o100 != 0;
            found.push((name, fs::read(entry.path()).unwrap(), executable));
        }
    }
    found.sort();
    found
}

/// What any reader of archives finds that knows nothing of our rules.
fn found_by_others(archive: &[u8]) -> Vec<(String, Vec<u8>, bool)> {
    let mut tar = Archive::new(GzDecoder::new(archive));
    let mut found = Vec::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.header().entry_type() == EntryType::Directory {
            continue;
        }
        assert_eq!(entry.header().entry_type(), EntryType::Regular);
        let name = entry.path().unwrap().display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let executable = entry.header().mode().unwrap() & 0o100 != 0;
        found.push((name, content, executable));
    }
    found.sort();
    found
}

const ANY: &[u8] = &[0, 1, 9, 10, 32, 47, 48, 55, 97, 127, 128, 195, 255];
const TYPES: &[u8] = b"057xgLKS12";
const NAMES: &[u8] = b"/.\0a";

fn set(bytes: &mut [u8], at: usize, to: u8) {
    bytes[at] = to;
}

/// Whatever bytes a client sends: a package is refused, or unpacked and archived again to the very same files.
#[test]
fn a_damaged_package_is_refused_or_means_the_same_to_everybody() {
    let long = format!("src/{}/index.js", "d".repeat(120));
    let bytes = package(|tar| {
        put(tar, "src/", EntryType::Directory, 0o755, b"");
        file(tar, "src/package.json", b"{}");
        put(tar, "src/run.sh", EntryType::Regular, 0o100_755, b"#!/bin/sh");
        let mut header = Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(600);
        tar.append_pax_extensions([("path", long.as_bytes()), ("comment", b"x")])
            .unwrap();
        tar.append_data(&mut header, "src/cut", vec![b'z'; 600].as_slice())
            .unwrap();
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(3);
        tar.append_data(&mut header, format!("{long}on"), &b"abc"[..])
            .unwrap();
    });
    let mut tar = Vec::new();
    GzDecoder::new(bytes.as_slice()).read_to_end(&mut tar).unwrap();
    let limits = UnpackLimits {
        entries: 50,
        ..small()
    };
    let mut state = 7_u32;
    let mut next = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let mut good = 0;
    for _ in 0..600 {
        let mut damaged = tar.clone();
        for _ in 0..=next(2) {
            let blocks = damaged.len() / 512;
            let (block, other) = (next(blocks) * 512, next(blocks) * 512);
            match next(4) {
                // a byte anywhere
                0 => set(&mut damaged, block + next(512), ANY[next(ANY.len())]),
                // another type
                1 => set(&mut damaged, block + 156, TYPES[next(TYPES.len())]),
                // a byte of a name
                2 => set(&mut damaged, block + next(20), NAMES[next(NAMES.len())]),
                // a block in another place
                _ => {
                    let copied = damaged[block..block + 512].to_vec();
                    damaged.splice(other..other, copied);
                }
            }
        }
        checksums(&mut damaged);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&damaged).unwrap();
        let package = gzip.finish().unwrap();
        let around = tempfile::tempdir().unwrap();
        let target = around.path().join("target");
        fs::create_dir(&target).unwrap();
        let unpacked = unpack(&package, &target, &limits);
        assert_eq!(
            fs::read_dir(around.path()).unwrap().count(),
            1,
            "nothing beside the target"
        );
        let mut again = Archived(Builder::new(GzEncoder::new(Vec::new(), Compression::fast())));
        let archived = read_package(&package, &mut again, &limits);
        assert_eq!(unpacked.is_ok(), archived.is_ok(), "{unpacked:?} {archived:?}");
        assert_eq!(check(&package, &limits).is_ok(), unpacked.is_ok());
        if unpacked.is_ok() {
            good += 1;
            let archive = again.0.into_inner().unwrap().finish().unwrap();
            assert_eq!(found_by_others(&archive), tree(&target));
        }
    }
    assert!((20..580).contains(&good), "both happens: {good}");
}

/// Makes headers good again that were damaged: whatever looks like one.
fn checksums(tar: &mut [u8]) {
    for block in tar.chunks_exact_mut(512) {
        if block.get(257..262) == Some(b"ustar") {
            let mut header = Header::from_byte_slice(block).clone();
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
    }
}
