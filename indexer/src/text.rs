//! Byte ranges, lines and the conversion to UTF-16 columns. The only place that converts.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Half-open range of byte offsets into one file's UTF-8 text. Files are capped far below 4 GiB.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct ByteRange {
    pub start: u32,
    pub end: u32,
}

impl ByteRange {
    #[must_use]
    pub const fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    #[must_use]
    pub const fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// True for `start <= offset < end`.
    #[must_use]
    pub const fn contains(self, offset: u32) -> bool {
        self.start <= offset && offset < self.end
    }

    /// True for `start <= offset <= end`: a cursor just behind a name still touches it.
    #[must_use]
    pub const fn touches(self, offset: u32) -> bool {
        self.start <= offset && offset <= self.end
    }

    /// True if `other` lies within `self` (or equals it).
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// As a `usize` range, to slice text with.
    #[must_use]
    pub const fn span(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The part of `text` in this range; empty if the range is out of bounds or splits a character.
    #[must_use]
    pub fn slice(self, text: &str) -> &str {
        text.get(self.span()).unwrap_or("")
    }
}

/// A place between two characters: zero-based line, and column in the unit the caller asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LineCol {
    pub line: u32,
    pub col: u32,
}

/// Start offsets of the lines of one text. `\n` ends a line; a `\r` before it belongs to the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineIndex {
    starts: Vec<u32>,
    len: u32,
}

impl LineIndex {
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut starts = vec![0];
        starts.extend(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at as u32 + 1));
        Self { starts, len: text.len() as u32 }
    }

    #[must_use]
    pub fn n_lines(&self) -> u32 {
        self.starts.len() as u32
    }

    /// Range of `line` (zero-based) with its line ending; `None` past the last line.
    #[must_use]
    pub fn line_range(&self, line: u32) -> Option<ByteRange> {
        let start = *self.starts.get(line as usize)?;
        let end = self.starts.get(line as usize + 1).copied().unwrap_or(self.len);
        Some(ByteRange::new(start, end))
    }

    /// Zero-based line of `offset`; offsets past the end belong to the last line.
    #[must_use]
    pub fn line_of(&self, offset: u32) -> u32 {
        self.starts.partition_point(|&start| start <= offset) as u32 - 1
    }

    /// Zero-based line and byte column of `offset`.
    #[must_use]
    pub fn line_col(&self, offset: u32) -> LineCol {
        let line = self.line_of(offset);
        LineCol { line, col: offset - self.starts[line as usize] }
    }

    /// Zero-based line and UTF-16 column of `offset` in `text` (the text this index was built of).
    #[must_use]
    pub fn utf16(&self, text: &str, offset: u32) -> LineCol {
        let LineCol { line, col } = self.line_col(offset);
        let start = self.starts[line as usize];
        let before = ByteRange::new(start, start + col).slice(text);
        LineCol { line, col: before.encode_utf16().count() as u32 }
    }

    /// Byte offset of a zero-based byte column; clamped to the line's end, moved back to a
    /// character boundary. `None` past the last line.
    #[must_use]
    pub fn offset(&self, text: &str, at: LineCol) -> Option<u32> {
        let line = self.content(text, at.line)?;
        let mut offset = (line.start + at.col).min(line.end);
        while !text.is_char_boundary(offset as usize) {
            offset -= 1;
        }
        Some(offset)
    }

    /// Byte offset of a zero-based UTF-16 column; clamped like [`LineIndex::offset`].
    #[must_use]
    pub fn offset_of_utf16(&self, text: &str, at: LineCol) -> Option<u32> {
        let line = self.content(text, at.line)?;
        let mut units = 0;
        for (byte, character) in line.slice(text).char_indices() {
            units += character.len_utf16() as u32;
            if units > at.col {
                return Some(line.start + byte as u32);
            }
        }
        Some(line.end)
    }

    /// Byte offset of a zero-based column counted in characters; clamped like [`LineIndex::offset`].
    #[must_use]
    pub fn offset_of_chars(&self, text: &str, at: LineCol) -> Option<u32> {
        let line = self.content(text, at.line)?;
        let byte = line.slice(text).char_indices().nth(at.col as usize);
        Some(byte.map_or(line.end, |(byte, _)| line.start + byte as u32))
    }

    /// The line without its `\n` or `\r\n`.
    fn content(&self, text: &str, line: u32) -> Option<ByteRange> {
        let range = self.line_range(line)?;
        let content = range.slice(text);
        let content = content.strip_suffix('\n').unwrap_or(content);
        let content = content.strip_suffix('\r').unwrap_or(content);
        Some(ByteRange::new(range.start, range.start + content.len() as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_round_trip_through_utf16() {
        let text = "a\u{1F600}b\r\n\nlast é";
        let lines = LineIndex::new(text);
        for (offset, _) in text.char_indices().filter(|(_, c)| *c != '\n' && *c != '\r') {
            let at = lines.utf16(text, offset as u32);
            assert_eq!(lines.offset_of_utf16(text, at), Some(offset as u32), "offset {offset}");
        }
        assert_eq!(lines.utf16(text, 5), LineCol { line: 0, col: 3 });
    }

    #[test]
    fn columns_past_the_line_are_clamped_before_the_line_ending() {
        let text = "ab\r\ncd";
        let lines = LineIndex::new(text);
        assert_eq!(lines.offset(text, LineCol { line: 0, col: 99 }), Some(2));
        assert_eq!(lines.offset(text, LineCol { line: 1, col: 99 }), Some(6));
        assert_eq!(lines.offset(text, LineCol { line: 2, col: 0 }), None);
    }
}
