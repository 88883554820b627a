//! Crates and the module tree: which file is which module of which crate.

use std::sync::{Arc, RwLock};

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::{
    cfg,
    facts::{ExprId, RustFacts, ScopeId, ScopeKind, Space},
    infer::Ty,
    manifest::CargoManifest,
    paths::Def,
};
use crate::{
    FileFacts, FileId, SymbolId,
    facts::{ResolverFacts, SymbolKind},
    graph::Graph,
};

/// A module: a file, or an inline module's scope in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Module {
    pub(crate) file: FileId,
    pub(crate) scope: ScopeId,
}

/// A name looked up in a module, in one name space.
pub(crate) type NameInModule = (Module, Box<str>, Space);

/// What the globs of each scope lead to.
type GlobTargets = FxHashMap<(FileId, ScopeId), Arc<[Def]>>;

/// What is derived from the whole snapshot: built on first use, dropped with the snapshot.
#[derive(Debug, Default)]
pub(crate) struct Project {
    pub(crate) tree: Arc<Tree>,
    indexes: RwLock<FxHashMap<FileId, Arc<FileIndex>>>,
    pub(crate) in_module: RwLock<FxHashMap<NameInModule, Arc<[Def]>>>,
    pub(crate) globs: RwLock<GlobTargets>,
    pub(crate) types: RwLock<FxHashMap<(FileId, ExprId), Ty>>,
    pub(crate) implementations: RwLock<FxHashMap<SymbolId, Arc<[Implementation]>>>,
}

/// An `impl` of a project type.
#[derive(Debug)]
pub(crate) struct Implementation {
    pub(crate) symbol: SymbolId,
    /// The arguments that the header writes.
    pub(crate) args: Vec<Ty>,
    pub(crate) is_of_trait: bool,
    /// The trait, if the project has it.
    pub(crate) of_trait: Option<SymbolId>,
}

/// The part that depends on paths, manifests and `mod` declarations alone.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    crates: Vec<Crate>,
    /// Crate and place of each module file.
    places: FxHashMap<FileId, Place>,
    /// Declaring file -> inline modules and name joined by "::" -> files.
    children: FxHashMap<FileId, FxHashMap<String, Vec<FileId>>>,
}

#[derive(Debug)]
struct Crate {
    /// As `use` spells it; empty for binaries, tests and examples.
    name: String,
    root: FileId,
    default_features: Vec<String>,
    /// Name as written -> project crate's root, or `None` for an outside crate.
    dependencies: FxHashMap<String, Option<FileId>>,
}

#[derive(Clone, Debug)]
struct Place {
    krate: usize,
    /// Declaring file and key; `None` for a crate's root.
    parent: Option<(FileId, String)>,
}

/// Names of one file by spelling.
#[derive(Debug, Default)]
pub(crate) struct FileIndex {
    pub(crate) by_name: FxHashMap<Box<str>, SmallVec<[(ScopeId, Entry); 2]>>,
    pub(crate) globs: FxHashMap<ScopeId, Vec<u32>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    Symbol(u32),
    Binding(u32),
    Use(u32),
}

impl Project {
    pub(crate) fn build(graph: &Graph) -> Self {
        Self { tree: Arc::new(Tree::build(graph)), ..Self::default() }
    }

    /// A project for a snapshot whose module tree is the same.
    pub(crate) fn with_tree_of(&self) -> Self {
        Self { tree: self.tree.clone(), ..Self::default() }
    }

    /// The names of a Rust file; an empty index for other files.
    pub(crate) fn index(&self, graph: &Graph, file: FileId) -> Arc<FileIndex> {
        if let Some(index) = self.indexes.read().expect("no panic while locked").get(&file) {
            return index.clone();
        }
        let index = graph.facts(file).and_then(|facts| Some(FileIndex::build(facts, rust(facts)?)));
        let index = Arc::new(index.unwrap_or_default());
        self.indexes.write().expect("no panic while locked").insert(file, index.clone());
        index
    }
}

/// The Rust part of a file's facts.
pub(crate) fn rust(facts: &FileFacts) -> Option<&RustFacts> {
    match &facts.resolver {
        ResolverFacts::Rust(rust) => Some(rust),
        _ => None,
    }
}

