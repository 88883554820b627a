//! What can stand at a cursor: members of a receiver, items of a module, names in scope. The
//! buffer may be broken: a name is put at the cursor before it is parsed, so that `x.` is a field
//! access, and the rest of the graph stays as it is.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::{
    facts::{Ref, Space},
    infer::Ty,
    paths::{Def, Query, fits},
    project::{Entry, Module, rust, shows_items},
};
use crate::{
    FileId, Language, SymbolId,
    facts::{FileFacts, SymbolFacts, SymbolKind},
    graph::{Candidate, Certainty, Graph, Offer, Offers, names},
    parse::parse,
    text::ByteRange,
};

/// Stands for what is being typed.
const PLACEHOLDER: &str = "fovea_placeholder";
/// No list is longer.
const MAX_OFFERS: usize = 400;

/// Which members fit.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Wanted {
    /// Behind a dot: fields and methods with `self`.
    Instance,
    /// Behind `::`: everything associated.
    Associated,
    All,
}

pub(crate) fn offers(indexed: &Graph, file: FileId, offset: u32, text: &str) -> Offers {
    let partial = names::partial_identifier(text, offset);
    let before = &text[..partial.start as usize];
    let trimmed = before.trim_end();
    let behind_dot = trimmed.ends_with('.') && !trimmed.ends_with("..");
    let behind_colons = trimmed.ends_with("::");
    let is_member = behind_dot || behind_colons;
    let mut offers = at_cursor(indexed, file, partial, behind_dot, &patched(text, partial));
    if is_member && offers.items.is_empty() {
        // Nothing after the cursor closes what is open: close it here.
        offers = at_cursor(indexed, file, partial, behind_dot, &closed(text, partial));
    }
    Offers { is_member, ..offers }
}

/// The offers for the placeholder in `text`, which starts where `partial` does.
fn at_cursor(
    indexed: &Graph,
    file: FileId,
    partial: ByteRange,
    behind_dot: bool,
    text: &str,
) -> Offers {
    let facts = parse(Language::Rust, text);
    let behind_colons = text[..partial.start as usize].trim_end().ends_with("::");
    let path = indexed.path(file).unwrap_or_default().to_owned();
    let graph = &indexed.with_changes(&[(file, path, Some(Arc::new(facts)))]);
    let query = Query::new(graph);
    let mut offers = Offers { partial, ..Offers::default() };
    let at = partial.start;
    let reference = graph.facts(file).and_then(|facts| reference_at(facts, at));
    match reference {
        Some(Ref::Field(base) | Ref::Method(base)) if behind_dot => {
            let ty = query.expr(file, base);
            offers.receiver = receiver(&query, &ty);
            offers.items = members_of(&query, &ty, Wanted::Instance);
        }
        Some(Ref::Segment(path, segment, _)) if behind_colons && segment > 0 => {
            for def in query.path(file, path, segment as usize, Space::Type) {
                match def {
                    Def::Module(module) => {
                        offers.receiver.extend(candidate(&query, &Def::Module(module)));
                        offers.items.extend(module_names(&query, module));
                    }
                    Def::Symbol(symbol) => {
                        let ty = query.type_named(symbol);
                        offers.receiver.extend(receiver(&query, &ty));
                        offers.items.extend(members_of(&query, &ty, Wanted::Associated));
                    }
                    Def::External(_) => {}
                }
            }
        }
        Some(Ref::FieldOf(path) | Ref::Shorthand(path)) => {
            if let Some(Def::Symbol(owner)) =
                query.path(file, path, usize::MAX, Space::Type).first()
            {
                offers.receiver.push(Candidate { symbol: *owner, certainty: Certainty::Exact });
                offers.items = fields_of(&query, *owner);
            }
        }
        _ if behind_dot || behind_colons => {}
        _ => offers.items = names_at(&query, file, at),
    }
    offers.items.retain(|item| item.name != PLACEHOLDER);
    offers.items.truncate(MAX_OFFERS);
    to_indexed(graph, indexed, file, &mut offers);
    offers
}

fn reference_at(facts: &FileFacts, at: u32) -> Option<Ref> {
    let here = rust(facts)?;
    here.refs.binary_search_by_key(&at, |(at, _)| *at).ok().map(|found| here.refs[found].1)
}

