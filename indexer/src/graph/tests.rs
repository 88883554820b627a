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
    assert_eq!(graph.symbols_named("only"), [SymbolId { file: FileId(1), index: 1 }]);
    assert_eq!(graph.file_at("src/m3.rs"), None);
    assert_eq!(graph.file_at("src/m4.rs"), Some(FileId(4)));
    assert_eq!(graph.files().len(), 26);
    assert_eq!(graph.files_mentioning("f2"), []);
    assert_eq!(graph.files_mentioning("f3"), [FileId(2)]);
}

/// Everything the graph answers about every occurrence.
fn dump(graph: &Graph) -> Vec<(FilePosition, Resolution)> {
    let mut answers = Vec::new();
    for file in graph.files() {
        let facts = graph.facts(file).expect("a listed file");
        for (index, occurrence) in facts.occurrences.iter().enumerate() {
            let at = FilePosition { file, offset: occurrence.range.start };
            answers.push((at, graph.resolve_occurrence(file, index)));
        }
    }
    answers
}

#[test]
fn any_sequence_of_edits_equals_a_graph_built_from_scratch() {
    // Versions of a few files that depend on each other; a version of `None` is a deletion.
    let versions: &[(&str, &[Option<&str>])] = &[
        (
            "src/lib.rs",
            &[
                Some("mod a;\nmod b;\nuse a::Thing;\nfn f(t: Thing) { t.go(); b::run(); }\n"),
                Some("mod a;\npub use a::*;\nfn f(t: Thing) { t.go(); t.size; }\n"),
                Some("fn f() { a::broken( }\n"),
                None,
            ],
        ),
        (
            "src/a.rs",
            &[
                Some("pub struct Thing { pub size: u32 }\nimpl Thing { pub fn go(&self) {} }\n"),
                Some("pub use crate::b::Thing;\n"),
                Some("// first\npub enum Thing { One }\n"),
                None,
            ],
        ),
        (
            "src/b.rs",
            &[
                Some("pub struct Thing;\nimpl Thing { pub fn go(&self) {} }\npub fn run() {}\n"),
                Some("use super::a::Thing;\npub fn run() -> Thing { todo!() }\n"),
                None,
            ],
        ),
        (
            "Cargo.toml",
            &[
                Some("[package]\nname = \"one\"\n"),
                Some("[package]\nname = \"two\"\n[lib]\npath = \"src/a.rs\"\n"),
                None,
            ],
        ),
        ("tests/it.rs", &[Some("use one::Thing;\nfn t(x: Thing) { x.go(); }\n"), None]),
        ("tool.py", &[Some("def go(): pass\ngo()\n"), Some("import x\n"), None]),
    ];
    let mut seed = 7_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % below
    };
    let mut graph = Graph::empty();
    let mut now: Vec<Option<Arc<FileFacts>>> = vec![None; versions.len()];
    for step in 0..400 {
        let file = random(versions.len());
        let (path, texts) = versions[file];
        now[file] = texts[random(texts.len())].map(|text| facts_of(path, text));
        graph = graph.with_changes(&[(FileId(file as u32), path.to_owned(), now[file].clone())]);
        let whole: Vec<_> = now
            .iter()
            .enumerate()
            .filter(|(_, facts)| facts.is_some())
            .map(|(file, facts)| (FileId(file as u32), versions[file].0.to_owned(), facts.clone()))
            .collect();
        let scratch = Graph::empty().with_changes(&whole);
        // Asking at every other step leaves derived tables to be handed over, or not.
        if step % 2 == 0 {
            assert_eq!(dump(&graph), dump(&scratch), "after step {step}");
        }
    }
}
