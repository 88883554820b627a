//! The unit that is indexed and embedded: contiguous pieces of a file that respect its syntax.
//!
//! In: text and the symbols found in it. Out: chunks that together are the whole file, in order.
//! A function that fits stays in one piece; a class that does not fit is cut between its members;
//! neighbors that are small share a chunk. Prose is cut at headings, anything else at line ends.

use crate::{
    Language,
    facts::{ChunkFacts, SymbolFacts, SymbolKind},
    text::{ByteRange, LineIndex},
};

/// A chunk aims at this size: about 40 lines of code.
const TARGET_BYTES: u32 = 1_500;
/// A function up to this size is not cut.
const MAX_BYTES: u32 = 2_600;
/// Two neighbors are joined while the sum stays below this.
const JOIN_BYTES: u32 = 1_100;
/// A file has at most this many chunks; the last one takes the rest.
const MAX_CHUNKS: usize = 20_000;

/// Cuts `text` into chunks. `symbols` are in document order, parents before children.
#[must_use]
pub fn chunks(language: Language, text: &str, symbols: &[SymbolFacts]) -> Vec<ChunkFacts> {
    let end = text.len() as u32;
    if end == 0 {
        return Vec::new();
    }
    let lines = LineIndex::new(text);
    let pieces = match language {
        Language::Text => Vec::new(),
        Language::Markdown => sections(text, &lines, symbols),
        _ => Items::new(text, &lines, symbols).cut(),
    };
    let pieces = if pieces.is_empty() { vec![Piece::new(0, end, None)] } else { pieces };
    let mut chunks = Vec::with_capacity(pieces.len());
    for piece in join(&pieces) {
        split_long(&lines, piece, &mut chunks);
    }
    if chunks.len() > MAX_CHUNKS {
        chunks.truncate(MAX_CHUNKS);
        let last = &mut chunks[MAX_CHUNKS - 1];
        last.range.end = end;
        last.lines.1 = lines.n_lines();
    }
    chunks
}

/// A stretch of text before joining.
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: u32,
    end: u32,
    symbol: Option<u32>,
    /// Pieces join only within one container: a method never shares a chunk with a function
    /// outside of its class.
    container: Option<u32>,
}

impl Piece {
    fn new(start: u32, end: u32, symbol: Option<u32>) -> Self {
        Self { start, end, symbol, container: None }
    }

    fn len(self) -> u32 {
        self.end - self.start
    }
}

/// Cuts code along its items.
struct Items<'a> {
    text: &'a str,
    lines: &'a LineIndex,
    symbols: &'a [SymbolFacts],
    children: Vec<Vec<u32>>,
    top: Vec<u32>,
}

impl<'a> Items<'a> {
    fn new(text: &'a str, lines: &'a LineIndex, symbols: &'a [SymbolFacts]) -> Self {
        let mut children = vec![Vec::new(); symbols.len()];
        let mut top = Vec::new();
        for (index, symbol) in symbols.iter().enumerate() {
            match symbol.parent {
                Some(parent) if (parent as usize) < index => {
                    children[parent as usize].push(index as u32);
                }
                _ => top.push(index as u32),
            }
        }
        Self { text, lines, symbols, children, top }
    }

    fn cut(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        self.cut_range(0, self.text.len() as u32, &self.top, None, 0, &mut pieces);
        pieces
    }

    /// Appends pieces that cover `start..end`, cut at the items among `inside`.
    fn cut_range(
        &self,
        start: u32,
        end: u32,
        inside: &[u32],
        container: Option<u32>,
        depth: u32,
        out: &mut Vec<Piece>,
    ) {
        let mut at = start;
        for &index in inside {
            let symbol = &self.symbols[index as usize];
            if !is_item(symbol.kind) {
                continue;
            }
            let (from, to) = self.whole_lines(symbol.enclosing_range, at, end);
            if from >= to {
                continue;
            }
            if from > at {
                out.push(Piece { start: at, end: from, symbol: container, container });
            }
            let children = &self.children[index as usize];
            if to - from > MAX_BYTES
                && depth < 32
                && !children.is_empty()
                && is_container(symbol.kind)
            {
                self.cut_range(from, to, children, Some(index), depth + 1, out);
            } else {
                out.push(Piece { start: from, end: to, symbol: Some(index), container });
            }
            at = to;
        }
        if at < end {
            out.push(Piece { start: at, end, symbol: container, container });
        }
    }

    /// `range` grown to whole lines, within `at..end`.
    fn whole_lines(&self, range: ByteRange, at: u32, end: u32) -> (u32, u32) {
        let first = self.lines.line_of(range.start);
        let last = self.lines.line_of(range.end.max(range.start + 1) - 1);
        let from = self.lines.line_range(first).map_or(range.start, |line| line.start);
        let to = self.lines.line_range(last).map_or(range.end, |line| line.end);
        (from.max(at), to.min(end))
    }
}

fn is_item(kind: SymbolKind) -> bool {
    !matches!(
        kind,
        SymbolKind::Field
            | SymbolKind::Variant
            | SymbolKind::Parameter
            | SymbolKind::TypeParameter
            | SymbolKind::Heading
    )
}

