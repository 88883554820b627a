//! The vocabulary by spelling: which tokens begin with, or begin, a given text.

use crate::Tokenizer;

/// Ordinary tokens, sorted by their bytes.
pub(crate) struct VocabIndex {
    sorted: Vec<(Box<[u8]>, u32)>,
    longest: usize,
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
        VocabIndex { sorted, longest }
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
