//! Evaluation on the user's own repository: lines are taken away and asked for, with and without
//! the rest of the project in view.

use std::{fmt, path::Path};

use anyhow::{Result, bail};
use fovea_context::{Preset, lex};
use fovea_indexer::{Language, language::Support};
use serde::Serialize;

use super::{
    Options,
    completer::{self, Completer},
    metrics::{self, Scores},
    protocol::Point,
    workspace::Workspace,
};

/// Lines shorter than this (trimmed) are not asked for.
const MIN_LINE: usize = 12;

/// One compared line.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    pub path: String,
    /// 1-based.
    pub line: u32,
    pub truth: String,
    pub without: String,
    pub with: String,
    pub scores_without: Scores,
    pub scores_with: Scores,
}

/// The comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub cases: Vec<Case>,
    pub without: Scores,
    pub without_interval: (f64, f64),
    pub with: Scores,
    pub with_interval: (f64, f64),
}

/// Takes `n_points` lines of the repository at `root` away, one at a time, and completes them from
/// the text before the cursor alone, then with context.
///
/// # Errors
/// If `root` cannot be indexed, has no code, or the model fails.
pub fn compare(
    root: &Path,
    n_points: usize,
    seed: u64,
    options: &Options,
    completer: &dyn Completer,
) -> Result<Report> {
    let name = root.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
    let mut workspace = Workspace::open(root, name)?;
    let points = sample(&workspace, n_points, seed, Cut::Name);
    if points.is_empty() {
        bail!("`{}` has no Rust or Python lines to ask for", root.display());
    }
    let mut cases = Vec::new();
    for (point, truth) in points {
        let language = Language::of_path(&point.file).unwrap_or(Language::Text);
        let line = point.text[..point.offset()].rsplit('\n').next().unwrap_or("").to_owned();
        let partial = lex::trailing_identifier(&line);
        let mut ask = |preset| {
            let options = Options { preset, ..*options };
            completer::complete(&mut workspace, &point, &options, completer)
                .map(|answer| answer.completion)
        };
        let (without, with) = (ask(Preset::None)?, ask(options.preset)?);
        workspace.closed(&point.file)?;
        cases.push(Case {
            path: point.file.clone(),
            line: point.line,
            scores_without: metrics::score(language, partial, &truth, &without),
            scores_with: metrics::score(language, partial, &truth, &with),
            truth,
            without,
            with,
        });
    }
    let (without, without_interval) =
        metrics::summary(&cases.iter().map(|case| case.scores_without).collect::<Vec<_>>());
    let (with, with_interval) =
        metrics::summary(&cases.iter().map(|case| case.scores_with).collect::<Vec<_>>());
    Ok(Report { cases, without, without_interval, with, with_interval })
}

/// Where lines are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// In front of one of the line's names.
    Name,
    /// In front of the line's first word, of a member, or of one of its names, equally often.
    Any,
}

/// Points and the text taken away, spread over the files by a seeded draw.
pub(super) fn sample(
    workspace: &Workspace,
    n_points: usize,
    seed: u64,
    cut: Cut,
) -> Vec<(Point, String)> {
    let snapshot = workspace.snapshot();
    let files: Vec<_> = snapshot
        .files()
        .filter(|file| {
            snapshot.facts(*file).is_some_and(|facts| {
                facts.language.support() == Support::Resolved && facts.n_lines > 20
            })
        })
        .collect();
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut points: Vec<(Point, String)> = Vec::new();
    for _ in 0..n_points * 20 {
        if points.len() == n_points || files.is_empty() {
            break;
        }
        let file = files[(metrics::next(&mut state) % files.len() as u64) as usize];
        let Some(text) = snapshot.text(file) else { continue };
        let lines: Vec<&str> = text.split('\n').collect();
        let number = (metrics::next(&mut state) % lines.len() as u64) as usize;
        let line = lines[number].trim_end_matches('\r');
        let path = snapshot.path(file);
        let language = Language::of_path(path).unwrap_or(Language::Text);
        let Some(col) = column(line, language, cut, &mut state) else { continue };
        if points.iter().any(|(other, _)| other.file == path && other.line == number as u32 + 1) {
            continue;
        }
        let truth = line[col..].to_owned();
        let mut masked = lines.clone();
        let kept = &line[..col];
        masked[number] = kept;
        let point = Point {
            id: format!("{path}:{}", number + 1),
            root: String::new(),
            repo: workspace.name.clone(),
            file: path.to_owned(),
            line: number as u32 + 1,
            col: kept.chars().count() as u32,
            byte: None,
            text: masked.join("\n"),
            budget_tokens: None,
        };
        points.push((point, truth));
    }
    points
}

/// Where to cut `line`; `None` for lines not worth asking for.
fn column(line: &str, language: Language, cut: Cut, state: &mut u64) -> Option<usize> {
    let content = line.trim();
    let is_code = content.len() >= MIN_LINE
        && !content.starts_with(language.line_comment())
        && !content.starts_with(['"', '\'', '#', '*', '/']);
    if !is_code {
        return None;
    }
    let third = if cut == Cut::Any { metrics::next(state) % 3 } else { 2 };
    if third == 0 {
        return Some(line.len() - line.trim_start().len());
    }
    let is_wanted =
        |&at: &usize| third != 1 || line[..at].ends_with('.') || line[..at].ends_with("::");
    let starts: Vec<usize> = lex::identifiers(line)
        .filter(|name| !lex::is_keyword(language, name))
        .map(|name| name.as_ptr() as usize - line.as_ptr() as usize)
        .filter(|&at| line.len() - at >= 4)
        .filter(is_wanted)
        .collect();
    (!starts.is_empty()).then(|| starts[(metrics::next(state) % starts.len() as u64) as usize])
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} lines of this repository, each completed twice", self.cases.len())?;
        writeln!(f, "{:18} {:>16} {:>16}", "", "prefix only", "with context")?;
        let mut row = |name: &str, a: f64, b: f64| writeln!(f, "{name:18} {a:>15.1}% {b:>15.1}%");
        row("exact match", self.without.exact_match, self.with.exact_match)?;
        row("edit similarity", self.without.edit_similarity, self.with.edit_similarity)?;
        row("identifier F1", self.without.identifier_f1, self.with.identifier_f1)?;
        row("symbol at cursor", self.without.symbol, self.with.symbol)?;
        let ((a, b), (c, d)) = (self.without_interval, self.with_interval);
        write!(f, "exact match, 95 % interval: {a:.1}-{b:.1} without, {c:.1}-{d:.1} with context")
    }
}
