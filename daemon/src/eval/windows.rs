//! The plain builder that a plan is compared with: windows of twenty lines of the whole repository by
//! BM25 over the last fifteen lines, behind the model's own file separators, no graph.

use fovea_context::{
    Piece, PlanRequest, PromptFormat, RenderedPrompt, TokenCounter, format::Files,
    render::RenderedSegment, tokens,
};
use fovea_indexer::{Language, Snapshot};
use rustc_hash::FxHashMap;

/// Lines of a window, and from one window to the next.
const WINDOW: usize = 20;
const STEP: usize = 10;
/// Windows in a prompt, at most.
const N_WINDOWS: usize = 12;
/// Lines before the cursor that are sought.
const QUERY_LINES: usize = 15;
/// A word in a greater share of the windows is ignored.
const MAX_SHARE: f64 = 0.3;

struct Window {
    path: String,
    first: usize,
    n_words: f64,
    text: String,
}

/// All windows of one language in a repository, by word.
pub struct Windows {
    windows: Vec<Window>,
    postings: FxHashMap<String, Vec<(usize, f64)>>,
    mean_words: f64,
}

impl Windows {
    /// Cuts every file of `language` into windows.
    #[must_use]
    pub fn of(snapshot: &Snapshot, language: Language) -> Self {
        let mut all = Self { windows: Vec::new(), postings: FxHashMap::default(), mean_words: 1.0 };
        for file in snapshot.files() {
            let is_language = snapshot.facts(file).is_some_and(|facts| facts.language == language);
            let Some(text) = snapshot.text(file).filter(|_| is_language) else { continue };
            let lines: Vec<&str> = text.split('\n').collect();
            for first in (0..lines.len().saturating_sub(STEP).max(1)).step_by(STEP) {
                let text = lines[first..(first + WINDOW).min(lines.len())].join("\n");
                let words = words(&text);
                if words.is_empty() {
                    continue;
                }
                let (index, n_words) = (all.windows.len(), words.values().sum());
                for (word, count) in words {
                    all.postings.entry(word).or_default().push((index, count));
                }
                let path = snapshot.path(file).to_owned();
                all.windows.push(Window { path, first, n_words, text });
            }
        }
        let n_words: f64 = all.windows.iter().map(|window| window.n_words).sum();
        all.mean_words = n_words / all.windows.len().max(1) as f64;
        all
    }

    /// The prompt at a cursor: half the budget for windows of other files, the best one last.
    #[must_use]
    pub fn prompt(&self, request: &PlanRequest, counter: &dyn TokenCounter) -> RenderedPrompt {
        let (mut left, mut chosen) = (request.budget_tokens / 2, Vec::new());
        for window in self.best(request) {
            let pieces = header(request.format, &window.path, &format!("{}\n", window.text));
            let n_tokens = count(&pieces, counter);
            if n_tokens <= left {
                left -= n_tokens;
                chosen.push(pieces);
            }
        }
        let mut parts = Vec::new();
        if let Files::Tokens { repo: Some(token), .. } = request.format.files {
            parts.push(vec![Piece::Special(token), Piece::Text(request.repository.clone())]);
        }
        chosen.reverse();
        parts.extend(chosen);
        parts.push(header(request.format, &request.path, ""));
        let used: usize = parts.iter().map(|pieces| count(pieces, counter)).sum();
        let room = request.budget_tokens.saturating_sub(used);
        let prefix = tokens::tail_within(request.prefix(), room, counter);
        parts.push(vec![Piece::Text(prefix.to_owned())]);
        let segments =
            parts.into_iter().map(|pieces| RenderedSegment { key: None, pieces, segment: None });
        RenderedPrompt { segments: segments.collect() }
    }

    fn best(&self, request: &PlanRequest) -> Vec<&Window> {
        let mut lines: Vec<&str> = request.prefix().rsplit('\n').take(QUERY_LINES).collect();
        lines.reverse();
        let mut scores: FxHashMap<usize, f64> = FxHashMap::default();
        let n = self.windows.len() as f64;
        for word in words(&lines.join("\n")).keys() {
            let Some(postings) = self.postings.get(word) else { continue };
            let frequency = postings.len() as f64;
            if frequency > MAX_SHARE * n {
                continue;
            }
            let idf = (1.0 + (n - frequency + 0.5) / (frequency + 0.5)).ln();
            for (index, count) in postings {
                let length = 0.25 + 0.75 * self.windows[*index].n_words / self.mean_words;
                *scores.entry(*index).or_default() += idf * count * 2.2 / (count + 1.2 * length);
            }
        }
        let mut order: Vec<(usize, f64)> = scores.into_iter().collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut chosen: Vec<&Window> = Vec::new();
        for (index, _) in order {
            let window = &self.windows[index];
            let clashes = window.path == request.path
                || chosen.iter().any(|other| {
                    other.path == window.path && other.first.abs_diff(window.first) < WINDOW
                });
            if !clashes {
                chosen.push(window);
            }
            if chosen.len() == N_WINDOWS {
                break;
            }
        }
        chosen
    }
}

fn header(format: &PromptFormat, path: &str, text: &str) -> Vec<Piece> {
    match format.files {
        Files::Tokens { file, .. } => {
            vec![Piece::Special(file), Piece::Text(format!("{path}\n{text}"))]
        }
        Files::Comments | Files::HashPath => vec![Piece::Text(format!("# {path}\n{text}\n"))],
    }
}

fn count(pieces: &[Piece], counter: &dyn TokenCounter) -> usize {
    let of = |piece: &Piece| match piece {
        Piece::Special(_) => 1,
        Piece::Text(text) => counter.count(text),
    };
    pieces.iter().map(of).sum()
}

/// Identifiers and their parts in lower case, with their counts.
fn words(text: &str) -> FxHashMap<String, f64> {
    let mut found = FxHashMap::default();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    for word in text.split(|c: char| !c.is_ascii() || !is_word(c as u8)) {
        if !word.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic()) {
            continue;
        }
        *found.entry(word.to_lowercase()).or_default() += 1.0;
        let parts = parts(word);
        if parts.len() > 1 {
            for part in parts.into_iter().filter(|part| part.len() > 1) {
                *found.entry(part.to_lowercase()).or_default() += 1.0;
            }
        }
    }
    found
}

/// Parts by underscores, case and digits.
fn parts(word: &str) -> Vec<&str> {
    let bytes = word.as_bytes();
    let class = |byte: u8| match byte {
        b'A'..=b'Z' => 0,
        b'a'..=b'z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let (mut parts, mut start) = (Vec::new(), 0);
    for at in 1..=bytes.len() {
        let ends = at == bytes.len() || {
            let (before, here) = (class(bytes[at - 1]), class(bytes[at]));
            let next_is_lower = bytes.get(at + 1).is_some_and(|byte| class(*byte) == 1);
            match (before, here) {
                // `HTTPServer`: the last capital begins the next part.
                (0, 0) => next_is_lower,
                (0, 1) => false,
                _ => before != here,
            }
        };
        if ends {
            if class(bytes[start]) != 3 {
                parts.push(&word[start..at]);
            }
            start = at;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole_and_in_parts() {
        assert_eq!(parts("getHTTPResponse_2"), ["get", "HTTP", "Response", "2"]);
        let words = words("send_all(x, SendAll)");
        assert_eq!((words["send_all"], words["send"], words["x"]), (1.0, 2.0, 1.0));
    }
}
