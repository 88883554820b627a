//! Paths: from the first segment's scope, through modules, uses, globs and types.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    sync::Arc,
};

use rustc_hash::FxHashSet;
use smallvec::SmallVec;

use super::{
    facts::{PathId, RustFacts, ScopeId, ScopeKind, Space},
    infer::Ty,
    project::{Entry, Module, NameInModule, Project, rust, shows_items},
    std_names,
};
use crate::{FileFacts, FileId, SymbolId, facts::SymbolKind, graph::Graph};

/// What a name can lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Def {
    Symbol(SymbolId),
    Module(Module),
    /// Outside the project: `::` path.
    External(Arc<str>),
}

/// Lookups do not nest deeper: cyclic re-exports end here.
const MAX_LOOKUP_DEPTH: u32 = 24;

/// One question to the Rust rules; counts nesting.
pub(crate) struct Query<'g> {
    pub(crate) graph: &'g Graph,
    pub(crate) project: &'g Project,
    pub(crate) depth: Cell<u32>,
    /// Nested lookups met the bound: the answer may be incomplete and is not kept.
    pub(crate) was_cut: Cell<bool>,
    /// Lookups under way, outermost first.
    under_way: RefCell<Vec<Lookup>>,
    /// The outermost of them that a nested lookup came back to; what lies between is only right as a
    /// part of it. [`usize::MAX`] if none did.
    came_back_to: Cell<usize>,
}

/// A lookup that may come back to itself: modules import each other's names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Lookup {
    Name(NameInModule),
    Globs(FileId, ScopeId),
}

impl<'g> Query<'g> {
    pub(crate) fn new(graph: &'g Graph) -> Self {
        Self {
            graph,
            project: graph.rust_project(),
            depth: Cell::new(0),
            was_cut: Cell::new(false),
            under_way: RefCell::default(),
            came_back_to: Cell::new(usize::MAX),
        }
    }

    /// Runs `work`, and says whether its result may be kept: neither was a nested lookup cut, nor did
    /// one come back to a lookup that is still under way.
    pub(crate) fn noting<T>(&self, work: impl FnOnce() -> T) -> (T, bool) {
        let was_cut = self.was_cut.replace(false);
        let came_back_to = self.came_back_to.replace(usize::MAX);
        let result = work();
        let is_whole = !self.was_cut.get() && self.came_back_to.get() == usize::MAX;
        self.was_cut.set(self.was_cut.get() | was_cut);
        self.came_back_to.set(self.came_back_to.get().min(came_back_to));
        (result, is_whole)
    }

    /// Runs `work` for `lookup`, or answers the default if that is under way. Also says whether the
    /// result may be kept.
    fn once<T: Default>(&self, lookup: Lookup, work: impl FnOnce() -> T) -> (T, bool) {
        let depth = self.under_way.borrow().len();
        let at = self.under_way.borrow().iter().position(|other| *other == lookup);
        if let Some(at) = at {
            self.came_back_to.set(self.came_back_to.get().min(at));
            return (T::default(), false);
        }
        self.under_way.borrow_mut().push(lookup);
        let was_cut = self.was_cut.replace(false);
        let before = self.came_back_to.replace(usize::MAX);
        let result = self.deeper(MAX_LOOKUP_DEPTH, work);
        self.under_way.borrow_mut().pop();
        // What came back to this lookup itself is complete with it.
        let outside = Some(self.came_back_to.get()).filter(|&to| to < depth).unwrap_or(usize::MAX);
        let is_whole = !self.was_cut.get() && outside == usize::MAX;
        self.was_cut.set(self.was_cut.get() | was_cut);
        self.came_back_to.set(before.min(outside));
        (result, is_whole)
    }

    pub(crate) fn file(&self, file: FileId) -> Option<(&'g FileFacts, &'g RustFacts)> {
        let facts = self.graph.facts(file)?;
        Some((facts, rust(facts)?))
    }

    pub(crate) fn kind(&self, symbol: SymbolId) -> Option<SymbolKind> {
        self.graph.symbol(symbol).map(|facts| facts.kind)
    }

