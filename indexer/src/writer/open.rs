//! Opening an index: what the manifest vouches for is loaded, what is missing or damaged is derived
//! again from the files.

use std::{fs, path::Path, sync::Arc};

use rayon::prelude::*;
use rustc_hash::FxHashSet;

use super::{
    FactsStore, IndexError, IndexWriter, Manifest, ManifestFile, Saved, Storage, Tracked, derive,
    derive::ChunkVectors, lexical_error, lexical_mark, summed,
};
use crate::{
    ChunkId, ContentHash, FileId, Snapshot,
    bm25::{FileTerms, Lexical, store::Store},
    facts::FileFacts,
    graph::Graph,
    snapshot::SnapshotData,
    vector::{SharedEmbedder, VectorIndex},
    vfs::{TextSource, Vfs},
};

/// How an open went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Files taken over from the last commit.
    pub n_files: usize,
    /// Of these, files that had to be parsed again because the store had lost their facts.
    pub n_parsed: usize,
    /// Files of the manifest whose text changed or is gone; the walk brings them back.
    pub n_dropped: usize,
    /// Why the lexical index was built again, if it was.
    pub rebuilt: Option<String>,
}

pub(super) fn open(
    storage: Storage,
    facts: Arc<dyn FactsStore>,
    source: Arc<dyn TextSource>,
    embedder: SharedEmbedder,
) -> Result<IndexWriter, IndexError> {
    let (dir, store, manifest, mut opened) = match storage {
        Storage::Memory => (None, Store::in_memory()?, Manifest::default(), Opened::default()),
        Storage::Directory(dir) => {
            let (store, manifest, opened) = open_directory(&dir)?;
            (Some(dir), store, manifest, opened)
        }
        Storage::Copy(dir) => {
            let (store, manifest, opened) = copy_directory(&dir)?;
            (None, store, manifest, opened)
        }
    };
    let mut vfs = Vfs::default();
    let loaded = load(&manifest, &*facts, &*source, &embedder);
    restore_ids(&mut vfs, &manifest);
    let mut tracked = Vec::new();
    tracked.resize_with(vfs.len(), Tracked::default);
    let mut new = Vec::new();
    let mut vectors = Vec::new();
    for (path, file, loaded) in loaded {
        let Some(loaded) = loaded else {
            opened.n_dropped += 1;
            continue;
        };
        opened.n_files += 1;
        opened.n_parsed += usize::from(loaded.was_parsed);
        new.extend(loaded.new);
        let ids = (0..).map(|index| ChunkId { file: file.id, index });
        vectors.extend(ids.zip(loaded.vectors));
        debug_assert_eq!(vfs.path(file.id), path);
        tracked[file.id.0 as usize].saved = Some(Saved {
            hash: file.hash,
            facts: loaded.facts,
            lengths: Default::default(),
            terms: None,
        });
    }
    if !new.is_empty() {
        facts.put(new);
    }
    let empty = SnapshotData {
        generation: manifest.generation,
        vfs: vfs.clone(),
        files: Arc::from([]),
        graph: Arc::new(Graph::empty()),
        lexical: Lexical::new(crate::bm25::store::Base::empty(), Vec::new()),
        vectors: VectorIndex::new(embedder.dim()),
        embedder: Arc::clone(&embedder),
        upgrade: None,
        trigrams: Arc::default(),
        source: Arc::clone(&source),
    };
    let mut writer = IndexWriter {
        dir,
        store,
        facts,
        source,
        embedder,
        vfs,
        tracked,
        dirty: FxHashSet::default(),
        uncommitted: false,
        manifest,
        opened,
        snapshot: Snapshot::new(empty),
        traces: Vec::new(),
        replaced: Vec::new(),
    };
    writer.restore_lexical()?;
    writer.restore_snapshot(&vectors)?;
    Ok(writer)
}

