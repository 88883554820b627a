//! Items: what they declare, which scopes they open.

use tree_sitter::{Node, Tree};

use super::{Extractor, F, K, Kinds, Open, Prefix, lower};
use crate::{
    facts::{Role, SymbolKind},
    graph::rust::facts::{Impl, Item, Origin, Path, Ref, ScopeKind, Space, Use},
    parse::tags,
    text::ByteRange,
};

impl<'a> Extractor<'a> {
    fn is_public(&self, node: Node<'_>) -> bool {
        let mut cursor = node.walk();
        node.children(&mut cursor).take(3).any(|child| child.k() == K::VisibilityModifier)
    }

    pub(super) fn module(&mut self, node: Node<'_>, depth: usize, prefix: Prefix) {
        let Some(name) = node.field(F::Name) else { return };
        let body = node.field(F::Body);
        let signature_end = body.map_or(node.end_byte(), |body| body.start_byte()) as u32;
        let file_module = body.is_none().then(|| prefix.path.clone());
        let facts = Item { file_module, ..Item::default() };
        let is_public = self.is_public(node);
        self.done.insert(name.id());
        let item = tags::range(node);
        let kind = SymbolKind::Module;
        let symbol = self.define(name, kind, item, signature_end, &prefix, is_public, facts);
        self.parents.push(symbol);
        if let Some(body) = body {
            let scope = self.push_scope(tags::range(body), ScopeKind::Module);
            self.facts.items[symbol as usize].inner = Some(scope);
            self.open.push((depth, Open::Both));
        } else {
            self.open.push((depth, Open::Symbol));
        }
    }

    /// An item with generics or members inside: opens a symbol and a scope.
    pub(super) fn container(
        &mut self,
        node: Node<'_>,
        kind: SymbolKind,
        depth: usize,
        prefix: Prefix,
    ) {
        let Some(name) = node.field(F::Name) else { return };
        let body = node.field(F::Body).filter(|_| kind != SymbolKind::Variant);
        let signature_end = body.map_or(node.end_byte(), |body| body.start_byte()) as u32;
        let is_public = self.is_public(node)
            || matches!(kind, SymbolKind::Variant) && self.parent_is_public()
            || kind == SymbolKind::TypeAlias && self.parent_is_public();
        self.done.insert(name.id());
        let item = tags::range(node);
        let symbol =
            self.define(name, kind, item, signature_end, &prefix, is_public, Item::default());
        self.parents.push(symbol);
        let scope = self.push_scope(item, ScopeKind::Item(symbol));
        self.open.push((depth, Open::Both));
        let ty = self.type_field(node, F::Type);
        let bounds = self.bounds(node.field(F::Bounds));
        let facts = &mut self.facts.items[symbol as usize];
        facts.inner = Some(scope);
        facts.ty = ty;
        facts.bounds = bounds;
    }

    fn parent_is_public(&self) -> bool {
        self.parents.last().is_some_and(|&parent| self.symbols[parent as usize].is_public)
    }

    pub(super) fn implementation(&mut self, node: Node<'_>, depth: usize, prefix: Prefix) {
        let Some(self_node) = node.field(F::Type) else { return };
        let name = type_name(self_node);
        let body = node.field(F::Body);
        let signature_end = body.map_or(node.end_byte(), |body| body.start_byte()) as u32;
        let item = tags::range(node);
        let kind = SymbolKind::Impl;
        let symbol = self.define(name, kind, item, signature_end, &prefix, true, Item::default());
        let number = self.facts.impls.len() as u32;
        self.parents.push(symbol);
        let scope = self.push_scope(item, ScopeKind::Impl(number));
        self.open.push((depth, Open::Both));
        let self_type = self.ty(self_node);
        let of_trait = self.type_field(node, F::Trait);
        self.facts.impls.push(Impl { symbol, self_type, of_trait });
        let facts = &mut self.facts.items[symbol as usize];
        facts.inner = Some(scope);
        facts.implementation = Some(number);
    }

