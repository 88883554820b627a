//! Collects candidates and scores them: lexical and vector similarity as z-scores over the
//! candidates, then structure (definitions, names, path, the rest of the file, the file's role).

use rustc_hash::FxHashMap;

use super::{
    MAX_HITS, QueryError, QueryKind, ScoreParts, SearchQuery, SearchResults, fuzzy, like,
    path::{self, PathRole},
    present,
    query::{self, Query},
};
use crate::{
    Cancel, ChunkId, FileId, Snapshot, SymbolId,
    bm25::{Field, LexicalHit, LexicalMatches, QueryTerm, tokenize, tokenize::TermKind},
    facts::SymbolKind,
    vector::{SharedEmbedder, Upgrade, VectorIndex},
};

/// Weights of the parts of a score. Learnt on the dev set; docs/performance.md has the ablation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// BM25 of the chunk, z-score.
    pub lexical: f32,
    /// Cosine similarity, z-score; times the embedder's own weight.
    pub vector: f32,
    /// Added to both weights of vectors, as a share of them, for each term of a query beyond
    /// [`SHORT_QUERY`]: a whole sentence names its subject in other words than the code does.
    pub sentence: f32,
    /// The same by the stronger embedder's vectors, times its own weight; the embedded one's then
    /// count [`BESIDE_MODEL`] of what they do alone.
    pub model: f32,
    /// The chunk defines a name of the query.
    pub symbol: f32,
    /// Share of the query (by rarity) in the path.
    pub path: f32,
    /// The file's own name is words of the query.
    pub subject: f32,
    /// Share in the names that the chunk defines.
    pub names: f32,
    /// Share in the names that the file defines.
    pub file_names: f32,
    /// Share anywhere in the file.
    pub file_body: f32,
    /// Sum of the file's best chunks, z-score.
    pub file_sum: f32,
    /// Taken from tests, documentation, examples, foreign, superseded and data files.
    pub test: f32,
    pub doc: f32,
    pub example: f32,
    pub foreign: f32,
    pub legacy: f32,
    pub index: f32,
    pub private: f32,
    pub data: f32,
    /// Taken for every better hit of the same file.
    pub repeat: f32,
    /// Near the cursor, when one is given.
    pub graph: f32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            lexical: 0.5,
            vector: 1.0,
            sentence: 1.0,
            model: 1.0,
            symbol: 4.0,
            path: 3.0,
            subject: 3.0,
            names: 0.5,
            file_names: 1.0,
            file_body: 0.25,
            file_sum: 1.0,
            test: 5.0,
            doc: 5.0,
            example: 2.5,
            foreign: 3.0,
            legacy: 2.0,
            index: 0.2,
            private: 1.0,
            data: 2.5,
            repeat: 1.5,
            graph: 1.0,
        }
    }
}

impl Weights {
    /// Only BM25 of chunks: the baseline of the ablation.
    #[must_use]
    pub fn lexical_only() -> Self {
        Self {
            lexical: 1.0,
            vector: 0.0,
            sentence: 0.0,
            model: 0.0,
            symbol: 0.0,
            path: 0.0,
            subject: 0.0,
            names: 0.0,
            file_names: 0.0,
            file_body: 0.0,
            file_sum: 0.0,
            test: 0.0,
            doc: 0.0,
            example: 0.0,
            foreign: 0.0,
            legacy: 0.0,
            index: 0.0,
            private: 0.0,
            data: 0.0,
            repeat: 0.0,
            graph: 0.0,
        }
    }
}

/// Chunks that are scored in full, at least.
const MIN_CANDIDATES: usize = 300;
/// Nearest vectors that become candidates.
const N_NEAREST: usize = 60;
/// Definitions of one name that become candidates.
const MAX_DEFINITIONS: usize = 64;
/// Terms of a usual question, and those beyond which a longer one changes nothing.
const SHORT_QUERY: usize = 5;
const LONG_QUERY: usize = 15;
/// Share of the embedded vectors' weight for chunks that have a stronger model's vector too.
const BESIDE_MODEL: f32 = 0.5;
/// Chunks of a file whose scores are summed.
const N_SUMMED: usize = 4;

