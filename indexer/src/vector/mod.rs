//! Vectors of chunks, and the nearest ones to a query.
//!
//! [`embedded`] is the static model inside the binary: no download, tens of thousands of chunks a
//! second. A stronger model's vectors fill in beside its own ([`FileVectors`]). [`VectorIndex`] scans
//! int8 rows and switches to an HNSW graph where a scan is too slow.

mod hnsw;
mod index;
mod static_model;
mod upgrade;
mod words;

use std::sync::Arc;

pub use index::{VectorIndex, quantize};
pub use static_model::{StaticModel, StaticModelError, embedded};
pub use upgrade::{FileVectors, UpgradeProgress};
pub(crate) use upgrade::{Upgrade, keys_of};

/// Turns texts into unit vectors. The embedded default needs no download; the daemon may supply a
/// stronger one.
pub trait Embedder: Send + Sync {
    /// Hash of weights, pooling, dimension and quantization: vectors of two models never meet.
    fn model_id(&self) -> &str;
    /// Length of one vector.
    fn dim(&self) -> usize;
    /// Weight of this model's similarity beside the lexical score (z-scores), learnt on the dev set.
    fn fusion_weight(&self) -> f32;
    /// Embeds `texts`, row-major, shape `[texts.len(), dim]`, in input order, rows of unit length
    /// (or all zero for a text without a word).
    fn embed(&self, texts: &[&str]) -> Vec<f32>;
}

/// Weight of a static table's similarity beside the lexical score, learnt on the search dev set.
pub const TABLE_WEIGHT: f32 = 0.5;
/// The same of a transformer's.
pub const TRANSFORMER_WEIGHT: f32 = 1.0;

/// A shared embedder.
pub type SharedEmbedder = Arc<dyn Embedder>;

/// No vectors at all: search goes by words, names and structure.
#[must_use]
pub fn none() -> SharedEmbedder {
    Arc::new(NoVectors)
}

struct NoVectors;

impl Embedder for NoVectors {
    fn model_id(&self) -> &str {
        "none"
    }

    fn dim(&self) -> usize {
        0
    }

    fn fusion_weight(&self) -> f32 {
        0.0
    }

    fn embed(&self, _: &[&str]) -> Vec<f32> {
        Vec::new()
    }
}
