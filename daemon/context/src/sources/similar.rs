//! Code that reads like the last lines: windows of about twenty lines around retrieval hits
//! (RepoCoder, Zhang et al. 2023), from other files and from parts of this one that the prompt does
//! not show.

use fovea_indexer::{FileId, rank::SearchQuery, text::ByteRange};
use rustc_hash::FxHashMap;

use super::{Scene, last_lines, words};
use crate::{
    lex,
    pack::Proposal,
    plan::Source,
    sources::words::{Counts, WindowScorer},
};

/// Hits that name the files to look into.
const N_HITS: usize = 48;
/// Files whose windows are scored, beside the open one.
const MAX_FILES: usize = 16;
/// Larger files are looked at around their hits only.
const MAX_FILE_BYTES: usize = 200_000;
/// Windows proposed.
const N_PROPOSALS: usize = 16;

/// A window of one file.
pub(crate) struct Window {
    pub(crate) file: FileId,
    pub(crate) range: ByteRange,
    pub(crate) lines: (u32, u32),
    pub(crate) words: Counts,
    pub(crate) score: f32,
}

/// Proposes the windows most like the last lines. `files` are looked into besides those that
/// retrieval finds (where the symbols in focus are used, for example).
pub(crate) fn propose(scene: &Scene<'_>, files: &[FileId]) -> Vec<Proposal> {
    let windows = best_windows(scene, files);
    let best = windows.first().map_or(0.0, |window| window.score);
    let mut proposals: Vec<Proposal> = Vec::new();
    for window in &windows {
        // Windows step by half their length: take each place once.
        let clashes = proposals.iter().any(|other: &Proposal| {
            other.path == scene.snapshot.path(window.file)
                && other.range.is_some_and(|range| {
                    range.start < window.range.end && window.range.start < range.end
                })
        });
        let Some(text) = scene.text(window.file).filter(|_| !clashes) else { continue };
        let text = trim_window(window.range.slice(&text));
        if text.trim().is_empty() {
            continue;
        }
        proposals.push(Proposal {
            source: Source::Similar,
            path: scene.snapshot.path(window.file).to_owned(),
            range: Some(window.range),
            lines: window.lines,
            reason: format!(
                "reads like the last lines: {} words in common",
                window.words.n_shared()
            ),
            text: text.to_owned(),
            value: 1.0 * window.score / best.max(f32::MIN_POSITIVE),
        });
        if proposals.len() == N_PROPOSALS {
            break;
        }
    }
    proposals
}

/// Scored windows of the candidate files, best first.
pub(crate) fn best_windows(scene: &Scene<'_>, files: &[FileId]) -> Vec<Window> {
    if scene.query.is_empty() {
        return Vec::new();
    }
    let mut windows = Vec::new();
    for file in candidate_files(scene, files) {
        if scene.cancel().is_cancelled() {
            break;
        }
        windows_of(scene, file, &mut windows);
    }
    let scorer = WindowScorer::new(&scene.query, windows.iter().map(|window| &window.words));
    let line = scene.request.line_prefix().trim_start();
    let tail = telling_tail(line);
    let mut scored: Vec<(usize, f32)> = windows
        .iter()
        .enumerate()
        .map(|(index, window)| {
            let mut score = scorer.score(&window.words);
            // The very tokens that the cursor stands behind.
            if let Some(tail) = tail
                && scene
                    .text(window.file)
                    .is_some_and(|text| window.range.slice(&text).contains(tail))
            {
                score *= 1.25;
            }
            (index, score)
        })
        .filter(|(_, score)| *score > 0.0)
        .collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scored.truncate(N_PROPOSALS * 4);
    let mut by_index: FxHashMap<usize, Window> = windows.into_iter().enumerate().collect();
    scored
        .into_iter()
        .filter_map(|(index, score)| {
            let window = by_index.remove(&index)?;
            Some(Window { score, ..window })
        })
        .collect()
}

/// Files of the best hits, in hit order, the given ones in front, the open file last.
fn candidate_files(scene: &Scene<'_>, given: &[FileId]) -> Vec<FileId> {
    let mut files: Vec<FileId> = Vec::new();
    let mut add = |file: FileId| {
        if Some(file) != scene.file && !files.contains(&file) && files.len() < MAX_FILES {
            files.push(file);
        }
    };
    given.iter().take(MAX_FILES / 2).copied().for_each(&mut add);
    let text = last_lines(scene.request, scene.request.tuning.query_lines).join("\n");
    let query = SearchQuery {
        text: words::query_text(&text, |word| lex::is_keyword(scene.language, word), 48),
        limit: N_HITS,
        exclude: scene.file.into_iter().collect(),
        ..SearchQuery::default()
    };
    if let Ok(results) = scene.snapshot.search(&query, scene.cancel()) {
        results
            .hits
            .iter()
            .map(|hit| hit.chunk.file)
            .filter(|file| same_language(scene, *file))
            .for_each(&mut add);
    }
    files.extend(scene.file);
    files
}

fn same_language(scene: &Scene<'_>, file: FileId) -> bool {
    scene.snapshot.facts(file).is_some_and(|facts| facts.language == scene.language)
}

fn windows_of(scene: &Scene<'_>, file: FileId, into: &mut Vec<Window>) {
    let Some(text) = scene.text(file).filter(|text| text.len() <= MAX_FILE_BYTES) else { return };
    let starts: Vec<usize> =
        std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let end_of = |line: usize| starts.get(line).copied().unwrap_or(text.len());
    let tuning = scene.request.tuning;
    let step = tuning.step_lines.max(1);
    // A window is several blocks, and each block is counted once.
    let n_blocks = (tuning.window_lines / step).max(1);
    let blocks: Vec<Counts> = (0..starts.len())
        .step_by(step)
        .map(|first| scene.query.count(&text[starts[first]..end_of(first + step)]))
        .collect();
    for index in 0..blocks.len().saturating_sub(n_blocks - 1).max(1) {
        let first = index * step;
        let last = (first + n_blocks * step).min(starts.len());
        let range = ByteRange::new(starts[first] as u32, end_of(last) as u32);
        let is_shown = Some(file) == scene.file
            && range.start < scene.shown.end
            && scene.shown.start < range.end;
        let mut words = blocks[index].clone();
        for next in blocks.iter().skip(index + 1).take(n_blocks - 1) {
            words = words.plus(next);
        }
        if !is_shown && words.n_shared() > 1 {
            into.push(Window {
                file,
                range,
                lines: (first as u32, last as u32),
                words,
                score: 0.0,
            });
        }
    }
}

/// The end of the cursor's line from its last three names on, if it is long enough to tell.
fn telling_tail(line: &str) -> Option<&str> {
    let starts: Vec<usize> = lex::identifiers(line)
        .map(|name| name.as_ptr() as usize - line.as_ptr() as usize)
        .collect();
    let start = *starts.get(starts.len().saturating_sub(3))?;
    let tail = line[start..].trim_end();
    (tail.len() >= 6).then_some(tail)
}

/// Blank lines and lone closing brackets at the edges say nothing.
fn trim_window(text: &str) -> &str {
    let is_empty = |line: &str| line.trim().trim_matches([')', ']', '}', ';', ',']).is_empty();
    let mut text = text;
    while let Some(end) = text.find('\n')
        && is_empty(&text[..end])
    {
        text = &text[end + 1..];
    }
    text.trim_end_matches('\n')
}
