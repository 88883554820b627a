//! The symbol graph: resolves a reference to its definition, lists references, walks neighbors.
//!
//! Resolution is lazy: the graph keeps every file's facts plus name tables, and an occurrence is
//! resolved when somebody asks. Nothing derived from two files is stored, so an edit replaces one
//! file's facts and every later answer is the same as from a graph built from scratch; results are
//! memoized within one snapshot only.
//!
//! [`rust`] and [`python`] own their language's rules; other languages get `name-only` edges.

mod dead;
mod names;
mod path;
pub mod python;
mod queries;
pub(crate) mod resolver;
pub mod rust;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod walk;

pub use dead::Dead;
pub use path::Step;
pub use store::Graph;

use serde::{Deserialize, Serialize};

use crate::{FileId, SymbolId, facts::Role, text::ByteRange};

/// How sure an edge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// Only the names agree.
    NameOnly,
    /// Follows from types or conventions that could be overridden at run time.
    Inferred,
    /// Follows from the language's scoping and import rules.
    Exact,
}

/// A place in a file's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FilePosition {
    pub file: FileId,
    pub offset: u32,
}

/// A range in a file's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileRange {
    pub file: FileId,
    pub range: ByteRange,
}

/// One definition a reference may mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub symbol: SymbolId,
    pub certainty: Certainty,
}

/// What a reference means. Several candidates are an ambiguity, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// The occurrence at the asked position.
    pub at: Option<FileRange>,
    pub candidates: Vec<Candidate>,
    /// The name is bound outside the project (standard library, dependency): dotted or `::` path.
    pub external: Option<String>,
}

/// An occurrence that may mean a symbol, before it is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mention {
    pub file: FileId,
    /// Index into the file's occurrences.
    pub occurrence: u32,
}

/// One occurrence of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    pub at: FileRange,
    pub role: Role,
    pub certainty: Certainty,
    /// The symbol the occurrence lies in.
    pub enclosing: Option<SymbolId>,
}

/// A member of a type, or a name in scope, offered at a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub name: String,
    /// The definition, when the project has it.
    pub symbol: Option<SymbolId>,
    pub certainty: Certainty,
    /// Hops outward: 0 own scope or own type, 1 enclosing scope or first base, and so on.
    pub distance: u32,
}

/// What can stand at a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// The identifier part before the cursor, to be replaced.
    pub partial: ByteRange,
    /// The receiver's type, when the cursor is behind a `.` or `::` and the type is known.
    pub receiver: Vec<Candidate>,
    /// True behind `.` or `::`: only members fit, whether or not any is known.
    pub is_member: bool,
    pub items: Vec<Offer>,
}

/// The kinds of edges between symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EdgeKind {
    References,
    Calls,
    Imports,
    Contains,
    /// Inherits a class or implements a trait.
    Implements,
    Overrides,
    TypeOf,
    /// A test and what it exercises.
    Tests,
    /// Documentation that mentions a symbol.
    Documents,
}

/// A directed edge, seen from one of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    pub kind: EdgeKind,
    pub from: SymbolId,
    pub to: SymbolId,
    pub certainty: Certainty,
    /// Where `from` mentions `to`, if at one place.
    pub at: Option<FileRange>,
}

/// A type's or a method's relatives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hierarchy {
    /// Bases, traits, overridden definitions; nearest first.
    pub supers: Vec<Candidate>,
    /// Subclasses, implementors, overriding definitions.
    pub subs: Vec<Candidate>,
}
