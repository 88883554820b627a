//! Expressions: their types, narrowed by guards.

use std::sync::Arc;

use super::{Eval, Meaning};
use crate::{
    FileId,
    graph::python::{
        facts::{Binding, Builtin, Expr, ExprId, FunctionFlags, ListId, NameId, PythonFacts},
        library,
        types::{ClassId, FunctionId, Type, Types, merge},
    },
};

impl<'g> Eval<'g> {
    /// The values of a meaning.
    pub(crate) fn types_of_meaning(&self, meaning: Meaning<'g>) -> Types {
        let mut types = Types::new();
        for meaning in self.follow(meaning) {
            match meaning {
                Meaning::Module(file) => merge(&mut types, vec![Type::Module(file)]),
                Meaning::Folder(folder) => merge(&mut types, vec![Type::Folder(folder)]),
                Meaning::External(path) => merge(&mut types, vec![Type::External(path)]),
                Meaning::Bound { file, bindings, .. } => {
                    for binding in bindings {
                        merge(&mut types, self.types_of_binding(file, binding, None));
                    }
                }
            }
        }
        types
    }

    /// The values a binding gives; `receiver` is what a method found this way is bound to.
    pub(crate) fn types_of_binding(
        &self,
        file: FileId,
        binding: &Binding,
        receiver: Option<&Type>,
    ) -> Types {
        let Some(facts) = self.facts(file) else { return Types::new() };
        if !binding.annotation.is_none() {
            let (is_bare, inner) = self.qualifier(facts, binding.annotation);
            if !is_bare {
                return self.instances(file, inner);
            }
        }
        match facts.expr(binding.value) {
            Expr::Function(index) => self.function_value(file, facts, index, receiver),
            _ => self.types(file, binding.value),
        }
    }

    /// A function, or what its decorators replace it by: `@command()` may say that it returns a
    /// `Command`.
    fn function_value(
        &self,
        file: FileId,
        facts: &PythonFacts,
        index: u32,
        receiver: Option<&Type>,
    ) -> Types {
        let id = FunctionId { file, index };
        let own = vec![Type::Function(id, receiver.cloned().map(Arc::new))];
        let Some(function) = facts.functions.get(index as usize) else { return own };
        let flags = FunctionFlags {
            is_async: function.flags.is_async,
            is_generator: function.flags.is_generator,
            ..FunctionFlags::default()
        };
        if function.decorators.is_empty() || function.flags != flags {
            return own;
        }
        let mut types = own;
        for &decorator in function.decorators.iter().rev() {
            let mut made = Types::new();
            for ty in self.types(file, decorator) {
                let result = match &ty {
                    Type::Function(id, bound) => self.returned(*id, bound.as_deref(), None),
                    Type::Class(class) => vec![Type::instance(*class)],
                    Type::ExternalInstance(path, args) if library::last(path) == "Callable" => {
                        args.last().cloned().unwrap_or_default()
                    }
                    _ => Types::new(),
                };
                let instances = result.into_iter().filter(|ty| matches!(ty, Type::Instance(..)));
                merge(&mut made, instances.collect());
            }
            if !made.is_empty() {
                types = made;
            }
        }
        types
    }

    /// `Final`, `ClassVar` or `TypeAlias` alone say nothing about the type.
    fn qualifier(&self, facts: &PythonFacts, annotation: ExprId) -> (bool, ExprId) {
        let (Expr::Name { name, .. } | Expr::Attr { name, .. }) = facts.expr(annotation) else {
            return (false, annotation);
        };
        (matches!(facts.name(name), "Final" | "ClassVar" | "TypeAlias"), annotation)
    }

