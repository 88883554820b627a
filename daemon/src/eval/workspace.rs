//! A root indexed in memory, read through the same gate as everywhere else.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use fovea_indexer::{
    Cancel, Snapshot, vector,
    vfs::TextSource,
    writer::{FileChange, IndexWriter, MemoryFacts, Storage},
};

use crate::{
    config::IndexConfig,
    guard, root,
    walk::{Rules, Visit},
};

/// One indexed root.
pub struct Workspace {
    /// Name of the repository.
    pub name: String,
    root: PathBuf,
    max_file_bytes: u64,
    writer: IndexWriter,
    snapshot: Snapshot,
    /// The buffer that was handed in last: asking again costs no new generation.
    edited: Option<(String, Arc<str>)>,
}

struct Files {
    root: PathBuf,
    max_file_bytes: u64,
}

impl TextSource for Files {
    fn read(&self, path: &str) -> Option<Arc<str>> {
        guard::read(&self.root, path, self.max_file_bytes).ok().map(|text| text.text)
    }
}

impl Workspace {
    /// Indexes everything below `root` that counts.
    ///
    /// # Errors
    /// If `root` is not a readable folder.
    pub fn open(root: &Path, name: String) -> Result<Self> {
        let config = IndexConfig::default();
        let root = root::check(root)?;
        let (rules, _) = Rules::new(&root, &config);
        let source = Arc::new(Files { root: root.clone(), max_file_bytes: config.max_file_bytes });
        let mut changes = Vec::new();
        rules.walk("", false, &mut |visit| {
            if let Visit::File { path, .. } = visit
                && fovea_indexer::Language::of_path(&path).is_some()
                && let Some(text) = source.read(&path)
            {
                changes.push(FileChange::Saved { path, text });
            }
        });
        let mut writer = IndexWriter::open(
            Storage::Memory,
            Arc::new(MemoryFacts::default()),
            source,
            vector::embedded(),
        )
        .context("cannot open an index in memory")?;
        let snapshot = writer.apply(changes, &mut |_| {}, &Cancel::never())?;
        Ok(Self {
            name,
            root,
            max_file_bytes: config.max_file_bytes,
            writer,
            snapshot,
            edited: None,
        })
    }

    /// Reads `files` again.
    ///
    /// # Errors
    /// If the index cannot be written.
    pub fn changed(&mut self, files: &[String]) -> Result<()> {
        let changes = files
            .iter()
            .map(|path| match guard::read(&self.root, path, self.max_file_bytes) {
                Ok(text) => FileChange::Saved { path: path.clone(), text: text.text },
                Err(_) => FileChange::Removed { path: path.clone() },
            })
            .collect();
        self.apply(changes)
    }

    /// The editor's buffer of `path` is `text` from now on.
    ///
    /// # Errors
    /// If the index cannot be written.
    pub fn edited(&mut self, path: &str, text: Arc<str>) -> Result<()> {
        let now = Some((path.to_owned(), Arc::clone(&text)));
        if self.edited == now {
            return Ok(());
        }
        self.edited = now;
        self.apply(vec![FileChange::Edited { path: path.to_owned(), text }])
    }

    /// The editor closed `path`.
    ///
    /// # Errors
    /// If the index cannot be written.
    pub fn closed(&mut self, path: &str) -> Result<()> {
        self.edited = None;
        self.apply(vec![FileChange::Closed { path: path.to_owned() }])
    }

    /// What is indexed now.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    fn apply(&mut self, changes: Vec<FileChange>) -> Result<()> {
        self.snapshot = self.writer.apply(changes, &mut |_| {}, &Cancel::never())?;
        Ok(())
    }
}
