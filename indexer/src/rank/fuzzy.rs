//! Symbols by approximate name.

use crate::{FileId, Snapshot, SymbolId, facts::SymbolKind};

/// Names longer than this are only compared exactly.
const MAX_NAME: usize = 128;

pub(crate) fn symbols_matching(
    snapshot: &Snapshot,
    query: &str,
    limit: usize,
) -> Vec<(SymbolId, f32)> {
    let query = query.trim();
    let wanted = Pattern::new(query.rsplit("::").next().unwrap_or(query));
    if wanted.lower.is_empty() || limit == 0 {
        return Vec::new();
    }
    let mut found: Vec<(SymbolId, f32)> = Vec::new();
    for file in snapshot.files() {
        let Some(facts) = snapshot.facts(file) else { continue };
        for (index, symbol) in facts.symbols.iter().enumerate() {
            if !symbol.kind.is_outline() || symbol.kind == SymbolKind::Heading {
                continue;
            }
            if let Some(similarity) = wanted.similarity(&symbol.name) {
                let id = SymbolId { file: FileId(file.0), index: index as u32 };
                let lowered = if symbol.is_test { 0.1 } else { 0.0 };
                found.push((id, similarity - lowered - kind_discount(symbol.kind)));
            }
        }
    }
    found.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found.truncate(limit);
    found
}

/// Types and functions before fields and variables of the same name.
fn kind_discount(kind: SymbolKind) -> f32 {
    match kind {
        SymbolKind::Class
        | SymbolKind::Struct
        | SymbolKind::Trait
        | SymbolKind::Interface
        | SymbolKind::Enum
        | SymbolKind::Union => 0.0,
        SymbolKind::Function | SymbolKind::Macro | SymbolKind::TypeAlias => 0.01,
        SymbolKind::Method | SymbolKind::Module => 0.02,
        SymbolKind::Impl | SymbolKind::Variable => 0.05,
        _ => 0.03,
    }
}

/// A name to compare others with.
pub(crate) struct Pattern {
    exact: String,
    /// Lowercase, without `_`.
    lower: Vec<char>,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        let exact: String = text.trim_end_matches("()").chars().take(MAX_NAME).collect();
        let lower = fold(&exact);
        Self { exact, lower }
    }

    /// Similarity in `0..=1`, or `None` if the names have nothing to do with each other.
    pub(crate) fn similarity(&self, name: &str) -> Option<f32> {
        if name == self.exact {
            return Some(1.0);
        }
        if name.len() > MAX_NAME {
            return None;
        }
        let folded = fold(name);
        let (wanted, have) = (self.lower.len(), folded.len());
        if folded == self.lower {
            return Some(0.95);
        }
        let share = wanted.min(have) as f32 / wanted.max(have).max(1) as f32;
        if folded.starts_with(&self.lower) {
            return Some(0.7 + 0.2 * share);
        }
        if wanted >= 3 && folded.windows(wanted).any(|window| window == self.lower) {
            return Some(0.55 + 0.15 * share);
        }
        if self.matches_word_starts(name) {
            return Some(0.6);
        }
        let allowed = match wanted {
            0..=3 => 0,
            4..=7 => 1,
            _ => 2,
        };
        if have.abs_diff(wanted) <= allowed
            && let Some(distance) = distance(&self.lower, &folded, allowed)
        {
            return Some(0.75 - 0.1 * distance as f32);
        }
        (wanted >= 3 && is_subsequence(&self.lower, &folded)).then_some(0.2 + 0.2 * share)
    }

    /// `iw` for `IndexWriter`, `ga` for `get_app`.
    fn matches_word_starts(&self, name: &str) -> bool {
        let mut starts = crate::bm25::tokenize::parts(name)
            .filter_map(|part| part.chars().next())
            .flat_map(char::to_lowercase);
        self.lower.len() >= 2 && self.lower.iter().all(|wanted| starts.next() == Some(*wanted))
    }
}

fn fold(text: &str) -> Vec<char> {
    text.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect()
}

fn is_subsequence(wanted: &[char], have: &[char]) -> bool {
    let mut have = have.iter();
    wanted.iter().all(|wanted| have.any(|c| c == wanted))
}

/// Edit distance with swaps of neighbors, if it is at most `limit`.
fn distance(a: &[char], b: &[char], limit: usize) -> Option<usize> {
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut current = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = previous[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            current[j] = replaced.min(previous[j] + 1).min(current[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                current[j] = current[j].min(before[j - 2] + 1);
            }
        }
        if current.iter().min().is_some_and(|least| *least > limit) {
            return None;
        }
        before = std::mem::replace(&mut previous, current);
    }
    previous.last().copied().filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_order(query: &str, names: &[&str], expected: &[&str]) {
        let pattern = Pattern::new(query);
        let mut found: Vec<(&str, f32)> =
            names.iter().filter_map(|name| Some((*name, pattern.similarity(name)?))).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        let found: Vec<&str> = found.into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn better_matches_come_first() {
        check_order(
            "session",
            &["Decision", "SessionStore", "Session", "session", "open_session"],
            &["session", "Session", "SessionStore", "open_session"],
        );
    }

    #[test]
    fn typos_and_abbreviations_are_found() {
        check_order("IndexWirter", &["IndexWriter", "Indexer"], &["IndexWriter"]);
        check_order("recieve_msg", &["receive_msg", "send"], &["receive_msg"]);
        check_order("iw", &["IndexWriter", "Index"], &["IndexWriter"]);
        check_order("abc", &["abd"], &[]);
    }
}