    pub(super) fn function(&mut self, node: Node<'_>, depth: usize, prefix: Prefix) {
        let Some(name) = node.field(F::Name) else { return };
        let body = node.field(F::Body);
        let signature_end = body.map_or(node.end_byte(), |body| body.start_byte()) as u32;
        let in_type = self.parents.last().is_some_and(|&parent| {
            matches!(self.symbols[parent as usize].kind, SymbolKind::Impl | SymbolKind::Trait)
        });
        let kind = if in_type { SymbolKind::Method } else { SymbolKind::Function };
        let is_public = self.is_public(node) || in_type && self.in_public_contract();
        self.done.insert(name.id());
        let item = tags::range(node);
        let symbol =
            self.define(name, kind, item, signature_end, &prefix, is_public, Item::default());
        self.parents.push(symbol);
        let scope = self.push_scope(item, ScopeKind::Item(symbol));
        self.open.push((depth, Open::Both));
        let ty = self.type_field(node, F::ReturnType);
        let mut cursor = node.walk();
        let is_async = node.children(&mut cursor).take(3).any(|c| {
            c.k() == K::FunctionModifiers && tags::range(c).slice(self.text).contains("async")
        });
        let facts = &mut self.facts.items[symbol as usize];
        facts.inner = Some(scope);
        facts.ty = ty;
        facts.is_async = is_async;
    }

    /// Inside a public trait, or an `impl` of a trait.
    fn in_public_contract(&self) -> bool {
        self.parents.last().is_some_and(|&parent| match self.symbols[parent as usize].kind {
            SymbolKind::Trait => self.symbols[parent as usize].is_public,
            SymbolKind::Impl => self.facts.items[parent as usize]
                .implementation
                .is_some_and(|i| self.facts.impls[i as usize].of_trait.is_some()),
            _ => false,
        })
    }

    pub(super) fn value_item(&mut self, node: Node<'_>, kind: SymbolKind, prefix: Prefix) {
        let Some(name) = node.field(F::Name) else { return };
        let value = node.field(F::Value);
        let signature_end = value.map_or(node.end_byte(), |value| value.start_byte()) as u32;
        let is_public =
            self.is_public(node)
                || self.parents.last().is_some_and(|&parent| {
                    self.symbols[parent as usize].kind == SymbolKind::Variant
                }) && self.parent_is_public();
        let ty = self.type_field(node, F::Type);
        self.done.insert(name.id());
        let facts = Item { ty, ..Item::default() };
        self.define(name, kind, tags::range(node), signature_end, &prefix, is_public, facts);
    }

    /// `struct A(pub B, C)`: fields `0` and `1`. They stand at their types.
    pub(super) fn positional_fields(&mut self, node: Node<'_>) {
        let mut cursor = node.walk();
        let types: Vec<Node<'_>> = node.children_by_field_name("type", &mut cursor).collect();
        let Some(&owner) = self.parents.last() else { return };
        for ty in types {
            let ty = self.ty(ty);
            self.facts.items[owner as usize].bounds.push(ty);
        }
    }

    pub(super) fn type_parameter(&mut self, node: Node<'_>) {
        let Some(name) = node.field(F::Name) else { return };
        let bounds = self.bounds(node.field(F::Bounds));
        let ty = self.type_field(node, F::Type).or_else(|| self.type_field(node, F::DefaultType));
        self.done.insert(name.id());
        let range = tags::range(node);
        let facts = Item { bounds, ty, ..Item::default() };
        let kind = SymbolKind::TypeParameter;
        self.define(name, kind, range, range.end, &Prefix::default(), false, facts);
    }

    pub(super) fn where_predicate(&mut self, node: Node<'_>) {
        let Some(left) = node.field(F::Left) else { return };
        let bounds = self.bounds(node.field(F::Bounds));
        let name = tags::range(left).slice(self.text);
        let owner = self.parents.last().copied();
        // Type parameters follow their owner directly.
        let Some(owner) = owner else { return };
        for index in owner as usize + 1..self.symbols.len() {
            let symbol = &self.symbols[index];
            if symbol.parent == Some(owner)
                && symbol.kind == SymbolKind::TypeParameter
                && symbol.name == name
            {
                self.facts.items[index].bounds.extend(bounds.iter().copied());
                return;
            }
        }
    }

