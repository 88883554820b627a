//! Types of expressions, bindings and symbols, and the members of a type.

use std::sync::Arc;

use super::{
    facts::{Expr, ExprId, Origin, Space, Step, Type, TypeId},
    paths::{Def, Query},
    std_names::{self, Known},
};
use crate::{FileId, SymbolId, facts::SymbolKind, graph::names::children};

/// Expressions nest deeper in inference only when nothing is learned any more.
pub(super) const MAX_DEPTH: u32 = 72;

/// A type, with references taken off: methods are found through them anyway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ty {
    #[default]
    Unknown,
    /// Struct, enum, union; type arguments.
    Adt(SymbolId, Vec<Ty>),
    /// A type parameter or associated type.
    Param(SymbolId),
    /// `impl` and `dyn`, `Self` in a trait.
    Bounds(Vec<SymbolId>),
    /// Outside the project: path, arguments.
    External(Arc<str>, Vec<Ty>),
    Tuple(Vec<Ty>),
    Slice(Box<Ty>),
    Fn(Box<Ty>),
}

/// What stands for type parameters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subst {
    pub(super) self_ty: Option<Ty>,
    pub(super) params: Vec<(SymbolId, Ty)>,
}

impl Ty {
    pub(crate) fn external(name: &str, args: Vec<Ty>) -> Self {
        Self::External(name.into(), args)
    }

    /// Last segment of an outside type's path.
    pub(super) fn last(&self) -> &str {
        match self {
            Self::External(path, _) => path.rsplit("::").next().unwrap_or(path),
            Self::Slice(_) => "Vec",
            _ => "",
        }
    }

    fn first_arg(&self) -> Ty {
        match self {
            Self::External(_, args) => args.first().cloned().unwrap_or_default(),
            Self::Slice(inner) => (**inner).clone(),
            _ => Self::Unknown,
        }
    }

    fn is_known(&self) -> bool {
        *self != Self::Unknown
    }

    /// What iterating yields.
    fn element(&self) -> Ty {
        match self {
            Self::Slice(inner) => (**inner).clone(),
            Self::External(_, args) if is_map(self.last()) => Self::Tuple(args.clone()),
            Self::External(_, args) if std_names::WRAPPERS.contains(&self.last()) => {
                args.first().map(Self::element).unwrap_or_default()
            }
            Self::External(_, args) => args.last().cloned().unwrap_or_default(),
            _ => Self::Unknown,
        }
    }

    pub(super) fn substituted(&self, subst: &Subst) -> Ty {
        let all = |args: &[Ty]| args.iter().map(|arg| arg.substituted(subst)).collect();
        match self {
            Self::Param(param) => subst
                .params
                .iter()
                .find(|(other, ty)| other == param && ty.is_known())
                .map_or_else(|| self.clone(), |(_, ty)| ty.clone()),
            Self::Adt(symbol, args) => Self::Adt(*symbol, all(args)),
            Self::External(path, args) => Self::External(path.clone(), all(args)),
            Self::Tuple(args) => Self::Tuple(all(args)),
            Self::Slice(inner) => Self::Slice(Box::new(inner.substituted(subst))),
            Self::Fn(result) => Self::Fn(Box::new(result.substituted(subst))),
            other => other.clone(),
        }
    }
}

fn is_map(name: &str) -> bool {
    matches!(name, "HashMap" | "BTreeMap" | "IndexMap" | "FxHashMap")
}

