//! Points with known answers over checkouts, each completed in several ways in one run.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
    sync::Arc,
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use fovea_context::lex;
use fovea_indexer::Language;
use serde::{Deserialize, Serialize};

use super::{
    Options,
    completer::{self, Answer, Completer},
    metrics::{self, Scores},
    protocol,
    typing::{Keystroke, Typed},
    windows::Windows,
    workspace::Workspace,
};
use crate::guard;

/// One line of a point file.
#[derive(Clone, Debug, Deserialize)]
pub struct Point {
    pub id: String,
    /// The checkout's folder.
    pub repo: String,
    /// What is asked for: `infile` and `doc` can be answered from the file, all others need
    /// another one.
    pub kind: String,
    pub file: String,
    /// 1-based.
    pub line: u32,
    /// 0-based, in characters.
    pub col: u32,
    /// What was written.
    pub truth: String,
    /// Definitions that the line uses.
    #[serde(default)]
    pub gold: Vec<Gold>,
}

/// A definition that a line uses.
#[derive(Clone, Debug, Deserialize)]
pub struct Gold {
    pub file: String,
    pub name: String,
    pub sig: String,
    /// The one named at the cursor.
    #[serde(default)]
    pub primary: bool,
}

impl Point {
    /// True if the line uses something of another file.
    #[must_use]
    pub fn is_cross_file(&self) -> bool {
        !matches!(self.kind.as_str(), "infile" | "doc")
    }
}

/// Reads a point file, one JSON object a line.
///
/// # Errors
/// If the file cannot be read or a line is no point.
pub fn read(path: &Path) -> Result<Vec<Point>> {
    let file =
        File::open(path).with_context(|| format!("cannot open points `{}`", path.display()))?;
    let lines = BufReader::new(file).lines().enumerate();
    lines
        .map(|(index, line)| {
            let line = line.with_context(|| format!("cannot read `{}`", path.display()))?;
            serde_json::from_str(&line)
                .with_context(|| format!("{}:{} is no point", path.display(), index + 1))
        })
        .collect()
}

/// A way to complete, by name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    pub name: String,
    /// The plain builder of [`Windows`] in place of a plan.
    #[serde(default)]
    pub windows: bool,
    #[serde(flatten)]
    pub options: Options,
}

/// What one arm answered at one point.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub id: String,
    pub arm: String,
    pub kind: String,
    pub is_cross_file: bool,
    pub completion: String,
    pub truth: String,
    pub scores: Scores,
    /// Share of the definitions in other files whose signature the prompt shows.
    pub gold_in_prompt: Option<f64>,
    /// The definition named at the cursor: in the prompt, or its name among the candidates.
    pub gold_known: Option<f64>,
    /// Place of the right name among the candidates, from 1.
    pub candidate: Option<usize>,
    pub n_unknown_members: usize,
    pub n_repairs: usize,
    pub prompt_tokens: usize,
    pub context_ms: f64,
    #[serde(skip)]
    pub typed: Vec<Keystroke>,
    #[serde(skip)]
    pub prompt: String,
}

/// Completes each of `points` with each of `arms`, over the checkouts below `root`. `each` is told
/// of every row.
///
/// # Errors
/// If a checkout is missing or does not fit the points, or the model fails.
pub fn run(
    points: &[Point],
    root: &Path,
    arms: &[Arm],
    completer: &dyn Completer,
    each: &mut dyn FnMut(&Row) -> Result<()>,
) -> Result<Vec<Row>> {
    let mut windows: BTreeMap<(String, &str), Windows> = BTreeMap::new();
    let mut rows = Vec::new();
    self::each(points, root, &mut |workspace, asked, point| {
        let language = Language::of_path(&point.file).unwrap_or(Language::Text);
        let whole = whole(root, point)?;
        for arm in arms {
            let answer = if arm.windows {
                let built = windows
                    .entry((point.repo.clone(), language.name()))
                    .or_insert_with(|| Windows::of(workspace.snapshot(), language));
                plain(workspace, asked, arm, built, completer)?
            } else {
                completer::complete(workspace, asked, &arm.options, completer)?
            };
            let row = row(point, &whole, language, arm, asked, answer);
            each(&row)?;
            rows.push(row);
        }
        Ok(())
    })?;
    Ok(rows)
}

