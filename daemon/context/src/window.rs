//! The text around the cursor: the fovea.
//!
//! Cut at item boundaries, and in steps: a window whose start moved with every keystroke could not
//! be prefilled once. Where the cut lies inside an item, the headers of the items around the cursor
//! are kept above it, so that the model still knows which class it is in.

use fovea_indexer::{ContentHash, FileFacts, text::LineIndex};

use crate::{
    plan::{Segment, Source},
    request::PlanRequest,
    tokens::{self, TokenCounter},
};

/// The start of a cut window moves in steps of this many lines.
const STEP_LINES: u32 = 16;
/// Lines behind the cursor that are worth showing without fill-in-the-middle tokens.
const SUFFIX_LINES: usize = 24;

/// The prefix segment, fitted to `budget`. `facts` are those of the buffer, if it was parsed.
#[must_use]
pub fn prefix(
    request: &PlanRequest,
    facts: Option<&FileFacts>,
    budget: usize,
    counter: &dyn TokenCounter,
) -> Segment {
    let prefix = request.prefix();
    let tail = tokens::tail_within(prefix, budget, counter);
    let mut start = prefix.len() - tail.len();
    let mut header = String::new();
    if start > 0 {
        header = facts.map_or_else(String::new, |facts| {
            enclosing_headers(&request.text, facts, start as u32, prefix.len() as u32)
        });
        let mut n_header = counter.count(&header);
        // Headers of deep nesting must not crowd out the lines at the cursor, nor the budget.
        if n_header * 2 > budget {
            (header, n_header) = (String::new(), 0);
        }
        let room = budget - n_header;
        start = prefix.len() - tokens::tail_within(prefix, room, counter).len();
        start = boundary(prefix, facts, start);
    }
    let lines = LineIndex::new(prefix);
    let text = format!("{header}{}", &prefix[start..]);
    segment(request, Source::Prefix, text, (start, prefix.len()), &lines, counter)
}

/// The suffix segment, fitted to `budget`; `None` if nothing but blanks follows. With
/// fill-in-the-middle tokens it begins at the cursor, without them on the line below.
#[must_use]
pub fn suffix(request: &PlanRequest, budget: usize, counter: &dyn TokenCounter) -> Option<Segment> {
    let cursor = request.cursor();
    let suffix = request.suffix();
    let start = match request.format.fim {
        Some(_) => 0,
        None => suffix.find('\n').map_or(suffix.len(), |at| at + 1),
    };
    let mut text = &suffix[start..];
    if request.format.fim.is_none() {
        let end = text.split_inclusive('\n').take(SUFFIX_LINES).map(str::len).sum();
        text = &text[..end];
    }
    let text = tokens::head_within(text, budget, counter);
    if text.trim().is_empty() {
        return None;
    }
    let range = (cursor + start, cursor + start + text.len());
    let lines = LineIndex::new(&request.text);
    Some(segment(request, Source::Suffix, text.to_owned(), range, &lines, counter))
}

/// Moves `start` forward to where a window may begin without a partner: an item's start if one
/// lies in the first quarter of the window, else the next step of lines.
fn boundary(prefix: &str, facts: Option<&FileFacts>, start: usize) -> usize {
    let quarter = start + (prefix.len() - start) / 4;
    let item = facts.and_then(|facts| {
        facts
            .symbols
            .iter()
            .filter(|symbol| symbol.kind.is_outline())
            .map(|symbol| symbol.enclosing_range.start as usize)
            .find(|&at| start <= at && at <= quarter)
    });
    let lines = LineIndex::new(prefix);
    let line_start = |line: u32| lines.line_range(line).map(|range| range.start as usize);
    if let Some(item) = item {
        return line_start(lines.line_of(item as u32)).filter(|&at| at >= start).unwrap_or(item);
    }
    let line = lines.line_of(start as u32).next_multiple_of(STEP_LINES);
    line_start(line).filter(|&at| start <= at && at <= quarter).unwrap_or(start)
}

/// Signatures of the items that enclose the cursor and begin above `start`, outermost first.
fn enclosing_headers(text: &str, facts: &FileFacts, start: u32, cursor: u32) -> String {
    let mut out = String::new();
    for symbol in &facts.symbols {
        let is_above = symbol.signature_range.end <= start;
        if is_above && symbol.enclosing_range.start < cursor && cursor <= symbol.enclosing_range.end
        {
            let signature = symbol.signature_range.slice(text).trim_end();
            let line =
                text[..symbol.signature_range.start as usize].rfind('\n').map_or(0, |n| n + 1);
            let indent =
                crate::lex::indentation(&text[line..symbol.signature_range.start as usize]);
            out.push_str(indent);
            out.push_str(signature);
            out.push('\n');
        }
    }
    out
}

fn segment(
    request: &PlanRequest,
    source: Source,
    text: String,
    (start, end): (usize, usize),
    lines: &LineIndex,
    counter: &dyn TokenCounter,
) -> Segment {
    let n_lines = (lines.line_of(start as u32), lines.line_of(end as u32) + 1);
    Segment {
        ring: source.ring(),
        source,
        path: request.path.clone(),
        range: Some(fovea_indexer::text::ByteRange::new(start as u32, end as u32)),
        lines: n_lines,
        reason: match source {
            Source::Prefix => "text before the cursor".to_owned(),
            _ => "text after the cursor".to_owned(),
        },
        n_tokens: counter.count(&text),
        key: ContentHash::of(text.as_bytes()),
        text,
        score: f32::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Estimate;

    fn long_buffer(n_lines: usize) -> String {
        (0..n_lines).map(|n| format!("    let value_{n} = compute({n});\n")).collect()
    }

    #[test]
    fn a_short_file_is_shown_whole() {
        let request = PlanRequest::new("a.rs", "fn f() {\n    g();\n}\n", 13);
        let before = prefix(&request, None, 100, &Estimate);
        assert_eq!(before.text, "fn f() {\n    ");
        assert_eq!(before.lines, (0, 2));
        let after = suffix(&request, 100, &Estimate).expect("a line follows");
        assert_eq!((after.text.as_str(), after.lines), ("}\n", (2, 4)));
    }

    #[test]
    fn typing_does_not_move_the_start_of_a_cut_window() {
        let text = long_buffer(400);
        let starts: Vec<_> = ["", "l", "le", "let", "let x = 1;"]
            .iter()
            .map(|typed| {
                let text = format!("{text}{typed}");
                let request = PlanRequest::new("a.rs", text.clone(), text.len());
                let segment = prefix(&request, None, 1_000, &Estimate);
                assert!(segment.n_tokens <= 1_000);
                segment.range.expect("prefix is a range").start
            })
            .collect();
        assert!(starts.windows(2).all(|pair| pair[0] == pair[1]), "{starts:?}");
        assert!(starts[0] > 0);
    }

    #[test]
    fn blanks_after_the_cursor_are_no_segment() {
        let request = PlanRequest::new("a.rs", "fn f() {}\n\n  \n", 9);
        assert_eq!(suffix(&request, 100, &Estimate), None);
    }
}
