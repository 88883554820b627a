//! Languages as data: runs `queries/<lang>/tags.scm` over the tree.
//!
//! Captures: `@definition.KIND` around an item whose name is `@name`; `@reference.call`,
//! `@reference.type`, `@reference.import`, `@reference.write` and `@reference` on a name. Several
//! patterns may match one name: a definition wins, then the earliest pattern in the file. Comments directly above an item
//! are its documentation.

use std::{cmp::Reverse, sync::OnceLock};

use rustc_hash::FxHashMap;
use streaming_iterator::StreamingIterator;
use tree_sitter::{Node, Query, QueryCursor, Tree};

use super::{Extracted, first_sentence};
use crate::{
    Language,
    facts::{OccurrenceFacts, Role, SymbolFacts, SymbolKind},
    text::ByteRange,
};

/// In-progress matches of one query run; more are dropped by tree-sitter.
const MATCH_LIMIT: u32 = 1_024;

/// The grammar of a language that is parsed.
pub(crate) fn grammar(language: Language) -> Option<tree_sitter::Language> {
    Some(match language {
        Language::Rust => tree_sitter_rust::LANGUAGE.into(),
        Language::Python => tree_sitter_python::LANGUAGE.into(),
        Language::JavaScript => tree_sitter_javascript::LANGUAGE.into(),
        Language::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
        Language::Tsx => tree_sitter_typescript::LANGUAGE_TSX.into(),
        Language::Go => tree_sitter_go::LANGUAGE.into(),
        Language::C => tree_sitter_c::LANGUAGE.into(),
        Language::Cpp => tree_sitter_cpp::LANGUAGE.into(),
        Language::Java => tree_sitter_java::LANGUAGE.into(),
        Language::Markdown | Language::Text => return None,
    })
}

/// The query texts of a language; patterns of earlier texts win.
fn source(language: Language) -> &'static [&'static str] {
    match language {
        Language::JavaScript => &[include_str!("../../queries/javascript/tags.scm")],
        Language::TypeScript => &[include_str!("../../queries/typescript/tags.scm")],
        Language::Tsx => &[
            include_str!("../../queries/tsx/tags.scm"),
            include_str!("../../queries/typescript/tags.scm"),
        ],
        Language::Go => &[include_str!("../../queries/go/tags.scm")],
        Language::C => &[include_str!("../../queries/c/tags.scm")],
        Language::Cpp => &[include_str!("../../queries/cpp/tags.scm")],
        Language::Java => &[include_str!("../../queries/java/tags.scm")],
        Language::Python => &[include_str!("../../queries/python/tags.scm")],
        Language::Rust => &[include_str!("../../queries/rust/tags.scm")],
        Language::Markdown | Language::Text => &[],
    }
}

/// A compiled query; `meaning[capture]` says what a capture stands for.
struct Tags {
    query: Query,
    meaning: Vec<Meaning>,
}

#[derive(Clone, Copy, PartialEq)]
enum Meaning {
    Name,
    Definition(SymbolKind),
    Reference(Role),
    Other,
}

impl Tags {
    fn compile(language: Language) -> Option<Self> {
        let query = Query::new(&grammar(language)?, &source(language).concat())
            .expect("queries in this repository compile; a test runs each");
        let meaning = query.capture_names().iter().map(|name| Meaning::of(name)).collect();
        Some(Self { query, meaning })
    }

    fn of(language: Language) -> Option<&'static Self> {
        static COMPILED: [OnceLock<Option<Tags>>; 16] = [const { OnceLock::new() }; 16];
        COMPILED[language as usize].get_or_init(|| Self::compile(language)).as_ref()
    }
}

impl Meaning {
    fn of(capture: &str) -> Self {
        match capture.split_once('.') {
            None if capture == "name" => Self::Name,
            None if capture == "reference" => Self::Reference(Role::Reference),
            Some(("reference", "call")) => Self::Reference(Role::Call),
            Some(("reference", "type")) => Self::Reference(Role::Type),
            Some(("reference", "import")) => Self::Reference(Role::Import),
            Some(("reference", "write")) => Self::Reference(Role::Write),
            Some(("definition", kind)) => kind_named(kind).map_or(Self::Other, Self::Definition),
            _ => Self::Other,
        }
    }
}

fn kind_named(name: &str) -> Option<SymbolKind> {
    use SymbolKind as K;
    const KINDS: [SymbolKind; 19] = [
        K::Module,
        K::Class,
        K::Struct,
        K::Enum,
        K::Variant,
        K::Union,
        K::Trait,
        K::Interface,
        K::Function,
        K::Method,
        K::Field,
        K::Property,
        K::Constant,
        K::Static,
        K::Variable,
        K::Parameter,
        K::TypeAlias,
        K::TypeParameter,
        K::Macro,
    ];
    KINDS.into_iter().find(|kind| kind.name() == name)
}

