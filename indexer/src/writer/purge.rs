//! Takes what is left of removed files out of every store.
//!
//! A removed file is out of all answers at once, but its words stay in the segment that held it until
//! that is merged, and its facts in the store that clones and branches share. For a file that was
//! excluded, or deleted, that is not enough: its bytes must go.

use rustc_hash::FxHashSet;

use super::{IndexError, IndexWriter, derive};
use crate::{ContentHash, vector};

/// A saved text that is no longer indexed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Trace {
    pub path: String,
    pub hash: ContentHash,
}

impl IndexWriter {
    /// What was removed since the last purge.
    #[must_use]
    pub fn traces(&self) -> &[Trace] {
        &self.traces
    }

    /// Saved texts that were replaced by others since the last call: their facts are kept.
    pub fn take_replaced(&mut self) -> Vec<Trace> {
        std::mem::take(&mut self.replaced)
    }

    /// Removed by an earlier writer that ended before it could purge.
    pub fn add_traces(&mut self, traces: Vec<Trace>) {
        self.traces.extend(traces);
    }

    /// Commits, rewrites every segment that holds words of removed or replaced texts, and forgets the
    /// facts of removed ones, unless a file with the same content is indexed.
    ///
    /// # Errors
    /// As [`IndexWriter::commit`]; the traces are kept for the next try.
    pub fn purge(&mut self) -> Result<(), IndexError> {
        if self.traces.is_empty() {
            return Ok(());
        }
        self.commit()?;
        self.store.purge()?;
        self.republish_lexical()?;
        self.store.collect()?;
        let saved = self.tracked.iter().filter_map(|tracked| tracked.saved.as_ref());
        let live: FxHashSet<ContentHash> = saved.map(|saved| saved.hash).collect();
        let model = self.embedder.model_id();
        let gone = self.traces.iter().filter(|trace| !live.contains(&trace.hash));
        let upgrade = self.snapshot.data().upgrade.as_ref();
        let keys: Vec<_> = gone
            .flat_map(|Trace { path, hash }| {
                let language = derive::language(path);
                let stronger = upgrade.map(|u| vector::keys_of(language, *hash, u, &*self.facts));
                let mut keys = stronger.unwrap_or_default();
                keys.extend([
                    derive::facts_key(path, *hash),
                    derive::vectors_key(path, *hash, model),
                ]);
                keys
            })
            .collect();
        self.facts.forget(&keys);
        self.traces.clear();
        Ok(())
    }
}
