//! Paths, types and expressions, turned into the resolver's form when something asks for them.

use tree_sitter::Node;

use super::Extractor;
use crate::{
    graph::rust::facts::{Expr, ExprId, Name, Path, PathId, Type, TypeId},
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
pub(super) fn segments(node: Node<'_>) -> Vec<(Segment<'_>, u32)> {
    let mut found = Vec::new();
    let mut next = Some(node);
    while let Some(node) = next {
        next = match node.kind() {
            "scoped_identifier" | "scoped_type_identifier" => {
                if let Some(name) = node.child_by_field_name("name") {
                    found.push(Segment { name, outer: node });
                }
                node.child_by_field_name("path")
            }
            "generic_type" | "generic_type_with_turbofish" => node.child_by_field_name("type"),
            "generic_function" => node.child_by_field_name("function"),
            "identifier" | "type_identifier" | "self" | "super" | "crate" | "primitive_type"
            | "field_identifier" => {
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
        next = match node.kind() {
            "scoped_identifier" | "scoped_type_identifier" => node.child_by_field_name("path"),
            "generic_type" | "generic_type_with_turbofish" | "generic_function" => {
                arguments = arguments.or_else(|| node.child_by_field_name("type_arguments"));
                node.child_by_field_name("type").or_else(|| node.child_by_field_name("function"))
            }
            "bracketed_type" => return (arguments, node.named_child(0)),
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
        let mut names = Vec::new();
        for (segment, _) in segments(node) {
            names.push(self.name(segment.name));
        }
        let args = match arguments {
            Some(arguments) => self.types_in(arguments, depth + 1),
            None => Box::default(),
        };
        let of_trait = qualified
            .filter(|node| node.kind() == "qualified_type")
            .and_then(|node| node.child_by_field_name("alias"))
            .map(|node| self.ty_at_depth(node, depth + 1));
        let qualified = qualified.map(|node| {
            let inner = match node.kind() {
                "qualified_type" => node.child_by_field_name("type").unwrap_or(node),
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
            segments: names.into(),
            args,
        });
        self.paths.insert(node.id(), path);
        path
    }

    fn types_in(&mut self, list: Node<'_>, depth: usize) -> Box<[TypeId]> {
        let mut cursor = list.walk();
        let children: Vec<Node<'_>> = list
            .named_children(&mut cursor)
            .filter(|child| {
                !matches!(
                    child.kind(),
                    "lifetime" | "type_binding" | "line_comment" | "block_comment"
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
        let field = |name| node.child_by_field_name(name);
        match node.kind() {
            "type_identifier"
            | "scoped_type_identifier"
            | "identifier"
            | "scoped_identifier"
            | "primitive_type"
            | "self" => Type::Path(self.path_at_depth(node, depth)),
            "generic_type" => self.lower_generic(node, depth),
            "reference_type" | "pointer_type" => match field("type") {
                Some(inner) => Type::Ref(self.ty_at_depth(inner, depth + 1)),
                None => Type::Unknown,
            },
            "array_type" => match field("element") {
                Some(inner) => Type::Slice(self.ty_at_depth(inner, depth + 1)),
                None => Type::Unknown,
            },
            // The grammar has no parentheses in types.
            "tuple_type"
                if node.named_child_count() == 1
                    && !tags::range(node).slice(self.text).contains(',') =>
            {
                match node.named_child(0) {
                    Some(inner) => self.lower_type(inner, depth + 1),
                    None => Type::Unknown,
                }
            }
            "tuple_type" | "unit_type" => Type::Tuple(self.types_in(node, depth + 1)),
            "function_type" => {
                Type::Fn(field("return_type").map(|node| self.ty_at_depth(node, depth + 1)))
            }
            "abstract_type" | "dynamic_type" => match field("trait") {
                Some(inner) => Type::Bounds([self.ty_at_depth(inner, depth + 1)].into()),
                None => Type::Unknown,
            },
            "bounded_type" | "trait_bounds" => Type::Bounds(self.types_in(node, depth + 1)),
            "higher_ranked_trait_bound" => match field("type") {
                Some(inner) => self.lower_type(inner, depth + 1),
                None => Type::Unknown,
            },
            "bracketed_type" | "parenthesized_type" => match node.named_child(0) {
                Some(inner) => self.lower_type(inner, depth + 1),
                None => Type::Unknown,
            },
            _ => Type::Unknown,
        }
    }

    fn lower_generic(&mut self, node: Node<'_>, depth: usize) -> Type {
        let path = self.path_at_depth(node, depth);
        let Some(arguments) = node.child_by_field_name("type_arguments") else {
            return Type::Path(path);
        };
        let mut cursor = arguments.walk();
        let bindings: Vec<Node<'_>> = arguments
            .named_children(&mut cursor)
            .filter(|child| child.kind() == "type_binding")
            .collect();
        if bindings.is_empty() {
            return Type::Path(path);
        }
        let mut assoc = Vec::new();
        for binding in bindings {
            if let (Some(name), Some(ty)) =
                (binding.child_by_field_name("name"), binding.child_by_field_name("type"))
            {
                let name = self.name(name);
                assoc.push((name, self.ty_at_depth(ty, depth + 1)));
            }
        }
        Type::Assoc(path, assoc.into())
    }

    /// The types of `T: A + B`.
    pub(super) fn bounds(&mut self, node: Option<Node<'_>>) -> Vec<TypeId> {
        node.map(|node| self.types_in(node, 1).into_vec()).unwrap_or_default()
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
        let field = |name| node.child_by_field_name(name);
        let first = || {
            let mut cursor = node.walk();
            node.named_children(&mut cursor).find(|child| !child.is_extra())
        };
        match node.kind() {
            "identifier" | "scoped_identifier" | "self" | "generic_function" => {
                Expr::Path(self.path(node))
            }
            "field_expression" => match (field("value"), field("field")) {
                (Some(value), Some(name)) => {
                    let name = self.name(name);
                    Expr::Field(self.slot(value, waiting), name)
                }
                _ => Expr::Unknown,
            },
            "call_expression" => self.lower_call(node, waiting),
            "struct_expression" => match field("name") {
                Some(name) => Expr::Struct(self.path(name)),
                None => Expr::Unknown,
            },
            "try_expression" => first().map_or(Expr::Unknown, |e| Expr::Try(self.slot(e, waiting))),
            "await_expression" => {
                first().map_or(Expr::Unknown, |e| Expr::Await(self.slot(e, waiting)))
            }
            "reference_expression" => {
                field("value").map_or(Expr::Unknown, |e| Expr::Same(self.slot(e, waiting)))
            }
            "parenthesized_expression" | "unary_expression" => {
                first().map_or(Expr::Unknown, |e| Expr::Same(self.slot(e, waiting)))
            }
            "index_expression" => {
                first().map_or(Expr::Unknown, |e| Expr::Index(self.slot(e, waiting)))
            }
            "type_cast_expression" => {
                field("type").map_or(Expr::Unknown, |ty| Expr::Cast(self.ty(ty)))
            }
            "binary_expression" => {
                let operator = field("operator").map_or("", |o| o.kind());
                if matches!(operator, "==" | "!=" | "<" | ">" | "<=" | ">=" | "&&" | "||") {
                    return Expr::Literal(self.intern("bool"));
                }
                field("left").map_or(Expr::Unknown, |e| Expr::Same(self.slot(e, waiting)))
            }
            "tuple_expression" => {
                let mut cursor = node.walk();
                let children: Vec<_> = node.named_children(&mut cursor).take(12).collect();
                Expr::Tuple(children.into_iter().map(|c| self.slot(c, waiting)).collect())
            }
            "array_expression" => Expr::Array(first().map(|e| self.slot(e, waiting))),
            "block" => self.lower_block(node, waiting),
            "unsafe_block" | "const_block" | "loop_expression" | "expression_statement" => {
                first().map_or(Expr::Unknown, |e| Expr::Same(self.slot(e, waiting)))
            }
            "async_block" => first().map_or(Expr::Unknown, |e| Expr::Same(self.slot(e, waiting))),
            "if_expression" => {
                let alternative = field("alternative").and_then(|e| e.named_child(0));
                let branches = [field("consequence"), alternative].into_iter().flatten();
                Expr::Any(branches.map(|branch| self.slot(branch, waiting)).collect())
            }
            "match_expression" => {
                let Some(body) = field("body") else { return Expr::Unknown };
                let mut cursor = body.walk();
                let arms: Vec<_> = body
                    .named_children(&mut cursor)
                    .filter_map(|arm| arm.child_by_field_name("value"))
                    .take(12)
                    .collect();
                Expr::Any(arms.into_iter().map(|arm| self.slot(arm, waiting)).collect())
            }
            "closure_expression" => {
                Expr::Closure(field("body").map(|body| self.slot(body, waiting)))
            }
            "macro_invocation" => self.lower_macro(node),
            "string_literal" | "raw_string_literal" => Expr::Literal(self.intern("str")),
            "boolean_literal" => Expr::Literal(self.intern("bool")),
            "char_literal" => Expr::Literal(self.intern("char")),
            "integer_literal" => {
                let text = tags::range(node).slice(self.text);
                let suffix = text.find(['u', 'i']).map_or("i32", |at| &text[at..]);
                Expr::Literal(self.intern(suffix))
            }
            "float_literal" => Expr::Literal(self.intern("f64")),
            _ => Expr::Unknown,
        }
    }

    fn lower_macro(&mut self, node: Node<'_>) -> Expr {
        let Some(path) = node.child_by_field_name("macro") else { return Expr::Unknown };
        let is_list = tags::range(path).slice(self.text) == "vec";
        let mut cursor = node.walk();
        let tokens = node.named_children(&mut cursor).find(|c| c.kind() == "token_tree");
        if is_list
            && let Some(tree) = tokens.and_then(|tokens| self.argument_tree(tokens))
            && let Some(list) = tree.root_node().named_child(0).and_then(|s| s.named_child(0))
            && list.kind() == "array_expression"
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
            Some(last) if !last.kind().ends_with("_item") && last.kind() != "let_declaration" => {
                let is_statement = last.kind() == "expression_statement"
                    && tags::range(last).slice(self.text).ends_with(';');
                if is_statement { Expr::Unknown } else { Expr::Same(self.slot(last, waiting)) }
            }
            _ => Expr::Unknown,
        }
    }

    fn lower_call<'t>(&mut self, node: Node<'t>, waiting: &mut Vec<(Node<'t>, ExprId)>) -> Expr {
        let Some(function) = node.child_by_field_name("function") else { return Expr::Unknown };
        let mut argument = None;
        if let Some(arguments) = node.child_by_field_name("arguments") {
            let mut cursor = arguments.walk();
            argument = arguments.named_children(&mut cursor).find(|c| !c.is_extra());
            let mut cursor = arguments.walk();
            let closure =
                arguments.named_children(&mut cursor).find(|c| c.kind() == "closure_expression");
            argument = closure.or(argument);
        }
        let (method, turbofish) = match function.kind() {
            "generic_function" => (
                function.child_by_field_name("function"),
                function.child_by_field_name("type_arguments"),
            ),
            _ => (Some(function), None),
        };
        let method = method.filter(|method| method.kind() == "field_expression");
        if let Some(method) = method
            && let (Some(value), Some(name)) =
                (method.child_by_field_name("value"), method.child_by_field_name("field"))
        {
            let name: Name = self.name(name);
            let receiver = self.slot(value, waiting);
            let closure = argument
                .filter(|argument| {
                    matches!(
                        argument.kind(),
                        "closure_expression"
                            | "identifier"
                            | "scoped_identifier"
                            | "call_expression"
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
