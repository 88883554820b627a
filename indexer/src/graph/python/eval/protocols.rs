//! Protocols: what awaiting, iterating, entering and indexing give.

use super::Eval;
use crate::{
    FileId,
    graph::python::{
        facts::{Builtin, Expr, ExprId, PythonFacts},
        library,
        types::{Type, Types, merge},
    },
};

impl Eval<'_> {
    pub(crate) fn awaited(&self, ty: Type) -> Types {
        match &ty {
            Type::ExternalInstance(path, args) => match library::last(path) {
                "Coroutine" => args.last().cloned().unwrap_or_default(),
                "Awaitable" | "Future" | "Task" => args.first().cloned().unwrap_or_default(),
                _ => vec![ty],
            },
            Type::Instance(..) => {
                let mut types = Types::new();
                for method in self.attribute(&ty, "__await__") {
                    if let Type::Function(id, receiver) = method {
                        merge(&mut types, self.returned(id, receiver.as_deref(), None));
                    }
                }
                if types.is_empty() { vec![ty] } else { types }
            }
            _ => vec![ty],
        }
    }

    /// What iterating gives.
    pub(crate) fn element(&self, ty: Type, iter: &str, next: &str) -> Types {
        match &ty {
            Type::ExternalInstance(path, args) => library::element(path, args),
            Type::Instance(..) => {
                let mut types = Types::new();
                for iterator in self.method_result(&ty, iter) {
                    match &iterator {
                        Type::Instance(..) => {
                            let items = self.method_result(&iterator, next);
                            merge(
                                &mut types,
                                items.into_iter().flat_map(|ty| self.awaited(ty)).collect(),
                            );
                        }
                        Type::ExternalInstance(path, args) => {
                            merge(&mut types, library::element(path, args));
                        }
                        _ => {}
                    }
                }
                if types.is_empty() {
                    types = self.base_arguments(&ty);
                }
                types
            }
            // Iterating an enumeration gives its members.
            Type::Class(class) if self.is_enum(*class) => vec![Type::instance(*class)],
            _ => Types::new(),
        }
    }

    /// Elements of a class that inherits from `list[T]`, `dict[K, V]` and the like.
    pub(super) fn base_arguments(&self, ty: &Type) -> Types {
        let Type::Instance(class, _) = ty else { return Types::new() };
        let mut types = Types::new();
        for class in &self.linear(*class).classes {
            let Some(facts) = self.facts(class.file) else { continue };
            let Some(info) = facts.classes.get(class.index as usize) else { continue };
            for &base in &info.bases {
                for base in self.instances(class.file, base) {
                    if let Type::ExternalInstance(path, args) = &base {
                        merge(&mut types, library::element(path, args));
                    }
                }
            }
        }
        types
    }

    pub(super) fn entered(&self, ty: Type, method: &str) -> Types {
        match &ty {
            Type::ExternalInstance(path, args)
                if library::last(path).ends_with("ContextManager") =>
            {
                args.first().cloned().unwrap_or_default()
            }
            Type::Instance(..) => {
                let entered = self.method_result(&ty, method);
                if entered.is_empty() { vec![ty] } else { entered }
            }
            _ => vec![ty],
        }
    }

    /// Result of calling a method without arguments.
    pub(crate) fn method_result(&self, ty: &Type, method: &str) -> Types {
        let mut types = Types::new();
        for found in self.attribute(ty, method) {
            match found {
                Type::Function(id, receiver) => {
                    merge(&mut types, self.returned(id, receiver.as_deref(), None));
                }
                Type::ExternalInstance(path, args) if library::last(&path) == "Callable" => {
                    merge(&mut types, args.last().cloned().unwrap_or_default());
                }
                _ => {}
            }
        }
        types
    }

    /// The `index`-th part of an unpacked value.
    pub(super) fn item(&self, ty: Type, index: u16) -> Types {
        match &ty {
            Type::ExternalInstance(path, args) if library::last(path).to_lowercase() == "tuple" => {
                args.get(index as usize).or(args.first()).cloned().unwrap_or_default()
            }
            _ => self.element(ty, "__iter__", "__next__"),
        }
    }

    pub(super) fn subscript(
        &self,
        file: FileId,
        facts: &PythonFacts,
        object: ExprId,
        index: ExprId,
    ) -> Types {
        let mut types = Types::new();
        for object in self.types(file, object) {
            match &object {
                Type::ExternalInstance(path, args) => {
                    let position = match facts.expr(index) {
                        Expr::Literal(Builtin::Int) => None,
                        _ => None::<usize>,
                    };
                    merge(&mut types, library::subscript(path, args, position));
                }
                Type::Instance(..) => {
                    let found = self.method_result(&object, "__getitem__");
                    let found = if found.is_empty() { self.base_arguments(&object) } else { found };
                    merge(&mut types, found);
                }
                // A parametrized class is still that class.
                Type::Class(class) if self.is_enum(*class) => {
                    merge(&mut types, vec![Type::instance(*class)]);
                }
                Type::Class(_) => merge(&mut types, vec![object]),
                Type::External(path) => {
                    merge(&mut types, vec![Type::External(path.clone())]);
                }
                _ => {}
            }
        }
        types
    }
}
