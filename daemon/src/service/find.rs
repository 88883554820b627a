//! `search` and `grep`: what is found, why, and in which state.

use std::{collections::HashSet, sync::Arc, time::Instant};

use fovea_api::{Answer, ApiError, At, ErrorCode, HitState, SearchHit, SearchView, TextView};
use fovea_context::{Estimate, TokenCounter};
use fovea_indexer::{
    FileId,
    graph::Certainty,
    grep::GrepQuery,
    rank::{self, Hit, QueryError, SearchQuery},
};

use super::{query::Query, views::Views};
use crate::git;

/// A hit is cut to fit the budget only if this many tokens of it are left; else it is left out.
const MIN_CUT_TOKENS: usize = 32;

/// A search as it came over the wire.
pub(super) struct Find {
    pub(super) text: String,
    pub(super) limit: usize,
    pub(super) near: Option<At>,
    pub(super) offset: usize,
    pub(super) like: Option<At>,
    pub(super) budget_tokens: Option<usize>,
}

type Result<T> = std::result::Result<T, ApiError>;

impl Query<'_> {
    pub(super) fn search(&self, find: Find) -> Result<Answer> {
        let started = Instant::now();
        let changed = rank::asks_for_changes(&find.text).then(|| self.changed()).transpose()?;
        let query = SearchQuery {
            text: find.text,
            limit: find.limit,
            offset: find.offset,
            near: find.near.as_ref().map(|at| self.position(at)).transpose()?,
            like: find.like.as_ref().map(|at| self.position(at)).transpose()?,
            exclude: Vec::new(),
            changed,
        };
        let results = self.snapshot.search(&query, &self.cancel).map_err(bad_query)?;
        let views = self.views();
        let mut budget = Budget::new(find.budget_tokens);
        let mut has_more = results.has_more;
        let mut hits = Vec::new();
        for hit in results.hits {
            let mut view = self.hit(&views, hit);
            if !budget.take(&mut view) {
                has_more = true;
                break;
            }
            hits.push(view);
        }
        let query_kind = serde_json::to_value(results.kind).ok();
        let query_kind = query_kind.and_then(|kind| kind.as_str().map(str::to_owned));
        Ok(Answer::Search(SearchView {
            query_kind: query_kind.unwrap_or_default(),
            hits,
            has_more,
            n_tokens: budget.n_used,
            took_us: started.elapsed().as_micros() as u64,
        }))
    }

    fn hit(&self, views: &Views<'_>, hit: Hit) -> SearchHit {
        let file = hit.chunk.file;
        // A file's own module has no name to show; its hit is a place in the file.
        let symbol = hit.symbol.and_then(|id| views.symbol(id, Certainty::Exact));
        let symbol = symbol.filter(|symbol| !symbol.name.is_empty());
        let name = symbol.as_ref().map(|symbol| symbol.name.clone());
        let location = views.location(file, hit.range);
        SearchHit {
            at: symbol.as_ref().map_or_else(|| location.start(), |s| s.location.clone()),
            location,
            score: hit.score,
            parts: hit.parts.named().map(|(name, value)| (name.to_owned(), value)).into(),
            why: why(&hit, name.as_deref()),
            matched: hit.matched,
            state: self.state(views, file),
            text: views.slice(file, hit.range),
            is_cut: false,
            symbol: name,
            symbol_kind: symbol.map(|symbol| symbol.kind),
        }
    }

    pub(super) fn lines(&self, path: &str, first: u32, last: u32) -> Result<Answer> {
        let file = self.file(path)?;
        let views = self.views();
        let Some(range) = views.lines(file, first, last) else {
            let message =
                format!("`{path}` changed since it was indexed; `fovea sync` waits for it");
            return Err(ApiError { code: ErrorCode::Unavailable, message });
        };
        Ok(Answer::Lines(TextView {
            location: views.location(file, range),
            state: self.state(&views, file),
            text: views.slice(file, range),
        }))
    }

    fn state(&self, views: &Views<'_>, file: FileId) -> HitState {
        if self.snapshot.is_overlay(file) {
            HitState::Unsaved
        } else if views.has_text(file) {
            HitState::Saved
        } else {
            HitState::Stale
        }
    }

    /// Indexed files that differ from the last commit.
    fn changed(&self) -> Result<Arc<HashSet<FileId>>> {
        let files: Vec<FileId> = self.snapshot.files().collect();
        let paths = files.iter().map(|file| self.snapshot.path(*file));
        let changed = git::changed(self.workspace.root(), paths, &self.cancel);
        let changed = changed.map_err(|err| {
            tracing::debug!(%err, "changed files");
            bad_query(QueryError::NoChanges)
        })?;
        let is_changed = |file: &FileId| {
            self.snapshot.is_overlay(*file) || changed.contains(self.snapshot.path(*file))
        };
        Ok(Arc::new(files.into_iter().filter(is_changed).collect()))
    }

    pub(super) fn grep(&self, query: &GrepQuery) -> Result<Answer> {
        let started = Instant::now();
        let results = self.snapshot.grep(query, &self.cancel).map_err(bad_query)?;
        let views = self.views();
        let hits = results.lines.into_iter().map(|line| {
            // An empty match has a place too.
            let first = line.matches.first().copied().unwrap_or(line.range);
            SearchHit {
                location: views.location(line.file, line.range),
                at: views.location(line.file, first),
                symbol: None,
                symbol_kind: None,
                score: 1.0,
                parts: Vec::new(),
                matched: line.matches.iter().map(|range| views.slice(line.file, *range)).collect(),
                why: "the line matches".to_owned(),
                state: self.state(&views, line.file),
                text: line.text,
                is_cut: false,
            }
        });
        let hits: Vec<SearchHit> = hits.collect();
        let n_tokens = hits.iter().map(|hit| Estimate.count(&hit.text)).sum();
        Ok(Answer::Search(SearchView {
            query_kind: "code".to_owned(),
            hits,
            has_more: results.is_cut,
            n_tokens,
            took_us: started.elapsed().as_micros() as u64,
        }))
    }
}