    /// Runs `work` one level deeper, or answers the default past `limit`.
    pub(crate) fn deeper<T: Default>(&self, limit: u32, work: impl FnOnce() -> T) -> T {
        if self.depth.get() >= limit {
            self.was_cut.set(true);
            return T::default();
        }
        self.depth.set(self.depth.get() + 1);
        let result = work();
        self.depth.set(self.depth.get() - 1);
        result
    }

    /// What the first `n_segments` segments of a path lead to.
    pub(crate) fn path(
        &self,
        file: FileId,
        path: PathId,
        n_segments: usize,
        space: Space,
    ) -> Vec<Def> {
        self.deeper(MAX_LOOKUP_DEPTH * 3, || self.path_inner(file, path, n_segments, space))
    }

    fn path_inner(&self, file: FileId, path: PathId, n_segments: usize, space: Space) -> Vec<Def> {
        let Some((_, facts)) = self.file(file) else { return Vec::new() };
        let Some(path) = facts.paths.get(path as usize) else { return Vec::new() };
        let n_segments = n_segments.min(path.segments.len());
        let segments = &path.segments[..n_segments];
        let space_of = |index: usize| if index + 1 == n_segments { space } else { Space::Type };
        if let Some(ty) = path.qualified {
            let ty = self.ty(file, ty);
            let of_trait = path.of_trait.map(|of_trait| self.ty(file, of_trait));
            let Some((&first, rest)) = segments.split_first() else { return Vec::new() };
            let mut found = self.qualified(&ty, of_trait.as_ref(), facts.name(first));
            for (index, &name) in rest.iter().enumerate() {
                let space = space_of(index + 1);
                let name = facts.name(name);
                found = found.iter().flat_map(|def| self.inside(def, name, space)).collect();
            }
            return found;
        }
        let Some(&first) = segments.first() else { return Vec::new() };
        let name = facts.name(first);
        let mut found = if path.is_global {
            self.extern_crate(file, name).into_iter().collect()
        } else {
            self.lexical(file, path.at, name, space_of(0))
        };
        for (index, &name) in segments.iter().enumerate().skip(1) {
            let name = facts.name(name);
            let mut next: Vec<Def> = Vec::new();
            for def in &found {
                for def in self.inside(def, name, space_of(index)) {
                    if !next.contains(&def) {
                        next.push(def);
                    }
                }
            }
            found = next;
        }
        found
    }

    /// `name` as seen at `at`: locals, generics, items of blocks, the module, crates, the prelude.
    pub(crate) fn lexical(&self, file: FileId, at: u32, name: &str, space: Space) -> Vec<Def> {
        let Some((facts, here)) = self.file(file) else { return Vec::new() };
        let scope = here.scope_at(at);
        let module = Module { file, scope: here.module_of(scope) };
        match name {
            "crate" | "$crate" => {
                let root = self.project.tree.root_of(file);
                return vec![Def::Module(Module { file: root, scope: 0 })];
            }
            "super" => {
                return self
                    .project
                    .tree
                    .parent(self.graph, module)
                    .map(Def::Module)
                    .into_iter()
                    .collect();
            }
            "self" if space == Space::Type => return vec![Def::Module(module)],
            "Self" => return self.self_type(file, scope).into_iter().collect(),
            _ => {}
        }
        let index = self.project.index(self.graph, file);
        let entries = index.by_name.get(name).map(|e| e.as_slice()).unwrap_or_default();
        let mut next = Some(scope);
        while let Some(scope) = next {
            let Some(scope_facts) = here.scopes.get(scope as usize) else { break };
            if scope_facts.kind == ScopeKind::Module {
                break;
            }
            let is_block = shows_items(scope_facts.kind);
            let mut found: Option<(u32, Def)> = None;
            let mut items = Vec::new();
            for &(_, entry) in entries.iter().filter(|(s, _)| *s == scope) {
                match entry {
                    Entry::Binding(binding) if matches!(space, Space::Value | Space::Any) => {
                        let binding = &here.bindings[binding as usize];
                        let is_visible = binding.visible_from <= at;
                        if is_visible
                            && found.as_ref().is_none_or(|(from, _)| *from <= binding.visible_from)
                        {
                            let symbol = SymbolId { file, index: binding.symbol };
                            found = Some((binding.visible_from, Def::Symbol(symbol)));
                        }
                    }
                    Entry::Symbol(symbol) => {
                        let kind = facts.symbols[symbol as usize].kind;
                        let is_shown = is_block || kind == SymbolKind::TypeParameter;
                        if is_shown && fits(kind, space) {
                            items.push(self.def_of(SymbolId { file, index: symbol }));
                        }
                    }
                    Entry::Use(number) if is_block => {
                        items.extend(self.used(file, number, space));
                    }
                    _ => {}
                }
            }
            if let Some((_, def)) = found {
                return vec![def];
            }
            if items.is_empty() && is_block {
                let globs = self.glob_targets(file, scope);
                let around = Module { file, scope };
                items = self.through_globs(around, &globs, name, space);
            }
            if !items.is_empty() {
                return items;
            }
            next = scope_facts.parent;
        }
        let found = self.in_module(module, name, space);
        if !found.is_empty() {
            return found.to_vec();
        }
        if space == Space::Macro {
            return self.macros_named(file, name);
        }
        if space != Space::Value
            && let Some(def) = self.extern_crate(file, name)
        {
            return vec![def];
        }
        std_names::prelude(name).map(|path| Def::External(path.into())).into_iter().collect()
    }

