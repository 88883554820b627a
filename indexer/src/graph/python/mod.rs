//! Python: packages, modules, imports, scopes, classes and receiver types.
//!
//! [`facts`] is what one file's text says; [`modules`] finds the file an import means; [`eval`]
//! evaluates expressions to [`types`]; [`library`] knows a few built-in containers. On top,
//! [`resolve`] answers what an occurrence means, [`relations`] lists types, members and bases, and
//! [`offers`] what can stand at a cursor.

mod eval;
pub(crate) mod facts;
mod library;
mod modules;
mod offers;
mod relations;
mod resolve;
#[cfg(test)]
mod tests;
mod types;

pub use facts::PythonFacts;

use super::{Candidate, Graph, Offer, Offers, Resolution, resolver::Resolver};
use crate::{FileId, SymbolId};

/// What is derived from the whole snapshot: built on first use, dropped with the snapshot.
#[derive(Debug, Default)]
pub(crate) struct Project {
    modules: modules::Modules,
}

impl Project {
    pub(crate) fn build(graph: &Graph) -> Self {
        Self { modules: modules::Modules::build(graph) }
    }
}

/// The Python resolver.
pub(crate) struct Python;

impl Resolver for Python {
    fn resolve(&self, graph: &Graph, file: FileId, occurrence: usize) -> Option<Resolution> {
        resolve::resolve(graph, file, occurrence)
    }

    fn offers(&self, graph: &Graph, file: FileId, offset: u32, text: &str) -> Offers {
        offers::offers(graph, file, offset, text)
    }

    fn in_scope(&self, graph: &Graph, file: FileId) -> Vec<(String, Candidate)> {
        relations::in_scope(graph, file)
    }

    fn type_of(&self, graph: &Graph, symbol: SymbolId) -> Vec<Candidate> {
        relations::type_of(graph, symbol)
    }

    fn members(&self, graph: &Graph, symbol: SymbolId) -> Vec<Offer> {
        relations::members(graph, symbol)
    }

    fn supers(&self, graph: &Graph, symbol: SymbolId) -> Vec<Candidate> {
        relations::supers(graph, symbol)
    }
}
