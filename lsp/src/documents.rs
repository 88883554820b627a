//! Open documents: their texts, kept by applying the editor's edits in the order they came.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fovea_api::Encoding;
use tower_lsp_server::ls_types::{Position, TextDocumentContentChangeEvent, Uri};

use crate::requests::inline_completion::InlineState;

/// One open document.
pub(crate) struct Document {
    pub(crate) text: Arc<str>,
    pub(crate) version: i32,
    pub(crate) language: String,
    pub(crate) inline: InlineState,
}

/// A document as it was when a request came in.
#[derive(Clone)]
pub(crate) struct DocumentView {
    pub(crate) text: Arc<str>,
    pub(crate) version: i32,
}

#[derive(Default)]
pub(crate) struct Documents {
    open: Mutex<HashMap<Uri, Document>>,
}

impl Documents {
    pub(crate) fn open(&self, uri: Uri, version: i32, language: String, text: String) -> Arc<str> {
        let text: Arc<str> = text.into();
        let inline = InlineState::default();
        let document = Document { text: Arc::clone(&text), version, language, inline };
        self.lock().insert(uri, document);
        text
    }

    /// Applies `changes` one after another; `None` if the document is not open.
    pub(crate) fn change(
        &self,
        uri: &Uri,
        version: i32,
        changes: Vec<TextDocumentContentChangeEvent>,
        encoding: Encoding,
    ) -> Option<Arc<str>> {
        let mut open = self.lock();
        let document = open.get_mut(uri)?;
        let mut text = String::from(&*document.text);
        for change in changes {
            apply(&mut text, change, encoding);
        }
        document.text = text.into();
        document.version = version;
        document.inline.keystroke();
        Some(Arc::clone(&document.text))
    }

    pub(crate) fn close(&self, uri: &Uri) -> bool {
        self.lock().remove(uri).is_some()
    }

    pub(crate) fn view(&self, uri: &Uri) -> Option<DocumentView> {
        let open = self.lock();
        let document = open.get(uri)?;
        Some(DocumentView { text: Arc::clone(&document.text), version: document.version })
    }

    /// Runs `f` on an open document.
    pub(crate) fn with<T>(&self, uri: &Uri, f: impl FnOnce(&mut Document) -> T) -> Option<T> {
        self.lock().get_mut(uri).map(f)
    }