    /// `macro_rules!` follow the text, not the modules: any of the crate, then of its neighbors.
    fn macros_named(&self, file: FileId, name: &str) -> Vec<Def> {
        let mut found: Vec<SymbolId> = self
            .graph
            .symbols_named(name)
            .into_iter()
            .filter(|&symbol| self.kind(symbol) == Some(SymbolKind::Macro))
            .collect();
        found.sort_by_key(|symbol| {
            let public = self.graph.symbol(*symbol).is_some_and(|s| s.is_public);
            (symbol.file != file, !self.project.tree.same_crate(symbol.file, file), !public)
        });
        if found.is_empty()
            || std_names::MACROS.contains(&name)
                && !found.iter().any(|s| self.project.tree.same_crate(s.file, file))
        {
            return std_names::MACROS
                .contains(&name)
                .then(|| Def::External(format!("std::{name}").into()))
                .into_iter()
                .collect();
        }
        found.into_iter().map(Def::Symbol).take(4).collect()
    }

    /// `#[macro_export]` puts a macro into its crate's root, wherever it stands.
    fn exported_macros(&self, module: Module, name: &str) -> Vec<Def> {
        let tree = &self.project.tree;
        if module.scope != 0 || tree.root_of(module.file) != module.file {
            return Vec::new();
        }
        self.graph
            .symbols_named(name)
            .into_iter()
            .filter(|&symbol| self.kind(symbol) == Some(SymbolKind::Macro))
            .filter(|symbol| tree.same_crate(symbol.file, module.file))
            .map(Def::Symbol)
            .collect()
    }

    fn extern_crate(&self, file: FileId, name: &str) -> Option<Def> {
        Some(match self.project.tree.crate_named(file, name)? {
            Some(root) => Def::Module(Module { file: root, scope: 0 }),
            None => Def::External(name.into()),
        })
    }

    /// The type that `Self` means around `scope`.
    pub(crate) fn self_type(&self, file: FileId, scope: ScopeId) -> Option<Def> {
        let (facts, here) = self.file(file)?;
        let mut next = Some(scope);
        while let Some(scope) = next {
            let scope_facts = here.scopes.get(scope as usize)?;
            match scope_facts.kind {
                ScopeKind::Impl(number) => {
                    let implementation = here.impls.get(number as usize)?;
                    return match self.ty(file, implementation.self_type) {
                        Ty::Adt(symbol, _) | Ty::Param(symbol) => Some(Def::Symbol(symbol)),
                        Ty::External(name, _) => Some(Def::External(name)),
                        Ty::Bounds(traits) => traits.first().copied().map(Def::Symbol),
                        _ => None,
                    };
                }
                ScopeKind::Item(symbol)
                    if matches!(
                        facts.symbols[symbol as usize].kind,
                        SymbolKind::Trait
                            | SymbolKind::Struct
                            | SymbolKind::Enum
                            | SymbolKind::Union
                    ) =>
                {
                    return Some(Def::Symbol(SymbolId { file, index: symbol }));
                }
                _ => next = scope_facts.parent,
            }
        }
        None
    }