impl Query<'_> {
    /// A written type.
    pub(crate) fn ty(&self, file: FileId, ty: TypeId) -> Ty {
        self.deeper(MAX_DEPTH, || self.ty_inner(file, ty))
    }

    fn ty_inner(&self, file: FileId, ty: TypeId) -> Ty {
        let Some((_, here)) = self.file(file) else { return Ty::Unknown };
        let Some(ty) = here.types.get(ty as usize) else { return Ty::Unknown };
        match ty {
            Type::Unknown => Ty::Unknown,
            Type::Ref(inner) => self.ty(file, *inner),
            Type::Slice(inner) => Ty::Slice(Box::new(self.ty(file, *inner))),
            Type::Tuple(args) => Ty::Tuple(args.iter().map(|arg| self.ty(file, *arg)).collect()),
            Type::Fn(result) => {
                Ty::Fn(Box::new(result.map(|result| self.ty(file, result)).unwrap_or_default()))
            }
            Type::Bounds(bounds) => self.bounds(file, bounds),
            Type::Assoc(path, bindings) => {
                let outer = self.path_type(file, *path);
                let args = bindings.iter().map(|(_, ty)| self.ty(file, *ty)).collect();
                match outer {
                    Ty::External(name, _) => Ty::External(name, args),
                    other => other,
                }
            }
            Type::Path(path) => self.path_type(file, *path),
        }
    }

    /// `A + B`: an outside trait with arguments says more than the rest.
    fn bounds(&self, file: FileId, bounds: &[TypeId]) -> Ty {
        let mut traits = Vec::new();
        let mut outside = None;
        for &bound in bounds {
            match self.ty(file, bound) {
                Ty::Adt(symbol, _) | Ty::Param(symbol) => traits.push(symbol),
                Ty::Bounds(inner) => traits.extend(inner),
                found @ (Ty::External(..) | Ty::Fn(_)) => {
                    outside = outside.or(Some(found));
                }
                _ => {}
            }
        }
        if traits.is_empty() { outside.unwrap_or_default() } else { Ty::Bounds(traits) }
    }

    fn path_type(&self, file: FileId, path: u32) -> Ty {
        let Some((_, here)) = self.file(file) else { return Ty::Unknown };
        let facts = &here.paths[path as usize];
        let args = || facts.args.iter().map(|arg| self.ty(file, *arg)).collect::<Vec<_>>();
        let found = self.path(file, path, usize::MAX, Space::Type);
        match found.first() {
            Some(Def::Symbol(symbol)) => {
                let is_self = facts.segments.len() == 1 && here.name(facts.segments[0]) == "Self";
                match self.type_named(*symbol) {
                    Ty::Adt(symbol, own) if is_self => Ty::Adt(symbol, own),
                    Ty::Adt(symbol, own) => {
                        let args = args();
                        Ty::Adt(symbol, if args.is_empty() { own } else { args })
                    }
                    other => {
                        // An alias with parameters.
                        let params = self.params_of(*symbol);
                        let params = params.into_iter().zip(args()).collect();
                        other.substituted(&Subst { self_ty: None, params })
                    }
                }
            }
            Some(Def::External(path)) => {
                let name = path.rsplit("::").next().unwrap_or(path);
                match name {
                    "Fn" | "FnMut" | "FnOnce" => Ty::Fn(Box::default()),
                    // `SmallVec<[T; 4]>`, `ArrayVec<T, 4>`: lists of `T`.
                    "SmallVec" | "TinyVec" | "ArrayVec" => match args().into_iter().next() {
                        Some(Ty::Slice(item)) => Ty::External(path.clone(), vec![*item]),
                        item => Ty::External(path.clone(), item.into_iter().collect()),
                    },
                    _ => Ty::External(path.clone(), args()),
                }
            }
            _ => Ty::Unknown,
        }
    }

    /// The type a symbol names: itself, or what an alias stands for.
    pub(crate) fn type_named(&self, symbol: SymbolId) -> Ty {
        let Some((facts, here)) = self.file(symbol.file) else { return Ty::Unknown };
        let Some(kind) = facts.symbols.get(symbol.index as usize).map(|s| s.kind) else {
            return Ty::Unknown;
        };
        match kind {
            SymbolKind::Struct | SymbolKind::Enum | SymbolKind::Union => {
                Ty::Adt(symbol, self.params_of(symbol).into_iter().map(Ty::Param).collect())
            }
            SymbolKind::Variant => match facts.symbols[symbol.index as usize].parent {
                Some(index) => self.type_named(SymbolId { file: symbol.file, index }),
                None => Ty::Unknown,
            },
            SymbolKind::Trait => Ty::Bounds(vec![symbol]),
            SymbolKind::TypeParameter => Ty::Param(symbol),
            SymbolKind::TypeAlias => match here.items[symbol.index as usize].ty {
                Some(ty) => self.ty(symbol.file, ty),
                None => Ty::Param(symbol),
            },
            SymbolKind::Impl => here.items[symbol.index as usize]
                .implementation
                .map(|number| self.ty(symbol.file, here.impls[number as usize].self_type))
                .unwrap_or_default(),
            _ => Ty::Unknown,
        }
    }

    /// Type parameters of an item, in order.
    fn params_of(&self, symbol: SymbolId) -> Vec<SymbolId> {
        let Some((facts, _)) = self.file(symbol.file) else { return Vec::new() };
        // They follow their owner directly.
        facts
            .symbols
            .iter()
            .enumerate()
            .skip(symbol.index as usize + 1)
            .take_while(|(_, s)| {
                s.kind == SymbolKind::TypeParameter && s.parent == Some(symbol.index)
            })
            .map(|(index, _)| SymbolId { file: symbol.file, index: index as u32 })
            .collect()
    }

    /// Type of a field, binding, constant; result of a function. `Self` and parameters as `subst`
    /// says.
    pub(crate) fn type_of_symbol(&self, symbol: SymbolId, subst: &Subst) -> Ty {
        self.deeper(MAX_DEPTH, || {
            let Some((facts, here)) = self.file(symbol.file) else { return Ty::Unknown };
            let Some(item) = here.items.get(symbol.index as usize) else { return Ty::Unknown };
            let facts = &facts.symbols[symbol.index as usize];
            match facts.kind {
                SymbolKind::Variable | SymbolKind::Parameter => self.type_of_local(symbol),
                SymbolKind::Struct
                | SymbolKind::Enum
                | SymbolKind::Union
                | SymbolKind::Variant
                | SymbolKind::Trait
                | SymbolKind::TypeParameter
                | SymbolKind::TypeAlias
                | SymbolKind::Impl => self.type_named(symbol),
                _ => {
                    let Some(written) = item.ty else { return Ty::Unknown };
                    let is_self = matches!(&here.types[written as usize], Type::Path(path)
                        if here.paths[*path as usize].segments.len() == 1
                            && here.name(here.paths[*path as usize].segments[0]) == "Self");
                    let ty = match &subst.self_ty {
                        Some(self_ty) if is_self => self_ty.clone(),
                        _ => {
                            let ty = self.ty(symbol.file, written).substituted(subst);
                            self.with_self(ty, symbol, subst)
                        }
                    };
                    if item.is_async { Ty::external("std::future::Future", vec![ty]) } else { ty }
                }
            }
        })
    }

    /// In a trait's method, `Self` inside other types is the trait: put the receiver there.
    fn with_self(&self, ty: Ty, method: SymbolId, subst: &Subst) -> Ty {
        let Some(self_ty) = &subst.self_ty else { return ty };
        let parent = self.graph.symbol(method).and_then(|facts| facts.parent);
        let Some(index) = parent else { return ty };
        let owner = SymbolId { file: method.file, index };
        if self.kind(owner) != Some(SymbolKind::Trait) {
            return ty;
        }
        match ty {
            Ty::External(path, args) => {
                let args = args
                    .into_iter()
                    .map(|arg| if arg == Ty::Bounds(vec![owner]) { self_ty.clone() } else { arg })
                    .collect();
                Ty::External(path, args)
            }
            other => other,
        }
    }

    fn type_of_local(&self, symbol: SymbolId) -> Ty {
        let Some((_, here)) = self.file(symbol.file) else { return Ty::Unknown };
        let file = symbol.file;
        // Bindings are in order of their symbols.
        let Ok(found) = here.bindings.binary_search_by_key(&symbol.index, |b| b.symbol) else {
            return Ty::Unknown;
        };
        let binding = &here.bindings[found];
        let mut ty = match binding.origin {
            Origin::Unknown => Ty::Unknown,
            Origin::Type(ty) => self.ty(file, ty),
            Origin::Expr(expr) => self.expr(file, expr),
            Origin::Element(expr) => {
                let iterated = self.expr(file, expr);
                self.iterated(&iterated)
            }
            Origin::SelfValue => match self.self_type(file, binding.scope) {
                Some(Def::Symbol(symbol)) => self.self_value(file, binding.scope, symbol),
                Some(Def::External(path)) => self.self_external(file, binding.scope, path),
                _ => Ty::Unknown,
            },
            Origin::ClosureParameter(receiver, method, position) => {
                let receiver = self.expr(file, receiver);
                self.closure_parameter(&receiver, here.name(method), position)
            }
        };
        for step in &*binding.steps {
            ty = self.step(file, &ty, *step);
        }
        ty
    }

    /// `self` in an `impl`: with the arguments the header writes.
    fn self_value(&self, file: FileId, scope: u32, symbol: SymbolId) -> Ty {
        self.impl_self(file, scope).unwrap_or_else(|| self.type_named(symbol))
    }

    fn self_external(&self, file: FileId, scope: u32, path: Arc<str>) -> Ty {
        self.impl_self(file, scope).unwrap_or(Ty::External(path, Vec::new()))
    }

    fn impl_self(&self, file: FileId, scope: u32) -> Option<Ty> {
        let (_, here) = self.file(file)?;
        let mut next = Some(scope);
        while let Some(scope) = next {
            let facts = here.scopes.get(scope as usize)?;
            if let super::facts::ScopeKind::Impl(number) = facts.kind {
                return Some(self.ty(file, here.impls[number as usize].self_type));
            }
            next = facts.parent;
        }
        None
    }

    /// What `for x in e` gives, through the project's own iterators as well.
    fn iterated(&self, ty: &Ty) -> Ty {
        match ty {
            Ty::Adt(..) => ["into_iter", "iter"]
                .iter()
                .find_map(|name| {
                    let member = self.members_named(ty, name).into_iter().next()?;
                    Some(self.type_of_symbol(member.symbol, &member.subst).element())
                })
                .or_else(|| self.iterator_item(ty))
                .unwrap_or_default(),
            other => other.element(),
        }
    }

    /// `Item` of a project type that is an iterator.
    fn iterator_item(&self, ty: &Ty) -> Option<Ty> {
        let member = self.members_named(ty, "Item").into_iter().next()?;
        let item = self.type_of_symbol(member.symbol, &member.subst).substituted(&member.subst);
        item.is_known().then_some(item)
    }

    fn closure_parameter(&self, receiver: &Ty, method: &str, position: u32) -> Ty {
        let receiver = &self.unwrapped(receiver);
        let name = receiver.last();
        match method {
            // The closure gets an error, or nothing that is known.
            "map_err" | "or_else" | "unwrap_or_else" | "inspect_err" => match receiver {
                Ty::External(_, args) if name == "Result" => {
                    args.get(1).cloned().unwrap_or_default()
                }
                _ => Ty::Unknown,
            },
            "fold" if position == 0 => Ty::Unknown,
            "retain" if is_map(name) => match receiver {
                Ty::External(_, args) => args.get(position as usize).cloned().unwrap_or_default(),
                _ => Ty::Unknown,
            },
            "map" | "and_then" | "filter" | "is_some_and" | "is_none_or" | "is_ok_and"
            | "inspect" | "map_or" | "map_or_else" | "then"
                if matches!(name, "Option" | "Result") =>
            {
                receiver.first_arg()
            }
            "with" if name == "LocalKey" => receiver.first_arg(),
            _ => match receiver {
                Ty::External(..) | Ty::Slice(_) => receiver.element(),
                Ty::Adt(..) => self.iterator_item(receiver).unwrap_or_default(),
                _ => Ty::Unknown,
            },
        }
    }

    /// Through one level of a pattern.
    fn step(&self, file: FileId, ty: &Ty, step: Step) -> Ty {
        let Some((_, here)) = self.file(file) else { return Ty::Unknown };
        match step {
            Step::Element => ty.element(),
            Step::Tuple(index) => match ty {
                Ty::Tuple(args) => args.get(index as usize).cloned().unwrap_or_default(),
                _ => Ty::Unknown,
            },
            Step::Positional(path, index) => {
                let found = self.path(file, path, usize::MAX, Space::Value);
                match found.first() {
                    Some(Def::Symbol(symbol)) => self.positional(*symbol, ty, index),
                    Some(Def::External(path)) => {
                        let name = path.rsplit("::").next().unwrap_or(path);
                        match (name, ty) {
                            ("Err", Ty::External(_, args)) => {
                                args.get(1).cloned().unwrap_or_default()
                            }
                            ("Some" | "Ok" | "Ready", _) => ty.first_arg(),
                            _ => Ty::Unknown,
                        }
                    }
                    _ => Ty::Unknown,
                }
            }
            Step::Named(path, name) => {
                let found = self.path(file, path, usize::MAX, Space::Type);
                let Some(Def::Symbol(owner)) = found.first() else { return Ty::Unknown };
                let owner = self.struct_like(*owner);
                let subst = self.subst_for(owner, ty);
                match self.field_of(owner, here.name(name)) {
                    Some(field) => self.type_of_symbol(field, &subst),
                    None => Ty::Unknown,
                }
            }
        }
    }

    /// An alias of a struct becomes the struct.
    fn struct_like(&self, symbol: SymbolId) -> SymbolId {
        match (self.kind(symbol), self.type_named(symbol)) {
            (Some(SymbolKind::Variant | SymbolKind::Struct | SymbolKind::Union), _) => symbol,
            (_, Ty::Adt(symbol, _)) => symbol,
            _ => symbol,
        }
    }

    /// The `index`-th field of a tuple struct or variant.
    fn positional(&self, symbol: SymbolId, ty: &Ty, index: u32) -> Ty {
        let Some((_, here)) = self.file(symbol.file) else { return Ty::Unknown };
        let symbol = self.struct_like(symbol);
        let item = here.items.get(symbol.index as usize);
        let Some(&written) = item.and_then(|item| item.bounds.get(index as usize)) else {
            return Ty::Unknown;
        };
        self.ty(symbol.file, written).substituted(&self.subst_for(symbol, ty))
    }

    /// Parameters of a struct, or of a variant's enum, as `ty` sets them.
    fn subst_for(&self, owner: SymbolId, ty: &Ty) -> Subst {
        let Ty::Adt(symbol, args) = ty else { return Subst::default() };
        let is_own = *symbol == owner
            || self.graph.symbol(owner).is_some_and(|f| f.parent == Some(symbol.index));
        if !is_own {
            return Subst::default();
        }
        Subst {
            self_ty: Some(ty.clone()),
            params: self.params_of(*symbol).into_iter().zip(args.iter().cloned()).collect(),
        }
    }

    pub(crate) fn field_of(&self, owner: SymbolId, name: &str) -> Option<SymbolId> {
        let owner = self.struct_like(owner);
        children(self.graph, owner)
            .find(|(_, facts)| facts.kind == SymbolKind::Field && facts.name == name)
            .map(|(symbol, _)| symbol)
    }

    /// A type for an expression of which nothing is known: what the only field or method of the
    /// crate that is so called has.
    pub(crate) fn guess(&self, file: FileId, expr: ExprId) -> Ty {
        let Some((_, here)) = self.file(file) else { return Ty::Unknown };
        let (name, kind) = match here.exprs.get(expr as usize) {
            Some(Expr::Field(_, name)) => (*name, SymbolKind::Field),
            Some(Expr::Method(_, name, ..)) => (*name, SymbolKind::Method),
            _ => return Ty::Unknown,
        };
        let name = here.name(name);
        if std_names::COMMON_METHODS.contains(&name) {
            return Ty::Unknown;
        }
        let mut found = self.graph.symbols_named(name).into_iter().filter(|&symbol| {
            self.kind(symbol) == Some(kind) && self.project.tree.same_crate(symbol.file, file)
        });
        match (found.next(), found.next()) {
            (Some(only), None) => self.type_of_symbol(only, &Subst::default()),
            _ => Ty::Unknown,
        }
    }

    /// Type of an expression. Kept for the snapshot.
    pub(crate) fn expr(&self, file: FileId, expr: ExprId) -> Ty {
        let key = (file, expr);
        let kept = self.project.types.read().expect("no panic while locked").get(&key).cloned();
        if let Some(kept) = kept {
            return kept;
        }
        let work = || self.deeper(MAX_DEPTH, || self.expr_inner(file, expr));
        let (ty, is_whole) = self.noting(work);
        if is_whole {
            self.project.types.write().expect("no panic while locked").insert(key, ty.clone());
        }
        ty
    }

    fn expr_inner(&self, file: FileId, expr: ExprId) -> Ty {
        let Some((_, here)) = self.file(file) else { return Ty::Unknown };
        let Some(facts) = here.exprs.get(expr as usize) else { return Ty::Unknown };
        match facts {
            Expr::Unknown | Expr::Macro(_) => self.macro_type(file, facts),
            Expr::Same(inner) => self.expr(file, *inner),
            Expr::Cast(ty) => self.ty(file, *ty),
            Expr::Literal(name) => Ty::external(here.name(*name), Vec::new()),
            Expr::Tuple(args) => Ty::Tuple(args.iter().map(|arg| self.expr(file, *arg)).collect()),
            Expr::Array(first) => {
                Ty::Slice(Box::new(first.map(|first| self.expr(file, first)).unwrap_or_default()))
            }
            Expr::Any(branches) => branches
                .iter()
                .map(|branch| self.expr(file, *branch))
                .find(Ty::is_known)
                .unwrap_or_default(),
            Expr::Closure(body) => {
                Ty::Fn(Box::new(body.map(|body| self.expr(file, body)).unwrap_or_default()))
            }
            Expr::Try(inner) => self.expr(file, *inner).first_arg(),
            Expr::Await(inner) => match self.expr(file, *inner) {
                future if future.last() == "Future" => future.first_arg(),
                Ty::External(_, args) if args.len() == 1 => {
                    // A boxed future, or a join handle of an outside library.
                    match args.into_iter().next() {
                        Some(inner) if inner.last() == "Future" => inner.first_arg(),
                        _ => Ty::Unknown,
                    }
                }
                ty @ Ty::Adt(..) => self
                    .members_named(&ty, "Output")
                    .into_iter()
                    .next()
                    .map(|m| self.type_of_symbol(m.symbol, &m.subst).substituted(&m.subst))
                    .unwrap_or_default(),
                // An async block's value, or a future that is its own type.
                other => other,
            },
            Expr::Index(inner) => {
                let inner = self.expr(file, *inner);
                let inner = self.unwrapped(&inner);
                match &inner {
                    Ty::External(_, args) if is_map(inner.last()) => {
                        args.get(1).cloned().unwrap_or_default()
                    }
                    Ty::Adt(..) => self
                        .members_named(&inner, "index")
                        .into_iter()
                        .next()
                        .map(|m| self.type_of_symbol(m.symbol, &m.subst))
                        .unwrap_or_default(),
                    other => other.element(),
                }
            }
            Expr::Struct(path) => match self.path(file, *path, usize::MAX, Space::Type).first() {
                Some(Def::Symbol(symbol)) => match self.impl_args(file, *path, *symbol) {
                    Some(ty) => ty,
                    None => self.type_named(*symbol),
                },
                _ => Ty::Unknown,
            },
            Expr::Path(path) => self.path_value(file, *path),
            Expr::Field(base, name) => {
                let base = self.expr(file, *base);
                self.field_type(&base, here.name(*name))
            }
            Expr::Method(receiver, name, closure, turbofish) => {
                let receiver = self.expr(file, *receiver);
                self.method_type(file, &receiver, here.name(*name), *closure, *turbofish)
            }
            Expr::Call(callee, argument) => self.call_type(file, *callee, *argument),
        }
    }

    /// `Self { .. }` keeps the arguments of the `impl` header.
    fn impl_args(&self, file: FileId, path: u32, symbol: SymbolId) -> Option<Ty> {
        let (_, here) = self.file(file)?;
        let facts = &here.paths[path as usize];
        let is_self = facts.segments.len() == 1 && here.name(facts.segments[0]) == "Self";
        let scope = here.scope_at(facts.at);
        match self.impl_self(file, scope)? {
            ty @ Ty::Adt(..) if is_self && matches!(&ty, Ty::Adt(s, _) if *s == symbol) => Some(ty),
            _ => None,
        }
    }

    fn macro_type(&self, file: FileId, expr: &Expr) -> Ty {
        let Expr::Macro(path) = expr else { return Ty::Unknown };
        let Some((_, here)) = self.file(file) else { return Ty::Unknown };
        let last = here.paths[*path as usize].segments.last().map_or("", |&name| here.name(name));
        match last {
            "format" | "concat" | "stringify" => Ty::external("String", Vec::new()),
            "vec" => Ty::external("Vec", vec![Ty::Unknown]),
            "matches" => Ty::external("bool", Vec::new()),
            _ => Ty::Unknown,
        }
    }

    fn path_value(&self, file: FileId, path: u32) -> Ty {
        let Some((_, here)) = self.file(file) else { return Ty::Unknown };
        let segments = &*here.paths[path as usize].segments;
        if let [only] = *segments
            && here.name(only) == "self"
        {
            let at = here.paths[path as usize].at;
            return match self.lexical(file, at, "self", Space::Value).first() {
                Some(Def::Symbol(symbol)) => self.type_of_symbol(*symbol, &Subst::default()),
                _ => Ty::Unknown,
            };
        }
        match self.path(file, path, usize::MAX, Space::Value).first() {
            Some(Def::Symbol(symbol)) => match self.kind(*symbol) {
                Some(SymbolKind::Function | SymbolKind::Method) => {
                    Ty::Fn(Box::new(self.type_of_symbol(*symbol, &Subst::default())))
                }
                _ => self.type_of_symbol(*symbol, &Subst::default()),
            },
            Some(Def::External(path)) => match path.rsplit("::").next() {
                Some("None") => Ty::external("Option", vec![Ty::Unknown]),
                _ => Ty::Unknown,
            },
            _ => Ty::Unknown,
        }
    }

    fn call_type(&self, file: FileId, callee: ExprId, argument: Option<ExprId>) -> Ty {
        let Some((_, here)) = self.file(file) else { return Ty::Unknown };
        let Some(Expr::Path(path)) = here.exprs.get(callee as usize) else {
            return match self.expr(file, callee) {
                Ty::Fn(result) => *result,
                _ => Ty::Unknown,
            };
        };
        let facts = &here.paths[*path as usize];
        let argument = || argument.map(|argument| self.expr(file, argument)).unwrap_or_default();
        // `Type::function(..)`: the type in front is what `Self` means.
        let owner = (facts.segments.len() > 1 || facts.qualified.is_some())
            .then(|| self.owner_type(file, *path))
            .filter(Ty::is_known);
        let last = facts.segments.last().map_or("", |&name| here.name(name));
        if let Some(owner) = &owner
            && matches!(owner, Ty::Adt(..) | Ty::Bounds(_) | Ty::Param(_))
            && let Some(member) = self.members_named(owner, last).into_iter().next()
        {
            let kind = self.kind(member.symbol);
            if matches!(kind, Some(SymbolKind::Method | SymbolKind::Function)) {
                return self.type_of_symbol(member.symbol, &member.subst);
            }
        }
        match self.path(file, *path, usize::MAX, Space::Value).first() {
            Some(Def::Symbol(symbol)) => match self.kind(*symbol) {
                Some(SymbolKind::Function | SymbolKind::Method) => {
                    self.type_of_symbol(*symbol, &Subst::default())
                }
                Some(SymbolKind::Struct | SymbolKind::Variant) => {
                    let ty = self.impl_args(file, *path, *symbol);
                    ty.unwrap_or_else(|| self.type_named(*symbol))
                }
                _ => match self.type_of_symbol(*symbol, &Subst::default()) {
                    Ty::Fn(result) => *result,
                    _ => Ty::Unknown,
                },
            },
            Some(Def::External(path)) => self.external_call(path, owner, argument()),
            // A constructor that a derive wrote.
            None => match owner {
                Some(owner @ Ty::Adt(..)) if matches!(last, "default" | "from" | "clone") => owner,
                _ => Ty::Unknown,
            },
            Some(Def::Module(_)) => Ty::Unknown,
        }
    }

    /// The type that all but the last segment of a path name.
    fn owner_type(&self, file: FileId, path: u32) -> Ty {
        let Some((_, here)) = self.file(file) else { return Ty::Unknown };
        let facts = &here.paths[path as usize];
        if facts.segments.len() == 1
            && let Some(ty) = facts.qualified
        {
            return self.ty(file, ty);
        }
        let n_segments = facts.segments.len() - 1;
        match self.path(file, path, n_segments, Space::Type).first() {
            Some(Def::Symbol(symbol)) => {
                if n_segments == 1
                    && here.name(facts.segments[0]) == "Self"
                    && let Some(ty) = self.impl_self(file, here.scope_at(facts.at))
                {
                    return ty;
                }
                match self.type_named(*symbol) {
                    Ty::Adt(symbol, own) => {
                        let args: Vec<Ty> = facts.args.iter().map(|a| self.ty(file, *a)).collect();
                        Ty::Adt(symbol, if args.is_empty() { own } else { args })
                    }
                    other => other,
                }
            }
            Some(Def::External(path)) => {
                Ty::External(path.clone(), facts.args.iter().map(|a| self.ty(file, *a)).collect())
            }
            _ => Ty::Unknown,
        }
    }

    fn external_call(&self, path: &str, owner: Option<Ty>, argument: Ty) -> Ty {
        let last = path.rsplit("::").next().unwrap_or(path);
        if last.starts_with(char::is_uppercase) {
            return match last {
                "Some" => Ty::external("Option", vec![argument]),
                "Ok" => Ty::external("Result", vec![argument]),
                "Err" => Ty::external("Result", vec![Ty::Unknown, argument]),
                "Reverse" => Ty::external(last, vec![argument]),
                _ => Ty::Unknown,
            };
        }
        let owner = owner.unwrap_or_default();
        let name = owner.last().to_owned();
        match last {
            "new" | "pin" | "from" | "new_cyclic" | "default" | "with_capacity"
                if matches!(
                    name.as_str(),
                    "Box"
                        | "Rc"
                        | "Arc"
                        | "RefCell"
                        | "Cell"
                        | "Mutex"
                        | "RwLock"
                        | "Pin"
                        | "OnceCell"
                        | "OnceLock"
                        | "ManuallyDrop"
                ) =>
            {
                match &owner {
                    Ty::External(_, args) if !args.is_empty() => owner,
                    _ => Ty::external(&name, vec![argument]),
                }
            }
            "clone" => argument,
            "new" | "default" | "with_capacity" | "from" | "from_iter" => owner,
            "downgrade" => Ty::external("Weak", vec![argument.first_arg()]),
            "take" | "replace" | "swap" if path.contains("mem::") => argument,
            "from_utf8_lossy" => Ty::external("str", Vec::new()),
            _ => Ty::Unknown,
        }
    }

    pub(crate) fn field_type(&self, base: &Ty, name: &str) -> Ty {
        let base = self.unwrapped(base);
        if let (Ok(index), Ty::Tuple(args)) = (name.parse::<usize>(), &base) {
            return args.get(index).cloned().unwrap_or_default();
        }
        let mut base = base;
        for _ in 0..4 {
            let Ty::Adt(symbol, _) = &base else { return Ty::Unknown };
            if let Ok(index) = name.parse::<u32>() {
                let found = self.positional(*symbol, &base, index);
                if found.is_known() {
                    return found;
                }
            }
            if let Some(field) = self.field_of(*symbol, name) {
                let subst = self.subst_for(*symbol, &base);
                return self.type_of_symbol(field, &subst);
            }
            base = self.unwrapped(&self.dereferenced(&base));
        }
        Ty::Unknown
    }

    /// Box, Rc and guards taken off.
    pub(crate) fn unwrapped(&self, ty: &Ty) -> Ty {
        let mut ty = ty.clone();
        for _ in 0..6 {
            match &ty {
                Ty::External(_, args)
                    if std_names::WRAPPERS.contains(&ty.last()) && !args.is_empty() =>
                {
                    // `Cow<'_, str>`, `Pin<&mut T>`.
                    ty = args[args.len() - 1].clone();
                }
                _ => break,
            }
        }
        ty
    }

    fn method_type(
        &self,
        file: FileId,
        receiver: &Ty,
        name: &str,
        closure: Option<ExprId>,
        turbofish: Option<TypeId>,
    ) -> Ty {
        if let Some(member) = self.members_named(receiver, name).into_iter().next() {
            let ty = self.type_of_symbol(member.symbol, &member.subst);
            // A single type parameter of the method that the turbofish sets.
            return match (&ty, turbofish) {
                (Ty::Param(_), Some(written)) => self.ty(file, written),
                _ => ty,
            };
        }
        if let Some(written) = turbofish
            && matches!(name, "collect" | "parse" | "into" | "sum" | "product" | "downcast_ref")
        {
            let ty = self.ty(file, written);
            return match (name, ty) {
                ("parse", ty) => Ty::external("Result", vec![ty]),
                ("downcast_ref", ty) => Ty::external("Option", vec![ty]),
                ("collect", Ty::External(path, args)) => {
                    let element = self.unwrapped(receiver).element();
                    let is_open = |arg: &Ty| !arg.is_known();
                    let args = if args.iter().all(is_open) && !args.is_empty() {
                        vec![element]
                    } else {
                        args
                    };
                    Ty::External(path, args)
                }
                (_, ty) => ty,
            };
        }
        let closure = || match closure.map(|closure| self.expr(file, closure)) {
            Some(Ty::Fn(result)) => *result,
            _ => Ty::Unknown,
        };
        // `Rc::clone` keeps the wrapper, everything else goes through it.
        if name == "clone" {
            return receiver.clone();
        }
        let receiver = self.unwrapped(receiver);
        if matches!(receiver, Ty::Adt(..)) {
            return match name {
                // Iterator adapters on a project type.
                _ if self.iterator_item(&receiver).is_some() => {
                    let item = self.iterator_item(&receiver).unwrap_or_default();
                    self.known_method(&Ty::external("Iterator", vec![item]), name, closure)
                }
                "to_owned" | "as_ref" | "as_mut" | "borrow" | "borrow_mut" => receiver,
                _ => Ty::Unknown,
            };
        }
        self.known_method(&receiver, name, closure)
    }

    fn known_method(&self, receiver: &Ty, name: &str, closure: impl Fn() -> Ty) -> Ty {
        let Some(known) = std_names::method(receiver.last(), name) else { return Ty::Unknown };
        let iter = |item: Ty| Ty::external("Iterator", vec![item]);
        let option = |item: Ty| Ty::external("Option", vec![item]);
        let last = || match receiver {
            Ty::External(_, args) => args.last().cloned().unwrap_or_default(),
            other => other.element(),
        };
        match known {
            Known::Same => receiver.clone(),
            Known::Element => last(),
            Known::First => receiver.first_arg(),
            Known::OptionOfElement => option(last()),
            Known::Iter if name.contains("values") => iter(last()),
            Known::Iter => match receiver.last() {
                "Option" | "Result" => iter(receiver.first_arg()),
                _ if matches!(name, "chunks" | "windows") => {
                    iter(Ty::Slice(Box::new(receiver.element())))
                }
                _ => iter(receiver.element()),
            },
            Known::IterOfFirst => iter(receiver.first_arg()),
            Known::Mapped => match receiver {
                Ty::External(path, args) => {
                    let mut args = args.clone();
                    if args.is_empty() {
                        args.push(Ty::Unknown);
                    }
                    args[0] = closure();
                    Ty::External(path.clone(), args)
                }
                _ => iter(closure()),
            },
            Known::ClosureResult => closure(),
            Known::FlatMapped => iter(closure().element()),
            Known::FilterMapped if name == "find_map" => option(closure().first_arg()),
            Known::FilterMapped => iter(closure().first_arg()),
            Known::Enumerated => {
                iter(Ty::Tuple(vec![Ty::external("usize", Vec::new()), receiver.element()]))
            }
            Known::OptionOfFirst => option(receiver.first_arg()),
            Known::ResultOfFirst => Ty::external("Result", vec![receiver.first_arg()]),
            Known::Flattened => receiver.first_arg(),
            Known::Named(name) => Ty::external(name, Vec::new()),
        }
    }
}
