//! Model output to suggestion: stopped at the right place, balanced, not repeating what follows,
//! and naming what exists.
//!
//! Steps in order: [`stop`] where line or block end · [`repeat`] loops and repetition of the text
//! behind the cursor · [`balance`] brackets and strings · [`names`] members that exist. What was changed is recorded, so that a
//! person can be told.

mod balance;
mod names;
mod repeat;
mod stop;

use fovea_indexer::{Language, Snapshot};
use serde::{Deserialize, Serialize};

use crate::{
    lex,
    request::{Mode, PlanRequest},
};

/// What ended a suggestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// The model's own end, or its token limit.
    End,
    /// The line was complete.
    Line,
    /// The block was complete: a line stands further out than the cursor's.
    Block,
    /// The text behind the cursor begins here.
    Suffix,
    /// The model began to repeat itself.
    Repetition,
    /// A closing bracket had no partner.
    Bracket,
}

/// A name that was replaced because the project has no such member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    pub from: String,
    pub to: String,
    /// "`Session` has no `sendd`; nearest is `send`".
    pub reason: String,
}

/// Text fit to insert at the cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// Empty if nothing worth showing is left. Line endings are those of the buffer.
    pub text: String,
    pub stop: StopReason,
    pub repairs: Vec<Repair>,
    /// Members that the suggestion names and the graph is sure do not exist; such a suggestion is
    /// ranked behind others.
    pub unknown_members: Vec<String>,
}

impl Suggestion {
    /// True if nothing is left to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }
}

/// Turns `raw`, what the model wrote behind the cursor, into a suggestion.
#[must_use]
pub fn finish(raw: &str, request: &PlanRequest, snapshot: &Snapshot) -> Suggestion {
    let mut suggestion = finish_text(raw, request);
    if !suggestion.is_empty() {
        let checked = names::check(&mut suggestion.text, request, snapshot);
        suggestion.repairs = checked.repairs;
        suggestion.unknown_members = checked.unknown;
    }
    suggestion
}

/// What needs the text alone.
pub(crate) fn finish_text(raw: &str, request: &PlanRequest) -> Suggestion {
    let language = Language::of_path(&request.path).unwrap_or(Language::Text);
    let raw = visible(raw).replace("\r\n", "\n");
    let block = is_block(request);
    let (text, mut stop) =
        if block { stop::block(&raw, request, language) } else { stop::line(&raw) };
    let mut text = text.to_owned();
    let mut shorten = |text: &mut String, end: Option<usize>, why: StopReason| {
        if let Some(end) = end {
            text.truncate(end);
            stop = why;
        }
    };
    let end = repeat::own_loop(&text);
    shorten(&mut text, end, StopReason::Repetition);
    let end = balance::first_stray(request.prefix(), &text, language);
    shorten(&mut text, end, StopReason::Bracket);
    let end = repeat::of_suffix(&text, request, language);
    shorten(&mut text, end, StopReason::Suffix);
    text.truncate(text.trim_end().len());
    if stop == StopReason::End {
        balance::close(&mut text, request, language);
    }
    if request.text.contains("\r\n") {
        text = text.replace('\n', "\r\n");
    }
    Suggestion { text, stop, repairs: Vec::new(), unknown_members: Vec::new() }
}

/// `raw` up to the first character that would hide or reorder text, or command a terminal: no code
/// that a person could check before taking it begins with one.
fn visible(raw: &str) -> &str {
    let is_hidden = |c: char| match c {
        '\n' | '\r' | '\t' => false,
        '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' => {
            true
        }
        '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' => true,
        '\u{E0000}'..='\u{E007F}' => true,
        c => c.is_control(),
    };
    raw.find(is_hidden).map_or(raw, |at| &raw[..at])
}

