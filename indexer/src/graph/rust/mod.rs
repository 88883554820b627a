//! Rust: crates, modules, `use` trees, paths, traits and receiver types.

pub mod facts;
pub mod manifest;

pub use facts::RustFacts;

use super::{Candidate, Graph, Offer, Offers, Resolution, resolver::Resolver};
use crate::{FileId, SymbolId};

/// What is derived from the whole snapshot: built on first use, dropped with the snapshot.
#[derive(Debug, Default)]
pub(crate) struct Project {}

impl Project {
    pub(crate) fn build(_graph: &Graph) -> Self {
        Self {}
    }
}

/// The Rust resolver.
pub(crate) struct Rust;

impl Resolver for Rust {
    fn resolve(&self, _graph: &Graph, _file: FileId, _occurrence: usize) -> Option<Resolution> {
        None
    }
    fn offers(&self, _graph: &Graph, _file: FileId, _offset: u32, _text: &str) -> Offers {
        Offers::default()
    }
    fn in_scope(&self, _graph: &Graph, _file: FileId) -> Vec<(String, Candidate)> {
        Vec::new()
    }
    fn type_of(&self, _graph: &Graph, _symbol: SymbolId) -> Vec<Candidate> {
        Vec::new()
    }
    fn members(&self, _graph: &Graph, _symbol: SymbolId) -> Vec<Offer> {
        Vec::new()
    }
    fn supers(&self, _graph: &Graph, _symbol: SymbolId) -> Vec<Candidate> {
        Vec::new()
    }
}
