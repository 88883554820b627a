//! Scores search on annotated questions: nDCG@10 by file, query latency, time to searchable.
//!
//! `retrieval DATA REPOS [root|repo] [--ablation | --tune | -v] [NAME=WEIGHT ..] [--table FILE]
//! [--embedder FOLDER]`: `DATA` holds `repos.json` and `annotations/NAME.json`, `REPOS` one checkout
//! a name.

#![expect(clippy::disallowed_methods, reason = "an evaluation reads files and the clock")]
#![expect(clippy::print_stdout, reason = "the report")]

mod embedder;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use fovea_indexer::{
    Cancel, FileChange, IndexWriter, Language, Snapshot, Storage,
    rank::{SearchQuery, Weights},
    vfs::TextSource,
    writer::MemoryFacts,
};
use serde_json::Value;

use embedder::Embedders;

struct Folder(PathBuf);

impl TextSource for Folder {
    fn read(&self, path: &str) -> Option<Arc<str>> {
        fs::read_to_string(self.0.join(path)).ok().map(Arc::from)
    }
}

struct Question {
    text: String,
    relevant: Vec<String>,
}

struct Repository {
    name: String,
    language: String,
    /// Prefix of the annotated paths below the indexed root.
    root: String,
    snapshot: Snapshot,
    questions: Vec<Question>,
    n_dropped: usize,
    index_ms: f64,
}

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let embedders = Embedders::take(&mut arguments);
    let [data, repos, options @ ..] = arguments.as_slice() else {
        println!(
            "usage: retrieval DATA REPOS [root|repo] [--ablation | --tune | -v] [NAME=WEIGHT ..]"
        );
        std::process::exit(2);
    };
    let has = |option: &str| options.iter().any(|given| given == option);
    let mut weights = Weights::default();
    for (name, value) in options.iter().filter_map(|option| option.split_once('=')) {
        *weight(&mut weights, name) = value.parse().expect("a weight is a number");
    }
    let scopes: &[&str] = match (has("root"), has("repo")) {
        (true, false) => &["root"],
        (false, true) => &["repo"],
        _ => &["root", "repo"],
    };
    let set = |scope: &&str| load(Path::new(data), Path::new(repos), scope, &embedders);
    let sets: Vec<Vec<Repository>> = scopes.iter().map(set).collect();
    if has("--tune") {
        tune(&sets, weights);
    } else if has("--ablation") {
        ablation(scopes, &sets, weights);
    } else {
        for (scope, set) in scopes.iter().zip(&sets) {
            println!("scope {scope}");
            report(set, &weights, has("-v"));
        }
    }
}

