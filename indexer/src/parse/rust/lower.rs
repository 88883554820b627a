//! Paths, types and expressions, turned into the resolver's form when something asks for them.

use smallvec::SmallVec;
use tree_sitter::Node;

use super::{Extractor, F, K, Kinds};
use crate::{
    graph::rust::{
        facts::{Expr, ExprId, Name, Path, PathId, Type, TypeId},
        few::Few,
    },
    parse::tags,
};

/// Types nest deeper only in generated code; below this they are unknown.
const MAX_TYPE_DEPTH: usize = 24;

/// One name of a path: the node of the name, and the node of the path up to it.
#[derive(Clone, Copy)]
pub(super) struct Segment<'tree> {
    pub(super) name: Node<'tree>,
    pub(super) outer: Node<'tree>,
}

/// The names of a path in order, each with its number.
pub(super) fn segments(node: Node<'_>) -> SmallVec<[(Segment<'_>, u32); 2]> {
    let mut found = SmallVec::<[Segment<'_>; 2]>::new();
    let mut next = Some(node);
    while let Some(node) = next {
        next = match node.k() {
            K::ScopedIdentifier | K::ScopedTypeIdentifier => {
                if let Some(name) = node.field(F::Name) {
                    found.push(Segment { name, outer: node });
                }
                node.field(F::Path)
            }
            K::GenericType | K::GenericTypeWithTurbofish => node.field(F::Type),
            K::GenericFunction => node.field(F::Function),
            K::Identifier
            | K::TypeIdentifier
            | K::SelfName
            | K::Super
            | K::Crate
            | K::PrimitiveType
            | K::FieldIdentifier => {
                found.push(Segment { name: node, outer: node });
                None
            }
            _ => None,
        };
    }
    found.reverse();
    found.into_iter().zip(0..).collect()
}

/// The generic arguments and the `<T as Trait>` of a path.
fn parts(node: Node<'_>) -> (Option<Node<'_>>, Option<Node<'_>>) {
    let mut arguments = None;
    let mut next = Some(node);
    while let Some(node) = next {
        next = match node.k() {
            K::ScopedIdentifier | K::ScopedTypeIdentifier => node.field(F::Path),
            K::GenericType | K::GenericTypeWithTurbofish | K::GenericFunction => {
                arguments = arguments.or_else(|| node.field(F::TypeArguments));
                node.field(F::Type).or_else(|| node.field(F::Function))
            }
            K::BracketedType => return (arguments, node.named_child(0)),
            _ => None,
        };
    }
    (arguments, None)
}

impl<'a> Extractor<'a> {
    pub(super) fn path(&mut self, node: Node<'_>) -> PathId {
        if let Some(&path) = self.paths.get(&node.id()) {
            return path;
        }
        self.path_at_depth(node, 0)
    }

    fn path_at_depth(&mut self, node: Node<'_>, depth: usize) -> PathId {
        let (arguments, qualified) = parts(node);
        let mut names = Few::default();
        for (segment, _) in segments(node) {
            names.push(self.name(segment.name));
        }
        let args = match arguments {
            Some(arguments) => self.types_in(arguments, depth + 1),
            None => Few::default(),
        };
        let of_trait = qualified
            .filter(|node| node.k() == K::QualifiedType)
            .and_then(|node| node.field(F::Alias))
            .map(|node| self.ty_at_depth(node, depth + 1));
        let qualified = qualified.map(|node| {
            let inner = match node.k() {
                K::QualifiedType => node.field(F::Type).unwrap_or(node),
                _ => node,
            };
            self.ty_at_depth(inner, depth + 1)
        });
        let path = self.facts.paths.len() as PathId;
        self.facts.paths.push(Path {
            at: node.start_byte() as u32,
            is_global: tags::range(node).slice(self.text).starts_with("::"),
            qualified,
            of_trait,
            segments: names,
            args,
        });
        self.paths.insert(node.id(), path);
        path
    }

    fn types_in(&mut self, list: Node<'_>, depth: usize) -> Few {
        let mut cursor = list.walk();
        let children: Vec<Node<'_>> = list
            .named_children(&mut cursor)
            .filter(|child| {
                !matches!(
                    child.k(),
                    K::Lifetime | K::TypeBinding | K::LineComment | K::BlockComment
                )
            })
            .collect();
        children.into_iter().map(|child| self.ty_at_depth(child, depth)).collect()
    }

    pub(super) fn ty(&mut self, node: Node<'_>) -> TypeId {
        self.ty_at_depth(node, 0)
    }

    fn ty_at_depth(&mut self, node: Node<'_>, depth: usize) -> TypeId {
        let ty = if depth > MAX_TYPE_DEPTH { Type::Unknown } else { self.lower_type(node, depth) };
        let id = self.facts.types.len() as TypeId;
        self.facts.types.push(ty);
        id
    }

    fn lower_type(&mut self, node: Node<'_>, depth: usize) -> Type {
        let field = |name: F| node.field(name);
        match node.k() {
            K::TypeIdentifier
            | K::ScopedTypeIdentifier
            | K::Identifier
            | K::ScopedIdentifier
            | K::PrimitiveType
            | K::SelfName => Type::Path(self.path_at_depth(node, depth)),
            K::GenericType => self.lower_generic(node, depth),
            K::ReferenceType | K::PointerType => match field(F::Type) {
                Some(inner) => Type::Ref(self.ty_at_depth(inner, depth + 1)),
                None => Type::Unknown,
            },
            K::ArrayType => match field(F::Element) {
                Some(inner) => Type::Slice(self.ty_at_depth(inner, depth + 1)),
                None => Type::Unknown,
            },
            // The grammar has no parentheses in types.
            K::TupleType
                if node.named_child_count() == 1
                    && !tags::range(node).slice(self.text).contains(',') =>
            {
                match node.named_child(0) {
                    Some(inner) => self.lower_type(inner, depth + 1),
                    None => Type::Unknown,
                }
            }
            K::TupleType | K::UnitType => {
                Type::Tuple(self.types_in(node, depth + 1).to_vec().into())
            }
            K::FunctionType => {
                Type::Fn(field(F::ReturnType).map(|node| self.ty_at_depth(node, depth + 1)))
            }
            K::AbstractType | K::DynamicType => match field(F::Trait) {
                Some(inner) => Type::Bounds([self.ty_at_depth(inner, depth + 1)].into()),
                None => Type::Unknown,
            },
            K::BoundedType | K::TraitBounds => {
                Type::Bounds(self.types_in(node, depth + 1).to_vec().into())
            }
            K::HigherRankedTraitBound => match field(F::Type) {
                Some(inner) => self.lower_type(inner, depth + 1),
                None => Type::Unknown,
            },
            K::BracketedType => match node.named_child(0) {
                Some(inner) => self.lower_type(inner, depth + 1),
                None => Type::Unknown,
            },
            _ => Type::Unknown,
        }
    }

    fn lower_generic(&mut self, node: Node<'_>, depth: usize) -> Type {
        let path = self.path_at_depth(node, depth);
        let Some(arguments) = node.field(F::TypeArguments) else {
            return Type::Path(path);
        };
        let mut cursor = arguments.walk();
        let bindings: Vec<Node<'_>> = arguments
            .named_children(&mut cursor)
            .filter(|child| child.k() == K::TypeBinding)
            .collect();
        if bindings.is_empty() {
            return Type::Path(path);
        }
        let mut assoc = Vec::new();
        for binding in bindings {
            if let (Some(name), Some(ty)) = (binding.field(F::Name), binding.field(F::Type)) {
                let name = self.name(name);
                assoc.push((name, self.ty_at_depth(ty, depth + 1)));
            }
        }
        Type::Assoc(path, assoc.into())
    }

    /// The types of `T: A + B`.
    pub(super) fn bounds(&mut self, node: Option<Node<'_>>) -> Few {
        node.map(|node| self.types_in(node, 1)).unwrap_or_default()
    }

    /// The type-deciding form of an expression. Work is a list, not recursion: method chains and
    /// nested blocks can be long.
    pub(super) fn expr(&mut self, node: Node<'_>) -> ExprId {
        let mut waiting = Vec::new();
        let id = self.slot(node, &mut waiting);
        while let Some((node, slot)) = waiting.pop() {
            self.facts.exprs[slot as usize] = self.lower_expr(node, &mut waiting);
        }
        id
    }

    fn slot<'t>(&mut self, node: Node<'t>, waiting: &mut Vec<(Node<'t>, ExprId)>) -> ExprId {
        if let Some(&expr) = self.exprs.get(&node.id()) {
            return expr;
        }
        let slot = self.facts.exprs.len() as ExprId;
        self.facts.exprs.push(Expr::Unknown);
        self.exprs.insert(node.id(), slot);
        waiting.push((node, slot));
        slot
    }

    fn lower_expr<'t>(&mut self, node: Node<'t>, waiting: &mut Vec<(Node<'t>, ExprId)>) -> Expr {
        let field = |name: F| node.field(name);
        let first = || {
            let mut cursor = node.walk();
            node.named_children(&mut cursor).find(|child| !child.is_extra())
        };
        match node.k() {
            K::Identifier | K::ScopedIdentifier | K::SelfName | K::GenericFunction => {
                Expr::Path(self.path(node))
            }
            K::FieldExpression => match (field(F::Value), field(F::Field)) {
                (Some(value), Some(name)) => {
                    let name = self.name(name);
                    Expr::Field(self.slot(value, waiting), name)
                }
                _ => Expr::Unknown,
            },
            K::CallExpression => self.lower_call(node, waiting),
            K::StructExpression => match field(F::Name) {
                Some(name) => Expr::Struct(self.path(name)),
                None => Expr::Unknown,
            },
            K::TryExpression => first().map_or(Expr::Unknown, |e| Expr::Try(self.slot(e, waiting))),
            K::AwaitExpression => {
                first().map_or(Expr::Unknown, |e| Expr::Await(self.slot(e, waiting)))
            }
            K::ReferenceExpression => {
                field(F::Value).map_or(Expr::Unknown, |e| Expr::Same(self.slot(e, waiting)))
            }
            K::ParenthesizedExpression | K::UnaryExpression => {
                first().map_or(Expr::Unknown, |e| Expr::Same(self.slot(e, waiting)))
            }
            K::IndexExpression => {
                first().map_or(Expr::Unknown, |e| Expr::Index(self.slot(e, waiting)))
            }
            K::TypeCastExpression => {
                field(F::Type).map_or(Expr::Unknown, |ty| Expr::Cast(self.ty(ty)))
            }
            K::BinaryExpression => {
                let operator = field(F::Operator).map_or("", |o| o.kind());
                if matches!(operator, "==" | "!=" | "<" | ">" | "<=" | ">=" | "&&" | "||") {
                    return Expr::Literal(self.intern("bool"));
                }
                field(F::Left).map_or(Expr::Unknown, |e| Expr::Same(self.slot(e, waiting)))
            }
            K::TupleExpression => {
                let mut cursor = node.walk();
                let children: Vec<_> = node.named_children(&mut cursor).take(12).collect();
                Expr::Tuple(children.into_iter().map(|c| self.slot(c, waiting)).collect())
            }
            K::ArrayExpression => Expr::Array(first().map(|e| self.slot(e, waiting))),
            K::Block => self.lower_block(node, waiting),
            K::UnsafeBlock | K::ConstBlock | K::LoopExpression | K::ExpressionStatement => {
                first().map_or(Expr::Unknown, |e| Expr::Same(self.slot(e, waiting)))
            }
            K::AsyncBlock => first().map_or(Expr::Unknown, |e| Expr::Same(self.slot(e, waiting))),
            K::IfExpression => {
                let alternative = field(F::Alternative).and_then(|e| e.named_child(0));
                let branches = [field(F::Consequence), alternative].into_iter().flatten();
                Expr::Any(branches.map(|branch| self.slot(branch, waiting)).collect())
            }
            K::MatchExpression => {
                let Some(body) = field(F::Body) else { return Expr::Unknown };
                let mut cursor = body.walk();
                let arms: Vec<_> = body
                    .named_children(&mut cursor)
                    .filter_map(|arm| arm.field(F::Value))
                    .take(12)
                    .collect();
                Expr::Any(arms.into_iter().map(|arm| self.slot(arm, waiting)).collect())
            }
            K::ClosureExpression => {
                Expr::Closure(field(F::Body).map(|body| self.slot(body, waiting)))
            }
            K::MacroInvocation => self.lower_macro(node),
            K::StringLiteral | K::RawStringLiteral => Expr::Literal(self.intern("str")),
            K::BooleanLiteral => Expr::Literal(self.intern("bool")),
            K::CharLiteral => Expr::Literal(self.intern("char")),
            K::IntegerLiteral => {
                let text = tags::range(node).slice(self.text);
                let suffix = text.find(['u', 'i']).map_or("i32", |at| &text[at..]);
                Expr::Literal(self.intern(suffix))
            }
            K::FloatLiteral => Expr::Literal(self.intern("f64")),
            _ => Expr::Unknown,
        }
    }

    fn lower_macro(&mut self, node: Node<'_>) -> Expr {
        let Some(path) = node.field(F::Macro) else { return Expr::Unknown };
        let is_list = tags::range(path).slice(self.text) == "vec";
        let mut cursor = node.walk();
        let tokens = node.named_children(&mut cursor).find(|c| c.k() == K::TokenTree);
        if is_list
            && let Some(tree) = tokens.and_then(|tokens| self.argument_tree(tokens))
            && let Some(list) = tree.root_node().named_child(0).and_then(|s| s.named_child(0))
            && list.k() == K::ArrayExpression
        {
            // `vec![..]` holds what the array would.
            return Expr::Same(self.expr(list));
        }
        Expr::Macro(self.path(path))
    }

    /// The value of a block is its last expression.
    fn lower_block<'t>(&mut self, node: Node<'t>, waiting: &mut Vec<(Node<'t>, ExprId)>) -> Expr {
        let n_children = node.named_child_count();
        let last = (0..n_children.min(3))
            .filter_map(|back| node.named_child((n_children - 1 - back) as u32))
            .find(|child| !child.is_extra());
        match last {
            Some(last) if !last.kind().ends_with("_item") && last.k() != K::LetDeclaration => {
                let is_statement = last.k() == K::ExpressionStatement
                    && tags::range(last).slice(self.text).ends_with(';');
                if is_statement { Expr::Unknown } else { Expr::Same(self.slot(last, waiting)) }
            }
            _ => Expr::Unknown,
        }
    }

    fn lower_call<'t>(&mut self, node: Node<'t>, waiting: &mut Vec<(Node<'t>, ExprId)>) -> Expr {
        let Some(function) = node.field(F::Function) else { return Expr::Unknown };
        let mut argument = None;
        if let Some(arguments) = node.field(F::Arguments) {
            let mut cursor = arguments.walk();
            argument = arguments.named_children(&mut cursor).find(|c| !c.is_extra());
            let mut cursor = arguments.walk();
            let closure =
                arguments.named_children(&mut cursor).find(|c| c.k() == K::ClosureExpression);
            argument = closure.or(argument);
        }
        let (method, turbofish) = match function.k() {
            K::GenericFunction => (function.field(F::Function), function.field(F::TypeArguments)),
            _ => (Some(function), None),
        };
        let method = method.filter(|method| method.k() == K::FieldExpression);
        if let Some(method) = method
            && let (Some(value), Some(name)) = (method.field(F::Value), method.field(F::Field))
        {
            let name: Name = self.name(name);
            let receiver = self.slot(value, waiting);
            let closure = argument
                .filter(|argument| {
                    matches!(
                        argument.k(),
                        K::ClosureExpression
                            | K::Identifier
                            | K::ScopedIdentifier
                            | K::CallExpression
                    )
                })
                .map(|argument| self.slot(argument, waiting));
            let turbofish = turbofish.and_then(|t| self.types_in(t, 1).first().copied());
            return Expr::Method(receiver, name, closure, turbofish);
        }
        let argument = argument.map(|argument| self.slot(argument, waiting));
        Expr::Call(self.slot(function, waiting), argument)
    }
}