/// A scored chunk.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) chunk: ChunkId,
    /// The definition that was asked for, if the chunk has it.
    pub(super) defines: Option<SymbolId>,
    pub(super) parts: ScoreParts,
    pub(super) score: f32,
    pub(super) mask: u64,
    pub(super) similarity: Option<f32>,
    pub(super) nearness: Option<f32>,
}

pub(crate) fn search(
    snapshot: &Snapshot,
    request: &SearchQuery,
    weights: &Weights,
    cancel: &Cancel,
) -> Result<SearchResults, QueryError> {
    let query = match request.like {
        Some(at) => like::query(snapshot, at, &request.text)?,
        None => query::parse(&request.text)?,
    };
    if query.filters.changed.is_some() && request.changed.is_none() {
        return Err(QueryError::NoChanges);
    }
    let offset = request.offset.min(MAX_HITS);
    // One more than asked for tells whether there are more.
    let limit = offset.saturating_add(request.limit.max(1)).min(MAX_HITS);
    let matches = snapshot.data().lexical.score(&query.terms, cancel);
    let mut search = Search {
        snapshot,
        request,
        query: &query,
        weights,
        files: Files::new(snapshot, &query, &matches),
    };
    let candidates = search.candidates(&matches, limit, cancel);
    let scored = search.score(candidates, cancel);
    let mut hits = present::present(snapshot, &query, scored, weights.repeat, limit + 1, cancel);
    let has_more = hits.len() > limit;
    hits.truncate(limit);
    hits.drain(..offset.min(hits.len()));
    Ok(SearchResults { kind: query.kind, hits, has_more })
}

struct Search<'a> {
    snapshot: &'a Snapshot,
    request: &'a SearchQuery,
    query: &'a Query,
    weights: &'a Weights,
    files: Files<'a>,
}

/// A candidate before scoring.
#[derive(Clone, Copy, Default)]
struct Raw {
    lexical: f32,
    similarity: Option<f32>,
    /// By the stronger embedder.
    stronger: Option<f32>,
    /// Strength of the definition asked for.
    symbol: f32,
    defines: Option<SymbolId>,
    masks: [u64; 3],
}

