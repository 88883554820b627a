//! Finds secrets in text and overwrites them, byte for byte, so that offsets, lines and syntax stay.
//!
//! Two kinds of evidence: shapes that issuers publish ([`super::rules`]), and values assigned to a
//! name that says secret, if the value looks random. Nothing found here is ever logged or returned:
//! callers get ranges and rule names.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::Regex;

use super::{
    exclude,
    rules::{KEY_BLOCK, RULES},
};

/// A secret that was overwritten; the text itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redaction {
    /// In bytes, the same before and after.
    pub range: Range<usize>,
    /// Which rule found it.
    pub rule: &'static str,
}

pub(super) const ASSIGNED: &str = "assigned-secret";
/// Raised when the decisions below change with the same patterns.
const HEURISTICS: u8 = 3;
/// What a character of one to four bytes becomes: as many bytes, as many UTF-16 units.
const FILL: [char; 4] = ['*', '×', '•', '🔒'];

struct Compiled {
    /// All keywords of all rules, and which rule each belongs to.
    keywords: AhoCorasick,
    owners: Vec<usize>,
    patterns: Vec<Regex>,
    assigned: Regex,
    /// The index in `owners` from which keywords belong to [`ASSIGNED`].
    n_rule_keywords: usize,
}

/// Words in names of secrets; with `_` or `-` between two words, or nothing.
const ASSIGNED_KEYWORDS: &[&str] = &[
    "passw",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "credential",
    "_pass",
    "-pass",
    "pass=",
    "pass:",
    "pass\"",
    "_key",
    "-key",
    "key=",
    "key:",
    "key =",
    "key\"",
    "key'",
    "key>",
];
const KEY_WORDS: &[&str] = &[
    "api",
    "access",
    "auth",
    "private",
    "signing",
    "encryption",
    "session",
    "master",
    "license",
    "service",
    "client",
    "app",
    "deploy",
    "account",
    "storage",
    "shared",
    "hmac",
    "jwt",
    "admin",
];

static COMPILED: LazyLock<Compiled> = LazyLock::new(|| {
    let mut words = Vec::new();
    let mut owners = Vec::new();
    for (at, rule) in RULES.iter().enumerate() {
        for keyword in rule.keywords {
            words.push(*keyword);
            owners.push(at);
        }
    }
    let n_rule_keywords = words.len();
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    words.extend(ASSIGNED_KEYWORDS.iter().map(|word| (*word).to_owned()));
    for word in KEY_WORDS {
        words.extend(["", "_", "-"].map(|between| format!("{word}{between}key")));
    }
    let keywords = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        // The quickest: every text that is indexed goes through it.
        .kind(Some(AhoCorasickKind::DFA))
        .build(words)
        .expect("keywords are constants");
    let patterns = RULES
        .iter()
        // Tokens are ASCII: an `é` before one is no part of it. ASCII boundaries are quicker, too.
        .map(|rule| Regex::new(&rule.pattern.replace(r"\b", r"(?-u:\b)")))
        .map(|pattern| pattern.expect("patterns are constants"))
        .collect();
    // A name that says secret; a type, if the language writes one; an assignment, a call, a comma after
    // a quoted name, an element's end; a value in quotes or to the end of the word.
    let key_words = KEY_WORDS.join("|");
    let assigned = Regex::new(&format!(
        r#"(?-u:(?i:passw(?:or)?d|passphrase|pwd|secret|token|(?:{key_words})[_-]?key|credential)[A-Za-z0-9_-]{{0,30}}|(?i:[_-](?:key|pass))|[a-z0-9](?:Key|Pass))(?:["'\]]{{0,2}}[ \t]{{0,24}}(?::[ \t]?[&A-Za-z0-9_'\[\]<>.?]{{2,24}}(?: [a-z]{{2,12}})?[ \t]{{0,4}}=|=>|:=|=|:|,|\()|>|[ \t]{{1,24}})[ \t]{{0,24}}(?:@?"(?P<double>[^"\s]{{8,200}})"|'(?P<single>[^'\s]{{8,200}})'|`(?P<back>[^`\s]{{8,200}})`|(?P<bare>[A-Za-z0-9+/=_.~!#%^*@-]{{16,200}}))"#,
    ))
    .expect("the pattern is made of constants");
    Compiled { keywords, owners, patterns, assigned, n_rule_keywords }
});

