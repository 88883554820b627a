//! Queries over single symbols: definition, references, calls, relatives. Everything is resolved
//! when asked; a query about a symbol looks only at occurrences of its names.

use rustc_hash::FxHashSet;

use super::{
    Candidate, Certainty, Edge, EdgeKind, FilePosition, FileRange, Graph, Hierarchy, Mention,
    Offer, Offers, Reference, Resolution, names, resolver,
};
use crate::{
    Cancel, FileId, SymbolId,
    facts::{Role, SymbolKind},
    language::Support,
};

impl Graph {
    /// What the name at `at` means; empty if there is none.
    #[must_use]
    pub fn resolve(&self, at: FilePosition) -> Resolution {
        self.facts(at.file)
            .and_then(|facts| facts.occurrence_at(at.offset))
            .map(|occurrence| self.resolve_occurrence(at.file, occurrence))
            .unwrap_or_default()
    }

    /// What the `occurrence`-th occurrence of `file` means.
    #[must_use]
    pub fn resolve_occurrence(&self, file: FileId, occurrence: usize) -> Resolution {
        let Some(facts) = self.facts(file) else { return Resolution::default() };
        let Some(found) = facts.occurrences.get(occurrence) else { return Resolution::default() };
        let at = Some(FileRange { file, range: found.range });
        if found.role == Role::Definition
            && let Some(index) = facts.symbol_named_at(found.range)
        {
            let symbol = SymbolId { file, index };
            let candidates = vec![Candidate { symbol, certainty: Certainty::Exact }];
            return Resolution { at, candidates, external: None };
        }
        let resolution =
            resolver::of(facts.language).resolve(self, file, occurrence).unwrap_or_else(|| {
                let candidates = names::candidates(self, file, occurrence);
                Resolution { at: None, candidates, external: None }
            });
        Resolution { at, ..resolution }
    }

    /// The occurrences that mean `symbol`, its definition excluded, ordered by file and offset.
    /// Where the language is resolved a matching name alone is none; documentation that mentions
    /// the symbol is [`Graph::documents`]. What fills in a trait's item counts as a mention of it.
    #[must_use]
    pub fn references(&self, symbol: SymbolId, cancel: &Cancel) -> Vec<Reference> {
        let mut references = self.possible_references(symbol, cancel);
        references.retain(|reference| self.is_meant(reference, symbol));
        references
    }

    /// False if nothing better than the name is known of a place where names are resolved.
    fn is_meant(&self, reference: &Reference, symbol: SymbolId) -> bool {
        let support = self.facts(reference.at.file).map(|facts| facts.language.support());
        if reference.certainty != Certainty::NameOnly || support != Some(Support::Resolved) {
            return true;
        }
        // Where a definition is asked for by the name alone and is this one, it is a reference of
        // it too: code whose modules a macro declares is known by names only. Members' names say
        // too little.
        let is_item = self.symbol(symbol).is_some_and(|facts| {
            !facts.is_local()
                && !matches!(
                    facts.kind,
                    SymbolKind::Method
                        | SymbolKind::Field
                        | SymbolKind::Property
                        | SymbolKind::Variant
                )
        });
        // By its name alone a possible reference is one only where `symbol` is the best candidate.
        is_item
    }

    /// Places that may mean `symbol`, its definitions excluded, ordered by file and offset. Nothing
    /// is resolved, so this is quick; [`Graph::confirm`] tells which of them do.
    #[must_use]
    pub fn mentions(&self, symbol: SymbolId, cancel: &Cancel) -> Vec<Mention> {
        let Some(facts) = self.symbol(symbol) else { return Vec::new() };
        let is_local = matches!(facts.kind, SymbolKind::Parameter | SymbolKind::TypeParameter)
            || facts.kind == SymbolKind::Variable && facts.parent.is_some();
        let mut mentions = Vec::new();
        for name in self.names_of(&facts.name) {
            for file in self.files_mentioning(&name) {
                if cancel.is_cancelled() {
                    break;
                }
                let Some(facts) = self.facts(file) else { continue };
                if is_local && file != symbol.file || facts.language.support() == Support::Text {
                    continue;
                }
                let Some(name) = facts.names.iter().position(|other| other == &*name) else {
                    continue;
                };
                let named = facts.occurrences.iter().enumerate().filter(|(_, occurrence)| {
                    occurrence.name as usize == name && occurrence.role != Role::Definition
                });
                mentions.extend(named.map(|(index, _)| Mention { file, occurrence: index as u32 }));
            }
        }
        mentions.sort_unstable();
        mentions
    }

