//! Whether text from other files can help at this cursor, from features that cost nothing.
//!
//! In published work at most one retrieval in five helps. A wrong "no" costs a completion that the
//! project knew, a wrong "yes" some tokens and milliseconds, so the gate says no only where the
//! answer cannot come from elsewhere.

use fovea_indexer::Language;
use serde::{Deserialize, Serialize};

use crate::{
    lex::{self, Scanner, Within},
    request::{PlanRequest, Preset},
};

/// The gate's answer, with its reason for `explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateDecision {
    /// Collect the near field (contracts of the names at the cursor).
    pub near_field: bool,
    /// Collect the periphery (retrieved text) and the outline.
    pub periphery: bool,
    pub reason: String,
}

impl Default for GateDecision {
    fn default() -> Self {
        Self { near_field: true, periphery: true, reason: "code".to_owned() }
    }
}

impl GateDecision {
    fn skip(reason: &str) -> Self {
        Self { near_field: false, periphery: false, reason: reason.to_owned() }
    }
}

/// Decides from the text in front of the cursor.
#[must_use]
pub fn decide(request: &PlanRequest, language: Language) -> GateDecision {
    if request.preset == Preset::None {
        return GateDecision::skip("preset shows the open file only");
    }
    let line = request.line_prefix();
    match within(request.prefix(), language) {
        Within::LineComment | Within::BlockComment => {
            return GateDecision::skip("in a comment");
        }
        Within::String(_, true) => return GateDecision::skip("in a documentation string"),
        Within::String(quote, false) if !is_interpolated(line, quote, language) => {
            return GateDecision {
                near_field: false,
                periphery: true,
                reason: "in a string: only similar code can know it".to_owned(),
            };
        }
        Within::String(..) | Within::Code => {}
    }
    let partial = lex::trailing_identifier(line);
    let before = line[..line.len() - partial.len()].trim_end();
    if partial.len() >= 2 && before.is_empty() && continues_keyword_only(partial, language) {
        return GateDecision::skip("a keyword is being typed");
    }
    if request.preset == Preset::Lean {
        return GateDecision {
            near_field: true,
            periphery: false,
            reason: "preset leaves retrieved text out".to_owned(),
        };
    }
    GateDecision::default()
}

/// Where the end of `prefix` lies. Scans from the start: a string may have begun anywhere above.
fn within(prefix: &str, language: Language) -> Within {
    let mut scanner = Scanner::new(language);
    scanner.feed(prefix);
    scanner.within()
}

/// True in a `{..}` hole of a format string.
fn is_interpolated(line: &str, quote: char, language: Language) -> bool {
    let Some(start) = line.rfind(quote) else { return false };
    let inside = &line[start + 1..];
    let is_format =
        language == Language::Rust || line[..start].ends_with(['f', 'F']) || quote == '`';
    is_format && inside.rfind('{') > inside.rfind('}')
}

fn continues_keyword_only(partial: &str, language: Language) -> bool {
    lex::is_keyword(language, partial)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_gate(path: &str, before: &str, near_field: bool, periphery: bool) {
        let request = PlanRequest::new(path, before, before.len());
        let language = Language::of_path(path).expect("fixture has a known extension");
        let decision = decide(&request, language);
        assert_eq!(
            (decision.near_field, decision.periphery),
            (near_field, periphery),
            "{before:?}: {}",
            decision.reason
        );
    }

    #[test]
    fn code_gets_everything() {
        check_gate("a.rs", "fn f() { client.", true, true);
        check_gate("a.py", "x = ", true, true);
        check_gate("a.py", "", true, true);
    }

    #[test]
    fn comments_and_keywords_get_nothing() {
        check_gate("a.rs", "// see the ", false, false);
        check_gate("a.rs", "/* a\n b ", false, false);
        check_gate("a.py", "def f():\n    \"\"\"Sends ", false, false);
        check_gate("a.py", "    return", false, false);
    }

    #[test]
    fn strings_get_similar_code_and_holes_everything() {
        check_gate("a.py", "x = 'ab", false, true);
        check_gate("a.py", "x = f'ab{", true, true);
        check_gate("a.rs", "println!(\"{", true, true);
    }
}
