//! Rust extraction: one walk with a cursor gives symbols, occurrences and the resolver's
//! intermediate form.
//!
//! [`lower`] turns types, paths and expressions into that form on demand. The grammar leaves macro
//! arguments as tokens: [`arguments`] parses those that are expressions, [`tokens`] reads the rest.

mod arguments;
mod items;
mod lower;
mod patterns;
mod tokens;

use rustc_hash::{FxHashMap, FxHashSet};
use tree_sitter::{Node, Parser, Tree, TreeCursor};

use super::{Extracted, MAX_DEPTH, first_sentence, identifier, module_symbol, tags};
use crate::{
    facts::{OccurrenceFacts, ResolverFacts, Role, SymbolFacts, SymbolKind},
    graph::rust::facts::{
        ExprId, Item, Name, PathId, Ref, RustFacts, Scope, ScopeId, ScopeKind, Space, TypeId,
    },
    text::ByteRange,
};

pub(crate) fn extract(text: &str, tree: &Tree) -> Extracted {
    let mut extractor = Extractor::new(text);
    extractor.walk(tree);
    let mut cut = extractor.cut;
    let n_syntax_errors = tags::n_syntax_errors(tree, &mut cut);
    let mut facts = extractor.facts;
    facts.refs.sort_unstable_by_key(|(at, _)| *at);
    facts.refs.dedup_by_key(|(at, _)| *at);
    facts.refs.shrink_to_fit();
    let mut occurrences = extractor.occurrences;
    occurrences.sort_unstable_by_key(|o| (o.range.start, o.role != Role::Definition));
    let shorthands = extractor.shorthands;
    occurrences.dedup_by(|next, before| {
        // `Point { x }` as a pattern defines a local and mentions a field.
        next.range.start == before.range.start
            && !(before.role == Role::Definition
                && next.role == Role::Reference
                && shorthands.contains(&next.range.start))
    });
    Extracted {
        symbols: extractor.symbols,
        occurrences,
        aliases: extractor.aliases,
        doc: extractor.doc,
        resolver: ResolverFacts::Rust(Box::new(facts)),
        n_syntax_errors,
        cut,
    }
}

/// Documentation and attributes in front of an item.
#[derive(Default)]
struct Prefix {
    start: Option<u32>,
    doc: String,
    is_test: bool,
    is_cfg_test: bool,
    path: Option<Box<str>>,
    exported_macro: bool,
    /// What stands between the parentheses of `cfg`; the last one counts.
    cfg: Option<ByteRange>,
}

/// Something opened on the way down, closed when the walk leaves its node.
enum Open {
    Scope,
    Symbol,
    Both,
}

struct Extractor<'a> {
    text: &'a str,
    facts: RustFacts,
    symbols: Vec<SymbolFacts>,
    occurrences: Vec<OccurrenceFacts>,
    aliases: Vec<(String, String)>,
    doc: Option<String>,
    cut: bool,
    name_ids: FxHashMap<&'a str, Name>,
    /// Open scopes and symbols, outermost first.
    scopes: Vec<ScopeId>,
    parents: Vec<u32>,
    open: Vec<(usize, Open)>,
    prefix: Prefix,
    /// Nodes that already gave their occurrence.
    done: FxHashSet<usize>,
    paths: FxHashMap<usize, PathId>,
    exprs: FxHashMap<usize, ExprId>,
    /// Function node of the call that was just entered.
    called: usize,
    /// Closures that are arguments: receiver, method, position.
    closures: FxHashMap<usize, (ExprId, Name, u32)>,
    /// Match arms: what is matched.
    arms: FxHashMap<usize, ExprId>,
    /// Parsed macro arguments; they live as long as ids of their nodes are in use.
    argument_trees: FxHashMap<usize, Option<Tree>>,
    argument_parser: Option<Parser>,
    n_macros_around: usize,
    /// Where patterns name a field and a local at once.
    shorthands: FxHashSet<u32>,
}