/// The `mod name;` declarations of a file: all of it that the module tree depends on.
pub(crate) fn declarations(facts: &FileFacts) -> Vec<(String, Option<Box<str>>)> {
    let Some(rust) = rust(facts) else { return Vec::new() };
    let mut found = Vec::new();
    for (symbol, item) in facts.symbols.iter().zip(&rust.items) {
        if let Some(path) = &item.file_module {
            found.push((key(facts, rust, item.scope, &symbol.name), path.clone()));
        }
    }
    found
}

/// Inline modules around `scope`, then `name`, joined.
fn key(facts: &FileFacts, rust: &RustFacts, scope: ScopeId, name: &str) -> String {
    let mut parts = vec![name];
    let mut scope = rust.module_of(scope);
    while let Some(module) = inline_module(rust, scope)
        && parts.len() < 64
    {
        parts.push(&facts.symbols[module as usize].name);
        scope = rust.module_of(rust.items[module as usize].scope);
    }
    parts.reverse();
    parts.join("::")
}

/// The `mod` symbol that opens `scope`; `None` for the file itself.
pub(crate) fn inline_module(rust: &RustFacts, scope: ScopeId) -> Option<u32> {
    if scope == 0 {
        return None;
    }
    rust.items.iter().position(|item| item.inner == Some(scope)).map(|index| index as u32)
}

impl FileIndex {
    fn build(facts: &FileFacts, rust: &RustFacts) -> Self {
        let mut index = Self::default();
        let mut add = |name: &str, scope, entry| {
            if let Some(entries) = index.by_name.get_mut(name) {
                entries.push((scope, entry));
            } else {
                index.by_name.insert(name.into(), SmallVec::from_iter([(scope, entry)]));
            }
        };
        for (number, (symbol, item)) in facts.symbols.iter().zip(&rust.items).enumerate() {
            let is_local = matches!(symbol.kind, SymbolKind::Variable | SymbolKind::Parameter);
            // The file's own module has no name.
            if !is_local && symbol.kind != SymbolKind::Impl && !symbol.name.is_empty() {
                add(&symbol.name, item.scope, Entry::Symbol(number as u32));
            }
            // A type's own parameters live in the scope it opens.
        }
        for (number, binding) in rust.bindings.iter().enumerate() {
            add(rust.name(binding.name), binding.scope, Entry::Binding(number as u32));
        }
        for (number, import) in rust.uses.iter().enumerate() {
            match import.name {
                Some(name) => add(rust.name(name), import.scope, Entry::Use(number as u32)),
                None => index.globs.entry(import.scope).or_default().push(number as u32),
            }
        }
        index
    }
}

impl Tree {
    fn build(graph: &Graph) -> Self {
        let mut tree = Self::default();
        let mut manifests: Vec<(String, &CargoManifest)> = Vec::new();
        let mut rust_files: Vec<(FileId, &str)> = Vec::new();
        let files = graph.files();
        for &file in &files {
            let (Some(facts), Some(path)) = (graph.facts(file), graph.path(file)) else { continue };
            match &facts.resolver {
                ResolverFacts::CargoManifest(manifest) if path.ends_with("Cargo.toml") => {
                    manifests.push((folder(path).to_owned(), manifest));
                }
                ResolverFacts::Rust(_) => rust_files.push((file, path)),
                _ => {}
            }
        }
        let by_path: FxHashMap<&str, FileId> =
            rust_files.iter().map(|&(file, path)| (path, file)).collect();
        let roots = roots(&manifests, &rust_files, &by_path);
        // Libraries first: a file that belongs to several targets is the library's.
        for (name, root, _) in &roots {
            tree.crates.push(Crate {
                name: name.clone(),
                root: *root,
                default_features: Vec::new(),
                dependencies: FxHashMap::default(),
            });
        }
        for (krate, (_, root, _)) in roots.iter().enumerate() {
            tree.claim(graph, &by_path, *root, krate, None);
        }
        tree.adopt(graph, &by_path, &rust_files);
        tree.link(graph, &manifests, &roots);
        tree
    }

