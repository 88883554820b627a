//! What an expression can be: the values that lead to definitions, and nothing of the rest.

use std::sync::Arc;

use crate::FileId;

use super::facts::ExprId;

/// A class of the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClassId {
    pub(crate) file: FileId,
    pub(crate) index: u32,
}

/// A function of the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FunctionId {
    pub(crate) file: FileId,
    pub(crate) index: u32,
}

/// Type arguments, each one of several possible types.
pub(crate) type Args = Arc<[Types]>;

/// One of several; empty is unknown.
pub(crate) type Types = Vec<Type>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Module(FileId),
    /// A namespace package.
    Folder(Arc<str>),
    /// The class itself.
    Class(ClassId),
    Instance(ClassId, Args),
    Function(FunctionId, Option<Arc<Type>>),
    /// A module, class or function outside the project, by dotted path.
    External(Arc<str>),
    /// An instance of a class outside the project.
    ExternalInstance(Arc<str>, Args),
    /// `super()` in a class, for a receiver.
    Super(ClassId),
    /// A type variable by name, with its bound.
    Variable(FileId, Arc<str>, ExprId),
    Lambda(FileId, ExprId),
}

impl Type {
    pub(crate) fn instance(class: ClassId) -> Self {
        Self::Instance(class, Arc::new([]))
    }

    /// An instance of a built-in or `typing` class with arguments.
    pub(crate) fn known(path: &str, args: Vec<Types>) -> Self {
        Self::ExternalInstance(path.into(), args.into())
    }
}

/// Adds what is not there yet; a value is at most a few things.
pub(crate) fn merge(into: &mut Types, from: Types) {
    for one in from {
        if into.len() >= 12 {
            break;
        }
        if !into.contains(&one) {
            into.push(one);
        }
    }
}
