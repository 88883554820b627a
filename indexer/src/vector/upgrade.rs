//! A second, stronger set of vectors that fills in behind the embedded one.
//!
//! Every chunk has a static vector at once. A transformer takes milliseconds a chunk, so its vectors
//! come file by file, the likeliest to be asked for first, and are kept for ever by the content of the
//! chunk: an edit embeds what it changed, another branch or clone nothing.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{SharedEmbedder, VectorIndex, quantize};
use crate::{
    ContentHash, FileId, Language, Snapshot,
    facts::{EXTRACTOR_VERSION, Role},
    rank::PathRole,
    writer::{FactsKey, FactsKind, FactsStore},
};

/// The vectors that are there so far, and the model that made them.
#[derive(Clone)]
pub(crate) struct Upgrade {
    pub(crate) embedder: SharedEmbedder,
    pub(crate) vectors: VectorIndex,
}

impl Upgrade {
    pub(crate) fn new(embedder: SharedEmbedder) -> Self {
        let vectors = VectorIndex::new(embedder.dim());
        Self { embedder, vectors }
    }
}

/// Vectors of all chunks of one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileVectors {
    pub file: FileId,
    /// The text they belong to.
    pub hash: ContentHash,
    /// Quantized, in chunk order.
    pub rows: Vec<Vec<i8>>,
}

/// How far the stronger vectors are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpgradeProgress {
    pub n_done: usize,
    /// Chunks.
    pub n_total: usize,
}

impl Snapshot {
    /// How many chunks have a vector of the stronger model; `None` without one.
    #[must_use]
    pub fn upgrade_progress(&self) -> Option<UpgradeProgress> {
        let upgrade = self.data().upgrade.as_ref()?;
        let n_total =
            self.files().filter_map(|file| self.facts(file)).map(|f| f.chunks.len()).sum();
        Some(UpgradeProgress { n_done: upgrade.vectors.len(), n_total })
    }

    /// Files without vectors of the stronger model, in the order in which they should get them: texts
    /// open in an editor, those of `first`, then code by how often its names are used, tests and
    /// everything else last.
    #[must_use]
    pub fn upgrade_order(&self, first: &[FileId]) -> Vec<FileId> {
        let Some(upgrade) = &self.data().upgrade else { return Vec::new() };
        let is_missing = |file: &FileId| {
            !upgrade.vectors.has_file(*file)
                && self.facts(*file).is_some_and(|facts| !facts.chunks.is_empty())
        };
        let mut missing: Vec<FileId> = self.files().filter(is_missing).collect();
        if missing.is_empty() {
            return missing;
        }
        let recent: FxHashMap<FileId, usize> =
            first.iter().enumerate().map(|(place, file)| (*file, place)).collect();
        let uses = self.uses();
        missing.sort_by_cached_key(|file| {
            let Some(facts) = self.facts(*file) else { return (false, usize::MAX, 9, 0, *file) };
            let role = PathRole::of(self.path(*file), facts.language);
            let is_code = facts.language != Language::Markdown && facts.language != Language::Text;
            let class = match () {
                () if !is_code || role.is_foreign => 2,
                () if role.is_test || role.is_example => 1,
                () => 0,
            };
            let defined = facts.symbols.iter().filter(|symbol| symbol.is_public);
            let defined: FxHashSet<&str> = defined.map(|symbol| symbol.name.as_str()).collect();
            let n_uses: usize = defined.iter().filter_map(|name| uses.get(name)).sum();
            let place = recent.get(file).copied().unwrap_or(usize::MAX);
            (!self.is_overlay(*file), place, class, usize::MAX - n_uses, *file)
        });
        missing
    }

    /// How often each name is referred to, over all files.
    fn uses(&self) -> FxHashMap<&str, usize> {
        let mut uses: FxHashMap<&str, usize> = FxHashMap::default();
        for facts in self.files().filter_map(|file| self.facts(file)) {
            for occurrence in &facts.occurrences {
                if occurrence.role != Role::Definition {
                    *uses.entry(facts.name_of(occurrence)).or_default() += 1;
                }
            }
        }
        uses
    }

    /// Vectors of files whose text was embedded before, without reading any text.
    #[must_use]
    pub fn upgrade_known(&self, files: &[FileId], store: &dyn FactsStore) -> Vec<FileVectors> {
        let Some(upgrade) = &self.data().upgrade else { return Vec::new() };
        let (model, dim) = (upgrade.embedder.model_id(), upgrade.embedder.dim());
        let present = |file: &FileId| Some((*file, self.hash(*file)?, self.facts(*file)?));
        let present: Vec<_> = files.iter().filter_map(present).collect();
        let keys: Vec<FactsKey> =
            present.iter().map(|(_, hash, facts)| file_key(facts.language, *hash, model)).collect();
        let stored = store.get_many(&keys);
        let decoded = present.into_iter().zip(stored).filter_map(|((file, hash, facts), bytes)| {
            let (rows, _) = decode_file(&bytes?, facts.chunks.len(), dim)?;
            Some(FileVectors { file, hash, rows })
        });
        decoded.collect()
    }