/// The text with a whole name at the cursor.
fn patched(text: &str, partial: ByteRange) -> String {
    let (before, after) = around(text, partial);
    let line = after.lines().next().unwrap_or("");
    let next = after.trim_start().chars().next();
    let ends_statement =
        line.trim().is_empty() && !matches!(next, Some(')' | ']' | ',' | '.' | '?' | ';' | '='));
    let end = if ends_statement { ";" } else { "" };
    format!("{before}{PLACEHOLDER}{end}{after}")
}

/// The text with a whole name at the cursor, everything open closed behind it, and the items that
/// start a line further down.
fn closed(text: &str, partial: ByteRange) -> String {
    const ITEMS: &[&str] = &[
        "fn ", "pub ", "pub(", "impl", "struct ", "enum ", "trait ", "mod ", "use ", "#[",
        "const ", "static ", "type ", "async ", "unsafe ",
    ];
    let (before, after) = around(text, partial);
    let closers: String = open_brackets(before).into_iter().rev().collect();
    let mut at = 0;
    let mut items = "";
    for line in after.split_inclusive('\n') {
        if at > 0 && ITEMS.iter().any(|item| line.starts_with(item)) {
            items = &after[at..];
            break;
        }
        at += line.len();
    }
    format!("{before}{PLACEHOLDER}{closers}\n{items}")
}

/// The text before the identifier at the cursor, and behind it.
fn around(text: &str, partial: ByteRange) -> (&str, &str) {
    let rest = &text[partial.end as usize..];
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    (&text[..partial.start as usize], rest.trim_start_matches(is_word))
}

/// What closes the brackets that `text` leaves open; strings and comments are skipped.
fn open_brackets(text: &str) -> Vec<char> {
    let mut open = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n);
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = text[at..].find("*/").map_or(bytes.len(), |n| at + n + 1);
            }
            // `'{'`, and not a lifetime.
            b'\'' if bytes.get(at + 2) == Some(&b'\'') => at += 2,
            b'(' => open.push(')'),
            b'[' => open.push(']'),
            b'{' => open.push('}'),
            b')' | b']' | b'}' => {
                open.pop();
            }
            _ => {}
        }
        at += 1;
    }
    open
}

/// Ids of this file are those of the patched buffer: turns them into the snapshot's by name, kind
/// and owner, and drops the id where the snapshot does not have the symbol yet.
fn to_indexed(patched: &Graph, indexed: &Graph, file: FileId, offers: &mut Offers) {
    let (Some(new), Some(old)) = (patched.facts(file), indexed.facts(file)) else { return };
    let owner = |facts: &FileFacts, parent: Option<u32>| {
        parent.map(|parent| facts.symbols[parent as usize].name.clone())
    };
    let translate = |symbol: SymbolId| {
        if symbol.file != file {
            return Some(symbol);
        }
        let facts = &new.symbols[symbol.index as usize];
        let fits = |other: &SymbolFacts| {
            other.kind == facts.kind
                && other.name == facts.name
                && owner(old, other.parent) == owner(new, facts.parent)
        };
        // Of several locals with one name the one at about the same place.
        let candidates = old.symbols.iter().enumerate().filter(|(_, other)| fits(other));
        candidates
            .min_by_key(|(index, _)| index.abs_diff(symbol.index as usize))
            .map(|(index, _)| SymbolId { file, index: index as u32 })
    };
    for item in &mut offers.items {
        item.symbol = item.symbol.and_then(translate);
    }
    offers.receiver.retain_mut(|candidate| match translate(candidate.symbol) {
        Some(symbol) => {
            candidate.symbol = symbol;
            true
        }
        None => false,
    });
}

fn receiver(query: &Query<'_>, ty: &Ty) -> Vec<Candidate> {
    match query.unwrapped(ty) {
        Ty::Adt(symbol, _) | Ty::Param(symbol) => {
            vec![Candidate { symbol, certainty: Certainty::Inferred }]
        }
        Ty::Bounds(traits) => traits
            .into_iter()
            .map(|symbol| Candidate { symbol, certainty: Certainty::Inferred })
            .collect(),
        _ => Vec::new(),
    }
}

fn candidate(query: &Query<'_>, def: &Def) -> Option<Candidate> {
    Some(Candidate { symbol: query.symbol_of(def)?, certainty: Certainty::Exact })
}

