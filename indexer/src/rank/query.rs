//! Reads a search request: filters, query kind, terms with weights, names to look up.

use globset::GlobBuilder;
use rustc_hash::FxHashSet;

use super::{QueryError, QueryKind};
use crate::{
    ChunkId, Language,
    bm25::{MAX_TERMS, QueryTerm, tokenize, tokenize::TermKind},
    facts::SymbolKind,
};

/// Longer queries are refused.
const MAX_QUERY_BYTES: usize = 8 << 10;

/// A request, understood.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) kind: QueryKind,
    /// The words without filters, as one text: what is embedded.
    pub(crate) text: String,
    pub(crate) terms: Vec<QueryTerm>,
    /// Words that may be a symbol's name, in order, and how sure that is; qualified names by their
    /// last part.
    pub(crate) names: Vec<(String, f32)>,
    /// Quoted parts; a hit's text must contain each.
    pub(crate) phrases: Vec<String>,
    pub(crate) filters: Filters,
    pub(crate) asks: Asks,
    /// The chunk that the query was made of, which is no answer to it.
    pub(crate) without: Option<ChunkId>,
}

/// What the words ask for, beside the subject.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asks {
    pub(crate) tests: bool,
    pub(crate) docs: bool,
    pub(crate) examples: bool,
    pub(crate) legacy: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Filters {
    pub(crate) languages: Vec<Language>,
    pub(crate) kinds: Vec<SymbolKind>,
    pub(crate) paths: Vec<PathFilter>,
    pub(crate) not_paths: Vec<PathFilter>,
    /// `Some(true)`: only tests; `Some(false)`: no tests.
    pub(crate) tests: Option<bool>,
    /// `Some(true)`: only files that differ from the last commit; `Some(false)`: only the others.
    pub(crate) changed: Option<bool>,
}

impl Query {
    /// How many terms there are more than `short`, none counted beyond `long`.
    pub(crate) fn n_terms_beyond(&self, short: usize, long: usize) -> f32 {
        let n_terms = self.terms.iter().filter(|term| !term.is_joined).count();
        n_terms.min(long).saturating_sub(short) as f32
    }
}

impl Filters {
    pub(crate) fn allows_file(&self, path: &str, language: Language, is_test: bool) -> bool {
        (self.languages.is_empty() || self.languages.contains(&language))
            && self.paths.iter().all(|filter| filter.matches(path))
            && !self.not_paths.iter().any(|filter| filter.matches(path))
            && self.tests.is_none_or(|tests| tests == is_test)
    }
}

/// A glob over the whole path, or a part of it.
#[derive(Clone, Debug)]
pub struct PathFilter(Pattern);

#[derive(Clone, Debug)]
enum Pattern {
    Part(String),
    Glob(globset::GlobMatcher),
}

impl PathFilter {
    /// # Errors
    /// If the pattern is no valid glob.
    pub fn new(pattern: &str) -> Result<Self, QueryError> {
        if !pattern.contains(['*', '?', '[', '{']) {
            let part = pattern.trim_start_matches("./").to_owned();
            return Ok(Self(Pattern::Part(part)));
        }
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        let glob = glob.map_err(|error| QueryError::Path {
            pattern: pattern.chars().take(80).collect(),
            reason: error.kind().to_string(),
        })?;
        Ok(Self(Pattern::Glob(glob.compile_matcher())))
    }

    /// True if the file at `path` is meant.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        match &self.0 {
            Pattern::Part(part) => path.contains(part.as_str()),
            // `*.rs` means any folder, as in a .gitignore.
            Pattern::Glob(glob) => {
                glob.is_match(path)
                    || !glob.glob().glob().contains('/')
                        && glob.is_match(path.rsplit('/').next().unwrap_or(path))
            }
        }
    }
}

/// The filters of `text` alone.
pub(crate) fn filters(text: &str) -> Result<Filters, QueryError> {
    check_length(text)?;
    let mut filters = Filters::default();
    for word in split(text) {
        if let Some((negated, name, value)) = as_filter(word) {
            read_filter(&mut filters, negated, name, value)?;
        }
    }
    Ok(filters)
}

