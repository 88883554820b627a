//! Macro arguments that read as expressions or items, as they do in almost every macro that people
//! call: parsed in place, so that ranges are those of the file.

use tree_sitter::{Node, Parser, Point, Range, Tree};

use super::Extractor;
use crate::{Language, parse::tags};

/// Longer arguments are tables or programs of another language.
const MAX_BYTES: usize = 64 << 10;
/// Macros in macros in macros: each level is parsed once more.
const MAX_LEVELS: usize = 4;

impl Extractor<'_> {
    /// The arguments as a tuple, array or block; `None` if they are no expressions.
    pub(super) fn argument_tree(&mut self, tokens: Node<'_>) -> Option<Tree> {
        if let Some(tree) = self.argument_trees.get(&tokens.id()) {
            return tree.clone();
        }
        let tree =
            if self.n_macros_around < MAX_LEVELS { self.parse_arguments(tokens) } else { None };
        self.argument_trees.insert(tokens.id(), tree.clone());
        tree
    }

    /// The inside of braces as items: `cfg_feature! { pub mod x; }`. `None` if most of it is none.
    pub(super) fn item_tree(&mut self, tokens: Node<'_>) -> Option<Tree> {
        let mut range = tokens.range();
        let is_braced = self.text[range.start_byte..range.end_byte].starts_with('{');
        if !is_braced || self.n_macros_around >= MAX_LEVELS || range.end_byte < range.start_byte + 2
        {
            return None;
        }
        range.start_byte += 1;
        range.start_point.column += 1;
        // Without its closing brace the text ends where the file does.
        if self.text[..range.end_byte].ends_with('}') {
            range.end_byte -= 1;
            range.end_point.column = range.end_point.column.saturating_sub(1);
        }
        let tree = self.parse_ranges(&[range], range.end_byte - range.start_byte)?;
        is_mostly_items(tree.root_node()).then_some(tree)
    }

    fn parse_arguments(&mut self, tokens: Node<'_>) -> Option<Tree> {
        let range = tokens.range();
        let n_bytes = range.end_byte - range.start_byte;
        if !(3..=MAX_BYTES).contains(&n_bytes) {
            return None;
        }
        let mut ranges = vec![range];
        if !self.text[range.start_byte..].starts_with('{') {
            // An expression is a statement with a semicolon; the next one in the file will do.
            let end = range.end_byte;
            let at = end + memchr::memchr(b';', &self.text.as_bytes()[end..])?;
            ranges.push(Range {
                start_byte: at,
                end_byte: at + 1,
                start_point: Point::new(range.end_point.row + 1, 0),
                end_point: Point::new(range.end_point.row + 1, 1),
            });
        }
        let tree = self.parse_ranges(&ranges, n_bytes)?;
        let root = tree.root_node();
        (!root.has_error() && root.named_child_count() == 1).then_some(tree)
    }

    fn parse_ranges(&mut self, ranges: &[Range], n_bytes: usize) -> Option<Tree> {
        if self.argument_parser.is_none() {
            let mut parser = Parser::new();
            parser.set_language(&tags::grammar(Language::Rust)?).ok()?;
            self.argument_parser = Some(parser);
        }
        let parser = self.argument_parser.as_mut()?;
        parser.set_included_ranges(ranges).ok()?;
        crate::parse::parse_bounded(parser, self.text, n_bytes)
    }
}

fn is_mostly_items(root: Node<'_>) -> bool {
    let mut cursor = root.walk();
    let (mut n_items, mut n_others) = (0, 0);
    for child in root.named_children(&mut cursor).filter(|child| !child.is_extra()) {
        let kind = child.kind();
        match kind {
            "attribute_item" | "inner_attribute_item" | "macro_invocation" => {}
            "expression_statement" | "empty_statement" if !child.has_error() => {}
            "macro_definition" => n_items += 1,
            _ if kind.ends_with("_item") || kind.ends_with("_declaration") => n_items += 1,
            _ => n_others += 1,
        }
    }
    n_items > n_others
}
