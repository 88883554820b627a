//! Queries that walk: neighborhood and impact. Edges are resolved as the walk meets them, and every
//! walk is bounded.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Certainty, Edge, EdgeKind, Graph, names};
use crate::{Cancel, SymbolId, facts::SymbolKind};

/// Uses of one symbol that a walk follows.
const MAX_USES: usize = 96;
/// References to one symbol that a walk follows; more means a name everybody uses.
const MAX_USERS: usize = 48;
/// Symbols a walk expands before it answers with what it has.
const MAX_EXPANDED: usize = 160;
/// Probability to go on instead of back to the seeds, as in personalized PageRank
/// (Page et al. 1999; pushed forward as in Andersen, Chung and Lang 2006).
const DAMPING: f32 = 0.7;

impl Graph {
    /// Symbols close to `seeds`, best first, with their rank: personalized PageRank over uses,
    /// users, containment and types. The seeds themselves are left out.
    #[must_use]
    pub fn neighborhood(
        &self,
        seeds: &[SymbolId],
        limit: usize,
        cancel: &Cancel,
    ) -> Vec<(SymbolId, f32)> {
        let seeds: Vec<SymbolId> =
            seeds.iter().copied().filter(|seed| self.symbol(*seed).is_some()).collect();
        let mut rank: FxHashMap<SymbolId, f32> = FxHashMap::default();
        let mut waiting: FxHashMap<SymbolId, f32> = FxHashMap::default();
        for &seed in &seeds {
            *waiting.entry(seed).or_default() += 1.0 / seeds.len() as f32;
        }
        let mut expanded: FxHashMap<SymbolId, Vec<(SymbolId, f32)>> = FxHashMap::default();
        let n_expanded = (limit * 3).clamp(8, MAX_EXPANDED);
        while !cancel.is_cancelled() {
            let best = waiting
                .iter()
                .filter(|(symbol, _)| expanded.len() < n_expanded || expanded.contains_key(symbol))
                .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(a.0)))
                .map(|(&symbol, &mass)| (symbol, mass));
            let Some((symbol, mass)) = best.filter(|(_, mass)| *mass > 1e-4) else { break };
            waiting.remove(&symbol);
            *rank.entry(symbol).or_default() += mass * (1.0 - DAMPING);
            let edges = expanded.entry(symbol).or_insert_with(|| self.weighted(symbol, cancel));
            let total: f32 = edges.iter().map(|(_, weight)| weight).sum();
            for &(to, weight) in edges.iter().filter(|_| total > 0.0) {
                *waiting.entry(to).or_default() += mass * DAMPING * weight / total;
            }
        }
        for (symbol, mass) in waiting {
            *rank.entry(symbol).or_default() += mass * (1.0 - DAMPING);
        }
        let mut ranked: Vec<(SymbolId, f32)> =
            rank.into_iter().filter(|(symbol, _)| !seeds.contains(symbol)).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked.truncate(limit);
        ranked
    }

    /// Neighbors of `symbol` and the weight of each edge.
    fn weighted(&self, symbol: SymbolId, cancel: &Cancel) -> Vec<(SymbolId, f32)> {
        let mut weights: FxHashMap<SymbolId, f32> = FxHashMap::default();
        let sure = |certainty| match certainty {
            Certainty::Exact => 1.0,
            Certainty::Inferred => 0.8,
            Certainty::NameOnly => 0.15,
        };
        for edge in self.uses(symbol, |_| true, MAX_USES, cancel) {
            let kind = match edge.kind {
                EdgeKind::Calls => 1.0,
                EdgeKind::TypeOf => 0.8,
                _ => 0.5,
            };
            *weights.entry(edge.to).or_default() += kind * sure(edge.certainty);
        }
        for user in self.users(symbol, cancel) {
            *weights.entry(user.from).or_default() += 0.5 * sure(user.certainty);
        }
        for (child, _) in names::children(self, symbol).take(MAX_USES) {
            *weights.entry(child).or_default() += 0.2;
        }
        if let Some(index) = self.symbol(symbol).and_then(|facts| facts.parent) {
            *weights.entry(SymbolId { file: symbol.file, index }).or_default() += 0.4;
        }
        for candidate in self.type_of(symbol) {
            *weights.entry(candidate.symbol).or_default() += 0.6 * sure(candidate.certainty);
        }
        weights.remove(&symbol);
        let mut edges: Vec<(SymbolId, f32)> =
            weights.into_iter().filter(|(to, _)| !self.is_local(*to)).collect();
        edges.sort_unstable_by_key(|(to, _)| *to);
        edges
    }

    /// Items that mention `symbol`, at most [`MAX_USERS`].
    pub(super) fn users(&self, symbol: SymbolId, cancel: &Cancel) -> Vec<Edge> {
        let Some(facts) = self.symbol(symbol) else { return Vec::new() };
        // Resolving every `new` of a large repository says little and costs much.
        if self.files_mentioning(&facts.name).len() > 4 * MAX_USERS {
            return Vec::new();
        }
        self.references(symbol, cancel)
            .into_iter()
            .filter_map(|reference| {
                Some(Edge {
                    kind: EdgeKind::References,
                    from: self.item_around(reference.enclosing?)?,
                    to: symbol,
                    certainty: reference.certainty,
                    at: Some(reference.at),
                })
            })
            .filter(|edge| edge.from != symbol)
            .take(MAX_USERS)
            .collect()
    }

    pub(super) fn is_local(&self, symbol: SymbolId) -> bool {
        self.symbol(symbol).is_none_or(|facts| {
            matches!(facts.kind, SymbolKind::Parameter | SymbolKind::TypeParameter)
                || facts.kind == SymbolKind::Variable && facts.parent.is_some()
        })
    }

    /// What a change of `symbol` may reach: who mentions it, who mentions those, and so on, nearest
    /// first, with the number of steps. At most `limit`.
    #[must_use]
    pub fn impact(&self, symbol: SymbolId, limit: usize, cancel: &Cancel) -> Vec<(SymbolId, u32)> {
        let mut reached = Vec::new();
        let mut seen = FxHashSet::from_iter([symbol]);
        let mut queue = VecDeque::from([(symbol, 0)]);
        while let Some((next, steps)) = queue.pop_front() {
            for reference in self.references(next, cancel) {
                if reference.certainty == Certainty::NameOnly {
                    continue;
                }
                let user = reference.enclosing.and_then(|user| self.item_around(user));
                if let Some(user) = user.filter(|user| seen.insert(*user)) {
                    reached.push((user, steps + 1));
                    queue.push_back((user, steps + 1));
                }
                if reached.len() >= limit || cancel.is_cancelled() {
                    return reached;
                }
            }
        }
        reached
    }
}
