//! One ranked list out of lexical, vector, symbol and graph hits.
//!
//! [`query`] reads the request, [`fuse`] collects candidates and scores them by the one table of
//! [`Weights`], [`present`] turns chunks into whole functions and spreads them over files, [`fuzzy`]
//! finds symbols by approximate names.

pub(crate) mod fuse;
pub(crate) mod fuzzy;
mod path;
mod present;
mod query;

use serde::{Deserialize, Serialize};

pub use self::fuse::Weights;
pub(crate) use self::{fuse::search, query::PathFilter};
use crate::{ChunkId, SymbolId, graph::FilePosition, text::ByteRange};

/// What the user is looking for, guessed from the query's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueryKind {
    Symbol,
    Path,
    Prose,
    ErrorMessage,
    Code,
}

/// A search request.
#[derive(Clone, Debug, Default)]
pub struct SearchQuery {
    /// Free text, with `lang:`, `path:`, `kind:`, `test:` filters inline.
    pub text: String,
    /// Hits to return, at most; clamped to [`MAX_HITS`].
    pub limit: usize,
    /// Prefer what is near this place in the graph.
    pub near: Option<FilePosition>,
    /// Leave out everything of these paths (the open file, when context is built).
    pub exclude: Vec<crate::FileId>,
}

/// A request for more hits is answered with this many.
pub const MAX_HITS: usize = 1_000;

/// Every part of a hit's score, in the order `--explain` shows it. They sum to the score.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoreParts {
    pub lexical: f32,
    pub vector: f32,
    pub symbol: f32,
    pub path: f32,
    pub graph: f32,
    pub structure: f32,
}

/// One answer to a search.
#[derive(Clone, Debug)]
pub struct Hit {
    pub chunk: ChunkId,
    /// What to show: the whole enclosing function or class where it is short, else the chunk.
    pub range: ByteRange,
    /// Zero-based first line, and the line behind the last.
    pub lines: (u32, u32),
    pub symbol: Option<SymbolId>,
    pub score: f32,
    pub parts: ScoreParts,
    /// Query terms found, as typed.
    pub matched: Vec<String>,
}

/// A filter could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum QueryError {
    #[error("query is empty; type words, a symbol name or a path")]
    Empty,
    #[error(
        "query has {n_bytes} bytes, the limit is {limit}; search for the most telling line of it"
    )]
    TooLong { n_bytes: usize, limit: usize },
    #[error("unknown filter `{filter}:`; known are lang:, path:, kind:, test:")]
    UnknownFilter { filter: String },
    #[error("`{value}` is not a value of `{filter}:`; use one of {known}")]
    UnknownValue { filter: String, value: String, known: String },
    #[error("regex `{pattern}` is not valid: {reason}")]
    Regex { pattern: String, reason: String },
    #[error("path pattern `{pattern}` is not valid: {reason}")]
    Path { pattern: String, reason: String },
}

/// Ranked answers, and what the query was taken for.
#[derive(Clone, Debug)]
pub struct SearchResults {
    pub kind: QueryKind,
    pub hits: Vec<Hit>,
}

#[cfg(test)]
mod tests;
