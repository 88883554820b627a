//! What the Rust resolver needs of one file: a small intermediate form of paths, types, the parts
//! of expressions that decide types, scopes and bindings. Everything refers by index; names are
//! interned a file.

use serde::{Deserialize, Serialize};

use super::few::Few;
use crate::{names::Names, text::ByteRange};

/// Index into [`RustFacts::names`].
pub type Name = u32;
pub type PathId = u32;
pub type TypeId = u32;
pub type ExprId = u32;
pub type ScopeId = u32;

/// What the Rust resolver needs of one file, beyond the common facts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RustFacts {
    pub names: Names,
    pub paths: Vec<Path>,
    pub types: Vec<Type>,
    pub exprs: Vec<Expr>,
    /// Ordered by range start; scope 0 is the file.
    pub scopes: Vec<Scope>,
    pub bindings: Vec<Binding>,
    pub uses: Vec<Use>,
    /// Parallel to the symbols of the file.
    pub items: Vec<Item>,
    pub impls: Vec<Impl>,
    /// `(offset of the occurrence, what decides its meaning)`, ordered by offset.
    pub refs: Vec<(u32, Ref)>,
}

/// `a::b::<T>::c`. Looked up from the innermost scope around `at`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Path {
    pub at: u32,
    /// Starts with `::`.
    pub is_global: bool,
    /// The type of `<T as Trait>` in front.
    pub qualified: Option<TypeId>,
    /// Its trait.
    pub of_trait: Option<TypeId>,
    pub segments: Few,
    /// Generic arguments of the last segment that has any.
    pub args: Few,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub enum Type {
    #[default]
    Unknown,
    Path(PathId),
    /// References and pointers.
    Ref(TypeId),
    /// Slices and arrays.
    Slice(TypeId),
    Tuple(Box<[TypeId]>),
    /// Function pointers and `Fn` bounds: the result.
    Fn(Option<TypeId>),
    /// `impl` and `dyn`.
    Bounds(Box<[TypeId]>),
    /// A trait with associated types: `Iterator<Item = T>`, `Fn() -> T`.
    Assoc(PathId, Box<[(Name, TypeId)]>),
}

/// The part of an expression that decides its type.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub enum Expr {
    #[default]
    Unknown,
    Path(PathId),
    Field(ExprId, Name),
    /// Receiver, name, first closure argument's body, turbofish.
    Method(ExprId, Name, Option<ExprId>, Option<TypeId>),
    Call(ExprId, Option<ExprId>),
    Struct(PathId),
    Try(ExprId),
    Await(ExprId),
    /// Same type after erasing references: `&e`, `*e`, `(e)`, arithmetic.
    Same(ExprId),
    Index(ExprId),
    Cast(TypeId),
    Tuple(Box<[ExprId]>),
    Array(Option<ExprId>),
    /// Alternatives of `if` and `match`: the first with a known type.
    Any(Box<[ExprId]>),
    Closure(Option<ExprId>),
    Macro(PathId),
    /// A primitive or `str`.
    Literal(Name),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScopeKind {
    /// A file or an inline module: names do not leak in from outside.
    Module,
    Block,
    /// `impl`; index into [`RustFacts::impls`].
    Impl(u32),
    /// A trait, struct, enum or function; index into the symbols.
    Item(u32),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scope {
    pub parent: Option<ScopeId>,
    pub kind: ScopeKind,
    pub range: ByteRange,
}

/// A local name. `symbol` is the definition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Binding {
    pub symbol: u32,
    pub name: Name,
    pub scope: ScopeId,
    pub visible_from: u32,
    pub origin: Origin,
    /// From the origin's type to the binding's, outermost first.
    pub steps: Box<[Step]>,
}

/// Where a binding's type comes from.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Origin {
    Unknown,
    Type(TypeId),
    Expr(ExprId),
    /// What iterating the expression yields.
    Element(ExprId),
    /// `self`.
    SelfValue,
    /// Parameter of a closure that is passed to this method of this receiver; argument position.
    ClosureParameter(ExprId, Name, u32),
}

/// One level of a pattern.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Step {
    Tuple(u32),
    /// `Path(_, x)`.
    Positional(PathId, u32),
    /// `Path { name: x }`.
    Named(PathId, Name),
    Element,
}

/// One leaf of a `use` tree.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Use {
    pub scope: ScopeId,
    pub path: PathId,
    /// The name it gets here; `None` for a glob.
    pub name: Option<Name>,
    pub is_public: bool,
    /// The condition of its `#[cfg(..)]`.
    pub cfg: Option<Name>,
}

/// Beside each symbol.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Item {
    /// The scope it is declared in.
    pub scope: ScopeId,
    /// The scope it opens.
    pub inner: Option<ScopeId>,
    /// A field's, constant's or parameter's type, a function's result, an alias' target.
    pub ty: Option<TypeId>,
    /// Bounds of a type parameter or associated type, supertraits of a trait.
    pub bounds: Few,
    /// A function with a `self` parameter.
    pub has_self: bool,
    /// An `async` function.
    pub is_async: bool,
    /// `mod name;`, with its `#[path]`.
    pub file_module: Option<Option<Box<str>>>,
    /// `impl`: index into [`RustFacts::impls`].
    pub implementation: Option<u32>,
    /// The condition of its `#[cfg(..)]`.
    pub cfg: Option<Name>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Impl {
    pub symbol: u32,
    pub self_type: TypeId,
    pub of_trait: Option<TypeId>,
}

/// What decides the meaning of an occurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ref {
    /// Segment of a path, and what it can name.
    Segment(PathId, u32, Space),
    Field(ExprId),
    Method(ExprId),
    /// Field of the type (or variant) that the path names: literals and patterns.
    FieldOf(PathId),
    /// `Foo { name }`: the field of the path, and a local of the same name.
    Shorthand(PathId),
    /// Associated type of the trait that the path names: `Iterator<Item = T>`.
    AssocOf(PathId),
    /// Inside a macro definition: nothing but the name is known.
    Name,
    /// A known local.
    Local(u32),
}

/// What a path's last segment can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Space {
    Type,
    Value,
    Macro,
    /// `use`: any of them.
    Any,
}

impl RustFacts {
    #[must_use]
    pub fn name(&self, name: Name) -> &str {
        self.names.get(name as usize).unwrap_or_default()
    }

    /// True if the symbol of this index is an `impl` of a trait.
    #[must_use]
    pub fn is_trait_impl(&self, symbol: u32) -> bool {
        let item = self.items.get(symbol as usize);
        item.and_then(|item| item.implementation)
            .is_some_and(|number| self.impls[number as usize].of_trait.is_some())
    }

    /// The innermost scope around `offset`.
    #[must_use]
    pub fn scope_at(&self, offset: u32) -> ScopeId {
        let behind = self.scopes.partition_point(|scope| scope.range.start <= offset);
        let mut scope = behind.saturating_sub(1) as u32;
        while let Some(facts) = self.scopes.get(scope as usize)
            && !facts.range.contains(offset)
            && let Some(parent) = facts.parent
        {
            scope = parent;
        }
        scope
    }

    /// The module (file or inline) that `scope` lies in.
    #[must_use]
    pub fn module_of(&self, mut scope: ScopeId) -> ScopeId {
        while let Some(facts) = self.scopes.get(scope as usize) {
            match facts.parent {
                Some(parent) if facts.kind != ScopeKind::Module => scope = parent,
                _ => break,
            }
        }
        scope
    }
}