impl Search<'_> {
    fn candidates(
        &mut self,
        matches: &LexicalMatches,
        limit: usize,
        cancel: &Cancel,
    ) -> FxHashMap<ChunkId, Raw> {
        let mut candidates: FxHashMap<ChunkId, Raw> = FxHashMap::default();
        let mut add = |hit: &LexicalHit| {
            let raw = Raw { lexical: hit.score, masks: hit.masks, ..Raw::default() };
            candidates.insert(hit.chunk, raw);
        };
        let mut allowed: Vec<&LexicalHit> = matches
            .hits
            .iter()
            .filter(|hit| self.files.is_allowed(self.request, hit.chunk.file))
            .collect();
        let n_candidates = MIN_CANDIDATES.max(limit.saturating_mul(3));
        // The best chunk of every promising file is a candidate, however weak it is alone.
        for hit in self.files.best_chunks(&allowed, n_candidates / 4) {
            add(hit);
        }
        if allowed.len() > n_candidates {
            allowed.select_nth_unstable_by(n_candidates, |a, b| b.score.total_cmp(&a.score));
            allowed.truncate(n_candidates);
        }
        allowed.into_iter().for_each(add);
        if cancel.is_cancelled() {
            return candidates;
        }
        self.add_nearest(&mut candidates);
        self.add_definitions(&mut candidates);
        candidates
    }

    /// Adds the nearest chunks by vector, and the similarity of those that are candidates already.
    fn add_nearest(&mut self, candidates: &mut FxHashMap<ChunkId, Raw>) {
        let data = self.snapshot.data();
        if self.weights.vector != 0.0 {
            self.add_similar(candidates, &data.embedder, &data.vectors, |raw| &mut raw.similarity);
        }
        if let Some(upgrade) = data.upgrade.as_ref().filter(|_| self.weights.model != 0.0) {
            let Upgrade { embedder, vectors } = upgrade;
            self.add_similar(candidates, embedder, vectors, |raw| &mut raw.stronger);
        }
    }

    fn add_similar(
        &self,
        candidates: &mut FxHashMap<ChunkId, Raw>,
        embedder: &SharedEmbedder,
        vectors: &VectorIndex,
        slot: impl Fn(&mut Raw) -> &mut Option<f32>,
    ) {
        if embedder.fusion_weight() == 0.0 || vectors.is_empty() {
            return;
        }
        let vector = embedder.embed(&[&self.query.text]);
        if vector.iter().all(|value| *value == 0.0) {
            return;
        }
        for (chunk, similarity) in vectors.search(&vector, N_NEAREST, &|_| true) {
            if self.files.is_allowed(self.request, chunk.file) {
                *slot(candidates.entry(chunk).or_default()) = Some(similarity);
            }
        }
        for (chunk, raw) in candidates.iter_mut() {
            let slot = slot(raw);
            if slot.is_none()
                && let Some(row) = vectors.row(*chunk)
            {
                let dot: f32 = row.iter().zip(&vector).map(|(a, b)| f32::from(*a) * b).sum();
                *slot = Some(dot / 127.0);
            }
        }
    }

    /// Adds the chunks that define a name of the query.
    fn add_definitions(&mut self, candidates: &mut FxHashMap<ChunkId, Raw>) {
        if self.weights.symbol == 0.0 {
            return;
        }
        for (name, share) in &self.query.names {
            let mut symbols: Vec<(SymbolId, f32)> = self
                .snapshot
                .graph()
                .symbols_named(name)
                .into_iter()
                .map(|symbol| (symbol, 1.0))
                .collect();
            if symbols.is_empty() && self.query.kind == QueryKind::Symbol {
                symbols = fuzzy::symbols_matching(self.snapshot, name, 20);
                symbols.retain(|(_, similarity)| *similarity > 0.5);
            }
            let mut strong: Vec<(SymbolId, f32)> = symbols
                .into_iter()
                .filter_map(|(symbol, similarity)| {
                    Some((symbol, similarity * share * self.strength(symbol)?))
                })
                .collect();
            strong.sort_by(|a, b| b.1.total_cmp(&a.1));
            strong.truncate(MAX_DEFINITIONS);
            for (symbol, strength) in strong {
                if !self.files.is_allowed(self.request, symbol.file) {
                    continue;
                }
                let Some(chunk) = chunk_of(self.snapshot, symbol) else { continue };
                let raw = candidates.entry(chunk).or_default();
                if strength > raw.symbol {
                    raw.symbol = strength;
                    raw.defines = Some(symbol);
                }
            }
        }
    }

    /// How much a definition counts as the answer to its name.
    fn strength(&self, symbol: SymbolId) -> Option<f32> {
        let facts = self.snapshot.facts(symbol.file)?.symbols.get(symbol.index as usize)?;
        let base = match facts.kind {
            SymbolKind::Class
            | SymbolKind::Struct
            | SymbolKind::Trait
            | SymbolKind::Interface
            | SymbolKind::Enum
            | SymbolKind::Union => 1.0,
            SymbolKind::Function | SymbolKind::Macro | SymbolKind::TypeAlias => 0.9,
            SymbolKind::Module => 0.6,
            SymbolKind::Method => 0.65,
            SymbolKind::Constant | SymbolKind::Static => 0.7,
            SymbolKind::Impl => 0.5,
            SymbolKind::Variable if facts.parent.is_none() => 0.6,
            SymbolKind::Field | SymbolKind::Property | SymbolKind::Variant => 0.4,
            SymbolKind::Variable | SymbolKind::Heading => 0.3,
            SymbolKind::Parameter | SymbolKind::TypeParameter => return None,
        };
        let lowered = if facts.is_test && !self.query.asks.tests { 0.3 } else { 0.0 };
        Some(base + if facts.is_public { 0.05 } else { 0.0 } - lowered)
    }

    fn score(&mut self, candidates: FxHashMap<ChunkId, Raw>, cancel: &Cancel) -> Vec<Candidate> {
        let weights = self.weights;
        let data = self.snapshot.data();
        let stronger = Scale::of(candidates.values().filter_map(|raw| raw.stronger));
        let model_weight =
            data.upgrade.as_ref().map_or(0.0, |u| weights.model * u.embedder.fusion_weight());
        let sentence = 1.0 + weights.sentence * self.query.n_terms_beyond(SHORT_QUERY, LONG_QUERY);
        let model_weight = model_weight * sentence;
        let vector_weight = weights.vector * data.embedder.fusion_weight() * sentence;
        let lexical = Scale::of(candidates.values().map(|raw| raw.lexical));
        let similarity = Scale::of(candidates.values().filter_map(|raw| raw.similarity));
        let sums = Scale::of(candidates.keys().map(|chunk| self.files.of(chunk.file).sum));
        let near = self.near(cancel);
        let mut subjects: FxHashMap<FileId, f32> = FxHashMap::default();
        for chunk in candidates.keys() {
            subjects.entry(chunk.file).or_insert_with(|| self.files.subject(chunk.file));
        }
        let mut scored: Vec<Candidate> = candidates
            .into_iter()
            .map(|(chunk, raw)| {
                let file = self.files.of(chunk.file);
                let share = |masks: [u64; 3], field| self.files.share(masks[field as usize]);
                let nearness = near.get(&chunk.file).copied();
                let subject = subjects.get(&chunk.file).copied().unwrap_or(0.0);
                let parts = ScoreParts {
                    lexical: weights.lexical * lexical.z(raw.lexical),
                    vector: vector_weight
                        * raw.similarity.map_or(-1.0, |s| similarity.z(s))
                        * if raw.stronger.is_some() { BESIDE_MODEL } else { 1.0 },
                    // A chunk that has no vector yet counts as an average one.
                    model: model_weight * raw.stronger.map_or(0.0, |s| stronger.z(s)),
                    symbol: weights.symbol * raw.symbol,
                    path: weights.path * share(file.masks, Field::Path),
                    subject: weights.subject * subject,
                    names: weights.names * share(raw.masks, Field::Names),
                    file_names: weights.file_names * share(file.masks, Field::Names),
                    file_body: weights.file_body * self.files.share(file.any_mask()),
                    file_sum: weights.file_sum * sums.z(file.sum),
                    role: -self.lowered(chunk.file),
                    repeat: 0.0,
                    graph: weights.graph * nearness.unwrap_or(0.0),
                };
                let score = parts.sum();
                let mask = raw.masks.iter().fold(0, |all, mask| all | mask);
                let Raw { defines, similarity, stronger, .. } = raw;
                let similarity = stronger.or(similarity);
                Candidate { chunk, defines, parts, score, mask, similarity, nearness }
            })
            .collect();
        scored.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
        scored
    }

    /// What a file's role takes from its chunks, unless the query asks for such files.
    fn lowered(&self, file: FileId) -> f32 {
        let weights = self.weights;
        let asks = self.query.asks;
        let filters = &self.query.filters;
        let role = self.files.of(file).role;
        let mut lowered = 0.0;
        if role.is_test && !asks.tests && filters.tests != Some(true) {
            lowered += weights.test;
        }
        if role.is_doc && !asks.docs {
            lowered += weights.doc;
        }
        if role.is_example && !asks.examples {
            lowered += weights.example;
        }
        if role.is_foreign {
            lowered += weights.foreign;
        }
        if role.is_legacy && !asks.legacy {
            lowered += weights.legacy;
        }
        if role.is_index {
            lowered += weights.index;
        }
        if role.is_private {
            lowered += weights.private;
        }
        if role.is_data && !role.is_doc && self.query.kind != QueryKind::Path {
            lowered += weights.data;
        }
        lowered
    }

    /// Nearness of files to the cursor in `0..=1`, by the symbol graph.
    fn near(&self, cancel: &Cancel) -> FxHashMap<FileId, f32> {
        let mut near = FxHashMap::default();
        let (Some(at), true) = (self.request.near, self.weights.graph != 0.0) else {
            return near;
        };
        near.insert(at.file, 1.0);
        let graph = self.snapshot.graph();
        let Some(facts) = self.snapshot.facts(at.file) else { return near };
        let enclosing = (0u32..).zip(&facts.symbols);
        let seeds: Vec<SymbolId> = enclosing
            .filter(|(_, symbol)| symbol.enclosing_range.contains(at.offset))
            .map(|(index, _)| SymbolId { file: at.file, index })
            .collect();
        let neighborhood = graph.neighborhood(&seeds, 200, cancel);
        let most = neighborhood.iter().map(|(_, weight)| *weight).fold(0.0, f32::max);
        for (symbol, weight) in neighborhood {
            let entry = near.entry(symbol.file).or_insert(0.0);
            *entry = f32::max(*entry, weight / most.max(f32::MIN_POSITIVE));
        }
        near
    }
}