fn check_length(text: &str) -> Result<(), QueryError> {
    if text.len() > MAX_QUERY_BYTES {
        return Err(QueryError::TooLong { n_bytes: text.len(), limit: MAX_QUERY_BYTES });
    }
    Ok(())
}

/// Reads `text`.
pub(crate) fn parse(text: &str) -> Result<Query, QueryError> {
    check_length(text)?;
    let mut filters = Filters::default();
    let mut phrases = Vec::new();
    let mut words: Vec<&str> = Vec::new();
    for word in split(text) {
        if let Some(phrase) = word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            if !phrase.trim().is_empty() {
                phrases.push(phrase.to_owned());
                words.extend(phrase.split_whitespace());
            }
        } else if let Some((negated, name, value)) = as_filter(word) {
            read_filter(&mut filters, negated, name, value)?;
        } else {
            words.push(word);
        }
    }
    let subject = words.join(" ");
    if subject.is_empty() {
        return Err(QueryError::Empty);
    }
    let kind = kind(&words, &subject);
    let terms = terms(&words, kind);
    let names = names(&words, kind);
    if terms.is_empty() && names.is_empty() && phrases.is_empty() {
        return Err(QueryError::Empty);
    }
    let asks = asks(&words);
    Ok(Query { kind, text: subject, terms, names, phrases, filters, asks, without: None })
}

/// Words, with quoted parts kept together (quotes included).
fn split(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = match rest.strip_prefix('"').and_then(|inner| inner.find('"')) {
            Some(close) => close + 2,
            None => rest.find(char::is_whitespace).unwrap_or(rest.len()),
        };
        words.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    words
}

/// `name:value` with a lowercase name; not `std::fs`, not `http://..`, not `error:`.
fn as_filter(word: &str) -> Option<(bool, &str, &str)> {
    let (negated, rest) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let (name, value) = rest.split_once(':')?;
    let is_name = name.len() >= 3 && name.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_known = matches!(name, "lang" | "path" | "kind" | "test");
    let is_value = !value.is_empty() && !value.starts_with([':', '/']);
    (is_name && (is_value || is_known && !value.starts_with(':'))).then_some((negated, name, value))
}

fn read_filter(
    filters: &mut Filters,
    negated: bool,
    name: &str,
    value: &str,
) -> Result<(), QueryError> {
    let unknown = |known: String| QueryError::UnknownValue {
        filter: name.to_owned(),
        value: value.chars().take(80).collect(),
        known,
    };
    match name {
        "lang" if !negated => {
            for value in value.split(',') {
                let language =
                    Language::from_name(value).or_else(|| Language::of_path(&format!("x.{value}")));
                let known = || Language::all().map(Language::name).collect::<Vec<_>>().join(", ");
                filters.languages.push(language.ok_or_else(|| unknown(known()))?);
            }
        }
        "kind" if !negated => {
            for value in value.split(',') {
                let matching: Vec<_> = KINDS.iter().filter(|kind| kind.name() == value).collect();
                let known = || KINDS.map(SymbolKind::name).join(", ");
                if matching.is_empty() {
                    return Err(unknown(known()));
                }
                filters.kinds.extend(matching);
            }
        }
        "path" if value.is_empty() => return Err(unknown("a part of a path, or a glob".into())),
        "path" if negated => filters.not_paths.push(PathFilter::new(value)?),
        "path" => filters.paths.push(PathFilter::new(value)?),
        "test" if !negated => {
            filters.tests = match value {
                "only" | "yes" | "true" => Some(true),
                "no" | "false" => Some(false),
                "any" => None,
                _ => return Err(unknown("only, no, any".into())),
            };
        }
        "changed" if !negated => {
            filters.changed = match value {
                "only" | "yes" | "true" => Some(true),
                "no" | "false" => Some(false),
                "any" => None,
                _ => return Err(unknown("only, no, any".into())),
            };
        }
        _ => return Err(QueryError::UnknownFilter { filter: name.to_owned() }),
    }
    Ok(())
}

