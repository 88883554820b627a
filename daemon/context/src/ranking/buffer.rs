//! What the open buffer itself says about a name: how often and how near it stands, and whether it
//! stood behind the same receiver or the same token before.

use rustc_hash::FxHashMap;

use crate::{lex, request::PlanRequest};

/// Bytes of the buffer that are looked at before and behind the cursor.
const BEFORE: usize = 96 << 10;
const BEHIND: usize = 32 << 10;

/// Where one name stands in the buffer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Uses {
    pub(super) n_before: u32,
    pub(super) n_behind: u32,
    /// On the cursor's line.
    pub(super) n_on_line: u32,
    /// Lines between the cursor and the last use before it.
    pub(super) n_lines_back: u32,
    /// Behind the text that the cursor's receiver has, dot included.
    pub(super) n_same_receiver: u32,
    /// Behind the same token as the one before the cursor.
    pub(super) n_same_token: u32,
}

/// Names of the buffer.
pub(super) struct BufferNames<'a> {
    uses: FxHashMap<&'a str, Uses>,
}

impl<'a> BufferNames<'a> {
    pub(super) fn of(request: &'a PlanRequest, place: &Place<'a>) -> Self {
        let cursor = request.cursor();
        let text: &'a str = &request.text;
        let boundary = |mut at: usize| {
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = boundary(cursor.saturating_sub(BEFORE));
        let end = boundary((cursor + BEHIND).min(text.len()));
        let name_start = cursor - place.partial.len();
        let line_start = cursor - request.line_prefix().len();
        let mut names = Self { uses: FxHashMap::default() };
        let n_lines = text[start..name_start].matches('\n').count() as u32;
        let (mut line, mut counted) = (0_u32, start);
        for name in lex::identifiers(&text[start..name_start]) {
            let at = name.as_ptr() as usize - text.as_ptr() as usize;
            line += text[counted..at].matches('\n').count() as u32;
            counted = at;
            let uses = names.uses.entry(name).or_default();
            uses.n_before += 1;
            uses.n_on_line += u32::from(at >= line_start);
            uses.n_lines_back = n_lines - line;
            names.note_company(name, at, text, place);
        }
        // What is left of a name behind the cursor belongs to the name that is being written.
        let rest = text[cursor..end].trim_start_matches(lex::is_identifier);
        for name in lex::identifiers(rest) {
            let at = name.as_ptr() as usize - text.as_ptr() as usize;
            names.uses.entry(name).or_default().n_behind += 1;
            names.note_company(name, at, text, place);
        }
        names
    }

    pub(super) fn get(&self, name: &str) -> Option<Uses> {
        self.uses.get(name).copied()
    }

    fn note_company(&mut self, name: &'a str, at: usize, text: &str, place: &Place<'_>) {
        let before = &text[..at];
        let uses = self.uses.entry(name).or_default();
        if !place.receiver.is_empty() && ends_in_words(before, place.receiver) {
            uses.n_same_receiver += 1;
        }
        let before = before.trim_end_matches(' ');
        let same = match place.token {
            "" => before.ends_with('\n'),
            token => ends_in_words(before, token),
        };
        uses.n_same_token += u32::from(same);
    }
}

/// True if `text` ends with `end`, and `end` does not begin inside a word.
fn ends_in_words(text: &str, end: &str) -> bool {
    text.strip_suffix(end).is_some_and(|front| {
        !(end.starts_with(lex::is_identifier) && front.ends_with(lex::is_identifier))
    })
}

/// What stands right before the cursor.
pub(super) struct Place<'a> {
    /// The typed part of the name.
    pub(super) partial: &'a str,
    /// The receiver with its dot or colons: `stock.`, `self.items.`; empty if there is none.
    pub(super) receiver: &'a str,
    /// The last token before the name: one word, or one run of punctuation. Empty at the line's
    /// beginning.
    pub(super) token: &'a str,
    pub(super) kind: PlaceKind,
}

/// Places that different kinds of names prefer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlaceKind {
    LineStart,
    Argument,
    Assigned,
    /// Behind `:`; a type, or a value of a mapping or field.
    Colon,
    Arrow,
    Keyword,
    Reference,
    Other,
}

