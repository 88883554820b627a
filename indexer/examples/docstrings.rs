//! Scores search on documentation: the first sentence of a function's documentation is the query, the
//! function without its documentation is the answer; MRR@10 over 1,000 queries and 3,000 functions.
//!
//! `docstrings [--table FILE] [--embedder FOLDER] [--from N] [VECTOR,SENTENCE,MODEL ..]
//! FOLDER ..`: folders with Python and Rust sources. The sample depends on the texts alone. Triples of numbers are
//! further weights to try.

#![expect(clippy::disallowed_methods, reason = "an evaluation reads files and the clock")]
#![expect(clippy::print_stdout, reason = "the report")]

mod embedder;

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    sync::Arc,
    time::Instant,
};

use fovea_indexer::{
    Cancel, ContentHash, FileChange, IndexWriter, Language, Snapshot, Storage,
    facts::{SymbolFacts, SymbolKind},
    parse,
    rank::{SearchQuery, Weights},
    vfs::TextSource,
    writer::MemoryFacts,
};

use embedder::Embedders;

const N_FUNCTIONS: usize = 3_000;
const N_QUERIES: usize = 1_000;
/// Shorter sentences say nothing ("Returns it.").
const MIN_WORDS: usize = 4;
const MIN_LINES: usize = 3;

struct Texts(HashMap<String, Arc<str>>);

impl TextSource for Texts {
    fn read(&self, path: &str) -> Option<Arc<str>> {
        self.0.get(path).cloned()
    }
}

struct Function {
    key: ContentHash,
    query: String,
    code: String,
    extension: &'static str,
}

fn main() {
    let mut folders: Vec<String> = std::env::args().skip(1).collect();
    let embedders = Embedders::take(&mut folders);
    // Other queries over the same functions: weights were chosen on the first ones.
    let from = folders.iter().position(|option| option == "--from").map_or(0, |at| {
        let value = folders.drain(at..at + 2).nth(1).expect("--from has a value");
        value.parse().expect("--from is a number")
    });
    let weights = |text: &String| -> Option<(f32, f32, f32)> {
        let parts: Vec<f32> = text.split(',').map_while(|part| part.parse().ok()).collect();
        <[f32; 3]>::try_from(parts).ok().map(|[vector, sentence, model]| (vector, sentence, model))
    };
    let tried: Vec<(f32, f32, f32)> = folders.iter().filter_map(weights).collect();
    folders.retain(|folder| weights(folder).is_none());
    if folders.is_empty() {
        println!("usage: docstrings FOLDER ..");
        std::process::exit(2);
    }
    let mut functions = Vec::new();
    folders.iter().for_each(|folder| walk(Path::new(folder), &mut functions));
    let n_all = functions.len();
    functions.sort_by_key(|function| function.key.0);
    let mut seen = HashSet::new();
    functions.retain(|function| {
        seen.insert(function.query.clone()) && seen.insert(function.code.clone())
    });
    functions.truncate(N_FUNCTIONS);
    let n_queries = N_QUERIES.min(functions.len());
    println!("{n_all} documented functions, {} taken, {n_queries} queries", functions.len());

    let snapshot = index(&functions, &embedders);
    let queries: Vec<(usize, &Function)> =
        functions.iter().enumerate().skip(from).take(n_queries).collect();
    let shipped = Weights::default();
    let try_out = |name: &str, weights: &Weights| report(name, &snapshot, &queries, weights);
    try_out("BM25 of chunks", &Weights::lexical_only());
    try_out("+ names and structure", &Weights { vector: 0.0, model: 0.0, ..shipped });
    try_out("+ static vectors", &Weights { model: 0.0, ..shipped });
    if embedders.stronger.is_some() {
        try_out("+ the model's vectors", &shipped);
    }
    let plain = Weights { vector: 1.0, ..Weights::lexical_only() };
    try_out("BM25 + static vectors", &plain);
    try_out("static vectors alone", &Weights { lexical: 0.0, ..plain });
    for (vector, sentence, model) in tried {
        let plain = Weights { vector, sentence, model, ..Weights::lexical_only() };
        try_out(&format!("BM25, {vector} {sentence} {model}"), &plain);
        let weights = Weights { vector, sentence, model, ..shipped };
        try_out(&format!("structure, {vector} {sentence} {model}"), &weights);
    }
}