fn load(data: &Path, repos: &Path, scope: &str, embedders: &Embedders) -> Vec<Repository> {
    let listed: Value = json(&data.join("repos.json"));
    let listed = listed.as_array().expect("a list of repositories");
    let mut loaded = Vec::new();
    for entry in listed {
        let name = entry["name"].as_str().expect("a name");
        let folder = entry["root"].as_str().unwrap_or_default();
        let checkout = repos.join(name);
        if !checkout.is_dir() {
            println!("{name}: no checkout");
            continue;
        }
        let root = if scope == "root" { folder } else { "" };
        let top = checkout.join(root);
        let mut changes = Vec::new();
        walk(&top, &top, &mut changes);
        let n_bytes: usize = changes.iter().map(size).sum();
        let n_files = changes.len();
        let source = Arc::new(Folder(top));
        let facts = Arc::new(MemoryFacts::default());
        let started = Instant::now();
        let table = Arc::clone(&embedders.table);
        let mut writer =
            IndexWriter::open(Storage::Memory, facts, source, table).expect("an index in memory");
        writer.apply(changes, &mut |_| {}, &Cancel::never()).expect("indexed");
        let index_ms = ms(started.elapsed());
        writer.commit().expect("committed");
        let durable_ms = ms(started.elapsed());
        embedders.fill(&mut writer);
        let snapshot = writer.snapshot();
        println!(
            "{name} ({scope}): {n_files} files, {} chunks, {:.1} MB, searchable in {index_ms:.0} ms, durable in {:.0} ms",
            snapshot.stats().n_chunks,
            n_bytes as f64 / 1e6,
            durable_ms,
        );
        let mut n_dropped = 0;
        let mut questions = Vec::new();
        for question in
            json(&data.join(format!("annotations/{name}.json"))).as_array().expect("a list")
        {
            let paths = ["relevant", "secondary"].iter().filter_map(|key| question[key].as_array());
            let mut relevant: Vec<String> = Vec::new();
            for path in paths.flatten() {
                let path = path.as_str().or_else(|| path["path"].as_str()).expect("a path");
                if !relevant.iter().any(|known| known == path) {
                    relevant.push(path.to_owned());
                }
            }
            if relevant.iter().all(|path| !checkout.join(path).is_file()) {
                n_dropped += 1;
                continue;
            }
            let text = question["query"].as_str().expect("a query").to_owned();
            questions.push(Question { text, relevant });
        }
        loaded.push(Repository {
            name: name.to_owned(),
            language: entry["language"].as_str().unwrap_or_default().to_owned(),
            root: if root.is_empty() { String::new() } else { format!("{root}/") },
            snapshot,
            questions,
            n_dropped,
            index_ms,
        });
    }
    loaded
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn size(change: &FileChange) -> usize {
    match change {
        FileChange::Saved { text, .. } | FileChange::Edited { text, .. } => text.len(),
        FileChange::Removed { .. } | FileChange::Closed { .. } => 0,
    }
}

fn walk(top: &Path, folder: &Path, changes: &mut Vec<FileChange>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" {
                walk(top, &path, changes);
            }
        } else if Language::of_path(&name).is_some()
            && let Ok(text) = fs::read_to_string(&path)
            && text.len() < 1 << 20
        {
            let path = path.strip_prefix(top).expect("below the top").to_string_lossy();
            changes.push(FileChange::Saved { path: path.replace('\\', "/"), text: text.into() });
        }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Files of the ten best hits, and the time of the query.
fn ranked(repository: &Repository, question: &Question, weights: &Weights) -> (Vec<String>, f64) {
    let query = SearchQuery { text: question.text.clone(), limit: 10, ..SearchQuery::default() };
    let started = Instant::now();
    let found = repository.snapshot.search_with(&query, weights, &Cancel::never());
    let elapsed = ms(started.elapsed());
    let mut files = Vec::new();
    for hit in found.map(|results| results.hits).unwrap_or_default() {
        let path = format!("{}{}", repository.root, repository.snapshot.path(hit.chunk.file));
        if !files.contains(&path) {
            files.push(path);
        }
    }
    (files, elapsed)
}

fn ndcg(ranked: &[String], relevant: &[String]) -> f64 {
    let gain = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
    let found = ranked.iter().take(10).enumerate().filter(|(_, path)| relevant.contains(path));
    let ideal: f64 = (0..relevant.len().min(10)).map(gain).sum();
    found.map(|(rank, _)| gain(rank)).sum::<f64>() / ideal
}

fn mean_ndcg(repository: &Repository, weights: &Weights) -> f64 {
    let scores = repository
        .questions
        .iter()
        .map(|question| ndcg(&ranked(repository, question, weights).0, &question.relevant));
    scores.sum::<f64>() / repository.questions.len().max(1) as f64
}

fn mean(set: &[Repository], weights: &Weights) -> f64 {
    set.iter().map(|repository| mean_ndcg(repository, weights)).sum::<f64>()
        / set.len().max(1) as f64
}

