//! Identifier-aware terms: an identifier gives its parts (camelCase, snake_case, acronyms, digits),
//! reduced to a stem, and, when it has several parts, the whole of it without separators, so that
//! `max_retries`, `maxRetries` and "max retries" meet.

/// Longer terms are hashes, base64 or generated data; nobody types them.
const MAX_TERM_BYTES: usize = 48;

/// Calls `sink` with each term of `text`, in order, and the part of `text` it stands for. The whole
/// identifier comes before its parts.
pub(crate) fn terms<'a>(text: &'a str, mut sink: impl FnMut(&str, TermKind, &'a str)) {
    let mut term = String::with_capacity(64);
    for_each_identifier(text, |identifier| identifier_terms(identifier, &mut term, &mut sink));
}

/// What a term is within its identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TermKind {
    /// The identifier has no parts; stemmed.
    Word,
    /// All parts of an identifier joined; not stemmed.
    Whole,
    /// One of several parts; stemmed.
    Part,
}

/// Runs of alphanumeric characters and `_`.
pub(crate) fn for_each_identifier<'a>(text: &'a str, mut sink: impl FnMut(&'a str)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        while at < bytes.len() {
            let byte = bytes[at];
            if byte.is_ascii_alphanumeric() || byte == b'_' {
                at += 1;
            } else if byte < 0x80 {
                break;
            } else {
                let character = text[at..].chars().next().expect("at a character boundary");
                if !character.is_alphanumeric() {
                    break;
                }
                at += character.len_utf8();
            }
        }
        if at > start {
            sink(&text[start..at]);
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
}

fn identifier_terms<'a>(
    identifier: &'a str,
    term: &mut String,
    sink: &mut impl FnMut(&str, TermKind, &'a str),
) {
    let trimmed = identifier.trim_matches('_');
    if trimmed.is_empty() || trimmed.len() > 4 * MAX_TERM_BYTES {
        return;
    }
    let n_parts = parts(trimmed).take(2).count();
    if n_parts <= 1 {
        lower(trimmed, term);
        if term.len() <= MAX_TERM_BYTES && (term.len() > 1 || !term.is_ascii()) {
            stem(term);
            sink(term, TermKind::Word, identifier);
        }
        return;
    }
    term.clear();
    for part in parts(trimmed) {
        push_lower(part, term);
    }
    if term.len() <= MAX_TERM_BYTES {
        sink(term, TermKind::Whole, identifier);
    }
    for part in parts(trimmed) {
        lower(part, term);
        if term.len() > 1 && term.len() <= MAX_TERM_BYTES {
            stem(term);
            sink(term, TermKind::Part, part);
        }
    }
}

/// Parts of an identifier: `HTTPServer2_name` -> `HTTP`, `Server`, `2`, `name`.
pub(crate) fn parts(identifier: &str) -> impl Iterator<Item = &str> {
    let mut rest = identifier;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches('_');
        if rest.is_empty() {
            return None;
        }
        let end = part_end(rest);
        let (part, tail) = rest.split_at(end);
        rest = tail;
        Some(part)
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Upper,
    Lower,
    Digit,
    Separator,
}

fn class(character: char) -> Class {
    if character == '_' {
        Class::Separator
    } else if character.is_ascii_digit() {
        Class::Digit
    } else if character.is_uppercase() {
        Class::Upper
    } else {
        Class::Lower
    }
}

fn part_end(text: &str) -> usize {
    let mut characters = text.char_indices().map(|(at, c)| (at, class(c))).peekable();
    let Some((_, first)) = characters.next() else { return 0 };
    let mut previous = first;
    let mut n_upper = usize::from(first == Class::Upper);
    while let Some((at, current)) = characters.next() {
        let boundary = match (previous, current) {
            (_, Class::Separator) => true,
            (Class::Digit, Class::Digit) | (Class::Lower, Class::Lower) => false,
            (Class::Digit, _) | (_, Class::Digit) | (Class::Lower, Class::Upper) => true,
            // `HTTPServer`: the last capital starts the next word.
            (Class::Upper, Class::Upper) => {
                n_upper >= 1
                    && matches!(characters.peek(), Some((_, Class::Lower)))
                    // `URLs` is one word.
                    && !text[at..].ends_with_plural_acronym()
            }
            (Class::Upper, Class::Lower) => false,
            (Class::Separator, _) => true,
        };
        if boundary {
            return at;
        }
        n_upper += usize::from(current == Class::Upper);
        previous = current;
    }
    text.len()
}

