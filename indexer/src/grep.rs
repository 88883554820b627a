//! Literal and regex search over the current texts: line by line, the same lines that ripgrep
//! prints for the same files. Bounded in pattern size, matches and memory. Files that cannot have a
//! match by their trigrams are not read.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use rayon::prelude::*;
use regex::bytes::{Regex, RegexBuilder};

pub(crate) use self::trigrams::Trigrams;
use self::trigrams::{Filter, Wanted};
use crate::{Cancel, FileId, Snapshot, rank::QueryError, text::ByteRange};

/// What to look for.
#[derive(Clone, Debug, Default)]
pub struct GrepQuery {
    pub pattern: String,
    /// The pattern is text, not a regex.
    pub is_literal: bool,
    pub ignore_case: bool,
    /// Only whole words.
    pub is_word: bool,
    /// Only files whose path matches this glob or contains this text.
    pub path: Option<String>,
    /// Lines to return, at most; clamped to [`MAX_LINES`].
    pub limit: usize,
}

/// A grep returns at most this many lines.
pub const MAX_LINES: usize = 100_000;
/// Longer patterns are refused.
const MAX_PATTERN_BYTES: usize = 4 << 10;
/// A compiled pattern may take this much; hostile repetitions are refused by it.
const MAX_COMPILED_BYTES: usize = 4 << 20;

/// One matching line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrepLine {
    pub file: FileId,
    /// Zero-based.
    pub line: u32,
    /// The line, without its line ending.
    pub range: ByteRange,
    pub text: String,
    /// Matches within the file.
    pub matches: Vec<ByteRange>,
}

/// Matching lines by path, then by line.
#[derive(Clone, Debug, Default)]
pub struct GrepResults {
    pub lines: Vec<GrepLine>,
    /// More lines match than were asked for, or the search was cancelled.
    pub is_cut: bool,
    /// Files that could not be read as indexed (changed or gone since).
    pub n_stale: usize,
}

pub(crate) fn grep(
    snapshot: &Snapshot,
    query: &GrepQuery,
    cancel: &Cancel,
) -> Result<GrepResults, QueryError> {
    let (regex, wanted) = compile(query)?;
    let trigrams = &snapshot.data().trigrams;
    let path = query.path.as_deref().map(crate::rank::PathFilter::new).transpose()?;
    let limit = query.limit.clamp(1, MAX_LINES);
    let mut files: BTreeMap<&str, FileId> = BTreeMap::new();
    for file in snapshot.files() {
        let name = snapshot.path(file);
        if path.as_ref().is_none_or(|path| path.matches(name)) {
            files.insert(name, file);
        }
    }
    let n_found = AtomicUsize::new(0);
    let n_stale = AtomicUsize::new(0);
    let files: Vec<FileId> = files.into_values().collect();
    // Batches in path order: once enough lines are found the remaining files need no look.
    let mut results = GrepResults::default();
    for batch in files.chunks(256) {
        if cancel.is_cancelled() || n_found.load(Ordering::Relaxed) > limit {
            results.is_cut = true;
            break;
        }
        let found: Vec<Vec<GrepLine>> = batch
            .par_iter()
            .map(|file| {
                let hash = snapshot.hash(*file);
                let filter = hash.and_then(|hash| trigrams.get(*file, hash));
                if filter.as_ref().is_some_and(|filter| !wanted.may_match(filter)) {
                    return Vec::new();
                }
                let Some(text) = snapshot.text(*file) else {
                    n_stale.fetch_add(1, Ordering::Relaxed);
                    return Vec::new();
                };
                if wanted.is_useful()
                    && filter.is_none()
                    && let Some(hash) = hash
                {
                    trigrams.put(*file, hash, Filter::new(text.as_bytes()));
                }
                let lines = matching_lines(&regex, *file, &text, limit + 1);
                n_found.fetch_add(lines.len(), Ordering::Relaxed);
                lines
            })
            .collect();
        results.lines.extend(found.into_iter().flatten());
    }
    results.is_cut |= results.lines.len() > limit;
    results.lines.truncate(limit);
    results.n_stale = n_stale.into_inner();
    Ok(results)
}

fn compile(query: &GrepQuery) -> Result<(Regex, Wanted), QueryError> {
    let invalid = |reason: String| QueryError::Regex {
        pattern: query.pattern.chars().take(80).collect(),
        reason,
    };
    if query.pattern.is_empty() {
        return Err(QueryError::Empty);
    }
    if query.pattern.len() > MAX_PATTERN_BYTES {
        let n_bytes = query.pattern.len();
        return Err(QueryError::TooLong { n_bytes, limit: MAX_PATTERN_BYTES });
    }
    let mut pattern =
        if query.is_literal { regex::escape(&query.pattern) } else { query.pattern.clone() };
    if query.is_word {
        pattern = format!(r"(?:\b{{start-half}}(?:{pattern})\b{{end-half}})");
    }
    let mut regex = RegexBuilder::new(&pattern);
    regex
        .multi_line(true)
        .case_insensitive(query.ignore_case)
        .size_limit(MAX_COMPILED_BYTES)
        .dfa_size_limit(MAX_COMPILED_BYTES)
        .nest_limit(200);
    let regex = regex.build().map_err(|error| invalid(reason(&error)))?;
    // The same text as the compiled pattern's; what cannot be read here is not filtered.
    let mut parser = regex_syntax::ParserBuilder::new();
    parser.multi_line(true).case_insensitive(query.ignore_case).nest_limit(200).utf8(false);
    let wanted = parser.build().parse(&pattern).map(|hir| Wanted::of(&hir)).unwrap_or_default();
    Ok((regex, wanted))
}

/// One line of the regex crate's message, which otherwise repeats the pattern.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("it needs more than {limit} bytes compiled; shorten its repetitions")
        }
        other => {
            let message = other.to_string();
            let line = message.lines().last().unwrap_or_default();
            line.trim_start_matches("error: ").to_owned()
        }
    }
}

/// Lines of `text` that match, at most `limit`. The regex sees one line at a time, so nothing
/// matches across a line ending and `\s` behaves as in ripgrep.
fn matching_lines(regex: &Regex, file: FileId, text: &str, limit: usize) -> Vec<GrepLine> {
    let mut lines = Vec::new();
    // One pass over the whole text decides most files.
    if !regex.is_match(text.as_bytes()) {
        return lines;
    }
    let mut start = 0;
    // As ripgrep, which takes a byte order mark away.
    if text.starts_with('\u{feff}') {
        start = '\u{feff}'.len_utf8();
    }
    for (number, line) in text[start..].split_inclusive('\n').enumerate() {
        let content = line.strip_suffix('\n').unwrap_or(line);
        let matches: Vec<ByteRange> = regex
            .find_iter(content.as_bytes())
            .map(|found| {
                ByteRange::new((start + found.start()) as u32, (start + found.end()) as u32)
            })
            .collect();
        if !matches.is_empty() {
            let shown = content.strip_suffix('\r').unwrap_or(content);
            lines.push(GrepLine {
                file,
                line: number as u32,
                range: ByteRange::new(start as u32, (start + shown.len()) as u32),
                text: shown.to_owned(),
                matches,
            });
            if lines.len() >= limit {
                break;
            }
        }
        start += line.len();
    }
    lines
}

mod trigrams;

#[cfg(test)]
mod tests;
