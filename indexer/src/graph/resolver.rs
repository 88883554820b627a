//! What a language adds to the graph, and the fallback for languages that add nothing.

use super::{Candidate, Graph, Offer, Offers, Resolution, names, python, rust};
use crate::{FileId, Language, SymbolId};

/// The rules of one language. Every method answers from `graph` alone; what is worth keeping for a
/// snapshot goes into the language's `Project` (see [`Graph::rust_project`] and its siblings).
pub(crate) trait Resolver {
    /// What the `occurrence`-th occurrence of `file` means. `None` leaves it to name matching; a
    /// [`Resolution`] without candidates says that nothing in the project is meant.
    fn resolve(&self, graph: &Graph, file: FileId, occurrence: usize) -> Option<Resolution>;

    /// What can stand at `offset` of `text`, the buffer as it is now: it may be broken and differ
    /// from the indexed text of `file`.
    fn offers(&self, graph: &Graph, file: FileId, offset: u32, text: &str) -> Offers;

    /// What `file` imports and defines at top level, by the name it has there.
    fn in_scope(&self, graph: &Graph, file: FileId) -> Vec<(String, Candidate)>;

    /// Type of a field or variable, result type of a function.
    fn type_of(&self, graph: &Graph, symbol: SymbolId) -> Vec<Candidate>;

    /// Members of a class, struct, enum, trait or module; inherited ones have a larger distance.
    fn members(&self, graph: &Graph, symbol: SymbolId) -> Vec<Offer>;

    /// Direct bases of a type, traits it implements, or definitions a method overrides.
    fn supers(&self, graph: &Graph, symbol: SymbolId) -> Vec<Candidate>;
}

/// The rules for `language`.
pub(crate) fn of(language: Language) -> &'static dyn Resolver {
    match language {
        Language::Rust => &rust::Rust,
        Language::Python => &python::Python,
        _ => &names::ByName,
    }
}