/// Calls `visit` at each of `points` with its checkout, where the rest of the point's line is gone.
///
/// # Errors
/// If a checkout is missing or does not fit the points, or `visit` fails.
pub fn each(
    points: &[Point],
    root: &Path,
    visit: &mut dyn FnMut(&mut Workspace, &protocol::Point, &Point) -> Result<()>,
) -> Result<()> {
    let mut by_repo: BTreeMap<&str, Vec<&Point>> = BTreeMap::new();
    for point in points {
        by_repo.entry(&point.repo).or_default().push(point);
    }
    for (repo, points) in by_repo {
        let mut workspace = Workspace::open(&root.join(repo), repo.to_owned())
            .with_context(|| format!("cannot index the checkout of `{repo}`"))?;
        for point in points {
            let text = masked(&whole(root, point)?, point)?;
            workspace.edited(&point.file, Arc::from(text.as_str()))?;
            let asked = protocol::Point {
                id: point.id.clone(),
                root: String::new(),
                repo: repo.to_owned(),
                file: point.file.clone(),
                line: point.line,
                col: point.col,
                byte: None,
                text,
                budget_tokens: None,
            };
            visit(&mut workspace, &asked, point)?;
            workspace.closed(&point.file)?;
        }
    }
    Ok(())
}

/// The text of the point's file as it is in its checkout.
fn whole(root: &Path, point: &Point) -> Result<Arc<str>> {
    let read = guard::read(&root.join(&point.repo), &point.file, 8 << 20)
        .with_context(|| format!("cannot read {}/{}", point.repo, point.file))?;
    Ok(read.text)
}

/// The file with the rest of the point's line gone.
fn masked(text: &str, point: &Point) -> Result<String> {
    let at = fovea_indexer::text::LineCol { line: point.line - 1, col: point.col };
    let offset = fovea_indexer::text::LineIndex::new(text).offset_of_chars(text, at);
    let Some(start) = offset.map(|offset| offset as usize) else {
        bail!("{} has no line {}; is it another version?", point.file, point.line);
    };
    let end = start + text[start..].find('\n').unwrap_or(text.len() - start);
    if text[start..end].trim_end_matches('\r') != point.truth {
        bail!("{}:{} is not what the point says; is it another version?", point.file, point.line);
    }
    Ok(format!("{}{}", &text[..start], &text[end..]))
}

/// The plain builder's answer.
fn plain(
    workspace: &Workspace,
    asked: &protocol::Point,
    arm: &Arm,
    windows: &Windows,
    completer: &dyn Completer,
) -> Result<Answer> {
    let started = Instant::now();
    let format = completer.format().unwrap_or(arm.options.format());
    let request = completer::request(asked, &arm.options, format, &workspace.name, started);
    let prompt = windows.prompt(&request, completer.counter());
    let context_ms = started.elapsed().as_secs_f64() * 1_000.0;
    let mut answer = completer::write(&prompt, &request, workspace.snapshot(), completer)?;
    answer.prompt_tokens = completer.counter().count(&answer.prompt);
    answer.timings.context_ms = context_ms;
    Ok(answer)
}