    /// A symbol as a definition: modules become the module they open.
    pub(crate) fn def_of(&self, symbol: SymbolId) -> Def {
        if self.kind(symbol) == Some(SymbolKind::Module)
            && let Some((facts, here)) = self.file(symbol.file)
        {
            let item = &here.items[symbol.index as usize];
            if let Some(scope) = item.inner {
                return Def::Module(Module { file: symbol.file, scope });
            }
            let module = Module { file: symbol.file, scope: here.module_of(item.scope) };
            let name = &facts.symbols[symbol.index as usize].name;
            if name.is_empty() {
                return Def::Module(module);
            }
            if let Some(&file) = self.project.tree.child_files(self.graph, module, name).first() {
                return Def::Module(Module { file, scope: 0 });
            }
        }
        Def::Symbol(symbol)
    }

    /// The symbol to show for a definition.
    pub(crate) fn symbol_of(&self, def: &Def) -> Option<SymbolId> {
        match def {
            Def::Symbol(symbol) => Some(*symbol),
            Def::Module(module) => self.project.tree.declaration(self.graph, *module),
            Def::External(_) => None,
        }
    }

    /// `name` in a module: items, then named uses, then globs. Kept for the snapshot.
    pub(crate) fn in_module(&self, module: Module, name: &str, space: Space) -> Arc<[Def]> {
        let key = (module, Box::<str>::from(name), space);
        let kept = self.project.in_module.read().expect("no panic while locked").get(&key).cloned();
        if let Some(kept) = kept {
            return kept;
        }
        let lookup = Lookup::Name(key.clone());
        let (found, is_whole) = self.once(lookup, || self.in_module_inner(module, name, space));
        let found: Arc<[Def]> = found.into();
        if is_whole {
            let kept = &self.project.in_module;
            kept.write().expect("no panic while locked").insert(key, found.clone());
        }
        found
    }

    fn in_module_inner(&self, module: Module, name: &str, space: Space) -> Vec<Def> {
        let mut found = self.own_names(module, name, space);
        if found.is_empty() {
            let globs = self.glob_targets(module.file, module.scope);
            found = self.through_globs(module, &globs, name, space);
        }
        let mut unique: Vec<Def> = Vec::new();
        for def in found {
            if !unique.contains(&def) {
                unique.push(def);
            }
        }
        unique
    }

    /// `name` among what a module itself declares: items, then named uses, then child modules.
    fn own_names(&self, module: Module, name: &str, space: Space) -> Vec<Def> {
        let Some((facts, _)) = self.file(module.file) else { return Vec::new() };
        let index = self.project.index(self.graph, module.file);
        let mut found = Vec::new();
        if let Some(entries) = index.by_name.get(name) {
            let here = entries.iter().filter(|(scope, _)| *scope == module.scope).map(|(_, e)| *e);
            let entries = self.built(module.file, here.collect());
            for &entry in &entries {
                if let Entry::Symbol(symbol) = entry
                    && fits(facts.symbols[symbol as usize].kind, space)
                {
                    found.push(self.def_of(SymbolId { file: module.file, index: symbol }));
                }
            }
            if found.is_empty() {
                for &entry in &entries {
                    if let Entry::Use(number) = entry {
                        found.extend(self.used(module.file, number, space));
                    }
                }
            }
        }
        // A module that only a macro declares.
        if found.is_empty() && matches!(space, Space::Type | Space::Any) {
            let files = self.project.tree.child_files(self.graph, module, name);
            found.extend(files.iter().map(|&file| Def::Module(Module { file, scope: 0 })));
        }
        found
    }

    /// `name` in the modules and enums that globs lead to, and behind the globs of those modules
    /// that do not have it. Modules are gone through once, however they import each other.
    fn through_globs(&self, from: Module, globs: &[Def], name: &str, space: Space) -> Vec<Def> {
        let mut found = Vec::new();
        let mut seen: FxHashSet<Module> = FxHashSet::from_iter([from]);
        let mut waiting: VecDeque<Def> = globs.iter().cloned().collect();
        while let Some(def) = waiting.pop_front() {
            match def {
                Def::Symbol(of) => found.extend(self.variant(of, name)),
                Def::Module(module) if seen.insert(module) => {
                    let mut own = self.own_names(module, name, space);
                    if own.is_empty() && matches!(space, Space::Macro | Space::Any) {
                        own = self.exported_macros(module, name);
                    }
                    if own.is_empty() {
                        let globs = self.glob_targets(module.file, module.scope);
                        waiting.extend(globs.iter().cloned());
                    }
                    found.extend(own);
                }
                _ => {}
            }
        }
        found
    }

