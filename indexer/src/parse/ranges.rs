//! Ranges of the syntax tree that editors ask for: what can be folded, and what encloses a cursor.
//! Nothing here is stored; the text is parsed when somebody asks.

use tree_sitter::Node;

use super::syntax_tree;
use crate::{
    Language,
    text::{ByteRange, LineIndex},
};

/// Folds beyond this many are of no use to anybody, and generated files have a million.
const MAX_FOLDS: usize = 5_000;

/// What a fold hides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoldKind {
    Code,
    Comment,
    Imports,
}

/// Lines that can be folded, zero-based, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fold {
    pub lines: (u32, u32),
    pub kind: FoldKind,
}

/// What can be folded in `text`, by first line; of several folds that begin on one line the largest.
#[must_use]
pub fn folds(language: Language, text: &str) -> Vec<Fold> {
    let Some(tree) = syntax_tree(language, text) else { return Vec::new() };
    let mut folds: Vec<Fold> = Vec::new();
    let mut cursor = tree.walk();
    // Depth first without recursion: broken code nests as deep as it likes.
    let mut goes_down = true;
    loop {
        let node = cursor.node();
        if goes_down && let Some(fold) = fold_of(node) {
            extend_or_push(&mut folds, fold);
            if folds.len() >= MAX_FOLDS {
                break;
            }
        }
        if goes_down && node.child_count() > 0 && cursor.goto_first_child() {
            continue;
        }
        if cursor.goto_next_sibling() {
            goes_down = true;
        } else if cursor.goto_parent() {
            goes_down = false;
        } else {
            break;
        }
    }
    folds.retain(|fold| fold.lines.0 < fold.lines.1);
    folds.sort_by_key(|fold| (fold.lines.0, std::cmp::Reverse(fold.lines.1)));
    folds.dedup_by_key(|fold| fold.lines.0);
    folds
}

fn fold_of(node: Node<'_>) -> Option<Fold> {
    let kind = match node.kind() {
        kind if kind.contains("comment") => FoldKind::Comment,
        "use_declaration"
        | "import_statement"
        | "import_from_statement"
        | "future_import_statement"
        | "import_declaration"
        | "preproc_include" => FoldKind::Imports,
        _ if node.is_named() && node.parent().is_some() => FoldKind::Code,
        _ => return None,
    };
    let first = node.start_position().row;
    let end = node.end_position();
    // A line comment of Rust ends where the next line begins.
    let last = if end.column == 0 && end.row > first { end.row - 1 } else { end.row };
    let is_line = first == last;
    if kind == FoldKind::Code && is_line {
        return None;
    }
    Some(Fold { lines: (first as u32, last as u32), kind })
}

/// Comments and imports on lines that follow each other are one fold.
fn extend_or_push(folds: &mut Vec<Fold>, fold: Fold) {
    if fold.kind != FoldKind::Code
        && let Some(last) = folds.last_mut()
        && last.kind == fold.kind
        && fold.lines.0 <= last.lines.1 + 1
    {
        last.lines.1 = last.lines.1.max(fold.lines.1);
        return;
    }
    folds.push(fold);
}

/// The nodes around `offset`, innermost first, each larger than the one before; the word at the
/// cursor, if there is one, comes first.
#[must_use]
pub fn around(language: Language, text: &str, offset: u32) -> Vec<ByteRange> {
    let mut ranges: Vec<ByteRange> = Vec::new();
    let mut push = |range: ByteRange| {
        let grows = ranges.last().is_none_or(|last| {
            range.start <= last.start && range.end >= last.end && range != *last
        });
        if grows {
            ranges.push(range);
        }
    };
    push(word(text, offset));
    if let Some(tree) = syntax_tree(language, text) {
        let mut node = tree.root_node().descendant_for_byte_range(offset as usize, offset as usize);
        while let Some(inner) = node {
            push(ByteRange::new(inner.start_byte() as u32, inner.end_byte() as u32));
            node = inner.parent();
        }
    } else {
        let lines = LineIndex::new(text);
        if let Some(line) = lines.line_range(lines.line_of(offset)) {
            push(line);
        }
    }
    push(ByteRange::new(0, text.len() as u32));
    ranges
}

fn word(text: &str, offset: u32) -> ByteRange {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (before, behind) = text.split_at(offset as usize);
    let start = before.trim_end_matches(is_word).len() as u32;
    let n_behind = behind.len() - behind.trim_start_matches(is_word).len();
    ByteRange::new(start, offset + n_behind as u32)
}