/// Names these rules: texts that were looked at by others are looked at again.
#[must_use]
pub fn rules_version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut hasher = blake3::Hasher::new();
        for rule in RULES {
            hasher.update(rule.pattern.as_bytes()).update(&rule.min_entropy.to_le_bytes());
        }
        hasher.update(COMPILED.assigned.as_str().as_bytes()).update(&[HEURISTICS]);
        exclude::hash_rules(&mut hasher);
        hasher.finalize().to_hex()[..16].to_owned()
    });
    &VERSION
}

/// Where `text` holds secrets: in order, not overlapping.
#[must_use]
pub fn find(text: &str) -> Vec<Redaction> {
    let compiled = &*COMPILED;
    let mut wanted = vec![false; RULES.len()];
    let mut assigned_lines: Vec<Range<usize>> = Vec::new();
    for hit in compiled.keywords.find_overlapping_iter(text) {
        match compiled.owners.get(hit.pattern().as_usize()) {
            Some(rule) => wanted[*rule] = true,
            None => {
                debug_assert!(hit.pattern().as_usize() >= compiled.n_rule_keywords);
                // One look a line, however often it says `token`.
                if assigned_lines.last().is_none_or(|line| line.end <= hit.start()) {
                    let start = text[..hit.start()].rfind('\n').map_or(0, |at| at + 1);
                    let end = text[hit.end()..].find('\n').map_or(text.len(), |at| hit.end() + at);
                    assigned_lines.push(start..end);
                }
            }
        }
    }
    let mut found = Vec::new();
    for (at, rule) in RULES.iter().enumerate().filter(|(at, _)| wanted[*at]) {
        for captures in compiled.patterns[at].captures_iter(text) {
            let whole = captures.get(0).expect("group 0");
            let secret = captures.name("secret").unwrap_or(whole);
            // The marks around a key block say what it is; headers in it may look like templates.
            let is_meant = rule.min_entropy == 0.0
                || (entropy(secret.as_str()) >= rule.min_entropy
                    && (rule.name == KEY_BLOCK || !is_placeholder(secret.as_str())));
            if is_meant && (!rule.is_random || looks_random(secret.as_str(), true)) {
                found.push(Redaction { range: secret.range(), rule: rule.name });
            }
        }
    }
    for line in assigned_lines {
        for captures in compiled.assigned.captures_iter(&text[line.clone()]) {
            let quoted = ["double", "single", "back"].iter().find_map(|name| captures.name(name));
            let (value, is_quoted) = match (quoted, captures.name("bare")) {
                (Some(value), _) => (value, true),
                (None, Some(value)) => (value, false),
                (None, None) => continue,
            };
            if looks_random(value.as_str(), is_quoted) {
                let range = line.start + value.start()..line.start + value.end();
                found.push(Redaction { range, rule: ASSIGNED });
            }
        }
    }
    found.sort_by_key(|redaction| (redaction.range.start, std::cmp::Reverse(redaction.range.end)));
    let mut kept: Vec<Redaction> = Vec::with_capacity(found.len());
    for redaction in found {
        match kept.last_mut() {
            Some(last) if redaction.range.start < last.range.end => {
                last.range.end = last.range.end.max(redaction.range.end);
            }
            _ => kept.push(redaction),
        }
    }
    kept
}

/// Overwrites every secret. The result has the same length in bytes and in UTF-16 units, the same
/// line ends and quotes.
pub(super) fn redact(text: &mut String) -> Vec<Redaction> {
    let found = find(text);
    if !found.is_empty() {
        *text = overwritten(text, &found);
    }
    found
}

/// `text` with `found` (in order, not overlapping) overwritten.
pub(super) fn overwritten(text: &str, found: &[Redaction]) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut at = 0;
    for redaction in found {
        redacted.push_str(&text[at..redaction.range.start]);
        redacted.extend(text[redaction.range.clone()].chars().map(|char| match char {
            // Line ends and blanks keep the shape of a key block.
            ' ' | '\t' | '\r' | '\n' => char,
            _ => FILL[char.len_utf8() - 1],
        }));
        at = redaction.range.end;
    }
    redacted.push_str(&text[at..]);
    redacted
}

/// Shannon entropy in bits a byte.
fn entropy(text: &str) -> f32 {
    let mut counts = [0u32; 256];
    for byte in text.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let n = text.len() as f32;
    let bits = counts.iter().filter(|count| **count > 0).map(|count| {
        let share = *count as f32 / n;
        -share * share.log2()
    });
    bits.sum()
}