struct Definition<'tree> {
    kind: SymbolKind,
    name: ByteRange,
    item: Node<'tree>,
    pattern: usize,
}

pub(crate) fn extract(language: Language, text: &str, tree: &Tree) -> Extracted {
    let Some(tags) = Tags::of(language) else { return Extracted::default() };
    let mut cursor = QueryCursor::new();
    cursor.set_match_limit(MATCH_LIMIT);
    // Matching a chain at each of its levels is quadratic.
    cursor.set_max_start_depth(Some(super::MAX_DEPTH as u32));
    let mut definitions: Vec<Definition<'_>> = Vec::new();
    // Name range -> (pattern, role): the earliest pattern wins.
    let mut references: FxHashMap<ByteRange, (usize, Role)> = FxHashMap::default();
    let mut matches = cursor.matches(&tags.query, tree.root_node(), text.as_bytes());
    while let Some(found) = matches.next() {
        let mut name = None;
        let mut item = None;
        for capture in found.captures() {
            match tags.meaning[capture.index as usize] {
                Meaning::Name => name = Some(range(capture.node)),
                Meaning::Definition(kind) => item = Some((kind, capture.node)),
                Meaning::Reference(role) => {
                    let entry = references
                        .entry(range(capture.node))
                        .or_insert((found.pattern_index, role));
                    if found.pattern_index < entry.0 {
                        *entry = (found.pattern_index, role);
                    }
                }
                Meaning::Other => {}
            }
        }
        if let (Some(name), Some((kind, item))) = (name, item) {
            definitions.push(Definition { kind, name, item, pattern: found.pattern_index });
        }
    }
    // Outer items first; of two readings of one name the first in the query file wins.
    definitions.sort_by_key(|d| (d.item.start_byte(), Reverse(d.item.end_byte()), d.pattern));
    let mut seen: FxHashMap<ByteRange, ()> = FxHashMap::default();
    definitions.retain(|definition| seen.insert(definition.name, ()).is_none());

    let mut extracted = Extracted::default();
    let mut open: Vec<u32> = Vec::new();
    for definition in &definitions {
        let item = range(definition.item);
        while open
            .last()
            .is_some_and(|&symbol| !extracted.symbols[symbol as usize].enclosing_range.covers(item))
        {
            open.pop();
        }
        let symbol = symbol(language, text, definition, open.last().copied(), &extracted.symbols);
        references.remove(&definition.name);
        extracted.occurrences.push(OccurrenceFacts {
            range: definition.name,
            role: Role::Definition,
            enclosing: open.last().copied(),
            name: 0,
        });
        open.push(extracted.symbols.len() as u32);
        extracted.symbols.push(symbol);
    }
    let mut references: Vec<_> =
        references.into_iter().map(|(range, (_, role))| (range, role)).collect();
    references.sort_unstable_by_key(|(range, _)| *range);
    add_references(&mut extracted, &references);
    extracted.cut |= is_deeper_than(super::MAX_DEPTH, tree);
    extracted.n_syntax_errors = n_syntax_errors(tree, &mut extracted.cut);
    extracted
}

/// Adds references (ordered by start) with the innermost symbol around each.
fn add_references(extracted: &mut Extracted, references: &[(ByteRange, Role)]) {
    let mut open: Vec<u32> = Vec::new();
    let mut next = 0;
    for &(range, role) in references {
        while let Some(symbol) = extracted.symbols.get(next)
            && symbol.enclosing_range.start <= range.start
        {
            open.push(next as u32);
            next += 1;
        }
        // Symbols are in document order and nest, so a closed one never comes back.
        while open
            .last()
            .is_some_and(|&s| extracted.symbols[s as usize].enclosing_range.end <= range.start)
        {
            open.pop();
        }
        let enclosing = open
            .iter()
            .rev()
            .copied()
            .find(|&s| extracted.symbols[s as usize].enclosing_range.covers(range));
        extracted.occurrences.push(OccurrenceFacts { range, role, enclosing, name: 0 });
    }
    extracted.occurrences.sort_unstable_by_key(|occurrence| occurrence.range);
}