fn row(
    point: &Point,
    whole: &str,
    language: Language,
    arm: &Arm,
    asked: &protocol::Point,
    answer: Answer,
) -> Row {
    let line = asked.text[..asked.offset()].rsplit('\n').next().unwrap_or("").to_owned();
    let partial = lex::trailing_identifier(&line);
    let shown = squashed(&answer.prompt, whole);
    let elsewhere = || point.gold.iter().filter(|gold| gold.file != point.file);
    let is_shown = |gold: &Gold| {
        let signature = squash(&gold.sig);
        let signature = signature.trim_end_matches(['{', ':', ';', ',']);
        signature.len() >= 4 && shown.contains(signature)
    };
    let percent = |hit: bool| if hit { 100.0 } else { 0.0 };
    let n_elsewhere = elsewhere().count();
    let primary = elsewhere().find(|gold| gold.primary);
    let place = |name: &str| answer.items.iter().position(|item| item == name).map(|n| n + 1);
    let typed = format!("{partial}{}", point.truth);
    let wanted = lex::identifiers(&typed).find(|name| !lex::is_keyword(language, name));
    Row {
        id: point.id.clone(),
        arm: arm.name.clone(),
        kind: point.kind.clone(),
        is_cross_file: point.is_cross_file(),
        scores: metrics::score(language, partial, &point.truth, &answer.completion),
        gold_in_prompt: (n_elsewhere > 0).then(|| {
            elsewhere().map(|gold| percent(is_shown(gold))).sum::<f64>() / n_elsewhere as f64
        }),
        gold_known: primary.map(|gold| percent(is_shown(gold) || place(&gold.name).is_some())),
        candidate: wanted.and_then(place),
        n_unknown_members: answer.unknown_members.len(),
        n_repairs: answer.n_repairs,
        prompt_tokens: answer.prompt_tokens,
        context_ms: answer.timings.context_ms,
        typed: answer.typed,
        completion: answer.completion,
        truth: point.truth.clone(),
        prompt: answer.prompt,
    }
}

/// Text without white space and comment marks, so that code is found whatever its layout.
fn squash(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let code = line.trim_start().trim_start_matches("//").trim_start_matches(['#', '*', '|']);
        out.extend(code.chars().filter(|c| !c.is_whitespace()));
    }
    out
}

/// `prompt` without the lines that the open file has anyway.
fn squashed(prompt: &str, own: &str) -> String {
    let own: std::collections::HashSet<String> = own.lines().map(squash).collect();
    prompt.lines().map(squash).filter(|line| !own.contains(line)).collect()
}

/// Means of one arm over some of the points.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub arm: String,
    pub points: String,
    pub n: usize,
    pub scores: Scores,
    /// 95 % bootstrap interval of the exact match.
    pub interval: (f64, f64),
    pub gold_in_prompt: f64,
    pub gold_known: f64,
    /// The right name is among the first three candidates.
    pub first_three: f64,
    pub unknown_members: f64,
    pub context_ms: (f64, f64),
    pub prompt_tokens: (usize, usize),
    /// Of the keystrokes that led to the points, if they were typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typed: Option<Typed>,
}

/// All arms over all, cross-file and in-file points, then by kind.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub summaries: Vec<Summary>,
}

impl Report {
    #[must_use]
    pub fn of(rows: &[Row]) -> Self {
        let mut arms: Vec<&str> = Vec::new();
        let mut kinds: Vec<&str> = Vec::new();
        for row in rows {
            if !arms.contains(&row.arm.as_str()) {
                arms.push(&row.arm);
            }
            if !kinds.contains(&row.kind.as_str()) {
                kinds.push(&row.kind);
            }
        }
        kinds.sort_unstable();
        let mut groups: Vec<(&str, Vec<&Row>)> = vec![
            ("all", rows.iter().collect()),
            ("cross-file", rows.iter().filter(|row| row.is_cross_file).collect()),
            ("in-file", rows.iter().filter(|row| !row.is_cross_file).collect()),
        ];
        for kind in kinds {
            groups.push((kind, rows.iter().filter(|row| row.kind == kind).collect()));
        }
        let mut summaries = Vec::new();
        for (points, rows) in &groups {
            for arm in &arms {
                let rows: Vec<&Row> = rows.iter().copied().filter(|row| row.arm == *arm).collect();
                if !rows.is_empty() {
                    summaries.push(summary(arm, points, &rows));
                }
            }
        }
        Self { summaries }
    }
}

