//! Brackets and strings: nothing is closed that was not opened, nothing stays open that the token
//! limit cut.

use fovea_indexer::Language;

use crate::{
    lex::{self, Scanner, Seen, Within},
    request::PlanRequest,
};

/// Offset in `text` of the first closing bracket that nothing before it opened.
pub(super) fn first_stray(prefix: &str, text: &str, language: Language) -> Option<usize> {
    let mut scanner = Scanner::new(language);
    scanner.feed(prefix);
    let mut stray = None;
    scanner.scan(text, |at, _, seen| {
        if seen == Seen::Stray {
            stray = Some(at);
        }
        stray.is_none()
    });
    stray
}

/// Closes the string and the round and square brackets that `text` itself opened, innermost first,
/// unless the text behind the cursor closes them. A brace is left open: its block was not written.
pub(super) fn close(text: &mut String, request: &PlanRequest, language: Language) {
    let mut scanner = Scanner::new(language);
    scanner.feed(request.prefix());
    let n_before = scanner.open().len();
    let before = scanner.within();
    scanner.feed(text);
    if !request.line_suffix().trim().is_empty() || text.ends_with(['(', '[', '{', ',']) {
        return;
    }
    if let Within::String(quote, false) = scanner.within()
        && before == Within::Code
    {
        text.push(quote);
    }
    for &bracket in scanner.open().iter().skip(n_before).rev() {
        if bracket == '{' {
            break;
        }
        text.push(lex::closing(bracket));
    }
}