    pub(super) fn macro_definition(&mut self, node: Node<'_>, prefix: Prefix) -> bool {
        let Some(name) = node.field(F::Name) else { return false };
        self.done.insert(name.id());
        let item = tags::range(node);
        let is_public = prefix.exported_macro;
        let kind = SymbolKind::Macro;
        let end = tags::range(name).end;
        let symbol = self.define(name, kind, item, end, &prefix, is_public, Item::default());
        // Inside, only names are known.
        self.parents.push(symbol);
        let mut cursor = node.walk();
        let rules: Vec<(Option<Node<'_>>, Node<'_>)> = node
            .named_children(&mut cursor)
            .filter(|child| child.k() == K::MacroRule)
            .filter_map(|rule| Some((rule.field(F::Left), rule.field(F::Right)?)))
            .collect();
        for (pattern, body) in rules {
            let is_constant = pattern.is_some_and(|node| {
                let text = tags::range(node).slice(self.text);
                text.get(1..text.len().saturating_sub(1)).is_some_and(|t| t.trim().is_empty())
            });
            if is_constant
                && self.is_item_position()
                && self.is_invoked_here(tags::range(name).slice(self.text))
                && let Some(tree) = self.item_tree(body)
            {
                // Nothing is put in: the items stand where the macro does.
                let macro_symbol = self.parents.pop();
                self.walk_argument(&tree);
                self.parents.extend(macro_symbol);
                self.argument_trees.insert(body.id(), Some(tree));
            } else {
                self.macro_body(body);
            }
        }
        self.parents.pop();
        false
    }

    /// True if the file writes `name!(..)` somewhere.
    fn is_invoked_here(&self, name: &str) -> bool {
        memchr::memmem::find(self.text.as_bytes(), format!("{name}!(").as_bytes()).is_some()
            || memchr::memmem::find(self.text.as_bytes(), format!("{name}! {{").as_bytes())
                .is_some()
    }

    pub(super) fn use_declaration(&mut self, node: Node<'_>, prefix: &Prefix) {
        let Some(argument) = node.field(F::Argument) else { return };
        let is_public = self.is_public(node);
        let first = self.facts.uses.len();
        // (tree, path in front of it), outermost first.
        let mut waiting = vec![(argument, Vec::new(), false)];
        let mut n_done = 0;
        while let Some((tree, front, is_global)) = waiting.pop() {
            n_done += 1;
            if n_done > 4_096 {
                self.cut = true;
                return;
            }
            match tree.k() {
                K::UseList => {
                    let mut cursor = tree.walk();
                    let children: Vec<_> = tree.named_children(&mut cursor).collect();
                    waiting
                        .extend(children.into_iter().rev().map(|c| (c, front.clone(), is_global)));
                }
                K::ScopedUseList => {
                    let mut front = front;
                    let mut is_global = is_global;
                    match tree.field(F::Path) {
                        Some(path) => {
                            is_global |= self.starts_global(path);
                            self.use_segments(path, &mut front);
                        }
                        None => is_global = true,
                    }
                    if let Some(list) = tree.field(F::List) {
                        waiting.push((list, front, is_global));
                    }
                }
                K::UseAsClause => {
                    let (Some(path), alias) = (tree.field(F::Path), tree.field(F::Alias)) else {
                        continue;
                    };
                    let is_global = is_global || self.starts_global(path);
                    let mut front = front;
                    self.use_segments(path, &mut front);
                    self.use_leaf(front, is_global, alias, is_public, false);
                }
                K::UseWildcard => {
                    let mut front = front;
                    let mut is_global = is_global;
                    let mut cursor = tree.walk();
                    if let Some(path) = tree.named_children(&mut cursor).next() {
                        is_global |= self.starts_global(path);
                        self.use_segments(path, &mut front);
                    }
                    self.use_leaf(front, is_global, None, is_public, true);
                }
                K::LineComment | K::BlockComment => {}
                _ => {
                    let is_global = is_global || self.starts_global(tree);
                    let mut front = front;
                    self.use_segments(tree, &mut front);
                    self.use_leaf(front, is_global, None, is_public, false);
                }
            }
        }
        self.condition_uses(first, prefix);
    }

    /// Gives the uses from `first` on the condition in front of their declaration.
    fn condition_uses(&mut self, first: usize, prefix: &Prefix) {
        let cfg = prefix.cfg.map(|range| self.intern(range.slice(self.text)));
        for import in &mut self.facts.uses[first..] {
            import.cfg = cfg;
        }
    }

    fn starts_global(&self, path: Node<'_>) -> bool {
        tags::range(path).slice(self.text).starts_with("::")
    }

    /// Appends the path's segments as `(name, range)`.
    fn use_segments(&mut self, path: Node<'_>, front: &mut Vec<ByteRange>) {
        for (segment, _) in lower::segments(path) {
            front.push(tags::range(segment.name));
        }
    }

