//! Repetition: of the model itself, and of the text behind the cursor.

use fovea_indexer::Language;

use crate::{
    lex::{Scanner, Seen},
    request::PlanRequest,
};

/// Shortest unit whose third copy in a row counts as a loop.
const MIN_UNIT: usize = 8;
/// Shortest line that counts as repeated when the file goes on with it.
const MIN_LINE: usize = 6;

/// Where the second copy of a unit begins that `text` repeats at least three times in a row.
pub(super) fn own_loop(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    for start in 0..bytes.len().saturating_sub(3 * MIN_UNIT) {
        for unit in MIN_UNIT..=((bytes.len() - start) / 3).min(160) {
            let copy = |n: usize| &bytes[start + n * unit..start + (n + 1) * unit];
            if copy(0) == copy(1) && copy(1) == copy(2) {
                let mut end = start + unit;
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                return Some(end);
            }
        }
    }
    None
}

/// Where `text` begins to repeat what stands behind the cursor.
pub(super) fn of_suffix(text: &str, request: &PlanRequest, language: Language) -> Option<usize> {
    of_line_rest(text, request.line_suffix(), language)
        .or_else(|| of_following_lines(text, request))
}

/// The rest of the cursor's line, when `text` ends with (the beginning of) it.
fn of_line_rest(text: &str, rest: &str, language: Language) -> Option<usize> {
    let rest = rest.trim();
    if rest.is_empty() || text.contains('\n') {
        return None;
    }
    let trimmed = text.trim_end();
    // A longer text may contain the whole rest: everything from there on repeats.
    if rest.len() >= MIN_LINE
        && let Some(at) = trimmed.find(rest)
    {
        return Some(at);
    }
    let at = rest
        .char_indices()
        .map(|(at, character)| at + character.len_utf8())
        .rev()
        .find(|&length| trimmed.ends_with(&rest[..length]))
        .map(|length| trimmed.len() - length)?;
    // Brackets that `text` itself opened are its own, whatever follows the cursor.
    let mut scanner = Scanner::new(language);
    let mut all_stray = true;
    scanner.scan(text, |offset, _, seen| {
        all_stray &= !(offset >= at && seen == Seen::Close);
        true
    });
    let only_brackets = trimmed[at..].chars().all(|c| !c.is_alphanumeric());
    (all_stray && (only_brackets || trimmed.len() - at >= 3)).then_some(at)
}

/// A line of `text` from which on it goes on like the lines below the cursor, indentation included:
/// a `}` of an inner block is not the one that closes the function.
fn of_following_lines(text: &str, request: &PlanRequest) -> Option<usize> {
    let suffix = request.suffix();
    let below = suffix.split_once('\n').map_or("", |(_, below)| below);
    let below: Vec<&str> =
        below.lines().map(str::trim_end).filter(|l| !l.is_empty()).take(40).collect();
    let first = below.first()?;
    let mut start = 0;
    let lines: Vec<(usize, String)> = text
        .split_inclusive('\n')
        .enumerate()
        .map(|(index, line)| {
            let at = start;
            start += line.len();
            let typed = if index == 0 { request.line_prefix() } else { "" };
            (at, format!("{typed}{line}").trim_end().to_owned())
        })
        .filter(|(_, line)| !line.is_empty())
        .collect();
    (0..lines.len()).find_map(|index| {
        let same = lines[index..].iter().zip(&below).all(|((_, line), below)| line == below);
        let telling = first.trim().len() >= MIN_LINE || index > 0;
        (same && telling).then(|| lines[index].0)
    })
}
