//! tree-sitter: the text of one file in, [`FileFacts`] out. Never fails: broken code gives facts
//! and a count of syntax errors, and work is bounded in size, depth and parser steps.
//!
//! [`rust`] and [`python`] extract by hand what their resolvers need; every other language is data:
//! a grammar, and a `queries/<lang>/tags.scm` that [`tags`] runs. No extractor recurses over the
//! tree, so nesting cannot exhaust the stack.

mod depth;
mod markdown;
mod python;
pub mod ranges;
mod rust;
mod tags;

use std::ops::ControlFlow;

use rustc_hash::FxHashMap;
use tree_sitter::{ParseOptions, Parser, Tree};

use crate::{
    Language, chunk,
    facts::{FileFacts, OccurrenceFacts, ResolverFacts, SymbolFacts, SymbolKind},
    graph::rust::manifest,
    names::Names,
    text::ByteRange,
};

/// Larger files are searched, not parsed: they are generated or data.
const MAX_PARSED_BYTES: usize = 4 << 20;

/// Extractors do not look below this nesting; what lies deeper is counted as cut.
pub(crate) const MAX_DEPTH: usize = 1_200;

/// What an extractor found in one file.
#[derive(Default)]
pub(crate) struct Extracted {
    /// Definitions in document order; a symbol's parent comes before it.
    pub(crate) symbols: Vec<SymbolFacts>,
    /// One a range, or a definition and then a reference at the same one; the definitions' own names
    /// are among them. If they are ordered by range start the
    /// order is kept, otherwise they are sorted. `name` is filled in afterwards.
    pub(crate) occurrences: Vec<OccurrenceFacts>,
    /// `(new name, old name)` of imports that rename.
    pub(crate) aliases: Vec<(String, String)>,
    /// First sentence of the module's documentation.
    pub(crate) doc: Option<String>,
    pub(crate) resolver: ResolverFacts,
    pub(crate) n_syntax_errors: u32,
    /// A stated limit was met.
    pub(crate) cut: bool,
}

/// Extracts the facts of `text`.
#[must_use]
pub fn parse(language: Language, text: &str) -> FileFacts {
    facts(language, text, extract(language, text))
}

fn extract(language: Language, text: &str) -> Extracted {
    match language {
        Language::Markdown => return markdown::extract(text),
        Language::Text => return plain(text),
        _ if text.len() > MAX_PARSED_BYTES => {
            return Extracted { cut: true, ..Extracted::default() };
        }
        _ => {}
    }
    let Some(tree) = syntax_tree(language, text) else {
        return Extracted { cut: true, ..Extracted::default() };
    };
    match language {
        Language::Rust => rust::extract(text, &tree),
        Language::Python => python::extract(text, &tree),
        _ => tags::extract(language, text, &tree),
    }
}

/// Configuration files carry no symbols, but a Cargo manifest says which crates exist.
fn plain(text: &str) -> Extracted {
    let resolver = match manifest::read(text) {
        Some(manifest) => ResolverFacts::CargoManifest(Box::new(manifest)),
        None => ResolverFacts::None,
    };
    Extracted { resolver, ..Extracted::default() }
}

/// Parses `text`; `None` for languages without a grammar, for text nested as no program is, and if
/// the parser needs far more steps than the size of the text explains (error recovery can be
/// quadratic).
pub(crate) fn syntax_tree(language: Language, text: &str) -> Option<Tree> {
    if depth::is_too_deep(text) {
        return None;
    }
    let mut parser = Parser::new();
    parser.set_language(&tags::grammar(language)?).ok()?;
    parse_bounded(&mut parser, text, text.len())
}

/// Parses with the steps that `n_bytes` explain.
fn parse_bounded(parser: &mut Parser, text: &str, n_bytes: usize) -> Option<Tree> {
    let allowed_calls = 5_000 + n_bytes / 8;
    let mut n_calls = 0_usize;
    let mut progress = |_: &tree_sitter::ParseState| {
        n_calls += 1;
        if n_calls > allowed_calls { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let options = ParseOptions::new().progress_callback(&mut progress);
    let bytes = text.as_bytes();
    let tree = parser.parse_with_options(
        &mut |offset, _| bytes.get(offset..).unwrap_or_default(),
        None,
        Some(options),
    );
    if tree.is_none() {
        // A parser that was stopped would go on where it was.
        parser.reset();
    }
    tree
}

fn facts(language: Language, text: &str, mut extracted: Extracted) -> FileFacts {
    let occurrences = &mut extracted.occurrences;
    if !occurrences.is_sorted_by_key(|occurrence| occurrence.range.start) {
        occurrences.sort_by_key(|occurrence| occurrence.range.start);
    }
    let mut names = Numbered::default();
    for occurrence in occurrences.iter_mut() {
        occurrence.name = names.intern(identifier(occurrence.range.slice(text)));
    }
    let aliases =
        extracted.aliases.iter().map(|(new, old)| (names.intern(new), names.intern(old))).collect();
    FileFacts {
        language,
        n_bytes: text.len() as u32,
        n_lines: memchr::memchr_iter(b'\n', text.as_bytes()).count() as u32
            + u32::from(!text.is_empty() && !text.ends_with('\n')),
        chunks: chunk::chunks(language, text, &extracted.symbols),
        names: names.list,
        aliases,
        symbols: extracted.symbols,
        occurrences: extracted.occurrences,
        n_syntax_errors: extracted.n_syntax_errors,
        cut: extracted.cut,
        doc: extracted.doc,
        resolver: extracted.resolver,
    }
}

/// The file as a module: what an import of it leads to. Its name is the path's affair, so it has
/// none here; its ranges are empty and stand at the start.
pub(crate) fn module_symbol() -> SymbolFacts {
    SymbolFacts {
        name: String::new(),
        kind: SymbolKind::Module,
        name_range: ByteRange::default(),
        enclosing_range: ByteRange::default(),
        signature_range: ByteRange::default(),
        parent: None,
        doc: None,
        is_public: true,
        is_test: false,
    }
}

/// The name an identifier spells: `r#type` is `type`.
pub(crate) fn identifier(text: &str) -> &str {
    text.strip_prefix("r#").unwrap_or(text)
}

/// First sentence of a documentation text, on one line, at most 200 characters.
pub(crate) fn first_sentence(doc: &str) -> Option<String> {
    let mut sentence = String::new();
    for line in doc.lines().map(str::trim).skip_while(|line| line.is_empty()) {
        if line.is_empty() {
            break;
        }
        if !sentence.is_empty() {
            sentence.push(' ');
        }
        sentence.push_str(line);
        if let Some(end) = sentence.find(". ") {
            sentence.truncate(end + 1);
            break;
        }
        if sentence.ends_with('.') || sentence.len() > 200 {
            break;
        }
    }
    if let Some((end, _)) = sentence.char_indices().nth(200) {
        sentence.truncate(end);
    }
    (!sentence.is_empty()).then_some(sentence)
}

/// Distinct strings of one file and their numbers.
#[derive(Default)]
struct Numbered<'a> {
    list: Names,
    numbers: FxHashMap<&'a str, u32>,
}

impl<'a> Numbered<'a> {
    fn intern(&mut self, name: &'a str) -> u32 {
        *self.numbers.entry(name).or_insert_with(|| {
            self.list.push(name);
            self.list.len() as u32 - 1
        })
    }
}