    fn use_leaf(
        &mut self,
        segments: Vec<ByteRange>,
        is_global: bool,
        alias: Option<Node<'_>>,
        is_public: bool,
        is_glob: bool,
    ) {
        let mut names = Vec::with_capacity(segments.len());
        for range in &segments {
            names.push(self.intern(range.slice(self.text)));
        }
        // `use a::{self}` imports `a`.
        let self_range =
            segments.last().copied().filter(|r| segments.len() > 1 && r.slice(self.text) == "self");
        if self_range.is_some() {
            names.pop();
        }
        let Some(&last) = names.last() else { return };
        let path = self.facts.paths.len() as u32;
        self.facts.paths.push(Path {
            at: segments[0].start,
            is_global,
            segments: names.into(),
            ..Path::default()
        });
        for (index, range) in segments.iter().enumerate() {
            // A shared front of a tree is one occurrence: it belongs to the first leaf.
            let is_new = self.facts.refs.iter().rev().take(64).all(|(at, _)| *at != range.start);
            let index = if self_range == Some(*range) { index - 1 } else { index };
            if is_new {
                let space =
                    if index + 1 == self.facts.paths[path as usize].segments.len() && !is_glob {
                        Space::Any
                    } else {
                        Space::Type
                    };
                let reference = Ref::Segment(path, index as u32, space);
                self.occurrence(*range, Role::Import, Some(reference));
            }
        }
        let mut name = Some(last);
        if let Some(alias) = alias {
            let new = tags::range(alias).slice(self.text);
            name = Some(self.intern(new));
            let old = self.facts.name(last).to_owned();
            if new != "_" {
                self.aliases.push((new.to_owned(), old));
                let number = self.facts.paths[path as usize].segments.len() as u32 - 1;
                let reference = Ref::Segment(path, number, Space::Any);
                self.occurrence(tags::range(alias), Role::Import, Some(reference));
            }
        }
        let name = name.filter(|_| !is_glob);
        self.facts.uses.push(Use { scope: self.scope(), path, name, is_public, cfg: None });
    }

    pub(super) fn extern_crate(&mut self, node: Node<'_>, prefix: &Prefix) {
        let first = self.facts.uses.len();
        let Some(name) = node.field(F::Name) else { return };
        let segments = vec![tags::range(name)];
        self.use_leaf(segments, true, node.field(F::Alias), false, false);
        self.condition_uses(first, prefix);
    }

    pub(super) fn self_parameter(&mut self, node: Node<'_>) {
        let Some(&function) = self.parents.last() else { return };
        self.facts.items[function as usize].has_self = true;
        let mut cursor = node.walk();
        let Some(name) = node.named_children(&mut cursor).find(|child| child.k() == K::SelfName)
        else {
            return;
        };
        self.bind(tags::range(name), SymbolKind::Parameter, Origin::SelfValue, &[], 0);
        self.done.insert(name.id());
    }

    pub(super) fn macro_invocation(&mut self, node: Node<'_>) {
        if let Some(path) = node.field(F::Macro) {
            self.path_occurrences(path, Space::Macro, Role::Call);
        }
        let mut cursor = node.walk();
        let Some(arguments) =
            node.named_children(&mut cursor).find(|child| child.k() == K::TokenTree)
        else {
            return;
        };
        if self.is_item_position()
            && let Some(tree) = self.item_tree(arguments)
        {
            self.walk_argument(&tree);
            // Its node ids stay in use.
            self.argument_trees.insert(arguments.id(), Some(tree));
        } else if let Some(tree) = self.argument_tree(arguments) {
            self.walk_argument(&tree);
        } else {
            self.tokens(arguments);
        }
    }

    fn walk_argument(&mut self, tree: &Tree) {
        self.n_macros_around += 1;
        self.walk(tree);
        self.n_macros_around -= 1;
    }

    /// Outside of functions: where a macro stands for items.
    fn is_item_position(&self) -> bool {
        matches!(
            self.facts.scopes[self.scope() as usize].kind,
            ScopeKind::Module | ScopeKind::Impl(_)
        )
    }
}

/// The node that names an implemented type: `Vec` in `&mut a::Vec<T>`.
fn type_name(mut node: Node<'_>) -> Node<'_> {
    for _ in 0..32 {
        let inner = match node.k() {
            K::GenericType | K::ReferenceType | K::PointerType => node.field(F::Type),
            K::ScopedTypeIdentifier => node.field(F::Name),
            K::ArrayType => node.field(F::Element),
            K::DynamicType | K::AbstractType => node.field(F::Trait),
            _ => None,
        };
        match inner {
            Some(inner) => node = inner,
            None => break,
        }
    }
    node
}
