//! Types, members and bases of symbols; what a file has at top level.

use rustc_hash::FxHashSet;

use super::{
    eval::{Eval, Meaning},
    facts::{Binding, NO_SYMBOL, NameId, Origin, ScopeId, bindings_of},
    resolve::Answer,
    types::{ClassId, FunctionId, Type, Types},
};
use crate::{
    FileId, SymbolId,
    graph::{Candidate, Certainty, Graph, Offer},
};

pub(super) fn in_scope(graph: &Graph, file: FileId) -> Vec<(String, Candidate)> {
    let eval = Eval::new(graph);
    let Some(facts) = eval.facts(file) else { return Vec::new() };
    let Some(module) = facts.scope(ScopeId::MODULE) else { return Vec::new() };
    let mut found: Vec<(u32, String, Candidate)> = Vec::new();
    for (name, bindings) in groups(&module.bindings) {
        let mut answer = Answer::default();
        let bindings: Vec<&Binding> = bindings.iter().collect();
        let Some(first) = bindings.first().map(|binding| binding.at) else { continue };
        let meaning = Meaning::Bound { file, bindings, certainty: Certainty::Exact };
        answer.meaning(&eval, meaning, Certainty::Exact);
        if let Some(&candidate) = answer.finish().candidates.first() {
            found.push((first, facts.name(name).to_owned(), candidate));
        }
    }
    found.sort_by_key(|(at, ..)| *at);
    found.into_iter().map(|(_, name, candidate)| (name, candidate)).collect()
}

/// Bindings grouped by name.
pub(super) fn groups(bindings: &[Binding]) -> impl Iterator<Item = (NameId, &[Binding])> {
    let mut rest = bindings;
    std::iter::from_fn(move || {
        let name = rest.first()?.name;
        let len = rest.partition_point(|binding| binding.name == name);
        let (group, tail) = rest.split_at(len);
        rest = tail;
        Some((name, group))
    })
}

pub(super) fn type_of(graph: &Graph, symbol: SymbolId) -> Vec<Candidate> {
    let eval = Eval::new(graph);
    let types = types_of(&eval, symbol);
    candidates(&eval, &types)
}

fn types_of(eval: &Eval<'_>, symbol: SymbolId) -> Types {
    let file = symbol.file;
    let Some(facts) = eval.facts(file) else { return Types::new() };
    let bound = |bindings: &[Binding]| {
        let mut types = Types::new();
        for binding in bindings {
            super::types::merge(&mut types, eval.types_of_binding(file, binding, None));
        }
        types
    };
    match facts.origins.get(symbol.index as usize) {
        Some(&Origin::Function(index)) => {
            let types = eval.returned(FunctionId { file, index }, None, None);
            types.into_iter().flat_map(|ty| eval.awaited(ty)).collect()
        }
        Some(&Origin::Variable { scope, name }) => facts
            .scope(scope)
            .map(|scope| bound(bindings_of(&scope.bindings, name)))
            .unwrap_or_default(),
        Some(&Origin::Attribute { class, name }) => facts
            .classes
            .get(class as usize)
            .map(|class| bound(bindings_of(&class.attributes, name)))
            .unwrap_or_default(),
        Some(&Origin::Parameter { function, index }) => {
            eval.types_of_parameter(file, function, index)
        }
        Some(&Origin::Class(index)) => vec![Type::Class(ClassId { file, index })],
        Some(Origin::TypeParameter | Origin::Module) | None => Types::new(),
    }
}

/// The classes that types are (instances of), and those a container holds.
pub(super) fn candidates(eval: &Eval<'_>, types: &Types) -> Vec<Candidate> {
    let mut answer = Answer::default();
    let mut work: Vec<(&Type, usize)> = types.iter().rev().map(|ty| (ty, 0)).collect();
    while let Some((ty, depth)) = work.pop() {
        match ty {
            Type::Class(class) | Type::Instance(class, _) => {
                if let Some(symbol) = eval.class_symbol(*class) {
                    let sure = if depth == 0 { Certainty::Exact } else { Certainty::Inferred };
                    answer.add(symbol, sure);
                }
            }
            Type::ExternalInstance(_, args) if depth < 4 => {
                work.extend(args.iter().flatten().rev().map(|arg| (arg, depth + 1)));
            }
            _ => {}
        }
    }
    answer.finish().candidates
}