    /// The mention as a reference of `symbol`, if it is one by [`Graph::references`].
    #[must_use]
    pub fn confirm(&self, mention: Mention, symbol: SymbolId) -> Option<Reference> {
        self.possibly(mention, symbol).filter(|reference| self.is_meant(reference, symbol))
    }

    fn possibly(&self, mention: Mention, symbol: SymbolId) -> Option<Reference> {
        let Mention { file, occurrence: index } = mention;
        let occurrence = self.facts(file)?.occurrences.get(index as usize)?;
        let certainty = means(&self.resolve_occurrence(file, index as usize), symbol)?;
        Some(Reference {
            at: FileRange { file, range: occurrence.range },
            role: occurrence.role,
            certainty,
            enclosing: occurrence.enclosing.map(|index| SymbolId { file, index }),
        })
    }

    /// [`Graph::references`] and the places that may mean `symbol` because they share its name and
    /// nothing better is known: what a rename must not overlook.
    #[must_use]
    pub fn possible_references(&self, symbol: SymbolId, cancel: &Cancel) -> Vec<Reference> {
        let mentions = self.mentions(symbol, cancel).into_iter();
        let mut references: Vec<Reference> = mentions
            .take_while(|_| !cancel.is_cancelled())
            .filter_map(|mention| self.possibly(mention, symbol))
            .collect();
        self.filled_in(symbol, &mut references, cancel);
        references.sort_unstable_by_key(|reference| (reference.at.file, reference.at.range));
        references
    }

    /// True if the name at `at` is two names at once, as a field and a local in `Point { x }`: it
    /// cannot be renamed for one alone.
    #[must_use]
    pub fn has_two_meanings(&self, at: FileRange) -> bool {
        let Some(facts) = self.facts(at.file) else { return false };
        let first = facts.occurrences.partition_point(|o| o.range.start < at.range.start);
        let here = facts.occurrences[first..].iter().take_while(|o| o.range == at.range).count();
        here > 1 || here == 1 && self.resolve_occurrence(at.file, first).candidates.len() > 1
    }

    /// Adds the names of the items in `impl`s that fill in the trait's item `symbol`.
    fn filled_in(&self, symbol: SymbolId, into: &mut Vec<Reference>, cancel: &Cancel) {
        let owner = self.symbol(symbol).and_then(|facts| facts.parent);
        let is_abstract = owner.is_some_and(|index| {
            let owner = self.symbol(SymbolId { file: symbol.file, index });
            owner.is_some_and(|owner| owner.kind == SymbolKind::Trait)
        });
        let Some(facts) = self.symbol(symbol).filter(|_| is_abstract) else { return };
        for other in self.symbols_named(&facts.name) {
            let Some(found) = self.symbol(other).filter(|found| found.kind == facts.kind) else {
                continue;
            };
            if other == symbol || cancel.is_cancelled() {
                continue;
            }
            let supers = self.rules(other).map(|rules| rules.supers(self, other));
            let via = supers.into_iter().flatten().find(|above| above.symbol == symbol);
            into.extend(via.map(|via| Reference {
                at: FileRange { file: other.file, range: found.name_range },
                role: Role::Definition,
                certainty: via.certainty,
                enclosing: found.parent.map(|index| SymbolId { file: other.file, index }),
            }));
        }
    }

    /// Headings whose text mentions `symbol`, in Markdown: at most one edge a place.
    #[must_use]
    pub fn documents(&self, symbol: SymbolId, cancel: &Cancel) -> Vec<Edge> {
        let Some(name) = self.symbol(symbol).map(|facts| facts.name.as_str()) else {
            return Vec::new();
        };
        let mut edges = Vec::new();
        for file in self.files_mentioning(name) {
            let Some(facts) = self.facts(file) else { continue };
            if facts.language.support() != Support::Text || cancel.is_cancelled() {
                continue;
            }
            for (index, occurrence) in facts.occurrences.iter().enumerate() {
                let Some(heading) = occurrence.enclosing else { continue };
                if occurrence.role == Role::Definition || facts.name_of(occurrence) != name {
                    continue;
                }
                let Some(certainty) = means(&self.resolve_occurrence(file, index), symbol) else {
                    continue;
                };
                edges.push(Edge {
                    kind: EdgeKind::Documents,
                    from: SymbolId { file, index: heading },
                    to: symbol,
                    certainty,
                    at: Some(FileRange { file, range: occurrence.range }),
                });
            }
        }
        edges
    }