fn is_container(kind: SymbolKind) -> bool {
    matches!(
        kind,
        SymbolKind::Module
            | SymbolKind::Class
            | SymbolKind::Trait
            | SymbolKind::Interface
            | SymbolKind::Impl
            | SymbolKind::Struct
            | SymbolKind::Enum
    )
}

/// Cuts prose at its headings; a section that fits stays whole.
fn sections(text: &str, lines: &LineIndex, symbols: &[SymbolFacts]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut at = 0;
    let mut current = None;
    for (index, symbol) in symbols.iter().enumerate() {
        if symbol.kind != SymbolKind::Heading {
            continue;
        }
        let line = lines.line_of(symbol.name_range.start);
        let start = lines.line_range(line).map_or(symbol.name_range.start, |line| line.start);
        if start > at {
            pieces.push(Piece::new(at, start, current));
            at = start;
        }
        current = Some(index as u32);
    }
    if at < text.len() as u32 {
        pieces.push(Piece::new(at, text.len() as u32, current));
    }
    pieces
}

/// Joins small neighbors of one container.
fn join(pieces: &[Piece]) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::new();
    for &piece in pieces {
        match joined.last_mut() {
            Some(last)
                if last.container == piece.container
                    && (last.len() + piece.len() <= JOIN_BYTES
                        || piece.len() < 80
                        || last.len() < 80 && piece.len() <= MAX_BYTES) =>
            {
                // The larger one names the chunk.
                if piece.symbol != last.container && piece.len() > last.len()
                    || last.symbol == last.container
                {
                    last.symbol = piece.symbol;
                }
                last.end = piece.end;
            }
            _ => joined.push(piece),
        }
    }
    joined
}

/// Cuts a piece that is too long near the target size, at a blank line if one is close.
fn split_long(lines: &LineIndex, piece: Piece, out: &mut Vec<ChunkFacts>) {
    let mut start = piece.start;
    let mut line = lines.line_of(start);
    let last_line = lines.line_of(piece.end - 1);
    while start < piece.end {
        let (end, next_line) = if piece.end - start <= MAX_BYTES {
            (piece.end, last_line + 1)
        } else {
            cut_point(lines, start, piece.end, line, last_line)
        };
        out.push(ChunkFacts {
            range: ByteRange::new(start, end),
            lines: (line, next_line),
            symbol: piece.symbol,
        });
        start = end;
        line = next_line;
    }
}

/// End of a chunk that starts at `start` on `line`, and the line behind it.
fn cut_point(lines: &LineIndex, start: u32, end: u32, line: u32, last_line: u32) -> (u32, u32) {
    let mut best = None;
    for at in line..=last_line {
        let Some(range) = lines.line_range(at) else { break };
        let size = range.end - start;
        // A line of one or two bytes is blank.
        if size >= TARGET_BYTES / 2 && range.len() <= 2 {
            best = Some((range.end, at + 1));
        }
        if size >= TARGET_BYTES {
            return best.unwrap_or((range.end.min(end), at + 1));
        }
    }
    (end, last_line + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_cover(text: &str, chunks: &[ChunkFacts]) {
        let mut at = 0;
        let mut line = 0;
        for chunk in chunks {
            assert_eq!(chunk.range.start, at, "contiguous");
            assert!(chunk.range.end > at, "not empty");
            assert_eq!(chunk.lines.0, line, "lines are contiguous");
            at = chunk.range.end;
            line = chunk.lines.1;
        }
        assert_eq!(at as usize, text.len(), "covers the file");
    }

    #[test]
    fn text_is_cut_by_lines_and_covered() {
        let text = "some words here\n".repeat(500);
        let chunks = chunks(Language::Text, &text, &[]);
        check_cover(&text, &chunks);
        assert!(chunks.len() >= 4, "{}", chunks.len());
        assert!(chunks.iter().all(|chunk| chunk.range.len() <= MAX_BYTES as usize));
    }

    #[test]
    fn one_endless_line_is_one_chunk() {
        let text = "x".repeat(100_000);
        let chunks = chunks(Language::Text, &text, &[]);
        check_cover(&text, &chunks);
        assert_eq!(chunks.len(), 1);
    }

    #[test]
    fn empty_text_has_no_chunks() {
        assert!(chunks(Language::Rust, "", &[]).is_empty());
    }

    fn function(name: &str, start: u32, end: u32, parent: Option<u32>) -> SymbolFacts {
        SymbolFacts {
            name: name.to_owned(),
            kind: SymbolKind::Function,
            name_range: ByteRange::new(start, start),
            enclosing_range: ByteRange::new(start, end),
            signature_range: ByteRange::new(start, start),
            parent,
            doc: None,
            is_public: true,
            is_test: false,
        }
    }

    #[test]
    fn a_function_that_fits_stays_whole() {
        let body = "    let value = compute();\n".repeat(40);
        let one = format!("fn one() {{\n{body}}}\n");
        let two = format!("fn two() {{\n{body}}}\n");
        let text = format!("{one}{two}");
        let symbols = [
            function("one", 0, one.len() as u32 - 1, None),
            function("two", one.len() as u32, text.len() as u32 - 1, None),
        ];
        let chunks = chunks(Language::Rust, &text, &symbols);
        check_cover(&text, &chunks);
        let named: Vec<_> = chunks.iter().map(|chunk| chunk.symbol).collect();
        assert_eq!(named, [Some(0), Some(1)]);
    }
}