pub(super) fn members(graph: &Graph, symbol: SymbolId) -> Vec<Offer> {
    let eval = Eval::new(graph);
    let Some(facts) = eval.facts(symbol.file) else { return Vec::new() };
    match facts.origins.get(symbol.index as usize) {
        Some(&Origin::Class(index)) => {
            members_of(&eval, &Type::Class(ClassId { file: symbol.file, index }), Certainty::Exact)
        }
        Some(Origin::Module) => members_of(&eval, &Type::Module(symbol.file), Certainty::Exact),
        _ => Vec::new(),
    }
}

/// Members of a class, an instance or a module; own ones first, then each base's.
pub(super) fn members_of(eval: &Eval<'_>, ty: &Type, certainty: Certainty) -> Vec<Offer> {
    let mut offers = Vec::new();
    let mut seen: FxHashSet<String> = FxHashSet::default();
    match ty {
        Type::Class(class) | Type::Instance(class, _) | Type::Super(class) => {
            let linear = eval.linear(*class);
            let skip = usize::from(matches!(ty, Type::Super(_)));
            for (distance, class) in linear.classes.iter().enumerate().skip(skip) {
                let Some(facts) = eval.facts(class.file) else { continue };
                let Some(info) = facts.classes.get(class.index as usize) else { continue };
                let Some(scope) = facts.scope(info.scope) else { continue };
                let body = groups(&scope.bindings).chain(groups(&info.attributes));
                for (name, bindings) in body {
                    let name = facts.name(name);
                    let Some(binding) = bindings.iter().find(|b| b.symbol != NO_SYMBOL) else {
                        continue;
                    };
                    if seen.insert(name.to_owned()) {
                        let symbol = SymbolId { file: class.file, index: binding.symbol };
                        offers.push(Offer {
                            name: name.to_owned(),
                            symbol: Some(symbol),
                            certainty,
                            distance: distance as u32,
                        });
                    }
                }
            }
        }
        Type::Module(file) => {
            for (name, candidate) in in_scope(eval.graph, *file) {
                offers.push(Offer {
                    name,
                    symbol: Some(candidate.symbol),
                    certainty,
                    distance: u32::from(candidate.symbol.file != *file),
                });
            }
            offers.sort_by_key(|offer| offer.distance);
        }
        Type::Variable(file, _, bound) => {
            for ty in eval.instances(*file, *bound) {
                if !matches!(ty, Type::Variable(..)) {
                    offers.extend(members_of(eval, &ty, certainty));
                }
            }
        }
        _ => {}
    }
    offers
}

pub(super) fn supers(graph: &Graph, symbol: SymbolId) -> Vec<Candidate> {
    let eval = Eval::new(graph);
    let Some(facts) = eval.facts(symbol.file) else { return Vec::new() };
    let class_of = |index: u32| ClassId { file: symbol.file, index };
    let overridden = |class: u32| -> Vec<Candidate> {
        let Some(name) = graph.symbol(symbol).map(|symbol| &symbol.name) else {
            return Vec::new();
        };
        let linear = eval.linear(class_of(class));
        let mut answer = Answer::default();
        for base in linear.classes.iter().skip(1) {
            for binding in eval.own_member(*base, name).into_iter().flatten() {
                if binding.symbol != NO_SYMBOL {
                    let above = SymbolId { file: base.file, index: binding.symbol };
                    answer.add(above, Certainty::Exact);
                }
            }
        }
        answer.finish().candidates
    };
    match facts.origins.get(symbol.index as usize) {
        Some(&Origin::Class(index)) => {
            let mut answer = Answer::default();
            for base in eval.bases(class_of(index)) {
                if let Type::Class(base) = base
                    && base != class_of(index)
                    && let Some(base) = eval.class_symbol(base)
                {
                    answer.add(base, Certainty::Exact);
                }
            }
            answer.finish().candidates
        }
        Some(&Origin::Function(index)) => match facts.functions.get(index as usize) {
            Some(function) => function.class.map(overridden).unwrap_or_default(),
            None => Vec::new(),
        },
        Some(&Origin::Attribute { class, .. }) => overridden(class),
        Some(&Origin::Variable { scope, .. }) => match facts.scope(scope) {
            Some(scope) if scope.kind == super::facts::ScopeKind::Class => overridden(scope.owner),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}