/// The innermost call whose arguments are being written at `offset`: the offset in the callee's name,
/// and how many arguments stand before the cursor. Works on broken code: only brackets, strings and
/// commas before the cursor count.
#[must_use]
pub fn call_at(text: &str, offset: u32) -> Option<(u32, u32)> {
    /// A call further back is not what the user is writing.
    const MAX_BACK: usize = 4_000;
    let before = &text[..offset as usize];
    let mut floor = before.len().saturating_sub(MAX_BACK);
    while !before.is_char_boundary(floor) {
        floor += 1;
    }
    let mut depth = 0_u32;
    let mut n_commas = 0;
    let mut quote: Option<char> = None;
    let mut chars = before[floor..].char_indices().rev().peekable();
    while let Some((at, c)) = chars.next() {
        if let Some(open) = quote {
            let is_escaped = chars.peek().is_some_and(|(_, before)| *before == '\\');
            if c == open && !is_escaped {
                quote = None;
            }
            continue;
        }
        match c {
            '"' => quote = Some(c),
            // A lifetime is no string: an apostrophe closes only what one opened on this line.
            '\'' => {
                let line_start = before[..floor + at].rfind('\n').map_or(0, |newline| newline + 1);
                if before[line_start..floor + at].matches('\'').count() % 2 == 1 {
                    quote = Some(c);
                }
            }
            ')' | ']' | '}' => depth += 1,
            '(' if depth == 0 => {
                let callee = before[..floor + at].trim_end();
                let name_end = callee.len() as u32;
                let is_call = callee.ends_with(|c: char| c.is_alphanumeric() || c == '_');
                return is_call.then_some((name_end, n_commas));
            }
            '[' | '{' if depth == 0 => return None,
            '(' | '[' | '{' => depth -= 1,
            ',' if depth == 0 => n_commas += 1,
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check_folds(language: Language, text: &str, expected: Expect) {
        let folds = folds(language, text);
        let lines: Vec<String> = folds
            .iter()
            .map(|fold| format!("{}-{} {:?}", fold.lines.0 + 1, fold.lines.1 + 1, fold.kind))
            .collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn items_comments_and_imports_fold() {
        check_folds(
            Language::Rust,
            "// a\n// b\nuse a::b;\nuse c::d;\n\nfn f() {\n    g(\n        1,\n    );\n}\n",
            expect![[r#"
                1-2 Comment
                3-4 Imports
                6-10 Code
                7-9 Code"#]],
        );
        check_folds(
            Language::Python,
            "import a\nfrom b import c\n\n\nclass D:\n    def e(self):\n        return {\n            1: 2,\n        }\n",
            expect![[r#"
                1-2 Imports
                5-9 Code
                6-9 Code
                7-9 Code"#]],
        );
    }

    #[test]
    fn a_selection_grows_from_the_word_to_the_file() {
        let text = "fn f() { g(one + 2) }\n";
        let at = text.find("ne").expect("there") as u32;
        let grown: Vec<&str> =
            around(Language::Rust, text, at).iter().map(|range| range.slice(text)).collect();
        assert_eq!(
            grown,
            ["one", "one + 2", "(one + 2)", "g(one + 2)", "{ g(one + 2) }", text.trim_end(), text]
        );
    }

    fn check_call(text: &str, expected: Option<(&str, u32)>) {
        let offset = text.find('|').expect("a cursor");
        let text = text.replacen('|', "", 1);
        let found = call_at(&text, offset as u32);
        let found = found.map(|(end, n)| (word(&text, end).slice(&text).to_owned(), n));
        assert_eq!(found, expected.map(|(name, n)| (name.to_owned(), n)), "{text}");
    }

    #[test]
    fn the_call_being_written_is_found() {
        check_call("f(|", Some(("f", 0)));
        check_call("x.f(a, (b, c), |", Some(("f", 2)));
        check_call("f(g(1, 2), |)", Some(("f", 1)));
        check_call("f(\"a, (\", |", Some(("f", 1)));
        check_call("f(|) + g(", Some(("f", 0)));
        check_call("f(1);|", None);
        check_call("if (|", Some(("if", 0)));
        check_call("f(1)|", None);
        check_call("let x = [1, |", None);
        check_call("f('é', |", Some(("f", 1)));
    }
}
