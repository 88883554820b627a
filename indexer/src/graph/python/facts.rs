//! What one Python file says about names, in a form that needs neither its text nor its tree:
//! scopes with their bindings, classes, functions, imports, and a small expression language.
//!
//! Expressions live in one arena and point at each other by [`ExprId`]. They keep only what can
//! lead to a definition: names, attributes, calls, subscripts, displays and how a value was bound
//! (iterated, entered, unpacked). Everything else is [`Expr::Unknown`].

use serde::{Deserialize, Serialize};

use crate::{names::Names, text::ByteRange};

/// Index into [`PythonFacts::names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct NameId(pub(crate) u32);

/// Index into [`PythonFacts::exprs`]. Expression 0 is always [`Expr::Unknown`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub(crate) struct ExprId(pub(crate) u32);

impl ExprId {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }
}

/// Index into [`PythonFacts::scopes`]. Scope 0 is the module.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub(crate) struct ScopeId(pub(crate) u32);

impl ScopeId {
    pub(crate) const MODULE: Self = Self(0);
}

/// A run of [`PythonFacts::lists`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListId {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// No symbol of this file.
pub(crate) const NO_SYMBOL: u32 = u32::MAX;

/// What the Python resolver needs of one file, beyond the common facts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PythonFacts {
    pub(crate) names: Names,
    /// Name ids in the order of their texts.
    pub(crate) by_text: Vec<NameId>,
    pub(crate) exprs: Vec<Expr>,
    pub(crate) lists: Vec<ExprId>,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) classes: Vec<Class>,
    pub(crate) functions: Vec<Function>,
    pub(crate) imports: Vec<Import>,
    /// Names that a literal `__all__` lists; `None` without one.
    pub(crate) all: Option<Vec<NameId>>,
    /// Sorted by key, then start.
    pub(crate) narrows: Vec<Narrow>,
    /// One for each occurrence of the file.
    pub(crate) targets: Vec<Target>,
    /// One for each symbol of the file.
    pub(crate) origins: Vec<Origin>,
}

/// What an occurrence names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Target {
    /// Nothing that can be followed.
    None,
    /// A definition of this file.
    Symbol(u32),
    /// A [`Expr::Name`] or [`Expr::Attr`].
    Expr(ExprId),
    /// The keyword `name` of a call.
    Keyword { call: ExprId, name: NameId },
    /// The `depth`-th part (zero-based) of an import's module path.
    Module { import: u32, depth: u16 },
    /// The name that a `from` import takes out of its module.
    Imported(u32),
    /// A keyword in a class pattern: an attribute of that class.
    Attribute { class: ExprId, name: NameId },
}

/// Where a symbol's details are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Origin {
    /// The file itself: always its first symbol.
    Module,
    Class(u32),
    Function(u32),
    Variable {
        scope: ScopeId,
        name: NameId,
    },
    /// Assigned through `self` or `cls`.
    Attribute {
        class: u32,
        name: NameId,
    },
    Parameter {
        function: u32,
        index: u16,
    },
    TypeParameter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Builtin {
    Str,
    Bytes,
    Int,
    Float,
    Bool,
    None,
}

