//! Helpers for fixture tests of the graph, and tests of its storage.

use std::sync::Arc;

use super::*;
use crate::{FileFacts, Language, parse::parse};

/// A graph of a fixture's files, in order, and the texts.
pub(crate) struct Loaded {
    pub(crate) graph: Graph,
    pub(crate) fixture: fovea_test_support::Fixture,
}

pub(crate) fn facts_of(path: &str, text: &str) -> Arc<FileFacts> {
    Arc::new(parse(Language::of_path(path).unwrap_or(Language::Text), text))
}

pub(crate) fn load(text: &str, default_path: &str) -> Loaded {
    let fixture = fovea_test_support::parse(text, default_path);
    let changes: Vec<_> = fixture
        .files
        .iter()
        .enumerate()
        .map(|(index, file)| {
            (FileId(index as u32), file.path.clone(), Some(facts_of(&file.path, &file.text)))
        })
        .collect();
    Loaded { graph: Graph::empty().with_changes(&changes), fixture }
}

impl Loaded {
    pub(crate) fn cursor(&self) -> FilePosition {
        let (file, offset) = self.fixture.cursors[0];
        FilePosition { file: FileId(file as u32), offset: offset as u32 }
    }

    /// `/path line:col kind name`, one-based.
    pub(crate) fn show(&self, symbol: SymbolId) -> String {
        let facts = self.graph.symbol(symbol).expect("a symbol of this graph");
        let file = &self.fixture.files[symbol.file.0 as usize];
        let at = crate::text::LineIndex::new(&file.text).line_col(facts.name_range.start);
        format!(
            "/{} {}:{} {} {}",
            file.path,
            at.line + 1,
            at.col + 1,
            facts.kind.name(),
            facts.name
        )
    }

    /// The resolution at the cursor, one candidate a line with its certainty.
    pub(crate) fn definition(&self) -> String {
        let resolution = self.graph.resolve(self.cursor());
        let mut lines: Vec<String> = resolution
            .candidates
            .iter()
            .map(|c| format!("{} {:?}", self.show(c.symbol), c.certainty))
            .collect();
        lines.extend(resolution.external.map(|path| format!("external {path}")));
        lines.join("\n")
    }
}

#[test]
fn layers_answer_like_one_graph_built_from_scratch() {
    let texts = |n: u32| format!("fn f{n}() {{ f{}(); shared() }}\nfn shared() {{}}\n", n + 1);
    let mut graph = Graph::empty();
    for n in 0..40 {
        let path = format!("src/m{n}.rs");
        let facts = facts_of(&path, &texts(n));
        graph = graph.with_changes(&[(FileId(n), path, Some(facts))]);
    }
    for n in (0..40).step_by(3) {
        graph = graph.with_changes(&[(FileId(n), format!("src/m{n}.rs"), None)]);
    }
    let path = "src/m1.rs".to_owned();
    let last = facts_of(&path, "fn only() {}\n");
    graph = graph.with_changes(&[(FileId(1), path, Some(last))]);

    assert_eq!(graph.symbols_named("f1"), []);
    assert_eq!(graph.symbols_named("shared").len(), 25);
    assert_eq!(graph.symbols_named("only"), [SymbolId { file: FileId(1), index: 0 }]);
    assert_eq!(graph.file_at("src/m3.rs"), None);
    assert_eq!(graph.file_at("src/m4.rs"), Some(FileId(4)));
    assert_eq!(graph.files().len(), 26);
    assert_eq!(graph.files_mentioning("f2"), []);
    assert_eq!(graph.files_mentioning("f3"), [FileId(2)]);
}
