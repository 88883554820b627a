//! The only type that mutates: applies batches of changes and publishes snapshots.
//!
//! A change is derived (parsed, embedded, cut into terms), then published in one step; its terms
//! stay in memory until [`IndexWriter::commit`] moves them to tantivy and renames the manifest,
//! which is the only durable point. Large batches go to tantivy directly, so that memory stays
//! bounded. Facts and vectors live in the [`FactsStore`] under the hash of the content.
//!
//! Invariant: a reopened index answers as the one that was committed, or it is rebuilt; what the
//! manifest does not vouch for is never read.

mod derive;
mod facts_store;
mod manifest;
mod open;
mod purge;
mod seen;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use rayon::prelude::*;
use rustc_hash::FxHashSet;

use self::derive::{ChunkVectors, Derived};
pub use self::{
    facts_store::{FactsKey, FactsKind, FactsStore, MemoryFacts, NoFacts},
    manifest::{INDEX_FORMAT, Manifest, ManifestFile},
    open::Opened,
    purge::Trace,
};
use crate::{
    Cancel, ChunkId, ContentHash, FileId, Generation, Snapshot,
    bm25::{
        FileLexical, FileTerms, Lengths, Lexical,
        store::{self, Store},
    },
    facts::{EXTRACTOR_VERSION, FileFacts},
    snapshot::{FileEntry, SnapshotData},
    vector::{FileVectors, SharedEmbedder, Upgrade},
    vfs::{TextSource, Vfs},
};

/// One change of one file. Paths are relative to the workspace root and `/`-separated.
#[derive(Clone, Debug)]
pub enum FileChange {
    /// The file exists with this text (secrets already redacted).
    Saved { path: String, text: Arc<str> },
    /// The file is gone, or excluded from now on.
    Removed { path: String },
    /// An editor holds this unsaved text; it hides the saved one until closed.
    Edited { path: String, text: Arc<str> },
    /// The editor closed the file; the saved text counts again.
    Closed { path: String },
}

/// Where the index lives.
#[derive(Clone, Debug)]
pub enum Storage {
    /// In memory, gone with the writer.
    Memory,
    /// In this folder, which only one writer may have open.
    Directory(PathBuf),
    /// In memory, beginning with what is in this folder. The folder is only read: another writer may
    /// have it, or nobody may write there.
    Copy(PathBuf),
}

/// How far [`IndexWriter::apply`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub n_done: usize,
    pub n_total: usize,
}

/// An index could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("index in `{dir}` is open in another process; stop that one or use another folder")]
    Locked { dir: PathBuf },
    #[error("index file `{path}` cannot be written: {source}; check free space and permissions")]
    Io { path: PathBuf, source: std::io::Error },
    #[error(
        "lexical index cannot be written: {0}; check free space and permissions of the data folder; \
             what was indexed before stays readable"
    )]
    Lexical(#[from] tantivy::TantivyError),
    #[error("indexing was stopped after {n_done} of {n_total} files; those are searchable")]
    Cancelled { n_done: usize, n_total: usize },
}

/// Files derived at once: bounds memory, and the wait for a cancel.
const BATCH_FILES: usize = 64;
const BATCH_BYTES: usize = 4 << 20;
/// With more chunks than this outside of tantivy, a batch goes there directly.
const MAX_PENDING_CHUNKS: usize = 6_000;
/// Below an index's folder: locked while a writer has it open.
pub const LOCK: &str = "lexical/.fovea-writer.lock";
/// Marks a tantivy commit that no manifest vouches for.
const OPEN_MARK: &str = "open";

/// A saved text that is indexed.
struct Saved {
    hash: ContentHash,
    facts: Arc<FileFacts>,
    lengths: Lengths,
    /// `None` once they are in tantivy.
    terms: Option<Arc<FileTerms>>,
}

/// An unsaved text that hides the saved one.
struct Edited {
    text: Arc<str>,
    derived: Derived,
}

#[derive(Default)]
struct Tracked {
    saved: Option<Saved>,
    edited: Option<Edited>,
}

/// Applies changes; one a workspace.
pub struct IndexWriter {
    dir: Option<PathBuf>,
    store: Store,
    facts: Arc<dyn FactsStore>,
    source: Arc<dyn TextSource>,
    embedder: SharedEmbedder,
    vfs: Vfs,
    tracked: Vec<Tracked>,
    /// Files whose documents in tantivy are not those of the saved text.
    dirty: FxHashSet<FileId>,
    /// Documents were added that tantivy has not committed.
    uncommitted: bool,
    manifest: Manifest,
    opened: Opened,
    snapshot: Snapshot,
    /// Removed since the last purge.
    traces: Vec<Trace>,
    /// Replaced since somebody asked.
    replaced: Vec<Trace>,
}

