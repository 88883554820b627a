//! Definitions that nothing reaches: one pass resolves every occurrence, then reach spreads from
//! what is used from outside.

use rustc_hash::{FxHashMap, FxHashSet};

use super::Graph;
use crate::{
    Cancel, FileId, Language, SymbolId,
    facts::{Role, SymbolKind},
};

/// Decorators that call nothing by themselves, and what leads to them.
const PLAIN_DECORATORS: &[&str] = &[
    "abc",
    "abstractmethod",
    "cache",
    "cached_property",
    "classmethod",
    "contextlib",
    "contextmanager",
    "dataclass",
    "dataclasses",
    "deprecated",
    "final",
    "functools",
    "lru_cache",
    "overload",
    "override",
    "property",
    "setter",
    "staticmethod",
    "total_ordering",
    "typing",
    "typing_extensions",
    "wraps",
];

/// What [`Graph::dead`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dead {
    /// Ordered by file and place.
    pub symbols: Vec<SymbolId>,
    /// Cancelled before every mention was seen, so nothing can be said.
    pub was_cut: bool,
}

impl Graph {
    /// Definitions that nothing reaches, in files that `wanted` accepts: no mention outside
    /// themselves resolves to them (a mention that only shares the name keeps them alive), or all
    /// mentions lie in what is dead itself. Tests, entry points and what overrides something are
    /// alive. What is public may be used by code that is not here: it is listed if nothing mentions
    /// it, and what it uses is alive.
    #[must_use]
    pub fn dead(&self, wanted: &dyn Fn(FileId) -> bool, cancel: &Cancel) -> Dead {
        let mut can_be = FxHashMap::default();
        for file in self.files() {
            if cancel.is_cancelled() {
                return Dead { symbols: Vec::new(), was_cut: true };
            }
            let symbols = self.facts(file).map(|facts| facts.symbols.as_slice());
            for index in 0..symbols.unwrap_or_default().len() {
                let id = SymbolId { file, index: index as u32 };
                if self.can_be_dead(id) {
                    can_be.insert(id, Vec::new());
                }
            }
        }
        // User -> what it mentions, for users that can be dead; the rest reaches at once.
        let mut reached: FxHashSet<SymbolId> = FxHashSet::default();
        let mut overridden: FxHashMap<SymbolId, Vec<SymbolId>> = FxHashMap::default();
        for file in self.files() {
            let Some(facts) = self.facts(file) else { continue };
            for (index, occurrence) in facts.occurrences.iter().enumerate() {
                if cancel.is_cancelled() {
                    return Dead { symbols: Vec::new(), was_cut: true };
                }
                if occurrence.role == Role::Definition {
                    continue;
                }
                let user = occurrence.enclosing.and_then(|index| {
                    self.item_around(SymbolId { file, index })
                        .and_then(|item| self.around_that(item, |id| can_be.contains_key(&id)))
                });
                // The header of an `impl` is part of its type.
                let header = occurrence.enclosing.and_then(|index| {
                    facts.symbols.get(index as usize).filter(|s| s.kind == SymbolKind::Impl)
                });
                if header.is_some_and(|of| of.name == facts.name_of(occurrence)) {
                    continue;
                }
                for candidate in self.resolve_occurrence(file, index).candidates {
                    let to = candidate.symbol;
                    let is_own = self.symbol(to).is_some_and(|facts| {
                        to.file == file && facts.enclosing_range.covers(occurrence.range)
                    });
                    if is_own {
                        continue;
                    }
                    // Who calls a method may call what it overrides.
                    let above = overridden.entry(to).or_insert_with(|| self.overridden(to));
                    for to in above.iter().copied().chain([to]) {
                        match user {
                            _ if !can_be.contains_key(&to) => {}
                            Some(user) => {
                                can_be.get_mut(&user).expect("just looked up").push(to);
                            }
                            None => {
                                reached.insert(to);
                            }
                        }
                    }
                }
            }
        }
        let is_public = |id: &SymbolId| self.symbol(*id).is_some_and(|facts| facts.is_public);
        let mut waiting: Vec<SymbolId> =
            can_be.keys().filter(|id| reached.contains(id) || is_public(id)).copied().collect();
        let mut expanded: FxHashSet<SymbolId> = waiting.iter().copied().collect();
        while let Some(next) = waiting.pop() {
            for &used in can_be.get(&next).into_iter().flatten() {
                if used != next {
                    reached.insert(used);
                }
                if expanded.insert(used) {
                    waiting.push(used);
                }
            }
        }
        // What stands in something dead is not worth a line of its own.
        let is_dead = |id: &SymbolId| can_be.contains_key(id) && !reached.contains(id);
        let is_inside = |id: SymbolId| {
            let parent = self.symbol(id).and_then(|facts| facts.parent);
            let parent = parent.map(|index| SymbolId { file: id.file, index });
            parent.and_then(|parent| self.around_that(parent, |id| is_dead(&id))).is_some()
        };
        let mut symbols: Vec<SymbolId> = can_be
            .keys()
            .copied()
            .filter(|id| wanted(id.file) && is_dead(id) && !is_inside(*id))
            .collect();
        symbols.sort_unstable();
        Dead { symbols, was_cut: false }
    }

