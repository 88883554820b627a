//! Watches of a whole tree, where the system has such: everywhere but on Linux.

use std::{io, path::Path};

use notify::{ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::Notice;

/// The watch of one root and everything below it.
pub(super) struct Watcher {
    _watcher: RecommendedWatcher,
}

impl Watcher {
    pub(super) fn new(
        root: &Path,
        notice: impl Fn(Notice) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let handler = move |event: notify::Result<notify::Event>| match event {
            Ok(event) if event.need_rescan() => notice(Notice::Lost),
            // Reading is no change; our own walks would wake us otherwise.
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
            Ok(event) => notice(Notice::Changed(event.paths)),
            Err(err) => {
                tracing::warn!(%err, "watcher");
                notice(Notice::Lost);
            }
        };
        let mut watcher = notify::recommended_watcher(handler).map_err(to_io)?;
        watcher.watch(root, RecursiveMode::Recursive).map_err(to_io)?;
        Ok(Self { _watcher: watcher })
    }

    /// One watch covers everything below the root.
    pub(super) fn add(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn remove(&self, _: &Path) {}

    pub(super) fn is_broken(&self) -> bool {
        false
    }
}

fn to_io(err: notify::Error) -> io::Error {
    match err.kind {
        ErrorKind::Io(err) => err,
        ErrorKind::PathNotFound => io::ErrorKind::NotFound.into(),
        ErrorKind::MaxFilesWatch => io::ErrorKind::StorageFull.into(),
        _ => io::Error::other(err),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::mpsc, time::Duration};

    use super::*;

    #[test]
    fn a_write_anywhere_below_is_noticed() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let root = temp.path().canonicalize().expect("there");
        fs::create_dir(root.join("below")).expect("created");
        let (sender, notices) = mpsc::channel();
        let sender = std::sync::Mutex::new(sender);
        let notice = move |notice| drop(sender.lock().expect("not poisoned").send(notice));
        let watcher = Watcher::new(&root, notice).expect("watched");
        watcher.add(&root).expect("covered");
        fs::write(root.join("below/new.rs"), "x").expect("written");
        let is_told = |notice: &Notice| match notice {
            Notice::Changed(paths) => paths.contains(&root.join("below/new.rs")),
            Notice::Lost => false,
        };
        let limit = Duration::from_secs(60);
        while !is_told(&notices.recv_timeout(limit).expect("an event of the file")) {}
        watcher.remove(&root);
        assert!(!watcher.is_broken());
    }
}