    /// Makes `root` and the files its `mod` declarations lead to modules of `krate`.
    fn claim(
        &mut self,
        graph: &Graph,
        by_path: &FxHashMap<&str, FileId>,
        root: FileId,
        krate: usize,
        parent: Option<(FileId, String)>,
    ) {
        let mut waiting = vec![(root, parent)];
        while let Some((file, parent)) = waiting.pop() {
            if self.places.contains_key(&file) {
                continue;
            }
            let is_root = parent.is_none();
            self.places.insert(file, Place { krate, parent });
            let (Some(facts), Some(path)) = (graph.facts(file), graph.path(file)) else { continue };
            for (key, attribute) in declarations(facts) {
                let base = match stem(path) {
                    "mod" => folder(path).to_owned(),
                    _ if is_root => folder(path).to_owned(),
                    stem => join(folder(path), stem),
                };
                let relative = key.replace("::", "/");
                let candidates = match &attribute {
                    Some(attribute) => vec![join(folder(path), attribute), join(&base, attribute)],
                    None => vec![
                        join(&base, &format!("{relative}.rs")),
                        join(&base, &format!("{relative}/mod.rs")),
                    ],
                };
                for candidate in candidates {
                    if let Some(&child) = by_path.get(candidate.as_str()) {
                        let children =
                            self.children.entry(file).or_default().entry(key.clone()).or_default();
                        if !children.contains(&child) {
                            children.push(child);
                        }
                        waiting.push((child, Some((file, key.clone()))));
                        break;
                    }
                }
            }
        }
    }

    /// Files that no declaration leads to (a macro declares them, or code was cut): the folder
    /// tells their parent.
    fn adopt(
        &mut self,
        graph: &Graph,
        by_path: &FxHashMap<&str, FileId>,
        rust_files: &[(FileId, &str)],
    ) {
        let mut orphans: Vec<_> =
            rust_files.iter().filter(|(file, _)| !self.places.contains_key(file)).collect();
        orphans.sort_by_key(|(_, path)| path.matches('/').count());
        for &&(file, path) in &orphans {
            if self.places.contains_key(&file) {
                continue;
            }
            let own = folder(path);
            let (dir, name) = match stem(path) {
                "mod" => (folder(own), own.rsplit('/').next().unwrap_or(own)),
                stem => (own, stem),
            };
            let parents = [
                format!("{dir}.rs"),
                join(dir, "mod.rs"),
                join(dir, "lib.rs"),
                join(dir, "main.rs"),
            ];
            let parent = parents
                .iter()
                .filter_map(|parent| by_path.get(parent.as_str()).copied())
                .find(|parent| *parent != file && self.places.contains_key(parent));
            match parent {
                Some(parent) => {
                    let krate = self.places[&parent].krate;
                    let children = self.children.entry(parent).or_default();
                    children.entry(name.to_owned()).or_default().push(file);
                    self.claim(graph, by_path, file, krate, Some((parent, name.to_owned())));
                }
                None => {
                    self.crates.push(Crate {
                        name: String::new(),
                        root: file,
                        default_features: Vec::new(),
                        dependencies: FxHashMap::default(),
                    });
                    self.claim(graph, by_path, file, self.crates.len() - 1, None);
                }
            }
        }
    }

    /// A dependency that a package carries in a folder of its own without the manifest, as a
    /// facade does: `app_core` in `app/src/core/lib.rs`.
    fn bundled(
        &self,
        manifest: &CargoManifest,
        dependency: &str,
        dir: &str,
        graph: &Graph,
    ) -> Option<FileId> {
        let own = manifest.lib_name.as_deref()?;
        let short = dependency.strip_prefix(own)?.strip_prefix('_')?;
        let wanted = join(dir, &format!("src/{short}/lib.rs"));
        let root = graph.file_at(&wanted)?;
        self.crates.iter().any(|krate| krate.root == root).then_some(root)
    }

