use std::fs;
use std::os::unix::fs::PermissionsExt;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use protos::wire_message;
use tar::{Builder, Header};

use super::*;

pub(super) type Tar = Builder<GzEncoder<Vec<u8>>>;

pub(super) fn package(fill: impl FnOnce(&mut Tar)) -> Vec<u8> {
    let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    fill(&mut tar);
    tar.into_inner().unwrap().finish().unwrap()
}

/// Writes the name into the header as it is: the crate's own setters refuse hostile names.
pub(super) fn put(tar: &mut Tar, name: &str, kind: EntryType, mode: u32, content: &[u8]) {
    let mut header = Header::new_gnu();
    header
        .as_old_mut()
        .name
        .get_mut(..name.len())
        .unwrap()
        .copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    if matches!(kind, EntryType::Link | EntryType::Symlink) {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_cksum();
    tar.append(&header, content).unwrap();
}

pub(super) fn file(tar: &mut Tar, name: &str, content: &[u8]) {
    put(tar, name, EntryType::Regular, 0o100644, content);
}

pub(super) fn small() -> UnpackLimits {
    UnpackLimits {
        entries: 5,
        file_bytes: 1 << 20,
        total_bytes: 8 << 20,
        ratio: 100,
        ratio_floor: 64 << 10,
    }
}

fn refused(package: &[u8]) -> String {
    let target = tempfile::tempdir().unwrap();
    wire_message(&unpack(package, target.path(), &small()).unwrap_err())
}

#[test]
fn files_and_folders_arrive_with_their_mode() {
    let bytes = package(|tar| {
        put(tar, "src/", EntryType::Directory, 0o755, b"");
        file(tar, "src/package.json", b"{}");
        put(tar, "src/gradlew", EntryType::Regular, 0o100755, b"#!");
        file(tar, "META-INF/statedb/couchdb/indexes/x.json", b"index");
        // Fabric lets one slash pass in front
        file(tar, "/src/below", b"here");
    });
    let target = tempfile::tempdir().unwrap();
    unpack(&bytes, target.path(), &small()).unwrap();
    let read = |name: &str| fs::read_to_string(target.path().join(name)).unwrap();
    let mode = |name: &str| {
        fs::metadata(target.path().join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(read("src/package.json"), "{}");
    assert_eq!(read("src/below"), "here");
    assert_eq!(read("META-INF/statedb/couchdb/indexes/x.json"), "index");
    assert_eq!(
        (mode("src/package.json") & 0o700, mode("src/gradlew") & 0o700),
        (0o600, 0o700)
    );
}

#[test]
fn long_names_of_both_formats_are_understood() {
    let long = format!("src/{}/index.js", "d".repeat(150));
    let gnu = package(|tar| {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(2);
        tar.append_data(&mut header, &long, &b"ab"[..]).unwrap();
    });
    let pax = package(|tar| {
        tar.append_pax_extensions([("path", long.as_bytes())]).unwrap();
        file(tar, "src/cut", b"ab");
    });
    for bytes in [gnu, pax] {
        let target = tempfile::tempdir().unwrap();
        unpack(&bytes, target.path(), &small()).unwrap();
        assert_eq!(fs::read(target.path().join(&long)).unwrap(), b"ab");
    }
}

#[test]
fn hostile_entries_are_refused_by_name() {
    let illegal = |name: &str| format!("illegal file detected in payload: {name:?}");
    for name in [
        "//src/x",
        "/etc/passwd",
        "/src/../x",
        "../x",
        "src/../../x",
        "src/../x",
        "./src/x",
        "src/./x",
        "src//x",
        "filename.txt",
        "srcx/y",
        "etc/passwd",
        "src",
        "src/a\nb",
        "META-INF",
        "",
    ] {
        assert_eq!(refused(&package(|tar| file(tar, name, b"x"))), illegal(name));
    }
    let kinds = [
        (EntryType::Symlink, "symbolic link"),
        (EntryType::Link, "hard link"),
        (EntryType::Char, "character device"),
        (EntryType::Block, "block device"),
        (EntryType::Fifo, "pipe"),
        (EntryType::GNUSparse, "sparse file"),
        (EntryType::new(b'Z'), "unknown type"),
    ];
    for (kind, name) in kinds {
        let text = refused(&package(|tar| put(tar, "src/evil", kind, 0o644, b"")));
        assert_eq!(
            text,
            format!("illegal file type detected for file \"src/evil\": {name}")
        );
    }
    assert_eq!(
        refused(&package(|tar| put(tar, "bin/", EntryType::Directory, 0o755, b""))),
        illegal("bin/")
    );
}

#[test]
fn hostile_long_names_are_refused_too() {
    let by_pax = |path: &str| {
        refused(&package(|tar| {
            tar.append_pax_extensions([("path", path.as_bytes())]).unwrap();
            file(tar, "src/fine", b"x");
        }))
    };
    assert_eq!(
        by_pax("src/../../x"),
        "illegal file detected in payload: \"src/../../x\""
    );
    assert!(
        by_pax(&format!("src/{}", "x/".repeat(1000)))
            .starts_with("illegal file detected in payload: \"src/x/x/")
    );
    let size = refused(&package(|tar| {
        tar.append_pax_extensions([("size", &b"0"[..])]).unwrap();
        file(tar, "src/fine", b"x");
    }));
    assert!(size.ends_with("size in a pax record"), "{size}");
    let huge = vec![b'a'; 20 * 1024];
    let record = refused(&package(|tar| put(tar, "long", EntryType::GNULongName, 0, &huge)));
    assert_eq!(record, "file \"long\" is larger than 16384 bytes");
}

#[test]
fn names_must_not_repeat() {
    let twice = |first: &str, second: &str| {
        refused(&package(|tar| {
            file(tar, first, b"1");
            file(tar, second, b"2");
        }))
    };
    assert_eq!(
        twice("src/a", "src/a"),
        "file \"src/a\" occurs twice in the package"
    );
    assert_eq!(
        twice("src/a", "src/a/b"),
        "file \"src/a/b\" occurs twice in the package"
    );
    assert_eq!(
        twice("src/a/b", "src/a"),
        "file \"src/a\" occurs twice in the package"
    );
    let folders = refused(&package(|tar| {
        put(tar, "src/", EntryType::Directory, 0o755, b"");
        put(tar, "src", EntryType::Directory, 0o755, b"");
    }));
    assert_eq!(folders, "file \"src\" occurs twice in the package");
}

#[test]
fn limits_hold() {
    let many = package(|tar| (0..6).for_each(|n| file(tar, &format!("src/{n}"), b"")));
    assert_eq!(
        refused(&many),
        "more than 5 entries in the package, the first too many is \"src/5\""
    );

    let large = package(|tar| file(tar, "src/large", &vec![0; (1 << 20) + 1]));
    assert_eq!(refused(&large), "file \"src/large\" is larger than 1048576 bytes");

    // About 1:1000: every file is within its limit.
    let bomb = package(|tar| (0..4).for_each(|n| file(tar, &format!("src/{n}"), &vec![0; 1 << 19])));
    assert!((bomb.len() as u64) < (2 << 20) / 500, "{}", bomb.len());
    let text = refused(&bomb);
    assert!(
        text.starts_with("the package unpacks to more than ") && text.contains("reached at entry \"src/"),
        "{text}"
    );
    assert_eq!(refused(&bomb), text, "the error is the same every time");
}

#[test]
fn a_size_in_the_header_allocates_nothing() {
    let bytes = package(|tar| {
        let mut header = Header::new_gnu();
        header.set_path("src/liar").unwrap();
        header.set_size(1 << 40);
        header.set_cksum();
        tar.append(&header, io::empty()).unwrap();
    });
    assert_eq!(refused(&bytes), "file \"src/liar\" is larger than 1048576 bytes");
}

#[test]
fn broken_packages_are_errors() {
    assert!(refused(b"garbage").starts_with("failure opening codepackage gzip stream: "));
    assert!(refused(b"").starts_with("failure opening codepackage gzip stream: "));
    let whole = package(|tar| file(tar, "src/a", b"some content that is long enough to be cut"));
    for cut in 10..whole.len() {
        let target = tempfile::tempdir().unwrap();
        let result = unpack(whole.get(..cut).unwrap(), target.path(), &small());
        assert!(
            matches!(result, Err(UnpackError::Read(..) | UnpackError::Gzip(_))),
            "{cut}: {result:?}"
        );
    }
}

/// Whoever else reads the archive takes all members of a gzip stream, and takes no more for the end of one.
#[test]
fn nothing_hides_behind_the_first_member_of_a_gzip_stream() {
    let whole = {
        let bytes = package(|tar| {
            file(tar, "src/a", b"1");
            file(tar, "src/b", b"2");
        });
        let mut tar = Vec::new();
        GzDecoder::new(bytes.as_slice()).read_to_end(&mut tar).unwrap();
        tar
    };
    let member = |bytes: &[u8]| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        io::Write::write_all(&mut gzip, bytes).unwrap();
        gzip.finish().unwrap()
    };
    let (first, second) = whole.split_at(1024);
    let both = [member(first), member(second)].concat();
    let target = tempfile::tempdir().unwrap();
    unpack(&both, target.path(), &small()).unwrap();
    assert_eq!(fs::read(target.path().join("src/b")).unwrap(), b"2");

    let evil = package(|tar| put(tar, "src/evil", EntryType::Symlink, 0o644, b""));
    assert!(refused(&[member(first), evil].concat()).starts_with("illegal file type detected"));
    let bomb = member(&vec![0; 9 << 20]);
    assert!(refused(&[both.clone(), bomb].concat()).starts_with("the package unpacks to more than"));
    assert!(refused(&[both.as_slice(), b"rest"].concat()).starts_with("reading the package failed after"));
}

#[test]
fn an_entry_has_one_name_and_the_size_that_it_says() {
    let long = |tar: &mut Tar, name: &[u8]| put(tar, "long", EntryType::GNULongName, 0, name);
    let pax = |tar: &mut Tar, key: &str, value: &[u8]| {
        tar.append_pax_extensions([(key, value)]).unwrap();
    };
    let twice = [
        package(|tar| {
            long(tar, b"src/one\0");
            pax(tar, "path", b"src/two");
            file(tar, "src/three", b"x");
        }),
        package(|tar| {
            pax(tar, "path", b"src/two");
            long(tar, b"src/one\0");
            file(tar, "src/three", b"x");
        }),
    ];
    for bytes in twice {
        assert!(refused(&bytes).ends_with("occurs twice in the package"));
    }
    // a record without a name leaves the name alone
    let named = package(|tar| {
        long(tar, b"src/one\0");
        pax(tar, "comment", b"x");
        file(tar, "src/three", b"x");
    });
    let target = tempfile::tempdir().unwrap();
    unpack(&named, target.path(), &small()).unwrap();
    assert!(target.path().join("src/one").exists());
    for (key, value) in [
        ("GNU.sparse.name", "src/other"),
        ("GNU.sparse.realsize", "9999999999"),
        ("GNU.sparse.size", "9999999999"),
    ] {
        let text = refused(&package(|tar| {
            pax(tar, key, value.as_bytes());
            file(tar, "src/small", b"x");
        }));
        assert!(text.ends_with("sparse file in a pax record"), "{text}");
    }
}
