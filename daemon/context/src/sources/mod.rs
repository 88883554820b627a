//! Where proposals come from: one small module a source, all reading the same [`Scene`].

pub(crate) mod candidates;
pub(crate) mod contracts;
pub(crate) mod nearby;
pub(crate) mod passages;
pub(crate) mod similar;
pub(crate) mod usage;
pub(crate) mod words;

use std::{cell::RefCell, sync::Arc};

use fovea_indexer::{
    Cancel, ContentHash, FileFacts, FileId, Language, Snapshot, SymbolId,
    graph::{Certainty, FilePosition, Offers},
    text::{ByteRange, LineIndex},
};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::{lex, request::PlanRequest};
use words::Query;

/// Lines before the cursor whose names say what is being written.
const FOCUS_LINES: usize = 15;
/// Symbols in focus that sources look at, at most.
const MAX_FOCUS: usize = 24;

/// A project symbol that the text near the cursor names.
#[derive(Clone, Debug)]
pub(crate) struct Focus {
    pub(crate) symbol: SymbolId,
    pub(crate) name: String,
    pub(crate) certainty: Certainty,
    /// 1 for a name on the cursor's line, less the further above it stands.
    pub(crate) weight: f32,
}

/// Everything the sources need to know of the cursor, worked out once.
pub(crate) struct Scene<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) request: &'a PlanRequest,
    pub(crate) language: Language,
    /// The open file in the snapshot, if it is indexed.
    pub(crate) file: Option<FileId>,
    /// Facts of the buffer as it is, whether or not the snapshot has it yet.
    pub(crate) facts: Arc<FileFacts>,
    /// Words of the last lines.
    pub(crate) query: Query,
    /// Symbols that those lines name, most important first.
    pub(crate) focus: Vec<Focus>,
    pub(crate) offers: Offers,
    /// The buffer's bytes that the prompt shows anyway.
    pub(crate) shown: ByteRange,
    texts: RefCell<FxHashMap<FileId, Option<Arc<str>>>>,
    lines: RefCell<FxHashMap<FileId, Arc<LineIndex>>>,
}

impl<'a> Scene<'a> {
    /// Looks the cursor up in the snapshot.
    pub(crate) fn new(
        snapshot: &'a Snapshot,
        request: &'a PlanRequest,
        language: Language,
        facts: Arc<FileFacts>,
        shown: ByteRange,
    ) -> Self {
        let mut scene = Self::without_focus(snapshot, request, language, facts, shown);
        scene.focus = scene.find_focus();
        scene
    }

    /// The same for questions about names alone, which no other file's text has a part in.
    pub(crate) fn without_focus(
        snapshot: &'a Snapshot,
        request: &'a PlanRequest,
        language: Language,
        facts: Arc<FileFacts>,
        shown: ByteRange,
    ) -> Self {
        let file = snapshot.file(&request.path);
        let cursor = request.cursor() as u32;
        let offers = file
            .map(|file| snapshot.graph().offers(file, cursor, &request.text))
            .unwrap_or_default();
        let query = Query::of(&last_lines(request, request.tuning.query_lines).join("\n"));
        Self {
            snapshot,
            request,
            language,
            file,
            facts,
            query,
            focus: Vec::new(),
            offers,
            shown,
            texts: RefCell::default(),
            lines: RefCell::default(),
        }
    }

    pub(crate) fn cancel(&self) -> &Cancel {
        &self.request.cancel
    }

    /// Text of an indexed file, read once; the buffer itself for the open file.
    pub(crate) fn text(&self, file: FileId) -> Option<Arc<str>> {
        if Some(file) == self.file {
            return Some(Arc::clone(&self.request.text));
        }
        let mut texts = self.texts.borrow_mut();
        texts.entry(file).or_insert_with(|| self.snapshot.text(file)).clone()
    }