    /// The tests that exercise `symbol`, directly or through what they call: nearest first, with
    /// the number of steps. At most `limit`.
    #[must_use]
    pub fn tests_of(
        &self,
        symbol: SymbolId,
        limit: usize,
        cancel: &Cancel,
    ) -> Vec<(SymbolId, u32)> {
        let reached = self.impact(symbol, 64 * limit.max(16), cancel);
        let is_test = |id: SymbolId| {
            self.symbol(id).is_some_and(|facts| {
                facts.is_test && matches!(facts.kind, SymbolKind::Function | SymbolKind::Method)
            })
        };
        reached.into_iter().filter(|(id, _)| is_test(*id)).take(limit).collect()
    }

    /// Who calls `symbol`: one edge a call.
    #[must_use]
    pub fn callers(&self, symbol: SymbolId, cancel: &Cancel) -> Vec<Edge> {
        self.references(symbol, cancel)
            .into_iter()
            .filter(|reference| reference.role == Role::Call)
            .filter_map(|reference| {
                Some(Edge {
                    kind: EdgeKind::Calls,
                    from: self.item_around(reference.enclosing?)?,
                    to: symbol,
                    certainty: reference.certainty,
                    at: Some(reference.at),
                })
            })
            .collect()
    }

    /// What `symbol` calls, in document order: one edge a call that stays in the project.
    #[must_use]
    pub fn callees(&self, symbol: SymbolId, cancel: &Cancel) -> Vec<Edge> {
        self.uses(symbol, |role| role == Role::Call, usize::MAX, cancel)
    }

    /// The occurrences inside `symbol` whose role `wanted` accepts, resolved: at most `limit`.
    pub(crate) fn uses(
        &self,
        symbol: SymbolId,
        wanted: impl Fn(Role) -> bool,
        limit: usize,
        cancel: &Cancel,
    ) -> Vec<Edge> {
        let (Some(facts), Some(item)) = (self.facts(symbol.file), self.symbol(symbol)) else {
            return Vec::new();
        };
        let item = item.enclosing_range;
        let first = facts.occurrences.partition_point(|o| o.range.start < item.start);
        let mut edges = Vec::new();
        for (index, occurrence) in facts.occurrences.iter().enumerate().skip(first) {
            if occurrence.range.start >= item.end || edges.len() >= limit || cancel.is_cancelled() {
                break;
            }
            if occurrence.role == Role::Definition || !wanted(occurrence.role) {
                continue;
            }
            let resolution = self.resolve_occurrence(symbol.file, index);
            let Some(candidate) = resolution.candidates.first() else { continue };
            edges.push(Edge {
                kind: edge_kind(occurrence.role),
                from: symbol,
                to: candidate.symbol,
                certainty: candidate.certainty,
                at: resolution.at,
            });
        }
        edges
    }

    /// Subclasses of a class, implementors of a trait, overriding definitions of a method.
    #[must_use]
    pub fn implementations(&self, symbol: SymbolId, cancel: &Cancel) -> Vec<Candidate> {
        let Some(facts) = self.symbol(symbol) else { return Vec::new() };
        if matches!(facts.kind, SymbolKind::Method | SymbolKind::Property | SymbolKind::Function) {
            return self.overrides(symbol, cancel);
        }
        let mut found = Vec::new();
        let mut seen = FxHashSet::default();
        for reference in self.references(symbol, cancel) {
            let Some(user) = reference.enclosing else { continue };
            let Some(user_facts) = self.symbol(user) else { continue };
            let is_type = matches!(
                user_facts.kind,
                SymbolKind::Class | SymbolKind::Impl | SymbolKind::Trait | SymbolKind::Interface
            );
            if !is_type || !seen.insert(user) {
                continue;
            }
            let rules =
                resolver::of(self.facts(user.file).map_or(crate::Language::Text, |f| f.language));
            let Some(via) = rules.supers(self, user).into_iter().find(|c| c.symbol == symbol)
            else {
                continue;
            };
            found.push(Candidate { symbol: user, certainty: via.certainty });
        }
        found
    }

