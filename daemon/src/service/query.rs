//! Questions about one workspace, answered from its newest snapshot.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use fovea_api::{Answer, ApiError, At, CompletionItem, Encoding, ErrorCode, OutlineText};
use fovea_context::{Estimate, OutlineFocus, PlanRequest, outline, ranked_offers};
use fovea_indexer::{
    Cancel, FileId, Snapshot, SymbolId,
    facts::{Role, SymbolFacts},
    graph::{Candidate, Certainty, Edge, FilePosition, FileRange, Reference},
    text::{ByteRange, LineCol, LineIndex},
};

use super::{
    Running, Session,
    views::{Views, certainty_name, location, one_line},
};
use crate::engine::{Asked, Standing, Workspace};

/// A question waits this long for the first snapshot, and for an edit to be indexed.
const FIRST_SNAPSHOT: Duration = Duration::from_secs(30);
const EDIT: Duration = Duration::from_millis(500);

/// Text of one page of a dump: half a frame, as JSON escapes its line ends.
const DUMP_PAGE_BYTES: usize = 16 << 20;

/// One question's view of its workspace.
pub(super) struct Query<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) cancel: Cancel,
    /// The client that asks: its own open documents count before those of others.
    session: u64,
    pub(super) client: Arc<Session>,
    /// Open documents that the question is about, as they were when it was asked.
    asked: Vec<Asked>,
}

/// A cursor in a text that was checked against it.
pub(super) struct Place {
    /// `None` for an open document that is not indexed yet.
    pub(super) file: Option<FileId>,
    pub(super) text: Arc<str>,
    pub(super) offset: u32,
}

type Result<T> = std::result::Result<T, ApiError>;

impl<'a> Query<'a> {
    /// `edited` is the document the question is about: its newest text is waited for.
    pub(super) fn new(
        workspace: &'a Workspace,
        running: &Running,
        edited: Option<&str>,
    ) -> Result<Self> {
        let newest = Self::of_index(workspace, running, edited)?;
        // Positions are those of the texts that the client has.
        let snapshot = workspace.seen_by(newest.session, newest.snapshot);
        let this = Self { snapshot, ..newest };
        if let Some(path) = edited {
            this.check_version(path)?;
        }
        Ok(this)
    }

    /// About what is indexed, whoever asks: of texts that several clients have, the newest.
    pub(super) fn of_index(
        workspace: &'a Workspace,
        running: &Running,
        edited: Option<&str>,
    ) -> Result<Self> {
        let cancel = running.cancel();
        let latest = Instant::now() + FIRST_SNAPSHOT;
        let deadline = running.deadline().map_or(latest, |deadline| deadline.min(latest));
        let Some(mut snapshot) = workspace.snapshot(&cancel, deadline) else {
            if running.is_cancelled() {
                return Err(super::cancelled());
            }
            let root = workspace.root().display();
            let message = match workspace.failure() {
                Some(failure) => format!("`{root}` is not indexed: {failure}"),
                None => format!("`{root}` is still being opened; ask again in a moment"),
            };
            return Err(ApiError { code: ErrorCode::Unavailable, message });
        };
        if let Some(path) = edited {
            workspace.wait_for_edit(path, &cancel, deadline.min(Instant::now() + EDIT));
            snapshot = workspace.snapshot(&cancel, deadline).unwrap_or(snapshot);
        }
        let client = Arc::clone(running.session());
        let (session, asked) = (client.id(), running.asked_documents().to_vec());
        Ok(Self { workspace, snapshot, cancel, session, client, asked })
    }

    fn asked(&self, path: &str) -> Option<&Asked> {
        self.asked.iter().find(|asked| asked.path == path)
    }

    /// Fails if the snapshot has another text of `path` than the client had when it asked: its
    /// positions would be those of a text the client has not, or no longer.
    fn check_version(&self, path: &str) -> Result<()> {
        self.check_refusal(path)?;
        let Some(asked) = self.asked(path) else { return Ok(()) };
        let indexed = self.snapshot.file(path).and_then(|file| self.snapshot.text(file));
        if indexed.is_some_and(|text| *text == *asked.text) {
            return Ok(());
        }
        let message = match self.workspace.standing(self.session, asked) {
            // Hidden only since the snapshot was taken.
            Standing::Hidden | Standing::Changed => {
                format!("`{path}` was changed since the question; ask again")
            }
            Standing::Current => {
                format!("the newest text of `{path}` is not indexed yet; ask again")
            }
        };
        Err(ApiError { code: ErrorCode::Modified, message })
    }