    /// The first open document of which `f` says something, and what it says.
    pub(crate) fn find_map<T>(&self, f: impl Fn(&mut Document) -> Option<T>) -> Option<(Uri, T)> {
        self.lock().iter_mut().find_map(|(uri, document)| Some((uri.clone(), f(document)?)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uri, Document>> {
        // A panic in one handler leaves the map whole: each change is one assignment.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Applies one edit. Positions outside the text are clamped to it, as the protocol demands; an edit
/// without a range replaces everything.
fn apply(text: &mut String, change: TextDocumentContentChangeEvent, encoding: Encoding) {
    let Some(range) = change.range else {
        *text = change.text;
        return;
    };
    let start = offset(text, range.start, encoding);
    let end = offset(text, range.end, encoding).max(start);
    text.replace_range(start..end, &change.text);
}

/// Byte offset of `position` in `text`. `\n` ends a line, with or without a `\r` before it. A column
/// past the line's end means its end; a column inside a character means the character's start.
pub(crate) fn offset(text: &str, position: Position, encoding: Encoding) -> usize {
    let Some(start) = line_start(text, position.line) else { return text.len() };
    start + column_bytes(line_content(&text[start..]), position.character, encoding)
}

/// The content of a zero-based line, without its ending; empty past the last line.
pub(crate) fn line(text: &str, line: u32) -> &str {
    line_start(text, line).map_or("", |start| line_content(&text[start..]))
}

/// Length of `text` in columns.
pub(crate) fn columns(text: &str, encoding: Encoding) -> u32 {
    let n_columns = match encoding {
        Encoding::Utf8 => text.len(),
        Encoding::Utf16 => text.chars().map(char::len_utf16).sum(),
        Encoding::Utf32 => text.chars().count(),
    };
    n_columns as u32
}

/// Bytes of `line` before a column.
pub(crate) fn column_bytes(line: &str, column: u32, encoding: Encoding) -> usize {
    let column = column as usize;
    let mut seen = 0;
    for (at, character) in line.char_indices() {
        let width = match encoding {
            Encoding::Utf8 => character.len_utf8(),
            Encoding::Utf16 => character.len_utf16(),
            Encoding::Utf32 => 1,
        };
        if seen + width > column {
            return at;
        }
        seen += width;
    }
    line.len()
}

fn line_start(text: &str, line: u32) -> Option<usize> {
    if line == 0 {
        return Some(0);
    }
    text.match_indices('\n').nth(line as usize - 1).map(|(at, _)| at + 1)
}

fn line_content(rest: &str) -> &str {
    let line = rest.split('\n').next().unwrap_or("");
    line.strip_suffix('\r').unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use tower_lsp_server::ls_types::Range;

    use super::*;

    fn check_edit(
        before: &str,
        (start, end): ((u32, u32), (u32, u32)),
        insert: &str,
        encoding: Encoding,
        after: &str,
    ) {
        let mut text = before.to_owned();
        let range = Range::new(Position::new(start.0, start.1), Position::new(end.0, end.1));
        let change = TextDocumentContentChangeEvent {
            range: Some(range),
            range_length: None,
            text: insert.to_owned(),
        };
        apply(&mut text, change, encoding);
        assert_eq!(text, after);
    }

    /// Zero-based line and column of a byte offset, which must be a character boundary.
    fn position(text: &str, offset: usize, encoding: Encoding) -> Position {
        let before = &text[..offset];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        Position {
            line: before.bytes().filter(|&byte| byte == b'\n').count() as u32,
            character: columns(&before[start..], encoding),
        }
    }

    #[test]
    fn columns_count_in_the_negotiated_unit() {
        let before = "x = '\u{1F600}é'; y\n";
        // The quote after the two characters: 5 + 2 + 1, 5 + 4 + 2 or 5 + 1 + 1 columns in.
        for (encoding, column) in [(Encoding::Utf16, 8), (Encoding::Utf8, 11), (Encoding::Utf32, 7)]
        {
            check_edit(
                before,
                ((0, column), (0, column + 1)),
                "\"",
                encoding,
                "x = '\u{1F600}é\"; y\n",
            );
        }
    }

    #[test]
    fn edits_keep_crlf_and_clamp_to_the_line() {
        check_edit("ab\r\ncd\r\n", ((0, 99), (0, 99)), "!", Encoding::Utf16, "ab!\r\ncd\r\n");
        check_edit("ab\r\ncd\r\n", ((0, 2), (1, 0)), "", Encoding::Utf16, "abcd\r\n");
        check_edit("ab\r\ncd", ((7, 0), (9, 3)), "\r\nef", Encoding::Utf16, "ab\r\ncd\r\nef");
    }

    #[test]
    fn a_column_inside_a_surrogate_pair_is_the_characters_start() {
        assert_eq!(offset("a\u{1F600}b", Position::new(0, 2), Encoding::Utf16), 1);
        assert_eq!(offset("a\u{1F600}b", Position::new(0, 3), Encoding::Utf16), 5);
    }

    #[test]
    fn positions_round_trip() {
        let text = "é\u{1F600}\r\nb\u{1F600}\n";
        for encoding in [Encoding::Utf8, Encoding::Utf16, Encoding::Utf32] {
            for (at, character) in text.char_indices() {
                if character != '\n' && character != '\r' {
                    assert_eq!(offset(text, position(text, at, encoding), encoding), at);
                }
            }
        }
    }
}