/// The store and the manifest of `dir`; a damaged one is replaced by an empty one.
fn open_directory(dir: &Path) -> Result<(Store, Manifest, Opened), IndexError> {
    let lexical = dir.join("lexical");
    let create = |path: &Path| {
        fs::create_dir_all(path).map_err(|source| IndexError::Io { path: path.to_owned(), source })
    };
    create(&lexical)?;
    let mut opened = Opened::default();
    let store = match Store::in_directory(&lexical) {
        Ok(store) => store,
        Err(error) => {
            let error = lexical_error(dir, error);
            if matches!(error, IndexError::Locked { .. }) {
                return Err(error);
            }
            tracing::warn!(%error, dir = %lexical.display(), "lexical index is replaced");
            opened.rebuilt = Some(error.to_string());
            fs::remove_dir_all(&lexical)
                .map_err(|source| IndexError::Io { path: lexical.clone(), source })?;
            create(&lexical)?;
            Store::in_directory(&lexical).map_err(|error| lexical_error(dir, error))?
        }
    };
    let manifest = match Manifest::read(dir) {
        Ok(manifest) => manifest.unwrap_or_default(),
        Err(reason) => {
            tracing::warn!(reason, dir = %dir.display(), "index is built again");
            opened.rebuilt = Some(reason);
            Manifest::default()
        }
    };
    Ok((store, manifest, opened))
}

/// What `dir` holds, without writing there. What cannot be read is built again in memory.
fn copy_directory(dir: &Path) -> Result<(Store, Manifest, Opened), IndexError> {
    let mut opened = Opened::default();
    let manifest = match Manifest::read(dir) {
        Ok(manifest) => manifest.unwrap_or_default(),
        Err(reason) => {
            opened.rebuilt = Some(reason);
            Manifest::default()
        }
    };
    if manifest.files.is_empty() {
        return Ok((Store::in_memory()?, manifest, opened));
    }
    let store = match Store::copy_of(&dir.join("lexical")) {
        Ok(store) => store,
        Err(error) => {
            opened.rebuilt.get_or_insert_with(|| lexical_error(dir, error).to_string());
            Store::in_memory()?
        }
    };
    Ok((store, manifest, opened))
}

/// Gives every path of the manifest its id again. Ids in between belonged to files that are gone;
/// they get names that no path can have.
fn restore_ids(vfs: &mut Vfs, manifest: &Manifest) {
    let mut by_id: Vec<Option<&str>> = vec![None; manifest.next_file as usize];
    for (path, file) in &manifest.files {
        by_id[file.id.0 as usize] = Some(path);
    }
    for (id, path) in by_id.into_iter().enumerate() {
        match path {
            Some(path) => vfs.intern(path),
            None => vfs.intern(&format!("\0{id}")),
        };
    }
}

struct Loaded {
    facts: Arc<FileFacts>,
    vectors: ChunkVectors,
    was_parsed: bool,
    new: Vec<(super::FactsKey, Vec<u8>)>,
}

type LoadedFile<'a> = (&'a str, ManifestFile, Option<Loaded>);

/// Facts and vectors of all files of the manifest. A file whose facts are lost is derived from its
/// text, if the text still is what was indexed.
fn load<'a>(
    manifest: &'a Manifest,
    store: &dyn FactsStore,
    source: &dyn TextSource,
    embedder: &SharedEmbedder,
) -> Vec<LoadedFile<'a>> {
    let files: Vec<(&str, ManifestFile)> =
        manifest.files.iter().map(|(path, file)| (path.as_str(), *file)).collect();
    let keys = |key: &dyn Fn(&str, ContentHash) -> super::FactsKey| -> Vec<_> {
        files.iter().map(|(path, file)| key(path, file.hash)).collect()
    };
    let facts = store.get_many(&keys(&derive::facts_key));
    let model = embedder.model_id();
    let vectors = store.get_many(&keys(&|path, hash| derive::vectors_key(path, hash, model)));
    files
        .into_par_iter()
        .zip(facts)
        .zip(vectors)
        .map(|(((path, file), facts), vectors)| {
            let stored = facts
                .and_then(|bytes| postcard::from_bytes::<FileFacts>(&bytes).ok())
                .filter(derive::is_consistent)
                .and_then(|facts| {
                    let bytes = vectors?;
                    let n_chunks = facts.chunks.len();
                    let vectors = derive::decode_vectors(&bytes, n_chunks, embedder.dim())?;
                    Some((facts, vectors))
                });
            if let Some((facts, vectors)) = stored {
                let facts = Arc::new(facts);
                return (
                    path,
                    file,
                    Some(Loaded { facts, vectors, was_parsed: false, new: Vec::new() }),
                );
            }
            let loaded = read_unchanged(source, path, file.hash).map(|text| {
                let derived = derive::derive(path, &text, Some(store), embedder);
                let was_parsed = derived
                    .new
                    .iter()
                    .any(|(key, _)| matches!(key.kind, super::FactsKind::Facts(_)));
                let derive::Derived { facts, vectors, new, .. } = derived;
                Loaded { facts, vectors, was_parsed, new }
            });
            (path, file, loaded)
        })
        .collect()
}