impl<'a> Extractor<'a> {
    fn new(text: &'a str) -> Self {
        let mut extractor = Self {
            text,
            facts: RustFacts::default(),
            symbols: Vec::new(),
            occurrences: Vec::new(),
            aliases: Vec::new(),
            doc: None,
            cut: false,
            name_ids: FxHashMap::default(),
            scopes: vec![0],
            parents: Vec::new(),
            open: Vec::new(),
            prefix: Prefix::default(),
            done: FxHashSet::default(),
            paths: FxHashMap::default(),
            exprs: FxHashMap::default(),
            called: 0,
            closures: FxHashMap::default(),
            arms: FxHashMap::default(),
            argument_trees: FxHashMap::default(),
            argument_parser: None,
            n_macros_around: 0,
            shorthands: FxHashSet::default(),
        };
        // The file as a module: what a crate's name and `crate` mean. It is nobody's parent.
        extractor.symbols.push(module_symbol());
        extractor.facts.items.push(Item::default());
        let range = ByteRange::new(0, text.len() as u32 + 1);
        extractor.facts.scopes.push(Scope { parent: None, kind: ScopeKind::Module, range });
        extractor
    }

    fn walk(&mut self, tree: &Tree) {
        let mut cursor = tree.walk();
        let base = self.open.len();
        let mut depth = 0;
        loop {
            let descend = self.enter(&cursor, depth);
            let is_deep = depth >= MAX_DEPTH;
            self.cut |= descend && is_deep;
            if descend && !is_deep && cursor.goto_first_child() {
                depth += 1;
                continue;
            }
            self.leave(depth, base);
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return;
                }
                depth -= 1;
                self.leave(depth, base);
            }
        }
    }

    /// Closes what was opened at `depth`.
    fn leave(&mut self, depth: usize, base: usize) {
        while self.open.len() > base && self.open.last().is_some_and(|(at, _)| *at >= depth) {
            let (_, open) = self.open.pop().expect("just looked at");
            if matches!(open, Open::Scope | Open::Both) {
                self.scopes.pop();
            }
            if matches!(open, Open::Symbol | Open::Both) {
                self.parents.pop();
            }
        }
    }

    /// Looks at one node; true to look at its children.
    fn enter(&mut self, cursor: &TreeCursor<'_>, depth: usize) -> bool {
        let node = cursor.node();
        if !node.is_named() {
            return false;
        }
        match node.kind() {
            "line_comment" | "block_comment" => {
                self.comment(node);
                return false;
            }
            "attribute_item" => {
                self.attribute(node);
                return false;
            }
            "inner_attribute_item" | "visibility_modifier" | "lifetime" | "label" => return false,
            _ => {}
        }
        let prefix = std::mem::take(&mut self.prefix);
        self.node(node, depth, prefix)
    }

    fn node(&mut self, node: Node<'_>, depth: usize, prefix: Prefix) -> bool {
        match node.kind() {
            "mod_item" => self.module(node, depth, prefix),
            "function_item" | "function_signature_item" => self.function(node, depth, prefix),
            "struct_item" => self.container(node, SymbolKind::Struct, depth, prefix),
            "union_item" => self.container(node, SymbolKind::Union, depth, prefix),
            "enum_item" => self.container(node, SymbolKind::Enum, depth, prefix),
            "enum_variant" => self.container(node, SymbolKind::Variant, depth, prefix),
            "trait_item" => self.container(node, SymbolKind::Trait, depth, prefix),
            "impl_item" => self.implementation(node, depth, prefix),
            "field_declaration" => self.value_item(node, SymbolKind::Field, prefix),
            "ordered_field_declaration_list" => self.positional_fields(node),
            "const_item" => self.value_item(node, SymbolKind::Constant, prefix),
            "static_item" => self.value_item(node, SymbolKind::Static, prefix),
            "type_item" | "associated_type" => {
                self.container(node, SymbolKind::TypeAlias, depth, prefix)
            }
            "type_parameter" | "const_parameter" => self.type_parameter(node),
            "where_predicate" => self.where_predicate(node),
            "macro_definition" => return self.macro_definition(node, prefix),
            "macro_invocation" => {
                self.macro_invocation(node);
                return false;
            }
            "use_declaration" => {
                self.use_declaration(node, &prefix);
                return false;
            }
            "extern_crate_declaration" => {
                self.extern_crate(node, &prefix);
                return false;
            }
            "match_arm" => self.match_arm(node, depth),
            "block" | "if_expression" | "while_expression" => {
                self.open_scope(node, ScopeKind::Block, depth);
            }
            "for_expression" => self.for_loop(node, depth),
            "closure_expression" => self.closure(node, depth),
            "let_declaration" => self.let_declaration(node),
            "let_condition" => self.let_condition(node),
            "match_expression" => self.match_expression(node),
            "parameter" => self.parameter(node),
            "self_parameter" => {
                self.self_parameter(node);
                return false;
            }
            "call_expression" => self.call(node),
            "field_expression" => self.field(node),
            "field_initializer" => {}
            "struct_expression" => self.struct_fields(node, "name"),
            "struct_pattern" => self.struct_fields(node, "type"),
            "tuple_struct_pattern" => {
                if let Some(path) = node.child_by_field_name("type") {
                    self.path_occurrences(path, Space::Value, Role::Reference);
                }
            }
            "scoped_identifier" => {
                let role = self.role_of(node);
                self.path_occurrences(node, Space::Value, role);
            }
            "scoped_type_identifier" => self.path_occurrences(node, Space::Type, Role::Type),
            "identifier" | "self" | "super" | "crate" => {
                let role = self.role_of(node);
                self.path_occurrences(node, Space::Value, role);
            }
            "type_identifier" => self.path_occurrences(node, Space::Type, Role::Type),
            "generic_type" => self.assoc_bindings(node),
            "assignment_expression" | "compound_assignment_expr" => self.assignment(node),
            "generic_function" if self.called == node.id() => {
                if let Some(function) = node.child_by_field_name("function") {
                    self.called = function.id();
                }
            }
            "token_tree" => {
                self.tokens(node);
                return false;
            }
            _ => {}
        }
        true
    }

    fn role_of(&mut self, node: Node<'_>) -> Role {
        if self.called == node.id() { Role::Call } else { Role::Reference }
    }

    fn call(&mut self, node: Node<'_>) {
        let Some(function) = node.child_by_field_name("function") else { return };
        self.called = function.id();
        let field = match function.kind() {
            "field_expression" => Some(function),
            "generic_function" => {
                function.child_by_field_name("function").filter(|f| f.kind() == "field_expression")
            }
            _ => None,
        };
        let (Some(field), Some(arguments)) = (field, node.child_by_field_name("arguments")) else {
            return;
        };
        let mut cursor = arguments.walk();
        if !cursor.goto_first_child() {
            return;
        }
        let mut position = 0;
        loop {
            let argument = cursor.node();
            if argument.kind() == "closure_expression"
                && let (Some(value), Some(name)) =
                    (field.child_by_field_name("value"), field.child_by_field_name("field"))
            {
                let receiver = self.expr(value);
                let name = self.name(name);
                self.closures.insert(argument.id(), (receiver, name, position));
            }
            position += u32::from(argument.is_named());
            if !cursor.goto_next_sibling() {
                return;
            }
        }
    }

    fn field(&mut self, node: Node<'_>) {
        let (Some(value), Some(field)) =
            (node.child_by_field_name("value"), node.child_by_field_name("field"))
        else {
            return;
        };
        let receiver = self.expr(value);
        let is_call = self.called == node.id();
        if self.done.insert(field.id()) {
            let reference = if is_call { Ref::Method(receiver) } else { Ref::Field(receiver) };
            let role = if is_call { Role::Call } else { Role::Reference };
            self.occurrence(tags::range(field), role, Some(reference));
        }
    }

    fn assignment(&mut self, node: Node<'_>) {
        let Some(left) = node.child_by_field_name("left") else { return };
        match left.kind() {
            "field_expression" => {
                self.field(left);
                if let Some(field) = left.child_by_field_name("field") {
                    self.set_write(tags::range(field));
                }
            }
            "identifier" => {
                self.path_occurrences(left, Space::Value, Role::Write);
            }
            _ => {}
        }
    }

    fn set_write(&mut self, range: ByteRange) {
        if let Some(last) = self.occurrences.last_mut().filter(|o| o.range == range) {
            last.role = Role::Write;
        }
    }

    /// Fields named in `Type { field: .. }`, as a literal or a pattern.
    fn struct_fields(&mut self, node: Node<'_>, type_field: &str) {
        let Some(path_node) = node.child_by_field_name(type_field) else { return };
        let path = self.path(path_node);
        let role = if type_field == "name" { Role::Call } else { Role::Reference };
        self.path_occurrences(path_node, Space::Type, role);
        let list = node.child_by_field_name("body").unwrap_or(node);
        let mut cursor = list.walk();
        if !cursor.goto_first_child() {
            return;
        }
        loop {
            let child = cursor.node();
            let (name, reference) = match child.kind() {
                "field_initializer" => (child.child_by_field_name("field"), Ref::FieldOf(path)),
                "field_pattern" => (child.child_by_field_name("name"), Ref::FieldOf(path)),
                "shorthand_field_initializer" => {
                    let mut inner = child.walk();
                    let name = child.named_children(&mut inner).find(|n| n.kind() == "identifier");
                    (name, Ref::Shorthand(path))
                }
                _ => (None, Ref::Name),
            };
            // A shorthand pattern defines a local; the pattern reader has it.
            if let Some(name) = name.filter(|n| n.kind() != "shorthand_field_identifier")
                && self.done.insert(name.id())
            {
                self.occurrence(tags::range(name), Role::Reference, Some(reference));
            }
            if !cursor.goto_next_sibling() {
                return;
            }
        }
    }

    /// `Iterator<Item = T>`: the left sides name associated types.
    fn assoc_bindings(&mut self, node: Node<'_>) {
        let (Some(path), Some(arguments)) =
            (node.child_by_field_name("type"), node.child_by_field_name("type_arguments"))
        else {
            return;
        };
        let mut cursor = arguments.walk();
        let bindings: Vec<_> = arguments
            .named_children(&mut cursor)
            .filter(|child| child.kind() == "type_binding")
            .filter_map(|child| child.child_by_field_name("name"))
            .collect();
        for name in bindings {
            let path = self.path(path);
            if self.done.insert(name.id()) {
                self.occurrence(tags::range(name), Role::Type, Some(Ref::AssocOf(path)));
            }
        }
    }

    /// The occurrences of a path's segments, unless they were given before.
    fn path_occurrences(&mut self, node: Node<'_>, space: Space, role: Role) {
        if self.done.contains(&node.id()) {
            return;
        }
        let path = self.path(node);
        let segments = lower::segments(node);
        let last = segments.len().saturating_sub(1);
        // `crate::a`, `<T>::a` and `::a` have segments that are no names.
        for (index, (segment, number)) in segments.into_iter().enumerate() {
            self.done.insert(segment.outer.id());
            if !self.done.insert(segment.name.id()) && segment.outer.id() != segment.name.id() {
                continue;
            }
            let (space, role) =
                if index == last { (space, role) } else { (Space::Type, Role::Reference) };
            self.occurrence(
                tags::range(segment.name),
                role,
                Some(Ref::Segment(path, number, space)),
            );
        }
        self.done.insert(node.id());
    }

    fn occurrence(&mut self, range: ByteRange, role: Role, reference: Option<Ref>) {
        if range.is_empty() {
            return;
        }
        self.occurrences.push(OccurrenceFacts {
            range,
            role,
            enclosing: self.parents.last().copied(),
            name: 0,
        });
        if let Some(reference) = reference {
            self.facts.refs.push((range.start, reference));
        }
    }

    /// Adds a definition and its occurrence; returns its index.
    #[expect(clippy::too_many_arguments, reason = "one place builds every symbol")]
    fn define(
        &mut self,
        name: Node<'_>,
        kind: SymbolKind,
        item: ByteRange,
        signature_end: u32,
        prefix: &Prefix,
        is_public: bool,
        facts: Item,
    ) -> u32 {
        self.define_at(tags::range(name), kind, item, signature_end, prefix, is_public, facts)
    }

    #[expect(clippy::too_many_arguments, reason = "one place builds every symbol")]
    fn define_at(
        &mut self,
        name: ByteRange,
        kind: SymbolKind,
        item: ByteRange,
        signature_end: u32,
        prefix: &Prefix,
        is_public: bool,
        facts: Item,
    ) -> u32 {
        let index = self.symbols.len() as u32;
        let parent = self.parents.last().copied();
        let is_test = prefix.is_test
            || prefix.is_cfg_test
            || parent.is_some_and(|parent| self.symbols[parent as usize].is_test);
        if kind != SymbolKind::Impl {
            self.occurrence(name, Role::Definition, None);
        }
        self.symbols.push(SymbolFacts {
            name: identifier(name.slice(self.text)).to_owned(),
            kind,
            name_range: name,
            enclosing_range: ByteRange::new(prefix.start.unwrap_or(item.start), item.end),
            signature_range: ByteRange::new(item.start, signature_end.max(item.start)),
            parent,
            doc: first_sentence(&prefix.doc),
            is_public,
            is_test,
        });
        let cfg = prefix.cfg.map(|range| self.intern(range.slice(self.text)));
        self.facts.items.push(Item { scope: self.scope(), cfg, ..facts });
        index
    }

    fn scope(&self) -> ScopeId {
        self.scopes.last().copied().unwrap_or(0)
    }

    fn open_scope(&mut self, node: Node<'_>, kind: ScopeKind, depth: usize) -> ScopeId {
        let scope = self.push_scope(tags::range(node), kind);
        self.open.push((depth, Open::Scope));
        scope
    }

    fn push_scope(&mut self, range: ByteRange, kind: ScopeKind) -> ScopeId {
        let scope = self.facts.scopes.len() as ScopeId;
        self.facts.scopes.push(Scope { parent: Some(self.scope()), kind, range });
        self.scopes.push(scope);
        scope
    }

    fn name(&mut self, node: Node<'_>) -> Name {
        self.intern(tags::range(node).slice(self.text))
    }

    fn intern(&mut self, name: &'a str) -> Name {
        let name = identifier(name);
        *self.name_ids.entry(name).or_insert_with(|| {
            self.facts.names.push(name.into());
            self.facts.names.len() as Name - 1
        })
    }

    fn comment(&mut self, node: Node<'_>) {
        let range = tags::range(node);
        let text: &str = range.slice(self.text);
        if let Some(line) = text.strip_prefix("///") {
            self.prefix.start.get_or_insert(range.start);
            self.prefix.doc.push_str(line);
        } else if let Some(line) = text.strip_prefix("//!") {
            if self.doc.is_none() && self.parents.is_empty() {
                let mut doc = line.to_owned();
                let mut next = node;
                while let Some(sibling) = next.next_sibling()
                    && let Some(line) = tags::range(sibling).slice(self.text).strip_prefix("//!")
                    && doc.len() < 400
                {
                    doc.push_str(line);
                    next = sibling;
                }
                self.doc = first_sentence(&doc);
            }
        } else if text.starts_with("/**") && !text.starts_with("/***") {
            self.prefix.start.get_or_insert(range.start);
            let inner = text.trim_start_matches("/**").trim_end_matches("*/");
            for line in inner.lines() {
                self.prefix.doc.push_str(line.trim().trim_start_matches('*'));
                self.prefix.doc.push('\n');
            }
        }
    }

    fn attribute(&mut self, node: Node<'_>) {
        let range = tags::range(node);
        self.prefix.start.get_or_insert(range.start);
        let text = range.slice(self.text);
        let inner = text.trim_start_matches("#[").trim_end_matches(']').trim();
        let path = inner.split(['(', '=', ' ']).next().unwrap_or("");
        self.prefix.is_test |= path == "test" || path.ends_with("::test");
        if path == "cfg"
            && let Some(open) = text.find('(')
            && let Some(close) = text.rfind(')')
        {
            let start = range.start + open as u32 + 1;
            self.prefix.cfg = Some(ByteRange::new(start, (range.start + close as u32).max(start)));
        }
        if path == "cfg" && inner.contains("test") && !inner.contains("not(test") {
            self.prefix.is_cfg_test |= inner == "cfg(test)" || inner.starts_with("cfg(all(test");
        }
        self.prefix.exported_macro |= path == "macro_export";
        if path == "path"
            && let Some(value) = inner.split('"').nth(1)
        {
            self.prefix.path = Some(value.into());
        }
    }

    /// The type at `node`, if any.
    fn type_field(&mut self, node: Node<'_>, field: &str) -> Option<TypeId> {
        node.child_by_field_name(field).map(|node| self.ty(node))
    }
}
