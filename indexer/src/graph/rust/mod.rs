//! Rust: crates, modules, `use` trees, paths, traits and receiver types.
//!
//! [`facts`] is what extraction keeps of a file, [`project`] the module tree, [`mod@cfg`] which of
//! several alternatives is built, [`paths`] name lookup, [`infer`] types, [`members`] what they have, [`offers`] what can stand at a cursor.

mod cfg;
pub mod facts;
pub mod few;
mod infer;
pub mod manifest;
mod members;
mod offers;
mod paths;
mod project;
mod std_names;
#[cfg(test)]
mod tests;

pub use facts::RustFacts;
pub(crate) use project::{Project, declarations, rust as rust_facts};

use self::{
    facts::{ExprId, Ref, Space},
    infer::{Subst, Ty},
    paths::{Def, Query},
};
use super::{Candidate, Certainty, Graph, Offer, Offers, Resolution, names, resolver::Resolver};
use crate::{
    FileId, SymbolId,
    facts::{FileFacts, SymbolKind},
};

/// The Rust resolver.
pub(crate) struct Rust;

impl Resolver for Rust {
    fn resolve(&self, graph: &Graph, file: FileId, occurrence: usize) -> Option<Resolution> {
        let query = Query::new(graph);
        let (facts, here) = query.file(file)?;
        let found = &facts.occurrences[occurrence];
        let name = facts.name_of(found);
        let index = here.refs.binary_search_by_key(&found.range.start, |(at, _)| *at).ok()?;
        match here.refs[index].1 {
            Ref::Name => Some(by_name(graph, file, occurrence)),
            Ref::Local(symbol) => Some(exact(SymbolId { file, index: symbol })),
            Ref::Segment(path, segment, space) => {
                Some(segment_meaning(&query, file, path, segment as usize, space).unwrap_or_else(
                    || {
                        let segments = here.paths[path as usize].segments.len();
                        let is_local =
                            segments == 1 && name.starts_with(|c: char| c.is_lowercase());
                        if is_local
                            && space != Space::Macro
                            && found.role != crate::facts::Role::Call
                        {
                            // A local that only a macro defines: no item is meant.
                            return Resolution::default();
                        }
                        by_name(graph, file, occurrence)
                    },
                ))
            }
            Ref::Field(base) => {
                let ty = query.expr(file, base);
                field_meaning(&query, &ty, name)
                    .or_else(|| guessed(&query, file, base, &ty, name))
                    .or_else(|| Some(of_kinds(graph, file, name, &ty, FIELDS)))
            }
            Ref::Method(base) => {
                let ty = query.expr(file, base);
                guessed(&query, file, base, &ty, name)
                    .or_else(|| Some(method_meaning(&query, file, &ty, name)))
            }
            Ref::FieldOf(path) => Some(literal_field(&query, file, path, name)),
            Ref::Shorthand(path) => {
                // The field is what an editor's user wants; the local is a step away.
                let mut meaning = literal_field(&query, file, path, name);
                let at = found.range.start;
                let locals = query.lexical(file, at, name, Space::Value);
                meaning.candidates.extend(locals.iter().filter_map(|def| {
                    Some(Candidate {
                        symbol: query.symbol_of(def)?,
                        certainty: Certainty::Inferred,
                    })
                }));
                Some(meaning)
            }
            Ref::AssocOf(path) => {
                let defs = query.path(file, path, usize::MAX, Space::Type);
                let found = defs.iter().flat_map(|def| query.inside(def, name, Space::Type));
                let found: Vec<Def> = found.collect();
                Some(meaning(&query, &found, Certainty::Exact).unwrap_or_default())
            }
        }
    }

    fn offers(&self, graph: &Graph, file: FileId, offset: u32, text: &str) -> Offers {
        offers::offers(graph, file, offset, text)
    }

    fn in_scope(&self, graph: &Graph, file: FileId) -> Vec<(String, Candidate)> {
        let query = Query::new(graph);
        offers::module_names(&query, project::Module { file, scope: 0 })
            .into_iter()
            .filter_map(|offer| {
                let certainty = offer.certainty;
                Some((offer.name, Candidate { symbol: offer.symbol?, certainty }))
            })
            .collect()
    }

