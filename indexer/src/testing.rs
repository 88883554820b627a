//! Deterministic stand-ins for what comes in from outside, and an index of a text fixture.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    Cancel, ContentHash, FileChange, IndexWriter, Snapshot, Storage, vector::Embedder,
    vfs::TextSource, writer::NoFacts,
};

/// Files as a map.
#[derive(Debug, Default)]
pub struct MapSource(Mutex<BTreeMap<String, Arc<str>>>);

impl MapSource {
    /// Sets the text of `path`; `None` removes it.
    pub fn set(&self, path: &str, text: Option<&str>) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match text {
            Some(text) => files.insert(path.to_owned(), text.into()),
            None => files.remove(path),
        };
    }

    /// Every file as a change.
    #[must_use]
    pub fn saved(&self) -> Vec<FileChange> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = |(path, text): (&String, &Arc<str>)| FileChange::Saved {
            path: path.clone(),
            text: Arc::clone(text),
        };
        files.iter().map(saved).collect()
    }
}

impl TextSource for MapSource {
    fn read(&self, path: &str) -> Option<Arc<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }
}

/// Each word votes for one of 16 dimensions.
#[derive(Clone, Copy, Debug, Default)]
pub struct WordVotes;

impl Embedder for WordVotes {
    fn model_id(&self) -> &str {
        "word-votes-16"
    }

    fn dim(&self) -> usize {
        16
    }

    fn fusion_weight(&self) -> f32 {
        0.5
    }

    fn embed(&self, texts: &[&str]) -> Vec<f32> {
        let mut out = Vec::with_capacity(texts.len() * 16);
        for text in texts {
            let mut row = [0.0f32; 16];
            for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
                row[usize::from(ContentHash::of(word.as_bytes()).0[0]) % 16] += 1.0;
            }
            let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-9);
            out.extend(row.map(|value| value / norm));
        }
        out
    }
}

/// An index in memory of `(path, text)` files.
///
/// # Panics
/// If the index cannot be built.
#[must_use]
pub fn snapshot<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Snapshot {
    let source = Arc::new(MapSource::default());
    for (path, text) in files {
        source.set(path, Some(text));
    }
    let changes = source.saved();
    let mut writer =
        IndexWriter::open(Storage::Memory, Arc::new(NoFacts), source, Arc::new(WordVotes))
            .expect("an index in memory opens");
    writer.apply(changes, &mut |_| {}, &Cancel::never()).expect("an index in memory applies")
}
