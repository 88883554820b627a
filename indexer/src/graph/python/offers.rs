//! What can stand at a cursor: members of the receiver, or names in scope.
//!
//! The buffer is parsed as it is, with a placeholder where the name would stand, so that `obj.` in
//! front of the next statement is still an attribute of `obj`.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::{
    eval::{Eval, Meaning},
    facts::{Expr, ExprId, PythonFacts, ScopeId, ScopeKind, Target},
    relations::{candidates, groups, members_of},
    resolve::Answer,
};
use crate::{
    FileFacts, FileId, Language, SymbolId,
    facts::ResolverFacts,
    graph::{Certainty, Graph, Offer, Offers, names::partial_identifier},
    parse,
};

/// Stands where a name is about to be typed.
const PLACEHOLDER: &str = "_fovea_";

pub(super) fn offers(graph: &Graph, file: FileId, offset: u32, text: &str) -> Offers {
    let partial = partial_identifier(text, offset);
    let before = text[..partial.start as usize].trim_end_matches([' ', '\t']);
    let is_member = before.ends_with('.') && !before.ends_with("..");
    let mut edited = String::with_capacity(text.len() + PLACEHOLDER.len());
    edited.push_str(&text[..partial.end as usize]);
    let goes_on =
        text[partial.end as usize..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    if partial.is_empty() && !goes_on {
        edited.push_str(PLACEHOLDER);
    }
    edited.push_str(&text[partial.end as usize..]);
    let buffer = Arc::new(parse::parse(Language::Python, &edited));
    let empty = Offers { partial, is_member, ..Offers::default() };
    let ResolverFacts::Python(facts) = &buffer.resolver else { return empty };
    let eval = Eval::with_buffer(graph, file, &buffer);
    let target = buffer.occurrence_at(partial.start).and_then(|at| facts.targets.get(at).copied());
    let expr = match target {
        Some(Target::Expr(expr)) => Some(expr),
        _ => None,
    };
    let mut offers = match (is_member, expr.map(|expr| facts.expr(expr))) {
        (true, Some(Expr::Attr { object, .. })) => member_offers(&eval, file, object),
        (true, _) => Offers::default(),
        (false, Some(Expr::Name { scope, .. })) => scope_offers(&eval, file, facts, scope),
        (false, _) => scope_offers(&eval, file, facts, scope_at(facts, partial.start)),
    };
    offers.items.retain(|offer| offer.name != PLACEHOLDER && offer.name != partial.slice(text));
    for offer in &mut offers.items {
        if let Some(symbol) = offer.symbol.filter(|symbol| symbol.file == file) {
            offer.symbol = indexed(graph, &buffer, symbol);
        }
    }
    Offers { partial, is_member, ..offers }
}

/// The indexed symbol that a symbol of the buffer was before the last edits.
fn indexed(graph: &Graph, buffer: &FileFacts, symbol: SymbolId) -> Option<SymbolId> {
    let facts = graph.facts(symbol.file)?;
    let name_of = |facts: &FileFacts, parent: Option<u32>| {
        parent.and_then(|at| facts.symbols.get(at as usize)).map(|symbol| symbol.name.clone())
    };
    let now = buffer.symbols.get(symbol.index as usize)?;
    let around = name_of(buffer, now.parent);
    let is_same = |index: usize| {
        facts.symbols.get(index).is_some_and(|then| {
            then.name == now.name && then.kind == now.kind && name_of(facts, then.parent) == around
        })
    };
    let index = Some(symbol.index as usize)
        .filter(|&index| is_same(index))
        .or_else(|| (0..facts.symbols.len()).find(|&index| is_same(index)))?;
    Some(SymbolId { file: symbol.file, index: index as u32 })
}

fn member_offers(eval: &Eval<'_>, file: FileId, object: ExprId) -> Offers {
    let types = eval.types(file, object);
    let certainty = if types.len() == 1 { Certainty::Exact } else { Certainty::Inferred };
    let mut items: Vec<Offer> = Vec::new();
    let mut seen: FxHashSet<String> = FxHashSet::default();
    for ty in &types {
        for offer in members_of(eval, ty, certainty) {
            if seen.insert(offer.name.clone()) {
                items.push(offer);
            }
        }
    }
    // What is private or special comes last.
    items.sort_by_key(|offer| (offer.name.starts_with('_'), offer.distance));
    Offers { receiver: candidates(eval, &types), items, ..Offers::default() }
}

fn scope_offers(eval: &Eval<'_>, file: FileId, facts: &PythonFacts, scope: ScopeId) -> Offers {
    let mut items: Vec<Offer> = Vec::new();
    let mut seen: FxHashSet<String> = FxHashSet::default();
    let mut here = scope;
    let mut distance = 0;
    for _ in 0..facts.scopes.len() {
        let Some(scope) = facts.scope(here) else { break };
        if distance == 0 || scope.kind != ScopeKind::Class {
            for (name, bindings) in groups(&scope.bindings) {
                let name = facts.name(name);
                if !seen.insert(name.to_owned()) {
                    continue;
                }
                let bindings = bindings.iter().collect();
                let meaning = Meaning::Bound { file, bindings, certainty: Certainty::Exact };
                let mut answer = Answer::default();
                answer.meaning(eval, meaning, Certainty::Exact);
                let symbol = answer.finish().candidates.first().map(|found| found.symbol);
                let name = name.to_owned();
                items.push(Offer { name, symbol, certainty: Certainty::Exact, distance });
            }
        }
        if here == ScopeId::MODULE {
            break;
        }
        here = scope.parent;
        distance += 1;
    }
    Offers { items, ..Offers::default() }
}

/// The innermost scope around `offset`.
fn scope_at(facts: &PythonFacts, offset: u32) -> ScopeId {
    facts
        .scopes
        .iter()
        .enumerate()
        .filter(|(_, scope)| scope.range.touches(offset))
        .min_by_key(|(_, scope)| scope.range.len())
        .map_or(ScopeId::MODULE, |(index, _)| ScopeId(index as u32))
}
