//! Ids and byte ranges of a snapshot to what goes over the wire.

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use fovea_api::{GraphEdgeView, Location, ReferenceView, SymbolView};
use fovea_indexer::{
    FileId, Language, Snapshot, SymbolId,
    facts::{Role, SymbolFacts},
    graph::{Certainty, Edge, EdgeKind, Reference},
    text::{ByteRange, LineIndex},
};

type Text = Option<Arc<(Arc<str>, LineIndex)>>;

/// Converts for one answer; reads each file's text once.
pub(super) struct Views<'a> {
    snapshot: &'a Snapshot,
    texts: RefCell<HashMap<FileId, Text>>,
}

impl<'a> Views<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, texts: RefCell::default() }
    }

    fn text(&self, file: FileId) -> Text {
        let mut texts = self.texts.borrow_mut();
        let read = || {
            let text = self.snapshot.text(file)?;
            let lines = LineIndex::new(&text);
            Some(Arc::new((text, lines)))
        };
        texts.entry(file).or_insert_with(read).clone()
    }

    /// False if the file changed on disk since it was indexed.
    pub(super) fn has_text(&self, file: FileId) -> bool {
        self.text(file).is_some()
    }

    /// Lines and columns are zero if the file changed on disk since it was indexed.
    pub(super) fn location(&self, file: FileId, range: ByteRange) -> Location {
        let path = self.snapshot.path(file);
        match self.text(file) {
            Some(text) => location(path, &text.0, &text.1, range),
            None => Location {
                start_byte: range.start,
                end_byte: range.end,
                ..Location::at_start_of(path)
            },
        }
    }

    pub(super) fn slice(&self, file: FileId, range: ByteRange) -> String {
        self.text(file).map(|text| range.slice(&text.0).to_owned()).unwrap_or_default()
    }

    /// The bytes of lines `first..last`, as far as the file has them; `None` if it changed on disk.
    pub(super) fn lines(&self, file: FileId, first: u32, last: u32) -> Option<ByteRange> {
        let text = self.text(file)?;
        let n_lines = text.1.n_lines();
        let start = |line: u32| text.1.line_range(line).map(|range| range.start);
        let end = text.0.len() as u32;
        let from = start(first.min(n_lines)).unwrap_or(end);
        let to = start(last.min(n_lines)).unwrap_or(end);
        Some(ByteRange::new(from, to.max(from)))
    }

    fn line(&self, file: FileId, offset: u32) -> String {
        let Some(text) = self.text(file) else { return String::new() };
        let line = text.1.line_range(text.1.line_of(offset));
        line.map(|line| line.slice(&text.0).trim_end().to_owned()).unwrap_or_default()
    }

    pub(super) fn symbol(&self, id: SymbolId, certainty: Certainty) -> Option<SymbolView> {
        let facts = self.snapshot.facts(id.file)?;
        let symbol = facts.symbols.get(id.index as usize)?;
        let parents = parents(&facts.symbols, symbol);
        let separator = if facts.language == Language::Rust { "::" } else { "." };
        let depth = parents.len() as u32;
        let container: Vec<&str> =
            parents.iter().rev().map(|parent| parent.name.as_str()).collect();
        Some(SymbolView {
            name: symbol.name.clone(),
            kind: symbol.kind.name().to_owned(),
            container: container.join(separator),
            location: self.location(id.file, symbol.name_range),
            enclosing: self.location(id.file, symbol.enclosing_range),
            signature: one_line(&self.slice(id.file, symbol.signature_range)),
            doc: symbol.doc.clone(),
            certainty: certainty_name(certainty).to_owned(),
            depth,
        })
    }

    pub(super) fn reference(&self, reference: &Reference) -> ReferenceView {
        let enclosing = reference.enclosing.and_then(|id| self.symbol_name(id));
        ReferenceView {
            location: self.location(reference.at.file, reference.at.range),
            role: role_name(reference.role).to_owned(),
            certainty: certainty_name(reference.certainty).to_owned(),
            enclosing,
            line_text: self.line(reference.at.file, reference.at.range.start),
        }
    }

    /// The edge as seen from the other end: `symbol` is the one that was not asked about.
    pub(super) fn edge(&self, edge: &Edge, symbol: SymbolId) -> Option<GraphEdgeView> {
        Some(GraphEdgeView {
            symbol: self.symbol(symbol, edge.certainty)?,
            kind: edge_name(edge.kind).to_owned(),
            certainty: certainty_name(edge.certainty).to_owned(),
            at: edge.at.map(|at| self.location(at.file, at.range)),
        })
    }

    pub(super) fn symbol_name(&self, id: SymbolId) -> Option<String> {
        let facts = self.snapshot.facts(id.file)?;
        facts.symbols.get(id.index as usize).map(|symbol| symbol.name.clone())
    }
}

/// Enclosing symbols, innermost first.
fn parents<'a>(symbols: &'a [SymbolFacts], symbol: &SymbolFacts) -> Vec<&'a SymbolFacts> {
    let mut parents = Vec::new();
    let mut next = symbol.parent;
    while let Some(parent) = next.and_then(|index| symbols.get(index as usize)) {
        // The file's own module has no name in its text.
        if !parent.name.is_empty() {
            parents.push(parent);
        }
        next = parent.parent;
    }
    parents
}

pub(super) fn location(path: &str, text: &str, lines: &LineIndex, range: ByteRange) -> Location {
    let (start, end) = (lines.utf16(text, range.start), lines.utf16(text, range.end));
    Location {
        path: path.to_owned(),
        start_line: start.line,
        start_column: start.col,
        end_line: end.line,
        end_column: end.col,
        start_byte: range.start,
        end_byte: range.end,
    }
}

/// A signature over several lines, as one.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(super) fn certainty_name(certainty: Certainty) -> &'static str {
    match certainty {
        Certainty::Exact => "exact",
        Certainty::Inferred => "inferred",
        Certainty::NameOnly => "name-only",
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Definition => "definition",
        Role::Reference => "reference",
        Role::Call => "call",
        Role::Import => "import",
        Role::Type => "type",
        Role::Write => "write",
    }
}

pub(super) fn edge_name(kind: EdgeKind) -> &'static str {
    match kind {
        EdgeKind::References => "references",
        EdgeKind::Calls => "calls",
        EdgeKind::Imports => "imports",
        EdgeKind::Contains => "contains",
        EdgeKind::Implements => "implements",
        EdgeKind::Overrides => "overrides",
        EdgeKind::TypeOf => "type-of",
        EdgeKind::Tests => "tests",
        EdgeKind::Documents => "documents",
    }
}