    /// The project's modules and enums that the globs of a scope lead to. Kept for the snapshot.
    fn glob_targets(&self, file: FileId, scope: ScopeId) -> Arc<[Def]> {
        let index = self.project.index(self.graph, file);
        let Some(globs) = index.globs.get(&scope) else { return Arc::default() };
        let kept = &self.project.globs;
        if let Some(found) = kept.read().expect("no panic while locked").get(&(file, scope)) {
            return found.clone();
        }
        let (found, is_whole) = self.once(Lookup::Globs(file, scope), || {
            let mut found: Vec<Def> = Vec::new();
            for &glob in globs {
                for def in self.glob_target(file, glob) {
                    if !found.contains(&def) {
                        found.push(def);
                    }
                }
            }
            found
        });
        let found: Arc<[Def]> = found.into();
        if is_whole {
            let mut kept = kept.write().expect("no panic while locked");
            kept.insert((file, scope), found.clone());
        }
        found
    }

    fn glob_target(&self, file: FileId, glob: u32) -> Vec<Def> {
        let Some((_, here)) = self.file(file) else { return Vec::new() };
        let import = &here.uses[glob as usize];
        let first = here.paths.get(import.path as usize).and_then(|path| path.segments.first());
        let first = first.map_or("", |&name| here.name(name));
        // A library's name is looked up first: what leads out of the project has no names for us,
        // and need not be looked for behind the very globs that are asked about.
        let module = Module { file, scope: here.module_of(import.scope) };
        if self.project.tree.crate_named(file, first) == Some(None)
            && self.own_names(module, first, Space::Type).is_empty()
        {
            return Vec::new();
        }
        let from = self.path(file, import.path, usize::MAX, Space::Type);
        from.into_iter()
            .filter_map(|def| match def {
                Def::Symbol(symbol) => match self.type_named(symbol) {
                    Ty::Adt(of, _) => Some(Def::Symbol(of)),
                    _ => None,
                },
                Def::Module(_) => Some(def),
                Def::External(_) => None,
            })
            .collect()
    }

    /// Of several alternatives under one name those that an ordinary build has; all of them if it
    /// has none.
    fn built(&self, file: FileId, entries: SmallVec<[Entry; 4]>) -> SmallVec<[Entry; 4]> {
        let Some((_, here)) = self.file(file).filter(|_| entries.len() > 1) else {
            return entries;
        };
        let is_on = |entry: &&Entry| {
            let cfg = match **entry {
                Entry::Symbol(symbol) => here.items[symbol as usize].cfg,
                Entry::Use(number) => here.uses[number as usize].cfg,
                Entry::Binding(_) => None,
            };
            cfg.is_none_or(|cfg| self.project.tree.is_on(file, here.name(cfg)))
        };
        let on: SmallVec<[Entry; 4]> = entries.iter().filter(is_on).copied().collect();
        if on.is_empty() { entries } else { on }
    }

    /// What the `number`-th use of `file` imports.
    fn used(&self, file: FileId, number: u32, space: Space) -> Vec<Def> {
        let Some((_, here)) = self.file(file) else { return Vec::new() };
        let import = &here.uses[number as usize];
        let found = self.use_path(file, number);
        found
            .into_iter()
            .filter(|def| match def {
                Def::Symbol(symbol) => self.kind(*symbol).is_some_and(|kind| fits(kind, space)),
                Def::Module(_) => matches!(space, Space::Type | Space::Any),
                Def::External(_) => import.name.is_some(),
            })
            .collect()
    }

    /// The path of a use. Its first segment is looked up in the module around, not in the use
    /// itself: `use foo::foo` must not find what it defines.
    fn use_path(&self, file: FileId, number: u32) -> Vec<Def> {
        self.deeper(MAX_LOOKUP_DEPTH, || {
            let Some((_, here)) = self.file(file) else { return Vec::new() };
            let import = &here.uses[number as usize];
            let Some(path) = here.paths.get(import.path as usize) else { return Vec::new() };
            let first = path.segments.first().map_or("", |&name| here.name(name));
            let is_own = import.name.is_some_and(|name| here.name(name) == first);
            if is_own && !matches!(first, "crate" | "self" | "super") {
                return self.own_use(file, number);
            }
            self.path(file, import.path, usize::MAX, Space::Any)
        })
    }