trait PluralAcronym {
    fn ends_with_plural_acronym(&self) -> bool;
}

impl PluralAcronym for str {
    /// One capital and a final `s`, nothing more: the end of `URLs`.
    fn ends_with_plural_acronym(&self) -> bool {
        let mut characters = self.chars().skip(1);
        characters.next() == Some('s') && characters.next().is_none_or(|next| !next.is_lowercase())
    }
}

fn lower(text: &str, out: &mut String) {
    out.clear();
    push_lower(text, out);
}

fn push_lower(text: &str, out: &mut String) {
    if text.is_ascii() {
        out.extend(text.bytes().map(|byte| byte.to_ascii_lowercase() as char));
    } else {
        out.extend(text.chars().flat_map(char::to_lowercase));
    }
}

/// A light stemmer for English in code: `validate`, `validates`, `validating`, `validation` and
/// `validator` meet. Errs on the side of joining; ranking weighs exact names separately.
pub(crate) fn stem(word: &mut String) {
    if word.len() < 4 || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return;
    }
    plural(word);
    let n = word.len();
    if n >= 9 && word.ends_with("ization") {
        word.truncate(n - 5);
    } else if n >= 8 && (word.ends_with("tion") || word.ends_with("sion")) {
        word.truncate(n - 3);
    } else if n >= 7 && word.ends_with("ator") {
        word.truncate(n - 2);
    } else if n >= 8 && (word.ends_with("able") || word.ends_with("ment")) {
        word.truncate(n - 4);
    } else if n >= 6 && word.ends_with("ing") {
        word.truncate(n - 3);
        undouble(word);
    } else if n >= 6 && (word.ends_with("ed") || word.ends_with("er") || word.ends_with("or")) {
        word.truncate(n - 2);
        undouble(word);
    }
    if word.len() >= 4 && word.ends_with('e') {
        word.truncate(word.len() - 1);
    }
    if word.len() >= 7 && word.ends_with("at") {
        word.truncate(word.len() - 2);
    }
}

fn plural(word: &mut String) {
    let n = word.len();
    if !word.ends_with('s') || word.ends_with("ss") || word.ends_with("us") || word.ends_with("is")
    {
        return;
    }
    if n > 4 && word.ends_with("ies") {
        word.truncate(n - 3);
        word.push('y');
    } else if ["sses", "xes", "ches", "shes", "zes"].iter().any(|end| word.ends_with(end)) {
        word.truncate(n - 2);
    } else {
        word.truncate(n - 1);
    }
}

/// `mapp` -> `map`, but `call`, `process` and `buzz` keep both.
fn undouble(word: &mut String) {
    let bytes = word.as_bytes();
    if let [.., a, b] = bytes
        && a == b
        && !matches!(b, b'l' | b's' | b'z')
    {
        word.truncate(bytes.len() - 1);
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check_terms(text: &str, expect: Expect) {
        let mut out = Vec::new();
        terms(text, |term, _, _| out.push(term.to_owned()));
        expect.assert_eq(&out.join(" "));
    }

    #[test]
    fn identifiers_give_whole_and_parts() {
        check_terms("max_retries maxRetries", expect!["maxretries max retry maxretries max retry"]);
        check_terms("HTTPServer2 parseURLs", expect!["httpserver2 http serv parseurls pars url"]);
        check_terms("__init__(self, x)", expect!["init self"]);
        check_terms("Größe, naïveCode 名前", expect!["größe naïvecode naïve cod 名前"]);
    }

    #[test]
    fn word_forms_meet() {
        check_terms(
            "validate validates validating validation validator",
            expect!["valid valid valid valid valid"],
        );
        check_terms(
            "configure configuration serialize serialization connect connection",
            expect!["configur configur serializ serializ connect connect"],
        );
        check_terms("mapping maps call calling classes", expect!["map map call call class"]);
    }

    #[test]
    fn generated_data_gives_no_terms() {
        check_terms(&"a1b2c3d4".repeat(200), expect![""]);
    }
}
