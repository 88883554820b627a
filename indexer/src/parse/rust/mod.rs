//! Rust extraction: one walk with a cursor gives symbols, occurrences and the resolver's
//! intermediate form.
//!
//! [`lower`] turns types, paths and expressions into that form on demand. The grammar leaves macro
//! arguments as tokens: [`arguments`] parses those that are expressions, [`tokens`] reads the rest.

mod arguments;
mod items;
mod kinds;
mod lower;
mod patterns;
mod tokens;

use rustc_hash::{FxHashMap, FxHashSet};
use tree_sitter::{Node, Parser, Tree, TreeCursor};

use self::kinds::{F, K, Kinds};
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
        match node.k() {
            K::LineComment | K::BlockComment => {
                self.comment(node);
                return false;
            }
            K::AttributeItem => {
                self.attribute(node);
                return false;
            }
            K::InnerAttributeItem | K::VisibilityModifier | K::Lifetime | K::Label => return false,
            _ => {}
        }
        let prefix = std::mem::take(&mut self.prefix);
        self.node(node, depth, prefix)
    }

    fn node(&mut self, node: Node<'_>, depth: usize, prefix: Prefix) -> bool {
        match node.k() {
            K::ModItem => self.module(node, depth, prefix),
            K::FunctionItem | K::FunctionSignatureItem => self.function(node, depth, prefix),
            K::StructItem => self.container(node, SymbolKind::Struct, depth, prefix),
            K::UnionItem => self.container(node, SymbolKind::Union, depth, prefix),
            K::EnumItem => self.container(node, SymbolKind::Enum, depth, prefix),
            K::EnumVariant => self.container(node, SymbolKind::Variant, depth, prefix),
            K::TraitItem => self.container(node, SymbolKind::Trait, depth, prefix),
            K::ImplItem => self.implementation(node, depth, prefix),
            K::FieldDeclaration => self.value_item(node, SymbolKind::Field, prefix),
            K::OrderedFieldDeclarationList => self.positional_fields(node),
            K::ConstItem => self.value_item(node, SymbolKind::Constant, prefix),
            K::StaticItem => self.value_item(node, SymbolKind::Static, prefix),
            K::TypeItem | K::AssociatedType => {
                self.container(node, SymbolKind::TypeAlias, depth, prefix)
            }
            K::TypeParameter | K::ConstParameter => self.type_parameter(node),
            K::WherePredicate => self.where_predicate(node),
            K::MacroDefinition => return self.macro_definition(node, prefix),
            K::MacroInvocation => {
                self.macro_invocation(node);
                return false;
            }
            K::UseDeclaration => {
                self.use_declaration(node, &prefix);
                return false;
            }
            K::ExternCrateDeclaration => {
                self.extern_crate(node, &prefix);
                return false;
            }
            K::MatchArm => self.match_arm(node, depth),
            K::Block | K::IfExpression | K::WhileExpression => {
                self.open_scope(node, ScopeKind::Block, depth);
            }
            K::ForExpression => self.for_loop(node, depth),
            K::ClosureExpression => self.closure(node, depth),
            K::LetDeclaration => self.let_declaration(node),
            K::LetCondition => self.let_condition(node),
            K::MatchExpression => self.match_expression(node),
            K::Parameter => self.parameter(node),
            K::SelfParameter => {
                self.self_parameter(node);
                return false;
            }
            K::CallExpression => self.call(node),
            K::FieldExpression => self.field(node),
            K::FieldInitializer => {}
            K::StructExpression => self.struct_fields(node, F::Name),
            K::StructPattern => self.struct_fields(node, F::Type),
            K::TupleStructPattern => {
                if let Some(path) = node.field(F::Type) {
                    self.path_occurrences(path, Space::Value, Role::Reference);
                }
            }
            K::ScopedIdentifier => {
                let role = self.role_of(node);
                self.path_occurrences(node, Space::Value, role);
            }
            K::ScopedTypeIdentifier => self.path_occurrences(node, Space::Type, Role::Type),
            K::Identifier | K::SelfName | K::Super | K::Crate => {
                let role = self.role_of(node);
                self.path_occurrences(node, Space::Value, role);
            }
            K::TypeIdentifier => self.path_occurrences(node, Space::Type, Role::Type),
            K::GenericType => self.assoc_bindings(node),
            K::AssignmentExpression | K::CompoundAssignmentExpr => self.assignment(node),
            K::GenericFunction if self.called == node.id() => {
                if let Some(function) = node.field(F::Function) {
                    self.called = function.id();
                }
            }
            K::TokenTree => {
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
        let Some(function) = node.field(F::Function) else { return };
        self.called = function.id();
        let field = match function.k() {
            K::FieldExpression => Some(function),
            K::GenericFunction => {
                function.field(F::Function).filter(|f| f.k() == K::FieldExpression)
            }
            _ => None,
        };
        let (Some(field), Some(arguments)) = (field, node.field(F::Arguments)) else {
            return;
        };
        let mut cursor = arguments.walk();
        if !cursor.goto_first_child() {
            return;
        }
        let mut position = 0;
        loop {
            let argument = cursor.node();
            if argument.k() == K::ClosureExpression
                && let (Some(value), Some(name)) = (field.field(F::Value), field.field(F::Field))
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
        let (Some(value), Some(field)) = (node.field(F::Value), node.field(F::Field)) else {
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
        let Some(left) = node.field(F::Left) else { return };
        match left.k() {
            K::FieldExpression => {
                self.field(left);
                if let Some(field) = left.field(F::Field) {
                    self.set_write(tags::range(field));
                }
            }
            K::Identifier => {
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
    fn struct_fields(&mut self, node: Node<'_>, type_field: F) {
        let Some(path_node) = node.field(type_field) else { return };
        let path = self.path(path_node);
        let role = if type_field == F::Name { Role::Call } else { Role::Reference };
        self.path_occurrences(path_node, Space::Type, role);
        let list = node.field(F::Body).unwrap_or(node);
        let mut cursor = list.walk();
        if !cursor.goto_first_child() {
            return;
        }
        loop {
            let child = cursor.node();
            let (name, reference) = match child.k() {
                K::FieldInitializer => (child.field(F::Field), Ref::FieldOf(path)),
                K::FieldPattern => (child.field(F::Name), Ref::FieldOf(path)),
                K::ShorthandFieldInitializer => {
                    let mut inner = child.walk();
                    let name = child.named_children(&mut inner).find(|n| n.k() == K::Identifier);
                    (name, Ref::Shorthand(path))
                }
                _ => (None, Ref::Name),
            };
            // A shorthand pattern defines a local; the pattern reader has it.
            if let Some(name) = name.filter(|n| n.k() != K::ShorthandFieldIdentifier)
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
        let (Some(path), Some(arguments)) = (node.field(F::Type), node.field(F::TypeArguments))
        else {
            return;
        };
        let mut cursor = arguments.walk();
        let bindings: Vec<_> = arguments
            .named_children(&mut cursor)
            .filter(|child| child.k() == K::TypeBinding)
            .filter_map(|child| child.field(F::Name))
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
            self.facts.names.push(name);
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
    fn type_field(&mut self, node: Node<'_>, field: F) -> Option<TypeId> {
        node.field(field).map(|node| self.ty(node))
    }
}
