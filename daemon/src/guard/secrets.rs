//! Finds secrets in text and overwrites them, byte for byte, so that offsets, lines and syntax stay.
//!
//! Two kinds of evidence: shapes that issuers publish ([`super::rules`]), and values assigned to a
//! name that says secret, if the value looks random. Nothing found here is ever logged or returned:
//! callers get ranges and rule names.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use regex::Regex;

use super::rules::RULES;

/// A secret that was overwritten; the text itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redaction {
    /// In bytes, the same before and after.
    pub range: Range<usize>,
    /// Which rule found it.
    pub rule: &'static str,
}

const ASSIGNED: &str = "assigned-secret";
/// Raised when the decisions below change with the same patterns.
const HEURISTICS: u8 = 1;
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

const ASSIGNED_KEYWORDS: &[&str] = &[
    "passw",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "api-key",
    "access_key",
    "accesskey",
    "access-key",
    "auth_key",
    "authkey",
    "auth-key",
    "private_key",
    "privatekey",
    "private-key",
    "signing_key",
    "signingkey",
    "encryption_key",
    "encryptionkey",
    "credential",
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
    words.extend(ASSIGNED_KEYWORDS);
    let keywords = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .build(words)
        .expect("keywords are constants");
    let patterns = RULES
        .iter()
        // Tokens are ASCII: an `é` before one is no part of it. ASCII boundaries are quicker, too.
        .map(|rule| Regex::new(&rule.pattern.replace(r"\b", r"(?-u:\b)")))
        .map(|pattern| pattern.expect("patterns are constants"))
        .collect();
    // A name that says secret, an assignment, a value in quotes or to the end of the word.
    let assigned = Regex::new(
        r#"(?i)[\w.-]{0,40}(?:passw(?:or)?d|passphrase|pwd|secret|token|(?:api|access|auth|private|signing|encryption)[_-]?key|credential)[\w-]{0,30}["'\]]?\s{0,4}(?::\s?&?(?:'static )?(?:str|string)\s{0,4})?(?:=>|:=|=|:)\s{0,4}(?:"(?P<double>[^"\s]{8,200})"|'(?P<single>[^'\s]{8,200})'|`(?P<back>[^`\s]{8,200})`|(?P<bare>[A-Za-z0-9+/=_.~-]{16,200}))"#,
    )
    .expect("the pattern is a constant");
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
            if rule.min_entropy == 0.0
                || (entropy(secret.as_str()) >= rule.min_entropy
                    && !is_placeholder(secret.as_str()))
            {
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
    if found.is_empty() {
        return found;
    }
    let mut redacted = String::with_capacity(text.len());
    let mut at = 0;
    for redaction in &found {
        redacted.push_str(&text[at..redaction.range.start]);
        redacted.extend(text[redaction.range.clone()].chars().map(|char| match char {
            // Line ends and blanks keep the shape of a key block.
            ' ' | '\t' | '\r' | '\n' => char,
            _ => FILL[char.len_utf8() - 1],
        }));
        at = redaction.range.end;
    }
    redacted.push_str(&text[at..]);
    *text = redacted;
    found
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
    if !has_digit || !has_letter || value.contains("://") || value.contains("::") {
        return false;
    }
    if value.bytes().any(|byte| b"(){}[]<>;,|\\".contains(&byte)) || (!is_quoted && n_odd > 0) {
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
    let is_hex = value.bytes().all(|byte| byte.is_ascii_hexdigit());
    let min_entropy = if is_hex { 3.0 } else { 3.4 };
    n_changes * 5 >= value.len() && entropy(value) >= min_entropy
}

/// Values that people write where a secret will be.
fn is_placeholder(value: &str) -> bool {
    const WORDS: &[&str] = &[
        "example",
        "sample",
        "placeholder",
        "changeme",
        "change-me",
        "change_me",
        "your",
        "dummy",
        "xxxx",
        "****",
        "....",
        "fake",
        "redacted",
        "insert",
        "replace",
        "not-a-",
        "notasecret",
        "todo",
        "123456",
        "abcdef",
        "password",
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
    let lower = value.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values are made when the tests run, so that no file of ours looks like a leak.
    struct Random(u64);

    impl Random {
        fn next(&mut self, below: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % below as u64) as usize
        }

        fn text(&mut self, alphabet: &str, len: usize) -> String {
            let alphabet = alphabet.as_bytes();
            (0..len).map(|_| char::from(alphabet[self.next(alphabet.len())])).collect()
        }
    }

    const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
    const DIGITS: &str = "0123456789";
    const HEX: &str = "0123456789abcdef";

    fn alphanumeric() -> String {
        format!("{LOWER}{}{DIGITS}", LOWER.to_uppercase())
    }

    /// One secret of each shape that we can make: `(rule, text around, secret)`.
    fn shapes(random: &mut Random) -> Vec<(&'static str, String, String)> {
        let word = alphanumeric();
        let base32 = format!("{}234567", LOWER.to_uppercase());
        let mut all = Vec::new();
        let mut add = |rule, template: &str, secret: String| {
            all.push((rule, template.replace("{}", &secret), secret));
        };
        add("aws-access-key", "key = {}\n", format!("AKIA{}", random.text(&base32, 16)));
        add(
            "aws-secret-key",
            "aws_secret_access_key = \"{}\"",
            random.text(&format!("{word}/+"), 40),
        );
        add("github-token", "let t = \"{}\";", format!("ghp_{}", random.text(&word, 36)));
        add("github-fine-grained-token", "x: {}", format!("github_pat_{}", random.text(&word, 60)));
        add("gitlab-token", "{}", format!("glpat-{}", random.text(&word, 20)));
        let slack = format!(
            "xoxb-{}-{}-{}",
            random.text(DIGITS, 12),
            random.text(DIGITS, 12),
            random.text(&word, 24)
        );
        add("slack-token", "SLACK={}", slack);
        let hook = format!(
            "T{}/B{}/{}",
            random.text(&word.to_uppercase(), 9),
            random.text(&word.to_uppercase(), 9),
            random.text(&word, 24)
        );
        add("slack-webhook", "https://hooks.slack.com/services/{}", hook);
        add("stripe-key", "stripe.api_key = '{}'", format!("sk_live_{}", random.text(&word, 24)));
        add("google-api-key", "<a key=\"{}\">", format!("AIza{}", random.text(&word, 35)));
        add("openai-key", "client({})", format!("sk-proj-{}", random.text(&word, 48)));
        add("hugging-face-token", "{}", format!("hf_{}", random.text(&alphanumeric()[..52], 34)));
        add("npm-token", "//r/:_authToken={}", format!("npm_{}", random.text(&word, 36)));
        add(
            "sendgrid-key",
            "{}",
            format!("SG.{}.{}", random.text(&word, 22), random.text(&word, 43)),
        );
        add("digitalocean-token", "{}", format!("dop_v1_{}", random.text(HEX, 64)));
        add("databricks-token", "{}", format!("dapi{}", random.text(HEX, 32)));
        add(
            "azure-storage-key",
            "AccountName=x;AccountKey={};Endpoint",
            format!("{}==", random.text(&word, 86)),
        );
        add("vault-token", "{}", format!("hvs.{}", random.text(&word, 32)));
        let jwt = format!(
            "eyJ{}.eyJ{}.{}",
            random.text(&word, 20),
            random.text(&word, 60),
            random.text(&word, 43)
        );
        add("jwt", "cookie: session={}", jwt);
        add("url-password", "postgres://app:{}@db.internal:5432/x", random.text(&word, 16));
        add("bearer-header", "'Authorization': 'Bearer {}'", random.text(&word, 40));
        add(ASSIGNED, "DB_PASSWORD = \"{}\"", random.text(&format!("{word}!#%"), 20));
        add(ASSIGNED, "  api_key: {}\n", random.text(&word, 32));
        add(ASSIGNED, "const token = '{}';", random.text(HEX, 40));
        add(ASSIGNED, "\"clientSecret\": \"{}\",", random.text(&word, 28));
        add(ASSIGNED, "static API_KEY: &str = \"{}\";", random.text(&word, 32));
        all
    }

    #[test]
    fn every_shape_is_found_and_overwritten_in_place() {
        let mut random = Random(0x5eed_0123_4567_89ab);
        let mut n_cases = 0;
        let mut missed = Vec::new();
        for _ in 0..200 {
            for (rule, text, secret) in shapes(&mut random) {
                let before = format!("fn main() {{}}\n{text}\n// é end\n");
                let mut after = before.clone();
                let found = redact(&mut after);
                n_cases += 1;
                if after.contains(&secret) || found.is_empty() {
                    missed.push((rule, text));
                    continue;
                }
                assert_eq!(after.len(), before.len());
                assert_eq!(after.lines().count(), before.lines().count());
                let start = before.find(&secret).unwrap();
                assert_eq!(after[..start], before[..start], "text before stays");
                assert!(after[start..start + secret.len()].chars().all(|char| char == '*'));
                assert_eq!(after[start + secret.len()..], before[start + secret.len()..]);
            }
        }
        let recall = 1.0 - missed.len() as f64 / n_cases as f64;
        let rules: std::collections::BTreeSet<_> = missed.iter().map(|(rule, _)| rule).collect();
        eprintln!("secret recall {recall:.4} over {n_cases} cases; missed {rules:?}");
        assert!(recall >= 0.99, "recall {recall:.4}: {:?}", &missed[..missed.len().min(8)]);
    }

    #[test]
    fn a_key_block_loses_its_body_and_keeps_its_lines() {
        let mut random = Random(7);
        let body: String = (0..12).map(|_| random.text(&alphanumeric(), 64) + "\n").collect();
        let begin = format!("-----BEGIN {} KEY-----", "RSA PRIVATE");
        let end = format!("-----END {} KEY-----", "RSA PRIVATE");
        for (text, is_whole) in
            [(format!("a\n{begin}\n{body}{end}\nb\n"), true), (format!("{begin}\n{body}"), false)]
        {
            let mut after = text.clone();
            let found = redact(&mut after);
            assert_eq!(
                found.iter().map(|redaction| redaction.rule).collect::<Vec<_>>(),
                ["private-key"]
            );
            assert!(body.lines().all(|line| !after.contains(line)));
            assert_eq!(after.lines().count(), text.lines().count());
            assert_eq!(after.contains(&end), is_whole);
        }
    }

    #[test]
    fn ordinary_code_is_left_alone() {
        for text in [
            "let token = tokenizer.next_token();",
            "password = getpass.getpass('Password: ')",
            "token: &'static str = \"end_of_file_token\";",
            "secret_key = os.environ[\"SECRET_KEY\"]",
            "api_key = \"your-api-key-goes-here-1\"",
            "const TOKEN_TYPES: [TokenType; 12] = [TokenType::A1];",
            "let token_count_2 = count_tokens_v2;",
            "password: ${{ secrets.DB_PASSWORD_1 }}",
            "commit = \"da39a3ee5e6b4b0d3255bfef95601890afd80709\"",
            "id: 123e4567-e89b-12d3-a456-426614174000",
            "checksum = \"9b2a0d3e4f5c6b7a8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e\"",
            "postgres://user:password@localhost/db",
            "https://example.com:8080/path@2x.png",
            "token_urls = \"/oauth2/v1/tokens/list\"",
            "AuthToken::new(SecretKind::Bearer2)",
            "The token: a long sentence about passwords and secrets.",
            "self.token_re = re.compile(r'[a-z0-9]+')",
        ] {
            assert_eq!(find(text), [], "{text}");
        }
    }

    /// This workspace's sources, or with `FOVEA_TEST_SOURCES` whatever lies below that folder; with
    /// `FOVEA_TEST_SHOW` every alarm's place and rule.
    #[test]
    fn clean_sources_raise_few_alarms() {
        let root = std::env::var_os("FOVEA_TEST_SOURCES").map_or_else(
            || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
            std::path::PathBuf::from,
        );
        let show = std::env::var_os("FOVEA_TEST_SHOW").is_some();
        let mut folders = vec![root];
        let (mut n_lines, mut n_bytes, mut n_alarms) = (0, 0, 0);
        let mut spent = std::time::Duration::ZERO;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let (path, kind) = (entry.path(), entry.file_type().unwrap());
                let name = entry.file_name();
                let extension = path.extension().and_then(|name| name.to_str()).unwrap_or("");
                if kind.is_dir() && name != "target" && name != ".git" && name != "node_modules" {
                    folders.push(path);
                } else if kind.is_file()
                    && ["rs", "py", "toml", "md", "js", "ts", "go", "c", "h"].contains(&extension)
                    && let Ok(text) = std::fs::read_to_string(&path)
                    && text.len() <= 1 << 20
                {
                    let start = std::time::Instant::now();
                    let found = find(&text);
                    spent += start.elapsed();
                    n_lines += text.lines().count();
                    n_bytes += text.len();
                    n_alarms += found.len();
                    for alarm in found.iter().filter(|_| show) {
                        let line = text[..alarm.range.start].lines().count();
                        eprintln!("{}:{line} {}", path.display(), alarm.rule);
                    }
                }
            }
        }
        let rate = n_alarms as f64 * 10_000.0 / n_lines as f64;
        let speed = n_bytes as f64 / 1e6 / spent.as_secs_f64();
        eprintln!("{n_alarms} alarms in {n_lines} lines: {rate:.3} per 10,000; {speed:.0} MB/s");
        assert!(n_lines > 5_000, "nothing to scan");
        assert!(rate <= 1.0, "{rate:.3} false alarms per 10,000 lines");
    }

    #[test]
    fn columns_stay_in_bytes_and_in_utf16() {
        let value = Random(3).text(&alphanumeric(), 20);
        let before = format!("password = \"{value}é日😀{value}\"; next()");
        let mut after = before.clone();
        assert_eq!(redact(&mut after).len(), 1);
        assert_eq!(after.len(), before.len());
        assert_eq!(after.encode_utf16().count(), before.encode_utf16().count());
        assert_eq!(after.find("next"), before.find("next"));
        assert!(!after.contains(&value) && !after.contains('日'));
    }

    #[test]
    fn worst_cases_are_quick() {
        let n = 1 << 20;
        for text in [
            "a".repeat(n),
            "token=".repeat(n / 6),
            format!("-----BEGIN {} KEY-----\n", "PRIVATE").repeat(n / 32),
            "eyJ".repeat(n / 3),
            "://a:".repeat(n / 5),
            "AKIA".repeat(n / 4),
            "password:\"".repeat(n / 10),
            format!("secret {}", "x".repeat(n)),
        ] {
            let start = std::time::Instant::now();
            std::hint::black_box(find(&text));
            // Generous: shared machines and unoptimized builds. Quadratic work takes minutes.
            assert!(start.elapsed().as_secs() < 20, "{:?}: {:?}", &text[..12], start.elapsed());
        }
    }
}