/// Why a hit is an answer, the most telling first.
fn why(hit: &Hit, symbol: Option<&str>) -> String {
    let mut reasons = Vec::new();
    if hit.is_definition {
        reasons.push(format!("defines `{}`", symbol.unwrap_or_default()));
    }
    if !hit.matched.is_empty() {
        reasons.push(format!("has {}", hit.matched.join(", ")));
    }
    let parts = &hit.parts;
    if parts.subject > 0.5 || parts.path > 0.5 {
        reasons.push("the path fits".to_owned());
    }
    if let Some(similarity) = hit.similarity.filter(|similarity| *similarity >= 0.3) {
        reasons.push(format!("similar in meaning ({similarity:.2})"));
    }
    if let Some(nearness) = hit.nearness.filter(|nearness| *nearness > 0.0) {
        reasons.push(format!("near the cursor in the graph ({nearness:.2})"));
    }
    if parts.role < -0.5 {
        reasons.push("lowered for the role of its file".to_owned());
    }
    reasons.join("; ")
}

/// Tokens of texts, by estimate.
struct Budget {
    left: Option<usize>,
    n_used: usize,
}

impl Budget {
    fn new(limit: Option<usize>) -> Self {
        Self { left: limit, n_used: 0 }
    }

    /// Cuts `hit` at a line end where it does not fit; false if it is to be left out.
    fn take(&mut self, hit: &mut SearchHit) -> bool {
        let mut n_tokens = Estimate.count(&hit.text);
        if let Some(left) = &mut self.left {
            if n_tokens > *left {
                if *left < MIN_CUT_TOKENS {
                    return false;
                }
                hit.text.truncate(head(&hit.text, *left));
                hit.is_cut = true;
                n_tokens = Estimate.count(&hit.text);
                *left = 0;
            } else {
                *left -= n_tokens;
            }
        }
        self.n_used += n_tokens;
        true
    }
}

/// Bytes of the whole lines of `text` that fit into `n_tokens`.
fn head(text: &str, n_tokens: usize) -> usize {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        if Estimate.count(&text[..end + line.len()]) > n_tokens {
            break;
        }
        end += line.len();
    }
    end
}

pub(super) fn bad_query(err: QueryError) -> ApiError {
    let code = match err {
        QueryError::NothingThere => ErrorCode::NotFound,
        _ => ErrorCode::BadRequest,
    };
    ApiError { code, message: err.to_string() }
}