fn summary(arm: &str, points: &str, rows: &[&Row]) -> Summary {
    let scores: Vec<Scores> = rows.iter().map(|row| row.scores).collect();
    let (scores, interval) = metrics::summary(&scores);
    let share = |of: &dyn Fn(&Row) -> Option<f64>| {
        let values: Vec<f64> = rows.iter().filter_map(|row| of(row)).collect();
        values.iter().sum::<f64>() / values.len().max(1) as f64
    };
    let percent = |hit: bool| Some(if hit { 100.0 } else { 0.0 });
    let mut times: Vec<f64> = rows.iter().map(|row| row.context_ms).collect();
    times.sort_by(f64::total_cmp);
    let mut tokens: Vec<usize> = rows.iter().map(|row| row.prompt_tokens).collect();
    tokens.sort_unstable();
    let at = |part: usize| (rows.len() * part / 100).min(rows.len() - 1);
    Summary {
        arm: arm.to_owned(),
        points: points.to_owned(),
        n: rows.len(),
        scores,
        interval,
        gold_in_prompt: share(&|row| row.gold_in_prompt),
        gold_known: share(&|row| row.gold_known),
        first_three: share(&|row| percent(row.candidate.is_some_and(|place| place <= 3))),
        unknown_members: share(&|row| percent(row.n_unknown_members > 0)),
        context_ms: (times[at(50)], times[at(95)]),
        prompt_tokens: (tokens[at(50)], tokens[at(95)]),
        typed: Typed::of(&rows.iter().flat_map(|row| row.typed.clone()).collect::<Vec<_>>()),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = "";
        for row in &self.summaries {
            if row.points != last {
                last = &row.points;
                writeln!(
                    f,
                    "\n{:22} {:>22} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>12} {:>11}",
                    format!("{} (n = {})", row.points, row.n),
                    "exact match",
                    "edit",
                    "id F1",
                    "symbol",
                    "gold",
                    "known",
                    "top 3",
                    "wrong",
                    "plan ms",
                    "tokens",
                )?;
            }
            writeln!(
                f,
                "  {:20} {:>6.1} ({:>5.1} - {:>5.1}) {:>6.1} {:>6.1} {:>6.1} {:>6.1} {:>6.1} {:>6.1} {:>6.1} {:>5.0} {:>6.0} {:>5} {:>5}",
                row.arm,
                row.scores.exact_match,
                row.interval.0,
                row.interval.1,
                row.scores.edit_similarity,
                row.scores.identifier_f1,
                row.scores.symbol,
                row.gold_in_prompt,
                row.gold_known,
                row.first_three,
                row.unknown_members,
                row.context_ms.0,
                row.context_ms.1,
                row.prompt_tokens.0,
                row.prompt_tokens.1,
            )?;
            if let Some(typed) = &row.typed {
                writeln!(
                    f,
                    "  {:20} {} keystrokes: {:.1} % of the prompt unchanged, {:.1} % within a line; plan p50 {:.0} ms, p95 {:.0} ms",
                    "",
                    typed.n_keystrokes,
                    typed.unchanged,
                    typed.unchanged_on_line,
                    typed.context_ms.0,
                    typed.context_ms.1,
                )?;
            }
        }
        Ok(())
    }
}

/// Writes rows as predictions, one JSON object a line, for other scorers.
///
/// # Errors
/// If `out` fails.
pub fn write_prediction(out: &mut impl Write, row: &Row) -> Result<()> {
    let line = serde_json::json!({
        "id": row.id,
        "completion": row.completion,
        "truth": row.truth,
        "prompt": row.prompt,
        "prompt_tokens": row.prompt_tokens,
        "candidate": row.candidate,
        "timings": { "context_ms": row.context_ms },
    });
    writeln!(out, "{line}").context("cannot write a prediction")
}
