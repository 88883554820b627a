//! Strings, comments, brackets and identifiers of unfinished code, by one pass over characters.
//!
//! The text around a cursor rarely parses; where it does not, a scan that knows quotes and comment
//! marks is more dependable than the error recovery of a grammar.

use fovea_indexer::Language;

/// Where a scan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Within {
    #[default]
    Code,
    LineComment,
    BlockComment,
    /// A string that this quote closes; `true` for a triple quote.
    String(char, bool),
}

/// Scans text piece by piece and keeps the open brackets.
#[derive(Clone, Debug)]
pub struct Scanner {
    language: Language,
    within: Within,
    /// Open brackets, outermost first.
    open: Vec<char>,
    /// Closing brackets that had no opening one in the scanned text.
    unmatched: usize,
    escaped: bool,
    block_depth: u32,
}

/// What one scanned character was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Code,
    /// Part of a string or comment, quotes and marks included.
    Quoted,
    Open,
    /// A closing bracket that matches the innermost open one.
    Close,
    /// A closing bracket that matches none.
    Stray,
}

impl Scanner {
    #[must_use]
    pub fn new(language: Language) -> Self {
        Self {
            language,
            within: Within::Code,
            open: Vec::new(),
            unmatched: 0,
            escaped: false,
            block_depth: 0,
        }
    }

    /// Where the scanned text ends.
    #[must_use]
    pub fn within(&self) -> Within {
        self.within
    }

    /// Open brackets, outermost first.
    #[must_use]
    pub fn open(&self) -> &[char] {
        &self.open
    }

    /// Scans `text` and reports each character with its byte offset; stops early when `each`
    /// answers false.
    pub fn scan(&mut self, text: &str, mut each: impl FnMut(usize, char, Seen) -> bool) {
        let mut skip_to = 0;
        for (at, character) in text.char_indices() {
            if at < skip_to {
                if !each(at, character, Seen::Quoted) {
                    return;
                }
                continue;
            }
            let (seen, length) = self.step(&text[at..], character);
            skip_to = at + length;
            if !each(at, character, seen) {
                return;
            }
        }
    }

    /// Scans `text` for its effect on the state alone.
    pub fn feed(&mut self, text: &str) {
        self.scan(text, |_, _, _| true);
    }

    fn step(&mut self, rest: &str, character: char) -> (Seen, usize) {
        let one = character.len_utf8();
        match self.within {
            Within::LineComment => {
                if character == '\n' {
                    self.within = Within::Code;
                    return (Seen::Code, one);
                }
                (Seen::Quoted, one)
            }
            Within::BlockComment => {
                if rest.starts_with("*/") {
                    self.block_depth = self.block_depth.saturating_sub(1);
                    if self.block_depth == 0 {
                        self.within = Within::Code;
                    }
                    return (Seen::Quoted, 2);
                }
                if rest.starts_with("/*") && self.language == Language::Rust {
                    self.block_depth += 1;
                    return (Seen::Quoted, 2);
                }
                (Seen::Quoted, one)
            }
            Within::String(quote, triple) => {
                if self.escaped {
                    self.escaped = false;
                } else if character == '\\' {
                    self.escaped = true;
                } else if triple {
                    if character == quote && is_triple(rest, quote) {
                        self.within = Within::Code;
                        return (Seen::Quoted, 3);
                    }
                } else if character == quote {
                    self.within = Within::Code;
                } else if character == '\n' && !self.multiline_strings() {
                    // An unclosed string ends with its line in these languages.
                    self.within = Within::Code;
                }
                (Seen::Quoted, one)
            }
            Within::Code => self.code(rest, character),
        }
    }

    fn code(&mut self, rest: &str, character: char) -> (Seen, usize) {
        let comment = self.language.line_comment();
        if !comment.is_empty() && rest.starts_with(comment) {
            self.within = Within::LineComment;
            return (Seen::Quoted, comment.len());
        }
        if rest.starts_with("/*") && comment == "//" {
            self.within = Within::BlockComment;
            self.block_depth = 1;
            return (Seen::Quoted, 2);
        }
        match character {
            '"' | '\'' if self.language == Language::Python && is_triple(rest, character) => {
                self.within = Within::String(character, true);
                (Seen::Quoted, 3)
            }
            '"' => {
                self.within = Within::String('"', false);
                (Seen::Quoted, 1)
            }
            '`' if self.has_backtick_strings() => {
                self.within = Within::String('`', false);
                (Seen::Quoted, 1)
            }
            '\'' if self.language == Language::Rust => {
                // A lifetime is not a character: `'a` without a closing quote.
                let mut characters = rest.chars().skip(1);
                match (characters.next(), characters.next()) {
                    (Some('\\'), _) => {
                        self.within = Within::String('\'', false);
                        (Seen::Quoted, 1)
                    }
                    (Some(inner), Some('\'')) => (Seen::Quoted, 2 + inner.len_utf8()),
                    _ => (Seen::Code, 1),
                }
            }
            '\'' => {
                self.within = Within::String('\'', false);
                (Seen::Quoted, 1)
            }
            '(' | '[' | '{' => {
                self.open.push(character);
                (Seen::Open, 1)
            }
            ')' | ']' | '}' => {
                if self.open.last() == Some(&opening(character)) {
                    self.open.pop();
                    (Seen::Close, 1)
                } else {
                    self.unmatched += 1;
                    (Seen::Stray, 1)
                }
            }
            other => (Seen::Code, other.len_utf8()),
        }
    }

