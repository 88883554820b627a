//! The names that one name may be taken for, by file systems, editors and eyes.

use std::borrow::Cow;

use fovea_api::is_hidden;
use unicode_normalization::UnicodeNormalization;

/// What editors and people put behind the name of a copy.
const COPIES: &[&str] = &[
    "~", ".bak", ".backup", ".bck", ".swp", ".swo", ".swn", ".tmp", ".temp", ".old", ".orig",
    ".save", ".copy", ".prev", ".new", ".rej", ".pub", ".dist", "_bak", "-bak", "_old", "-old",
    "_backup", "-backup",
];

/// Copies of copies of copies; more is not looked at.
const MAX_COPIES: usize = 4;

/// The name as a careless reader or file system takes it: compatibility forms, letters of other
/// scripts that look like Latin ones, case, what is not seen, and dots and blanks at its end.
pub(super) fn fold(name: &str) -> String {
    let mut folded: String = if name.is_ascii() {
        name.chars().filter(|c| !c.is_control()).map(|c| c.to_ascii_lowercase()).collect()
    } else {
        name.nfkc()
            .filter(|c| !is_hidden(*c))
            .map(latin)
            .flat_map(char::to_lowercase)
            .filter(|c| !is_hidden(*c))
            .map(latin)
            // Lower case of a dotted capital has its dot as a character of its own.
            .filter(|c| *c != '\u{307}')
            .collect()
    };
    folded.truncate(folded.trim_end_matches(['.', ' ']).len());
    folded.drain(..folded.len() - folded.trim_start_matches(' ').len());
    folded
}

/// `name` (folded) and what else it may stand for: the file of an alternate stream, what is behind
/// a colon, what it is a copy of.
pub(super) fn readings(name: &str) -> Vec<Cow<'_, str>> {
    let mut all = vec![Cow::Borrowed(name)];
    if name.contains(':') {
        all.extend(name.split(':').map(|part| Cow::Borrowed(part.trim_end_matches(['.', ' ']))));
    }
    for index in 0..all.len() {
        let mut copy = all[index].clone();
        for _ in 0..MAX_COPIES {
            let Some(original) = original(&copy) else { break };
            // Hidden by a dot that editors put before it; or it has one of its own.
            if let Some(plain) = original.strip_prefix('.') {
                all.push(Cow::Owned(plain.to_owned()));
            }
            all.push(Cow::Owned(original.clone()));
            copy = Cow::Owned(original);
        }
    }
    all
}

/// What `name` is a copy of, if it looks like one.
fn original(name: &str) -> Option<String> {
    let trimmed = |name: &str| name.trim_end_matches(['.', ' ']).to_owned();
    if let Some(inner) = name.strip_prefix('#').and_then(|name| name.strip_suffix('#')) {
        return Some(inner.to_owned());
    }
    if let Some(inner) = name.strip_prefix(".#").or_else(|| name.strip_prefix("~$")) {
        return Some(inner.to_owned());
    }
    if let Some(inner) = COPIES.iter().find_map(|ending| name.strip_suffix(ending)) {
        return (!inner.is_empty()).then(|| trimmed(inner));
    }
    if let Some(inner) = name.strip_prefix("copy of ") {
        return Some(inner.to_owned());
    }
    // `name (1).json`, `name - copy.json`, `name copy.json`.
    let (stem, extension) = match name.rfind('.') {
        Some(at) if at > 0 => name.split_at(at),
        _ => (name, ""),
    };
    let numbered = stem.strip_suffix(')').and_then(|stem| {
        let stem = stem.trim_end_matches(|c: char| c.is_ascii_digit());
        stem.strip_suffix(" (")
    });
    let stem =
        numbered.or_else(|| stem.strip_suffix(" - copy")).or_else(|| stem.strip_suffix(" copy"))?;
    (!stem.is_empty()).then(|| format!("{stem}{extension}"))
}

/// The Latin letter or sign that looks the same (the part of Unicode TR 39's confusables that is
/// drawn alike in common fonts, for what occurs in the names we know).
fn latin(character: char) -> char {
    match character {
        'а' | 'А' | 'α' | 'Α' | 'ɑ' | 'ᴀ' => 'a',
        'В' | 'Β' | 'ʙ' | 'Ь' => 'b',
        'с' | 'С' | 'ϲ' | 'Ϲ' | 'ᴄ' => 'c',
        'ԁ' | 'Ԁ' | 'ᴅ' => 'd',
        'е' | 'Е' | 'ε' | 'Ε' | 'ҽ' | 'ᴇ' => 'e',
        'ɡ' | 'ց' | 'ɢ' => 'g',
        'һ' | 'Һ' | 'հ' | 'Н' | 'Η' | 'ʜ' => 'h',
        'і' | 'І' | 'ι' | 'Ι' | 'ı' | 'ɩ' | 'ɪ' => 'i',
        'ј' | 'Ј' | 'ϳ' | 'ᴊ' => 'j',
        'к' | 'К' | 'κ' | 'Κ' | 'ᴋ' => 'k',
        'ӏ' | 'Ӏ' | 'ʟ' => 'l',
        'М' | 'м' | 'Μ' | 'ᴍ' => 'm',
        'Ν' | 'ո' | 'ɴ' => 'n',
        'о' | 'О' | 'ο' | 'Ο' | 'օ' | 'ᴏ' => 'o',
        'р' | 'Р' | 'ρ' | 'Ρ' | 'ᴘ' => 'p',
        'ԛ' | 'Ԛ' => 'q',
        'г' | 'ʀ' => 'r',
        'ѕ' | 'Ѕ' | 'ꜱ' => 's',
        'Т' | 'т' | 'Τ' | 'τ' | 'ᴛ' => 't',
        'υ' | 'ս' | 'ᴜ' => 'u',
        'ν' | 'ѵ' | 'Ѵ' | 'ᴠ' => 'v',
        'ԝ' | 'Ԝ' | 'ω' | 'ᴡ' => 'w',
        'х' | 'Х' | 'χ' | 'Χ' => 'x',
        'у' | 'У' | 'Υ' | 'γ' | 'ʏ' => 'y',
        'Ζ' | 'ᴢ' => 'z',
        '٠' | '۰' | 'ꓸ' | '܁' | '܂' | '‧' | '·' | '。' => '.',
        '‐' | '‑' | '‒' | '–' | '—' | '−' | '﹘' => '-',
        '‿' | '﹍' | '﹎' | '﹏' => '_',
        '∶' | 'ː' | '։' | '׃' => ':',
        c if c.is_whitespace() => ' ',
        c => c,
    }
}
