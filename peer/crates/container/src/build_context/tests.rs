use std::collections::BTreeMap;

use flate2::read::GzDecoder;
use protos::wire_message;
use tokio_stream::StreamExt;

use super::*;

async fn read(mut context: BuildContext) -> Result<Vec<u8>, ContextError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = context.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes)
}

fn entries(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(GzDecoder::new(bytes));
    let entry = |entry: io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.path().unwrap().display().to_string(), content)
    };
    archive.entries().unwrap().map(entry).collect()
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

/// Acceptance 3, first half.
#[tokio::test]
async fn the_context_has_the_dockerfile_and_all_files() {
    let folder = tempfile::tempdir().unwrap();
    let big = noise(3 << 20);
    std::fs::write(folder.path().join("bin"), &big).unwrap();
    let path = folder.path().join("bin");
    let make = || {
        let path = path.clone();
        build_context("FROM scratch".into(), move |writer| {
            writer.add("a.txt", b"first")?;
            writer.add("a.txt", b"second")?;
            writer.add("Dockerfile", b"FROM evil")?;
            writer.add_file("binpackage.tar", &path)
        })
    };
    let bytes = read(make()).await.unwrap();
    let found = entries(&bytes);
    assert_eq!(found.len(), 3, "repeated names are written once");
    let found: BTreeMap<_, _> = found.into_iter().collect();
    assert_eq!(found["Dockerfile"], b"FROM scratch");
    assert_eq!(found["a.txt"], b"first");
    assert!(found["binpackage.tar"] == big);
    assert!(
        read(make()).await.unwrap() == bytes,
        "equal input gives equal bytes"
    );
}

/// Acceptance 3, second half.
#[tokio::test]
async fn an_error_of_the_producer_ends_the_stream_with_it() {
    let context = build_context("FROM scratch".into(), |writer| {
        writer.add("big", &noise(1 << 20))?;
        Err(ContextError::Producer("platform says no".into()))
    });
    assert_eq!(
        wire_message(&read(context).await.unwrap_err()),
        "platform says no"
    );

    let context = build_context("FROM scratch".into(), |writer| {
        writer.add_file("x", Path::new("/does/not/exist"))
    });
    assert!(wire_message(&read(context).await.unwrap_err()).starts_with("Failed to inject \"x\": "));

    let context = build_context("FROM scratch".into(), |_| panic!("bug"));
    assert!(matches!(read(context).await, Err(ContextError::Lost(_))));
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_producer() {
    let (done, ended) = tokio::sync::oneshot::channel();
    let context = build_context("FROM scratch".into(), move |writer| {
        let chunk = noise(1 << 20);
        let result = (0..).try_for_each(|n| writer.add(&n.to_string(), &chunk));
        done.send(()).unwrap();
        result
    });
    drop(context);
    ended.await.unwrap();
}

#[tokio::test]
async fn a_package_is_archived_as_what_was_read() {
    let package = crate::fake::package(&[("package.json", "{}"), ("lib/index.js", "1")]);
    let make = |package: &Bytes| package_archive(package.clone(), UnpackLimits::default());
    let bytes = read(make(&package)).await.unwrap();
    let names: Vec<String> = entries(&bytes).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        ["src/", "src/package.json", "src/lib/", "src/lib/index.js"]
    );
    assert_eq!(bytes, read(make(&package)).await.unwrap());
    let error = read(make(&Bytes::from_static(b"garbage"))).await.unwrap_err();
    assert!(
        wire_message(&error).starts_with("failure opening codepackage"),
        "{error}"
    );
}