    /// What `expr` can be.
    pub(crate) fn types(&self, file: FileId, expr: ExprId) -> Types {
        if expr.is_none() {
            return Types::new();
        }
        match self.types.borrow().get(&(file, expr)) {
            Some(Some(known)) => return known.as_ref().clone(),
            // In progress: a cycle says nothing more than its other ways in.
            Some(None) => {
                self.cut.set(true);
                return Types::new();
            }
            None => {}
        }
        self.types.borrow_mut().insert((file, expr), None);
        let was_cut = self.cut.replace(false);
        let types = self.bounded(|| self.evaluate(file, expr));
        if self.cut.get() {
            self.types.borrow_mut().remove(&(file, expr));
        } else {
            self.types.borrow_mut().insert((file, expr), Some(Arc::new(types.clone())));
        }
        self.cut.set(was_cut || self.cut.get());
        types
    }

    fn evaluate(&self, file: FileId, expr: ExprId) -> Types {
        let Some(facts) = self.facts(file) else { return Types::new() };
        let one = |ty: Type| vec![ty];
        match facts.expr(expr) {
            Expr::Name { name, scope, at } => {
                if let Some(narrowed) = self.narrowed(file, facts, name, at) {
                    return narrowed;
                }
                match self.lookup(file, scope, name, at) {
                    Some(meaning) => self.types_of_meaning(meaning),
                    None => Types::new(),
                }
            }
            Expr::Attr { object, name, at } => {
                if let Some(narrowed) = self.narrowed_chain(file, facts, expr, at) {
                    return narrowed;
                }
                let mut types = Types::new();
                for object in self.types(file, object) {
                    merge(&mut types, self.attribute(&object, facts.name(name)));
                }
                types
            }
            Expr::Call { callee, args } => self.call(file, facts, callee, args),
            Expr::Subscript { object, index } => self.subscript(file, facts, object, index),
            Expr::Literal(literal) => match literal {
                Builtin::Str => one(Type::known("builtins.str", vec![])),
                Builtin::Bytes => one(Type::known("builtins.bytes", vec![])),
                Builtin::Int => one(Type::known("builtins.int", vec![])),
                Builtin::Float => one(Type::known("builtins.float", vec![])),
                Builtin::Bool => one(Type::known("builtins.bool", vec![])),
                Builtin::None => Types::new(),
            },
            Expr::Text { .. } => one(Type::known("builtins.str", vec![])),
            Expr::Tuple(list) => {
                let items: Vec<Types> =
                    facts.list(list).iter().map(|&item| self.types(file, item)).collect();
                one(Type::known("builtins.tuple", items))
            }
            Expr::List(list) => {
                one(Type::known("builtins.list", vec![self.elements(file, facts, list)]))
            }
            Expr::Set(list) => {
                one(Type::known("builtins.set", vec![self.elements(file, facts, list)]))
            }
            Expr::Dict { key, value } => {
                let args = vec![self.types(file, key), self.types(file, value)];
                one(Type::known("builtins.dict", args))
            }
            Expr::Generator(element) => {
                one(Type::known("typing.Iterator", vec![self.types(file, element)]))
            }
            Expr::Union(list) => {
                let mut types = Types::new();
                for &item in facts.list(list) {
                    merge(&mut types, self.types(file, item));
                }
                types
            }
            Expr::And(list) => match facts.list(list) {
                [.., last] => self.types(file, *last),
                [] => Types::new(),
            },
            Expr::Await(inner) => {
                self.types(file, inner).into_iter().flat_map(|ty| self.awaited(ty)).collect()
            }
            Expr::Element(of) => self.each(file, of, |ty| self.element(ty, "__iter__", "__next__")),
            Expr::AsyncElement(of) => {
                self.each(file, of, |ty| self.element(ty, "__aiter__", "__anext__"))
            }
            Expr::Entered(of) => self.each(file, of, |ty| self.entered(ty, "__enter__")),
            Expr::AsyncEntered(of) => self.each(file, of, |ty| {
                let entered = self.entered(ty, "__aenter__");
                entered.into_iter().flat_map(|ty| self.awaited(ty)).collect()
            }),
            Expr::Caught(class) | Expr::Instance(class) => self.instances(file, class),
            Expr::Item { of, index } => self.each(file, of, |ty| self.item(ty, index)),
            Expr::Splat(inner) | Expr::Keyword { value: inner, .. } => self.types(file, inner),
            Expr::Class(index) => one(Type::Class(ClassId { file, index })),
            Expr::Function(index) => self.function_value(file, facts, index, None),
            Expr::Import(import) => match self.imported(file, import) {
                Some(meaning) => self.types_of_meaning(meaning),
                None => Types::new(),
            },
            Expr::Parameter { function, index } => self.parameter(file, facts, function, index),
            Expr::TypeParameter { name, bound } => {
                one(Type::Variable(file, facts.name(name).into(), bound))
            }
            Expr::Lambda { body } => one(Type::Lambda(file, body)),
            Expr::Unknown | Expr::Args(_) | Expr::Not(_) => Types::new(),
        }
    }

