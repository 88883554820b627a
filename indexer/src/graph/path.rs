//! How two symbols are connected: a shortest chain of uses, or, failing that, of uses either way.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::{Certainty, Edge, EdgeKind, Graph, names};
use crate::{Cancel, SymbolId, facts::SymbolKind};

/// Symbols that one search expands before it gives up.
const MAX_EXPANDED: usize = 640;
/// Uses of one symbol that a search follows.
const MAX_USES: usize = 384;

/// One edge of a chain between two symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub edge: Edge,
    /// The chain goes from `edge.to` to `edge.from`: the next symbol is the one that uses.
    pub is_reverse: bool,
}

impl Step {
    /// The symbol that the step leads to.
    #[must_use]
    pub fn next(&self) -> SymbolId {
        if self.is_reverse { self.edge.from } else { self.edge.to }
    }

    fn previous(&self) -> SymbolId {
        if self.is_reverse { self.edge.to } else { self.edge.from }
    }
}

/// Which edges a search follows.
#[derive(Clone, Copy)]
struct Follow {
    uses: bool,
    users: bool,
    at_least: Certainty,
}

impl Graph {
    /// A shortest chain between two symbols: what `from` uses that leads to `to`; else the other
    /// way round; else over symbols that both have to do with. Edges that only share a name come
    /// last. Empty if none is found within bounds.
    #[must_use]
    pub fn path_between(&self, from: SymbolId, to: SymbolId, cancel: &Cancel) -> Vec<Step> {
        let sure = Certainty::Inferred;
        let searches = [
            Follow { uses: true, users: false, at_least: sure },
            Follow { uses: false, users: true, at_least: sure },
            Follow { uses: true, users: true, at_least: sure },
            Follow { uses: true, users: true, at_least: Certainty::NameOnly },
        ];
        if from == to || self.symbol(from).is_none() || self.symbol(to).is_none() {
            return Vec::new();
        }
        searches
            .into_iter()
            // Users of a symbol are found more slowly than its uses: search from the other end.
            .map(|follow| match follow {
                Follow { uses: false, at_least, .. } => {
                    let back = Follow { uses: true, users: false, at_least };
                    turned(&self.search(to, from, back, cancel))
                }
                follow => self.search(from, to, follow, cancel),
            })
            .find(|chain| !chain.is_empty())
            .unwrap_or_default()
    }

    fn search(&self, from: SymbolId, to: SymbolId, follow: Follow, cancel: &Cancel) -> Vec<Step> {
        let mut came_by: FxHashMap<SymbolId, Step> = FxHashMap::default();
        let mut queue = VecDeque::from([from]);
        let mut n_expanded = 0;
        while let Some(next) = queue.pop_front() {
            n_expanded += 1;
            if n_expanded > MAX_EXPANDED || cancel.is_cancelled() {
                break;
            }
            for step in self.steps(next, follow, cancel) {
                let reached = step.next();
                let is_known = reached == from || came_by.contains_key(&reached);
                if is_known || step.edge.certainty < follow.at_least || self.is_local(reached) {
                    continue;
                }
                came_by.insert(reached, step);
                if reached == to {
                    return chain(&came_by, from, to);
                }
                queue.push_back(reached);
            }
        }
        Vec::new()
    }

    fn steps(&self, of: SymbolId, follow: Follow, cancel: &Cancel) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut add = |edge, is_reverse| steps.push(Step { edge, is_reverse });
        let contains = |from, to| Edge {
            kind: EdgeKind::Contains,
            from,
            to,
            certainty: Certainty::Exact,
            at: None,
        };
        if follow.uses {
            for edge in self.uses(of, |_| true, MAX_USES, cancel) {
                add(edge, false);
            }
            for (child, _) in names::children(self, of) {
                add(contains(of, child), false);
            }
        }
        if follow.users {
            for edge in self.users(of, cancel) {
                add(edge, true);
            }
            // A method belongs to its type; that two items lie in one module connects nothing.
            let parent = self.symbol(of).and_then(|facts| facts.parent);
            let parent = parent.map(|index| SymbolId { file: of.file, index });
            let is_type = |id: &SymbolId| {
                self.symbol(*id).is_some_and(|facts| facts.kind != SymbolKind::Module)
            };
            if let Some(parent) = parent.filter(is_type) {
                add(contains(parent, of), true);
            }
        }
        steps
    }
}

/// The same chain, walked from its other end.
fn turned(chain: &[Step]) -> Vec<Step> {
    let turn = |step: &Step| Step { is_reverse: !step.is_reverse, ..*step };
    chain.iter().rev().map(turn).collect()
}

fn chain(came_by: &FxHashMap<SymbolId, Step>, from: SymbolId, to: SymbolId) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = to;
    while at != from {
        let Some(&step) = came_by.get(&at) else { break };
        steps.push(step);
        at = step.previous();
    }
    steps.reverse();
    steps
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::tests::load;
    use super::*;

    fn check_path(text: &str, from: &str, to: &str, expected: Expect) {
        let loaded = load(text, "src/lib.rs");
        let named = |name: &str| loaded.graph.symbols_named(name)[0];
        let steps = loaded.graph.path_between(named(from), named(to), &Cancel::never());
        let shown = steps.iter().map(|step| {
            let arrow = if step.is_reverse { "<-" } else { "->" };
            let Edge { kind, certainty, .. } = step.edge;
            format!("{arrow} {kind:?} {certainty:?} {}", loaded.show(step.next()))
        });
        expected.assert_eq(&shown.collect::<Vec<_>>().join("\n"));
    }

    const CHAIN: &str = r#"
fn main() { open(); }
fn open() -> Store { Store::new() }
struct Store { shelf: Shelf }
impl Store { fn new() -> Self { read(); loop {} } }
struct Shelf;
fn read() {}
fn write() { read(); }
fn lonely() {}
"#;

    #[test]
    fn a_chain_of_uses_is_found_either_way() {
        check_path(
            CHAIN,
            "main",
            "read",
            expect![[r#"
                -> Calls Exact /src/lib.rs 2:4 function open
                -> Calls Exact /src/lib.rs 4:17 method new
                -> Calls Exact /src/lib.rs 6:4 function read"#]],
        );
        check_path(
            CHAIN,
            "Shelf",
            "main",
            expect![[r#"
                <- TypeOf Exact /src/lib.rs 3:8 struct Store
                <- TypeOf Exact /src/lib.rs 2:4 function open
                <- Calls Exact /src/lib.rs 1:4 function main"#]],
        );
    }

    #[test]
    fn what_both_use_connects_them() {
        check_path(
            CHAIN,
            "write",
            "open",
            expect![[r#"
                -> Calls Exact /src/lib.rs 6:4 function read
                <- References Exact /src/lib.rs 4:17 method new
                <- References Exact /src/lib.rs 2:4 function open"#]],
        );
        check_path(CHAIN, "lonely", "main", expect![[""]]);
    }
}