/// True if the suggestion may span several lines.
#[must_use]
pub fn is_block(request: &PlanRequest) -> bool {
    match request.mode {
        Mode::Line => false,
        Mode::Block => true,
        Mode::Auto => {
            request.line_prefix().trim().is_empty()
                && request.line_suffix().trim().is_empty()
                && !lex::indentation(request.line_prefix()).is_empty()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Finishes `raw` at the `$0` of `buffer`.
    #[track_caller]
    fn check_finish(
        path: &str,
        buffer: &str,
        mode: Mode,
        raw: &str,
        expected: &str,
        why: StopReason,
    ) {
        let cursor = buffer.find("$0").expect("buffer needs a `$0`");
        let mut request = PlanRequest::new(path, buffer.replacen("$0", "", 1), cursor);
        request.mode = mode;
        let suggestion = finish_text(raw, &request);
        assert_eq!((suggestion.text.as_str(), suggestion.stop), (expected, why), "raw {raw:?}");
    }

    #[test]
    fn a_line_ends_at_its_end() {
        check_finish(
            "a.rs",
            "let x = $0\n",
            Mode::Auto,
            "area(2);\nlet y",
            "area(2);",
            StopReason::Line,
        );
        check_finish("a.py", "x = $0", Mode::Auto, "\n\ny = 2", "", StopReason::Line);
    }

    #[test]
    fn a_block_ends_where_a_line_stands_further_out() {
        check_finish(
            "a.py",
            "def f():\n    $0\n\ndef g(): ...\n",
            Mode::Auto,
            "if x:\n        return 1\n    return 2\n\ndef h():\n    pass",
            "if x:\n        return 1\n    return 2",
            StopReason::Block,
        );
        check_finish(
            "a.rs",
            "fn f() {\n    $0\n}\n",
            Mode::Auto,
            "if x {\n        g();\n    }\n}\n\nfn g() {}",
            "if x {\n        g();\n    }",
            StopReason::Block,
        );
    }

    #[test]
    fn what_follows_the_cursor_is_not_repeated() {
        check_finish("a.rs", "f($0);\n", Mode::Line, "a, b);\n", "a, b", StopReason::Suffix);
        check_finish("a.rs", "f($0)\n", Mode::Line, "g(a))\n", "g(a)", StopReason::Suffix);
        check_finish("a.rs", "f($0)\n", Mode::Line, "g(a)\n", "g(a)", StopReason::Line);
        check_finish(
            "a.py",
            "def f():\n    $0\n    return total_of(x)\n",
            Mode::Auto,
            "x = 1\n    return total_of(x)\n",
            "x = 1",
            StopReason::Suffix,
        );
        check_finish(
            "a.py",
            "    $0\n    return total_of(x)\n",
            Mode::Line,
            "return total_of(x)\n",
            "",
            StopReason::Suffix,
        );
    }

    #[test]
    fn brackets_without_a_partner_end_the_suggestion() {
        check_finish("a.rs", "let x = $0\n", Mode::Line, "a[1]);\n", "a[1]", StopReason::Bracket);
        check_finish("a.rs", "f(\n    $0\n", Mode::Line, "a[1]);\n", "a[1]);", StopReason::Line);
    }

    #[test]
    fn what_the_token_limit_cut_is_closed() {
        check_finish("a.rs", "let x = $0\n", Mode::Line, "f(a, g(b", "f(a, g(b))", StopReason::End);
        check_finish("a.py", "x = $0\n", Mode::Line, "f('a", "f('a')", StopReason::End);
    }

    #[test]
    fn loops_are_cut() {
        let raw = "item_of(x), item_of(x), item_of(x), item_of(x), item_of(x)";
        check_finish("a.py", "x = [$0\n", Mode::Line, raw, "item_of(x),", StopReason::Repetition);
    }

    #[test]
    fn line_endings_are_those_of_the_buffer() {
        check_finish(
            "a.py",
            "def f():\r\n    $0\r\n",
            Mode::Auto,
            "x = 1\n    return x\n",
            "x = 1\r\n    return x",
            StopReason::End,
        );
    }
}