    /// Fails if this client's own text of `path` was not taken: no other text is what it sees.
    fn check_refusal(&self, path: &str) -> Result<()> {
        let Some(reason) = self.workspace.refusal(self.session, path) else { return Ok(()) };
        let message = format!("`{path}` as you have it open is not indexed: {reason}");
        Err(ApiError { code: ErrorCode::Refused, message })
    }

    pub(super) fn views(&self) -> Views<'_> {
        Views::new(&self.snapshot)
    }

    /// Checks that `path` is one of ours and returns its file.
    pub(super) fn file(&self, path: &str) -> Result<FileId> {
        check_path(path)?;
        self.snapshot.file(path).ok_or_else(|| self.not_indexed(path))
    }

    fn not_indexed(&self, path: &str) -> ApiError {
        let why = self.workspace.why(path);
        let reason = why.reason.unwrap_or_else(|| "it is not in the index".into());
        let code = if why.outcome == "skipped" { ErrorCode::Refused } else { ErrorCode::NotFound };
        ApiError { code, message: format!("`{path}` is not indexed: {reason}") }
    }

    /// The text a cursor is in, as the user sees it: the document as this client has it open, as
    /// another has, or else the saved text.
    pub(super) fn place(&self, at: &At) -> Result<Place> {
        check_path(&at.path)?;
        self.check_refusal(&at.path)?;
        let file = self.snapshot.file(&at.path);
        let own = self.asked(&at.path).map(|asked| Arc::clone(&asked.text));
        let text = match own.or_else(|| self.workspace.document(self.session, &at.path)) {
            Some(text) => text,
            None => match file.and_then(|file| self.snapshot.text(file)) {
                Some(text) => text,
                // Saved a moment ago, or excluded.
                None => self.workspace.read(&at.path).map_err(|_| self.not_indexed(&at.path))?,
            },
        };
        if file.is_none()
            && let Some(rule) = self.workspace.rules().why_excluded(&at.path)
        {
            let message = format!("`{}` is excluded: {rule}", at.path);
            return Err(ApiError { code: ErrorCode::Refused, message });
        }
        let offset = offset(at, &text)?;
        Ok(Place { file, text, offset })
    }

    pub(super) fn dump(&self, after: Option<&str>, path: Option<&str>) -> Result<Answer> {
        if let Some(path) = path {
            let text = self.snapshot.dump_file(path).ok_or_else(|| self.not_indexed(path))?;
            return Ok(Answer::Dump { text, next: None });
        }
        let page = self.snapshot.dump(after, DUMP_PAGE_BYTES);
        Ok(Answer::Dump { text: page.text, next: page.next })
    }

    pub(super) fn position(&self, at: &At) -> Result<FilePosition> {
        let place = self.place(at)?;
        let file = place.file.ok_or_else(|| self.not_indexed(&at.path))?;
        Ok(FilePosition { file, offset: place.offset })
    }

    pub(super) fn definition(&self, at: &At) -> Result<Answer> {
        let position = self.position(at)?;
        let resolution = self.snapshot.graph().resolve(position);
        let symbols = self.symbols(&resolution.candidates);
        Ok(Answer::Definitions { symbols, external: resolution.external })
    }

    pub(super) fn symbols(&self, candidates: &[Candidate]) -> Vec<fovea_api::SymbolView> {
        let views = self.views();
        candidates.iter().filter_map(|c| views.symbol(c.symbol, c.certainty)).collect()
    }

    /// The symbol meant at a cursor: what its occurrence resolves to, or the definition itself.
    pub(super) fn symbol_at(&self, at: &At) -> Result<Option<Candidate>> {
        let position = self.position(at)?;
        Ok(self.snapshot.graph().resolve(position).candidates.first().copied())
    }

    pub(super) fn references(&self, at: &At, include_definition: bool) -> Result<Answer> {
        let Some(of) = self.symbol_at(at)? else {
            return Ok(Answer::References { of: None, references: Vec::new() });
        };
        let views = self.views();
        let references = self.snapshot.graph().references(of.symbol, &self.cancel);
        let mut references: Vec<_> = references
            .iter()
            .filter(|r| include_definition || r.role != Role::Definition)
            .map(|reference| views.reference(reference))
            .collect();
        let definition = self.snapshot.graph().symbol(of.symbol).map(|symbol| Reference {
            at: FileRange { file: of.symbol.file, range: symbol.name_range },
            role: Role::Definition,
            certainty: Certainty::Exact,
            enclosing: None,
        });
        // Not every language's graph counts the definition's own name as an occurrence.
        if include_definition && let Some(definition) = definition {
            let definition = views.reference(&definition);
            if references.iter().all(|other| other.location != definition.location) {
                references.insert(0, definition);
            }
        }
        Ok(Answer::References { of: views.symbol(of.symbol, of.certainty), references })
    }

    pub(super) fn implementations(&self, at: &At) -> Result<Answer> {
        let found = match self.symbol_at(at)? {
            Some(of) => self.snapshot.graph().implementations(of.symbol, &self.cancel),
            None => Vec::new(),
        };
        Ok(Answer::Definitions { symbols: self.symbols(&found), external: None })
    }

    pub(super) fn callers(&self, at: &At) -> Result<Answer> {
        self.edges(at, |of| self.snapshot.graph().callers(of, &self.cancel), |edge| edge.from)
    }

    pub(super) fn callees(&self, at: &At) -> Result<Answer> {
        self.edges(at, |of| self.snapshot.graph().callees(of, &self.cancel), |edge| edge.to)
    }

    pub(super) fn edges(
        &self,
        at: &At,
        edges: impl Fn(SymbolId) -> Vec<Edge>,
        other: impl Fn(&Edge) -> SymbolId,
    ) -> Result<Answer> {
        let Some(of) = self.symbol_at(at)? else {
            return Ok(Answer::Edges { of: None, edges: Vec::new() });
        };
        let views = self.views();
        let edges = edges(of.symbol);
        let edges = edges.iter().filter_map(|edge| views.edge(edge, other(edge))).collect();
        Ok(Answer::Edges { of: views.symbol(of.symbol, of.certainty), edges })
    }

    pub(super) fn workspace_symbols(&self, query: &str, limit: usize) -> Answer {
        let views = self.views();
        // Local names fit as well and are not asked for: ask for more, so that enough are left.
        let found = self.snapshot.symbols_matching(query, limit.saturating_mul(4));
        let is_listed = |id: &SymbolId| {
            let symbol = self.snapshot.graph().symbol(*id);
            symbol.is_some_and(|symbol| !symbol.is_local() && !symbol.name.is_empty())
        };
        let found = found.iter().filter(|(id, _)| is_listed(id)).take(limit);
        let symbols = found.filter_map(|(id, _)| views.symbol(*id, Certainty::Exact));
        Answer::Symbols(symbols.collect())
    }

    pub(super) fn document_symbols(&self, path: &str) -> Result<Answer> {
        let file = self.file(path)?;
        let views = self.views();
        let facts = self.snapshot.facts(file).ok_or_else(|| self.not_indexed(path))?;
        // The file as a module has no name and is what was asked about.
        let is_listed = |symbol: &SymbolFacts| symbol.kind.is_outline() && !symbol.name.is_empty();
        let symbols = facts.symbols.iter().enumerate().filter(|(_, s)| is_listed(s));
        let ids = symbols.map(|(index, _)| SymbolId { file, index: index as u32 });
        Ok(Answer::Symbols(ids.filter_map(|id| views.symbol(id, Certainty::Exact)).collect()))
    }

    pub(super) fn outline(&self, budget_tokens: usize, focus: Option<&At>) -> Result<Answer> {
        let focus = match focus {
            Some(at) => OutlineFocus::At(self.position(at)?),
            None => OutlineFocus::Workspace,
        };
        let outline = outline(&self.snapshot, budget_tokens, &focus, &Estimate);
        Ok(Answer::Outline(OutlineText {
            text: outline.text,
            n_tokens: outline.n_tokens,
            n_files_shown: outline.n_files_shown,
            n_files: outline.n_files,
        }))
    }

    pub(super) fn offers(&self, at: &At, limit: usize, with_imports: bool) -> Result<Answer> {
        let place = self.place(at)?;
        let Some(file) = place.file else { return Ok(Answer::Offers(Vec::new())) };
        let text = Arc::clone(&place.text);
        let request = PlanRequest::new(at.path.as_str(), text, place.offset as usize);
        let offers = ranked_offers(&self.snapshot, &request);
        let is_member = offers.is_member;
        let views = self.views();
        let lines = LineIndex::new(&place.text);
        let partial = ByteRange::new(offers.partial.start, offers.partial.end.max(place.offset));
        let replace = location(&at.path, &place.text, &lines, partial);
        let typed = offers.partial.slice(&place.text).to_lowercase();
        let items: Vec<_> = offers
            .items
            .into_iter()
            .filter(|offer| offer.name.to_lowercase().starts_with(&typed))
            .collect();
        let known: HashSet<String> = items.iter().map(|offer| offer.name.clone()).collect();
        let items = items.into_iter().take(limit).map(|offer| {
            let symbol = offer.symbol.and_then(|id| views.symbol(id, offer.certainty));
            CompletionItem {
                label: offer.name,
                kind: symbol.as_ref().map(|s| s.kind.clone()).unwrap_or_default(),
                detail: symbol.as_ref().map(|s| one_line(&s.signature)).unwrap_or_default(),
                doc: symbol.as_ref().and_then(|s| s.doc.clone()),
                certainty: certainty_name(offer.certainty).to_owned(),
                path: symbol.map(|s| s.location.path),
                replace: replace.clone(),
                import: None,
            }
        });
        let mut items: Vec<CompletionItem> = items.collect();
        if with_imports && !is_member {
            let room = limit.saturating_sub(items.len());
            items.extend(self.importable(file, &place, &typed, &known, &replace, room));
        }
        Ok(Answer::Offers(items))
    }
}