    /// Vectors of one file: chunks that were embedded before come from `store`, the others from
    /// `embed`, one at a time, so that a query never waits for more than one. `None` if the text
    /// changed meanwhile, or `embed` gave up; what it did until then is kept.
    pub fn upgrade_file(
        &self,
        file: FileId,
        store: &dyn FactsStore,
        embed: &mut dyn FnMut(&str) -> Option<Vec<f32>>,
    ) -> Option<FileVectors> {
        let upgrade = self.data().upgrade.as_ref()?;
        let (model, dim) = (upgrade.embedder.model_id(), upgrade.embedder.dim());
        let (facts, hash, text) = (self.facts(file)?, self.hash(file)?, self.text(file)?);
        let texts: Vec<&str> = facts.chunks.iter().map(|chunk| chunk.range.slice(&text)).collect();
        let keys: Vec<FactsKey> = texts.iter().map(|text| chunk_key(text, model)).collect();
        let mut rows = Vec::with_capacity(texts.len());
        let mut new = Vec::new();
        for ((text, key), stored) in texts.iter().zip(&keys).zip(store.get_many(&keys)) {
            let row = match stored.and_then(|bytes| decode(&bytes, 1, dim)?.pop()) {
                Some(row) => row,
                None => match embed(text).filter(|vector| vector.len() == dim) {
                    Some(vector) => {
                        let row = quantize(&vector);
                        new.push((key.clone(), encode(std::slice::from_ref(&row))));
                        row
                    }
                    None => break,
                },
            };
            rows.push(row);
        }
        let is_whole = rows.len() == texts.len();
        if is_whole && !self.is_overlay(file) {
            let chunks = keys.iter().flat_map(|key| key.content.0);
            let bytes = encode(&rows).into_iter().chain(chunks).collect();
            new.push((file_key(facts.language, hash, model), bytes));
        }
        if !new.is_empty() {
            store.put(new);
        }
        is_whole.then_some(FileVectors { file, hash, rows })
    }
}

/// Key of one chunk's vector. The text alone decides it: how chunks are cut does not matter.
fn chunk_key(text: &str, model: &str) -> FactsKey {
    let kind = FactsKind::ChunkVector(model.to_owned());
    FactsKey { content: ContentHash::of(text.as_bytes()), version: 0, kind }
}

fn file_key(language: Language, content: ContentHash, model: &str) -> FactsKey {
    let kind = FactsKind::Vectors(language, model.to_owned());
    FactsKey { content, version: EXTRACTOR_VERSION, kind }
}

/// Keys of everything that `store` has of a text, for the day it must be forgotten. Chunks that other
/// texts share are embedded again when they are asked for.
pub(crate) fn keys_of(
    language: Language,
    hash: ContentHash,
    upgrade: &Upgrade,
    store: &dyn FactsStore,
) -> Vec<FactsKey> {
    let (model, dim) = (upgrade.embedder.model_id(), upgrade.embedder.dim());
    let whole = file_key(language, hash, model);
    let stored = store.get(&whole);
    let n_chunks = stored.as_ref().map_or(0, |bytes| bytes.len() / (dim + HASH_BYTES));
    let chunks = stored.and_then(|bytes| decode_file(&bytes, n_chunks, dim));
    let chunk = |content| {
        let kind = FactsKind::ChunkVector(model.to_owned());
        FactsKey { content, version: 0, kind }
    };
    let chunks = chunks.map(|(_, contents)| contents).unwrap_or_default();
    chunks.into_iter().map(chunk).chain([whole]).collect()
}

const HASH_BYTES: usize = 32;

/// Rows of a file, and the hash of each chunk's text.
fn decode_file(
    bytes: &[u8],
    n_chunks: usize,
    dim: usize,
) -> Option<(Vec<Vec<i8>>, Vec<ContentHash>)> {
    let (rows, hashes) = bytes.split_at_checked(n_chunks * dim)?;
    let (hashes, rest) = hashes.as_chunks::<HASH_BYTES>();
    (hashes.len() == n_chunks && rest.is_empty()).then_some(())?;
    let hashes = hashes.iter().map(|hash| ContentHash(*hash)).collect();
    Some((decode(rows, n_chunks, dim)?, hashes))
}

fn encode(rows: &[Vec<i8>]) -> Vec<u8> {
    rows.iter().flatten().map(|value| value.cast_unsigned()).collect()
}

fn decode(bytes: &[u8], n_rows: usize, dim: usize) -> Option<Vec<Vec<i8>>> {
    (dim > 0 && bytes.len() == n_rows * dim).then(|| {
        let row = |row: &[u8]| row.iter().map(|byte| byte.cast_signed()).collect();
        bytes.chunks_exact(dim).map(row).collect()
    })
}