    fn multiline_strings(&self) -> bool {
        matches!(self.language, Language::Rust) || matches!(self.within, Within::String('`', _))
    }

    fn has_backtick_strings(&self) -> bool {
        matches!(
            self.language,
            Language::JavaScript | Language::TypeScript | Language::Tsx | Language::Go
        )
    }
}

/// The bracket that `closing` closes.
#[must_use]
pub fn opening(closing: char) -> char {
    match closing {
        ')' => '(',
        ']' => '[',
        '}' => '{',
        other => other,
    }
}

/// The bracket that closes `opening`.
#[must_use]
pub fn closing(opening: char) -> char {
    match opening {
        '(' => ')',
        '[' => ']',
        '{' => '}',
        other => other,
    }
}

fn is_triple(rest: &str, quote: char) -> bool {
    let mut characters = rest.chars();
    (0..3).all(|_| characters.next() == Some(quote))
}

/// True for a character that may continue an identifier.
#[must_use]
pub fn is_identifier(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// Identifiers of `text` in order, strings and comments included.
pub fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !is_identifier(c))
        .filter(|word| word.starts_with(|c: char| c == '_' || c.is_alphabetic()))
}

/// True if `text` has `name` as a whole identifier.
#[must_use]
pub fn mentions(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        !text[..at].ends_with(is_identifier) && !text[at + name.len()..].starts_with(is_identifier)
    })
}

/// The identifier part that `text` ends with.
#[must_use]
pub fn trailing_identifier(text: &str) -> &str {
    let start = text
        .char_indices()
        .rev()
        .take_while(|(_, c)| is_identifier(*c))
        .last()
        .map_or(text.len(), |(at, _)| at);
    let word = &text[start..];
    // A number is not the beginning of a name.
    if word.starts_with(|c: char| c.is_ascii_digit()) { "" } else { word }
}

/// Leading blanks of `line`.
#[must_use]
pub fn indentation(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// Words that no index knows better than the model: keywords and the names every file has.
#[must_use]
pub fn is_keyword(language: Language, word: &str) -> bool {
    let words: &[&str] = match language {
        Language::Rust => &[
            "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum",
            "extern", "false", "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod",
            "move", "mut", "pub", "ref", "return", "self", "Self", "static", "struct", "super",
            "trait", "true", "type", "unsafe", "use", "where", "while", "yield", "union",
        ],
        Language::Python => &[
            "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class",
            "continue", "def", "del", "elif", "else", "except", "finally", "for", "from", "global",
            "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise",
            "return", "try", "while", "with", "yield", "match", "case", "self", "cls",
        ],
        _ => &[
            "if",
            "else",
            "for",
            "while",
            "return",
            "function",
            "func",
            "class",
            "const",
            "let",
            "var",
            "new",
            "this",
            "import",
            "export",
            "public",
            "private",
            "static",
            "void",
            "true",
            "false",
            "null",
            "nil",
            "switch",
            "case",
            "break",
            "continue",
            "type",
            "struct",
            "interface",
            "package",
            "defer",
            "go",
            "range",
            "async",
            "await",
            "try",
            "catch",
            "throw",
            "extends",
            "implements",
            "int",
            "char",
            "bool",
            "auto",
        ],
    };
    words.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_scan(language: Language, text: &str, within: Within, open: &str) {
        let mut scanner = Scanner::new(language);
        scanner.feed(text);
        assert_eq!(scanner.within(), within, "{text}");
        assert_eq!(scanner.open().iter().collect::<String>(), open, "{text}");
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        check_scan(Language::Rust, "f(\"(\", '{', // (\n [", Within::Code, "([");
        check_scan(Language::Python, "f('(', # [\n", Within::Code, "(");
        check_scan(Language::Rust, "a /* ( /* [ */ { */ (", Within::Code, "(");
    }

    #[test]
    fn the_end_may_lie_in_a_string_or_comment() {
        check_scan(Language::Python, "x = '''a\n'b'", Within::String('\'', true), "");
        check_scan(Language::Python, "x = \"a\\\"b", Within::String('"', false), "");
        check_scan(Language::Rust, "// don't", Within::LineComment, "");
        check_scan(Language::Python, "it = 'open\nnext(", Within::Code, "(");
    }

    #[test]
    fn lifetimes_are_not_characters() {
        check_scan(Language::Rust, "fn f<'a>(x: &'a str", Within::Code, "(");
        check_scan(Language::Rust, "let c = '\\''; (", Within::Code, "(");
    }

    #[test]
    fn identifiers_are_whole() {
        assert_eq!(identifiers("a.b_c(3x, d1)").collect::<Vec<_>>(), ["a", "b_c", "d1"]);
        assert!(mentions("self.policy(x)", "policy") && !mentions("policy_of", "policy"));
        assert_eq!(trailing_identifier("runner = Cr"), "Cr");
        assert_eq!(trailing_identifier("x[12"), "");
    }
}
