//! One ranked list out of lexical, vector, symbol and graph hits.
//!
//! [`query`] reads the request, [`fuse`] collects candidates and scores them by the one table of
//! [`Weights`], [`present`] turns chunks into whole functions and spreads them over files, [`fuzzy`]
//! finds symbols by approximate names, [`like`] makes a query of a piece of code.

pub(crate) mod fuse;
pub(crate) mod fuzzy;
mod like;
mod path;
mod present;
mod query;

use std::{collections::HashSet, sync::Arc};

use serde::{Deserialize, Serialize};

pub use self::fuse::Weights;
pub use self::query::PathFilter;
pub(crate) use self::{fuse::search, path::PathRole};
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
    /// Free text, with `lang:`, `path:`, `kind:`, `test:`, `changed:` filters inline.
    pub text: String,
    /// Hits to return, at most; clamped to [`MAX_HITS`].
    pub limit: usize,
    /// Best hits to leave out: those of the pages before. At most [`MAX_HITS`] are looked at.
    pub offset: usize,
    /// Find code like that at this place; `text` may be empty or narrow by filters.
    pub like: Option<FilePosition>,
    /// Prefer what is near this place in the graph.
    pub near: Option<FilePosition>,
    /// Leave out everything of these paths (the open file, when context is built).
    pub exclude: Vec<crate::FileId>,
    /// Files that differ from the last commit, for `changed:`; `None` if that is not known.
    pub changed: Option<Arc<HashSet<crate::FileId>>>,
}

/// True if `text` has a `changed:` filter, so that [`SearchQuery::changed`] is needed.
#[must_use]
pub fn asks_for_changes(text: &str) -> bool {
    text.contains("changed:") && query::filters(text).is_ok_and(|f| f.changed.is_some())
}

/// A request for more hits is answered with this many.
pub const MAX_HITS: usize = 1_000;

/// Every part of a hit's score, in the order `--explain` shows it. They sum to the score; what each
/// one means is said at [`Weights`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoreParts {
    pub lexical: f32,
    pub vector: f32,
    pub model: f32,
    pub symbol: f32,
    pub path: f32,
    pub subject: f32,
    pub names: f32,
    pub file_names: f32,
    pub file_body: f32,
    pub file_sum: f32,
    /// Taken for the file's role: test, documentation, example, foreign, superseded, private, data.
    pub role: f32,
    /// Taken for better hits of the same file.
    pub repeat: f32,
    pub graph: f32,
}

impl ScoreParts {
    /// The parts with their names.
    #[must_use]
    pub fn named(&self) -> [(&'static str, f32); 13] {
        [
            ("lexical", self.lexical),
            ("vector", self.vector),
            ("model", self.model),
            ("symbol", self.symbol),
            ("path", self.path),
            ("subject", self.subject),
            ("names", self.names),
            ("file-names", self.file_names),
            ("file-body", self.file_body),
            ("file-sum", self.file_sum),
            ("role", self.role),
            ("repeat", self.repeat),
            ("graph", self.graph),
        ]
    }

    #[must_use]
    pub fn sum(&self) -> f32 {
        self.named().iter().map(|(_, value)| value).sum()
    }
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
    /// Cosine of the embeddings of query and chunk, the stronger model's where there is one.
    pub similarity: Option<f32>,
    /// The hit defines a name of the query.
    pub is_definition: bool,
    /// Nearness to the cursor in the symbol graph, in `0..=1`; `None` without a cursor or a way.
    pub nearness: Option<f32>,
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
    #[error("unknown filter `{filter}:`; known are lang:, path:, kind:, test:, changed:")]
    UnknownFilter { filter: String },
    #[error("`{value}` is not a value of `{filter}:`; use one of {known}")]
    UnknownValue { filter: String, value: String, known: String },
    #[error("`changed:` needs a git repository with a commit; leave it out")]
    NoChanges,
    #[error("nothing indexed is at that place; give a line of an indexed file")]
    NothingThere,
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
    /// There are further hits behind these.
    pub has_more: bool,
}

#[cfg(test)]
mod tests;
