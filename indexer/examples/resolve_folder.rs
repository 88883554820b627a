//! Parses a folder, resolves every occurrence, and prints what was found: how many names resolve
//! how surely, what extraction and resolution cost beside bare parsing, and a sample to look at.
//!
//! `cargo run --release -p fovea-indexer --example resolve_folder -- FOLDER [SAMPLE [SEED]]`
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program that reads files, measures and prints"
)]

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Instant};

use fovea_indexer::{
    FileId, Graph, Language,
    facts::Role,
    graph::{Certainty, FilePosition},
    parse::parse,
    text::LineIndex,
};

fn collect(folder: &Path, root: &Path, into: &mut Vec<(String, String)>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut entries: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            collect(&path, root, into);
        } else if Language::of_path(&name).is_some()
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            into.push((relative, text));
        }
    }
}

/// Resident bytes of this process, where the system says.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|n| n.parse::<usize>().ok()).unwrap_or(0) * 4096
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let root = arguments.next().expect("a folder");
    let n_sample: usize = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut seed: u64 = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut files = Vec::new();
    collect(Path::new(&root), Path::new(&root), &mut files);
    let code = |language| matches!(language, Some(Language::Rust | Language::Python));

    let before = resident();
    let start = Instant::now();
    let mut n_bytes = 0;
    for (path, text) in files.iter().filter(|(path, _)| code(Language::of_path(path))) {
        let mut parser = tree_sitter::Parser::new();
        let grammar = match Language::of_path(path) {
            Some(Language::Rust) => tree_sitter_rust::LANGUAGE,
            _ => tree_sitter_python::LANGUAGE,
        };
        parser.set_language(&grammar.into()).expect("grammar");
        n_bytes += text.len();
        assert!(parser.parse(text, None).is_some(), "{path}");
    }
    let bare = start.elapsed();

    let start = Instant::now();
    let mut changes = Vec::new();
    for (index, (path, text)) in files.iter().enumerate() {
        let language = Language::of_path(path).expect("collected by language");
        if code(Some(language)) || path.ends_with("Cargo.toml") {
            let facts = Arc::new(parse(language, text));
            changes.push((FileId(index as u32), path.clone(), Some(facts)));
        }
    }
    let extraction = start.elapsed();
    let start = Instant::now();
    let graph = Graph::empty().with_changes(&changes);
    let linking = start.elapsed();
    let held = resident().saturating_sub(before);

    let start = Instant::now();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let (mut n_occurrences, mut n_all) = (0, 0);
    let mut sample = Vec::new();
    for (file, ..) in &changes {
        let facts = graph.facts(*file).expect("just added");
        for (index, occurrence) in facts.occurrences.iter().enumerate() {
            n_all += 1;
            if occurrence.role == Role::Definition {
                continue;
            }
            n_occurrences += 1;
            let resolution = graph.resolve_occurrence(*file, index);
            let kind = match (resolution.candidates.first(), &resolution.external) {
                (Some(best), _) => match best.certainty {
                    Certainty::Exact => "exact",
                    Certainty::Inferred => "inferred",
                    Certainty::NameOnly => "name-only",
                },
                (None, Some(_)) => "external",
                (None, None) => "nothing",
            };
            *counts.entry(kind.to_owned()).or_default() += 1;
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            sample.push((seed, *file, index));
        }
    }
    let resolution = start.elapsed();
    println!("files {} bytes {n_bytes} occurrences {n_occurrences}", changes.len());
    println!("{counts:?}");
    println!(
        "bare {bare:?} extraction {extraction:?} graph {linking:?} resolution {resolution:?}: {:.2} x bare",
        (extraction + linking + resolution).as_secs_f64() / bare.as_secs_f64()
    );
    println!(
        "resident: {held} bytes for facts and name tables, {:.0} an occurrence of {n_all}",
        held as f64 / n_all.max(1) as f64
    );
    sample.sort_unstable();
    for (_, file, index) in sample.into_iter().take(n_sample) {
        let (path, text) = &files[file.0 as usize];
        let facts = graph.facts(file).expect("just added");
        let occurrence = facts.occurrences[index];
        let lines = LineIndex::new(text);
        let at = lines.line_col(occurrence.range.start);
        let line = lines.line_range(at.line).map_or("", |range| range.slice(text)).trim();
        let resolution = graph.resolve(FilePosition { file, offset: occurrence.range.start });
        let shown: Vec<String> = resolution
            .candidates
            .iter()
            .take(2)
            .map(|candidate| {
                let symbol = graph.symbol(candidate.symbol).expect("a candidate");
                let (path, text) = &files[candidate.symbol.file.0 as usize];
                let line = LineIndex::new(text).line_of(symbol.name_range.start) + 1;
                format!("{path}:{line} {} {:?}", symbol.kind.name(), candidate.certainty)
            })
            .collect();
        println!(
            "{path}:{} `{}` in `{line}`\n    -> {} {}",
            at.line + 1,
            occurrence.range.slice(text),
            shown.join(" | "),
            resolution.external.unwrap_or_default()
        );
    }
}
