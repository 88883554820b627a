//! Calls: parameters, results, constructors, library functions.

use std::sync::Arc;

use super::{Eval, Meaning};
use crate::{
    FileId,
    graph::python::{
        facts::{
            Expr, ExprId, Function, ListId, NameId, ParamKind, PythonFacts, ScopeId, ScopeKind,
        },
        library,
        types::{ClassId, FunctionId, Type, Types, merge},
    },
};

impl Eval<'_> {
    /// The class around `scope`.
    pub(crate) fn enclosing_class(
        &self,
        file: FileId,
        facts: &PythonFacts,
        scope: ScopeId,
    ) -> Option<ClassId> {
        let mut here = scope;
        for _ in 0..facts.scopes.len() {
            let scope = facts.scope(here)?;
            if scope.kind == ScopeKind::Class {
                return Some(ClassId { file, index: scope.owner });
            }
            if here == ScopeId::MODULE {
                return None;
            }
            here = scope.parent;
        }
        None
    }

    pub(super) fn parameter(
        &self,
        file: FileId,
        facts: &PythonFacts,
        function: u32,
        index: u16,
    ) -> Types {
        let Some(function) = facts.functions.get(function as usize) else { return Types::new() };
        let Some(param) = function.params.get(index as usize) else { return Types::new() };
        if !param.annotation.is_none() {
            let types = self.instances(file, param.annotation);
            let types: Types = types.into_iter().flat_map(|ty| self.bound_of(ty)).collect();
            match param.kind {
                ParamKind::Args => return vec![Type::known("builtins.list", vec![types])],
                ParamKind::Kwargs => {
                    let key = vec![Type::known("builtins.str", vec![])];
                    return vec![Type::known("builtins.dict", vec![key, types])];
                }
                ParamKind::Plain if !types.is_empty() || index > 0 => return types,
                ParamKind::Plain => {}
            }
        }
        if index == 0
            && let Some(class) = function.class
            && !function.flags.is_static
        {
            let class = ClassId { file, index: class };
            let name = self
                .file_facts(file)
                .and_then(|facts| facts.symbols.get(function.symbol as usize))
                .map(|symbol| symbol.name.as_str());
            let is_class = function.flags.is_class_method
                || matches!(name, Some("__new__" | "__init_subclass__" | "__class_getitem__"));
            return vec![if is_class { Type::Class(class) } else { Type::instance(class) }];
        }
        if !param.default.is_none() {
            return self.types(file, param.default);
        }
        // An override without annotations has its base's.
        self.inherited_parameter(file, facts, function, param.name)
    }

    fn inherited_parameter(
        &self,
        file: FileId,
        facts: &PythonFacts,
        function: &Function,
        name: NameId,
    ) -> Types {
        let Some(class) = function.class else { return Types::new() };
        let Some(symbol) =
            self.file_facts(file).and_then(|facts| facts.symbols.get(function.symbol as usize))
        else {
            return Types::new();
        };
        let linear = self.linear(ClassId { file, index: class });
        for base in linear.classes.iter().skip(1) {
            let Some(theirs) = self.facts(base.file) else { continue };
            let Some(found) = self.own_member(*base, &symbol.name) else { continue };
            for binding in found {
                let Expr::Function(index) = theirs.expr(binding.value) else { continue };
                let Some(other) = theirs.functions.get(index as usize) else { continue };
                let param = other
                    .params
                    .iter()
                    .position(|param| theirs.name(param.name) == facts.name(name));
                if let Some(at) = param
                    && !other.params[at].annotation.is_none()
                {
                    return self.parameter(base.file, theirs, index, at as u16);
                }
            }
        }
        Types::new()
    }

    /// A type variable stands for its bound.
    pub(crate) fn bound_of(&self, ty: Type) -> Types {
        match ty {
            Type::Variable(file, _, bound) => self.instances(file, bound),
            other => vec![other],
        }
    }

    pub(super) fn call(
        &self,
        file: FileId,
        facts: &PythonFacts,
        callee: ExprId,
        args: ListId,
    ) -> Types {
        // `super()` without arguments: the class around the method.
        if let Expr::Name { name, scope, at } = facts.expr(callee)
            && facts.name(name) == "super"
            && let Some(Meaning::External(_)) = self.lookup(file, scope, name, at)
        {
            return self
                .enclosing_class(file, facts, scope)
                .map(|class| vec![Type::Super(class)])
                .unwrap_or_default();
        }
        let mut types = Types::new();
        for callee in self.types(file, callee) {
            merge(&mut types, self.called(file, facts, &callee, args));
        }
        types
    }

    /// What calling `callee` gives; `args` are of the call in `file`.
    fn called(&self, file: FileId, facts: &PythonFacts, callee: &Type, args: ListId) -> Types {
        match callee {
            Type::Class(class) => self.constructed(*class),
            Type::Function(id, receiver) => {
                self.returned(*id, receiver.as_deref(), Some((file, facts, args)))
            }
            Type::Instance(..) => {
                let mut types = Types::new();
                for call in self.attribute(callee, "__call__") {
                    if let Type::Function(..) = call {
                        merge(&mut types, self.called(file, facts, &call, args));
                    }
                }
                types
            }
            Type::ExternalInstance(path, inner) if library::last(path) == "Callable" => {
                inner.last().cloned().unwrap_or_default()
            }
            Type::Lambda(file, body) => self.types(*file, *body),
            Type::Variable(of, _, bound) => self.instances(*of, *bound),
            Type::External(path) => {
                let argument = |index: usize| -> Types {
                    facts.list(args).get(index).map_or(Types::new(), |&arg| self.types(file, arg))
                };
                self.external_call(file, facts, path, args, &argument)
            }
            _ => Types::new(),
        }
    }

    /// Result of calling something outside the project.
    fn external_call(
        &self,
        file: FileId,
        facts: &PythonFacts,
        path: &Arc<str>,
        args: ListId,
        argument: &dyn Fn(usize) -> Types,
    ) -> Types {
        let elements = |types: Types| -> Types {
            let mut all = Types::new();
            for ty in types {
                merge(&mut all, self.element(ty, "__iter__", "__next__"));
            }
            all
        };
        let one = |path: &str, args: Vec<Types>| vec![Type::known(path, args)];
        match &**path {
            "builtins.list" | "builtins.sorted" | "builtins.reversed" | "collections.deque" => {
                one("builtins.list", vec![elements(argument(0))])
            }
            "builtins.set" | "builtins.frozenset" => {
                one("builtins.set", vec![elements(argument(0))])
            }
            "builtins.tuple" => one("typing.Sequence", vec![elements(argument(0))]),
            "builtins.iter" => one("typing.Iterator", vec![elements(argument(0))]),
            "builtins.filter" => one("typing.Iterator", vec![elements(argument(1))]),
            "builtins.next" | "builtins.max" | "builtins.min" => {
                let mut types = elements(argument(0));
                merge(&mut types, argument(1));
                types
            }
            "builtins.enumerate" => {
                let index = vec![Type::known("builtins.int", vec![])];
                let pair = Type::known("builtins.tuple", vec![index, elements(argument(0))]);
                one("typing.Iterator", vec![vec![pair]])
            }
            "builtins.zip" => {
                let parts = (0..facts.list(args).len()).map(|at| elements(argument(at))).collect();
                one("typing.Iterator", vec![vec![Type::known("builtins.tuple", parts)]])
            }
            "builtins.dict" | "collections.OrderedDict" => argument(0),
            "builtins.type" => argument(0)
                .into_iter()
                .filter_map(|ty| match ty {
                    Type::Instance(class, _) => Some(Type::Class(class)),
                    _ => None,
                })
                .collect(),
            "copy.copy"
            | "copy.deepcopy"
            | "dataclasses.replace"
            | "builtins.id_"
            | "typing.assert_type"
            | "functools.wraps_" => argument(0),
            "functools.partial" => {
                argument(0).into_iter().filter(|ty| matches!(ty, Type::Function(..))).collect()
            }
            "typing.TypeVar" | "typing_extensions.TypeVar" => {
                let bound = facts.list(args).iter().find_map(|&arg| match facts.expr(arg) {
                    Expr::Keyword { name, value } if facts.name(name) == "bound" => Some(value),
                    _ => None,
                });
                let name = format!("{}:{}", file.0, args.start);
                vec![Type::Variable(file, name.into(), bound.unwrap_or(ExprId::NONE))]
            }
            "typing.NewType" => argument(1),
            "collections.namedtuple" | "typing.NamedTuple" => Types::new(),
            "builtins.getattr" | "builtins.object" => Types::new(),
            other => {
                let is_class = library::is_class_like(other);
                vec![Type::ExternalInstance(
                    if is_class { path.clone() } else { format!("{path}()").into() },
                    Arc::new([]),
                )]
            }
        }
    }

    fn constructed(&self, class: ClassId) -> Types {
        // `__new__` with an annotated result wins over the class.
        vec![Type::instance(class)]
    }

    /// Result of a function of the project.
    pub(crate) fn returned(
        &self,
        id: FunctionId,
        receiver: Option<&Type>,
        call: Option<(FileId, &PythonFacts, ListId)>,
    ) -> Types {
        let Some(facts) = self.facts(id.file) else { return Types::new() };
        let Some(function) = facts.functions.get(id.index as usize) else { return Types::new() };
        if !self.returns.borrow_mut().insert((id.file, id.index)) {
            self.cut.set(true);
            return Types::new();
        }
        let types = self.bounded(|| self.returned_of(id, facts, function, receiver, call));
        self.returns.borrow_mut().remove(&(id.file, id.index));
        types
    }

    fn returned_of(
        &self,
        id: FunctionId,
        facts: &PythonFacts,
        function: &Function,
        receiver: Option<&Type>,
        call: Option<(FileId, &PythonFacts, ListId)>,
    ) -> Types {
        let mut types = Types::new();
        if !function.returns.is_none() {
            if let Expr::Name { name, .. } | Expr::Attr { name, .. } = facts.expr(function.returns)
                && let Some(receiver) = receiver
            {
                // `-> Self`, or the type variable that annotates `self`.
                let is_self = facts.name(name) == "Self"
                    || function.params.first().is_some_and(|first| {
                        matches!(facts.expr(first.annotation),
                            Expr::Name { name: other, .. } if other == name)
                    });
                if is_self {
                    let receiver = match receiver {
                        Type::Class(class) => Type::instance(*class),
                        other => other.clone(),
                    };
                    return self.wrapped(function, vec![receiver]);
                }
            }
            for ty in self.instances(id.file, function.returns) {
                merge(&mut types, self.substituted(ty, id, function, receiver, call));
            }
        } else if function.flags.is_generator {
            let mut items = Types::new();
            for &item in &function.yielded {
                merge(&mut items, self.types(id.file, item));
            }
            types = vec![Type::known("typing.Iterator", vec![items])];
        } else {
            for &item in &function.returned {
                let own = self.types(id.file, item);
                // `return self` gives back the receiver, not the class it is written in.
                let is_self = matches!((facts.expr(item), function.params.first()),
                    (Expr::Name { name, .. }, Some(first)) if first.name == name)
                    && function.class.is_some();
                match receiver {
                    Some(receiver) if is_self => merge(&mut types, vec![receiver.clone()]),
                    _ => merge(&mut types, own),
                }
            }
        }
        self.wrapped(function, types)
    }

    /// What `async` and `@contextmanager` make of a result.
    fn wrapped(&self, function: &Function, types: Types) -> Types {
        if function.flags.is_context_manager {
            let mut entered = Types::new();
            for ty in types {
                let element = match function.flags.is_async {
                    true => self.element(ty, "__aiter__", "__anext__"),
                    false => self.element(ty, "__iter__", "__next__"),
                };
                merge(&mut entered, element);
            }
            return vec![Type::known("contextlib.ContextManager", vec![entered])];
        }
        if function.flags.is_async && !function.flags.is_generator {
            return vec![Type::known("typing.Coroutine", vec![types])];
        }
        types
    }

    /// A returned type variable becomes what the matching argument is.
    fn substituted(
        &self,
        ty: Type,
        id: FunctionId,
        function: &Function,
        receiver: Option<&Type>,
        call: Option<(FileId, &PythonFacts, ListId)>,
    ) -> Types {
        let Type::Variable(_, name, _) = &ty else { return vec![ty] };
        if let Some((file, facts, args)) = call {
            let skip = usize::from(receiver.is_some() && !function.flags.is_static);
            for (index, param) in function.params.iter().enumerate().skip(skip) {
                let is_same =
                    |ty: &Type| matches!(ty, Type::Variable(_, other, _) if other == name);
                let annotated = self.instances(id.file, param.annotation);
                let is_callable = annotated.iter().any(|ty| {
                    matches!(ty, Type::ExternalInstance(path, args)
                        if library::last(path) == "Callable"
                            && args.last().is_some_and(|result| result.iter().any(is_same)))
                });
                let is_nested = annotated.iter().any(|ty| {
                    matches!(ty, Type::ExternalInstance(path, args)
                        if library::last(path) != "Callable"
                            && args.first().is_some_and(|first| first.iter().any(is_same)))
                });
                if !annotated.iter().any(is_same) && !is_callable && !is_nested {
                    continue;
                }
                let Some(argument) = argument_for(facts, args, index - skip, |keyword| {
                    self.facts(id.file).is_some_and(|own| own.name(param.name) == keyword)
                }) else {
                    continue;
                };
                let given = self.types(file, argument);
                let found: Types = if is_callable {
                    given
                        .into_iter()
                        .flat_map(|ty| self.called(file, facts, &ty, ListId::default()))
                        .collect()
                } else if is_nested {
                    given
                        .into_iter()
                        .flat_map(|ty| self.element(ty, "__iter__", "__next__"))
                        .collect()
                } else {
                    // `type[T]` was read as `T` too: a class argument gives its instances.
                    given
                        .into_iter()
                        .map(|ty| match ty {
                            Type::Class(class) => Type::instance(class),
                            other => other,
                        })
                        .collect()
                };
                if !found.is_empty() {
                    return found;
                }
            }
        }
        self.bound_of(ty)
    }
}

/// The argument for the parameter at `index`, by place or by keyword.
fn argument_for(
    facts: &PythonFacts,
    args: ListId,
    index: usize,
    is_keyword: impl Fn(&str) -> bool,
) -> Option<ExprId> {
    let args = facts.list(args);
    let keyword = args.iter().find_map(|&arg| match facts.expr(arg) {
        Expr::Keyword { name, value } if is_keyword(facts.name(name)) => Some(value),
        _ => None,
    });
    keyword.or_else(|| {
        args.iter()
            .copied()
            .filter(|&arg| !matches!(facts.expr(arg), Expr::Keyword { .. }))
            .nth(index)
    })
}