    fn each(&self, file: FileId, of: ExprId, map: impl Fn(Type) -> Types) -> Types {
        let mut types = Types::new();
        for ty in self.types(file, of) {
            merge(&mut types, map(ty));
        }
        types
    }

    fn elements(&self, file: FileId, facts: &PythonFacts, list: ListId) -> Types {
        let mut types = Types::new();
        for &item in facts.list(list).iter().take(8) {
            match facts.expr(item) {
                Expr::Splat(inner) => merge(
                    &mut types,
                    self.each(file, inner, |ty| self.element(ty, "__iter__", "__next__")),
                ),
                _ => merge(&mut types, self.types(file, item)),
            }
        }
        types
    }

    /// The instance an `isinstance` check around `at` says `key` is.
    fn narrowed(&self, file: FileId, facts: &PythonFacts, key: NameId, at: u32) -> Option<Types> {
        if facts.narrows.is_empty() {
            return None;
        }
        let start = facts.narrows.partition_point(|narrow| narrow.key < key);
        let len = facts.narrows[start..]
            .partition_point(|narrow| narrow.key == key && narrow.range.start <= at);
        // The innermost check that says something wins.
        facts.narrows[start..start + len]
            .iter()
            .rev()
            .filter(|narrow| narrow.range.contains(at))
            .map(|narrow| match facts.expr(narrow.class) {
                Expr::Call { callee, .. } => self.guarded(file, callee),
                _ => self.instances(file, narrow.class),
            })
            .find(|types| !types.is_empty())
    }

    /// What a true result of calling `callee` says about its first argument: its declared
    /// `TypeIs[..]` or `TypeGuard[..]`.
    fn guarded(&self, file: FileId, callee: ExprId) -> Types {
        let mut types = Types::new();
        for ty in self.types(file, callee) {
            let Type::Function(id, _) = ty else { continue };
            let Some(facts) = self.facts(id.file) else { continue };
            let Some(function) = facts.functions.get(id.index as usize) else { continue };
            if let Expr::Subscript { object, index } = facts.expr(function.returns)
                && let Expr::Name { name, .. } | Expr::Attr { name, .. } = facts.expr(object)
                && matches!(facts.name(name), "TypeIs" | "TypeGuard")
            {
                merge(&mut types, self.instances(id.file, index));
            }
        }
        types
    }

    fn narrowed_chain(
        &self,
        file: FileId,
        facts: &PythonFacts,
        expr: ExprId,
        at: u32,
    ) -> Option<Types> {
        if facts.narrows.is_empty() {
            return None;
        }
        let mut parts = Vec::new();
        let mut expr = expr;
        loop {
            match facts.expr(expr) {
                Expr::Name { name, .. } => {
                    parts.push(facts.name(name));
                    break;
                }
                Expr::Attr { object, name, .. } if parts.len() < 8 => {
                    parts.push(facts.name(name));
                    expr = object;
                }
                _ => return None,
            }
        }
        parts.reverse();
        self.narrowed(file, facts, facts.name_id(&parts.join("."))?, at)
    }
}
