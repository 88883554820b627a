//! Pre-tokenizers: text to the pieces within which byte pairs may merge.
//!
//! Each is the published regular expression of its family written as a scanner, because those
//! expressions need look-ahead (`\s+(?!\S)`) and a scanner is linear on every input.

use super::class::{LETTER, NUMBER, PUNCTUATION};

/// Which pieces a text is cut into, by `tokenizer.ggml.pre`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pre {
    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    Gpt2,
    /// Every digit alone, then [`Self::Gpt2`] in between: StarCoder, Granite, SmolLM.
    DigitsThenGpt2,
    /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,max_digits}|`
    /// ` ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`: Qwen2 (1 digit), Llama 3 (3 digits).
    Cl100k { max_digits: usize },
    /// Five splits one after the other: `[\r\n]`, `\s?\p{L}+`, `\s?\p{P}+`, CJK runs, digits.
    DeepSeekCoder,
}

impl Pre {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "default" | "gpt-2" | "gpt2" | "phi-2" | "olmo" | "jina-es" | "jina-de" => Self::Gpt2,
            "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" => {
                Self::DigitsThenGpt2
            }
            "qwen2" | "deepseek-r1-qwen" | "stablelm2" => Self::Cl100k { max_digits: 1 },
            "llama-bpe" | "llama3" | "llama-v3" => Self::Cl100k { max_digits: 3 },
            "deepseek-coder" => Self::DeepSeekCoder,
            _ => return None,
        })
    }

    /// Calls `piece` with the pieces in order; together they are `text`.
    pub(super) fn split(self, text: &str, piece: &mut impl FnMut(&str)) {
        match self {
            Self::Gpt2 => scan(text, gpt2, piece),
            Self::DigitsThenGpt2 => isolate(text, number, piece, &mut |rest, piece| {
                scan(rest, gpt2, piece);
            }),
            Self::Cl100k { max_digits } => {
                scan(text, |text| cl100k(text, max_digits), piece);
            }
            Self::DeepSeekCoder => deep_seek_coder(text, piece),
        }
    }
}

/// Cuts `text` by a pattern that always matches at the start, returning the match's length.
fn scan(mut text: &str, next: impl Fn(&str) -> usize, piece: &mut impl FnMut(&str)) {
    while !text.is_empty() {
        let (head, tail) = text.split_at(next(text));
        piece(head);
        text = tail;
    }
}

/// Cuts out every match of `pattern` (its length at the start of the text, or 0) as a piece of its
/// own, and hands what lies between to `rest`.
fn isolate<P: FnMut(&str)>(
    text: &str,
    pattern: impl Fn(&str) -> usize,
    piece: &mut P,
    rest: &mut impl FnMut(&str, &mut P),
) {
    let mut pending = 0; // start of what lies between
    let mut at = 0;
    while at < text.len() {
        match pattern(&text[at..]) {
            0 => at += first_len(&text[at..]),
            n_bytes => {
                if pending < at {
                    rest(&text[pending..at], piece);
                }
                piece(&text[at..at + n_bytes]);
                at += n_bytes;
                pending = at;
            }
        }
    }
    if pending < text.len() {
        rest(&text[pending..], piece);
    }
}

fn gpt2(text: &str) -> usize {
    if let Some(n_bytes) = contraction(text, false) {
        return n_bytes;
    }
    let body = text.strip_prefix(' ').unwrap_or(text);
    let n_lead = text.len() - body.len();
    if let Some(first) = body.chars().next() {
        let n_body = if LETTER.has(first) {
            run(body, |char| LETTER.has(char))
        } else if NUMBER.has(first) {
            run(body, |char| NUMBER.has(char))
        } else {
            run(body, is_symbol)
        };
        if n_body > 0 {
            return n_lead + n_body;
        }
    }
    spaces(text)
}

fn cl100k(text: &str, max_digits: usize) -> usize {
    if let Some(n_bytes) = contraction(text, true) {
        return n_bytes;
    }
    let mut chars = text.chars();
    let first = chars.next().expect("scan stops at the end");
    // `[^\r\n\p{L}\p{N}]?\p{L}+`
    if LETTER.has(first) {
        return run(text, |char| LETTER.has(char));
    }
    let is_number = NUMBER.has(first);
    if !matches!(first, '\r' | '\n') && !is_number && chars.next().is_some_and(|c| LETTER.has(c)) {
        let n_first = first.len_utf8();
        return n_first + run(&text[n_first..], |char| LETTER.has(char));
    }
    if is_number {
        let digits = text.chars().take(max_digits).take_while(|char| NUMBER.has(*char));
        return digits.map(char::len_utf8).sum();
    }
    // ` ?[^\s\p{L}\p{N}]+[\r\n]*`
    let body = text.strip_prefix(' ').unwrap_or(text);
    let n_symbols = run(body, is_symbol);
    if n_symbols > 0 {
        let n_newlines = run(&body[n_symbols..], |char| matches!(char, '\r' | '\n'));
        return text.len() - body.len() + n_symbols + n_newlines;
    }
    // `\s*[\r\n]+`
    let blank = &text[..run(text, char::is_whitespace)];
    match blank.rfind(['\r', '\n']) {
        Some(at) => at + 1,
        None => spaces(text),
    }
}

fn deep_seek_coder(text: &str, piece: &mut impl FnMut(&str)) {
    let newline = |text: &str| usize::from(text.starts_with(['\r', '\n']));
    let word = |text: &str| spaced_run(text, |char| LETTER.has(char));
    let punctuation = |text: &str| spaced_run(text, |char| PUNCTUATION.has(char));
    let cjk =
        |text: &str| run(text, |char| matches!(char, '\u{800}'..='龥' | '\u{ac00}'..='\u{d7ff}'));
    isolate(text, newline, piece, &mut |rest, piece| {
        isolate(rest, word, piece, &mut |rest, piece| {
            isolate(rest, punctuation, piece, &mut |rest, piece| {
                isolate(rest, cjk, piece, &mut |rest, piece| {
                    isolate(rest, number, piece, &mut |rest, piece| piece(rest));
                });
            });
        });
    });
}

/// `\s?X+`
fn spaced_run(text: &str, class: impl Fn(char) -> bool) -> usize {
    let n_lead = text.chars().next().filter(|char| char.is_whitespace()).map_or(0, char::len_utf8);
    match run(&text[n_lead..], &class) {
        0 => 0,
        n_body => n_lead + n_body,
    }
}

/// One character of `\p{N}`.
fn number(text: &str) -> usize {
    text.chars().next().filter(|char| NUMBER.has(*char)).map_or(0, char::len_utf8)
}

/// `[^\s\p{L}\p{N}]`
fn is_symbol(char: char) -> bool {
    !char.is_whitespace() && !LETTER.has(char) && !NUMBER.has(char)
}

/// `'s|'t|'re|'ve|'m|'ll|'d`
fn contraction(text: &str, ignore_case: bool) -> Option<usize> {
    let tail = text.strip_prefix('\'')?;
    // Case folding in Unicode also takes U+017F (long s) for `s`.
    let long_s = (ignore_case && tail.starts_with('\u{17f}')).then_some(3);
    long_s.or_else(|| {
        ["s", "t", "re", "ve", "m", "ll", "d"].iter().find_map(|suffix| {
            let head = tail.get(..suffix.len())?;
            let same =
                if ignore_case { head.eq_ignore_ascii_case(suffix) } else { head == *suffix };
            same.then_some(1 + suffix.len())
        })
    })
}

/// `\s+(?!\S)|\s+`: a run of blanks, less its last one when something follows it.
fn spaces(text: &str) -> usize {
    let n_run = run(text, char::is_whitespace);
    if n_run == text.len() {
        return n_run;
    }
    let last = text[..n_run].chars().next_back().map_or(0, char::len_utf8);
    if n_run > last { n_run - last } else { n_run.max(first_len(text)) }
}

fn run(text: &str, class: impl Fn(char) -> bool) -> usize {
    text.find(|char| !class(char)).unwrap_or(text.len())
}

fn first_len(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}