/// What one path should become.
#[derive(Default)]
struct Wanted {
    saved: Option<Option<Arc<str>>>,
    edited: Option<Option<Arc<str>>>,
}

struct Job {
    file: FileId,
    path: String,
    text: Arc<str>,
    is_edit: bool,
}

/// What a published change consists of.
#[derive(Default)]
struct Changes {
    files: FxHashSet<FileId>,
    removed_vectors: Vec<FileId>,
    added_vectors: Vec<(ChunkId, Vec<i8>)>,
}

impl Changes {
    fn replace_vectors(&mut self, file: FileId, vectors: ChunkVectors) {
        self.files.insert(file);
        self.removed_vectors.push(file);
        let ids = (0..).map(|index| ChunkId { file, index });
        self.added_vectors.extend(ids.zip(vectors));
    }
}

impl IndexWriter {
    /// Opens or creates the index. Unchanged files are not parsed again; see [`IndexWriter::opened`]
    /// for what had to be rebuilt.
    ///
    /// # Errors
    /// [`IndexError::Locked`] if another writer has the folder; [`IndexError::Io`] and
    /// [`IndexError::Lexical`] if it cannot be written. A damaged index is no error.
    pub fn open(
        storage: Storage,
        facts: Arc<dyn FactsStore>,
        source: Arc<dyn TextSource>,
        embedder: SharedEmbedder,
    ) -> Result<Self, IndexError> {
        open::open(storage, facts, source, embedder)
    }