    fn type_of(&self, graph: &Graph, symbol: SymbolId) -> Vec<Candidate> {
        let query = Query::new(graph);
        let ty = query.type_of_symbol(symbol, &Subst::default());
        let mut symbols = Vec::new();
        type_symbols(&ty, &mut symbols);
        symbols
            .into_iter()
            .filter(|found| *found != symbol)
            .map(|symbol| Candidate { symbol, certainty: Certainty::Inferred })
            .collect()
    }

    fn members(&self, graph: &Graph, symbol: SymbolId) -> Vec<Offer> {
        let query = Query::new(graph);
        match query.def_of(symbol) {
            Def::Module(module) => offers::module_names(&query, module),
            _ => offers::members_of(&query, &query.type_named(symbol), offers::Wanted::All),
        }
    }

    fn supers(&self, graph: &Graph, symbol: SymbolId) -> Vec<Candidate> {
        let query = Query::new(graph);
        let candidate = |symbol| Candidate { symbol, certainty: Certainty::Exact };
        match query.kind(symbol) {
            Some(SymbolKind::Impl) => query.trait_of(symbol).map(candidate).into_iter().collect(),
            Some(SymbolKind::Trait) => query.bounds_of(symbol).into_iter().map(candidate).collect(),
            Some(SymbolKind::Struct | SymbolKind::Enum | SymbolKind::Union) => {
                let mut traits: Vec<SymbolId> = Vec::new();
                for implementation in query.impls_of(symbol).iter() {
                    traits.extend(implementation.of_trait.filter(|t| !traits.contains(t)));
                }
                traits.into_iter().map(candidate).collect()
            }
            Some(SymbolKind::Method | SymbolKind::Constant | SymbolKind::TypeAlias) => {
                overridden(&query, symbol).map(candidate).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The trait's item that an item of an `impl` fills in.
fn overridden(query: &Query<'_>, symbol: SymbolId) -> Option<SymbolId> {
    let facts = query.graph.symbol(symbol)?;
    let owner = SymbolId { file: symbol.file, index: facts.parent? };
    if query.kind(owner) != Some(SymbolKind::Impl) {
        return None;
    }
    let of_trait = query.trait_of(owner)?;
    names::children(query.graph, of_trait)
        .find(|(_, other)| other.name == facts.name && other.kind == facts.kind)
        .map(|(symbol, _)| symbol)
}

/// The project's types that a type is made of, the outermost first.
fn type_symbols(ty: &Ty, into: &mut Vec<SymbolId>) {
    let mut waiting = vec![ty];
    while let Some(ty) = waiting.pop() {
        match ty {
            Ty::Adt(symbol, args) => {
                if !into.contains(symbol) {
                    into.push(*symbol);
                }
                waiting.extend(args.iter().rev());
            }
            Ty::Bounds(traits) => into.extend(traits),
            Ty::External(_, args) | Ty::Tuple(args) => waiting.extend(args.iter().rev()),
            Ty::Slice(inner) | Ty::Fn(inner) => waiting.push(inner),
            Ty::Param(_) | Ty::Unknown => {}
        }
    }
}

fn exact(symbol: SymbolId) -> Resolution {
    let candidates = vec![Candidate { symbol, certainty: Certainty::Exact }];
    Resolution { at: None, candidates, external: None }
}

fn external(path: &str) -> Resolution {
    Resolution { external: Some(path.to_owned()), ..Resolution::default() }
}

/// Definitions as a resolution; `None` if there are none.
fn meaning(query: &Query<'_>, defs: &[Def], certainty: Certainty) -> Option<Resolution> {
    let symbols: Vec<SymbolId> = defs.iter().filter_map(|def| query.symbol_of(def)).collect();
    if symbols.is_empty() {
        return defs.iter().find_map(|def| match def {
            Def::External(path) => Some(external(path)),
            // A crate's root has no symbol, but it is known.
            Def::Module(_) => Some(Resolution::default()),
            Def::Symbol(_) => None,
        });
    }
    // Several definitions under one name are alternatives of `cfg`.
    let certainty = if symbols.len() > 1 { certainty.min(Certainty::Inferred) } else { certainty };
    let candidates = symbols.into_iter().map(|symbol| Candidate { symbol, certainty }).collect();
    Some(Resolution { at: None, candidates, external: None })
}

fn segment_meaning(
    query: &Query<'_>,
    file: FileId,
    path: u32,
    segment: usize,
    space: Space,
) -> Option<Resolution> {
    let mut defs = query.path(file, path, segment + 1, space);
    if defs.is_empty() && space == Space::Value {
        // A struct's name in front of braces, a macro's argument that is a type.
        defs = query.path(file, path, segment + 1, Space::Any);
    }
    let has_type_in_front = segment > 0
        && matches!(query.path(file, path, segment, Space::Type).first(),
            Some(Def::Symbol(owner)) if query.kind(*owner) != Some(SymbolKind::Enum));
    let is_abstract = has_type_in_front
        && defs.iter().any(|def| matches!(def, Def::Symbol(symbol) if in_trait(query, *symbol)));
    let certainty = if is_abstract { Certainty::Inferred } else { Certainty::Exact };
    if let Some(found) = meaning(query, &defs, certainty) {
        return Some(found);
    }
    // `Type::clone`: what a derive wrote is nowhere in the text.
    if segment > 0 && !query.path(file, path, segment, Space::Type).is_empty() {
        let (_, here) = query.file(file)?;
        let name = here.name(here.paths[path as usize].segments[segment]);
        if std_names::COMMON_METHODS.contains(&name) || name == "default" || name == "from" {
            return Some(external(name));
        }
    }
    None
}

fn in_trait(query: &Query<'_>, symbol: SymbolId) -> bool {
    let parent = query.graph.symbol(symbol).and_then(|facts| facts.parent);
    parent.is_some_and(|index| {
        query.kind(SymbolId { file: symbol.file, index }) == Some(SymbolKind::Trait)
    })
}

fn literal_field(query: &Query<'_>, file: FileId, path: u32, name: &str) -> Resolution {
    let defs = query.path(file, path, usize::MAX, Space::Type);
    for def in &defs {
        match def {
            Def::Symbol(owner) => {
                if let Some(field) = query.field_of(*owner, name) {
                    return exact(field);
                }
            }
            Def::External(path) => return external(&format!("{path}::{name}")),
            Def::Module(_) => {}
        }
    }
    of_kinds(query.graph, file, name, &Ty::Unknown, FIELDS)
}

fn field_meaning(query: &Query<'_>, ty: &Ty, name: &str) -> Option<Resolution> {
    let mut ty = query.unwrapped(ty);
    for _ in 0..4 {
        let Ty::Adt(symbol, _) = &ty else { break };
        if let Some(field) = query.field_of(*symbol, name) {
            return Some(exact(field));
        }
        ty = query.unwrapped(&query.dereferenced(&ty));
    }
    match ty {
        Ty::External(path, _) => Some(external(&format!("{path}::{name}"))),
        Ty::Tuple(_) => Some(Resolution::default()),
        _ => None,
    }
}

/// A member of what a receiver of unknown type may be: a macro's own local, as a rule.
fn guessed(
    query: &Query<'_>,
    file: FileId,
    base: ExprId,
    ty: &Ty,
    name: &str,
) -> Option<Resolution> {
    if *ty != Ty::Unknown {
        return None;
    }
    let ty = query.unwrapped(&query.guess(file, base));
    let field = match &ty {
        Ty::Adt(owner, _) => query.field_of(*owner, name),
        _ => None,
    };
    let members = query.members_named(&ty, name);
    let symbols = members.iter().map(|member| member.symbol).chain(field);
    let candidates: Vec<Candidate> =
        symbols.map(|symbol| Candidate { symbol, certainty: Certainty::Inferred }).collect();
    let found = Resolution { at: None, candidates, external: None };
    (!found.candidates.is_empty()).then_some(found)
}

fn method_meaning(query: &Query<'_>, file: FileId, ty: &Ty, name: &str) -> Resolution {
    let members = query.members_named(ty, name);
    if !members.is_empty() {
        let candidates = members
            .iter()
            .map(|member| Candidate {
                symbol: member.symbol,
                certainty: member.certainty.min(receiver_certainty(&query.unwrapped(ty))),
            })
            .collect();
        return Resolution { at: None, candidates, external: None };
    }
    // A field that holds a function: `(self.f)(x)` is the usual form, but macros write `self.f(x)`.
    let known = query.unwrapped(ty);
    match &known {
        Ty::External(path, _) => external(&format!("{path}::{name}")),
        Ty::Slice(_) => external(&format!("slice::{name}")),
        Ty::Tuple(_) | Ty::Fn(_) => external(name),
        Ty::Adt(..) if std_names::COMMON_METHODS.contains(&name) => external(name),
        _ => of_kinds(query.graph, file, name, ty, METHODS),
    }
}

fn receiver_certainty(ty: &Ty) -> Certainty {
    match ty {
        Ty::Adt(..) => Certainty::Exact,
        _ => Certainty::Inferred,
    }
}

const FIELDS: &[SymbolKind] = &[SymbolKind::Field];
const METHODS: &[SymbolKind] = &[SymbolKind::Method];

/// Definitions of fitting kinds that share the name, the likely ones first. One method that only
/// one place in the crate defines is more than a matching name, unless the library has many so
/// called.
fn of_kinds(graph: &Graph, file: FileId, name: &str, ty: &Ty, kinds: &[SymbolKind]) -> Resolution {
    let project = graph.rust_project();
    let has_self = |symbol: SymbolId| {
        kinds != METHODS
            || graph.facts(symbol.file).and_then(|facts| project::rust(facts)).is_some_and(|here| {
                here.items.get(symbol.index as usize).is_some_and(|item| item.has_self)
            })
    };
    let mut found: Vec<SymbolId> = graph
        .symbols_named(name)
        .into_iter()
        .filter(|symbol| graph.symbol(*symbol).is_some_and(|facts| kinds.contains(&facts.kind)))
        .filter(|symbol| has_self(*symbol))
        .collect();
    let is_trait_item = |symbol: &SymbolId| {
        graph.symbol(*symbol).and_then(|facts| facts.parent).is_some_and(|index| {
            graph
                .symbol(SymbolId { file: symbol.file, index })
                .is_some_and(|owner| owner.kind == SymbolKind::Trait)
        })
    };
    found.sort_by_key(|symbol| {
        (
            symbol.file != file,
            !project.tree.same_crate(symbol.file, file),
            graph.symbol(*symbol).is_some_and(|facts| facts.is_test),
            !is_trait_item(symbol),
            *symbol,
        )
    });
    let is_common = std_names::COMMON_METHODS.contains(&name);
    if is_common && kinds == METHODS && *ty == Ty::Unknown && found.len() > 6 {
        // Nearly always the library's.
        found.truncate(6);
    }
    // A known type that has no such method has it from a macro, or from a trait.
    let can_be = |symbol: &SymbolId| !matches!(ty, Ty::Adt(..)) || is_trait_item(symbol);
    let is_only = found.len() == 1
        && !is_common
        && found.first().is_some_and(can_be)
        && found.first().is_some_and(|s| project.tree.same_crate(s.file, file));
    let certainty = if is_only { Certainty::Inferred } else { Certainty::NameOnly };
    found.truncate(20);
    let candidates = found.into_iter().map(|symbol| Candidate { symbol, certainty }).collect();
    Resolution { at: None, candidates, external: None }
}

fn by_name(graph: &Graph, file: FileId, occurrence: usize) -> Resolution {
    let candidates = names::candidates(graph, file, occurrence);
    Resolution { at: None, candidates, external: None }
}

/// True if two versions of a file have the same place in the module tree.
pub(crate) fn same_tree(before: &FileFacts, after: &FileFacts) -> bool {
    use crate::facts::ResolverFacts as R;
    match (&before.resolver, &after.resolver) {
        (R::CargoManifest(before), R::CargoManifest(after)) => before == after,
        (R::CargoManifest(_), _) | (_, R::CargoManifest(_)) => false,
        _ => before.language == after.language && declarations(before) == declarations(after),
    }
}
