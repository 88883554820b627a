//! Name matching: the rules of languages without a resolver, and the last resort of those with one.

use super::{Candidate, Certainty, Graph, Offer, Offers, Resolution, resolver::Resolver};
use crate::{
    FileId, SymbolId,
    facts::{Role, SymbolFacts, SymbolKind},
    text::ByteRange,
};

/// No ambiguity lists more.
const MAX_CANDIDATES: usize = 20;

/// The rules of languages that are data only.
pub(crate) struct ByName;

impl Resolver for ByName {
    fn resolve(&self, _graph: &Graph, _file: FileId, _occurrence: usize) -> Option<Resolution> {
        None
    }

    fn offers(&self, graph: &Graph, file: FileId, offset: u32, text: &str) -> Offers {
        let partial = partial_identifier(text, offset);
        let is_member = text[..partial.start as usize].ends_with(['.', ':'])
            || text[..partial.start as usize].ends_with("->");
        let items = self
            .in_scope(graph, file)
            .into_iter()
            .map(|(name, candidate)| Offer {
                name,
                symbol: Some(candidate.symbol),
                certainty: candidate.certainty,
                distance: 0,
            })
            .filter(|_| !is_member)
            .collect();
        Offers { partial, receiver: Vec::new(), is_member, items }
    }

    fn in_scope(&self, graph: &Graph, file: FileId) -> Vec<(String, Candidate)> {
        let symbols = graph.facts(file).map(|facts| facts.symbols.as_slice()).unwrap_or_default();
        symbols
            .iter()
            .enumerate()
            .filter(|(_, symbol)| symbol.parent.is_none() && symbol.kind != SymbolKind::Heading)
            .map(|(index, symbol)| {
                let id = SymbolId { file, index: index as u32 };
                (symbol.name.clone(), Candidate { symbol: id, certainty: Certainty::NameOnly })
            })
            .collect()
    }

    fn type_of(&self, _graph: &Graph, _symbol: SymbolId) -> Vec<Candidate> {
        Vec::new()
    }

    fn members(&self, graph: &Graph, symbol: SymbolId) -> Vec<Offer> {
        children(graph, symbol)
            .map(|(id, facts)| Offer {
                name: facts.name.clone(),
                symbol: Some(id),
                certainty: Certainty::Exact,
                distance: 0,
            })
            .collect()
    }

    fn supers(&self, _graph: &Graph, _symbol: SymbolId) -> Vec<Candidate> {
        Vec::new()
    }
}

/// The symbols directly inside `symbol`.
pub(crate) fn children(
    graph: &Graph,
    symbol: SymbolId,
) -> impl Iterator<Item = (SymbolId, &SymbolFacts)> {
    let symbols =
        graph.facts(symbol.file).map(|facts| facts.symbols.as_slice()).unwrap_or_default();
    // Symbols are in document order, so what lies inside follows.
    let end = symbols.get(symbol.index as usize).map_or(0, |facts| facts.enclosing_range.end);
    symbols
        .iter()
        .enumerate()
        .skip(symbol.index as usize + 1)
        .take_while(move |(_, facts)| facts.name_range.start < end)
        .filter(move |(_, facts)| facts.parent == Some(symbol.index))
        .map(move |(index, facts)| (SymbolId { file: symbol.file, index: index as u32 }, facts))
}

/// The identifier characters before `offset`; `offset` is moved back to a character boundary.
pub(crate) fn partial_identifier(text: &str, offset: u32) -> ByteRange {
    let mut end = (offset as usize).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let start = text[..end].trim_end_matches(is_word).len();
    ByteRange::new(start as u32, end as u32)
}

/// Definitions that share the occurrence's name, most likely first.
pub(crate) fn candidates(graph: &Graph, file: FileId, occurrence: usize) -> Vec<Candidate> {
    let Some(facts) = graph.facts(file) else { return Vec::new() };
    let occurrence = &facts.occurrences[occurrence];
    let from = graph.path(file).unwrap_or_default();
    let mut scored: Vec<(i32, SymbolId)> = graph
        .symbols_named(facts.name_of(occurrence))
        .into_iter()
        .filter_map(|id| {
            let symbol = graph.symbol(id)?;
            let other = graph.facts(id.file)?;
            let is_local = matches!(symbol.kind, SymbolKind::Parameter | SymbolKind::TypeParameter)
                || symbol.kind == SymbolKind::Variable && symbol.parent.is_some();
            if is_local || symbol.kind == SymbolKind::Impl {
                return None;
            }
            let mut score = kind_fit(occurrence.role, symbol.kind);
            if id.file == file {
                score += 40;
            } else {
                score += 3 * shared_folders(from, graph.path(id.file).unwrap_or_default());
            }
            if other.language != facts.language {
                // Markdown may name anything; code of one language rarely means another's.
                score -= if facts.language == crate::Language::Markdown { 0 } else { 60 };
            }
            score -= if symbol.is_test { 10 } else { 0 };
            score += if symbol.is_public || id.file == file { 5 } else { 0 };
            Some((score, id))
        })
        .collect();
    scored.sort_by_key(|&(score, id)| (-score, id));
    scored.truncate(MAX_CANDIDATES);
    scored
        .into_iter()
        .map(|(_, symbol)| Candidate { symbol, certainty: Certainty::NameOnly })
        .collect()
}

/// How well a kind fits a role.
fn kind_fit(role: Role, kind: SymbolKind) -> i32 {
    use SymbolKind as K;
    let is_type = matches!(
        kind,
        K::Class | K::Struct | K::Enum | K::Union | K::Trait | K::Interface | K::TypeAlias
    );
    match role {
        Role::Call if matches!(kind, K::Function | K::Method | K::Macro) => 20,
        Role::Call if is_type || kind == K::Variant => 12,
        Role::Type if is_type => 20,
        Role::Import if matches!(kind, K::Field | K::Property | K::Heading | K::Method) => -20,
        Role::Import => 10,
        Role::Reference | Role::Write if matches!(kind, K::Field | K::Property) => 12,
        Role::Reference if kind == K::Heading => -20,
        Role::Call | Role::Type => -10,
        _ => 5,
    }
}

/// Number of leading folders two paths share.
fn shared_folders(a: &str, b: &str) -> i32 {
    let folder = |path: &str| path.rfind('/').unwrap_or(0);
    let (a, b) = (&a[..folder(a)], &b[..folder(b)]);
    a.split('/').zip(b.split('/')).take_while(|(a, b)| a == b && !a.is_empty()).count() as i32
}
