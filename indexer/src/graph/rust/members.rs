//! Members of a type: own, of its traits, behind `Deref`; `impl`s and bounds.

use std::sync::Arc;

use super::{
    facts::Type,
    infer::{MAX_DEPTH, Subst, Ty},
    paths::{Def, Query},
    project::Implementation,
    std_names,
};
use crate::{
    SymbolId,
    facts::{SymbolFacts, SymbolKind},
    graph::{Certainty, names::children},
};

/// A member of a type.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) symbol: SymbolId,
    pub(crate) certainty: Certainty,
    pub(crate) subst: Subst,
}

impl Query<'_> {
    /// `Target` of a project type's `Deref`.
    pub(crate) fn dereferenced(&self, ty: &Ty) -> Ty {
        let Ty::Adt(symbol, _) = ty else { return Ty::Unknown };
        for implementation in self.impls_of(*symbol).iter().filter(|i| i.is_of_trait) {
            if self.trait_name(implementation.symbol).as_deref() != Some("Deref") {
                continue;
            }
            let target = children(self.graph, implementation.symbol)
                .find(|(_, facts)| facts.name == "Target")
                .map(|(symbol, _)| symbol);
            if let Some(target) = target {
                return self.type_named(target).substituted(&self.subst_of(implementation, ty));
            }
        }
        Ty::Unknown
    }

    /// Last segment of the trait that an `impl` is of.
    pub(crate) fn trait_name(&self, implementation: SymbolId) -> Option<String> {
        let (_, here) = self.file(implementation.file)?;
        let number = here.items[implementation.index as usize].implementation?;
        let of_trait = here.impls[number as usize].of_trait?;
        match &here.types[of_trait as usize] {
            Type::Path(path) | Type::Assoc(path, _) => {
                let &name = here.paths[*path as usize].segments.last()?;
                Some(here.name(name).to_owned())
            }
            _ => None,
        }
    }

    /// Methods, associated items and fields called `name`, the nearest first: own, traits', behind
    /// `Deref`.
    pub(crate) fn members_named(&self, ty: &Ty, name: &str) -> Vec<Member> {
        self.deeper(MAX_DEPTH, || {
            let mut ty = ty.clone();
            for _ in 0..6 {
                let found = self.own_members(&ty, name);
                if !found.is_empty() {
                    return found;
                }
                ty = match &ty {
                    Ty::External(_, args)
                        if std_names::WRAPPERS.contains(&ty.last()) && !args.is_empty() =>
                    {
                        args[args.len() - 1].clone()
                    }
                    Ty::Adt(..) => self.dereferenced(&ty),
                    _ => Ty::Unknown,
                };
            }
            Vec::new()
        })
    }

    /// `<ty as of_trait>::name`.
    pub(crate) fn qualified(&self, ty: &Ty, of_trait: Option<&Ty>, name: &str) -> Vec<Def> {
        let Some(of_trait) = of_trait else { return self.associated(ty, name) };
        let Ty::Bounds(traits) = of_trait else {
            // The trait is a library's: what the project's type has under the name fills it in.
            return match ty {
                Ty::Adt(..) => self.associated(ty, name),
                _ => self.associated(of_trait, name),
            };
        };
        if let Ty::Adt(symbol, _) = ty {
            let subst = Subst::default();
            let own = self.impls_of(*symbol).iter().find_map(|implementation| {
                let is_meant = implementation.of_trait.is_some_and(|found| traits.contains(&found));
                let owner = Some(implementation.symbol).filter(|_| is_meant)?;
                self.named_child(owner, name, &subst, Certainty::Exact)
            });
            if let Some(own) = own {
                return vec![Def::Symbol(own.symbol)];
            }
        }
        let found = self.trait_members(traits, name, ty);
        found.into_iter().map(|member| Def::Symbol(member.symbol)).collect()
    }

    fn own_members(&self, ty: &Ty, name: &str) -> Vec<Member> {
        let (symbol, traits) = match ty {
            Ty::Adt(symbol, _) => (Some(*symbol), Vec::new()),
            Ty::Param(param) => (None, self.bounds_of(*param)),
            Ty::Bounds(traits) => (None, traits.clone()),
            Ty::External(..) | Ty::Slice(_) => return self.extension_members(ty, name),
            _ => return Vec::new(),
        };
        if let Some(symbol) = symbol {
            let mut found = Vec::new();
            let implementations = self.impls_of(symbol);
            for of_trait in [false, true] {
                for implementation in implementations.iter().filter(|i| i.is_of_trait == of_trait) {
                    let subst = Subst::default();
                    let member =
                        self.named_child(implementation.symbol, name, &subst, Certainty::Exact);
                    found.extend(member.map(|member| Member {
                        subst: self.subst_of(implementation, ty),
                        ..member
                    }));
                }
                if !found.is_empty() {
                    return found;
                }
            }
            let mut traits: Vec<SymbolId> =
                implementations.iter().filter_map(|i| i.of_trait).collect();
            traits.extend(self.blanket_traits(name));
            return self.trait_members(&traits, name, ty);
        }
        self.trait_members(&traits, name, ty)
    }

    /// Items called `name` of traits and their supertraits.
    fn trait_members(&self, traits: &[SymbolId], name: &str, self_ty: &Ty) -> Vec<Member> {
        let subst = Subst { self_ty: Some(self_ty.clone()), params: Vec::new() };
        let mut waiting: Vec<SymbolId> = traits.iter().rev().copied().collect();
        let mut seen: Vec<SymbolId> = Vec::new();
        while let Some(next) = waiting.pop() {
            if seen.contains(&next) || seen.len() > 64 {
                continue;
            }
            seen.push(next);
            let found = self.named_child(next, name, &subst, Certainty::Exact);
            if found.is_some() {
                return found.into_iter().collect();
            }
            waiting.extend(self.bounds_of(next));
        }
        Vec::new()
    }

    /// Traits that have `name` and are implemented for every type (`impl<T: ..> Trait for T`).
    fn blanket_traits(&self, name: &str) -> Vec<SymbolId> {
        let mut traits = Vec::new();
        for method in self.graph.symbols_named(name) {
            if traits.len() >= 8 || self.kind(method) != Some(SymbolKind::Method) {
                continue;
            }
            let owner = self.graph.symbol(method).and_then(|facts| facts.parent);
            let Some(index) = owner else { continue };
            let owner = SymbolId { file: method.file, index };
            if self.kind(owner) == Some(SymbolKind::Trait) && self.has_blanket_impl(owner) {
                traits.push(owner);
            }
        }
        traits
    }

    fn has_blanket_impl(&self, of_trait: SymbolId) -> bool {
        // Written beside the trait, as a rule.
        let Some((facts, here)) = self.file(of_trait.file) else { return false };
        here.impls.iter().any(|implementation| {
            let Some(written) = implementation.of_trait else { return false };
            let symbol = SymbolId { file: of_trait.file, index: implementation.symbol };
            facts.symbols[of_trait.index as usize].name
                == self.trait_name(symbol).unwrap_or_default()
                && matches!(self.ty(of_trait.file, implementation.self_type), Ty::Param(_))
                && self.ty(of_trait.file, written) == Ty::Bounds(vec![of_trait])
        })
    }

    /// Methods that the project adds to an outside type.
    fn extension_members(&self, ty: &Ty, name: &str) -> Vec<Member> {
        let last = ty.last();
        let mut found = Vec::new();
        for implementation in self.graph.symbols_named(last) {
            if self.kind(implementation) != Some(SymbolKind::Impl) {
                continue;
            }
            let subst = Subst { self_ty: Some(ty.clone()), params: Vec::new() };
            if let Some(member) =
                self.named_child(implementation, name, &subst, Certainty::Inferred)
                && self.type_named(implementation).last() == last
            {
                found.push(member);
            } else if let Some(of_trait) = self.trait_of(implementation) {
                found.extend(self.trait_members(&[of_trait], name, ty));
            }
            if !found.is_empty() {
                break;
            }
        }
        if found.is_empty() && std_names::method(last, name).is_none() {
            let traits = self.blanket_traits(name);
            found = self.trait_members(&traits, name, ty);
            for member in &mut found {
                member.certainty = Certainty::Inferred;
            }
        }
        found
    }

    fn named_child(
        &self,
        owner: SymbolId,
        name: &str,
        subst: &Subst,
        certainty: Certainty,
    ) -> Option<Member> {
        children(self.graph, owner)
            .find(|(_, facts)| facts.name == name && is_associated(facts))
            .map(|(symbol, _)| Member { symbol, certainty, subst: subst.clone() })
    }

    /// Bounds of a type parameter or associated type, supertraits of a trait.
    pub(crate) fn bounds_of(&self, symbol: SymbolId) -> Vec<SymbolId> {
        let Some((_, here)) = self.file(symbol.file) else { return Vec::new() };
        let Some(item) = here.items.get(symbol.index as usize) else { return Vec::new() };
        let mut traits = Vec::new();
        for &bound in &*item.bounds {
            match self.ty(symbol.file, bound) {
                Ty::Bounds(found) => traits.extend(found),
                Ty::Adt(found, _) => traits.push(found),
                _ => {}
            }
        }
        traits
    }

    /// The `impl`s of a type, inherent and of traits. Kept for the snapshot.
    pub(crate) fn impls_of(&self, symbol: SymbolId) -> Arc<[Implementation]> {
        let kept = &self.project.implementations;
        if let Some(found) = kept.read().expect("no panic while locked").get(&symbol) {
            return found.clone();
        }
        let (found, is_whole) = self.noting(|| {
            let mut found = Vec::new();
            let names = self.graph.symbol(symbol).map(|facts| self.graph.names_of(&facts.name));
            for name in names.unwrap_or_default() {
                for implementation in self.graph.symbols_named(&name) {
                    if self.kind(implementation) == Some(SymbolKind::Impl)
                        && let Ty::Adt(target, args) = self.type_named(implementation)
                        && target == symbol
                    {
                        found.push(Implementation {
                            symbol: implementation,
                            args,
                            is_of_trait: self.is_trait_impl(implementation),
                            of_trait: self.trait_of(implementation),
                        });
                    }
                }
            }
            Arc::<[Implementation]>::from(found)
        });
        if is_whole {
            kept.write().expect("no panic while locked").insert(symbol, found.clone());
        }
        found
    }

    /// The parameters of an `impl` as the type `ty` sets them.
    fn subst_of(&self, implementation: &Implementation, ty: &Ty) -> Subst {
        let mut params = Vec::new();
        if let Ty::Adt(_, args) = ty {
            for (written, arg) in implementation.args.iter().zip(args) {
                if let Ty::Param(param) = written {
                    params.push((*param, arg.clone()));
                }
            }
        }
        Subst { self_ty: Some(ty.clone()), params }
    }

    fn is_trait_impl(&self, implementation: SymbolId) -> bool {
        self.file(implementation.file).is_some_and(|(_, here)| {
            here.items[implementation.index as usize]
                .implementation
                .is_some_and(|number| here.impls[number as usize].of_trait.is_some())
        })
    }

    /// The project's trait that an `impl` is of.
    pub(crate) fn trait_of(&self, implementation: SymbolId) -> Option<SymbolId> {
        let (_, here) = self.file(implementation.file)?;
        let number = here.items[implementation.index as usize].implementation?;
        let of_trait = here.impls[number as usize].of_trait?;
        match self.ty(implementation.file, of_trait) {
            Ty::Bounds(traits) => traits.first().copied(),
            _ => None,
        }
    }
}

/// True for what a type's or trait's block can hold under a name.
fn is_associated(facts: &SymbolFacts) -> bool {
    matches!(
        facts.kind,
        SymbolKind::Method | SymbolKind::Function | SymbolKind::Constant | SymbolKind::TypeAlias
    )
}
