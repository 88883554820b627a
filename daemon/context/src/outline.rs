//! The repository map: workspace > folder > file > symbol, in as many tokens as the reader has.
//!
//! Files are ranked by how close they are to the focus (a cursor or the symbols of a query), or,
//! without one, by how much of the project uses what they define. Detail is spent top down: every
//! shown file gets a line, then the best files get their symbols, then those get members.

use fovea_indexer::{
    FileFacts, FileId, Language, Snapshot, SymbolId,
    facts::{Role, SymbolKind},
    graph::FilePosition,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::{sources::contracts, tokens::TokenCounter};

/// Symbols that rank lends from its neighborhood.
const N_NEIGHBORS: usize = 200;

/// A repository map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    pub text: String,
    pub n_tokens: usize,
    pub n_files_shown: usize,
    pub n_files: usize,
}

/// What the outline is drawn around.
#[derive(Clone, Debug, Default)]
pub enum OutlineFocus {
    /// The whole repository.
    #[default]
    Workspace,
    /// What is close to a cursor.
    At(FilePosition),
    /// What is close to these symbols (of a query).
    Symbols(Vec<SymbolId>),
}

/// How much of a file is shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    /// Path and first sentence of the documentation.
    Line,
    /// Signatures of the public top-level symbols.
    Symbols,
    /// Members as well.
    Members,
}

/// Draws the map in at most `budget_tokens`.
#[must_use]
pub fn outline(
    snapshot: &Snapshot,
    budget_tokens: usize,
    focus: &OutlineFocus,
    counter: &dyn TokenCounter,
) -> Outline {
    let ranked = rank(snapshot, focus);
    let n_files = ranked.len();
    let mut shown: Vec<(FileId, Detail, usize)> = Vec::new();
    let mut left = budget_tokens;
    // Lines for as many files as half the budget holds, then symbols, then members, best first.
    for (file, _) in &ranked {
        let n_tokens = counter.count(&file_text(snapshot, *file, Detail::Line));
        if n_tokens <= left && (left - n_tokens) * 2 >= budget_tokens || shown.is_empty() {
            left = left.saturating_sub(n_tokens);
            shown.push((*file, Detail::Line, n_tokens));
        } else {
            break;
        }
    }
    for detail in [Detail::Symbols, Detail::Members] {
        for entry in &mut shown {
            let n_tokens = counter.count(&file_text(snapshot, entry.0, detail));
            let extra = n_tokens.saturating_sub(entry.2);
            if extra <= left {
                left -= extra;
                entry.1 = detail;
                entry.2 = n_tokens;
            } else if left < 16 {
                break;
            }
        }
    }
    shown.sort_by(|a, b| snapshot.path(a.0).cmp(snapshot.path(b.0)));
    let mut text: String =
        shown.iter().map(|(file, detail, _)| file_text(snapshot, *file, *detail)).collect();
    // Parts were counted one by one; together they may come to a few tokens more.
    let mut n_tokens = counter.count(&text);
    while n_tokens > budget_tokens && !text.is_empty() {
        let end = text.trim_end_matches('\n').rfind('\n').map_or(0, |at| at + 1);
        text.truncate(end);
        n_tokens = counter.count(&text);
    }
    Outline { n_tokens, n_files_shown: shown.len(), n_files, text }
}

/// Files that belong on a map, best first.
fn rank(snapshot: &Snapshot, focus: &OutlineFocus) -> Vec<(FileId, f32)> {
    let mut score: FxHashMap<FileId, f32> = FxHashMap::default();
    for file in snapshot.files() {
        if let Some(facts) = snapshot.facts(file).filter(|facts| is_mapped(facts)) {
            score.insert(file, base_score(snapshot.path(file), facts));
        }
    }
    let seeds = match focus {
        OutlineFocus::Workspace => Vec::new(),
        OutlineFocus::Symbols(symbols) => symbols.clone(),
        OutlineFocus::At(at) => seeds_at(snapshot, *at),
    };
    if seeds.is_empty() {
        add_use_counts(snapshot, &mut score);
    } else {
        let cancel = fovea_indexer::Cancel::never();
        for seed in &seeds {
            *score.entry(seed.file).or_default() += 4.0;
        }
        for (symbol, rank) in snapshot.graph().neighborhood(&seeds, N_NEIGHBORS, &cancel) {
            *score.entry(symbol.file).or_default() += 40.0 * rank;
        }
    }
    let mut ranked: Vec<(FileId, f32)> = score.into_iter().collect();
    ranked.sort_by(|a, b| {
        b.1.total_cmp(&a.1).then_with(|| snapshot.path(a.0).cmp(snapshot.path(b.0)))
    });
    ranked
}

fn is_mapped(facts: &FileFacts) -> bool {
    !matches!(facts.language, Language::Text | Language::Markdown)
}