/// Whether an assigned value is more likely a credential than a name, a path, a word or a format.
fn looks_random(value: &str, is_quoted: bool) -> bool {
    if is_placeholder(value) || value.len() < 12 {
        return false;
    }
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    let has_letter = value.bytes().any(|byte| byte.is_ascii_alphabetic());
    let is_word_like = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_.~-".contains(&byte);
    let n_odd = value.bytes().filter(|byte| !is_word_like(*byte)).count();
    // Calls, paths, templates, sentences and expressions are code.
    if !has_letter || value.contains("://") || value.contains("::") {
        return false;
    }
    if value.bytes().any(|byte| b"(){}[]<>;,|\\".contains(&byte)) {
        return false;
    }
    // Dotted or dashed words (`module.attribute_2`, `my-token-name-1`) change between letters and
    // digits rarely; random text does it every few characters.
    let classes: Vec<u8> = value
        .bytes()
        .map(|byte| match byte {
            b'0'..=b'9' => 0,
            b'a'..=b'z' => 1,
            b'A'..=b'Z' => 2,
            _ => 3,
        })
        .collect();
    let n_changes =
        classes.windows(2).filter(|pair| pair[0] != pair[1] && !pair.contains(&3)).count();
    if !is_quoted && value.starts_with(['/', '.', '~']) {
        return false;
    }
    let is_restless = n_changes * 4 >= value.len();
    // Without quotes, other characters are operators as a rule.
    if !is_quoted && n_odd > 0 && !is_restless {
        return false;
    }
    if !has_digit {
        return is_restless && is_wordless(value) && entropy(value) >= 3.4;
    }
    let is_hex = value.bytes().all(|byte| byte.is_ascii_hexdigit());
    let min_entropy = if is_hex { 3.0 } else { 3.4 };
    let is_long_hex = is_hex && value.len() >= 24;
    // A hash is as random as a key: the name decides, and that said secret.
    n_changes * if is_long_hex { 9 } else { 7 } >= value.len() && entropy(value) >= min_entropy
}

/// Whether hardly any pair of letters is one that words are made of.
fn is_wordless(value: &str) -> bool {
    const COMMON: &str = "th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co \
                          me de hi ri ro ic ne ea ra ce li ch ll be ma si om ur ke ey ec cr et ok wo rd ss am na us id pa";
    let lower = value.to_ascii_lowercase();
    let pairs = lower.as_bytes().windows(2).filter(|pair| pair.iter().all(u8::is_ascii_alphabetic));
    let (mut n_pairs, mut n_common) = (0, 0);
    for pair in pairs {
        n_pairs += 1;
        n_common += usize::from(COMMON.as_bytes().chunks(3).any(|common| common[..2] == *pair));
    }
    n_pairs >= 8 && n_common * 6 <= n_pairs
}

/// Values that people write where a secret will be: templates, and words that say so, unless what else
/// is in the value looks random. People do put `password` into passwords.
fn is_placeholder(value: &str) -> bool {
    const TEMPLATES: &[&str] = &[
        "example",
        "placeholder",
        "changeme",
        "change-me",
        "change_me",
        "redacted",
        "notasecret",
        "<",
        "${",
        "{{",
        "%(",
        "$(",
        "process.env",
        "os.environ",
        "secrets.",
        "env.",
    ];
    const WORDS: &[&str] = &[
        "sample", "your", "dummy", "xxxx", "****", "....", "fake", "insert", "replace", "not-a-",
        "todo", "123456", "abcdef", "password",
    ];
    let mut lower = value.to_ascii_lowercase();
    if TEMPLATES.iter().any(|word| lower.contains(word)) {
        return true;
    }
    let mut rest = value.to_owned();
    for word in WORDS {
        while let Some(at) = lower.find(word) {
            lower.replace_range(at..at + word.len(), "");
            rest.replace_range(at..at + word.len(), "");
        }
    }
    rest.len() < value.len() && !is_restless(&rest)
}

/// Whether it changes between letters and digits as often as random text does, and is as long as a
/// password that nobody can guess.
fn is_restless(text: &str) -> bool {
    let class = |byte: u8| match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    let pairs = text.as_bytes().windows(2).map(|pair| (class(pair[0]), class(pair[1])));
    let n_changes = pairs.filter(|(a, b)| a != b && *a != 3 && *b != 3).count();
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    has_digit && text.len() >= 10 && n_changes * 4 >= text.len() && entropy(text) >= 3.0
}
