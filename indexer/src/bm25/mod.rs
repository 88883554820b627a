//! The lexical index: BM25 over the fields body, names and path of every chunk.
//!
//! [`FileTerms`] holds the terms of one file's chunks and is searchable as it is; that is the
//! overlay for unsaved text and for files not committed yet. [`store`] keeps the terms of committed
//! files in tantivy. Both are scored here by one formula over joint statistics, so a file scores
//! the same wherever its terms are. Invariant: tantivy's own scores are not used, and no text is
//! stored in it.

mod file_terms;
mod score;
pub(crate) mod store;
mod sums;
pub(crate) mod tokenize;

pub(crate) use file_terms::FileTerms;
pub(crate) use score::{FileLexical, Lexical, LexicalHit, LexicalMatches, MAX_TERMS, QueryTerm};
pub(crate) use sums::TermSums;

/// The fields of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    Body = 0,
    /// Names of the symbols defined in the chunk, and of those that enclose it.
    Names = 1,
    /// Words of the path.
    Path = 2,
}

pub(crate) const FIELDS: [Field; 3] = [Field::Body, Field::Names, Field::Path];
/// Number of terms in each field of a chunk.
pub(crate) type Lengths = [u32; FIELDS.len()];