/// Sources before tests, short paths before deep ones.
fn base_score(path: &str, facts: &FileFacts) -> f32 {
    let depth = path.matches('/').count() as f32;
    let is_test = path.split('/').any(|part| {
        part == "tests" || part == "test" || part.starts_with("test_") || part == "benches"
    }) || facts.symbols.first().is_some_and(|symbol| symbol.is_test);
    let n_public = facts.symbols.iter().filter(|s| s.is_public && s.parent.is_none()).count();
    let size = (1.0 + n_public as f32).ln();
    (size - depth * 0.2) * if is_test { 0.2 } else { 1.0 }
}

/// How many files mention the names that a file defines, ambiguous names shared out.
fn add_use_counts(snapshot: &Snapshot, score: &mut FxHashMap<FileId, f32>) {
    let mut n_definitions: FxHashMap<&str, u32> = FxHashMap::default();
    let mut n_mentions: FxHashMap<&str, u32> = FxHashMap::default();
    for file in snapshot.files() {
        let Some(facts) = snapshot.facts(file) else { continue };
        for symbol in facts.symbols.iter().filter(|symbol| is_item(symbol.kind)) {
            *n_definitions.entry(&symbol.name).or_default() += 1;
        }
        for name in facts.names.iter() {
            *n_mentions.entry(name).or_default() += 1;
        }
    }
    for (file, score) in score.iter_mut() {
        let Some(facts) = snapshot.facts(*file) else { continue };
        let used: f32 = facts
            .symbols
            .iter()
            .filter(|symbol| symbol.is_public && is_item(symbol.kind) && symbol.name.len() > 3)
            .map(|symbol| {
                let mentions = n_mentions.get(&*symbol.name).copied().unwrap_or(1) as f32 - 1.0;
                mentions.max(0.0) / n_definitions[&*symbol.name].pow(2) as f32
            })
            .sum();
        *score += (1.0 + used).ln();
    }
}

/// Symbols around and at the cursor.
fn seeds_at(snapshot: &Snapshot, at: FilePosition) -> Vec<SymbolId> {
    let graph = snapshot.graph();
    let mut seeds: Vec<SymbolId> =
        graph.resolve(at).candidates.iter().take(2).map(|c| c.symbol).collect();
    let Some(facts) = snapshot.facts(at.file) else { return seeds };
    let around =
        facts.symbols.iter().enumerate().filter(|(_, symbol)| {
            is_item(symbol.kind) && symbol.enclosing_range.touches(at.offset)
        });
    seeds.extend(around.map(|(index, _)| SymbolId { file: at.file, index: index as u32 }));
    if seeds.is_empty() {
        // Outside of every item: what the file imports.
        let imports = facts.occurrences.iter().filter(|o| o.role == Role::Import).take(8);
        for occurrence in imports {
            let at = FilePosition { file: at.file, offset: occurrence.range.start };
            seeds.extend(graph.resolve(at).candidates.first().map(|c| c.symbol));
        }
    }
    seeds.dedup();
    seeds
}

/// One file's part of the map.
fn file_text(snapshot: &Snapshot, file: FileId, detail: Detail) -> String {
    let Some(facts) = snapshot.facts(file) else { return String::new() };
    // Its line ends with the path: a line feed in a name must not make another.
    let mut out = snapshot.path(file).replace('\n', "\\n").replace('\r', "\\r");
    if let Some(doc) = facts.doc.as_deref().filter(|doc| !doc.is_empty()) {
        out.push_str(": ");
        out.push_str(doc.lines().next().unwrap_or(""));
    }
    out.push('\n');
    if detail < Detail::Symbols {
        return out;
    }
    let Some(text) = snapshot.text(file) else { return out };
    for (index, symbol) in facts.symbols.iter().enumerate() {
        let is_top = symbol
            .parent
            .is_none_or(|parent| facts.symbols[parent as usize].kind == SymbolKind::Module);
        if !is_top || symbol.is_test || !is_item(symbol.kind) || symbol.kind == SymbolKind::Module {
            continue;
        }
        let shows_privates = detail == Detail::Members;
        if !symbol.is_public && !shows_privates && symbol.kind != SymbolKind::Impl {
            continue;
        }
        let members: Vec<_> = facts
            .symbols
            .iter()
            .filter(|member| member.parent == Some(index as u32) && member.is_public)
            .filter(|member| is_item(member.kind) || member.kind == SymbolKind::Field)
            .collect();
        if symbol.kind == SymbolKind::Impl && (members.is_empty() || detail < Detail::Members) {
            continue;
        }
        out.push_str("  ");
        out.push_str(&contracts::signature(&text, symbol, facts.language));
        if let Some(doc) = symbol.doc.as_deref().filter(|_| detail == Detail::Members) {
            out.push_str(&format!("  {} {doc}", facts.language.line_comment()));
        }
        out.push('\n');
        if detail == Detail::Members {
            for member in members {
                out.push_str("    ");
                out.push_str(&contracts::signature(&text, member, facts.language));
                out.push('\n');
            }
        }
    }
    out
}

fn is_item(kind: SymbolKind) -> bool {
    contracts::is_type(kind)
        || matches!(
            kind,
            SymbolKind::Function
                | SymbolKind::Method
                | SymbolKind::Constant
                | SymbolKind::Static
                | SymbolKind::TypeAlias
                | SymbolKind::Macro
                | SymbolKind::Module
        )
}