    /// How the last [`IndexWriter::open`] went.
    #[must_use]
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// The view that was published last.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.clone()
    }

    /// What is durable: path to content hash, for the comparison at start-up.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Applies `changes` in order and publishes one generation. Texts equal to the indexed ones
    /// cost a hash.
    ///
    /// # Errors
    /// [`IndexError::Cancelled`] after publishing what was done; apply the same changes again to
    /// go on. [`IndexError::Lexical`] if tantivy cannot write; the previous snapshot stays.
    pub fn apply(
        &mut self,
        changes: Vec<FileChange>,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<Snapshot, IndexError> {
        let mut published = Changes::default();
        let jobs = self.plan(changes, &mut published);
        let n_total = jobs.len();
        let n_bytes: usize = jobs.iter().map(|job| job.text.len()).sum();
        let is_bulk = self.n_pending_chunks() + n_bytes / 1_000 > MAX_PENDING_CHUNKS;
        let mut n_done = 0;
        let mut rest = jobs.as_slice();
        while !rest.is_empty() && !cancel.is_cancelled() {
            let (batch, tail) = rest.split_at(batch_len(rest));
            rest = tail;
            self.apply_batch(batch, is_bulk, &mut published)?;
            n_done += batch.len();
            progress(Progress { n_done, n_total });
        }
        if is_bulk {
            // Searchable now; durable with the next manifest.
            self.store.commit(OPEN_MARK)?;
            self.uncommitted = true;
        }
        if !published.files.is_empty() {
            self.publish(published)?;
        }
        if n_done < n_total {
            return Err(IndexError::Cancelled { n_done, n_total });
        }
        Ok(self.snapshot())
    }

    /// Makes everything saved durable: terms to tantivy, then the manifest by one rename. Unsaved
    /// text never is. Take [`IndexWriter::snapshot`] afterwards: it answers the same with less
    /// memory.
    ///
    /// # Errors
    /// [`IndexError::Io`] or [`IndexError::Lexical`]; what was durable before still is.
    pub fn commit(&mut self) -> Result<(), IndexError> {
        let files = self.saved_files();
        let is_same =
            files == self.manifest.files && self.manifest.embedder == self.embedder.model_id();
        if !self.uncommitted && self.dirty.is_empty() && is_same {
            return Ok(());
        }
        let mark = lexical_mark(&files);
        self.flush()?;
        self.store.commit(&mark)?;
        let manifest = Manifest {
            generation: self.snapshot.generation(),
            files,
            lexical_mark: mark,
            next_file: self.vfs.len() as u32,
            embedder: self.embedder.model_id().to_owned(),
        };
        if let Some(dir) = &self.dir {
            manifest
                .write(dir)
                .map_err(|source| IndexError::Io { path: dir.join("manifest"), source })?;
        }
        self.manifest = manifest;
        self.uncommitted = false;
        self.republish_lexical()?;
        Ok(())
    }

    /// Lets go of the threads that writing needs; the next change starts them again. Does nothing while
    /// something is not durable.
    ///
    /// # Errors
    /// [`IndexError::Lexical`] if a merge failed; what is durable stays so.
    pub fn rest(&mut self) -> Result<(), IndexError> {
        if self.uncommitted || !self.dirty.is_empty() {
            return Ok(());
        }
        Ok(self.store.rest()?)
    }

    /// Takes a stronger embedder beside the one of every chunk, or none. Its vectors come by
    /// [`IndexWriter::add_vectors`]; [`Snapshot::upgrade_order`] says of which files.
    pub fn set_upgrade(&mut self, embedder: Option<SharedEmbedder>) -> Snapshot {
        let upgrade = embedder.map(Upgrade::new);
        let previous = self.snapshot.data().clone();
        self.snapshot = Snapshot::new(SnapshotData { upgrade, ..previous });
        self.snapshot()
    }

    /// Takes over vectors of the stronger embedder. Those of a text that is not the current one any
    /// more, or of another embedder's length, are left out.
    pub fn add_vectors(&mut self, added: Vec<FileVectors>) -> Snapshot {
        let previous = self.snapshot.data();
        let Some(upgrade) = &previous.upgrade else { return self.snapshot() };
        let dim = upgrade.embedder.dim();
        let mut rows = Vec::new();
        for FileVectors { file, hash, rows: new } in added {
            let entry = previous.files.get(file.0 as usize).and_then(Option::as_ref);
            let fits = entry
                .is_some_and(|entry| entry.hash == hash && entry.facts.chunks.len() == new.len());
            if fits && new.iter().all(|row| row.len() == dim) {
                let ids = (0..).map(|index| ChunkId { file, index });
                rows.extend(ids.zip(new));
            }
        }
        let vectors = upgrade.vectors.with_changes(&[], &rows);
        let upgrade = Some(Upgrade { embedder: Arc::clone(&upgrade.embedder), vectors });
        self.snapshot = Snapshot::new(SnapshotData { upgrade, ..previous.clone() });
        self.snapshot()
    }

    /// Sorts out what each path should become; removals and closings happen here, the rest is
    /// returned as work.
    fn plan(&mut self, changes: Vec<FileChange>, published: &mut Changes) -> Vec<Job> {
        let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
        for change in changes {
            match change {
                FileChange::Saved { path, text } => {
                    wanted.entry(path).or_default().saved = Some(Some(text));
                }
                FileChange::Removed { path } => wanted.entry(path).or_default().saved = Some(None),
                FileChange::Edited { path, text } => {
                    wanted.entry(path).or_default().edited = Some(Some(text));
                }
                FileChange::Closed { path } => wanted.entry(path).or_default().edited = Some(None),
            }
        }
        let mut jobs = Vec::new();
        for (path, wanted) in wanted {
            let creates =
                matches!(wanted.saved, Some(Some(_))) || matches!(wanted.edited, Some(Some(_)));
            if self.vfs.id(&path).is_none() && !creates {
                continue;
            }
            let file = self.vfs.intern(&path);
            self.tracked.resize_with(self.vfs.len(), Tracked::default);
            match wanted.saved {
                Some(Some(text)) => {
                    jobs.push(Job { file, path: path.clone(), text, is_edit: false });
                }
                Some(None) => {
                    let tracked = &mut self.tracked[file.0 as usize];
                    if let Some(saved) = tracked.saved.take() {
                        self.dirty.insert(file);
                        self.traces.push(Trace { path: path.clone(), hash: saved.hash });
                        if tracked.edited.is_none() {
                            published.replace_vectors(file, Vec::new());
                        }
                    }
                }
                None => {}
            }
            match wanted.edited {
                Some(Some(text)) => jobs.push(Job { file, path, text, is_edit: true }),
                Some(None) if self.tracked[file.0 as usize].edited.take().is_some() => {
                    let vectors = self.vectors_of_saved(file);
                    published.replace_vectors(file, vectors);
                }
                _ => {}
            }
        }
        jobs
    }

    /// Vectors of a saved text that becomes visible again.
    fn vectors_of_saved(&self, file: FileId) -> ChunkVectors {
        let Some(saved) = &self.tracked[file.0 as usize].saved else { return Vec::new() };
        let path = self.vfs.path(file);
        let key = derive::vectors_key(path, saved.hash, self.embedder.model_id());
        let n_chunks = saved.facts.chunks.len();
        let stored = self.facts.get(&key);
        stored
            .and_then(|bytes| derive::decode_vectors(&bytes, n_chunks, self.embedder.dim()))
            .or_else(|| {
                let text = open::read_unchanged(&*self.source, path, saved.hash)?;
                Some(derive::embed(&text, &saved.facts, &self.embedder))
            })
            .unwrap_or_default()
    }

    fn apply_batch(
        &mut self,
        batch: &[Job],
        is_bulk: bool,
        published: &mut Changes,
    ) -> Result<(), IndexError> {
        let Self { tracked, facts, embedder, .. } = &*self;
        let derived: Vec<Option<Derived>> = batch
            .par_iter()
            .map(|job| {
                let known = &tracked[job.file.0 as usize];
                if job.is_edit {
                    let same = known.edited.as_ref().is_some_and(|edited| edited.text == job.text);
                    return (!same).then(|| derive::derive(&job.path, &job.text, None, embedder));
                }
                let known = known.saved.as_ref().map(|saved| saved.hash);
                if known.is_some_and(|known| known == ContentHash::of(job.text.as_bytes())) {
                    return None;
                }
                Some(derive::derive(&job.path, &job.text, Some(&**facts), embedder))
            })
            .collect();
        let mut new = Vec::new();
        for (job, derived) in batch.iter().zip(derived) {
            let Some(mut derived) = derived else { continue };
            new.append(&mut derived.new);
            self.take(job, derived, is_bulk, published)?;
        }
        if !new.is_empty() {
            self.facts.put(new);
        }
        Ok(())
    }

    /// Takes over what was derived for one job.
    fn take(
        &mut self,
        job: &Job,
        derived: Derived,
        is_bulk: bool,
        published: &mut Changes,
    ) -> Result<(), IndexError> {
        let tracked = &mut self.tracked[job.file.0 as usize];
        if job.is_edit {
            let mut derived = derived;
            published.replace_vectors(job.file, std::mem::take(&mut derived.vectors));
            tracked.edited = Some(Edited { text: Arc::clone(&job.text), derived });
            return Ok(());
        }
        let Derived { hash, facts, vectors, terms, .. } = derived;
        if tracked.edited.is_none() {
            published.replace_vectors(job.file, vectors);
        }
        let lengths = summed(&terms);
        let terms = if is_bulk {
            self.store.remove(job.file)?;
            self.store.add(job.file, &terms)?;
            self.uncommitted = true;
            self.dirty.remove(&job.file);
            None
        } else {
            self.dirty.insert(job.file);
            Some(terms)
        };
        if let Some(before) = tracked.saved.replace(Saved { hash, facts, lengths, terms })
            && before.hash != hash
        {
            let path = job.path.clone();
            self.replaced.push(Trace { path, hash: before.hash });
        }
        Ok(())
    }

    /// Hands the pending terms of saved texts to tantivy.
    fn flush(&mut self) -> Result<(), IndexError> {
        for file in &self.dirty {
            self.store.remove(*file)?;
            let saved = self.tracked[file.0 as usize].saved.as_ref();
            if let Some(terms) = saved.and_then(|saved| saved.terms.as_deref()) {
                self.store.add(*file, terms)?;
            }
        }
        self.uncommitted = true;
        Ok(())
    }

    /// After a commit: terms of saved texts are read from tantivy.
    fn republish_lexical(&mut self) -> Result<(), IndexError> {
        let dirty = std::mem::take(&mut self.dirty);
        for file in &dirty {
            if let Some(saved) = &mut self.tracked[file.0 as usize].saved {
                saved.terms = None;
            }
        }
        let lexical = self.lexical()?;
        let previous = self.snapshot.data();
        self.snapshot = Snapshot::new(SnapshotData { lexical, ..previous.clone() });
        Ok(())
    }

    fn publish(&mut self, changes: Changes) -> Result<(), IndexError> {
        let mut files: Vec<FileId> = changes.files.iter().copied().collect();
        files.sort_unstable();
        let lexical = self.lexical()?;
        let previous = self.snapshot.data();
        let mut entries = previous.files.to_vec();
        entries.resize(self.vfs.len(), None);
        let mut for_graph = Vec::with_capacity(files.len());
        for file in files {
            let entry = self.entry(file);
            let facts = entry.as_ref().map(|entry| Arc::clone(&entry.facts));
            for_graph.push((file, self.vfs.path(file).to_owned(), facts));
            entries[file.0 as usize] = entry.map(Arc::new);
        }
        let data = SnapshotData {
            generation: Generation(previous.generation.0 + 1),
            vfs: self.vfs.clone(),
            files: entries.into(),
            graph: Arc::new(previous.graph.with_changes(&for_graph)),
            lexical,
            vectors: previous
                .vectors
                .with_changes(&changes.removed_vectors, &changes.added_vectors),
            embedder: Arc::clone(&self.embedder),
            // A changed file waits for its new vectors; most of its chunks are known.
            upgrade: previous.upgrade.as_ref().map(|upgrade| Upgrade {
                embedder: Arc::clone(&upgrade.embedder),
                vectors: upgrade.vectors.with_changes(&changes.removed_vectors, &[]),
            }),
            trigrams: Arc::clone(&previous.trigrams),
            source: Arc::clone(&self.source),
        };
        self.snapshot = Snapshot::new(data);
        Ok(())
    }

    /// What readers see of `file`.
    fn entry(&self, file: FileId) -> Option<FileEntry> {
        let tracked = &self.tracked[file.0 as usize];
        if let Some(edited) = &tracked.edited {
            return Some(FileEntry {
                hash: edited.derived.hash,
                facts: Arc::clone(&edited.derived.facts),
                overlay: Some(Arc::clone(&edited.text)),
            });
        }
        let saved = tracked.saved.as_ref()?;
        Some(FileEntry { hash: saved.hash, facts: Arc::clone(&saved.facts), overlay: None })
    }

    fn lexical(&mut self) -> Result<Lexical, IndexError> {
        let files = self.tracked.iter().map(|tracked| {
            if let Some(edited) = &tracked.edited {
                let terms = &edited.derived.terms;
                return Some(FileLexical {
                    n_chunks: terms.n_chunks(),
                    lengths: summed(terms),
                    terms: Some(Arc::clone(terms)),
                });
            }
            let saved = tracked.saved.as_ref()?;
            Some(FileLexical {
                terms: saved.terms.clone(),
                n_chunks: saved.facts.chunks.len() as u32,
                lengths: saved.lengths,
            })
        });
        let files = files.collect();
        Ok(Lexical::new(self.store.base()?, files))
    }

    fn n_pending_chunks(&self) -> usize {
        let saved =
            self.dirty.iter().filter_map(|file| self.tracked[file.0 as usize].saved.as_ref());
        saved.map(|saved| saved.facts.chunks.len()).sum()
    }

    fn saved_files(&self) -> BTreeMap<String, ManifestFile> {
        let files = self.vfs.paths().zip(&self.tracked).enumerate();
        files
            .filter_map(|(index, (path, tracked))| {
                let saved = tracked.saved.as_ref()?;
                Some((path.to_owned(), ManifestFile { id: FileId(index as u32), hash: saved.hash }))
            })
            .collect()
    }
}

