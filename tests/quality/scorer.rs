//! Asks the graph of a checkout what a truth file asks, and counts.

use std::{
    collections::BTreeSet,
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use fovea_indexer::{
    Cancel, FileId, Graph, Language, SymbolId,
    graph::{Certainty, FilePosition, Resolution},
    parse,
    text::{LineCol, LineIndex},
};
use serde_json::Value;

/// What came out.
#[derive(Debug, Default)]
pub(crate) struct Score {
    pub(crate) n_definitions: usize,
    n_hits: usize,
    n_ambiguous: usize,
    n_ambiguous_hits: usize,
    n_members: usize,
    n_member_hits: usize,
    n_exact: usize,
    n_exact_hits: usize,
    pub(crate) n_references: usize,
    n_places: usize,
    n_found: usize,
    n_right: usize,
}

impl Score {
    pub(crate) fn hit_rate(&self) -> f64 {
        rate(self.n_hits, self.n_definitions)
    }

    /// Of the definitions answered as `exact`, the part that is right.
    pub(crate) fn exact_rate(&self) -> f64 {
        rate(self.n_exact_hits, self.n_exact)
    }

    pub(crate) fn f1(&self) -> f64 {
        rate(2 * self.n_right, self.n_found + self.n_places)
    }
}

fn rate(n: usize, of: usize) -> f64 {
    if of == 0 { 1.0 } else { n as f64 / of as f64 }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  definitions {}: hit@1 {:.3}, ambiguous names {:.3} ({}), members {:.3} ({}), exact {:.3} ({})",
            self.n_definitions,
            self.hit_rate(),
            rate(self.n_ambiguous_hits, self.n_ambiguous),
            self.n_ambiguous,
            rate(self.n_member_hits, self.n_members),
            self.n_members,
            self.exact_rate(),
            self.n_exact,
        )?;
        write!(
            f,
            "  references of {}: precision {:.3}, recall {:.3}, F1 {:.3}",
            self.n_references,
            rate(self.n_right, self.n_found),
            rate(self.n_right, self.n_places),
            self.f1(),
        )
    }
}

/// # Errors
/// If the truth cannot be read.
pub(crate) fn score(checkout: &Path, truth: &Path) -> anyhow::Result<Score> {
    let checkout = Checkout::read(checkout);
    let text = fs::read_to_string(truth).with_context(|| format!("{}", truth.display()))?;
    let mut score = Score::default();
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).with_context(|| truth.display().to_string())?;
        let at = row["at"].as_str().unwrap_or_default();
        let Some(resolution) = checkout.resolve(at) else { continue };
        match row["ask"].as_str() {
            Some("definition") => checkout.definition(&row, &resolution, &mut score),
            _ => checkout.references(&row, at, &resolution, &mut score),
        }
    }
    Ok(score)
}

struct Checkout {
    files: Vec<(String, String, LineIndex)>,
    graph: Graph,
}

impl Checkout {
    fn read(root: &Path) -> Self {
        let mut paths = Vec::new();
        collect(root, &mut paths);
        paths.sort();
        let mut files = Vec::new();
        let mut changes = Vec::new();
        for path in paths {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let name =
                path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            let Some(language) = Language::of_path(&name) else { continue };
            let facts = Arc::new(parse::parse(language, &text));
            changes.push((FileId(files.len() as u32), name.clone(), Some(facts)));
            let lines = LineIndex::new(&text);
            files.push((name, text, lines));
        }
        Self { files, graph: Graph::empty().with_changes(&changes) }
    }

    /// The meaning of the name at `FILE:LINE:COL`; `None` without such a file.
    fn resolve(&self, at: &str) -> Option<Resolution> {
        let mut parts = at.rsplitn(3, ':');
        let mut number = || parts.next()?.parse::<u32>().ok()?.checked_sub(1);
        let (col, line) = (number()?, number()?);
        let path = parts.next()?;
        let index = self.files.iter().position(|(name, ..)| name == path)?;
        let (_, text, lines) = &self.files[index];
        let offset = lines.offset_of_chars(text, LineCol { line, col })?;
        Some(self.graph.resolve(FilePosition { file: FileId(index as u32), offset }))
    }

    fn place(&self, file: FileId, offset: u32) -> (&str, u32) {
        let (path, _, lines) = &self.files[file.0 as usize];
        (path, lines.line_of(offset) + 1)
    }

    fn definition(&self, row: &Value, resolution: &Resolution, score: &mut Score) {
        let accepted: Vec<&str> = strings(&row["accepted"]).collect();
        let best = resolution.candidates.first();
        let is_hit = best.is_some_and(|best| self.is_accepted(best.symbol, &accepted));
        score.n_definitions += 1;
        score.n_hits += usize::from(is_hit);
        if row["n_same_name"].as_u64() > Some(1) {
            score.n_ambiguous += 1;
            score.n_ambiguous_hits += usize::from(is_hit);
        }
        if row["context"] == "member" {
            score.n_members += 1;
            score.n_member_hits += usize::from(is_hit);
        }
        if best.is_some_and(|best| best.certainty == Certainty::Exact) {
            score.n_exact += 1;
            score.n_exact_hits += usize::from(is_hit);
        }
        if !is_hit {
            let got = best.map(|best| self.definition_place(best.symbol));
            println!("  miss {} {} wants {accepted:?}, got {got:?}", row["at"], row["name"]);
        }
    }

    fn definition_place(&self, symbol: SymbolId) -> (&str, u32) {
        let offset = self.graph.symbol(symbol).map_or(0, |facts| facts.name_range.start);
        self.place(symbol.file, offset)
    }

    /// True if the symbol's name stands in one of `FILE:FIRST-LAST`.
    fn is_accepted(&self, symbol: SymbolId, accepted: &[&str]) -> bool {
        let (path, line) = self.definition_place(symbol);
        accepted.iter().any(|lines| {
            let parsed = lines.rsplit_once(':').and_then(|(file, lines)| {
                let (first, last) = lines.split_once('-')?;
                Some((file, first.parse::<u32>().ok()?, last.parse::<u32>().ok()?))
            });
            parsed.is_some_and(|(file, first, last)| file == path && (first..=last).contains(&line))
        })
    }

    fn references(&self, row: &Value, at: &str, resolution: &Resolution, score: &mut Score) {
        let expected: BTreeSet<&str> = strings(&row["places"]).collect();
        let unjudged: BTreeSet<&str> = strings(&row["unjudged"]).collect();
        let folders: Vec<&str> = strings(&row["in"]).collect();
        let is_asked = |place: &str| {
            let mut inside = folders.iter().filter(|folder| {
                folder.is_empty()
                    || place.strip_prefix(**folder).is_some_and(|rest| rest.starts_with('/'))
            });
            folders.is_empty() || inside.next().is_some()
        };
        let own = at.rsplit_once(':').map_or(at, |(line, _)| line);
        let references = resolution
            .candidates
            .first()
            .map(|best| self.graph.references(best.symbol, &Cancel::never()))
            .unwrap_or_default();
        let found: BTreeSet<String> = references
            .iter()
            .map(|reference| {
                let (path, line) = self.place(reference.at.file, reference.at.range.start);
                format!("{path}:{line}")
            })
            .filter(|place| is_asked(place))
            .filter(|place| place != own && !unjudged.contains(place.as_str()))
            .collect();
        score.n_references += 1;
        score.n_places += expected.len();
        score.n_found += found.len();
        score.n_right += found.iter().filter(|place| expected.contains(place.as_str())).count();
    }
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" {
                collect(&path, into);
            }
        } else if Language::of_path(&name).is_some() {
            into.push(path);
        }
    }
}