fn symbol(
    language: Language,
    text: &str,
    definition: &Definition<'_>,
    parent: Option<u32>,
    symbols: &[SymbolFacts],
) -> SymbolFacts {
    let item = range(definition.item);
    let body = definition.item.child_by_field_name("body");
    let signature_end = body.map_or(item.end, |body| body.start_byte() as u32);
    let name = definition.name.slice(text).to_owned();
    let parent_facts = parent.map(|parent| &symbols[parent as usize]);
    let is_member = parent_facts.is_some_and(|parent| {
        matches!(
            parent.kind,
            SymbolKind::Class | SymbolKind::Interface | SymbolKind::Struct | SymbolKind::Trait
        )
    });
    let kind = match definition.kind {
        SymbolKind::Function if is_member => SymbolKind::Method,
        kind => kind,
    };
    let (comment_start, doc) = comment_above(text, definition.item);
    let signature = ByteRange::new(item.start, signature_end);
    let is_test = parent_facts.is_some_and(|parent| parent.is_test)
        || matches!(kind, SymbolKind::Function | SymbolKind::Method)
            && (name.starts_with("test") || name.starts_with("Test"));
    SymbolFacts {
        is_public: is_public(language, &name, signature.slice(text)),
        name,
        kind,
        name_range: definition.name,
        enclosing_range: ByteRange::new(comment_start.min(item.start), item.end),
        signature_range: signature,
        parent,
        doc,
        is_test,
    }
}

/// Visibility by the language's convention, from the signature alone.
fn is_public(language: Language, name: &str, signature: &str) -> bool {
    match language {
        Language::Go => name.starts_with(char::is_uppercase),
        Language::Java => !signature.contains("private "),
        Language::C | Language::Cpp => !signature.starts_with("static "),
        Language::Python => !name.starts_with('_'),
        Language::Rust => signature.trim_start().starts_with("pub"),
        _ => !name.starts_with(['_', '#']),
    }
}

/// Start of the comment block that ends on the line above `item`, and its first sentence.
fn comment_above(text: &str, item: Node<'_>) -> (u32, Option<String>) {
    let mut start = item.start_byte();
    let mut row = item.start_position().row;
    let mut node = item;
    let mut comments = Vec::new();
    while let Some(before) = node.prev_sibling() {
        if !before.kind().contains("comment") || before.end_position().row + 1 < row {
            break;
        }
        comments.push(before.byte_range());
        (start, row, node) = (before.start_byte(), before.start_position().row, before);
    }
    let doc = comments.iter().rev().map(|range| plain_comment(&text[range.clone()]));
    (start as u32, first_sentence(&doc.collect::<Vec<_>>().join("\n")))
}

/// A comment without its markers.
fn plain_comment(comment: &str) -> String {
    let inner = comment.trim_start_matches(['/', '*', '!', '#']).trim_end_matches(['/', '*']);
    let lines = inner.lines().map(|line| line.trim().trim_start_matches('*').trim());
    lines.collect::<Vec<_>>().join("\n")
}

/// True if some node lies below `limit` others.
fn is_deeper_than(limit: usize, tree: &Tree) -> bool {
    let mut cursor = tree.walk();
    let mut depth = 0;
    loop {
        if cursor.goto_first_child() {
            depth += 1;
            if depth > limit {
                return true;
            }
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return false;
            }
            depth -= 1;
        }
    }
}

/// Counts error and missing nodes; looks only into subtrees that contain one.
pub(crate) fn n_syntax_errors(tree: &Tree, cut: &mut bool) -> u32 {
    let mut count = 0;
    let mut cursor = tree.walk();
    let mut depth = 0;
    loop {
        let node = cursor.node();
        count += u32::from(node.is_error() || node.is_missing());
        let is_deep = depth >= super::MAX_DEPTH;
        *cut |= is_deep && node.has_error();
        if node.has_error() && !is_deep && cursor.goto_first_child() {
            depth += 1;
            continue;
        }
        loop {
            if cursor.goto_next_sibling() {
                break;
            }
            if !cursor.goto_parent() {
                return count;
            }
            depth -= 1;
        }
    }
}