fn offer(query: &Query<'_>, symbol: SymbolId, distance: u32) -> Option<Offer> {
    let facts = query.graph.symbol(symbol)?;
    Some(Offer {
        name: facts.name.clone(),
        symbol: Some(symbol),
        certainty: Certainty::Exact,
        distance,
    })
}

fn fields_of(query: &Query<'_>, owner: SymbolId) -> Vec<Offer> {
    names::children(query.graph, owner)
        .filter(|(_, facts)| facts.kind == SymbolKind::Field)
        .filter_map(|(symbol, _)| offer(query, symbol, 0))
        .collect()
}

/// Fields, methods, variants and associated items of a type: own, then of its traits, then behind
/// `Deref`.
pub(crate) fn members_of(query: &Query<'_>, ty: &Ty, wanted: Wanted) -> Vec<Offer> {
    let mut items = Vec::new();
    let mut seen = FxHashSet::default();
    let mut ty = query.unwrapped(ty);
    for level in 0..4 {
        let mut traits = Vec::new();
        match &ty {
            Ty::Adt(symbol, _) => {
                add(query, *symbol, wanted, level * 2, &mut items, &mut seen);
                for implementation in query.impls_of(*symbol).iter() {
                    let distance = level * 2 + u32::from(implementation.is_of_trait);
                    add(query, implementation.symbol, wanted, distance, &mut items, &mut seen);
                    traits.extend(implementation.of_trait);
                }
            }
            Ty::Param(param) => traits.extend(query.bounds_of(*param)),
            Ty::Bounds(bounds) => traits.extend(bounds),
            _ => {}
        }
        let mut next = 0;
        while let Some(&of_trait) = traits.get(next) {
            next += 1;
            add(query, of_trait, wanted, level * 2 + 1, &mut items, &mut seen);
            for above in query.bounds_of(of_trait) {
                if !traits.contains(&above) && traits.len() < 64 {
                    traits.push(above);
                }
            }
        }
        ty = query.unwrapped(&query.dereferenced(&ty));
        if ty == Ty::Unknown || wanted == Wanted::Associated {
            break;
        }
    }
    items
}

fn add(
    query: &Query<'_>,
    owner: SymbolId,
    wanted: Wanted,
    distance: u32,
    items: &mut Vec<Offer>,
    seen: &mut FxHashSet<String>,
) {
    let Some((_, here)) = query.file(owner.file) else { return };
    for (symbol, facts) in names::children(query.graph, owner) {
        let has_self = here.items.get(symbol.index as usize).is_some_and(|item| item.has_self);
        let fits = match (wanted, facts.kind) {
            (_, SymbolKind::TypeParameter | SymbolKind::Parameter | SymbolKind::Variable) => false,
            (Wanted::Instance, SymbolKind::Field) => true,
            (Wanted::Instance, SymbolKind::Method) => has_self,
            (Wanted::Instance, _) => false,
            (Wanted::Associated, SymbolKind::Field) => false,
            _ => true,
        };
        if fits && seen.insert(facts.name.clone()) {
            items.extend(offer(query, symbol, distance));
        }
    }
}

/// Everything a module defines and imports by name; globs are followed one step.
pub(crate) fn module_names(query: &Query<'_>, module: Module) -> Vec<Offer> {
    let Some((facts, here)) = query.file(module.file) else { return Vec::new() };
    let index = query.project.index(query.graph, module.file);
    let mut items: Vec<Offer> = Vec::new();
    for (number, (symbol, item)) in facts.symbols.iter().zip(&here.items).enumerate() {
        let is_seen = !symbol.is_local() && !symbol.name.is_empty();
        if is_seen && item.scope == module.scope && fits(symbol.kind, Space::Any) {
            let id = SymbolId { file: module.file, index: number as u32 };
            items.extend(offer(query, id, 0));
        }
    }
    for import in here.uses.iter().filter(|import| import.scope == module.scope) {
        let Some(name) = import.name else { continue };
        let name = here.name(name);
        let found = query.in_module(module, name, Space::Any);
        let symbol = found.first().and_then(|def| query.symbol_of(def));
        let certainty = if found.len() > 1 { Certainty::Inferred } else { Certainty::Exact };
        items.push(Offer { name: name.to_owned(), symbol, certainty, distance: 0 });
    }
    for &glob in index.globs.get(&module.scope).into_iter().flatten() {
        let path = here.uses[glob as usize].path;
        for def in query.path(module.file, path, usize::MAX, Space::Type) {
            match def {
                Def::Module(other) if other != module => items.extend(
                    own_names(
                        query,
                        other,
                        !query.project.tree.same_crate(other.file, module.file),
                    )
                    .into_iter()
                    .map(|offer| Offer { distance: 1, ..offer }),
                ),
                Def::Symbol(symbol) if query.kind(symbol) == Some(SymbolKind::Enum) => {
                    items.extend(
                        names::children(query.graph, symbol)
                            .filter(|(_, facts)| facts.kind == SymbolKind::Variant)
                            .filter_map(|(symbol, _)| offer(query, symbol, 1)),
                    );
                }
                _ => {}
            }
        }
    }
    let mut seen = FxHashSet::default();
    items.retain(|item| seen.insert(item.name.clone()));
    items
}