    /// Lines of [`Scene::text`] of the same file, counted once.
    pub(crate) fn lines(&self, file: FileId) -> Option<Arc<LineIndex>> {
        if let Some(lines) = self.lines.borrow().get(&file) {
            return Some(Arc::clone(lines));
        }
        let lines = Arc::new(LineIndex::new(&self.text(file)?));
        self.lines.borrow_mut().insert(file, Arc::clone(&lines));
        Some(lines)
    }

    /// Facts that fit [`Scene::text`] of the same file.
    pub(crate) fn facts_of(&self, file: FileId) -> Option<&Arc<FileFacts>> {
        if Some(file) == self.file { Some(&self.facts) } else { self.snapshot.facts(file) }
    }

    /// Names near the cursor that the graph resolves to project symbols: occurrences of the last
    /// lines, then names in scope that those lines mention.
    fn find_focus(&self) -> Vec<Focus> {
        let Some(file) = self.file else { return Vec::new() };
        let graph = self.snapshot.graph();
        let in_sync =
            self.snapshot.hash(file) == Some(ContentHash::of(self.request.text.as_bytes()));
        let cursor = self.request.cursor();
        let mut found: Vec<Focus> = Vec::new();
        let mut names_seen: FxHashSet<String> = FxHashSet::default();
        let in_scope: FxHashMap<String, (SymbolId, Certainty)> = graph
            .in_scope(file)
            .into_iter()
            .rev()
            .map(|(name, candidate)| (name, (candidate.symbol, candidate.certainty)))
            .collect();
        let mut line_end = cursor;
        for (index, line) in last_lines(self.request, FOCUS_LINES).iter().rev().enumerate() {
            let line_start = line_end - line.len();
            let weight = 1.0 / (1.0 + index as f32 * 0.25);
            let names: Vec<&str> = lex::identifiers(line).collect();
            for name in names.into_iter().rev() {
                if name.len() < 2
                    || lex::is_keyword(self.language, name)
                    || !names_seen.insert(name.to_owned())
                {
                    continue;
                }
                let at = name.as_ptr() as usize - line.as_ptr() as usize + line_start;
                let resolved = in_sync
                    .then(|| graph.resolve(FilePosition { file, offset: at as u32 }))
                    .and_then(|resolution| resolution.candidates.first().copied())
                    .map(|candidate| (candidate.symbol, candidate.certainty));
                let resolved = resolved
                    .filter(|(_, certainty)| *certainty != Certainty::NameOnly)
                    .or_else(|| in_scope.get(name).copied())
                    .or(resolved);
                if let Some((symbol, certainty)) = resolved
                    && found.len() < MAX_FOCUS
                    && found.iter().all(|focus| focus.symbol != symbol)
                {
                    found.push(Focus { symbol, name: name.to_owned(), certainty, weight });
                }
            }
            // The line ending before this line.
            line_end = line_start.saturating_sub(1);
            if self.cancel().is_cancelled() {
                break;
            }
        }
        // Types of the values in focus: what their members belong to.
        for focus in found.clone() {
            for candidate in graph.type_of(focus.symbol) {
                if found.len() < MAX_FOCUS * 2
                    && found.iter().all(|other| other.symbol != candidate.symbol)
                    && let Some(symbol) = graph.symbol(candidate.symbol)
                {
                    found.push(Focus {
                        symbol: candidate.symbol,
                        name: symbol.name.clone(),
                        certainty: candidate.certainty.min(focus.certainty),
                        weight: focus.weight * 0.7,
                    });
                }
            }
        }
        found.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        found
    }
}

/// The last `n` lines before the cursor, the cursor's own (unfinished) line last. Each without its
/// line ending; consecutive, so that offsets can be counted back from the cursor.
pub(crate) fn last_lines(request: &PlanRequest, n: usize) -> Vec<&str> {
    let mut lines: Vec<&str> = request.prefix().rsplit('\n').take(n).collect();
    lines.reverse();
    lines
}