/// The chunk in which `symbol` is defined.
fn chunk_of(snapshot: &Snapshot, symbol: SymbolId) -> Option<ChunkId> {
    let facts = snapshot.facts(symbol.file)?;
    let at = facts.symbols.get(symbol.index as usize)?.name_range.start;
    let index = facts.chunks.partition_point(|chunk| chunk.range.end <= at);
    (index < facts.chunks.len()).then_some(ChunkId { file: symbol.file, index: index as u32 })
}

/// Mean and deviation of one signal over the candidates.
struct Scale {
    mean: f32,
    deviation: f32,
}

impl Scale {
    fn of(values: impl Iterator<Item = f32>) -> Self {
        let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for value in values {
            n += 1.0;
            sum += value;
            squares += value * value;
        }
        let mean = sum / f32::max(n, 1.0);
        let variance = squares / f32::max(n, 1.0) - mean * mean;
        Self { mean, deviation: variance.max(0.0).sqrt().max(1e-6) }
    }

    fn z(&self, value: f32) -> f32 {
        ((value - self.mean) / self.deviation).clamp(-4.0, 8.0)
    }
}

/// What all matches of a file say together.
#[derive(Clone, Copy, Debug, Default)]
struct FileSignals {
    masks: [u64; 3],
    /// Sum of the best chunks' scores, each counting half of the one before.
    sum: f32,
    role: PathRole,
    is_allowed: bool,
}

