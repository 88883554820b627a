//! How close a suggestion is to what was written: exact match, edit similarity, identifiers.

use fovea_context::lex::{self, Scanner, Seen};
use fovea_indexer::Language;
use serde::Serialize;

/// Scores of one point, or their means over many; all in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Scores {
    pub exact_match: f64,
    pub edit_similarity: f64,
    pub identifier_f1: f64,
    /// The first identifier is the right one.
    pub symbol: f64,
}

/// Compares the rest of a line with what was suggested; `partial` is the typed part of a name.
#[must_use]
pub fn score(language: Language, partial: &str, truth: &str, suggestion: &str) -> Scores {
    let truth = without_comment(language, truth.lines().next().unwrap_or("")).trim();
    let suggestion = without_comment(language, suggestion.lines().next().unwrap_or("")).trim();
    let percent = |hit: bool| if hit { 100.0 } else { 0.0 };
    let names = |text: &str| -> Vec<String> {
        let mut names: Vec<String> = lex::identifiers(text)
            .filter(|name| !lex::is_keyword(language, name))
            .map(str::to_owned)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let (wanted, got) = (names(truth), names(suggestion));
    let shared = wanted.iter().filter(|name| got.contains(name)).count();
    let identifier_f1 = match wanted.len() + got.len() {
        0 => 100.0,
        n => 200.0 * shared as f64 / n as f64,
    };
    let first = |text: &str| {
        let typed = format!("{partial}{text}");
        lex::identifiers(&typed)
            .find(|name| !lex::is_keyword(language, name))
            .unwrap_or("")
            .to_owned()
    };
    Scores {
        exact_match: percent(!truth.is_empty() && truth == suggestion),
        edit_similarity: edit_similarity(truth, suggestion),
        identifier_f1,
        symbol: percent(!first(truth).is_empty() && first(truth) == first(suggestion)),
    }
}

/// Mean of `scores`, and the 95 % bootstrap interval of the exact match (1,000 resamples drawn with
/// a fixed seed, so that a report can be repeated).
#[must_use]
pub fn summary(scores: &[Scores]) -> (Scores, (f64, f64)) {
    let n = scores.len().max(1) as f64;
    let mean = |of: fn(&Scores) -> f64| scores.iter().map(of).sum::<f64>() / n;
    let means = Scores {
        exact_match: mean(|s| s.exact_match),
        edit_similarity: mean(|s| s.edit_similarity),
        identifier_f1: mean(|s| s.identifier_f1),
        symbol: mean(|s| s.symbol),
    };
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut draws: Vec<f64> = (0..1_000)
        .map(|_| {
            let sum: f64 = (0..scores.len())
                .map(|_| scores[(next(&mut state) % scores.len() as u64) as usize].exact_match)
                .sum();
            sum / n
        })
        .collect();
    draws.sort_by(f64::total_cmp);
    (means, (draws[25], draws[974]))
}

/// xorshift64* (Vigna 2016).
pub(super) fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
}

/// The line up to a comment at its end.
fn without_comment(language: Language, line: &str) -> &str {
    let mark = language.line_comment();
    let mut end = line.len();
    let mut in_string = false;
    Scanner::new(language).scan(line, |at, character, seen| {
        if seen == Seen::Quoted && !in_string && !mark.is_empty() && line[at..].starts_with(mark) {
            end = at;
            return false;
        }
        if matches!(character, '"' | '\'') && seen == Seen::Quoted {
            in_string = !in_string;
        }
        true
    });
    &line[..end]
}

/// Twice the longest common subsequence over both lengths, in percent.
fn edit_similarity(a: &str, b: &str) -> f64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.is_empty() && b.is_empty() {
        return 100.0;
    }
    let mut row = vec![0_usize; b.len() + 1];
    for x in &a {
        let mut diagonal = 0;
        for (column, y) in b.iter().enumerate() {
            let above = row[column + 1];
            row[column + 1] = if x == y { diagonal + 1 } else { above.max(row[column]) };
            diagonal = above;
        }
    }
    200.0 * row[b.len()] as f64 / (a.len() + b.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blanks_do_not_count() {
        let scores = score(Language::Python, "", "policy(x)  # why", " policy(x)");
        assert_eq!(scores.exact_match, 100.0);
        let quoted = score(Language::Python, "", "f('#a')", "f('#b')");
        assert_eq!(quoted.exact_match, 0.0);
    }

    #[test]
    fn the_first_identifier_includes_what_was_typed() {
        let scores = score(Language::Rust, "Cr", "awler::new()", "awler::open()");
        assert_eq!((scores.symbol, scores.exact_match), (100.0, 0.0));
        assert_eq!(scores.identifier_f1, 50.0);
    }

    #[test]
    fn similarity_is_symmetric_and_bounded() {
        assert_eq!(edit_similarity("abc", "abc"), 100.0);
        assert_eq!(edit_similarity("", "abc"), 0.0);
        assert_eq!(edit_similarity("abcd", "acd"), edit_similarity("acd", "abcd"));
    }

    #[test]
    fn the_interval_holds_the_mean() {
        let scores: Vec<Scores> = (0..100)
            .map(|n| Scores { exact_match: if n < 20 { 100.0 } else { 0.0 }, ..Scores::default() })
            .collect();
        let (means, (low, high)) = summary(&scores);
        assert_eq!(means.exact_match, 20.0);
        assert!(low < 20.0 && 20.0 < high && high - low < 20.0, "{low}-{high}");
    }
}
