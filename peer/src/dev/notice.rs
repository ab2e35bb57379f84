//! What `peer dev` tells the person in front of it while it runs: plain lines on standard error.
#![expect(
    clippy::print_stderr,
    reason = "standard output carries the result, standard error what happens meanwhile"
)]

use super::chaincode_folder::TakenOver;

/// A version of the chaincode has become the one that answers.
pub(super) fn taken_over(name: &str, taken: &TakenOver) {
    eprintln!("{}", taken_over_text(name, taken));
}

fn taken_over_text(name: &str, taken: &TakenOver) -> String {
    match taken {
        TakenOver::Unchanged { version } => format!("==> {name}: nothing new, version {version} is running"),
        TakenOver::Instantiated { version, block } => {
            format!("==> {name}: version {version} is running (block {block})")
        }
        TakenOver::Upgraded { from, version, block } => {
            format!("==> {name}: version {version} is running, it replaced {from} (block {block})")
        }
    }
}

/// A version of the chaincode could not be built or started.
pub(super) fn not_taken_over(name: &str, running: Option<&str>, error: &str) {
    eprintln!("{}", not_taken_over_text(name, running, error));
}

fn not_taken_over_text(name: &str, running: Option<&str>, error: &str) -> String {
    let state = match running {
        Some(version) => format!("version {version} still answers"),
        None => "nothing is running yet".to_owned(),
    };
    format!(
        "==> {name}: FAILED, {state}; change a file to try again\n{}",
        error.trim_end()
    )
}

/// The chaincode's files have changed.
pub(super) fn changed(name: &str) {
    eprintln!("==> {name}: files have changed");
}

/// Changes will go unseen.
pub(super) fn not_watching(name: &str, error: &str) {
    eprintln!("==> {name}: its folder cannot be watched, so changes are not taken over: {error}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_answers_meanwhile_and_shows_the_build() {
        let text = not_taken_over_text("kv", Some("3"), "build failed\nnpm ERR! missing script\n");
        assert!(text.contains("version 3 still answers"), "{text}");
        assert!(text.ends_with("npm ERR! missing script"), "{text}");
        assert!(not_taken_over_text("kv", None, "x").contains("nothing is running yet"));
    }

    #[test]
    fn a_success_names_version_and_block() {
        let upgraded = TakenOver::Upgraded {
            from: "1".into(),
            version: "2".into(),
            block: 7,
        };
        let text = taken_over_text("kv", &upgraded);
        assert!(
            text.contains("version 2") && text.contains("replaced 1") && text.contains("block 7"),
            "{text}"
        );
    }
}