impl PlaceKind {
    pub(super) const N: usize = Self::NAMES.len();
    /// In the order of the variants.
    pub(super) const NAMES: [&str; 8] = [
        "at the line's beginning",
        "as argument",
        "assigned",
        "behind a colon",
        "behind an arrow",
        "behind a word",
        "referenced",
        "elsewhere",
    ];
}

impl<'a> Place<'a> {
    /// The place at the end of `line`, the text of a line before the cursor.
    pub(super) fn of(line: &'a str, partial: &'a str) -> Self {
        let front = &line[..line.len() - partial.len()];
        let receiver = receiver(front);
        let trimmed = front.trim_end();
        let token = match trimmed.chars().next_back() {
            None => "",
            Some(last) if lex::is_identifier(last) => {
                let start = trimmed.trim_end_matches(lex::is_identifier).len();
                &trimmed[start..]
            }
            Some(last) => {
                let is_pair = ["->", "=>", "::", "==", "+=", "..", "&&", "||"]
                    .iter()
                    .find(|pair| trimmed.ends_with(**pair));
                let n = is_pair.map_or(last.len_utf8(), |pair| pair.len());
                &trimmed[trimmed.len() - n..]
            }
        };
        let kind = match token {
            "" => PlaceKind::LineStart,
            "(" | "," | "[" | "{" => PlaceKind::Argument,
            "=" | "+=" | "==" => PlaceKind::Assigned,
            ":" => PlaceKind::Colon,
            "->" | "<" => PlaceKind::Arrow,
            "&" | "*" | "@" | "!" => PlaceKind::Reference,
            word if word.starts_with(lex::is_identifier) => PlaceKind::Keyword,
            _ => PlaceKind::Other,
        };
        Self { partial, receiver, token, kind }
    }
}

/// The receiver that `front` ends with, dot or colons included: names joined by dots or colons.
pub(crate) fn receiver(front: &str) -> &str {
    if !front.ends_with('.') && !front.ends_with("::") {
        return "";
    }
    let start = front
        .char_indices()
        .rev()
        .take_while(|(_, c)| lex::is_identifier(*c) || matches!(c, '.' | ':'))
        .last()
        .map_or(front.len(), |(at, _)| at);
    front[start..].trim_start_matches([':', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::PlanRequest;

    #[track_caller]
    fn check_place(line: &str, receiver: &str, token: &str, kind: PlaceKind) {
        let place = Place::of(line, lex::trailing_identifier(line));
        assert_eq!((place.receiver, place.token, place.kind), (receiver, token, kind), "{line}");
    }

    #[test]
    fn a_place_is_receiver_token_and_kind() {
        check_place("    for item in stock.", "stock.", ".", PlaceKind::Other);
        check_place("let x = self.items.le", "self.items.", ".", PlaceKind::Other);
        check_place("    missing = ", "", "=", PlaceKind::Assigned);
        check_place("    return x", "", "return", PlaceKind::Keyword);
        check_place("f(a, ", "", ",", PlaceKind::Argument);
        check_place("fn f() -> ", "", "->", PlaceKind::Arrow);
        check_place("    ", "", "", PlaceKind::LineStart);
        check_place("x = Kind::", "Kind::", "::", PlaceKind::Other);
    }

    #[test]
    fn uses_are_counted_without_the_name_at_the_cursor() {
        let text = "a.run(b)\nb = a.run\nx = a.ru\na.run()\n";
        let cursor = text.find("a.ru\n").unwrap() + 4;
        let request = PlanRequest::new("m.py", text, cursor);
        let line = request.line_prefix();
        let place = Place::of(line, lex::trailing_identifier(line));
        let names = BufferNames::of(&request, &place);
        let run = names.get("run").unwrap();
        assert_eq!((run.n_before, run.n_behind, run.n_same_receiver), (2, 1, 3));
        assert_eq!(names.get("b").unwrap().n_lines_back, 1);
        assert!(names.get("ru").is_none());
    }
}
