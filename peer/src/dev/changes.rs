//! Changes of a folder of source, gathered until the editor is done.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::Instant;

/// A change counts when nothing else has changed for this long.
const QUIET: Duration = Duration::from_millis(300);
/// A folder that never comes to rest counts as changed after this long.
const PATIENCE: Duration = Duration::from_secs(5);
/// A folder of dependencies; they are fetched anew for a build.
const DEPENDENCIES: &str = "node_modules";
/// What editors leave behind for a moment.
const TEMPORARY_ENDINGS: [&str; 5] = ["~", ".swp", ".swx", ".swo", ".tmp"];
/// vim tries whether it may write with a file of this name.
const VIM_PROBE: &str = "4913";

/// A watched folder.
#[derive(Debug)]
pub(super) struct Changes {
    changed: Arc<Notify>,
    _watcher: RecommendedWatcher,
}

impl Changes {
    /// Watches a folder and all below it.
    pub(super) fn of(folder: &Path) -> notify::Result<Self> {
        let changed = Arc::new(Notify::new());
        let seen = Arc::clone(&changed);
        let root = folder.to_owned();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
            Ok(event) if concerns_source(&root, &event) => seen.notify_one(),
            Ok(_) => {}
            Err(error) => tracing::warn!(
                error = protos::wire_message(&error),
                "watching the chaincode failed"
            ),
        })?;
        watcher.watch(folder, RecursiveMode::Recursive)?;
        Ok(Self {
            changed,
            _watcher: watcher,
        })
    }

    /// Waits for the next change and for the end of those that come with it.
    pub(super) async fn next(&self) {
        self.changed.notified().await;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until && tokio::time::timeout(QUIET, self.changed.notified()).await.is_ok() {}
    }
}

/// Reading is no change; packaging reads.
fn concerns_source(root: &Path, event: &Event) -> bool {
    if matches!(event.kind, EventKind::Access(_)) {
        return false;
    }
    event.need_rescan() || event.paths.iter().any(|path| is_source(root, path))
}

/// Not in a hidden folder, not a dependency, not an editor's temporary file.
fn is_source(root: &Path, path: &Path) -> bool {
    let Ok(relative) = path.strip_prefix(root) else {
        return false;
    };
    let relative: PathBuf = relative
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect();
    let Some(name) = relative.file_name().map(OsStr::to_string_lossy) else {
        return true;
    };
    let hidden = |folder: &Path| folder.iter().any(|part| part.to_string_lossy().starts_with('.'));
    if relative.parent().is_some_and(hidden)
        || relative.iter().any(|part| part == DEPENDENCIES)
        || name == ".git"
    {
        return false;
    }
    let temporary = TEMPORARY_ENDINGS.iter().any(|ending| name.ends_with(ending))
        || name.starts_with(".#")
        || (name.starts_with('#') && name.ends_with('#'))
        || name == VIM_PROBE;
    !temporary
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind};

    use super::*;

    #[test]
    fn only_source_counts() {
        let root = Path::new("/src/my.node_modules/cc");
        for path in [
            "index.js",
            "lib/deep/a.go",
            ".npmrc",
            "META-INF/statedb/x.json",
            "",
        ] {
            assert!(is_source(root, &root.join(path)), "{path}");
        }
        for path in [
            "node_modules/x/index.js",
            "lib/node_modules",
            ".git/index",
            ".git",
            ".idea/workspace.xml",
            "index.js~",
            ".index.js.swp",
            ".#index.js",
            "#index.js#",
            "4913",
            "a.tmp",
        ] {
            assert!(!is_source(root, &root.join(path)), "{path}");
        }
        assert!(!is_source(root, Path::new("/elsewhere/index.js")));
    }

    #[test]
    fn reading_is_no_change() {
        let root = Path::new("/src");
        let event = |kind| Event::new(kind).add_path(root.join("index.js"));
        assert!(!concerns_source(root, &event(EventKind::Access(AccessKind::Any))));
        assert!(concerns_source(root, &event(EventKind::Create(CreateKind::File))));
    }

    #[tokio::test]
    async fn a_written_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(folder.path()).unwrap();
        let changes = Changes::of(&root).unwrap();
        std::fs::write(root.join("index.js"), "changed").unwrap();
        tokio::time::timeout(Duration::from_secs(60), changes.next())
            .await
            .unwrap();
    }
}
