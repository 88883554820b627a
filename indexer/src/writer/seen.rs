//! The snapshot as a client sees it whose unsaved text of a file is not the one that counts.

use std::sync::Arc;

use super::{derive, summed};
use crate::{
    Snapshot,
    bm25::FileLexical,
    snapshot::{FileEntry, SnapshotData},
};

impl Snapshot {
    /// This snapshot with `text` for the file at `path`, of the same generation: names, places and
    /// terms are those of `text`. `None` if there is no such file.
    ///
    /// Costs parsing the text, and a table of all files. The file is left out of the vectors, which
    /// all snapshots share.
    #[must_use]
    pub fn with_text(&self, path: &str, text: &Arc<str>) -> Option<Self> {
        let file = self.file(path)?;
        let data = self.data();
        let derived = derive::derive(path, text, None, &data.embedder);
        let mut files = data.files.to_vec();
        *files.get_mut(file.0 as usize)? = Some(Arc::new(FileEntry {
            hash: derived.hash,
            facts: Arc::clone(&derived.facts),
            overlay: Some(Arc::clone(text)),
        }));
        let lexical = FileLexical {
            n_chunks: derived.terms.n_chunks(),
            lengths: summed(&derived.terms),
            terms: Some(derived.terms),
        };
        let mut upgrade = data.upgrade.clone();
        if let Some(upgrade) = &mut upgrade {
            upgrade.vectors = upgrade.vectors.with_changes(&[file], &[]);
        }
        let changed = [(file, path.to_owned(), Some(derived.facts))];
        Some(Self::new(SnapshotData {
            files: files.into(),
            graph: Arc::new(data.graph.with_changes(&changed)),
            lexical: data.lexical.with_file(file, lexical),
            vectors: data.vectors.with_changes(&[file], &[]),
            upgrade,
            ..data.clone()
        }))
    }
}