    fn link(
        &mut self,
        graph: &Graph,
        manifests: &[(String, &CargoManifest)],
        roots: &[(String, FileId, Option<usize>)],
    ) {
        let lib_in: FxHashMap<&str, FileId> = roots
            .iter()
            .filter(|(name, ..)| !name.is_empty())
            .filter_map(|(_, root, manifest)| Some((manifests[(*manifest)?].0.as_str(), *root)))
            .collect();
        let by_package: FxHashMap<&str, FileId> = manifests
            .iter()
            .filter_map(|(dir, m)| Some((m.package.as_deref()?, *lib_in.get(dir.as_str())?)))
            .collect();
        for (index, (_, _, manifest)) in roots.iter().enumerate() {
            let Some(manifest) = *manifest else { continue };
            let (dir, manifest) = &manifests[manifest];
            let mut dependencies = FxHashMap::default();
            if let (Some(name), Some(&root)) = (&manifest.lib_name, lib_in.get(dir.as_str())) {
                dependencies.insert(name.clone(), Some(root));
            }
            for dependency in &manifest.dependencies {
                let shared = dependency.from_workspace.then(|| {
                    manifests.iter().find_map(|(dir, m)| {
                        let found = m.workspace_dependencies.iter();
                        Some((dir, found.into_iter().find(|d| d.name == dependency.name)?))
                    })
                });
                let (base, meant) = shared.flatten().unwrap_or((dir, dependency));
                let by_folder = meant
                    .path
                    .as_ref()
                    .and_then(|path| lib_in.get(join(base, path).as_str()).copied());
                let package = meant.package.as_deref().unwrap_or(&meant.name);
                let root = by_folder
                    .or_else(|| by_package.get(package).copied())
                    .or_else(|| by_package.get(package.replace('_', "-").as_str()).copied())
                    .or_else(|| self.bundled(manifest, &dependency.name, dir, graph));
                dependencies.insert(dependency.name.clone(), root);
            }
            self.crates[index].dependencies = dependencies;
            self.crates[index].default_features = manifest.default_features.clone();
        }
    }

    /// The crate's root that `file` belongs to.
    pub(crate) fn root_of(&self, file: FileId) -> FileId {
        self.places.get(&file).map_or(file, |place| self.crates[place.krate].root)
    }

    /// True if the condition of a `#[cfg(..)]` in `file` holds for an ordinary build.
    pub(crate) fn is_on(&self, file: FileId, condition: &str) -> bool {
        let krate = self.places.get(&file).map(|place| &self.crates[place.krate]);
        let features = krate.map(|krate| krate.default_features.as_slice()).unwrap_or_default();
        cfg::holds(condition, features)
    }

    pub(crate) fn same_crate(&self, a: FileId, b: FileId) -> bool {
        self.root_of(a) == self.root_of(b)
    }

    /// The crate called `name` as seen from `file`: `Some(None)` is an outside crate.
    pub(crate) fn crate_named(&self, file: FileId, name: &str) -> Option<Option<FileId>> {
        if matches!(name, "std" | "core" | "alloc" | "proc_macro") {
            return Some(None);
        }
        if let Some(place) = self.places.get(&file) {
            let krate = &self.crates[place.krate];
            if let Some(found) = krate.dependencies.get(name) {
                return Some(*found);
            }
            if !krate.dependencies.is_empty() {
                return None;
            }
        }
        self.crates.iter().find(|k| k.name == name && !name.is_empty()).map(|k| Some(k.root))
    }

    pub(crate) fn crate_names(&self, file: FileId) -> Vec<(String, Option<FileId>)> {
        let krate = self.places.get(&file).map(|place| &self.crates[place.krate]);
        krate
            .into_iter()
            .flat_map(|k| k.dependencies.iter().map(|(name, root)| (name.clone(), *root)))
            .collect()
    }

    /// The files that `mod name;` in `module` leads to.
    pub(crate) fn child_files(&self, graph: &Graph, module: Module, name: &str) -> &[FileId] {
        let Some(children) = self.children.get(&module.file) else { return &[] };
        if module.scope == 0 {
            return children.get(name).map_or(&[], Vec::as_slice);
        }
        let Some(facts) = graph.facts(module.file) else { return &[] };
        let Some(rust) = rust(facts) else { return &[] };
        let key = key(facts, rust, module.scope, name);
        children.get(&key).map_or(&[], Vec::as_slice)
    }

