//! Answers definition and reference queries about a checkout, one JSON line each, for scoring the
//! symbol graph: `resolve_symbols ROOT < requests`.
//!
//! A request is `{"task": "defs" | "refs", "file", "line", "col"}` with one-based line and column
//! (in characters); an answer is a list of `file:line` strings, best first. `--time` prints how
//! long parsing, extraction and resolution of every occurrence take instead.

#![expect(
    clippy::disallowed_methods,
    reason = "a program of its own: it reads files and the clock"
)]
#![expect(clippy::print_stdout, reason = "the answers are the output")]

use std::{
    io::BufRead,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use fovea_indexer::{
    Cancel, FileId, Language, SymbolId,
    graph::{FilePosition, Graph},
    parse,
    text::{LineCol, LineIndex},
};
use serde_json::{Value, json};

struct Checkout {
    files: Vec<(String, String, LineIndex)>,
    graph: Graph,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let root = PathBuf::from(args.next().expect("usage: resolve_symbols ROOT [--time]"));
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    let files: Vec<(String, String, LineIndex)> = paths
        .into_iter()
        .filter_map(|path| {
            let text = std::fs::read_to_string(&path).ok()?;
            let name = path.strip_prefix(&root).ok()?.to_string_lossy().into_owned();
            let lines = LineIndex::new(&text);
            Some((name, text, lines))
        })
        .collect();
    if args.next().as_deref() == Some("--time") {
        time(&files);
        return;
    }
    let graph = graph_of(&files);
    let checkout = Checkout { files, graph };
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let request: Value = serde_json::from_str(&line).expect("a request is one line of JSON");
        println!("{}", json!(checkout.answer(&request)));
    }
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !entry.file_name().to_string_lossy().starts_with('.') {
            collect(&path, into);
        } else if path.ends_with("Cargo.toml")
            || path.to_str().and_then(Language::of_path).is_some_and(|l| l != Language::Text)
        {
            into.push(path);
        }
    }
}

fn graph_of(files: &[(String, String, LineIndex)]) -> Graph {
    let changes: Vec<_> = files
        .iter()
        .enumerate()
        .map(|(index, (path, text, _))| {
            let language = Language::of_path(path).expect("only known languages were collected");
            let facts = Arc::new(parse::parse(language, text));
            (FileId(index as u32), path.clone(), Some(facts))
        })
        .collect();
    Graph::empty().with_changes(&changes)
}

impl Checkout {
    fn answer(&self, request: &Value) -> Vec<String> {
        let number = |key: &str| request[key].as_u64().unwrap_or(1) as u32;
        let path = request["file"].as_str().unwrap_or_default();
        let Some(index) = self.files.iter().position(|(name, ..)| name == path) else {
            return Vec::new();
        };
        let (_, text, lines) = &self.files[index];
        let at = LineCol { line: number("line") - 1, col: number("col") - 1 };
        let Some(offset) = lines.offset_of_chars(text, at) else { return Vec::new() };
        let file = FileId(index as u32);
        let resolution = self.graph.resolve(FilePosition { file, offset });
        if request["task"] == "refs" {
            let Some(found) = resolution.candidates.first() else { return Vec::new() };
            let references = self.graph.references(found.symbol, &Cancel::never());
            return references
                .iter()
                .map(|r| format!("{} {:?}", self.place(r.at.file, r.at.range.start), r.certainty))
                .collect();
        }
        resolution
            .candidates
            .iter()
            .map(|candidate| {
                format!("{} {:?}", self.definition(candidate.symbol), candidate.certainty)
            })
            .collect()
    }

    fn definition(&self, symbol: SymbolId) -> String {
        let facts = self.graph.symbol(symbol).expect("candidates are symbols of the graph");
        self.place(symbol.file, facts.name_range.start)
    }

    fn place(&self, file: FileId, offset: u32) -> String {
        let (path, _, lines) = &self.files[file.0 as usize];
        format!("{path}:{}", lines.line_of(offset) + 1)
    }
}

/// Bare parsing against extraction and resolution of everything, in one run, per language.
fn time(files: &[(String, String, LineIndex)]) {
    let python: Vec<_> =
        files.iter().filter(|(p, ..)| Language::of_path(p) == Some(Language::Python)).collect();
    let bytes: usize = python.iter().map(|(_, text, _)| text.len()).sum();
    let started = Instant::now();
    for (_, text, _) in &python {
        let mut parser = tree_sitter::Parser::new();
        let grammar = tree_sitter::Language::new(tree_sitter_python::LANGUAGE);
        parser.set_language(&grammar).expect("the grammar fits the library");
        std::hint::black_box(parser.parse(text, None));
    }
    let bare = started.elapsed();
    let started = Instant::now();
    let facts: Vec<_> =
        python.iter().map(|(_, text, _)| Arc::new(parse::parse(Language::Python, text))).collect();
    let extracted = started.elapsed();
    let started = Instant::now();
    let changes: Vec<_> = python
        .iter()
        .zip(facts)
        .enumerate()
        .map(|(index, ((path, ..), facts))| (FileId(index as u32), path.clone(), Some(facts)))
        .collect();
    let graph = Graph::empty().with_changes(&changes);
    let linked = started.elapsed();
    let started = Instant::now();
    let (mut n_occurrences, mut n_resolved, mut stored) = (0, 0, 0);
    for file in graph.files() {
        let facts = graph.facts(file).expect("listed");
        stored += postcard::to_allocvec(&facts.resolver).map_or(0, |bytes| bytes.len());
        n_occurrences += facts.occurrences.len();
        for index in 0..facts.occurrences.len() {
            let resolution = graph.resolve_occurrence(file, index);
            n_resolved += usize::from(!resolution.candidates.is_empty());
        }
    }
    let resolved = started.elapsed();
    println!(
        "{} files, {bytes} bytes, {n_occurrences} occurrences ({n_resolved} in the project), \
         resolver facts {stored} bytes stored; bare parse {bare:?}, parse + extract {extracted:?} \
         ({:.2} x), link {linked:?}, resolve all {resolved:?} ({:.2} x)",
        python.len(),
        extracted.as_secs_f64() / bare.as_secs_f64(),
        resolved.as_secs_f64() / bare.as_secs_f64(),
    );
}
