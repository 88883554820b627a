//! Unicode general categories that pre-tokenizers speak of (`\p{L}`, `\p{N}`, `\p{P}`), as tables.
//!
//! The standard library has no general categories (`is_alphabetic` also takes marks and letter-like
//! numbers), and a regular expression with look-ahead would need a backtracking engine, so the
//! classes come from `regex-syntax` and the patterns are written out in [`super::split`].

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

pub(super) static LETTER: LazyLock<CharClass> = LazyLock::new(|| CharClass::new(r"\p{L}"));
pub(super) static NUMBER: LazyLock<CharClass> = LazyLock::new(|| CharClass::new(r"\p{N}"));
pub(super) static PUNCTUATION: LazyLock<CharClass> = LazyLock::new(|| CharClass::new(r"\p{P}"));

/// A set of characters: a bitmap below U+0800, sorted ranges above.
pub(super) struct CharClass {
    low: [u64; LOW / 64],
    ranges: Vec<(char, char)>,
}

const LOW: usize = 0x800;

impl CharClass {
    fn new(pattern: &str) -> Self {
        let hir = regex_syntax::parse(pattern).expect("the pattern is a constant");
        let HirKind::Class(Class::Unicode(class)) = hir.kind() else {
            unreachable!("the pattern is one Unicode class")
        };
        let ranges: Vec<_> =
            class.ranges().iter().map(|range| (range.start(), range.end())).collect();
        let mut low = [0; LOW / 64];
        for at in 0..LOW {
            let char = char::from_u32(at as u32).expect("below the surrogates");
            if search(&ranges, char) {
                low[at / 64] |= 1 << (at % 64);
            }
        }
        Self { low, ranges }
    }

    #[inline]
    pub(super) fn has(&self, char: char) -> bool {
        let at = char as usize;
        if at < LOW { self.low[at / 64] >> (at % 64) & 1 == 1 } else { search(&self.ranges, char) }
    }
}

fn search(ranges: &[(char, char)], char: char) -> bool {
    let at = ranges.partition_point(|(_, end)| *end < char);
    ranges.get(at).is_some_and(|(start, _)| *start <= char)
}
