//! Which files can have a match at all: a small filter of each file's trigrams, made when the file is
//! first searched and kept by the hash of its content.
//!
//! A filter has about one bit a byte of text and no false negatives: a file whose filter lacks a
//! trigram of every literal that a match must begin or end with has no match, and is not read.

use std::sync::{Arc, PoisonError, RwLock};

use regex_syntax::hir::{
    Hir,
    literal::{ExtractKind, Extractor, Seq},
};
use rustc_hash::FxHashMap;

use crate::{ContentHash, FileId};

/// Filters are at most this large, so that one endless file does not cost more.
const MAX_WORDS: usize = 1 << 12;

/// The trigrams of one text: bit `hash(trigram)` is set for each, ASCII letters in lower case.
#[derive(Debug)]
pub(super) struct Filter(Box<[u64]>);

impl Filter {
    pub(super) fn new(text: &[u8]) -> Self {
        let n_words = (text.len() / 64).next_power_of_two().clamp(4, MAX_WORDS);
        let mut words = vec![0u64; n_words];
        for trigram in trigrams(text) {
            let bit = place(trigram, n_words);
            words[bit / 64] |= 1 << (bit % 64);
        }
        Self(words.into())
    }

    fn has_all(&self, literal: &[u8]) -> bool {
        trigrams(literal).all(|trigram| {
            let bit = place(trigram, self.0.len());
            self.0[bit / 64] & 1 << (bit % 64) != 0
        })
    }
}

fn trigrams(text: &[u8]) -> impl Iterator<Item = u32> {
    text.windows(3).map(|window| {
        let [a, b, c] = [window[0], window[1], window[2]].map(|byte| byte.to_ascii_lowercase());
        u32::from_be_bytes([0, a, b, c])
    })
}

fn place(trigram: u32, n_words: usize) -> usize {
    // Multiplicative hashing: the high bits are the mixed ones.
    (trigram.wrapping_mul(0x9e37_79b1) >> 8) as usize % (n_words * 64)
}

/// Filters of the files searched so far; shared by all snapshots of a workspace.
#[derive(Debug, Default)]
pub(crate) struct Trigrams(RwLock<FxHashMap<FileId, (ContentHash, Arc<Filter>)>>);

impl Trigrams {
    /// The filter of `file`, if it is of the text with this hash.
    pub(super) fn get(&self, file: FileId, hash: ContentHash) -> Option<Arc<Filter>> {
        let filters = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (known, filter) = filters.get(&file)?;
        (*known == hash).then(|| Arc::clone(filter))
    }

    pub(super) fn put(&self, file: FileId, hash: ContentHash, filter: Filter) {
        let mut filters = self.0.write().unwrap_or_else(PoisonError::into_inner);
        filters.insert(file, (hash, Arc::new(filter)));
    }
}

/// Literals of which every match has at least one at its start (or at its end); empty if the pattern
/// says too little.
#[derive(Debug, Default)]
pub(super) struct Wanted(Vec<Vec<u8>>);

impl Wanted {
    pub(super) fn of(pattern: &Hir) -> Self {
        let literals = |kind| usable(&Extractor::new().kind(kind).extract(pattern));
        let both = [literals(ExtractKind::Prefix), literals(ExtractKind::Suffix)];
        // The set whose shortest literal is longest tells most.
        let shortest = |set: &Vec<Vec<u8>>| set.iter().map(Vec::len).min();
        Self(both.into_iter().flatten().max_by_key(shortest).unwrap_or_default())
    }

    /// True if a text with this filter may have a match.
    pub(super) fn may_match(&self, filter: &Filter) -> bool {
        self.0.is_empty() || self.0.iter().any(|literal| filter.has_all(literal))
    }

    pub(super) fn is_useful(&self) -> bool {
        !self.0.is_empty()
    }
}

/// The literals, if there are finitely many and each has a trigram.
fn usable(literals: &Seq) -> Option<Vec<Vec<u8>>> {
    let literals = literals.literals()?;
    let long = literals.iter().all(|literal| literal.len() >= 3);
    (long && !literals.is_empty())
        .then(|| literals.iter().map(|literal| literal.as_bytes().to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str, may_match: bool) {
        let hir = regex_syntax::ParserBuilder::new().build().parse(pattern).unwrap();
        let wanted = Wanted::of(&hir);
        assert_eq!(wanted.may_match(&Filter::new(text.as_bytes())), may_match, "{pattern}");
    }

    #[test]
    fn only_texts_that_cannot_match_are_left_out() {
        let text = "fn open_file() { Größe(\"K\u{212a}elvin\") }";
        check("open_file", text, true);
        check("close_file", text, false);
        check("(?i)OPEN_FILE", text, true);
        check("(?i)größe|nothing", text, true);
        check("(?i)kkelvin", text, true);
        check(r"\w+_file\(\)", text, true);
        check(r"\w+_fole\(\)", text, false);
        check("open|close", text, true);
        check("shut|close", text, false);
        check(".*", text, true);
        check("ab", text, true);
        check("", "", true);
    }
}
