//! The vocabulary by spelling: which tokens begin with, or begin, a given text.

use crate::{Tokenizer, names::is_identifier};

/// Ordinary tokens, sorted by their bytes.
pub(crate) struct VocabIndex {
    sorted: Vec<(Box<[u8]>, u32)>,
    longest: usize,
    /// Tokens that do not go on with an identifier: blanks, punctuation, special tokens.
    enders: Vec<u32>,
}

impl VocabIndex {
    pub(crate) fn new(tokenizer: &Tokenizer, n_vocab: usize) -> Self {
        let mut sorted: Vec<(Box<[u8]>, u32)> = (0..n_vocab as u32)
            .filter(|&token| !tokenizer.is_special(token))
            .map(|token| (tokenizer.token_bytes(token).into(), token))
            .filter(|(bytes, _): &(Box<[u8]>, u32)| !bytes.is_empty())
            .collect();
        sorted.sort_unstable();
        let longest = sorted.iter().map(|(bytes, _)| bytes.len()).max().unwrap_or(0);
        let goes_on = |token: u32| {
            !tokenizer.is_special(token)
                && tokenizer.token_bytes(token).first().is_some_and(|byte| is_identifier(*byte))
        };
        let enders = (0..n_vocab as u32).filter(|&token| !goes_on(token)).collect();
        VocabIndex { sorted, longest, enders }
    }

    /// Tokens that end an identifier before them.
    pub(crate) fn enders(&self) -> impl Iterator<Item = u32> {
        self.enders.iter().copied()
    }

    /// Tokens whose text is a prefix of `text`, shortest first.
    pub(crate) fn prefixes_of(&self, text: &[u8]) -> impl Iterator<Item = u32> {
        (1..=text.len().min(self.longest)).flat_map(|len| self.exact(&text[..len]))
    }

    /// Tokens whose text begins with `text` and is longer.
    pub(crate) fn extensions_of(&self, text: &[u8]) -> impl Iterator<Item = u32> {
        let start = self.sorted.partition_point(|(bytes, _)| &**bytes < text);
        self.sorted[start..]
            .iter()
            .take_while(move |(bytes, _)| bytes.starts_with(text))
            .filter(move |(bytes, _)| bytes.len() > text.len())
            .map(|(_, token)| *token)
    }

    fn exact(&self, text: &[u8]) -> impl Iterator<Item = u32> {
        let start = self.sorted.partition_point(|(bytes, _)| &**bytes < text);
        self.sorted[start..]
            .iter()
            .take_while(move |(bytes, _)| &**bytes == text)
            .map(|(_, token)| *token)
    }
}