impl FileSignals {
    fn any_mask(&self) -> u64 {
        self.masks.iter().fold(0, |all, mask| all | mask)
    }
}

/// Signals of the files, computed for those that match.
struct Files<'a> {
    snapshot: &'a Snapshot,
    query: &'a Query,
    signals: Vec<Option<FileSignals>>,
    idf: Vec<f32>,
    total: f32,
}

impl<'a> Files<'a> {
    fn new(snapshot: &'a Snapshot, query: &'a Query, matches: &LexicalMatches) -> Self {
        let weighted = |(idf, term): (&f32, &QueryTerm)| idf * term.weight;
        // Joined pairs are a bonus, not a part of what has to be covered.
        let idf: Vec<f32> = matches.idf.iter().zip(&query.terms).map(weighted).collect();
        let total: f32 = idf
            .iter()
            .zip(&query.terms)
            .filter(|(_, term)| !term.is_joined)
            .map(|(idf, _)| idf)
            .sum();
        let signals = vec![None; snapshot.data().files.len()];
        let mut files = Self { snapshot, query, signals, idf, total: total.max(1e-6) };
        // Hits are ordered by file.
        let mut best: Vec<f32> = Vec::new();
        for hits in matches.hits.chunk_by(|a, b| a.chunk.file == b.chunk.file) {
            let mut signals = files.role(hits[0].chunk.file);
            best.clear();
            for hit in hits {
                for (all, mask) in signals.masks.iter_mut().zip(hit.masks) {
                    *all |= mask;
                }
                best.push(hit.score);
            }
            best.sort_unstable_by(|a, b| b.total_cmp(a));
            let halves = best.iter().take(N_SUMMED).zip([1.0, 0.5, 0.25, 0.125]);
            signals.sum = halves.map(|(score, half)| score * half).sum();
            files.signals[hits[0].chunk.file.0 as usize] = Some(signals);
        }
        files
    }

