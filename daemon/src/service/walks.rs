//! Questions that walk the symbol graph: what is near, connected, tested, documented, dead.

use fovea_api::{
    Answer, ApiError, At, DeadView, MemberView, NearView, ReachedView, StepView, SymbolView,
};
use fovea_indexer::{
    SymbolId,
    graph::{Candidate, Certainty, FilePosition},
    rank::PathFilter,
};

use super::{
    find::bad_query,
    query::Query,
    views::{certainty_name, edge_name},
};

type Result<T> = std::result::Result<T, ApiError>;

/// Symbols in one answer, at most.
const MAX_SYMBOLS: usize = 1_000;

impl Query<'_> {
    pub(super) fn impact(&self, at: &At, limit: usize) -> Result<Answer> {
        let graph = self.snapshot.graph();
        self.reached(at, limit, |of, limit| graph.impact(of, limit, &self.cancel))
    }

    pub(super) fn tests(&self, at: &At, limit: usize) -> Result<Answer> {
        let graph = self.snapshot.graph();
        self.reached(at, limit, |of, limit| graph.tests_of(of, limit, &self.cancel))
    }

    fn reached(
        &self,
        at: &At,
        limit: usize,
        find: impl FnOnce(SymbolId, usize) -> Vec<(SymbolId, u32)>,
    ) -> Result<Answer> {
        let Some(of) = self.symbol_at(at)? else {
            return Ok(Answer::Impact { of: None, reached: Vec::new(), has_more: false });
        };
        let limit = limit.clamp(1, MAX_SYMBOLS);
        let mut found = find(of.symbol, limit + 1);
        let has_more = found.len() > limit;
        found.truncate(limit);
        let views = self.views();
        let reached = found.into_iter().filter_map(|(id, n_steps)| {
            let is_test = self.snapshot.graph().symbol(id)?.is_test;
            let symbol = views.symbol(id, Certainty::Exact)?;
            Some(ReachedView { symbol, n_steps, is_test })
        });
        let reached = reached.collect();
        Ok(Answer::Impact { of: views.symbol(of.symbol, of.certainty), reached, has_more })
    }

    pub(super) fn documents(&self, at: &At) -> Result<Answer> {
        let graph = self.snapshot.graph();
        self.edges(at, |of| graph.documents(of, &self.cancel), |edge| edge.from)
    }

    /// What the symbol at the cursor and the item around it have to do with.
    pub(super) fn near(&self, at: &At, limit: usize) -> Result<Answer> {
        let position = self.position(at)?;
        let graph = self.snapshot.graph();
        let mut seeds: Vec<Candidate> = graph.resolve(position).candidates;
        seeds.truncate(1);
        if let Some(symbol) = self.item_at(position)
            && seeds.iter().all(|seed| seed.symbol != symbol)
        {
            seeds.push(Candidate { symbol, certainty: Certainty::Exact });
        }
        let ids: Vec<SymbolId> = seeds.iter().map(|seed| seed.symbol).collect();
        let found = graph.neighborhood(&ids, limit.clamp(1, MAX_SYMBOLS), &self.cancel);
        let views = self.views();
        let near =
            |(id, rank)| Some(NearView { symbol: views.symbol(id, Certainty::Exact)?, rank });
        let symbols = found.into_iter().filter_map(near).collect();
        Ok(Answer::Near { of: self.symbols(&seeds), symbols })
    }

    /// The innermost item around a position.
    fn item_at(&self, position: FilePosition) -> Option<SymbolId> {
        let facts = self.snapshot.facts(position.file)?;
        let around = |(_, symbol): &(usize, &fovea_indexer::facts::SymbolFacts)| {
            !symbol.is_local() && symbol.enclosing_range.contains(position.offset)
        };
        // What lies further inside comes later.
        let (index, _) = facts.symbols.iter().enumerate().rfind(around)?;
        Some(SymbolId { file: position.file, index: index as u32 })
    }

    pub(super) fn path(&self, from: &At, to: &At) -> Result<Answer> {
        let (from, to) = (self.symbol_at(from)?, self.symbol_at(to)?);
        let views = self.views();
        let view = |found: Option<Candidate>| -> Option<SymbolView> {
            found.and_then(|found| views.symbol(found.symbol, found.certainty))
        };
        let steps = match (from, to) {
            (Some(from), Some(to)) => {
                self.snapshot.graph().path_between(from.symbol, to.symbol, &self.cancel)
            }
            _ => Vec::new(),
        };
        let steps = steps.iter().filter_map(|step| {
            Some(StepView {
                symbol: views.symbol(step.next(), step.edge.certainty)?,
                kind: edge_name(step.edge.kind).to_owned(),
                certainty: certainty_name(step.edge.certainty).to_owned(),
                is_reverse: step.is_reverse,
                at: step.edge.at.map(|at| views.location(at.file, at.range)),
            })
        });
        let steps = steps.collect();
        Ok(Answer::Connection { from: view(from), to: view(to), steps })
    }

    pub(super) fn dead(
        &self,
        path: Option<&str>,
        limit: usize,
        with_public: bool,
    ) -> Result<Answer> {
        let graph = self.snapshot.graph();
        let filter = path.map(PathFilter::new).transpose().map_err(bad_query)?;
        let limit = limit.clamp(1, MAX_SYMBOLS);
        let mut found = graph.dead(
            &|file| {
                graph
                    .path(file)
                    .is_some_and(|path| filter.as_ref().is_none_or(|filter| filter.matches(path)))
            },
            &self.cancel,
        );
        let is_public = |id: &SymbolId| graph.symbol(*id).is_some_and(|facts| facts.is_public);
        found.symbols.retain(|id| with_public || !is_public(id));
        let by_place = |id: &SymbolId| (graph.path(id.file).unwrap_or_default(), id.index);
        found.symbols.sort_by_key(by_place);
        let has_more = found.symbols.len() > limit;
        let views = self.views();
        let symbols = found.symbols.into_iter().take(limit).filter_map(|id| {
            let symbol = views.symbol(id, Certainty::Exact)?;
            Some(DeadView { symbol, is_public: is_public(&id) })
        });
        Ok(Answer::Dead { symbols: symbols.collect(), has_more })
    }

    pub(super) fn members(&self, at: &At, limit: usize) -> Result<Answer> {
        let Some(of) = self.symbol_at(at)? else {
            return Ok(Answer::Members { of: None, members: Vec::new(), has_more: false });
        };
        let graph = self.snapshot.graph();
        let mut found = graph.members(of.symbol);
        // Of a value or function the members are those of its type.
        let via = graph.type_of(of.symbol);
        let through = via.first().filter(|_| found.is_empty());
        if let Some(through) = through {
            found = graph.members(through.symbol);
        }
        found.sort_by(|a, b| (a.distance, &a.name).cmp(&(b.distance, &b.name)));
        let limit = limit.clamp(1, MAX_SYMBOLS);
        let has_more = found.len() > limit;
        let views = self.views();
        let members = found.into_iter().take(limit).map(|offer| MemberView {
            name: offer.name,
            symbol: offer.symbol.and_then(|id| views.symbol(id, offer.certainty)),
            certainty: certainty_name(offer.certainty).to_owned(),
            distance: offer.distance,
        });
        let members = members.collect();
        let of = *through.unwrap_or(&of);
        Ok(Answer::Members { of: views.symbol(of.symbol, of.certainty), members, has_more })
    }
}
