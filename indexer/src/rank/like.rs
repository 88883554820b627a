//! "Code like this": a query made of the chunk at a place.

use rustc_hash::FxHashMap;

use super::{
    QueryError, QueryKind,
    query::{self, Asks, Query},
};
use crate::{
    ChunkId, Snapshot,
    bm25::{MAX_TERMS, QueryTerm, tokenize, tokenize::TermKind},
    graph::FilePosition,
};

/// Terms that the query keeps: the most telling ones.
const N_TERMS: usize = 32;
/// Distinct terms that are looked at.
const MAX_LOOKED_AT: usize = 400;

/// The query for code like that at `at`, narrowed by the filters of `text`.
pub(super) fn query(
    snapshot: &Snapshot,
    at: FilePosition,
    text: &str,
) -> Result<Query, QueryError> {
    let filters = query::filters(text)?;
    let facts = snapshot.facts(at.file).ok_or(QueryError::NothingThere)?;
    let index = facts.chunks.partition_point(|chunk| chunk.range.end <= at.offset);
    // The end of the file belongs to its last chunk.
    let index = index.min(facts.chunks.len().saturating_sub(1));
    let chunk = facts.chunks.get(index).ok_or(QueryError::NothingThere)?;
    let file_text = snapshot.text(at.file).ok_or(QueryError::NothingThere)?;
    let code = chunk.range.slice(&file_text);
    let name = chunk.symbol.and_then(|index| facts.symbols.get(index as usize));
    let asks = Asks { tests: name.is_some_and(|symbol| symbol.is_test), ..Asks::default() };
    Ok(Query {
        kind: QueryKind::Code,
        text: code.to_owned(),
        terms: telling_terms(snapshot, code),
        names: Vec::new(),
        phrases: Vec::new(),
        filters,
        asks,
        without: Some(ChunkId { file: at.file, index: index as u32 }),
    })
}

/// The terms of `code` that are frequent in it and rare elsewhere, best first.
fn telling_terms(snapshot: &Snapshot, code: &str) -> Vec<QueryTerm> {
    let mut counts: FxHashMap<String, (f32, String, bool)> = FxHashMap::default();
    tokenize::terms(code, |term, kind, typed| {
        if counts.len() < MAX_LOOKED_AT || counts.contains_key(term) {
            let is_joined = kind == TermKind::Whole;
            let entry = counts.entry(term.to_owned()).or_insert((0.0, typed.to_owned(), is_joined));
            entry.0 += 1.0;
        }
    });
    let lexical = &snapshot.data().lexical;
    let n_chunks = lexical.n_chunks() as f32;
    let mut terms: Vec<(f32, QueryTerm)> = counts
        .into_iter()
        .map(|(text, (count, typed, is_joined))| {
            let rarity = (1.0 + n_chunks / (1.0 + lexical.n_chunks_with(&text) as f32)).ln();
            let weight = 1.0 + count.ln();
            (weight * rarity, QueryTerm { text, weight, typed, is_joined })
        })
        .collect();
    terms.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.text.cmp(&b.1.text)));
    terms.truncate(N_TERMS.min(MAX_TERMS));
    terms.into_iter().map(|(_, term)| term).collect()
}