fn path(index: usize, function: &Function) -> String {
    format!("f{index:04}.{}", function.extension)
}

fn index(functions: &[Function], embedders: &Embedders) -> Snapshot {
    let named = functions.iter().enumerate();
    let texts: HashMap<String, Arc<str>> = named
        .map(|(index, function)| (path(index, function), function.code.as_str().into()))
        .collect();
    let saved = |(path, text): (&String, &Arc<str>)| FileChange::Saved {
        path: path.clone(),
        text: Arc::clone(text),
    };
    let changes: Vec<FileChange> = texts.iter().map(saved).collect();
    let source = Arc::new(Texts(texts));
    let facts = Arc::new(MemoryFacts::default());
    let table = Arc::clone(&embedders.table);
    let mut writer = IndexWriter::open(Storage::Memory, facts, source, table).expect("opens");
    writer.apply(changes, &mut |_| {}, &Cancel::never()).expect("indexed");
    writer.commit().expect("committed");
    embedders.fill(&mut writer);
    writer.snapshot()
}

fn report(name: &str, snapshot: &Snapshot, functions: &[(usize, &Function)], weights: &Weights) {
    let started = Instant::now();
    let (mut sum, mut n_first) = (0.0, 0);
    for (index, function) in functions {
        // A colon would read as a filter, a quotation as a phrase.
        let text = function.query.replace([':', '"'], " ");
        let query = SearchQuery { text, limit: 10, ..SearchQuery::default() };
        let Ok(results) = snapshot.search_with(&query, weights, &Cancel::never()) else { continue };
        let wanted = path(*index, function);
        let place = |hit: &fovea_indexer::rank::Hit| snapshot.path(hit.chunk.file) == wanted;
        if let Some(rank) = results.hits.iter().position(place) {
            sum += 1.0 / (rank + 1) as f64;
            n_first += usize::from(rank == 0);
        }
    }
    let n = functions.len() as f64;
    let micros = started.elapsed().as_micros() as f64 / n;
    println!(
        "{name:<32} MRR@10 {:.3}  first {:.3}  {micros:.0} us a query",
        sum / n,
        n_first as f64 / n
    );
}

fn walk(folder: &Path, functions: &mut Vec<Function>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut entries: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            walk(&path, functions);
            continue;
        }
        let extension = match path.extension().and_then(|extension| extension.to_str()) {
            Some("py") => "py",
            Some("rs") => "rs",
            _ => continue,
        };
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let language = if extension == "py" { Language::Python } else { Language::Rust };
        let facts = parse::parse(language, &text);
        let documented = facts.symbols.iter().filter_map(|symbol| {
            let (query, code) = split(symbol, &text, language)?;
            Some(Function { key: ContentHash::of(code.as_bytes()), query, code, extension })
        });
        functions.extend(documented);
    }
}

/// A function's first sentence of documentation, and its code without any of it.
fn split(symbol: &SymbolFacts, text: &str, language: Language) -> Option<(String, String)> {
    let is_function = matches!(symbol.kind, SymbolKind::Function | SymbolKind::Method);
    let query = symbol.doc.clone().filter(|_| is_function && !symbol.is_test)?;
    if query.split_whitespace().count() < MIN_WORDS || !query.is_ascii() {
        return None;
    }
    let whole = symbol.enclosing_range.slice(text);
    let code = match language {
        Language::Python => {
            let body = whole.find("):").or_else(|| whole.find(") ->"))?;
            let quotes = ["\"\"\"", "'''"];
            let (start, quote) =
                quotes.iter().filter_map(|q| Some((body + whole[body..].find(q)?, *q))).min()?;
            let end = start + 3 + whole[start + 3..].find(quote)? + 3;
            format!("{}{}", &whole[..start], &whole[end..])
        }
        _ => {
            let is_doc = |line: &&str| {
                let line = line.trim_start();
                !line.starts_with("///") && !line.starts_with("#[doc")
            };
            whole.lines().filter(is_doc).map(|line| format!("{line}\n")).collect()
        }
    };
    // The sentence must be gone: else the query would be found in its own answer.
    let n_lines = code.lines().filter(|line| !line.trim().is_empty()).count();
    (n_lines >= MIN_LINES && !code.contains(query.trim_end_matches('.'))).then_some((query, code))
}
