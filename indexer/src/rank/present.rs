//! From scored chunks to hits: whole functions and classes, spread over files, phrases verified.

use std::{cmp::Ordering, collections::BinaryHeap, sync::Arc};

use rustc_hash::FxHashMap;

use super::{Hit, fuse::Candidate, query::Query};
use crate::{
    Cancel, ContentHash, FileId, Snapshot, SymbolId,
    facts::{ChunkFacts, FileFacts, SymbolKind},
    text::ByteRange,
};

/// A function or class up to this size is shown whole.
const MAX_SHOWN_BYTES: usize = 4_000;

/// A candidate by the score it has after its file's better hits.
struct Queued {
    score: f32,
    n_before: u32,
    index: usize,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.index.cmp(&self.index))
    }
}

/// The best `limit` of `scored` (best first), each file's further hits lowered by `repeat`.
pub(super) fn present(
    snapshot: &Snapshot,
    query: &Query,
    scored: Vec<Candidate>,
    repeat: f32,
    limit: usize,
    cancel: &Cancel,
) -> Vec<Hit> {
    let mut queue: BinaryHeap<Queued> = scored
        .iter()
        .enumerate()
        .map(|(index, candidate)| Queued { score: candidate.score, n_before: 0, index })
        .collect();
    let mut shown: FxHashMap<FileId, Vec<ByteRange>> = FxHashMap::default();
    // Copies of one file (vendored, re-packaged) are one answer.
    let mut contents: FxHashMap<ContentHash, FileId> = FxHashMap::default();
    let mut phrases = Phrases::new(query);
    let mut hits = Vec::new();
    while let Some(next) = queue.pop() {
        if hits.len() >= limit || cancel.is_cancelled() {
            break;
        }
        let candidate = &scored[next.index];
        let file = candidate.chunk.file;
        let Some(content) = snapshot.hash(file) else { continue };
        if *contents.entry(content).or_insert(file) != file {
            continue;
        }
        let ranges = shown.entry(candidate.chunk.file).or_default();
        let n_before = ranges.len() as u32;
        if n_before > next.n_before && repeat > 0.0 {
            let score = candidate.score - repeat * n_before as f32;
            queue.push(Queued { score, n_before, ..next });
            continue;
        }
        let Some(hit) = hit(snapshot, query, candidate, next.score) else { continue };
        let is_shown =
            ranges.iter().any(|range| range.start <= hit.range.start && hit.range.end <= range.end);
        if is_shown || query.without == Some(hit.chunk) || !phrases.all_in(snapshot, &hit) {
            continue;
        }
        ranges.push(hit.range);
        hits.push(hit);
    }
    hits
}

fn hit(snapshot: &Snapshot, query: &Query, candidate: &Candidate, score: f32) -> Option<Hit> {
    let chunk_id = candidate.chunk;
    let facts = snapshot.facts(chunk_id.file)?;
    let chunk = facts.chunks.get(chunk_id.index as usize)?;
    let symbol = match candidate.defines {
        Some(symbol) => Some(symbol.index),
        None => chunk.symbol,
    };
    let symbol = if query.filters.kinds.is_empty() {
        symbol
    } else {
        Some(of_kind(facts, chunk, symbol, &query.filters.kinds)?)
    };
    let (range, lines) = shown_range(facts, chunk, symbol);
    let mut parts = candidate.parts.clone();
    // What diversity took.
    parts.repeat = score - candidate.score;
    let mut matched: Vec<String> = Vec::new();
    for (index, term) in query.terms.iter().enumerate() {
        if candidate.mask & 1 << index != 0 && !matched.contains(&term.typed) {
            matched.push(term.typed.clone());
        }
    }
    Some(Hit {
        chunk: chunk_id,
        range,
        lines,
        symbol: symbol.map(|index| SymbolId { file: chunk_id.file, index }),
        score,
        parts,
        matched,
        similarity: candidate.similarity,
        is_definition: candidate.defines.is_some(),
        nearness: candidate.nearness,
    })
}

/// A symbol of one of `kinds` that the chunk is about: the one known, or the first defined in it.
fn of_kind(
    facts: &FileFacts,
    chunk: &ChunkFacts,
    known: Option<u32>,
    kinds: &[SymbolKind],
) -> Option<u32> {
    let fits = |index: &u32| {
        facts.symbols.get(*index as usize).is_some_and(|symbol| kinds.contains(&symbol.kind))
    };
    known.filter(fits).or_else(|| {
        let inside =
            |index: &u32| chunk.range.contains(facts.symbols[*index as usize].name_range.start);
        (0..facts.symbols.len() as u32).find(|index| inside(index) && fits(index))
    })
}

/// The whole item where it is short; the chunk where it is not, or where the chunk holds several.
fn shown_range(
    facts: &Arc<FileFacts>,
    chunk: &ChunkFacts,
    symbol: Option<u32>,
) -> (ByteRange, (u32, u32)) {
    let whole = symbol
        .and_then(|index| facts.symbols.get(index as usize))
        .map(|symbol| symbol.enclosing_range)
        .filter(|range| range.len() <= MAX_SHOWN_BYTES && range.len() * 2 >= chunk.range.len());
    let Some(range) = whole else { return (chunk.range, chunk.lines) };
    // Chunks begin and end at lines: their line numbers bound the item's.
    let first = facts.chunks.partition_point(|chunk| chunk.range.end <= range.start);
    let last = facts.chunks.partition_point(|chunk| chunk.range.end < range.end);
    match (facts.chunks.get(first), facts.chunks.get(last)) {
        (Some(first), Some(last)) if first.range != last.range => {
            let range = ByteRange::new(first.range.start, last.range.end);
            (range, (first.lines.0, last.lines.1))
        }
        _ => (chunk.range, chunk.lines),
    }
}

/// Verifies quoted parts on the text.
struct Phrases {
    phrases: Vec<String>,
    /// The last file looked at: hits of one file often follow each other.
    text: Option<(FileId, Arc<str>)>,
}

impl Phrases {
    fn new(query: &Query) -> Self {
        let phrases = query.phrases.iter().map(|phrase| phrase.to_lowercase()).collect();
        Self { phrases, text: None }
    }

    fn all_in(&mut self, snapshot: &Snapshot, hit: &Hit) -> bool {
        if self.phrases.is_empty() {
            return true;
        }
        let file = hit.chunk.file;
        if self.text.as_ref().is_none_or(|(known, _)| *known != file) {
            let Some(text) = snapshot.text(file) else { return false };
            self.text = Some((file, text));
        }
        let Some((_, text)) = &self.text else { return false };
        let shown = hit.range.slice(text).to_lowercase();
        self.phrases.iter().all(|phrase| shown.contains(phrase))
    }
}
