//! Names: what a name means in a scope or module, through imports and re-exports.

use rustc_hash::FxHashSet;

use super::{Eval, Meaning};
use crate::{
    FileId,
    graph::Certainty,
    graph::python::{
        facts::{
            Binding, Builtin, Expr, Imported, NameId, PythonFacts, Scope, ScopeId, ScopeKind,
            bindings_of,
        },
        library,
        modules::Module,
    },
};

impl<'g> Eval<'g> {
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
        let folder = crate::graph::python::modules::Modules::package_folder(path)?;
        self.module(self.project.modules.within(folder, &[name]))
    }

    pub(super) fn module(&self, module: Module) -> Option<Meaning<'g>> {
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
            let end = crate::graph::python::modules::module_path(end);
            let up = whole.len() - parts.len();
            let folder = (0..up).fold(end, |path, _| crate::graph::python::modules::parent(path));
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
                        let folder = crate::graph::python::modules::Modules::package_folder(path)?;
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
}

/// The bindings that a read at `at` can see, most relevant first. Within the scope itself the
/// nearest one above in a suite around `at` hides those before it; from elsewhere all count, the
/// last first.
pub(super) fn live<'f>(
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
