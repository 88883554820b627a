//! Classes: their bases in method resolution order (C3).

use std::sync::Arc;

use super::{Eval, Linear};
use crate::{
    SymbolId,
    graph::python::{
        facts::ExprId,
        library,
        types::{ClassId, Type, Types, merge},
    },
};

impl Eval<'_> {
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
