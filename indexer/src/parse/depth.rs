//! Texts that would cost the parser gigabytes are told before it sees them.
//!
//! Recovering from an error copies the parser's whole stack, in one step that nothing can interrupt: a
//! hundred kilobytes of `A<A<A<` take gigabytes. Code that people or programs write stays far below
//! both limits.

/// Angle brackets open at once.
const MAX_OPEN: usize = 4_000;
/// Operators in a row with no letter, digit, quote or underscore between them; blanks and brackets do
/// not count.
const MAX_OPERATORS: usize = 8_000;

/// True if `text` nests type arguments, or strings operators together, as no program does. Round,
/// square and curly brackets may nest at will: the parser copes with those.
pub(super) fn is_too_deep(text: &str) -> bool {
    let (mut n_open, mut n_operators) = (0_usize, 0_usize);
    for byte in text.bytes() {
        match byte {
            b'<' => (n_open, n_operators) = (n_open + 1, n_operators + 1),
            b'>' => (n_open, n_operators) = (n_open.saturating_sub(1), n_operators + 1),
            // A comparison opens nothing, and ends with its statement.
            b'\n' | b';' => n_open = 0,
            b'(' | b')' | b'[' | b']' | b'{' | b'}' | b' ' | b'\t' | b'\r' => {}
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'"' | b'\'' | b'`' | 128.. => {
                n_operators = 0;
            }
            _ => n_operators += 1,
        }
        if n_open > MAX_OPEN || n_operators > MAX_OPERATORS {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Language, parse::parse};

    #[test]
    fn what_no_program_nests_is_cut_and_code_is_not() {
        assert!(is_too_deep(&"A<".repeat(20_000)));
        assert!(is_too_deep(&"/* ".repeat(20_000)));
        assert!(!is_too_deep(&"if a < b {}\n".repeat(20_000)));
        assert!(!is_too_deep(&"([".repeat(20_000)));
        assert!(!is_too_deep(&"f(g(h([1])));\n".repeat(20_000)));
        assert!(!is_too_deep(&"/* ---------------- */ x\n".repeat(2_000)));
    }

    #[test]
    fn hostile_nesting_leaves_a_stated_cut() {
        let comments = "/*".repeat(20_000) + &"*/".repeat(20_000);
        assert!(parse(Language::Python, &comments).cut);
        assert!(parse(Language::Java, &"A<".repeat(20_000)).cut);
        // Too deep to look at every level, but parsed.
        let members = parse(Language::JavaScript, &("a.".repeat(20_000) + "b"));
        assert!(members.cut, "{members:?}");
    }
}
