//! Words of code for lexical similarity: whole identifiers and their parts.

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use crate::lex;

/// The words of the last lines, numbered, so that a window is a short list of counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    numbers: FxHashMap<Box<str>, u16>,
}

/// How often a text has each word of a [`Query`], and how many words it has in all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// `(word, count)`, by word.
    found: SmallVec<[(u16, u16); 12]>,
    n_words: u32,
}

impl Query {
    pub(crate) fn of(text: &str) -> Self {
        let mut query = Self::default();
        for_each_word(text, |word| {
            if !query.numbers.contains_key(word) && query.numbers.len() < usize::from(u16::MAX) {
                let number = query.numbers.len() as u16;
                query.numbers.insert(word.into(), number);
            }
        });
        query
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Counts the query's words in `text`.
    pub(crate) fn count(&self, text: &str) -> Counts {
        let mut counts = Counts::default();
        let mut hits: SmallVec<[u16; 64]> = SmallVec::new();
        for_each_word(text, |word| {
            counts.n_words += 1;
            hits.extend(self.numbers.get(word).copied());
        });
        hits.sort_unstable();
        for number in hits {
            match counts.found.last_mut() {
                Some((last, count)) if *last == number => *count += 1,
                _ => counts.found.push((number, 1)),
            }
        }
        counts
    }

    /// Whether `word` is one of the query's words, in any case.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.numbers.contains_key(word.to_lowercase().as_str())
    }

    /// Share of the parts of `name` that the query has; the whole name counts as all of them.
    pub(crate) fn share_of(&self, name: &str) -> f32 {
        let (mut n_parts, mut n_found) = (0_u32, 0_u32);
        for_each_word(name, |word| {
            n_parts += 1;
            n_found += u32::from(self.numbers.contains_key(word));
        });
        if n_parts == 0 { 0.0 } else { n_found as f32 / n_parts as f32 }
    }

    /// Number of distinct words of the query that `text` has.
    pub(crate) fn n_shared(&self, text: &str) -> usize {
        self.count(text).found.len()
    }
}

impl Counts {
    /// Distinct words of the query that were found.
    pub(crate) fn n_shared(&self) -> usize {
        self.found.len()
    }

    /// The counts of two texts together.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        let mut found = self.found.clone();
        for &(number, count) in &other.found {
            match found.binary_search_by_key(&number, |entry| entry.0) {
                Ok(at) => found[at].1 += count,
                Err(at) => found.insert(at, (number, count)),
            }
        }
        Self { found, n_words: self.n_words + other.n_words }
    }
}

/// Every word of `text` in lower case: identifiers, and their parts if they have several.
fn for_each_word(text: &str, mut each: impl FnMut(&str)) {
    let mut lower = String::new();
    for identifier in lex::identifiers(text) {
        for_each_part(identifier, |part| {
            lower.clear();
            if part.is_ascii() {
                lower.push_str(part);
                lower.make_ascii_lowercase();
            } else {
                lower.extend(part.chars().flat_map(char::to_lowercase));
            }
            each(&lower);
        });
    }
}

/// The identifier itself, then its camel-case and snake-case parts if there are several.
fn for_each_part(identifier: &str, mut each: impl FnMut(&str)) {
    each(identifier);
    let bytes = identifier.as_bytes();
    let (mut start, mut parts) = (0, SmallVec::<[(usize, usize); 8]>::new());
    for at in 1..=bytes.len() {
        let ends = at == bytes.len() || {
            let (before, here) = (bytes[at - 1], bytes[at]);
            here == b'_'
                || before == b'_'
                || before.is_ascii_lowercase() && here.is_ascii_uppercase()
                || before.is_ascii_digit() != here.is_ascii_digit()
                || before.is_ascii_uppercase()
                    && here.is_ascii_uppercase()
                    && bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase)
        };
        if ends && identifier.is_char_boundary(at) && identifier.is_char_boundary(start) {
            if bytes[start] != b'_' && at - start > 1 {
                parts.push((start, at));
            }
            start = at;
        }
    }
    if parts.len() > 1 {
        parts.into_iter().for_each(|(start, end)| each(&identifier[start..end]));
    }
}

/// BM25 over windows of candidate files. Document frequencies come from the candidates themselves:
/// a word that most of them have says nothing about which is best.
pub(crate) struct WindowScorer {
    /// By number of the word.
    frequency: Vec<u32>,
    n_windows: u32,
    n_words: u64,
}

/// BM25's usual constants (Robertson and Zaragoza 2009).
const K1: f32 = 1.2;
const B: f32 = 0.75;
/// A word in more than this share of the windows is ignored.
const MAX_SHARE: f32 = 0.3;

impl WindowScorer {
    pub(crate) fn new<'w>(query: &Query, windows: impl Iterator<Item = &'w Counts>) -> Self {
        let mut scorer = Self { frequency: vec![0; query.numbers.len()], n_windows: 0, n_words: 0 };
        for window in windows {
            scorer.n_windows += 1;
            scorer.n_words += u64::from(window.n_words);
            for (number, _) in &window.found {
                scorer.frequency[usize::from(*number)] += 1;
            }
        }
        scorer
    }

    pub(crate) fn score(&self, window: &Counts) -> f32 {
        let average = (self.n_words as f32 / self.n_windows.max(1) as f32).max(1.0);
        let norm = K1 * (1.0 - B + B * window.n_words as f32 / average);
        let of = |&(number, count): &(u16, u16)| {
            let count = f32::from(count);
            self.idf(number) * count * (K1 + 1.0) / (count + norm)
        };
        window.found.iter().map(of).sum()
    }

    fn idf(&self, number: u16) -> f32 {
        let frequency = self.frequency[usize::from(number)] as f32;
        let n = self.n_windows as f32;
        // Few windows say little about frequency: keep every word then.
        if n > 20.0 && frequency > MAX_SHARE * n {
            return 0.0;
        }
        (1.0 + (n - frequency + 0.5) / (frequency + 0.5)).ln()
    }
}

/// Distinct whole identifiers of `text`, rarest spelling kept, in order of first appearance from
/// the end: the query for a search engine.
pub(crate) fn query_text(text: &str, is_keyword: impl Fn(&str) -> bool, limit: usize) -> String {
    let mut seen = FxHashSet::default();
    let mut names: Vec<&str> =
        lex::identifiers(text).filter(|name| name.len() > 1 && !is_keyword(name)).collect();
    names.reverse();
    names.retain(|name| seen.insert(*name));
    names.truncate(limit);
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(identifier: &str) -> Vec<&str> {
        let mut parts = Vec::new();
        for_each_part(identifier, |part| parts.push(part.to_owned()));
        parts.leak().iter().map(String::as_str).collect()
    }

    #[test]
    fn identifiers_are_kept_whole_and_in_parts() {
        assert_eq!(parts("getHTTPResponse"), ["getHTTPResponse", "get", "HTTP", "Response"]);
        assert_eq!(parts("send_all2"), ["send_all2", "send", "all"]);
        assert_eq!(parts("plain"), ["plain"]);
        assert_eq!(parts("größe_neu"), ["größe_neu", "größe", "neu"]);
    }

    #[test]
    fn rare_words_decide() {
        let query = Query::of("session.send(prepared_request)");
        let mut windows = vec![query.count("session.close()"); 30];
        windows.push(query.count("self.send(prepared_request, timeout)"));
        let scorer = WindowScorer::new(&query, windows.iter());
        assert!(scorer.score(&windows[30]) > 3.0 * scorer.score(&windows[0]).max(0.1));
    }
}
