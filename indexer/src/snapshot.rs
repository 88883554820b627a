//! What readers see: graph, lexical index and vectors of one generation; cheap to clone.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    Cancel, ChunkId, ContentHash, FileId, Generation, SymbolId,
    bm25::Lexical,
    facts::{ChunkFacts, FileFacts},
    graph::Graph,
    grep::{self, GrepQuery, GrepResults, Trigrams},
    rank::{self, QueryError, SearchQuery, SearchResults, Weights},
    vector::{SharedEmbedder, Upgrade, VectorIndex},
    vfs::{TextSource, Vfs},
};

/// An immutable view of all three indexes.
#[derive(Clone)]
pub struct Snapshot(Arc<SnapshotData>);

#[derive(Clone)]
pub(crate) struct SnapshotData {
    pub(crate) generation: Generation,
    pub(crate) vfs: Vfs,
    /// By file id; `None` for files that are gone.
    pub(crate) files: Arc<[Option<Arc<FileEntry>>]>,
    pub(crate) graph: Arc<Graph>,
    pub(crate) lexical: Lexical,
    pub(crate) vectors: VectorIndex,
    pub(crate) embedder: SharedEmbedder,
    /// Vectors of a stronger model, as far as they are there.
    pub(crate) upgrade: Option<Upgrade>,
    /// Grows with searches; right for any snapshot, as its entries are by content.
    pub(crate) trigrams: Arc<Trigrams>,
    pub(crate) source: Arc<dyn TextSource>,
}

/// A file as readers see it: the unsaved text if an editor holds one.
#[derive(Clone, Debug)]
pub(crate) struct FileEntry {
    pub(crate) hash: ContentHash,
    pub(crate) facts: Arc<FileFacts>,
    /// Unsaved text; the saved text is read when somebody asks.
    pub(crate) overlay: Option<Arc<str>>,
}

/// How much is indexed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    pub n_files: usize,
    pub n_symbols: usize,
    pub n_chunks: usize,
    /// Source text that is indexed.
    pub source_bytes: u64,
    /// Files whose terms are in memory only: unsaved, or not committed yet.
    pub n_overlay: usize,
    /// Memory of those terms.
    pub overlay_bytes: usize,
    /// Memory of the vectors.
    pub vector_bytes: usize,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("generation", &self.0.generation).finish_non_exhaustive()
    }
}

impl Snapshot {
    pub(crate) fn new(data: SnapshotData) -> Self {
        Self(Arc::new(data))
    }

    pub(crate) fn data(&self) -> &SnapshotData {
        &self.0
    }

    #[must_use]
    pub fn generation(&self) -> Generation {
        self.0.generation
    }

    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.0.graph
    }

    /// All files, in id order.
    pub fn files(&self) -> impl Iterator<Item = FileId> {
        let present = self.0.files.iter().enumerate().filter(|(_, entry)| entry.is_some());
        present.map(|(index, _)| FileId(index as u32))
    }

    /// The file at `path` (relative, `/`-separated).
    #[must_use]
    pub fn file(&self, path: &str) -> Option<FileId> {
        self.0.vfs.id(path).filter(|file| self.entry(*file).is_some())
    }

    /// Relative path of `file`; empty for an id of another workspace.
    #[must_use]
    pub fn path(&self, file: FileId) -> &str {
        self.0.vfs.path(file)
    }

    #[must_use]
    pub fn facts(&self, file: FileId) -> Option<&Arc<FileFacts>> {
        self.entry(file).map(|entry| &entry.facts)
    }

    /// Hash of the text that the snapshot answers for.
    #[must_use]
    pub fn hash(&self, file: FileId) -> Option<ContentHash> {
        self.entry(file).map(|entry| entry.hash)
    }

    /// The indexed text; `None` if the file on disk is another one by now, so that ranges always
    /// fit the text they are cut from.
    #[must_use]
    pub fn text(&self, file: FileId) -> Option<Arc<str>> {
        let entry = self.entry(file)?;
        match &entry.overlay {
            Some(text) => Some(Arc::clone(text)),
            None => self
                .0
                .source
                .read(self.path(file))
                .filter(|text| ContentHash::of(text.as_bytes()) == entry.hash),
        }
    }

    /// True if an editor holds unsaved text of `file`.
    #[must_use]
    pub fn is_overlay(&self, file: FileId) -> bool {
        self.entry(file).is_some_and(|entry| entry.overlay.is_some())
    }

    #[must_use]
    pub fn chunk(&self, chunk: ChunkId) -> Option<&ChunkFacts> {
        self.facts(chunk.file)?.chunks.get(chunk.index as usize)
    }

    #[must_use]
    pub fn chunk_text(&self, chunk: ChunkId) -> Option<String> {
        let range = self.chunk(chunk)?.range;
        let text = self.text(chunk.file)?;
        text.get(range.span()).map(str::to_owned)
    }

    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            n_overlay: self.0.lexical.n_overlay(),
            overlay_bytes: self.0.lexical.heap_bytes(),
            vector_bytes: self.0.vectors.n_bytes(),
            ..Stats::default()
        };
        for entry in self.0.files.iter().flatten() {
            stats.n_files += 1;
            stats.n_symbols += entry.facts.symbols.len();
            stats.n_chunks += entry.facts.chunks.len();
            stats.source_bytes += u64::from(entry.facts.n_bytes);
        }
        stats
    }

    /// Answers with the most relevant functions, classes and sections.
    ///
    /// # Errors
    /// A [`QueryError`] that says what to change. A cancelled search gives what it has.
    pub fn search(
        &self,
        query: &SearchQuery,
        cancel: &Cancel,
    ) -> Result<SearchResults, QueryError> {
        self.search_with(query, &Weights::default(), cancel)
    }

    /// [`Snapshot::search`] with other weights, for evaluation.
    ///
    /// # Errors
    /// As [`Snapshot::search`].
    pub fn search_with(
        &self,
        query: &SearchQuery,
        weights: &Weights,
        cancel: &Cancel,
    ) -> Result<SearchResults, QueryError> {
        rank::search(self, query, weights, cancel)
    }

    /// Lines that match a literal or a regex, as ripgrep finds them in the same files.
    ///
    /// # Errors
    /// [`QueryError::Regex`] if the pattern is not valid or too large.
    pub fn grep(&self, query: &GrepQuery, cancel: &Cancel) -> Result<GrepResults, QueryError> {
        grep::grep(self, query, cancel)
    }

    /// Symbols whose name is like `query`, best first, with a score in `0..=1`: exact, prefix,
    /// word starts, subsequence, one or two typos.
    #[must_use]
    pub fn symbols_matching(&self, query: &str, limit: usize) -> Vec<(SymbolId, f32)> {
        rank::fuzzy::symbols_matching(self, query, limit)
    }

    fn entry(&self, file: FileId) -> Option<&FileEntry> {
        self.0.files.get(file.0 as usize)?.as_deref()
    }
}
