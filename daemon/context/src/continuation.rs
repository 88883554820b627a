//! What the repository itself wrote next: the lines that continue the same token sequence as the
//! one before the cursor. A cache model over the project's own text, with no training.

use std::cmp::Ordering;

use fovea_indexer::FileId;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::{lex, sources::Scene};

/// Longest and shortest token sequence that is matched.
const MAX_TOKENS: usize = 7;
/// Matches that are looked at for one sequence.
const MAX_MATCHES: usize = 200;
/// A longer rest of a line is no continuation that anyone would accept unseen.
const MAX_LINE: usize = 200;

/// A way to go on, seen in the project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Continuation {
    /// The rest of the line.
    pub text: String,
    /// How often it was seen after the longest matching sequence.
    pub n_seen: u32,
    /// Tokens that the matching sequence has.
    pub n_tokens: usize,
    /// Relative; the best of one list is 1.
    pub weight: f32,
    /// Where it was seen first, as path and zero-based line.
    pub path: String,
    pub line: u32,
}

/// A text that continuations are looked for in.
struct Place<'a> {
    text: &'a str,
    /// The cursor, if this is the open buffer.
    cursor: Option<usize>,
    /// Index among the texts.
    index: usize,
}

/// What was seen of one continuation.
struct Seen {
    n_seen: u32,
    n_tokens: usize,
    weight: f32,
    /// Where first: index of the text, and offset.
    first: (usize, usize),
}

type Found = FxHashMap<String, Seen>;

/// Continuations of the cursor's token sequence in `files` and in the open buffer, best first.
pub(crate) fn find(scene: &Scene<'_>, files: &[FileId], limit: usize) -> Vec<Continuation> {
    let line = scene.request.line_prefix();
    let mut found = Found::default();
    let mut texts: Vec<(FileId, std::sync::Arc<str>)> =
        files.iter().filter_map(|file| Some((*file, scene.text(*file)?))).collect();
    if let Some(file) = scene.file
        && !files.contains(&file)
    {
        texts.push((file, scene.text(file).expect("the open file has its buffer")));
    }
    for (index, (file, text)) in texts.iter().enumerate() {
        if scene.cancel().is_cancelled() {
            break;
        }
        let cursor = (Some(*file) == scene.file).then(|| scene.request.cursor());
        let place = Place { text, cursor, index };
        if line.trim().is_empty() {
            after_line(scene, &place, &mut found);
        } else {
            after_tokens(line, &place, &mut found);
        }
    }
    let mut found: Vec<(String, Seen)> = found.into_iter().collect();
    found.sort_by(|(a_text, a), (b_text, b)| {
        b.weight
            .total_cmp(&a.weight)
            .then_with(|| b.n_seen.cmp(&a.n_seen))
            .then_with(|| a_text.len().cmp(&b_text.len()))
            .then_with(|| a_text.cmp(b_text))
    });
    found.truncate(limit);
    let best = found.first().map_or(1.0, |(_, first)| first.weight.max(f32::MIN_POSITIVE));
    let continuation = |(text, seen): (String, Seen)| {
        let (index, offset) = seen.first;
        let file = texts[index].0;
        Continuation {
            text,
            n_seen: seen.n_seen,
            n_tokens: seen.n_tokens,
            weight: seen.weight / best,
            path: scene.snapshot.path(file).to_owned(),
            line: scene.lines(file).map_or(0, |lines| lines.line_of(offset as u32)),
        }
    };
    found.into_iter().map(continuation).collect()
}

/// Places where `text` has the end of `line`, the longer the better.
fn after_tokens(line: &str, place: &Place<'_>, found: &mut Found) {
    let text = place.text;
    let starts = token_starts(line);
    // A text is looked through once, for the shortest sequence; each match is then extended.
    let n_least = if line.trim_end().ends_with(lex::is_identifier) { 1 } else { 2 };
    let Some(&start) = starts.iter().rev().nth(n_least - 1).or(starts.first()) else { return };
    let tail = &line[start..];
    for (at, _) in text.match_indices(tail).take(MAX_MATCHES) {
        let end = at + tail.len();
        let splits_word =
            tail.starts_with(lex::is_identifier) && text[..at].ends_with(lex::is_identifier);
        if splits_word || place.cursor == Some(end) {
            continue;
        }
        let line_start = text[..at].rfind('\n').map_or(0, |n| n + 1);
        let seen = &text[line_start..end];
        let n_tokens = starts
            .iter()
            .rev()
            .take(MAX_TOKENS)
            .take_while(|&&start| {
                seen.ends_with(&line[start..])
                    && !(line[start..].starts_with(lex::is_identifier)
                        && seen[..seen.len() - (line.len() - start)].ends_with(lex::is_identifier))
            })
            .count();
        note(place, end, n_tokens, found);
    }
}

