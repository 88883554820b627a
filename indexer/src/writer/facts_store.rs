//! Where derived facts are kept between runs: by content, shared by everything on the machine.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::ContentHash;

/// What one stored value is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FactsKind {
    /// `FileFacts` of a file with this content, parsed as this language.
    Facts(crate::Language),
    /// Quantized vectors of its chunks, made by this model.
    Vectors(crate::Language, String),
    /// The quantized vector of one chunk's text, made by this model.
    ChunkVector(String),
}

/// Key of a stored value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FactsKey {
    pub content: ContentHash,
    /// [`EXTRACTOR_VERSION`](crate::facts::EXTRACTOR_VERSION) at writing.
    pub version: u32,
    pub kind: FactsKind,
}

impl FactsKey {
    /// The key as one value, for stores with a single key column.
    #[must_use]
    pub fn digest(&self) -> ContentHash {
        let (kind, language, model) = match &self.kind {
            FactsKind::Facts(language) => (0u8, language.name(), ""),
            FactsKind::Vectors(language, model) => (1, language.name(), model.as_str()),
            FactsKind::ChunkVector(model) => (2, "", model.as_str()),
        };
        let mut bytes = Vec::with_capacity(64 + model.len());
        bytes.extend_from_slice(&self.content.0);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.push(kind);
        bytes.extend_from_slice(language.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(model.as_bytes());
        ContentHash::of(&bytes)
    }
}

/// A content-addressed store. A value that is lost or damaged is derived anew, so `put` may fail
/// silently; `get` must return exactly what was put, or nothing.
pub trait FactsStore: Send + Sync {
    fn get(&self, key: &FactsKey) -> Option<Vec<u8>>;

    /// Many at once, in order of `keys`; override where one round trip is cheaper.
    fn get_many(&self, keys: &[FactsKey]) -> Vec<Option<Vec<u8>>> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    fn put(&self, batch: Vec<(FactsKey, Vec<u8>)>);

    /// Removes these, so that their bytes can be read nowhere.
    fn forget(&self, keys: &[FactsKey]);
}

/// Forgets with the process.
#[derive(Debug, Default)]
pub struct MemoryFacts(Mutex<HashMap<FactsKey, Vec<u8>>>);

impl MemoryFacts {
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FactsStore for MemoryFacts {
    fn get(&self, key: &FactsKey) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn put(&self, batch: Vec<(FactsKey, Vec<u8>)>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(batch);
    }

    fn forget(&self, keys: &[FactsKey]) {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.iter().for_each(|key| drop(stored.remove(key)));
    }
}

/// Keeps nothing: every open derives everything anew.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFacts;

impl FactsStore for NoFacts {
    fn get(&self, _: &FactsKey) -> Option<Vec<u8>> {
        None
    }

    fn put(&self, _: Vec<(FactsKey, Vec<u8>)>) {}

    fn forget(&self, _: &[FactsKey]) {}
}