    fn role(&self, file: FileId) -> FileSignals {
        let Some(facts) = self.snapshot.facts(file) else { return FileSignals::default() };
        let path = self.snapshot.path(file);
        let role = PathRole::of(path, facts.language);
        let is_allowed = self.query.filters.allows_file(path, facts.language, role.is_test);
        FileSignals { role, is_allowed, ..FileSignals::default() }
    }

    fn of(&self, file: FileId) -> FileSignals {
        let known = self.signals.get(file.0 as usize).copied().flatten();
        known.unwrap_or_else(|| self.role(file))
    }

    fn is_allowed(&self, request: &SearchQuery, file: FileId) -> bool {
        let changed = self.query.filters.changed;
        let is_changed = || request.changed.as_ref().is_some_and(|files| files.contains(&file));
        self.of(file).is_allowed
            && !request.exclude.contains(&file)
            && changed.is_none_or(|wanted| wanted == is_changed())
    }

    /// Share of the query, by rarity, that `mask` has.
    fn share(&self, mask: u64) -> f32 {
        let mut sum = 0.0;
        let mut mask = mask;
        while mask != 0 {
            sum += self.idf.get(mask.trailing_zeros() as usize).copied().unwrap_or(0.0);
            mask &= mask - 1;
        }
        (sum / self.total).min(1.3)
    }

    /// How much of the file's own name the query speaks of, in `0..=1`; rare words count more.
    fn subject(&self, file: FileId) -> f32 {
        let most = self.idf.iter().copied().fold(1e-6, f32::max);
        let (mut sum, mut n) = (0.0, 0.0);
        tokenize::terms(path::subject(self.snapshot.path(file)), |word, kind, _| {
            if kind == TermKind::Whole {
                return;
            }
            n += 1.0;
            let like = |(term, idf): (&QueryTerm, &f32)| {
                path::likeness(word, &term.text) * (0.5 + 0.5 * (idf / most).min(1.0))
            };
            let words = self.query.terms.iter().zip(&self.idf).filter(|(term, _)| !term.is_joined);
            sum += words.map(like).fold(0.0, f32::max);
        });
        sum / f32::max(n, 1.0)
    }

    /// The best chunk of each of the `n` most promising files.
    fn best_chunks<'h>(&self, hits: &[&'h LexicalHit], n: usize) -> Vec<&'h LexicalHit> {
        let mut best: Vec<(f32, &LexicalHit)> = hits
            .chunk_by(|a, b| a.chunk.file == b.chunk.file)
            .filter_map(|hits| {
                let hit = hits.iter().max_by(|a, b| a.score.total_cmp(&b.score))?;
                let signals = self.of(hit.chunk.file);
                let covered = self.share(signals.masks[Field::Path as usize])
                    + self.share(signals.masks[Field::Names as usize])
                    + self.share(signals.any_mask());
                Some((covered, *hit))
            })
            .collect();
        best.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        best.into_iter().take(n).map(|(_, hit)| hit).collect()
    }
}
