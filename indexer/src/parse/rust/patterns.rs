//! Patterns and parameters: the local names they define, and where their types come from.

use tree_sitter::Node;

use super::{Extractor, F, K, Kinds, Prefix};
use crate::{
    facts::{Role, SymbolKind},
    graph::rust::facts::{Binding, Item, Origin, Ref, ScopeKind, Step, TypeId},
    parse::tags,
    text::ByteRange,
};

/// Patterns nest deeper only in generated code.
const MAX_STEPS: usize = 16;

impl Extractor<'_> {
    pub(super) fn let_declaration(&mut self, node: Node<'_>) {
        let Some(pattern) = node.field(F::Pattern) else { return };
        let origin = match (node.field(F::Type), node.field(F::Value)) {
            (Some(ty), value) => {
                let ty = self.ty(ty);
                match value {
                    Some(value) if self.is_open_type(ty) => Origin::Expr(self.expr(value)),
                    _ => Origin::Type(ty),
                }
            }
            (None, Some(value)) => Origin::Expr(self.expr(value)),
            (None, None) => Origin::Unknown,
        };
        self.bind_pattern(pattern, SymbolKind::Variable, origin, node.end_byte() as u32);
    }

    /// `_`: the annotation leaves the type to the value.
    fn is_open_type(&self, ty: TypeId) -> bool {
        matches!(self.facts.types[ty as usize], crate::graph::rust::facts::Type::Unknown)
    }

    pub(super) fn let_condition(&mut self, node: Node<'_>) {
        let (Some(pattern), Some(value)) = (node.field(F::Pattern), node.field(F::Value)) else {
            return;
        };
        let origin = Origin::Expr(self.expr(value));
        self.bind_pattern(pattern, SymbolKind::Variable, origin, node.end_byte() as u32);
    }

    /// Arms get the type of what is matched. Their bindings live in the arm, whose scope the walk
    /// opens later, so only the origin is kept here.
    pub(super) fn match_expression(&mut self, node: Node<'_>) {
        let Some(value) = node.field(F::Value) else { return };
        let Some(body) = node.field(F::Body) else { return };
        let origin = self.expr(value);
        let mut cursor = body.walk();
        let arms: Vec<Node<'_>> =
            body.named_children(&mut cursor).filter(|arm| arm.k() == K::MatchArm).collect();
        for arm in arms {
            self.arms.insert(arm.id(), origin);
        }
    }

    pub(super) fn match_arm(&mut self, node: Node<'_>, depth: usize) {
        self.open_scope(node, ScopeKind::Block, depth);
        let origin = self.arms.remove(&node.id()).map_or(Origin::Unknown, Origin::Expr);
        if let Some(pattern) = node.field(F::Pattern) {
            self.bind_pattern(pattern, SymbolKind::Variable, origin, 0);
        }
    }

    pub(super) fn for_loop(&mut self, node: Node<'_>, depth: usize) {
        let value = node.field(F::Value);
        let origin = value.map_or(Origin::Unknown, |value| Origin::Element(self.expr(value)));
        self.open_scope(node, ScopeKind::Block, depth);
        if let Some(pattern) = node.field(F::Pattern) {
            // The iterated expression does not see the pattern.
            let visible_from = value.map_or(0, |value| value.end_byte() as u32);
            self.bind_pattern(pattern, SymbolKind::Variable, origin, visible_from);
        }
    }

    pub(super) fn closure(&mut self, node: Node<'_>, depth: usize) {
        self.open_scope(node, ScopeKind::Block, depth);
        let context = self.closures.remove(&node.id());
        let Some(parameters) = node.field(F::Parameters) else { return };
        let mut cursor = parameters.walk();
        let children: Vec<Node<'_>> = parameters.named_children(&mut cursor).collect();
        for (position, child) in children.into_iter().enumerate() {
            if child.k() == K::Parameter {
                continue;
            }
            let origin = context.map_or(Origin::Unknown, |(receiver, method, _)| {
                Origin::ClosureParameter(receiver, method, position as u32)
            });
            self.bind_pattern(child, SymbolKind::Parameter, origin, 0);
        }
    }

    pub(super) fn parameter(&mut self, node: Node<'_>) {
        let Some(pattern) = node.field(F::Pattern) else { return };
        let origin = match node.field(F::Type) {
            Some(ty) => Origin::Type(self.ty(ty)),
            None => Origin::Unknown,
        };
        if pattern.k() == K::SelfName {
            if let Some(&function) = self.parents.last() {
                self.facts.items[function as usize].has_self = true;
            }
            // `self: Arc<Self>` behaves like `self`.
            self.bind(tags::range(pattern), SymbolKind::Parameter, Origin::SelfValue, &[], 0);
            self.done.insert(pattern.id());
            return;
        }
        self.bind_pattern(pattern, SymbolKind::Parameter, origin, 0);
    }

    /// Defines the names in `pattern`.
    fn bind_pattern(
        &mut self,
        pattern: Node<'_>,
        kind: SymbolKind,
        origin: Origin,
        visible_from: u32,
    ) {
        let mut waiting: Vec<(Node<'_>, Vec<Step>)> = vec![(pattern, Vec::new())];
        let mut first_alternative: Option<u32> = None;
        while let Some((node, steps)) = waiting.pop() {
            if steps.len() > MAX_STEPS {
                self.cut = true;
                continue;
            }
            let mut cursor = node.walk();
            match node.k() {
                K::Identifier => {
                    let range = tags::range(node);
                    let name = range.slice(self.text);
                    // A constant or unit variant is mentioned, not defined.
                    if name.starts_with(char::is_uppercase) || self.done.contains(&node.id()) {
                        continue;
                    }
                    self.done.insert(node.id());
                    if let Some(first) = first_alternative
                        && let Some(symbol) = self.same_name(first, name)
                    {
                        // `A(x) | B(x)`: one local.
                        let reference = Ref::Local(symbol);
                        self.occurrence(range, Role::Reference, Some(reference));
                        continue;
                    }
                    self.bind(range, kind, origin, &steps, visible_from);
                }
                K::ShorthandFieldIdentifier => {
                    self.done.insert(node.id());
                    self.bind(tags::range(node), kind, origin, &steps, visible_from);
                    if let Some(&Step::Named(path, _)) = steps.last() {
                        // The name is the field's as well.
                        let range = tags::range(node);
                        self.shorthands.insert(range.start);
                        self.occurrence(range, Role::Reference, Some(Ref::FieldOf(path)));
                    }
                }
                K::MatchPattern
                | K::MutPattern
                | K::RefPattern
                | K::ReferencePattern
                | K::CapturedPattern => {
                    let condition = node.field(F::Condition).map(|n| n.id());
                    let children: Vec<_> = node
                        .named_children(&mut cursor)
                        .filter(|child| Some(child.id()) != condition)
                        .collect();
                    waiting.extend(children.into_iter().rev().map(|child| (child, steps.clone())));
                }
                K::OrPattern => {
                    first_alternative.get_or_insert(self.facts.bindings.len() as u32);
                    let children: Vec<_> = node.named_children(&mut cursor).collect();
                    waiting.extend(children.into_iter().rev().map(|child| (child, steps.clone())));
                }
                K::TuplePattern | K::SlicePattern => {
                    let is_tuple = node.k() == K::TuplePattern;
                    let children: Vec<_> =
                        node.named_children(&mut cursor).filter(|c| !c.is_extra()).collect();
                    let with_steps: Vec<_> = children
                        .into_iter()
                        .enumerate()
                        .map(|(index, child)| {
                            let step =
                                if is_tuple { Step::Tuple(index as u32) } else { Step::Element };
                            (child, [steps.as_slice(), &[step]].concat())
                        })
                        .collect();
                    waiting.extend(with_steps.into_iter().rev());
                }
                K::TupleStructPattern => {
                    let Some(ty) = node.field(F::Type) else { continue };
                    let path = self.path(ty);
                    let children: Vec<_> = node
                        .named_children(&mut cursor)
                        .filter(|child| child.id() != ty.id() && !child.is_extra())
                        .collect();
                    let with_steps: Vec<_> = children
                        .into_iter()
                        .enumerate()
                        .map(|(index, child)| {
                            let step = Step::Positional(path, index as u32);
                            (child, [steps.as_slice(), &[step]].concat())
                        })
                        .collect();
                    waiting.extend(with_steps.into_iter().rev());
                }
                K::StructPattern => {
                    let Some(ty) = node.field(F::Type) else { continue };
                    let path = self.path(ty);
                    let fields: Vec<_> = node
                        .named_children(&mut cursor)
                        .filter(|child| child.k() == K::FieldPattern)
                        .collect();
                    for field in fields.into_iter().rev() {
                        let Some(name) = field.field(F::Name) else { continue };
                        let pattern = field.field(F::Pattern).unwrap_or(name);
                        let step = Step::Named(path, self.name(name));
                        waiting.push((pattern, [steps.as_slice(), &[step]].concat()));
                    }
                }
                _ => {}
            }
        }
    }

    /// The local called `name` among the bindings from `first` on.
    fn same_name(&self, first: u32, name: &str) -> Option<u32> {
        self.facts.bindings[first as usize..]
            .iter()
            .find(|binding| self.facts.name(binding.name) == name)
            .map(|binding| binding.symbol)
    }

    pub(super) fn bind(
        &mut self,
        range: ByteRange,
        kind: SymbolKind,
        origin: Origin,
        steps: &[Step],
        visible_from: u32,
    ) {
        let prefix = Prefix::default();
        let symbol = self.define_at(range, kind, range, range.end, &prefix, false, Item::default());
        let name = self.intern(range.slice(self.text));
        let scope = self.scope();
        self.facts.bindings.push(Binding {
            symbol,
            name,
            scope,
            visible_from,
            origin,
            steps: steps.into(),
        });
    }
}