    fn own_use(&self, file: FileId, number: u32) -> Vec<Def> {
        let Some((facts, here)) = self.file(file) else { return Vec::new() };
        let import = &here.uses[number as usize];
        let Some(path) = here.paths.get(import.path as usize) else { return Vec::new() };
        let first = here.name(path.segments[0]);
        let module = here.module_of(import.scope);
        let index = self.project.index(self.graph, file);
        let local = index.by_name.get(first).into_iter().flatten().find_map(|(scope, entry)| {
            let Entry::Symbol(symbol) = *entry else { return None };
            let is_module = facts.symbols[symbol as usize].kind == SymbolKind::Module;
            (is_module && *scope == module).then_some(SymbolId { file, index: symbol })
        });
        let start = match local {
            Some(symbol) => Some(self.def_of(symbol)),
            None => self.extern_crate(file, first),
        };
        let mut found: Vec<Def> = start.into_iter().collect();
        for &name in &path.segments[1..] {
            let name = here.name(name);
            found = found.iter().flat_map(|def| self.inside(def, name, Space::Any)).collect();
        }
        found
    }

    fn variant(&self, of: SymbolId, name: &str) -> Option<Def> {
        crate::graph::names::children(self.graph, of)
            .find(|(_, facts)| facts.kind == SymbolKind::Variant && facts.name == name)
            .map(|(symbol, _)| Def::Symbol(symbol))
    }

    /// `def::name`.
    pub(crate) fn inside(&self, def: &Def, name: &str, space: Space) -> Vec<Def> {
        match def {
            Def::Module(module) => match name {
                "super" => {
                    let parent = self.project.tree.parent(self.graph, *module);
                    parent.map(Def::Module).into_iter().collect()
                }
                "self" => vec![def.clone()],
                _ => {
                    let found = self.in_module(*module, name, space);
                    if found.is_empty() && matches!(space, Space::Macro | Space::Any) {
                        return self.exported_macros(*module, name);
                    }
                    found.to_vec()
                }
            },
            Def::External(path) => vec![Def::External(format!("{path}::{name}").into())],
            Def::Symbol(symbol) => {
                if self.kind(*symbol) == Some(SymbolKind::Enum)
                    && let Some(variant) = self.variant(*symbol, name)
                {
                    return vec![variant];
                }
                let ty = self.type_named(*symbol);
                // An alias of an enum.
                if let Ty::Adt(of, _) = &ty
                    && of != symbol
                    && let Some(variant) = self.variant(*of, name)
                {
                    return vec![variant];
                }
                self.associated(&ty, name)
            }
        }
    }

    /// Associated functions, constants and types called `name` of a type.
    pub(crate) fn associated(&self, ty: &Ty, name: &str) -> Vec<Def> {
        if let Ty::External(path, _) = ty {
            let own: Vec<Def> =
                self.members_named(ty, name).into_iter().map(|m| Def::Symbol(m.symbol)).collect();
            if own.is_empty() {
                return vec![Def::External(format!("{path}::{name}").into())];
            }
            return own;
        }
        self.members_named(ty, name).into_iter().map(|m| Def::Symbol(m.symbol)).collect()
    }
}

/// True if a definition of this kind can be meant in `space`.
pub(crate) fn fits(kind: SymbolKind, space: Space) -> bool {
    use SymbolKind as K;
    match space {
        Space::Any => !matches!(kind, K::Field | K::Impl),
        Space::Type => matches!(
            kind,
            K::Module
                | K::Struct
                | K::Enum
                | K::Union
                | K::Trait
                | K::TypeAlias
                | K::TypeParameter
                | K::Variant
        ),
        Space::Value => matches!(
            kind,
            K::Function
                | K::Method
                | K::Constant
                | K::Static
                | K::Variant
                | K::Struct
                | K::Variable
                | K::Parameter
                | K::TypeParameter
                | K::TypeAlias
        ),
        Space::Macro => kind == K::Macro,
    }
}