const KINDS: [SymbolKind; 21] = [
    SymbolKind::Module,
    SymbolKind::Class,
    SymbolKind::Struct,
    SymbolKind::Enum,
    SymbolKind::Variant,
    SymbolKind::Union,
    SymbolKind::Trait,
    SymbolKind::Interface,
    SymbolKind::Impl,
    SymbolKind::Function,
    SymbolKind::Method,
    SymbolKind::Field,
    SymbolKind::Property,
    SymbolKind::Constant,
    SymbolKind::Static,
    SymbolKind::Variable,
    SymbolKind::Parameter,
    SymbolKind::TypeAlias,
    SymbolKind::TypeParameter,
    SymbolKind::Macro,
    SymbolKind::Heading,
];

fn kind(words: &[&str], subject: &str) -> QueryKind {
    if let [word] = words {
        let is_name =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
        let file_name = word.rsplit('/').next().unwrap_or(word);
        let has_extension = file_name.contains('.') && Language::of_path(file_name).is_some();
        if word.contains('/') || has_extension {
            return QueryKind::Path;
        }
        let name = word.trim_end_matches("()").trim_end_matches('!');
        if name.split("::").flat_map(|part| part.split('.')).all(is_name) {
            return QueryKind::Symbol;
        }
    }
    let lower = subject.to_lowercase();
    let is_error = ["error", "exception", "panicked", "traceback", "failed"]
        .iter()
        .any(|word| lower.contains(word));
    if is_error && subject.contains([':', '`', '\'']) {
        return QueryKind::ErrorMessage;
    }
    let n_code = subject.chars().filter(|c| "(){}[];=<>&|".contains(*c)).count();
    if n_code >= 2 || subject.contains("->") || subject.contains("::") && words.len() <= 2 {
        return QueryKind::Code;
    }
    QueryKind::Prose
}

/// Words that carry no subject in a question.
const STOP_WORDS: &[&str] = &[
    "a",
    "about",
    "all",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "been",
    "between",
    "both",
    "but",
    "by",
    "can",
    "could",
    "do",
    "does",
    "each",
    "for",
    "from",
    "get",
    "gets",
    "given",
    "has",
    "have",
    "how",
    "i",
    "if",
    "implemented",
    "in",
    "into",
    "is",
    "it",
    "its",
    "like",
    "many",
    "me",
    "my",
    "of",
    "on",
    "or",
    "our",
    "out",
    "over",
    "should",
    "so",
    "some",
    "such",
    "than",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "this",
    "to",
    "up",
    "us",
    "used",
    "using",
    "via",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "why",
    "will",
    "with",
    "without",
    "work",
    "works",
    "would",
    "you",
    "your",
];

fn terms(words: &[&str], kind: QueryKind) -> Vec<QueryTerm> {
    let is_stop = |word: &str| {
        let lower = word.to_lowercase();
        STOP_WORDS.contains(&lower.trim_matches(|c: char| !c.is_alphanumeric()))
    };
    let drop_stop_words = matches!(kind, QueryKind::Prose | QueryKind::ErrorMessage)
        && !words.iter().all(|word| is_stop(word));
    let mut seen = FxHashSet::default();
    let mut terms: Vec<QueryTerm> = Vec::new();
    let mut push = |text: &str, weight: f32, typed: &str, is_joined: bool| {
        if terms.len() < MAX_TERMS && seen.insert(text.to_owned()) {
            let (text, typed) = (text.to_owned(), typed.to_owned());
            terms.push(QueryTerm { text, weight, typed, is_joined });
        }
    };
    let kept: Vec<&str> =
        words.iter().copied().filter(|word| !drop_stop_words || !is_stop(word)).collect();
    let mut pair: Option<String> = None;
    for word in &kept {
        tokenize::for_each_identifier(word, |identifier| {
            tokenize::terms(identifier, |term, kind, typed| {
                let weight = match kind {
                    TermKind::Word | TermKind::Whole => 1.0,
                    TermKind::Part => 0.7,
                };
                push(term, weight, typed, kind == TermKind::Whole);
            });
            // "rate limit" is also looked for as `RateLimit` and `rate_limit`.
            let lower: String = identifier.replace('_', "").to_lowercase();
            if let Some(previous) = pair.replace(lower.clone()) {
                push(&format!("{previous}{lower}"), 0.6, identifier, true);
            }
        });
    }
    terms
}

