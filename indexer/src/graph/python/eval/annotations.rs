//! Annotations: the instances they stand for.

use std::sync::Arc;

use super::{Eval, Meaning};
use crate::{
    FileId,
    graph::python::{
        facts::{Expr, ExprId, PythonFacts},
        library,
        types::{ClassId, Type, Types, merge},
    },
};

impl<'g> Eval<'g> {
    /// Instances of what an annotation (or the second argument of `isinstance`) names.
    pub(crate) fn instances(&self, file: FileId, annotation: ExprId) -> Types {
        self.bounded(|| self.instances_of(file, annotation))
    }

    fn instances_of(&self, file: FileId, annotation: ExprId) -> Types {
        let Some(facts) = self.facts(file) else { return Types::new() };
        match facts.expr(annotation) {
            Expr::Union(list) | Expr::Tuple(list) => {
                let mut types = Types::new();
                for &item in facts.list(list) {
                    merge(&mut types, self.instances(file, item));
                }
                types
            }
            Expr::Name { name, scope, at } => {
                if facts.name(name) == "Self"
                    && let Some(class) = self.enclosing_class(file, facts, scope)
                {
                    return vec![Type::instance(class)];
                }
                // An annotation may name what is defined further down.
                let found = self
                    .lookup(file, scope, name, at)
                    .or_else(|| self.lookup(file, scope, name, u32::MAX));
                found.map(|meaning| self.named_instances(meaning)).unwrap_or_default()
            }
            Expr::Attr { object, name, .. } => {
                let mut types = Types::new();
                for object in self.types(file, object) {
                    for (meaning, _) in self.members(&object, facts.name(name)) {
                        merge(&mut types, self.named_instances(meaning));
                    }
                }
                types
            }
            Expr::Subscript { object, index } => {
                let mut types = Types::new();
                for object in self.types(file, object) {
                    merge(&mut types, self.parametrized(file, facts, &object, index));
                }
                types
            }
            Expr::Call { callee, .. } => {
                // `NewType("Name", base)` and the like.
                let _ = callee;
                Types::new()
            }
            _ => Types::new(),
        }
    }

    /// Instances of what a meaning names; a variable is an alias for its value.
    fn named_instances(&self, meaning: Meaning<'g>) -> Types {
        let mut types = Types::new();
        for meaning in self.follow(meaning) {
            match meaning {
                Meaning::External(path) => {
                    if !library::is_empty_type(&path) {
                        merge(&mut types, vec![Type::ExternalInstance(path, Arc::new([]))]);
                    }
                }
                Meaning::Bound { file, bindings, .. } => {
                    let Some(facts) = self.facts(file) else { continue };
                    for binding in bindings {
                        match facts.expr(binding.value) {
                            Expr::Class(index) => {
                                let class = ClassId { file, index };
                                merge(&mut types, vec![Type::instance(class)]);
                            }
                            Expr::Call { .. } => {
                                for ty in self.types(file, binding.value) {
                                    if let Type::Variable(..) = &ty {
                                        merge(&mut types, vec![ty]);
                                    }
                                }
                            }
                            Expr::TypeParameter { name, bound } => {
                                let name = facts.name(name).into();
                                merge(&mut types, vec![Type::Variable(file, name, bound)]);
                            }
                            Expr::Function(_) | Expr::Parameter { .. } => {}
                            _ => merge(&mut types, self.instances(file, binding.value)),
                        }
                    }
                }
                Meaning::Module(_) | Meaning::Folder(_) => {}
            }
        }
        types
    }

    /// Instances of `object[index]`.
    fn parametrized(
        &self,
        file: FileId,
        facts: &PythonFacts,
        object: &Type,
        index: ExprId,
    ) -> Types {
        let items: &[ExprId] = match facts.expr(index) {
            Expr::Tuple(list) => facts.list(list),
            _ => &[index],
        };
        let instances = |items: &[ExprId]| {
            let mut types = Types::new();
            for &item in items {
                merge(&mut types, self.instances(file, item));
            }
            types
        };
        match object {
            Type::External(path) => match library::last(path) {
                "Optional" | "Union" => instances(items),
                "Annotated" | "ClassVar" | "Final" | "Required" | "NotRequired" | "ReadOnly"
                | "InitVar" | "Unpack" => instances(&items[..1.min(items.len())]),
                "Type" | "type" => items
                    .iter()
                    .flat_map(|&item| self.instances(file, item))
                    .filter_map(|ty| match ty {
                        Type::Instance(class, _) => Some(Type::Class(class)),
                        Type::ExternalInstance(path, _) => Some(Type::External(path)),
                        Type::Variable(..) => Some(ty),
                        _ => None,
                    })
                    .collect(),
                "Literal" => vec![Type::known("builtins.str", vec![])],
                "TypeIs" | "TypeGuard" => vec![Type::known("builtins.bool", vec![])],
                "Callable" => {
                    let result = items.last().map(|&item| self.instances(file, item));
                    vec![Type::known("typing.Callable", vec![result.unwrap_or_default()])]
                }
                _ => {
                    let args = items
                        .iter()
                        .filter(|&&item| !matches!(facts.expr(item), Expr::Unknown))
                        .map(|&item| self.instances(file, item))
                        .collect();
                    vec![Type::known(path, args)]
                }
            },
            Type::Class(class) => {
                let args: Vec<Types> =
                    items.iter().map(|&item| self.instances(file, item)).collect();
                vec![Type::Instance(*class, args.into())]
            }
            _ => Types::new(),
        }
    }
}
