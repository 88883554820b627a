//! Path to [`FileId`] and back. Records what it is told; does no I/O.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::FileId;

/// Reads the text of a file of the workspace, through the daemon's one gate for opening files.
/// Tests use a map.
pub trait TextSource: Send + Sync {
    /// The current text of `path` (relative to the root, `/`-separated), or `None` if it is gone,
    /// excluded, binary or over the cap. Secrets are already redacted, offsets kept.
    fn read(&self, path: &str) -> Option<Arc<str>>;
}

/// Assigns a [`FileId`] to every path it ever saw; an id is never given to another path, also
/// after the file is gone. Cheap to clone until the next new path.
#[derive(Clone, Debug, Default)]
pub struct Vfs {
    ids: Arc<FxHashMap<Arc<str>, FileId>>,
    paths: Arc<Vec<Arc<str>>>,
}

impl Vfs {
    /// The id of `path`, assigned now if it is new.
    pub fn intern(&mut self, path: &str) -> FileId {
        if let Some(&file) = self.ids.get(path) {
            return file;
        }
        let file = FileId(self.paths.len() as u32);
        let path: Arc<str> = path.into();
        Arc::make_mut(&mut self.paths).push(Arc::clone(&path));
        Arc::make_mut(&mut self.ids).insert(path, file);
        file
    }

    /// The id of `path`, if it was ever seen.
    #[must_use]
    pub fn id(&self, path: &str) -> Option<FileId> {
        self.ids.get(path).copied()
    }

    /// The path of `file`; empty for an id of another workspace.
    #[must_use]
    pub fn path(&self, file: FileId) -> &str {
        self.paths.get(file.0 as usize).map_or("", |path| path)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// All paths, in id order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(|path| &**path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_clones_do_not_change() {
        let mut vfs = Vfs::default();
        let a = vfs.intern("src/a.rs");
        let before = vfs.clone();
        let b = vfs.intern("src/b.rs");
        assert_ne!(a, b);
        assert_eq!(vfs.intern("src/a.rs"), a);
        assert_eq!(before.id("src/b.rs"), None);
        assert_eq!(vfs.path(b), "src/b.rs");
        assert_eq!(before.path(b), "");
    }
}
