//! Everything that one file's text alone gives: facts, vectors and terms; taken from the facts
//! store where the same content was seen before.

use std::sync::Arc;

use super::facts_store::{FactsKey, FactsKind, FactsStore};
use crate::{
    ContentHash, Language,
    bm25::FileTerms,
    facts::{EXTRACTOR_VERSION, FileFacts},
    parse,
    vector::{self, SharedEmbedder},
};

/// Quantized vectors of a file's chunks, in chunk order.
pub(super) type ChunkVectors = Vec<Vec<i8>>;

pub(super) struct Derived {
    pub(super) hash: ContentHash,
    pub(super) facts: Arc<FileFacts>,
    pub(super) vectors: ChunkVectors,
    pub(super) terms: Arc<FileTerms>,
    /// What the store did not have.
    pub(super) new: Vec<(FactsKey, Vec<u8>)>,
}

/// The language a path is indexed as.
pub(super) fn language(path: &str) -> Language {
    Language::of_path(path).unwrap_or(Language::Text)
}

pub(super) fn facts_key(path: &str, content: ContentHash) -> FactsKey {
    FactsKey { content, version: EXTRACTOR_VERSION, kind: FactsKind::Facts(language(path)) }
}

pub(super) fn vectors_key(path: &str, content: ContentHash, model: &str) -> FactsKey {
    let kind = FactsKind::Vectors(language(path), model.to_owned());
    FactsKey { content, version: EXTRACTOR_VERSION, kind }
}

/// Derives all of `text`. With `stored`, looks into the store first and lists what it lacks.
pub(super) fn derive(
    path: &str,
    text: &str,
    stored: Option<&dyn FactsStore>,
    embedder: &SharedEmbedder,
) -> Derived {
    let hash = ContentHash::of(text.as_bytes());
    let mut new = Vec::new();
    let key = facts_key(path, hash);
    let known = stored.and_then(|store| decode_facts(&store.get(&key)?, text.len()));
    let facts = match known {
        Some(facts) => facts,
        None => {
            let facts = parse::parse(language(path), text);
            match postcard::to_allocvec(&facts) {
                Ok(bytes) if stored.is_some() => {
                    // Lists that grew have room for as much again, and facts stay in memory: what comes
                    // back has none.
                    let exact = postcard::from_bytes(&bytes).unwrap_or(facts);
                    new.push((key, bytes));
                    exact
                }
                _ => facts,
            }
        }
    };
    let key = vectors_key(path, hash, embedder.model_id());
    let known = stored
        .and_then(|store| decode_vectors(&store.get(&key)?, facts.chunks.len(), embedder.dim()));
    let vectors = match known {
        Some(vectors) => vectors,
        None => {
            let vectors = embed(text, &facts, embedder);
            if stored.is_some() {
                new.push((key, encode_vectors(&vectors)));
            }
            vectors
        }
    };
    let terms = Arc::new(FileTerms::new(path, text, &facts));
    Derived { hash, facts: Arc::new(facts), vectors, terms, new }
}

/// Facts from the store; `None` if they are damaged or of another text. Ranges are checked here
/// once, so that nothing later has to doubt them.
pub(super) fn decode_facts(bytes: &[u8], n_bytes: usize) -> Option<FileFacts> {
    let facts: FileFacts = postcard::from_bytes(bytes).ok()?;
    (facts.n_bytes as usize == n_bytes && is_consistent(&facts)).then_some(facts)
}

pub(super) fn is_consistent(facts: &FileFacts) -> bool {
    let n_symbols = facts.symbols.len() as u32;
    let mut at = 0;
    let chunks = facts.chunks.iter().all(|chunk| {
        let fits = chunk.range.start == at
            && chunk.range.end > at
            && chunk.symbol.is_none_or(|symbol| symbol < n_symbols);
        at = chunk.range.end;
        fits
    });
    chunks
        && at == facts.n_bytes
        && facts.symbols.iter().enumerate().all(|(index, symbol)| {
            symbol.parent.is_none_or(|parent| (parent as usize) < index)
                && symbol.enclosing_range.end <= facts.n_bytes
                && symbol.enclosing_range.start <= symbol.enclosing_range.end
        })
}

pub(super) fn embed(text: &str, facts: &FileFacts, embedder: &SharedEmbedder) -> ChunkVectors {
    let texts: Vec<&str> = facts.chunks.iter().map(|chunk| chunk.range.slice(text)).collect();
    if texts.is_empty() || embedder.dim() == 0 {
        return Vec::new();
    }
    embedder.embed(&texts).chunks_exact(embedder.dim()).map(vector::quantize).collect()
}

fn encode_vectors(vectors: &ChunkVectors) -> Vec<u8> {
    vectors.iter().flatten().map(|value| value.cast_unsigned()).collect()
}

pub(super) fn decode_vectors(bytes: &[u8], n_chunks: usize, dim: usize) -> Option<ChunkVectors> {
    if bytes.len() != n_chunks * dim {
        return None;
    }
    // Without an embedder there is nothing to cut into rows.
    if dim == 0 {
        return Some(Vec::new());
    }
    let row = |row: &[u8]| row.iter().map(|byte| byte.cast_signed()).collect();
    Some(bytes.chunks_exact(dim).map(row).collect())
}