fn report(set: &[Repository], weights: &Weights, is_verbose: bool) {
    let mut times = Vec::new();
    let mut sums: std::collections::BTreeMap<&str, (f64, usize)> = Default::default();
    for repository in set {
        let mut sum = 0.0;
        for question in &repository.questions {
            let (files, _) = ranked(repository, question, weights);
            times.push(
                (0..3).map(|_| ranked(repository, question, weights).1).fold(f64::MAX, f64::min),
            );
            let score = ndcg(&files, &question.relevant);
            sum += score;
            if is_verbose && score < 0.99 {
                println!(
                    "  {score:.2} {:?} want {:?} got {:?}",
                    question.text,
                    question.relevant,
                    &files[..files.len().min(5)]
                );
            }
        }
        let score = sum / repository.questions.len().max(1) as f64;
        println!(
            "{:<10} {:<7} nDCG@10 {score:.3} ({} questions, {} dropped, index {:.0} ms)",
            repository.name,
            repository.language,
            repository.questions.len(),
            repository.n_dropped,
            repository.index_ms
        );
        for key in ["all", repository.language.as_str()] {
            let entry = sums.entry(key).or_default();
            entry.0 += score;
            entry.1 += 1;
        }
    }
    for (key, (sum, n)) in sums {
        println!("mean {key:<8} {:.3}", sum / n as f64);
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("query p50 {:.2} ms, p95 {:.2} ms, max {:.2} ms", at(0.5), at(0.95), at(1.0));
}

fn ablation(scopes: &[&str], sets: &[Vec<Repository>], full: Weights) {
    let lexical = Weights::lexical_only();
    let files = Weights {
        file_body: full.file_body,
        file_sum: full.file_sum,
        file_names: full.file_names,
        names: full.names,
        path: full.path,
        repeat: full.repeat,
        ..lexical
    };
    let symbols = Weights { symbol: full.symbol, ..files };
    let reranked = Weights { vector: 0.0, model: 0.0, ..full };
    let embedded = Weights { model: 0.0, ..full };
    let steps = [
        ("BM25 of chunks", lexical),
        ("+ names, path and file coherence", files),
        ("+ definitions", symbols),
        ("+ roles of files", reranked),
        ("+ vectors", embedded),
        ("+ the model's vectors, if there is one", full),
    ];
    for (name, weights) in steps {
        let scores: Vec<String> = scopes
            .iter()
            .zip(sets)
            .map(|(scope, set)| format!("{scope} {:.3}", mean(set, &weights)))
            .collect();
        println!("{name:<36} {}", scores.join("  "));
    }
}

const NAMES: [&str; 20] = [
    "sentence",
    "model",
    "subject",
    "private",
    "vector",
    "symbol",
    "path",
    "names",
    "file_names",
    "file_body",
    "file_sum",
    "test",
    "doc",
    "example",
    "foreign",
    "legacy",
    "index",
    "data",
    "repeat",
    "lexical",
];

fn weight<'w>(weights: &'w mut Weights, name: &str) -> &'w mut f32 {
    match name {
        "lexical" => &mut weights.lexical,
        "vector" => &mut weights.vector,
        "model" => &mut weights.model,
        "sentence" => &mut weights.sentence,
        "symbol" => &mut weights.symbol,
        "path" => &mut weights.path,
        "subject" => &mut weights.subject,
        "private" => &mut weights.private,
        "names" => &mut weights.names,
        "file_names" => &mut weights.file_names,
        "file_body" => &mut weights.file_body,
        "file_sum" => &mut weights.file_sum,
        "test" => &mut weights.test,
        "doc" => &mut weights.doc,
        "example" => &mut weights.example,
        "foreign" => &mut weights.foreign,
        "legacy" => &mut weights.legacy,
        "index" => &mut weights.index,
        "data" => &mut weights.data,
        "repeat" => &mut weights.repeat,
        _ => panic!("no weight `{name}`; there are {}", NAMES.join(", ")),
    }
}

/// Coordinate ascent with coarse steps: enough for a table of a dozen weights and few questions.
fn tune(sets: &[Vec<Repository>], mut weights: Weights) {
    let score = |weights: &Weights| {
        sets.iter().map(|set| mean(set, weights)).sum::<f64>() / sets.len() as f64
    };
    let mut best = score(&weights);
    println!("start {best:.4}");
    for round in 0..3 {
        let before = best;
        for name in NAMES {
            for factor in [0.0, 0.5, 0.7, 1.4, 2.0] {
                let mut tried = weights;
                *weight(&mut tried, name) *= factor;
                let scored = score(&tried);
                // A gain below this is one question moving by a rank.
                if scored > best + 0.0015 {
                    println!(
                        "round {round}: {name} x {factor} -> {:.2}: {scored:.4}",
                        *weight(&mut tried, name)
                    );
                    best = scored;
                    weights = tried;
                }
            }
        }
        if best < before + 0.001 {
            break;
        }
    }
    println!("{weights:?}");
}