    /// The methods that a method overrides, nearest first.
    fn overridden(&self, method: SymbolId) -> Vec<SymbolId> {
        let mut above: Vec<SymbolId> = Vec::new();
        let mut next = method;
        while self.symbol(next).is_some_and(|facts| facts.kind == SymbolKind::Method)
            && let Some(rules) = self.rules(next)
            && let Some(found) = rules.supers(self, next).first()
            && found.symbol != method
            && !above.contains(&found.symbol)
        {
            next = found.symbol;
            above.push(next);
        }
        above
    }

    /// `symbol` or the nearest one around it that fits.
    fn around_that(&self, symbol: SymbolId, fits: impl Fn(SymbolId) -> bool) -> Option<SymbolId> {
        let facts = self.facts(symbol.file)?;
        let mut index = symbol.index;
        loop {
            let id = SymbolId { file: symbol.file, index };
            if fits(id) {
                return Some(id);
            }
            index = facts.symbols.get(index as usize)?.parent?;
        }
    }

    fn can_be_dead(&self, id: SymbolId) -> bool {
        let Some(symbol) = self.symbol(id) else { return false };
        let is_dunder = symbol.name.starts_with("__") && symbol.name.ends_with("__");
        let is_item = matches!(
            symbol.kind,
            SymbolKind::Function
                | SymbolKind::Method
                | SymbolKind::Class
                | SymbolKind::Struct
                | SymbolKind::Enum
                | SymbolKind::Trait
                | SymbolKind::Constant
                | SymbolKind::Static
                | SymbolKind::TypeAlias
                | SymbolKind::Macro
        );
        // Items of an `impl` of a trait that is not here (`fmt`, `drop`) override something, too.
        let overrides = || {
            symbol.parent.is_some_and(|index| {
                let owner = SymbolId { file: id.file, index };
                self.symbol(owner).is_some_and(|owner| owner.kind == SymbolKind::Trait)
                    || self.is_trait_impl(owner)
            }) || symbol.kind == SymbolKind::Method
                && self.rules(id).is_some_and(|rules| !rules.supers(self, id).is_empty())
        };
        is_item
            && !symbol.is_test
            && !symbol.name.is_empty()
            && symbol.name != "main"
            && symbol.name != "_"
            && !is_dunder
            && !self.is_registered(id)
            && !overrides()
    }

    /// A decorator that may hand the function to whoever calls it: a route, a fixture, a command.
    fn is_registered(&self, id: SymbolId) -> bool {
        let (Some(facts), Some(symbol)) = (self.facts(id.file), self.symbol(id)) else {
            return false;
        };
        if facts.language != Language::Python {
            return false;
        }
        let (first, behind) = (symbol.enclosing_range.start, symbol.signature_range.start);
        let first = facts.occurrences.partition_point(|o| o.range.start < first);
        let decorators = facts.occurrences[first..].iter().take_while(|o| o.range.start < behind);
        decorators.into_iter().any(|o| !PLAIN_DECORATORS.contains(&facts.name_of(o)))
    }

    /// An `impl` block of Rust that names a trait.
    fn is_trait_impl(&self, owner: SymbolId) -> bool {
        self.facts(owner.file)
            .and_then(|facts| super::rust::rust_facts(facts))
            .is_some_and(|here| here.is_trait_impl(owner.index))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::tests::load;
    use super::*;

    fn check_dead(text: &str, expected: Expect) {
        let loaded = load(text, "src/lib.rs");
        let dead = loaded.graph.dead(&|_| true, &Cancel::never());
        let shown: Vec<String> = dead.symbols.iter().map(|id| loaded.show(*id)).collect();
        expected.assert_eq(&shown.join("\n"));
    }

    #[test]
    fn what_nothing_mentions_and_what_only_the_dead_mention() {
        check_dead(
            r#"
pub fn entry() { used(); }
fn used() { used(); }
fn first() { second(); }
fn second() { first(); }
fn alone() { alone(); }
struct Shown; struct Gone { field: u8 } impl Gone { fn method(&self) {} }
impl std::fmt::Display for Shown { fn fmt(&self) { helper() } }
fn helper() {}
#[test] fn a_test() { tested(); Shown; }
fn tested() {}
trait Kept { fn item(&self); }
fn takes(it: impl Kept) { it.item() }
#[test] fn other() { takes(Shown) }
"#,
            expect![[r#"
                /src/lib.rs 1:8 function entry
                /src/lib.rs 3:4 function first
                /src/lib.rs 4:4 function second
                /src/lib.rs 5:4 function alone
                /src/lib.rs 6:22 struct Gone
                /src/lib.rs 6:56 method method"#]],
        );
    }

    #[test]
    fn what_a_decorator_registers_and_what_overrides_is_alive() {
        check_dead(
            r#"
//- /app.py
import framework
from helpers import shared

class Base:
    def run(self): pass
    def unused(self): pass

class Derived(Base):
    def run(self): shared()
    @property
    def never(self): return 1
    def __len__(self): return 0

@framework.route("/")
def index(): return _render()

def _render(): return Derived().run()
def _old(): return _older()
def _older(): return 1
//- /helpers.py
def shared(): pass
def not_shared(): pass
"#,
            expect![[r#"
                /app.py 6:9 method unused
                /app.py 18:5 function _old
                /app.py 19:5 function _older
                /helpers.py 2:5 function not_shared"#]],
        );
    }

    #[test]
    fn a_search_that_is_cut_says_nothing() {
        let loaded = load("fn alone() {}\n", "src/lib.rs");
        let dead = loaded.graph.dead(&|_| true, &Cancel::when(|| true));
        assert!(dead.was_cut && dead.symbols.is_empty());
    }
}