/// Words that can be names: all of a symbol query, else those that look like identifiers, and, less
/// surely, capitalized ones.
fn names(words: &[&str], kind: QueryKind) -> Vec<(String, f32)> {
    let mut names: Vec<(String, f32)> = Vec::new();
    for word in words {
        let last = word.rsplit("::").next().unwrap_or(word);
        let last = last.rsplit(['.', '/']).find(|part| !part.is_empty()).unwrap_or(last);
        tokenize::for_each_identifier(last, |identifier| {
            let is_marked = identifier.contains('_')
                || identifier.chars().skip(1).any(char::is_uppercase)
                || word.contains("::")
                || word.contains("()");
            let share = match kind {
                QueryKind::Symbol => 1.0,
                _ if is_marked => 0.5,
                _ if identifier.len() >= 4 && identifier.starts_with(char::is_uppercase) => 0.35,
                _ => return,
            };
            if names.len() < 16 && !names.iter().any(|(name, _)| name == identifier) {
                names.push((identifier.to_owned(), share));
            }
        });
    }
    names
}

fn asks(words: &[&str]) -> Asks {
    let mut asks = Asks::default();
    for word in words {
        match word.to_lowercase().trim_matches(|c: char| !c.is_alphanumeric()) {
            "test" | "tests" | "tested" | "unittest" | "pytest" | "fixture" | "fixtures" => {
                asks.tests = true;
            }
            "doc" | "docs" | "documentation" | "readme" | "changelog" | "guide" | "tutorial"
            | "changes" => asks.docs = true,
            "example" | "examples" | "benchmark" | "benchmarks" | "demo" | "sample" => {
                asks.examples = true;
            }
            "legacy" | "deprecated" | "compat" | "compatibility" | "v1" => asks.legacy = true,
            _ => {}
        }
    }
    asks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_kind(text: &str, expected: QueryKind) {
        assert_eq!(parse(text).map(|query| query.kind), Ok(expected), "{text}");
    }

    #[test]
    fn kinds() {
        check_kind("IndexWriter", QueryKind::Symbol);
        check_kind("std::fs::read", QueryKind::Symbol);
        check_kind("parse_file()", QueryKind::Symbol);
        check_kind("src/lib.rs", QueryKind::Path);
        check_kind("how are routes registered", QueryKind::Prose);
        check_kind("error: cannot find value `x`", QueryKind::ErrorMessage);
        check_kind("let x = foo(bar);", QueryKind::Code);
    }

    #[test]
    fn filters_are_read_or_refused() {
        let query = parse("retry lang:rust path:src/*.rs kind:function,method test:no").unwrap();
        assert_eq!(query.text, "retry");
        assert_eq!(query.filters.languages, [Language::Rust]);
        assert_eq!(query.filters.kinds, [SymbolKind::Function, SymbolKind::Method]);
        assert_eq!(query.filters.tests, Some(false));
        let unknown = QueryError::UnknownFilter { filter: "color".into() };
        assert_eq!(parse("retry color:red").unwrap_err(), unknown);
        let message = parse("x lang:klingon").unwrap_err().to_string();
        assert!(message.starts_with("`klingon` is not a value of `lang:`; use one of rust"));
    }

    #[test]
    fn bad_input_is_refused_with_advice() {
        assert_eq!(parse("").unwrap_err(), QueryError::Empty);
        assert_eq!(parse(" \n\t ").unwrap_err(), QueryError::Empty);
        assert_eq!(parse("?!.,;").unwrap_err(), QueryError::Empty);
        assert_eq!(parse("lang:rust").unwrap_err(), QueryError::Empty);
        assert!(matches!(parse(&"x".repeat(1 << 20)), Err(QueryError::TooLong { .. })));
    }

    #[test]
    fn a_question_of_stop_words_keeps_them() {
        let terms = parse("how to do it").unwrap().terms;
        assert!(terms.iter().any(|term| term.text == "how"));
    }
}
