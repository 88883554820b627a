//! Applies random edits to a checkout in memory and compares the graph that grew with them to one
//! built from scratch: every occurrence must resolve alike.
//!
//! `cargo run --release -p fovea-indexer --example random_edits -- CHECKOUT [EDITS [EVERY [SEED]]]`
//!
//! An edit takes lines out, doubles, moves or glues them, so most versions are broken code. Every so
//! many edits both graphs are compared; in between one file is asked about, so that what is kept for
//! a snapshot is in use. One edit in 200 removes a file or brings it back.

#![expect(
    clippy::disallowed_methods,
    reason = "a program of its own: it reads files and the clock"
)]
#![expect(clippy::print_stdout, reason = "the figures are the output")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use fovea_indexer::{FileFacts, FileId, Graph, Language, graph::Resolution, parse::parse};

struct File {
    path: String,
    language: Language,
    text: String,
    facts: Option<Arc<FileFacts>>,
}

/// A small generator (Knuth's constants) so that a seed names a run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let root =
        PathBuf::from(args.next().expect("usage: random_edits CHECKOUT [EDITS [EVERY [SEED]]]"));
    let mut number = |default: usize| args.next().and_then(|n| n.parse().ok()).unwrap_or(default);
    let (n_edits, every, seed) = (number(1_000), number(100), number(1));
    let mut chance = Chance(seed as u64);
    let mut files = read(&root);
    assert!(!files.is_empty(), "no Rust or Python file below {}", root.display());
    let mut graph = Graph::empty().with_changes(&changes(&files));
    let (mut to_graph, mut to_answer) = (Vec::new(), Vec::new());
    let mut n_compared = 0;
    for edit in 1..=n_edits {
        let index = chance.below(files.len());
        let file = &mut files[index];
        let goes = chance.below(200) == 0;
        let text = if goes { String::new() } else { edited(&file.text, &mut chance) };
        let started = Instant::now();
        if goes {
            file.facts = match file.facts {
                Some(_) => None,
                None => Some(Arc::new(parse(file.language, &file.text))),
            };
        } else {
            file.text = text;
            file.facts = Some(Arc::new(parse(file.language, &file.text)));
        }
        let changed = (FileId(index as u32), file.path.clone(), file.facts.clone());
        graph = graph.with_changes(&[changed]);
        to_graph.push(started.elapsed());
        ask(&graph, index);
        to_answer.push(started.elapsed());
        if edit % every == 0 || edit == n_edits {
            let scratch = Graph::empty().with_changes(&changes(&files));
            for (index, file) in files.iter().enumerate() {
                let (grown, built) = (ask(&graph, index), ask(&scratch, index));
                assert!(grown == built, "edit {edit}, seed {seed}: {} differs", file.path);
                n_compared += grown.len();
            }
        }
    }
    println!(
        "{} files, {n_edits} edits, {n_compared} answers compared, all equal\n\
         edit to new graph (parsed, linked): {}\n\
         with every name of the file resolved: {}",
        files.len(),
        quantiles(&mut to_graph),
        quantiles(&mut to_answer)
    );
}

fn quantiles(spent: &mut [Duration]) -> String {
    spent.sort_unstable();
    let at = |share: usize| spent.get(spent.len() * share / 100).copied().unwrap_or_default();
    format!("p50 {:?}, p95 {:?}, p99 {:?}", at(50), at(95), at(99))
}

fn changes(files: &[File]) -> Vec<(FileId, String, Option<Arc<FileFacts>>)> {
    let changed = files.iter().enumerate();
    changed
        .filter(|(_, file)| file.facts.is_some())
        .map(|(index, file)| (FileId(index as u32), file.path.clone(), file.facts.clone()))
        .collect()
}

/// What every occurrence of a file means.
fn ask(graph: &Graph, index: usize) -> Vec<Resolution> {
    let file = FileId(index as u32);
    let n_occurrences = graph.facts(file).map_or(0, |facts| facts.occurrences.len());
    (0..n_occurrences).map(|occurrence| graph.resolve_occurrence(file, occurrence)).collect()
}

fn edited(text: &str, chance: &mut Chance) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    if lines.len() < 3 {
        return "fn f() {}\n".to_owned();
    }
    let first = chance.below(lines.len() - 1);
    let n = 1 + chance.below(6.min(lines.len() - first));
    match chance.below(4) {
        0 => drop(lines.drain(first..first + n)),
        1 => {
            let doubled = lines[first..first + n].to_vec();
            lines.splice(first..first, doubled);
        }
        2 => {
            let moved: Vec<&str> = lines.drain(first..first + n).collect();
            let to = chance.below(lines.len() + 1);
            lines.splice(to..to, moved);
        }
        _ => {
            let glued = lines[first..first + n].join(" ");
            let mut kept: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            kept.splice(first..first + n, [glued]);
            return kept.join("\n");
        }
    }
    // Doubling wins over taking out in the long run.
    lines.truncate(20_000);
    lines.join("\n")
}

fn read(root: &Path) -> Vec<File> {
    let mut paths = Vec::new();
    collect(root, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).ok()?;
        let name = path.strip_prefix(root).ok()?.to_string_lossy().replace('\\', "/");
        let language = Language::of_path(&name)?;
        let facts = Some(Arc::new(parse(language, &text)));
        Some(File { path: name, language, text, facts })
    };
    paths.into_iter().filter_map(read).collect()
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            collect(&path, into);
        } else if name == "Cargo.toml"
            || matches!(Language::of_path(&name), Some(Language::Rust | Language::Python))
        {
            into.push(path);
        }
    }
}