pub(crate) fn range(node: Node<'_>) -> ByteRange {
    ByteRange::new(node.start_byte() as u32, node.end_byte() as u32)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::parse::parse;

    fn check_tags(language: Language, text: &str, expect: Expect) {
        let facts = parse(language, text);
        let mut lines = String::new();
        for symbol in &facts.symbols {
            let parent = symbol.parent.map(|p| facts.symbols[p as usize].name.as_str());
            let doc = symbol.doc.as_deref().map(|doc| format!(" \"{doc}\"")).unwrap_or_default();
            let inside = parent.map(|parent| format!(" in {parent}")).unwrap_or_default();
            lines += &format!("{} {}{inside}{doc}\n", symbol.kind.name(), symbol.name);
        }
        let names = |role| {
            let found = facts.occurrences.iter().filter(|o| o.role == role);
            found.map(|o| facts.name_of(o)).collect::<Vec<_>>().join(" ")
        };
        lines += &format!("calls: {}\ntypes: {}\n", names(Role::Call), names(Role::Type));
        lines += &format!("imports: {}\n", names(Role::Import));
        expect.assert_eq(&lines);
    }

    #[test]
    fn every_query_compiles() {
        for language in Language::all() {
            assert_eq!(grammar(language).is_some(), Tags::compile(language).is_some());
        }
    }

    #[test]
    fn javascript() {
        check_tags(
            Language::JavaScript,
            r#"
import { load } from "./io.js";
// Draws things.
class Canvas extends Base { #size = 1; draw(x) { return load(x); } }
const helper = (a) => new Canvas().draw(a);
export const LIMIT = 3;
"#,
            expect![[r#"
                class Canvas "Draws things."
                field #size in Canvas
                method draw in Canvas
                function helper
                variable LIMIT
                calls: load Canvas draw
                types: Base
                imports: load
            "#]],
        );
    }

    #[test]
    fn typescript() {
        check_tags(
            Language::TypeScript,
            r#"
import { Shape } from "./shape";
/** A box. */
export interface Box { width: number; area(): number }
enum Color { Red, Green = 2 }
type Alias = Box | Shape;
namespace util { export function grow(b: Box): Box { return b; } }
abstract class Widget implements Box { width = 1; area() { return util.grow(this).width; } }
"#,
            expect![[r#"
                interface Box
                property width in Box
                method area in Box
                enum Color
                variant Red in Color
                variant Green in Color
                type-alias Alias
                module util
                function grow in util
                class Widget
                field width in Widget
                method area in Widget
                calls: grow
                types: Box Shape Box Box Box
                imports: Shape
            "#]],
        );
    }

    #[test]
    fn tsx() {
        check_tags(
            Language::Tsx,
            "const Page = () => <Layout><Title text=\"a\" /></Layout>;\n",
            expect![[r#"
                function Page
                calls: Layout Title
                types: 
                imports: 
            "#]],
        );
    }

    #[test]
    fn go() {
        check_tags(
            Language::Go,
            r#"
package main
import f "fmt"
// Server answers.
type Server struct { Addr string }
type Handler interface { Serve(s *Server) error }
const Limit = 3
func New(addr string) *Server { return &Server{Addr: addr} }
func (s *Server) Run() { f.Println(s.Addr); New("x").Run() }
"#,
            expect![[r#"
                struct Server
                field Addr in Server
                interface Handler
                method Serve in Handler
                constant Limit
                function New
                method Run
                calls: Println New Run
                types: string Server error string Server Server Server
                imports: f
            "#]],
        );
    }

    #[test]
    fn c() {
        check_tags(
            Language::C,
            r#"
#define MAX(a, b) ((a) > (b) ? (a) : (b))
typedef struct point { int x; char *name; } point_t;
enum color { RED, GREEN };
static int limit = 3;
/* Adds. */
int add(point_t *p) { return MAX(p->x, limit); }
char *name_of(struct point *p);
"#,
            expect![[r#"
                macro MAX
                type-alias point_t
                struct point in point_t
                field x in point
                field name in point
                enum color
                variant RED in color
                variant GREEN in color
                variable limit
                function add "Adds."
                function name_of
                calls: MAX
                types: point_t point
                imports: 
            "#]],
        );
    }

    #[test]
    fn cpp() {
        check_tags(
            Language::Cpp,
            r#"
namespace geo {
class Shape : public Base { public: virtual double area() const; int id; };
double Shape::area() const { return scale(id); }
using Real = double;
}
"#,
            expect![[r#"
                module geo
                class Shape in geo
                method area in Shape
                field id in Shape
                method area in geo
                type-alias Real in geo
                calls: scale
                types: Base
                imports: 
            "#]],
        );
    }

    #[test]
    fn java() {
        check_tags(
            Language::Java,
            r#"
import java.util.List;
/** Stores. */
public class Store implements Closeable {
    private int size;
    public Store(int n) { size = n; }
    List<String> names() { return new Store(1).names(); }
}
enum Mode { READ, WRITE }
"#,
            expect![[r#"
                class Store "Stores."
                field size in Store
                method Store in Store
                method names in Store
                enum Mode
                variant READ in Mode
                variant WRITE in Mode
                calls: Store names
                types: Closeable List String
                imports: List
            "#]],
        );
    }
}
