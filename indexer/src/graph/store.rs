//! The graph's storage: immutable layers of files and name tables, newest on top.
//!
//! A change adds a small layer; a layer that has grown to the size of the one below is merged into
//! it, so there are logarithmically many and an edit costs what it changes. Readers keep the layers
//! they started with.

use std::sync::{Arc, OnceLock};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{python, rust};
use crate::{
    FileFacts, FileId, SymbolId,
    facts::{Role, SymbolFacts},
};

/// The symbol graph of one generation. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Oldest first.
    layers: Vec<Arc<Layer>>,
    projects: Arc<Projects>,
}

/// What languages derive from a whole snapshot.
#[derive(Debug, Default)]
struct Projects {
    rust: OnceLock<rust::Project>,
    python: OnceLock<Arc<python::Project>>,
}

#[derive(Clone, Debug)]
struct File {
    path: Arc<str>,
    facts: Arc<FileFacts>,
}

/// Files, and what their names lead to. A file of an upper layer hides the same file below,
/// with `None` as its tombstone.
#[derive(Debug, Default)]
struct Layer {
    files: FxHashMap<FileId, Option<File>>,
    paths: FxHashMap<Arc<str>, FileId>,
    names: FxHashMap<Box<str>, NameEntry>,
    /// Old name of a renaming import -> new names.
    aliases: FxHashMap<Box<str>, Vec<(FileId, Box<str>)>>,
    /// Entries in the tables: the cost of merging.
    weight: usize,
}

#[derive(Clone, Debug, Default)]
struct NameEntry {
    definitions: Vec<SymbolId>,
    /// Files with an occurrence that is not the definition itself.
    mentions: Vec<FileId>,
}

impl Graph {
    /// A graph of no files.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// This graph with files added, replaced, or (`None`) removed. Costs what changes, not what is
    /// there; the answer equals that of a graph built from scratch.
    #[must_use]
    pub fn with_changes(&self, changed: &[(FileId, String, Option<Arc<FileFacts>>)]) -> Self {
        let mut layers = self.layers.clone();
        layers.push(Arc::new(Layer::of(changed)));
        while let [.., below, top] = layers.as_slice()
            && top.weight * 2 >= below.weight
        {
            let is_bottom = layers.len() == 2;
            let merged = Arc::new(Layer::merge(below, top, is_bottom));
            layers.truncate(layers.len() - 2);
            layers.push(merged);
        }
        let graph = Self { layers, projects: Arc::default() };
        self.hand_over(&graph, changed);
        graph
    }

    /// Gives `next` what a change of these files leaves as it is.
    fn hand_over(&self, next: &Self, changed: &[(FileId, String, Option<Arc<FileFacts>>)]) {
        let are_all = |same: fn(&FileFacts, &FileFacts) -> bool| {
            changed.iter().all(|(file, path, facts)| {
                let Some(old) = self.entry(*file) else { return false };
                facts.as_ref().is_some_and(|new| *old.path == **path && same(&old.facts, new))
            })
        };
        if let Some(project) = self.projects.rust.get()
            && are_all(rust::same_tree)
        {
            let _ = next.projects.rust.set(project.with_tree_of());
        }
        // Python's modules follow from paths alone.
        if let Some(project) = self.projects.python.get()
            && are_all(|old, new| old.language == new.language)
        {
            let _ = next.projects.python.set(project.clone());
        }
    }

    /// The facts of `file`; `None` if the graph does not have it.
    #[must_use]
    pub fn facts(&self, file: FileId) -> Option<&Arc<FileFacts>> {
        self.entry(file).map(|file| &file.facts)
    }

    /// The path of `file`.
    #[must_use]
    pub fn path(&self, file: FileId) -> Option<&str> {
        self.entry(file).map(|file| &*file.path)
    }

    /// The file at `path`.
    #[must_use]
    pub fn file_at(&self, path: &str) -> Option<FileId> {
        self.layers.iter().rev().find_map(|layer| {
            let file = *layer.paths.get(path)?;
            self.entry(file).is_some_and(|entry| &*entry.path == path).then_some(file)
        })
    }

    /// All files, ordered by id.
    #[must_use]
    pub fn files(&self) -> Vec<FileId> {
        let mut files: Vec<FileId> = self
            .layers
            .iter()
            .enumerate()
            .flat_map(|(depth, layer)| {
                layer.files.iter().filter_map(move |(&file, entry)| {
                    (entry.is_some() && !self.is_hidden(file, depth)).then_some(file)
                })
            })
            .collect();
        files.sort_unstable();
        files
    }

    /// A definition's facts.
    #[must_use]
    pub fn symbol(&self, symbol: SymbolId) -> Option<&SymbolFacts> {
        self.facts(symbol.file)?.symbols.get(symbol.index as usize)
    }

    /// Definitions called exactly `name`, ordered by id.
    #[must_use]
    pub fn symbols_named(&self, name: &str) -> Vec<SymbolId> {
        let mut symbols: Vec<SymbolId> = self
            .entries(name)
            .flat_map(|(depth, entry)| {
                entry.definitions.iter().copied().filter(move |s| !self.is_hidden(s.file, depth))
            })
            .collect();
        symbols.sort_unstable();
        symbols
    }

    /// Files where `name` occurs other than as a definition's own name, ordered by id.
    #[must_use]
    pub(crate) fn files_mentioning(&self, name: &str) -> Vec<FileId> {
        let mut files: Vec<FileId> = self
            .entries(name)
            .flat_map(|(depth, entry)| {
                entry.mentions.iter().copied().filter(move |&f| !self.is_hidden(f, depth))
            })
            .collect();
        files.sort_unstable();
        files
    }