fn bad_request(message: String) -> ApiError {
    ApiError { code: ErrorCode::BadRequest, message }
}

/// Paths on the wire are relative to the root, `/`-separated, and stay below it.
pub(super) fn check_path(path: &str) -> Result<()> {
    let is_below = !path.is_empty()
        && !path.starts_with('/')
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if is_below {
        return Ok(());
    }
    let message = format!("`{path}` lies outside the workspace; give a path below its root");
    Err(ApiError { code: ErrorCode::Refused, message })
}

/// The byte offset of a cursor. Editors' columns are clamped to the line, as their protocol says; a
/// person's are not, because a wrong column is a typing mistake.
fn offset(at: &At, text: &str) -> Result<u32> {
    let lines = LineIndex::new(text);
    let position = LineCol { line: at.line, col: at.column };
    let found = match at.encoding {
        Encoding::Utf8 => lines.offset(text, position),
        Encoding::Utf16 => lines.offset_of_utf16(text, position),
        Encoding::Utf32 => lines.offset_of_chars(text, position),
    };
    let (path, line) = (&at.path, at.line.saturating_add(1));
    let Some(offset) = found else {
        let n_lines = lines.n_lines();
        return Err(bad_request(format!(
            "line {line} is past the end of `{path}`, which has {n_lines} lines"
        )));
    };
    if at.encoding == Encoding::Utf32 {
        let start = lines.line_range(at.line).map_or(0, |line| line.start);
        let n_chars = ByteRange::new(start, offset).slice(text).chars().count() as u32;
        if at.column > n_chars {
            return Err(bad_request(format!(
                "column {} is past the end of line {line} of `{path}`; its last is {}",
                at.column.saturating_add(1),
                n_chars + 1
            )));
        }
    }
    Ok(offset)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check_offset(text: &str, line: u32, column: u32, encoding: Encoding, expected: Expect) {
        let at = At { path: "a.rs".into(), line, column, encoding };
        expected.assert_eq(&match offset(&at, text) {
            Ok(offset) => offset.to_string(),
            Err(err) => err.message,
        });
    }

    #[test]
    fn a_persons_cursor_outside_the_file_is_an_error_that_says_where_the_file_ends() {
        check_offset(
            "ab\ncd",
            7,
            0,
            Encoding::Utf32,
            expect!["line 8 is past the end of `a.rs`, which has 2 lines"],
        );
        check_offset(
            "ab\ncd",
            1,
            9,
            Encoding::Utf32,
            expect!["column 10 is past the end of line 2 of `a.rs`; its last is 3"],
        );
        check_offset("ab\ncd", 1, 2, Encoding::Utf32, expect!["5"]);
        check_offset("ab\ncd", 1, 9, Encoding::Utf16, expect!["5"]);
    }

    #[test]
    fn only_paths_below_the_root_are_taken() {
        for path in ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a"] {
            assert!(check_path(path).is_err(), "{path}");
        }
        assert_eq!(check_path("a/b.rs"), Ok(()));
    }
}