fn batch_len(jobs: &[Job]) -> usize {
    let mut n_bytes = 0;
    let fits = jobs.iter().take(BATCH_FILES).take_while(|job| {
        let fits = n_bytes < BATCH_BYTES;
        n_bytes += job.text.len();
        fits
    });
    fits.count().max(1)
}

fn summed(terms: &FileTerms) -> Lengths {
    let mut sum = Lengths::default();
    for lengths in terms.lengths() {
        for (sum, length) in sum.iter_mut().zip(lengths) {
            *sum = sum.saturating_add(*length);
        }
    }
    sum
}

/// Names the content that a tantivy commit holds: another set of files has another mark.
fn lexical_mark(files: &BTreeMap<String, ManifestFile>) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&INDEX_FORMAT.to_le_bytes());
    hasher.update(&EXTRACTOR_VERSION.to_le_bytes());
    for (path, file) in files {
        hasher.update(&file.id.0.to_le_bytes());
        hasher.update(&file.hash.0);
        hasher.update(path.as_bytes());
        hasher.update(&[0]);
    }
    hasher.finalize().to_hex().to_string()
}

fn lexical_error(dir: &std::path::Path, error: tantivy::TantivyError) -> IndexError {
    if store::is_locked(&error) {
        IndexError::Locked { dir: dir.to_owned() }
    } else {
        IndexError::Lexical(error)
    }
}

#[cfg(test)]
mod tests;
