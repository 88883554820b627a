//! Text of a repository as people and models may see it: nothing in it acts, hides or reorders.

use std::fmt::Write as _;

/// `text` with everything that could act on a terminal made visible. Tabs and line feeds stay.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    clean_into(&mut cleaned, text);
    cleaned
}

/// As [`clean`], behind what `into` has.
pub fn clean_into(into: &mut String, text: &str) {
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\n' | '\t' => into.push(character),
            // Line endings of Windows, of a line that was cut out too.
            '\r' if matches!(rest.peek(), None | Some('\n')) => {}
            _ => push(into, character),
        }
    }
}

/// A name, path, key or message on one line: line feeds and tabs are made visible too, so that what
/// stands behind one cannot pass for a line of its own.
#[must_use]
pub fn clean_name(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    clean_name_into(&mut cleaned, text);
    cleaned
}

/// As [`clean_name`], behind what `into` has.
pub fn clean_name_into(into: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\n' => into.push_str("\\n"),
            '\t' => into.push_str("\\t"),
            '\r' => into.push_str("\\r"),
            _ => push(into, character),
        }
    }
}

fn push(into: &mut String, character: char) {
    if acts(character) {
        let _ = write!(into, "\\u{{{:x}}}", character as u32);
    } else {
        into.push(character);
    }
}

/// Whether it is neither seen nor a blank, so that text which differs by it alone looks the same.
#[must_use]
pub fn is_hidden(character: char) -> bool {
    acts(character) || character == '\u{FE0F}'
}

/// Control characters, and the characters that reorder or hide text, or that are not seen and can carry
/// some (Unicode TR 36 and TR 39).
fn acts(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00AD}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'
            | '\u{3164}' | '\u{FE00}'..='\u{FE0E}' | '\u{FFA0}' | '\u{E0000}'..='\u{E01EF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_text_cannot_act_on_the_terminal() {
        assert_eq!(clean("a\x1b[2Jb\tc\r\n"), "a\\u{1b}[2Jb\tc\n");
        assert_eq!(clean("x\u{202e}y\u{2066}z\u{200b}"), "x\\u{202e}y\\u{2066}z\\u{200b}");
        assert_eq!(clean("naïve \u{1F600} \u{9b}1m"), "naïve \u{1F600} \\u{9b}1m");
        assert_eq!(clean("true\rfalse\n"), "true\\u{d}false\n");
    }

    #[test]
    fn a_name_stays_on_its_line() {
        assert_eq!(clean_name("x.py\nsrc/a\r\tb\x1b"), "x.py\\nsrc/a\\r\\tb\\u{1b}");
    }
}
