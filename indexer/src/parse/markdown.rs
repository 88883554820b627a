//! Markdown: headings are symbols nested by level, names in code spans are mentions.

use super::Extracted;
use crate::{
    facts::{OccurrenceFacts, Role, SymbolFacts, SymbolKind},
    text::ByteRange,
};

pub(super) fn extract(text: &str) -> Extracted {
    let mut extracted = Extracted::default();
    // Open headings: (level, symbol).
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut fence: Option<&str> = None;
    let mut previous = ByteRange::default();
    let mut behind = 0;
    for line in text.split_inclusive('\n') {
        let range = ByteRange::new(behind, behind + line.trim_end().len() as u32);
        behind += line.len() as u32;
        let trimmed = line.trim();
        if let Some(marker) = fence {
            if trimmed.starts_with(marker) {
                fence = None;
            }
            previous = ByteRange::default();
            continue;
        }
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            fence = Some(&trimmed[..3]);
            continue;
        }
        if let Some((level, name)) = heading(text, range, previous) {
            let start = name.start.min(range.start);
            close(&mut open, level, start, &mut extracted.symbols);
            let parent = open.last().map(|&(_, symbol)| symbol as u32);
            open.push((level, extracted.symbols.len()));
            let whole = ByteRange::new(start, text.len() as u32);
            extracted.symbols.push(SymbolFacts {
                name: name.slice(text).to_owned(),
                kind: SymbolKind::Heading,
                name_range: name,
                enclosing_range: whole,
                signature_range: ByteRange::new(whole.start, range.end),
                parent,
                doc: None,
                is_public: true,
                is_test: false,
            });
            extracted.occurrences.push(OccurrenceFacts {
                range: name,
                role: Role::Definition,
                enclosing: parent,
                name: 0,
            });
        } else {
            mentions(text, range, open.last().map(|&(_, s)| s as u32), &mut extracted.occurrences);
        }
        previous = range;
    }
    extracted
}

/// Ends the headings of `level` or deeper before `at`.
fn close(open: &mut Vec<(usize, usize)>, level: usize, at: u32, symbols: &mut [SymbolFacts]) {
    while open.last().is_some_and(|&(other, _)| other >= level) {
        let (_, symbol) = open.pop().expect("just looked at");
        symbols[symbol].enclosing_range.end = at;
    }
}

/// `# Title`, or a line of `===` or `---` under a title.
fn heading(text: &str, line: ByteRange, previous: ByteRange) -> Option<(usize, ByteRange)> {
    let content = line.slice(text);
    let level = content.bytes().take_while(|&byte| byte == b'#').count();
    if (1..=6).contains(&level) {
        let title = content[level..].trim_end_matches('#');
        let name = title.trim();
        if name.is_empty() || !title.starts_with([' ', '\t']) {
            return None;
        }
        let offset = line.start + (level + title.len() - title.trim_start().len()) as u32;
        return Some((level, ByteRange::new(offset, offset + name.len() as u32)));
    }
    let underline = content.trim_end();
    let level = match underline.as_bytes() {
        [b'=', b'=', ..] if underline.bytes().all(|byte| byte == b'=') => 1,
        [b'-', b'-', ..] if underline.bytes().all(|byte| byte == b'-') => 2,
        _ => return None,
    };
    let title = previous.slice(text);
    let is_title = !title.trim().is_empty() && !title.starts_with(['#', '-', '|', '>', '=']);
    is_title.then_some((level, previous))
}

/// Identifiers in `` `code spans` `` of one line.
fn mentions(
    text: &str,
    line: ByteRange,
    enclosing: Option<u32>,
    occurrences: &mut Vec<OccurrenceFacts>,
) {
    let mut inside = false;
    let mut start = line.start;
    for part in line.slice(text).split('`') {
        if inside && part.len() < 120 {
            for (at, word) in words(part) {
                let start = start + at as u32;
                occurrences.push(OccurrenceFacts {
                    range: ByteRange::new(start, start + word.len() as u32),
                    role: Role::Reference,
                    enclosing,
                    name: 0,
                });
            }
        }
        inside = !inside;
        start += part.len() as u32 + 1;
    }
}

/// Words that could be identifiers, with their offsets.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.split(move |c| !is_word(c))
        .filter(|word| word.len() > 2 && !word.starts_with(|c: char| c.is_ascii_digit()))
        .map(move |word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_nest_and_fences_are_skipped() {
        let text = "Top\n===\ntext `Widget::area`\n## Sub ##\n```\n# not\n```\n# Next\n";
        let extracted = extract(text);
        let list: Vec<_> = extracted
            .symbols
            .iter()
            .map(|s| (s.name.as_str(), s.parent, s.enclosing_range.slice(text).len()))
            .collect();
        assert_eq!(list, [("Top", None, 52), ("Sub", Some(0), 24), ("Next", None, 7)]);
        let mentions: Vec<_> = extracted
            .occurrences
            .iter()
            .filter(|o| o.role == Role::Reference)
            .map(|o| o.range.slice(text))
            .collect();
        assert_eq!(mentions, ["Widget", "area"]);
    }
}