    /// Methods that override the method `symbol`.
    fn overrides(&self, symbol: SymbolId, cancel: &Cancel) -> Vec<Candidate> {
        let Some(facts) = self.symbol(symbol) else { return Vec::new() };
        let language = self.facts(symbol.file).map_or(crate::Language::Text, |f| f.language);
        let rules = resolver::of(language);
        let mut found = Vec::new();
        for other in self.symbols_named(&facts.name) {
            if cancel.is_cancelled() {
                break;
            }
            if other == symbol || self.symbol(other).is_none_or(|other| other.kind != facts.kind) {
                continue;
            }
            // A chain of overrides leads up step by step; each step is bounded by its length.
            let mut above = other;
            for _ in 0..16 {
                let supers = rules.supers(self, above);
                if let Some(via) = supers.iter().find(|c| c.symbol == symbol) {
                    found.push(Candidate { symbol: other, certainty: via.certainty });
                    break;
                }
                match supers.first() {
                    Some(next) if next.symbol != above => above = next.symbol,
                    _ => break,
                }
            }
        }
        found
    }

    /// Bases and derived definitions of a type or method.
    #[must_use]
    pub fn hierarchy(&self, symbol: SymbolId, cancel: &Cancel) -> Hierarchy {
        let Some(rules) = self.rules(symbol) else { return Hierarchy::default() };
        Hierarchy { supers: rules.supers(self, symbol), subs: self.implementations(symbol, cancel) }
    }

    /// What can stand at `offset` of `text`, the buffer of `file` as it is now: members of the
    /// receiver, or names in scope. The text may be incomplete code.
    #[must_use]
    pub fn offers(&self, file: FileId, offset: u32, text: &str) -> Offers {
        match self.facts(file) {
            Some(facts) => resolver::of(facts.language).offers(self, file, offset, text),
            None => {
                Offers { partial: names::partial_identifier(text, offset), ..Offers::default() }
            }
        }
    }

    /// What `file` imports and defines at top level, by the name it has there.
    #[must_use]
    pub fn in_scope(&self, file: FileId) -> Vec<(String, Candidate)> {
        self.facts(file)
            .map(|facts| resolver::of(facts.language).in_scope(self, file))
            .unwrap_or_default()
    }

    /// Type of a field or variable, result type of a function; best first.
    #[must_use]
    pub fn type_of(&self, symbol: SymbolId) -> Vec<Candidate> {
        self.rules(symbol).map(|rules| rules.type_of(self, symbol)).unwrap_or_default()
    }

    /// Members of a class, struct, enum, trait or module; inherited ones have a larger distance.
    #[must_use]
    pub fn members(&self, symbol: SymbolId) -> Vec<Offer> {
        self.rules(symbol).map(|rules| rules.members(self, symbol)).unwrap_or_default()
    }

    pub(crate) fn rules(&self, symbol: SymbolId) -> Option<&'static dyn resolver::Resolver> {
        self.symbol(symbol)?;
        Some(resolver::of(self.facts(symbol.file)?.language))
    }

    /// `symbol`, or the nearest item around it that is no local name.
    pub(crate) fn item_around(&self, symbol: SymbolId) -> Option<SymbolId> {
        let facts = self.facts(symbol.file)?;
        let mut index = symbol.index;
        loop {
            let symbol_facts = facts.symbols.get(index as usize)?;
            let is_local = matches!(
                symbol_facts.kind,
                SymbolKind::Parameter | SymbolKind::TypeParameter | SymbolKind::Variable
            );
            match symbol_facts.parent {
                Some(parent) if is_local => index = parent,
                _ => return Some(SymbolId { file: symbol.file, index }),
            }
        }
    }
}

/// The certainty with which `resolution` means `symbol`: it is the best candidate, or as sure as
/// the best and more than a matching name.
fn means(resolution: &Resolution, symbol: SymbolId) -> Option<Certainty> {
    let best = resolution.candidates.first()?;
    let found = resolution.candidates.iter().find(|candidate| candidate.symbol == symbol)?;
    let is_meant = best.symbol == symbol
        || found.certainty == best.certainty && found.certainty > Certainty::NameOnly;
    is_meant.then_some(found.certainty)
}

fn edge_kind(role: Role) -> EdgeKind {
    match role {
        Role::Call => EdgeKind::Calls,
        Role::Import => EdgeKind::Imports,
        Role::Type => EdgeKind::TypeOf,
        Role::Reference | Role::Write | Role::Definition => EdgeKind::References,
    }
}