/// One expression. Operands are earlier entries of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Expr {
    Unknown,
    Name {
        name: NameId,
        scope: ScopeId,
        at: u32,
    },
    Attr {
        object: ExprId,
        name: NameId,
        at: u32,
    },
    /// Positional and [`Expr::Keyword`] arguments in order.
    Call {
        callee: ExprId,
        args: ListId,
    },
    /// Arguments without a call: the bases of a class.
    Args(ListId),
    Keyword {
        name: NameId,
        value: ExprId,
    },
    Subscript {
        object: ExprId,
        index: ExprId,
    },
    Literal(Builtin),
    /// A plain string; the range is its content.
    Text {
        start: u32,
        end: u32,
    },
    Tuple(ListId),
    /// A list display or comprehension with these elements.
    List(ListId),
    Set(ListId),
    Dict {
        key: ExprId,
        value: ExprId,
    },
    /// A generator expression.
    Generator(ExprId),
    /// One of several: `a or b`, `a if c else b`, `A | B`.
    Union(ListId),
    And(ListId),
    Not(ExprId),
    Await(ExprId),
    /// What iterating yields.
    Element(ExprId),
    AsyncElement(ExprId),
    /// What a `with` statement binds.
    Entered(ExprId),
    AsyncEntered(ExprId),
    /// An exception caught by its class, or by one of a tuple of classes.
    Caught(ExprId),
    /// The `index`-th part of an unpacked value.
    Item {
        of: ExprId,
        index: u16,
    },
    /// `*value` in a call or display.
    Splat(ExprId),
    /// An instance of what an annotation names.
    Instance(ExprId),
    Class(u32),
    Function(u32),
    Import(u32),
    Parameter {
        function: u32,
        index: u16,
    },
    TypeParameter {
        name: NameId,
        bound: ExprId,
    },
    Lambda {
        body: ExprId,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ScopeKind {
    Module,
    Class,
    Function,
    Lambda,
    Comprehension,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Scope {
    pub(crate) kind: ScopeKind,
    pub(crate) parent: ScopeId,
    /// Class or function index, by kind.
    pub(crate) owner: u32,
    pub(crate) range: ByteRange,
    /// Sorted by name, then by place.
    pub(crate) bindings: Vec<Binding>,
    /// `from m import *`, in order.
    pub(crate) stars: Vec<u32>,
    /// Names declared `global` or `nonlocal` here.
    pub(crate) outer: Vec<(NameId, bool)>,
}

/// One place that gives a name a value.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Binding {
    pub(crate) name: NameId,
    pub(crate) symbol: u32,
    pub(crate) at: u32,
    /// The suite it stands in: a later place in the same suite sees this binding and none before.
    pub(crate) block: ByteRange,
    pub(crate) value: ExprId,
    pub(crate) annotation: ExprId,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Class {
    pub(crate) symbol: u32,
    pub(crate) scope: ScopeId,
    pub(crate) bases: Vec<ExprId>,
    pub(crate) decorators: Vec<ExprId>,
    /// Assigned through `self` or `cls` in its methods; sorted by name, then by place.
    pub(crate) attributes: Vec<Binding>,
}

/// What a decorator or a `def` makes of a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FunctionFlags {
    pub(crate) is_async: bool,
    pub(crate) is_generator: bool,
    pub(crate) is_property: bool,
    pub(crate) is_static: bool,
    pub(crate) is_class_method: bool,
    pub(crate) is_overload: bool,
    pub(crate) is_context_manager: bool,
    /// `@name.setter` and `@name.deleter`.
    pub(crate) is_accessor: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Function {
    pub(crate) symbol: u32,
    pub(crate) scope: ScopeId,
    /// The class whose body holds it.
    pub(crate) class: Option<u32>,
    pub(crate) params: Vec<Param>,
    pub(crate) returns: ExprId,
    /// The first few returned and yielded values.
    pub(crate) returned: Vec<ExprId>,
    pub(crate) yielded: Vec<ExprId>,
    pub(crate) decorators: Vec<ExprId>,
    pub(crate) flags: FunctionFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ParamKind {
    Plain,
    Args,
    Kwargs,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Param {
    pub(crate) name: NameId,
    pub(crate) symbol: u32,
    pub(crate) annotation: ExprId,
    pub(crate) default: ExprId,
    pub(crate) kind: ParamKind,
}

/// One name that an import statement binds, or one star.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Import {
    /// Leading dots of a relative import.
    pub(crate) level: u16,
    pub(crate) module: Vec<NameId>,
    pub(crate) what: Imported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Imported {
    /// `import a.b.c`: binds `a`.
    Root,
    /// `import a.b.c as d`: binds the module itself.
    Whole,
    /// `from a.b import name`.
    Name(NameId),
    Star,
}

/// Within `range`, the name (or dotted chain) `key` is an instance of `class`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Narrow {
    pub(crate) key: NameId,
    pub(crate) range: ByteRange,
    pub(crate) class: ExprId,
}

impl PythonFacts {
    pub(crate) fn name(&self, name: NameId) -> &str {
        self.names.get(name.0 as usize).unwrap_or_default()
    }

    pub(crate) fn expr(&self, expr: ExprId) -> Expr {
        self.exprs.get(expr.0 as usize).copied().unwrap_or(Expr::Unknown)
    }

    pub(crate) fn list(&self, list: ListId) -> &[ExprId] {
        let start = list.start as usize;
        self.lists.get(start..start + list.len as usize).unwrap_or(&[])
    }

    pub(crate) fn scope(&self, scope: ScopeId) -> Option<&Scope> {
        self.scopes.get(scope.0 as usize)
    }

    /// The name's id in this file, if the file mentions it.
    pub(crate) fn name_id(&self, name: &str) -> Option<NameId> {
        let found = self.by_text.binary_search_by(|&id| self.name(id).cmp(name)).ok()?;
        Some(self.by_text[found])
    }
}

/// The bindings of `name` among `bindings` (sorted by name), in document order.
pub(crate) fn bindings_of(bindings: &[Binding], name: NameId) -> &[Binding] {
    let start = bindings.partition_point(|binding| binding.name < name);
    let len = bindings[start..].partition_point(|binding| binding.name == name);
    &bindings[start..start + len]
}