    /// The module around `module`.
    pub(crate) fn parent(&self, graph: &Graph, module: Module) -> Option<Module> {
        let facts = graph.facts(module.file)?;
        let here = rust(facts)?;
        if let Some(symbol) = inline_module(here, module.scope) {
            let scope = here.module_of(here.items[symbol as usize].scope);
            return Some(Module { file: module.file, scope });
        }
        let (file, key) = self.places.get(&module.file)?.parent.as_ref()?;
        let facts = graph.facts(*file)?;
        let there = rust(facts)?;
        // All but the last part of the key are inline modules of the parent's file.
        let mut scope = 0;
        let parts: Vec<&str> = key.split("::").collect();
        for part in &parts[..parts.len() - 1] {
            scope = facts.symbols.iter().zip(&there.items).find_map(|(symbol, item)| {
                let fits = symbol.kind == SymbolKind::Module
                    && symbol.name == *part
                    && there.module_of(item.scope) == scope;
                item.inner.filter(|_| fits)
            })?;
        }
        Some(Module { file: *file, scope })
    }

    /// The `mod` symbol of a module, in its parent.
    pub(crate) fn declaration(&self, graph: &Graph, module: Module) -> Option<SymbolId> {
        let facts = graph.facts(module.file)?;
        if let Some(index) = inline_module(rust(facts)?, module.scope) {
            return Some(SymbolId { file: module.file, index });
        }
        // A crate's root, and a file that only a macro declares, stand for themselves.
        let own = Some(SymbolId { file: module.file, index: 0 });
        let place = self.places.get(&module.file);
        let Some((file, wanted)) = place.and_then(|place| place.parent.as_ref()) else {
            return own;
        };
        let facts = graph.facts(*file)?;
        let there = rust(facts)?;
        let index = facts.symbols.iter().zip(&there.items).position(|(symbol, item)| {
            item.file_module.is_some() && key(facts, there, item.scope, &symbol.name) == *wanted
        });
        index.map(|index| SymbolId { file: *file, index: index as u32 }).or(own)
    }
}

/// Crate roots: `(name, file, manifest)`, libraries first.
fn roots(
    manifests: &[(String, &CargoManifest)],
    rust_files: &[(FileId, &str)],
    by_path: &FxHashMap<&str, FileId>,
) -> Vec<(String, FileId, Option<usize>)> {
    let mut libraries = Vec::new();
    let mut others = Vec::new();
    let mut seen = FxHashSet::default();
    for (number, (dir, manifest)) in manifests.iter().enumerate() {
        let Some(name) = manifest.lib_name.clone() else { continue };
        let path = join(dir, manifest.lib_path.as_deref().unwrap_or("src/lib.rs"));
        if let Some(&root) = by_path.get(path.as_str())
            && seen.insert(root)
        {
            libraries.push((name, root, Some(number)));
        }
    }
    for (number, (dir, manifest)) in manifests.iter().enumerate() {
        if manifest.package.is_none() {
            continue;
        }
        let explicit = manifest.target_paths.iter().map(|path| join(dir, path));
        let build = join(dir, manifest.build.as_deref().unwrap_or("build.rs"));
        let mut paths: Vec<String> = explicit.chain([join(dir, "src/main.rs"), build]).collect();
        for &(_, path) in rust_files {
            let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
            let Some(rest) = path.strip_prefix(prefix.as_str()) else { continue };
            let in_folder = ["src/bin/", "tests/", "examples/", "benches/"]
                .iter()
                .find_map(|folder| rest.strip_prefix(folder));
            if in_folder.is_some_and(|rest| {
                !rest.contains('/') || rest.split_once('/').is_some_and(|(_, f)| f == "main.rs")
            }) {
                paths.push(path.to_owned());
            }
        }
        for path in paths {
            if let Some(&root) = by_path.get(path.as_str())
                && seen.insert(root)
            {
                others.push((String::new(), root, Some(number)));
            }
        }
    }
    // Without any manifest a `lib.rs` or `main.rs` still is a crate.
    for &(file, path) in rust_files {
        let is_root = matches!(stem(path), "lib" | "main");
        if is_root && seen.insert(file) {
            let name = folder(path).trim_end_matches("src").trim_end_matches('/');
            let name = name.rsplit('/').next().unwrap_or("").replace('-', "_");
            libraries.push((if stem(path) == "lib" { name } else { String::new() }, file, None));
        }
    }
    libraries.extend(others);
    libraries
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(".rs").unwrap_or(name)
}

/// `folder/relative` with `.` and `..` worked out.
fn join(folder: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// True for scopes whose items are visible to what lies inside.
pub(crate) fn shows_items(kind: ScopeKind) -> bool {
    matches!(kind, ScopeKind::Module | ScopeKind::Block)
}
