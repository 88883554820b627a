//! Evaluates expressions to [`Types`], lazily and with bounds: depth, steps, and a memo that also
//! stops cycles.
//!
//! [`names`] says what a name means, [`expressions`] and [`annotations`] what type there is, [`calls`]
//! and [`protocols`] what comes out of it, [`attributes`] what it has, [`bases`] what a class inherits.

mod annotations;
mod attributes;
mod bases;
mod calls;
mod expressions;
mod names;
mod protocols;

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    Project,
    facts::{Binding, ExprId, PythonFacts},
    types::{ClassId, Types},
};
use crate::{
    FileId,
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
    pub(super) fn bounded<T: Default>(&self, work: impl FnOnce() -> T) -> T {
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
}