/// Items and public uses of a module, without globs.
fn own_names(query: &Query<'_>, module: Module, is_foreign: bool) -> Vec<Offer> {
    let Some((facts, here)) = query.file(module.file) else { return Vec::new() };
    let mut items: Vec<Offer> = Vec::new();
    for (number, (symbol, item)) in facts.symbols.iter().zip(&here.items).enumerate() {
        let is_seen = (symbol.is_public || !is_foreign) && !symbol.name.is_empty();
        if is_seen && item.scope == module.scope && fits(symbol.kind, Space::Any) {
            let id = SymbolId { file: module.file, index: number as u32 };
            items.extend(offer(query, id, 0));
        }
    }
    for import in here.uses.iter().filter(|import| import.scope == module.scope) {
        let Some(name) = import.name.filter(|_| import.is_public || !is_foreign) else { continue };
        let name = here.name(name);
        let symbol =
            query.in_module(module, name, Space::Any).first().and_then(|d| query.symbol_of(d));
        items.push(Offer {
            name: name.to_owned(),
            symbol,
            certainty: Certainty::Exact,
            distance: 0,
        });
    }
    items
}

/// Locals, generics and items visible at `at`, the nearest first, then the module's names and the
/// crates.
fn names_at(query: &Query<'_>, file: FileId, at: u32) -> Vec<Offer> {
    let Some((facts, here)) = query.file(file) else { return Vec::new() };
    let index = query.project.index(query.graph, file);
    let mut items = Vec::new();
    let mut distance = 0;
    let mut next = Some(here.scope_at(at));
    while let Some(scope) = next {
        let Some(scope_facts) = here.scopes.get(scope as usize) else { break };
        if here.module_of(scope) == scope {
            break;
        }
        let mut nearest: Vec<(u32, Offer)> = Vec::new();
        for entries in index.by_name.values() {
            for &(_, entry) in entries.iter().filter(|(other, _)| *other == scope) {
                let (from, symbol) = match entry {
                    Entry::Binding(binding) => {
                        let binding = &here.bindings[binding as usize];
                        (binding.visible_from, binding.symbol)
                    }
                    Entry::Symbol(symbol) => {
                        let kind = facts.symbols[symbol as usize].kind;
                        let is_shown =
                            shows_items(scope_facts.kind) || kind == SymbolKind::TypeParameter;
                        (if is_shown { 0 } else { u32::MAX }, symbol)
                    }
                    Entry::Use(_) => continue,
                };
                if from <= at {
                    let id = SymbolId { file, index: symbol };
                    nearest.extend(offer(query, id, distance).map(|offer| (from, offer)));
                }
            }
        }
        // The latest `let` first.
        nearest.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.name.cmp(&b.1.name)));
        items.extend(nearest.into_iter().map(|(_, offer)| offer));
        distance += 1;
        next = scope_facts.parent;
    }
    let module = Module { file, scope: here.module_of(here.scope_at(at)) };
    items.extend(
        module_names(query, module)
            .into_iter()
            .map(|item| Offer { distance: item.distance + distance, ..item }),
    );
    for (name, _) in query.project.tree.crate_names(file) {
        items.push(Offer {
            name,
            symbol: None,
            certainty: Certainty::Exact,
            distance: distance + 2,
        });
    }
    let mut seen = FxHashSet::default();
    items.retain(|item: &Offer| seen.insert(item.name.clone()));
    items
}
