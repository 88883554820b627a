//! Evaluates expressions to [`Types`], lazily and with bounds: depth, steps, and a memo that also
//! stops cycles.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    Project,
    facts::{
        Binding, Builtin, Expr, ExprId, Function, FunctionFlags, Imported, ListId, NO_SYMBOL,
        NameId, ParamKind, PythonFacts, Scope, ScopeId, ScopeKind, bindings_of,
    },
    library,
    modules::Module,
    types::{ClassId, FunctionId, Type, Types, merge},
};
use crate::{
    FileId, SymbolId,
    facts::{FileFacts, ResolverFacts},
    graph::{Certainty, Graph},
};

/// Nested evaluations of one question.
const MAX_DEPTH: u32 = 48;

/// Evaluations of one question, counted over all nestings.
const MAX_STEPS: u32 = 6_000;

/// Types found so far; `None` while an expression is being evaluated.
type TypeMemo = FxHashMap<(FileId, ExprId), Option<Arc<Types>>>;

/// Evaluates on behalf of one question; what it learns is dropped with it.
pub(crate) struct Eval<'g> {
    pub(crate) graph: &'g Graph,
    pub(crate) project: &'g Project,
    /// Facts of a buffer, instead of the indexed ones of its file.
    buffer: Option<(FileId, &'g FileFacts)>,
    depth: Cell<u32>,
    steps: Cell<u32>,
    /// A bound was met: results since are incomplete and not remembered.
    cut: Cell<bool>,
    types: RefCell<TypeMemo>,
    linearizations: RefCell<FxHashMap<ClassId, Option<Arc<Linear>>>>,
    returns: RefCell<FxHashSet<(FileId, u32)>>,
}

/// A class and everything it inherits from, in method resolution order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Linear {
    pub(crate) classes: Vec<ClassId>,
    /// Bases outside the project, dotted.
    pub(crate) external: Vec<Arc<str>>,
    /// A base could not be resolved at all.
    pub(crate) is_open: bool,
}

/// What a name or attribute means.
#[derive(Clone, Debug)]
pub(crate) enum Meaning<'g> {
    /// Bound at these places of one scope or class, most relevant first.
    Bound {
        file: FileId,
        bindings: Vec<&'g Binding>,
        certainty: Certainty,
    },
    Module(FileId),
    Folder(Arc<str>),
    External(Arc<str>),
}

impl<'g> Eval<'g> {
    pub(crate) fn new(graph: &'g Graph) -> Self {
        Self {
            graph,
            project: graph.python_project(),
            buffer: None,
            depth: Cell::new(0),
            steps: Cell::new(0),
            cut: Cell::new(false),
            types: RefCell::default(),
            linearizations: RefCell::default(),
            returns: RefCell::default(),
        }
    }

    /// Like [`Eval::new`], with `facts` in place of the indexed ones of `file`.
    pub(crate) fn with_buffer(graph: &'g Graph, file: FileId, facts: &'g FileFacts) -> Self {
        Self { buffer: Some((file, facts)), ..Self::new(graph) }
    }

