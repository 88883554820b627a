//! Guesses the next tokens by looking up what followed the last ones before (prompt lookup).
//!
//! A guess costs almost nothing, and several guessed tokens are verified in one pass over the
//! weights, so copied code comes several tokens at a time.

use rustc_hash::FxHashMap;

/// The n-gram that must match, longest tried first.
const LONG: usize = 3;
const SHORT: usize = 2;
/// Draft length at the start, and its bounds; it follows the acceptance.
const START: usize = 5;
const LONGEST: usize = 12;

/// Token sequences that the continuation may repeat.
pub(crate) struct Drafts {
    /// All sources one after the other, separated by [`Drafts::BREAK`].
    tokens: Vec<u32>,
    /// Where each n-gram was seen last, as the index after it.
    long: FxHashMap<[u32; LONG], usize>,
    short: FxHashMap<[u32; SHORT], usize>,
    n_indexed: usize,
    length: usize,
}

impl Drafts {
    /// Not a token of any vocabulary.
    const BREAK: u32 = u32::MAX;

    /// `sources` in order of increasing trust: a later occurrence replaces an earlier one.
    pub(crate) fn new<'a>(sources: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let mut drafts = Drafts {
            tokens: Vec::new(),
            long: FxHashMap::default(),
            short: FxHashMap::default(),
            n_indexed: 0,
            length: START,
        };
        for (i, source) in sources.into_iter().enumerate() {
            if i > 0 {
                drafts.tokens.push(Self::BREAK);
            }
            drafts.tokens.extend_from_slice(source);
        }
        drafts
    }

    /// Adds a token to the last source.
    pub(crate) fn push(&mut self, token: u32) {
        self.tokens.push(token);
    }

    /// What may come next, at most `limit` tokens.
    pub(crate) fn guess(&mut self, limit: usize) -> Vec<u32> {
        self.index();
        let end = self.tokens.len();
        let at = self
            .tail::<LONG>()
            .and_then(|gram| self.long.get(&gram))
            .or_else(|| self.tail::<SHORT>().and_then(|gram| self.short.get(&gram)));
        let Some(&at) = at else { return Vec::new() };
        let n = limit.min(self.length);
        self.tokens[at.min(end)..(at + n).min(end)]
            .iter()
            .copied()
            .take_while(|&token| token != Self::BREAK)
            .collect()
    }

    /// Tells how many tokens of a guess were right, to adapt the length of the next.
    pub(crate) fn feedback(&mut self, n_drafted: usize, n_accepted: usize) {
        if n_drafted == 0 {
            return;
        }
        self.length = if n_accepted == n_drafted {
            (self.length + 2).min(LONGEST)
        } else {
            (n_accepted + 2).max(self.length / 2).min(LONGEST)
        };
    }

    /// Indexes all n-grams but the one at the very end, which is the one that is looked up.
    fn index(&mut self) {
        for end in self.n_indexed.max(1)..self.tokens.len() {
            let gram = &self.tokens[..end];
            if let Some(gram) = gram.last_chunk::<LONG>()
                && !gram.contains(&Self::BREAK)
            {
                self.long.insert(*gram, end);
            }
            if let Some(gram) = gram.last_chunk::<SHORT>()
                && !gram.contains(&Self::BREAK)
            {
                self.short.insert(*gram, end);
            }
        }
        self.n_indexed = self.tokens.len();
    }

    fn tail<const N: usize>(&self) -> Option<[u32; N]> {
        self.tokens.last_chunk::<N>().copied().filter(|gram| !gram.contains(&Self::BREAK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_continuation_of_the_longest_latest_match_is_guessed() {
        let (a, b) = ([1, 2, 3, 4, 5, 6], [9, 2, 3, 7, 8]);
        assert_eq!(Drafts::new([&a[..], &b[..], &[0, 2, 3][..]]).guess(2), [7, 8]);
        assert_eq!(Drafts::new([&a[..], &b[..], &[1, 2, 3][..]]).guess(2), [4, 5]);
        assert_eq!(Drafts::new([&a[..], &[6, 1][..]]).guess(4), [0; 0]);
    }

    #[test]
    fn a_guess_ends_with_its_source() {
        assert_eq!(Drafts::new([&[1, 2, 3][..], &[7, 1, 2][..]]).guess(9), [3]);
    }

    #[test]
    fn repetition_inside_the_last_source_is_found_after_pushes() {
        let mut drafts = Drafts::new([&[1, 2, 3, 4, 1][..]]);
        assert_eq!(drafts.guess(3), [0; 0]);
        drafts.push(2);
        assert_eq!(drafts.guess(3), [3, 4, 1]);
    }

    #[test]
    fn length_follows_acceptance() {
        let source: Vec<u32> = (0..40).chain([5, 6]).collect();
        let mut drafts = Drafts::new([&source[..]]);
        assert_eq!(drafts.guess(99).len(), START);
        drafts.feedback(5, 5);
        assert_eq!(drafts.guess(99).len(), START + 2);
        for _ in 0..4 {
            let n = drafts.guess(99).len();
            drafts.feedback(n, 0);
        }
        assert_eq!(drafts.guess(99).len(), 2);
    }
}