/// On an empty line: lines that follow the same line as the one above the cursor.
fn after_line(scene: &Scene<'_>, place: &Place<'_>, found: &mut Found) {
    let text = place.text;
    let prefix = scene.request.prefix();
    let Some(above) = prefix.lines().rev().map(str::trim).find(|line| !line.is_empty()) else {
        return;
    };
    let starts = token_starts(above);
    let Some(&start) = starts.iter().rev().nth(2).or(starts.first()) else { return };
    let tail = &above[start..];
    if tail.len() < 3 {
        return;
    }
    for (at, _) in text.match_indices(tail).take(MAX_MATCHES) {
        let end = at + tail.len();
        let rest = &text[end..];
        let Some(line_end) = rest.find('\n').filter(|&n| rest[..n].trim().is_empty()) else {
            continue;
        };
        let next = &rest[line_end + 1..];
        let begin = end + line_end + 1 + (next.len() - next.trim_start().len());
        if place.cursor.is_some_and(|cursor| end <= cursor && cursor <= begin) {
            continue;
        }
        let line_start = text[..at].rfind('\n').map_or(0, |n| n + 1);
        let n_tokens = if text[line_start..end].trim() == above { MAX_TOKENS } else { 3 };
        note(place, begin, n_tokens, found);
    }
}

/// Records the rest of the line at `end`.
fn note(place: &Place<'_>, end: usize, n_tokens: usize, found: &mut Found) {
    let rest = place.text[end..].lines().next().unwrap_or("").trim_end();
    if rest.trim().is_empty() || rest.len() > MAX_LINE {
        return;
    }
    let mut weight = (n_tokens as f32).powi(2);
    if let Some(cursor) = place.cursor {
        // The same file, the nearer the better.
        weight *= 1.0 + 1.0 / (1.0 + cursor.abs_diff(end) as f32 / 2_000.0);
    }
    let first = (place.index, end);
    let entry =
        found.entry(rest.to_owned()).or_insert(Seen { n_seen: 0, n_tokens, weight: 0.0, first });
    entry.weight += weight;
    match n_tokens.cmp(&entry.n_tokens) {
        Ordering::Greater => (entry.n_tokens, entry.n_seen) = (n_tokens, 1),
        Ordering::Equal => entry.n_seen += 1,
        Ordering::Less => {}
    }
}

/// Offsets where the tokens of `line` begin: identifiers and single other characters.
fn token_starts(line: &str) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut in_word = false;
    for (at, character) in line.char_indices() {
        let is_word = lex::is_identifier(character);
        if !(character.is_whitespace() || is_word && in_word) {
            starts.push(at);
        }
        in_word = is_word;
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn continuations(line: &str, text: &str) -> Vec<(String, usize, u32)> {
        let mut found = Found::default();
        after_tokens(line, &Place { text, cursor: None, index: 0 }, &mut found);
        let mut found: Vec<_> =
            found.into_iter().map(|(text, seen)| (text, seen.n_tokens, seen.n_seen)).collect();
        found.sort_by_key(|(text, n_tokens, _)| (std::cmp::Reverse(*n_tokens), text.clone()));
        found
    }

    #[test]
    fn the_longest_sequence_wins() {
        let text = "    self.mw.policy(x)\n    other.mw.close()\n    self.mw.policy(x)\n";
        assert_eq!(
            continuations("        self.mw.", text),
            [("policy(x)".to_owned(), 4, 2), ("close()".to_owned(), 3, 1)]
        );
    }

    #[test]
    fn a_typed_part_of_a_name_is_continued() {
        let text = "runner = CrawlerRunner(settings)\nxCrawl\n";
        assert_eq!(continuations("  r = Cr", text), [("awlerRunner(settings)".to_owned(), 2, 1)]);
    }

    #[test]
    fn tokens_begin_at_words_and_signs() {
        assert_eq!(token_starts("  a.b_c(1, "), [2, 3, 4, 7, 8, 9]);
    }
}