    pub(crate) fn facts(&self, file: FileId) -> Option<&'g PythonFacts> {
        match &self.file_facts(file)?.resolver {
            ResolverFacts::Python(facts) => Some(facts),
            _ => None,
        }
    }

    pub(crate) fn file_facts(&self, file: FileId) -> Option<&'g FileFacts> {
        match self.buffer {
            Some((buffered, facts)) if buffered == file => Some(facts),
            _ => self.graph.facts(file).map(Arc::as_ref),
        }
    }

    /// What the `index`-th parameter of a function is.
    pub(crate) fn types_of_parameter(&self, file: FileId, function: u32, index: u16) -> Types {
        self.facts(file)
            .map(|facts| self.parameter(file, facts, function, index))
            .unwrap_or_default()
    }

    /// Runs `work` unless a bound is met.
    fn bounded<T: Default>(&self, work: impl FnOnce() -> T) -> T {
        if self.depth.get() >= MAX_DEPTH || self.steps.get() >= MAX_STEPS {
            self.cut.set(true);
            return T::default();
        }
        self.depth.set(self.depth.get() + 1);
        self.steps.set(self.steps.get() + 1);
        let result = work();
        self.depth.set(self.depth.get() - 1);
        result
    }

    // ---- names ----

    /// What `name` means in `scope` at offset `at`.
    pub(crate) fn lookup(
        &self,
        file: FileId,
        scope: ScopeId,
        name: NameId,
        at: u32,
    ) -> Option<Meaning<'g>> {
        let facts = self.facts(file)?;
        let mut here = scope;
        let mut is_first = true;
        for _ in 0..facts.scopes.len().min(512) {
            let scope = facts.scope(here)?;
            if let Some(&(_, is_global)) = scope.outer.iter().find(|(outer, _)| *outer == name) {
                here = if is_global { ScopeId::MODULE } else { scope.parent };
                is_first = false;
                if !is_global {
                    continue;
                }
            }
            let scope = facts.scope(here)?;
            if is_first || scope.kind != ScopeKind::Class {
                let bound = bindings_of(&scope.bindings, name);
                let mut live = live(facts, scope, bound, at, is_first);
                if scope.kind == ScopeKind::Class {
                    live.retain(|binding| visible_from(facts, binding) <= at);
                }
                if !live.is_empty() {
                    return Some(Meaning::Bound {
                        file,
                        bindings: live,
                        certainty: Certainty::Exact,
                    });
                }
            }
            // A comprehension in a class body sees the class's names through its first iterable
            // only; being lenient here finds more than it spoils.
            is_first = is_first && scope.kind == ScopeKind::Comprehension;
            if here == ScopeId::MODULE {
                break;
            }
            here = scope.parent;
        }
        let text = facts.name(name);
        if let Some(found) = self.starred(file, text, &mut Vec::new()) {
            return Some(found);
        }
        library::is_builtin(text).then(|| Meaning::External(format!("builtins.{text}").into()))
    }

    /// A name that a star import brings into the module.
    fn starred(&self, file: FileId, name: &str, seen: &mut Vec<FileId>) -> Option<Meaning<'g>> {
        let facts = self.facts(file)?;
        let module = facts.scope(ScopeId::MODULE)?;
        for &import in module.stars.iter().rev() {
            let Some(Meaning::Module(from)) = self.import_module(file, import, usize::MAX) else {
                continue;
            };
            if seen.contains(&from) || seen.len() > 16 || !self.exports(from, name) {
                continue;
            }
            seen.push(from);
            if let Some(found) = self.module_member_within(from, name, seen) {
                return Some(found);
            }
        }
        None
    }

    /// True if `import *` takes `name` from `file`.
    fn exports(&self, file: FileId, name: &str) -> bool {
        let Some(facts) = self.facts(file) else { return false };
        match &facts.all {
            Some(all) => all.iter().any(|&listed| facts.name(listed) == name),
            None => !name.starts_with('_'),
        }
    }

    /// What `name` is as an attribute of the module `file`.
    pub(crate) fn module_member(&self, file: FileId, name: &str) -> Option<Meaning<'g>> {
        self.module_member_within(file, name, &mut Vec::new())
    }

    fn module_member_within(
        &self,
        file: FileId,
        name: &str,
        seen: &mut Vec<FileId>,
    ) -> Option<Meaning<'g>> {
        let facts = self.facts(file)?;
        let module = facts.scope(ScopeId::MODULE)?;
        let bound =
            facts.name_id(name).map(|name| bindings_of(&module.bindings, name)).unwrap_or_default();
        if !bound.is_empty() {
            let bindings = live(facts, module, bound, u32::MAX, true);
            return Some(Meaning::Bound { file, bindings, certainty: Certainty::Exact });
        }
        if let Some(found) = self.starred(file, name, seen) {
            return Some(found);
        }
        let path = self.graph.path(file)?;
        let folder = super::modules::Modules::package_folder(path)?;
        self.module(self.project.modules.within(folder, &[name]))
    }

    fn module(&self, module: Module) -> Option<Meaning<'g>> {
        match module {
            Module::File(file) => Some(Meaning::Module(file)),
            Module::Folder(folder) => Some(Meaning::Folder(folder.into())),
            Module::External => None,
        }
    }

    /// The module of an import, or its first `depth + 1` parts.
    pub(crate) fn import_module(
        &self,
        file: FileId,
        import: u32,
        depth: usize,
    ) -> Option<Meaning<'g>> {
        let facts = self.facts(file)?;
        let import = facts.imports.get(import as usize)?;
        let path = self.graph.path(file)?;
        let parts: Vec<&str> = import
            .module
            .iter()
            .take(depth.saturating_add(1))
            .map(|&part| facts.name(part))
            .collect();
        if import.level > 0 {
            return self.module(self.project.modules.relative(path, import.level, &parts));
        }
        // A longer path decides which of several roots is meant.
        let whole: Vec<&str> = import.module.iter().map(|&part| facts.name(part)).collect();
        if whole.len() > parts.len()
            && let Module::File(end) = self.project.modules.absolute(path, &whole)
            && let Some(end) = self.graph.path(end)
        {
            let end = super::modules::module_path(end);
            let up = whole.len() - parts.len();
            let folder = (0..up).fold(end, |path, _| super::modules::parent(path));
            if let Some(found) = self.module(self.project.modules.within(folder, &[])) {
                return Some(found);
            }
        }
        let found = self.module(self.project.modules.absolute(path, &parts));
        Some(found.unwrap_or_else(|| Meaning::External(parts.join(".").into())))
    }

    /// What an import binds.
    pub(crate) fn imported(&self, file: FileId, import: u32) -> Option<Meaning<'g>> {
        let facts = self.facts(file)?;
        match facts.imports.get(import as usize)?.what {
            Imported::Root => self.import_module(file, import, 0),
            Imported::Whole | Imported::Star => self.import_module(file, import, usize::MAX),
            Imported::Name(name) => {
                let name = facts.name(name);
                match self.import_module(file, import, usize::MAX)? {
                    Meaning::Module(from) if from == file => {
                        // `from . import x` inside the package's own `__init__`.
                        let path = self.graph.path(file)?;
                        let folder = super::modules::Modules::package_folder(path)?;
                        self.module(self.project.modules.within(folder, &[name]))
                    }
                    Meaning::Module(from) => self.bounded(|| self.module_member(from, name)),
                    Meaning::Folder(folder) => {
                        self.module(self.project.modules.within(&folder, &[name]))
                    }
                    Meaning::External(path) => {
                        Some(Meaning::External(format!("{path}.{name}").into()))
                    }
                    Meaning::Bound { .. } => None,
                }
            }
        }
    }

    /// Follows bindings that are imports to what they name, through any number of modules.
    pub(crate) fn follow(&self, meaning: Meaning<'g>) -> Vec<Meaning<'g>> {
        let mut done = Vec::new();
        let mut work = vec![(meaning, 0)];
        let mut seen: FxHashSet<(FileId, u32)> = FxHashSet::default();
        while let Some((meaning, hops)) = work.pop() {
            let Meaning::Bound { file, bindings, certainty } = meaning else {
                done.push(meaning);
                continue;
            };
            let Some(facts) = self.facts(file) else { continue };
            let (imports, own): (Vec<&Binding>, Vec<&Binding>) = bindings
                .into_iter()
                .partition(|binding| matches!(facts.expr(binding.value), Expr::Import(_)));
            let mut followed = Vec::new();
            for binding in imports {
                let Expr::Import(import) = facts.expr(binding.value) else { continue };
                if hops > 32 || !seen.insert((file, import)) {
                    continue;
                }
                if let Some(next) = self.imported(file, import) {
                    followed.push((next, hops + 1));
                }
            }
            // Last in, first out: what is in the project comes first.
            followed.sort_by_key(|(meaning, _)| !matches!(meaning, Meaning::External(_)));
            if !own.is_empty() {
                done.push(Meaning::Bound { file, bindings: own, certainty });
            }
            work.extend(followed);
        }
        // A fallback such as `name = None` beside a project import is not what is meant.
        if done.len() > 1 {
            done.sort_by_key(|meaning| match meaning {
                Meaning::Bound { file, bindings, .. } => {
                    let is_none = self.facts(*file).is_some_and(|facts| {
                        bindings.iter().all(|binding| {
                            matches!(
                                facts.expr(binding.value),
                                Expr::Unknown | Expr::Literal(Builtin::None)
                            )
                        })
                    });
                    if is_none { 2 } else { 0 }
                }
                Meaning::Module(_) => 0,
                Meaning::Folder(_) => 1,
                Meaning::External(_) => 3,
            });
        }
        done
    }

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

    // ---- expressions ----

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

    // ---- annotations ----

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

    // ---- parameters and calls ----

    fn parameter(&self, file: FileId, facts: &PythonFacts, function: u32, index: u16) -> Types {
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

    fn call(&self, file: FileId, facts: &PythonFacts, callee: ExprId, args: ListId) -> Types {
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

    // ---- protocols ----

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
    fn base_arguments(&self, ty: &Type) -> Types {
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

    fn entered(&self, ty: Type, method: &str) -> Types {
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
    fn item(&self, ty: Type, index: u16) -> Types {
        match &ty {
            Type::ExternalInstance(path, args) if library::last(path).to_lowercase() == "tuple" => {
                args.get(index as usize).or(args.first()).cloned().unwrap_or_default()
            }
            _ => self.element(ty, "__iter__", "__next__"),
        }
    }

    fn subscript(&self, file: FileId, facts: &PythonFacts, object: ExprId, index: ExprId) -> Types {
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

    // ---- attributes ----

    /// The values of `object.name`.
    pub(crate) fn attribute(&self, object: &Type, name: &str) -> Types {
        self.bounded(|| {
            let mut types = Types::new();
            for (meaning, owner) in self.members(object, name) {
                match meaning {
                    Meaning::Bound { file, bindings, .. } if owner.is_some() => {
                        let receiver = self.receiver(object);
                        for binding in bindings {
                            merge(&mut types, self.read(file, binding, &receiver, owner));
                        }
                    }
                    other => merge(&mut types, self.types_of_meaning(other)),
                }
            }
            if types.is_empty() {
                types = self.library_attribute(object, name);
            }
            types
        })
    }

    /// What a method of `object` is bound to.
    fn receiver(&self, object: &Type) -> Type {
        match object {
            Type::Super(class) => Type::instance(*class),
            other => other.clone(),
        }
    }

    /// The value of a class member read through `receiver`.
    fn read(
        &self,
        file: FileId,
        binding: &Binding,
        receiver: &Type,
        owner: Option<ClassId>,
    ) -> Types {
        let Some(facts) = self.facts(file) else { return Types::new() };
        if let Expr::Function(index) = facts.expr(binding.value) {
            let Some(function) = facts.functions.get(index as usize) else { return Types::new() };
            let id = FunctionId { file, index };
            if function.flags.is_property && matches!(receiver, Type::Instance(..)) {
                if function.flags.is_accessor {
                    return Types::new();
                }
                return self.returned(id, Some(receiver), None);
            }
            return vec![Type::Function(id, Some(Arc::new(receiver.clone())))];
        }
        if let Some(owner) = owner
            && binding.annotation.is_none()
            && !matches!(facts.expr(binding.value), Expr::Class(_))
            && self.is_enum_member(owner, facts, binding)
        {
            return vec![Type::instance(owner)];
        }
        let types = self.types_of_binding(file, binding, Some(receiver));
        // Descriptors give what `__get__` returns.
        let mut read = Types::new();
        for ty in types {
            let got = match &ty {
                Type::Instance(class, _) if self.find_member(*class, "__get__").is_some() => {
                    self.method_result(&ty, "__get__")
                }
                _ => Types::new(),
            };
            if got.is_empty() {
                merge(&mut read, self.bound_argument(ty, receiver, file));
            } else {
                merge(&mut read, got);
            }
        }
        read
    }

    /// A class's type variable becomes the receiver's argument, if it is the only one.
    fn bound_argument(&self, ty: Type, receiver: &Type, _file: FileId) -> Types {
        if let (Type::Variable(..), Type::Instance(_, args)) = (&ty, receiver)
            && let [only] = &args[..]
            && !only.is_empty()
        {
            return only.clone();
        }
        self.bound_of(ty)
    }

    fn is_enum_member(&self, owner: ClassId, facts: &PythonFacts, binding: &Binding) -> bool {
        !facts.name(binding.name).starts_with('_')
            && binding.symbol != NO_SYMBOL
            && !binding.value.is_none()
            && self.is_enum(owner)
    }

    pub(crate) fn is_enum(&self, class: ClassId) -> bool {
        self.linear(class).external.iter().any(|base| {
            matches!(
                library::last(base),
                "Enum" | "IntEnum" | "StrEnum" | "Flag" | "IntFlag" | "ReprEnum"
            )
        })
    }

    /// What `name` means as a member of `object`, with the class it was found in.
    pub(crate) fn members(&self, object: &Type, name: &str) -> Vec<(Meaning<'g>, Option<ClassId>)> {
        match object {
            Type::Module(file) => {
                self.module_member(*file, name).map(|found| (found, None)).into_iter().collect()
            }
            Type::Folder(folder) => self
                .module(self.project.modules.within(folder, &[name]))
                .map(|found| (found, None))
                .into_iter()
                .collect(),
            Type::Instance(class, _) | Type::Class(class) => {
                self.find_member(*class, name).into_iter().collect()
            }
            Type::Super(class) => {
                let linear = self.linear(*class);
                self.find_in(&linear.classes[1.min(linear.classes.len())..], name)
                    .into_iter()
                    .collect()
            }
            Type::Variable(file, _, bound) => self
                .instances(*file, *bound)
                .iter()
                .filter(|ty| !matches!(ty, Type::Variable(..)))
                .flat_map(|ty| self.members(ty, name))
                .collect(),
            Type::External(path) => {
                vec![(Meaning::External(format!("{path}.{name}").into()), None)]
            }
            Type::ExternalInstance(..) | Type::Function(..) | Type::Lambda(..) => Vec::new(),
        }
    }

    fn find_member(&self, class: ClassId, name: &str) -> Option<(Meaning<'g>, Option<ClassId>)> {
        self.find_in(&self.linear(class).classes, name)
    }

    fn find_in(&self, classes: &[ClassId], name: &str) -> Option<(Meaning<'g>, Option<ClassId>)> {
        let mut first = None;
        for &class in classes {
            let Some(bindings) = self.own_member(class, name) else { continue };
            let is_declared = self.facts(class.file).is_some_and(|facts| {
                bindings.first().is_some_and(|binding| is_declaration(facts, binding))
            });
            let meaning =
                Meaning::Bound { file: class.file, bindings, certainty: Certainty::Exact };
            // A declared type above says more than an assignment below.
            if is_declared {
                return Some((meaning, Some(class)));
            }
            first.get_or_insert((meaning, Some(class)));
        }
        first
    }

    /// Where `class` itself binds `name`: its body first, then its methods.
    pub(crate) fn own_member(&self, class: ClassId, name: &str) -> Option<Vec<&'g Binding>> {
        let facts = self.facts(class.file)?;
        let info = facts.classes.get(class.index as usize)?;
        let name = facts.name_id(name)?;
        let scope = facts.scope(info.scope)?;
        let body = bindings_of(&scope.bindings, name);
        let mut found = live(facts, scope, body, u32::MAX, true);
        let attributes = bindings_of(&info.attributes, name);
        let is_declared = found.iter().any(|binding| is_declaration(facts, binding));
        if !is_declared {
            match attributes.iter().find(|binding| !binding.annotation.is_none()) {
                Some(annotated) => found.insert(0, annotated),
                None => found.extend(attributes),
            }
        }
        (!found.is_empty()).then_some(found)
    }

    /// Attributes of built-in types that lead back into the project.
    fn library_attribute(&self, object: &Type, name: &str) -> Types {
        match object {
            Type::ExternalInstance(path, args) => library::attribute(path, args, name),
            Type::Instance(class, _) => match name {
                "__class__" => vec![Type::Class(*class)],
                _ => {
                    // A subclass of `dict[K, V]` has its methods.
                    let mut types = Types::new();
                    for path in &self.linear(*class).external {
                        let args = [self.base_arguments(object)];
                        merge(&mut types, library::attribute(path, &args, name));
                    }
                    types
                }
            },
            _ => Types::new(),
        }
    }

    // ---- classes ----

    /// The method resolution order of `class`. Where bases contradict each other or run in a
    /// circle, the order is by depth, every class once.
    pub(crate) fn linear(&self, class: ClassId) -> Arc<Linear> {
        match self.linearizations.borrow().get(&class) {
            Some(Some(known)) => return known.clone(),
            Some(None) => {
                return Arc::new(Linear { classes: vec![class], ..Linear::default() });
            }
            None => {}
        }
        self.linearizations.borrow_mut().insert(class, None);
        let linear = Arc::new(self.linearize(class));
        self.linearizations.borrow_mut().insert(class, Some(linear.clone()));
        linear
    }

    fn linearize(&self, class: ClassId) -> Linear {
        let mut linear = Linear { classes: vec![class], ..Linear::default() };
        let mut sequences: Vec<Vec<ClassId>> = Vec::new();
        let mut direct = Vec::new();
        for base in self.bases(class) {
            match base {
                Type::Class(base) if base != class => {
                    let theirs = self.bounded(|| Some(self.linear(base))).unwrap_or_default();
                    for external in &theirs.external {
                        if !linear.external.contains(external) {
                            linear.external.push(external.clone());
                        }
                    }
                    linear.is_open |= theirs.is_open;
                    sequences.push(theirs.classes.clone());
                    direct.push(base);
                }
                Type::External(path) => {
                    if !matches!(library::last(&path), "object" | "Generic" | "Protocol" | "ABC") {
                        linear.external.push(path);
                    }
                }
                _ => linear.is_open = true,
            }
        }
        sequences.push(direct);
        while let Some(next) = next_class(&sequences) {
            if linear.classes.len() > 256 {
                break;
            }
            if !linear.classes.contains(&next) {
                linear.classes.push(next);
            }
            for sequence in &mut sequences {
                sequence.retain(|&other| other != next);
            }
        }
        linear
    }

    /// The direct bases; an unresolved one is left out and makes the class open.
    pub(crate) fn bases(&self, class: ClassId) -> Types {
        let Some(facts) = self.facts(class.file) else { return Types::new() };
        let Some(info) = facts.classes.get(class.index as usize) else { return Types::new() };
        let mut bases = Types::new();
        for &base in &info.bases {
            let types = self.types(class.file, base);
            if types.is_empty() {
                bases.push(Type::Lambda(class.file, ExprId::NONE));
            }
            merge(&mut bases, types);
        }
        bases
    }

    /// The symbol of a class.
    pub(crate) fn class_symbol(&self, class: ClassId) -> Option<SymbolId> {
        let info = self.facts(class.file)?.classes.get(class.index as usize)?;
        Some(SymbolId { file: class.file, index: info.symbol })
    }
}

/// The head of the first sequence that stands in no other's tail; if none does, the first head.
fn next_class(sequences: &[Vec<ClassId>]) -> Option<ClassId> {
    let heads = || sequences.iter().filter_map(|sequence| sequence.first());
    heads()
        .find(|head| !sequences.iter().any(|other| other.iter().skip(1).any(|c| c == *head)))
        .or_else(|| heads().next())
        .copied()
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

/// The bindings that a read at `at` can see, most relevant first. Within the scope itself the
/// nearest one above in a suite around `at` hides those before it; from elsewhere all count, the
/// last first.
fn live<'f>(
    facts: &PythonFacts,
    scope: &Scope,
    bindings: &'f [Binding],
    at: u32,
    is_own: bool,
) -> Vec<&'f Binding> {
    if bindings.len() < 2 {
        return bindings.iter().collect();
    }
    let mut found = Vec::new();
    if is_own {
        for binding in bindings.iter().rev() {
            if binding.at >= at {
                continue;
            }
            found.push(binding);
            let hides = if at == u32::MAX {
                binding.block.start <= scope.range.start.max(binding.block.start)
                    && is_suite_of(scope, binding)
            } else {
                binding.block.contains(at)
            };
            if hides {
                break;
            }
        }
    }
    if found.is_empty() {
        found = bindings.iter().rev().collect();
    }
    // An accessor or overload is not the definition people look for.
    found.sort_by_key(|binding| match facts.expr(binding.value) {
        Expr::Function(index) => facts
            .functions
            .get(index as usize)
            .map_or(0, |f| u8::from(f.flags.is_accessor) + 2 * u8::from(f.flags.is_overload)),
        _ => 0,
    });
    if found.iter().any(|binding| is_accessor(facts, binding)) {
        // A property's getter stands above its setter.
        let mut getters: Vec<&Binding> =
            bindings.iter().filter(|binding| !is_accessor(facts, binding)).collect();
        getters.extend(found.iter().filter(|binding| is_accessor(facts, binding)));
        return getters;
    }
    found
}

/// True for a definition or an annotated name: its type does not depend on the value.
fn is_declaration(facts: &PythonFacts, binding: &Binding) -> bool {
    !binding.annotation.is_none()
        || matches!(facts.expr(binding.value), Expr::Function(_) | Expr::Class(_))
}

fn is_accessor(facts: &PythonFacts, binding: &Binding) -> bool {
    matches!(facts.expr(binding.value), Expr::Function(index)
        if facts.functions.get(index as usize).is_some_and(|f| f.flags.is_accessor))
}

/// True if the binding stands directly in the scope's own suite, not in an `if` or `try`.
fn is_suite_of(scope: &Scope, binding: &Binding) -> bool {
    match scope.kind {
        ScopeKind::Module => binding.block.start == 0 || binding.block.covers(scope.range),
        _ => scope.range.end == binding.block.end,
    }
}

/// Where a class body's name begins to mean this binding.
fn visible_from(facts: &PythonFacts, binding: &Binding) -> u32 {
    match facts.expr(binding.value) {
        Expr::Function(index) => facts
            .functions
            .get(index as usize)
            .and_then(|function| facts.scope(function.scope))
            .map_or(binding.at, |scope| scope.range.end),
        _ => binding.at,
    }
}