    /// How many files mention `name` other than by defining it.
    #[must_use]
    pub fn n_files_mentioning(&self, name: &str) -> usize {
        let visible = |(depth, entry): (usize, &NameEntry)| {
            entry.mentions.iter().filter(|&&file| !self.is_hidden(file, depth)).count()
        };
        self.entries(name).map(visible).sum()
    }

    /// `name` and every name that imports give to it, here or through another renaming.
    #[must_use]
    pub(crate) fn names_of(&self, name: &str) -> Vec<Box<str>> {
        let mut names: Vec<Box<str>> = vec![name.into()];
        let mut next = 0;
        while next < names.len() && names.len() < 64 {
            let old = names[next].clone();
            for (depth, layer) in self.layers.iter().enumerate() {
                for (file, new) in layer.aliases.get(&old).into_iter().flatten() {
                    if !self.is_hidden(*file, depth) && !names.contains(new) {
                        names.push(new.clone());
                    }
                }
            }
            next += 1;
        }
        names
    }

    /// What the Rust resolver keeps for this snapshot.
    pub(crate) fn rust_project(&self) -> &rust::Project {
        self.projects.rust.get_or_init(|| rust::Project::build(self))
    }

    /// What the Python resolver keeps for this snapshot.
    pub(crate) fn python_project(&self) -> &python::Project {
        self.projects.python.get_or_init(|| Arc::new(python::Project::build(self)))
    }

    fn entry(&self, file: FileId) -> Option<&File> {
        self.layers.iter().rev().find_map(|layer| layer.files.get(&file))?.as_ref()
    }

    fn entries(&self, name: &str) -> impl Iterator<Item = (usize, &NameEntry)> {
        self.layers
            .iter()
            .enumerate()
            .filter_map(move |(depth, layer)| Some((depth, layer.names.get(name)?)))
    }

    /// True if a layer above `depth` has a newer word on `file`.
    fn is_hidden(&self, file: FileId, depth: usize) -> bool {
        self.layers[depth + 1..].iter().any(|layer| layer.files.contains_key(&file))
    }
}

impl Layer {
    fn of(changed: &[(FileId, String, Option<Arc<FileFacts>>)]) -> Self {
        let mut layer = Self::default();
        // Of two changes to one file the last counts.
        let mut seen = FxHashSet::default();
        for (file, path, facts) in changed.iter().rev().filter(|(file, ..)| seen.insert(*file)) {
            let path: Arc<str> = path.as_str().into();
            layer.weight += 1;
            if let Some(facts) = facts {
                layer.paths.insert(path.clone(), *file);
                layer.add_names(*file, facts);
            }
            layer.files.insert(*file, facts.clone().map(|facts| File { path, facts }));
        }
        layer
    }

    fn add_names(&mut self, file: FileId, facts: &FileFacts) {
        for (index, symbol) in facts.symbols.iter().enumerate() {
            let id = SymbolId { file, index: index as u32 };
            self.name(&symbol.name).definitions.push(id);
        }
        let mut is_mentioned = vec![false; facts.names.len()];
        for occurrence in &facts.occurrences {
            if occurrence.role != Role::Definition {
                is_mentioned[occurrence.name as usize] = true;
            }
        }
        for (name, _) in facts.names.iter().zip(is_mentioned).filter(|(_, is)| *is) {
            self.name(name).mentions.push(file);
        }
        for &(new, old) in &facts.aliases {
            let (new, old) = (&facts.names[new as usize], &facts.names[old as usize]);
            self.aliases.entry(old.into()).or_default().push((file, new.into()));
            self.weight += 1;
        }
    }

    fn name(&mut self, name: &str) -> &mut NameEntry {
        self.weight += 1;
        if !self.names.contains_key(name) {
            self.names.insert(name.into(), NameEntry::default());
        }
        self.names.get_mut(name).expect("just inserted")
    }

    /// `below` with `above` on top. At the bottom tombstones have nothing left to hide.
    fn merge(below: &Self, above: &Self, is_bottom: bool) -> Self {
        let lives = |file: &FileId| !above.files.contains_key(file);
        let mut merged = Self::default();
        let kept = below.files.iter().filter(|(file, _)| lives(file));
        let files = kept.chain(&above.files).filter(|(_, entry)| entry.is_some() || !is_bottom);
        merged.files = files.map(|(file, entry)| (*file, entry.clone())).collect();
        merged.paths = merged
            .files
            .iter()
            .filter_map(|(file, entry)| Some((entry.as_ref()?.path.clone(), *file)))
            .collect();
        for (name, entry) in &below.names {
            let kept = NameEntry {
                definitions: entry.definitions.iter().copied().filter(|s| lives(&s.file)).collect(),
                mentions: entry.mentions.iter().copied().filter(lives).collect(),
            };
            if !kept.definitions.is_empty() || !kept.mentions.is_empty() {
                merged.names.insert(name.clone(), kept);
            }
        }
        for (name, entry) in &above.names {
            let into = merged.names.entry(name.clone()).or_default();
            into.definitions.extend(&entry.definitions);
            into.mentions.extend(&entry.mentions);
        }
        for (old, new) in &below.aliases {
            let kept: Vec<_> = new.iter().filter(|(file, _)| lives(file)).cloned().collect();
            if !kept.is_empty() {
                merged.aliases.insert(old.clone(), kept);
            }
        }
        for (old, new) in &above.aliases {
            merged.aliases.entry(old.clone()).or_default().extend(new.iter().cloned());
        }
        merged.weight = merged.files.len()
            + merged.names.values().map(|e| e.definitions.len() + e.mentions.len()).sum::<usize>()
            + merged.aliases.values().map(Vec::len).sum::<usize>();
        merged
    }
}
