//! Where a suggestion ends: at its line, or at the end of the block that the cursor is in.

use fovea_indexer::Language;

use super::StopReason;
use crate::{
    lex::{self, Scanner},
    request::PlanRequest,
};

/// A block of more lines is more than anyone reads before accepting.
const MAX_LINES: usize = 32;

/// The first line of `raw`.
pub(super) fn line(raw: &str) -> (&str, StopReason) {
    match raw.find('\n') {
        Some(end) => (&raw[..end], StopReason::Line),
        None => (raw, StopReason::End),
    }
}

/// `raw` up to the first line that stands further out than the cursor's line.
pub(super) fn block<'r>(
    raw: &'r str,
    request: &PlanRequest,
    language: Language,
) -> (&'r str, StopReason) {
    let line_prefix = request.line_prefix();
    let base = lex::indentation(line_prefix).len();
    // On an empty line the statements beside it belong to the block; behind some code only what is
    // further in does.
    let on_empty_line = line_prefix.trim().is_empty();
    let mut scanner = Scanner::new(language);
    let (mut end, mut n_lines) = (0, 0);
    for line in raw.split_inclusive('\n') {
        let content = line.trim();
        if n_lines > 0 && !content.is_empty() {
            let indent = lex::indentation(line).len();
            let closes_own = !scanner.open().is_empty() && content.starts_with([')', ']', '}']);
            let outside = indent < base || (indent == base && !on_empty_line && !closes_own);
            if outside && !(closes_own && indent == base) {
                return (&raw[..end], StopReason::Block);
            }
            if indent == base && n_lines > 1 && starts_item(content, language) {
                return (&raw[..end], StopReason::Block);
            }
        }
        if n_lines == MAX_LINES {
            return (&raw[..end], StopReason::Block);
        }
        scanner.feed(line);
        n_lines += 1;
        end += line.len();
    }
    (raw, StopReason::End)
}

/// True if `line` begins another item: the block's author would not expect two functions at once.
fn starts_item(line: &str, language: Language) -> bool {
    let starts: &[&str] = match language {
        Language::Rust => {
            &["fn ", "pub ", "impl ", "struct ", "enum ", "trait ", "mod ", "#[", "///"]
        }
        Language::Python => &["def ", "class ", "async def ", "@"],
        _ => &["function ", "func ", "class ", "export ", "public ", "type "],
    };
    starts.iter().any(|start| line.starts_with(start))
}