/// The text of `path` if it still is the one with `hash`.
pub(super) fn read_unchanged(
    source: &dyn TextSource,
    path: &str,
    hash: ContentHash,
) -> Option<Arc<str>> {
    source.read(path).filter(|text| ContentHash::of(text.as_bytes()) == hash)
}

impl IndexWriter {
    /// Takes over the committed terms if they are those of the manifest, else builds them again.
    fn restore_lexical(&mut self) -> Result<(), IndexError> {
        let files = self.saved_files();
        let totals = self.store.base()?.totals();
        let mark = self.store.payload().unwrap_or_default();
        let is_current = mark == self.manifest.lexical_mark
            && mark == lexical_mark(&self.manifest.files)
            && totals.keys().all(|file| (file.0 as usize) < self.tracked.len())
            && files.values().all(|file| {
                let facts =
                    self.tracked[file.id.0 as usize].saved.as_ref().map(|saved| &saved.facts);
                let n_chunks = facts.map_or(0, |facts| facts.chunks.len());
                totals.get(&file.id).map_or(0, |total| total.0 as usize) == n_chunks
            });
        if is_current {
            for file in files.values() {
                let saved = self.tracked[file.id.0 as usize].saved.as_mut();
                let saved = saved.expect("listed by saved_files");
                saved.lengths = totals.get(&file.id).map(|total| total.1).unwrap_or_default();
            }
            let is_gone = |file: &&FileId| self.tracked[file.0 as usize].saved.is_none();
            self.dirty.extend(totals.keys().filter(is_gone));
            return Ok(());
        }
        if totals.is_empty() && files.is_empty() {
            return Ok(());
        }
        self.opened.rebuilt.get_or_insert_with(|| {
            "the lexical index belongs to another generation than the manifest".to_owned()
        });
        self.rebuild_lexical(&files)
    }

    fn rebuild_lexical(
        &mut self,
        files: &std::collections::BTreeMap<String, ManifestFile>,
    ) -> Result<(), IndexError> {
        self.store.clear()?;
        let files: Vec<(&String, &ManifestFile)> = files.iter().collect();
        for batch in files.chunks(super::BATCH_FILES) {
            let terms: Vec<Option<FileTerms>> = batch
                .par_iter()
                .map(|(path, file)| {
                    let saved = self.tracked[file.id.0 as usize].saved.as_ref()?;
                    let text = read_unchanged(&*self.source, path, file.hash)?;
                    Some(FileTerms::new(path, &text, &saved.facts))
                })
                .collect();
            for ((_, file), terms) in batch.iter().zip(terms) {
                let tracked = &mut self.tracked[file.id.0 as usize];
                let Some(terms) = terms else {
                    tracked.saved = None;
                    self.opened.n_files -= 1;
                    self.opened.n_dropped += 1;
                    continue;
                };
                self.store.add(file.id, &terms)?;
                if let Some(saved) = &mut tracked.saved {
                    saved.lengths = summed(&terms);
                }
            }
        }
        self.uncommitted = true;
        self.store.commit(super::OPEN_MARK)?;
        self.commit()
    }

    fn restore_snapshot(&mut self, vectors: &[(ChunkId, Vec<i8>)]) -> Result<(), IndexError> {
        let mut changes = super::Changes::default();
        for (index, tracked) in self.tracked.iter().enumerate() {
            if tracked.saved.is_some() {
                changes.files.insert(FileId(index as u32));
            }
        }
        changes.added_vectors = vectors
            .iter()
            .filter(|(chunk, _)| changes.files.contains(&chunk.file))
            .cloned()
            .collect();
        let generation = self.snapshot.generation();
        self.publish(changes)?;
        if self.manifest.files.is_empty() {
            // An empty index has published nothing yet.
            let data = self.snapshot.data().clone();
            self.snapshot = Snapshot::new(SnapshotData { generation, ..data });
        }
        Ok(())
    }
}
