//! Merging neighbors until nothing merges: the one loop behind both kinds of byte pair encoding.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What two neighbors become. Lower `priority` merges first; equal ones from left to right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Merge {
    pub(super) priority: u32,
    pub(super) id: u32,
}

/// Merges `symbols` in place by `merge_of(left, right)`.
///
/// Short inputs (nearly all) look for the best pair again after each merge; long ones use a heap,
/// so that a word of a megabyte takes n log n steps.
pub(super) fn merge(symbols: &mut Vec<u32>, merge_of: impl Fn(u32, u32) -> Option<Merge>) {
    const SHORT: usize = 32;
    if symbols.len() <= SHORT {
        merge_short(symbols, merge_of)
    } else {
        merge_long(symbols, merge_of)
    }
}

fn merge_short(symbols: &mut Vec<u32>, merge_of: impl Fn(u32, u32) -> Option<Merge>) {
    let mut merges: Vec<Option<Merge>> =
        symbols.windows(2).map(|pair| merge_of(pair[0], pair[1])).collect();
    loop {
        let best = merges
            .iter()
            .enumerate()
            .filter_map(|(at, merge)| merge.map(|merge| (merge.priority, at, merge.id)))
            .min();
        let Some((_, at, id)) = best else { return };
        symbols[at] = id;
        symbols.remove(at + 1);
        merges.remove(at);
        if at > 0 {
            merges[at - 1] = merge_of(symbols[at - 1], id);
        }
        if at < merges.len() {
            merges[at] = merge_of(id, symbols[at + 1]);
        }
    }
}

fn merge_long(symbols: &mut Vec<u32>, merge_of: impl Fn(u32, u32) -> Option<Merge>) {
    const NONE: usize = usize::MAX;
    let n = symbols.len();
    let mut next: Vec<usize> = (1..=n).map(|at| if at == n { NONE } else { at }).collect();
    let mut previous: Vec<usize> = (0..n).map(|at| at.checked_sub(1).unwrap_or(NONE)).collect();
    let mut alive = vec![true; n];

    // (priority, position of the left symbol, left, right, merged): the symbols tell a stale entry.
    let mut heap = BinaryHeap::new();
    let push = |heap: &mut BinaryHeap<_>, symbols: &[u32], left: usize, right: usize| {
        if let Some(merge) = merge_of(symbols[left], symbols[right]) {
            heap.push(Reverse((merge.priority, left, symbols[left], symbols[right], merge.id)));
        }
    };
    for left in 0..n - 1 {
        push(&mut heap, symbols, left, left + 1);
    }
    while let Some(Reverse((_, left, left_id, right_id, merged))) = heap.pop() {
        if !alive[left] || symbols[left] != left_id {
            continue;
        }
        let right = next[left];
        if right == NONE || symbols[right] != right_id {
            continue;
        }
        symbols[left] = merged;
        alive[right] = false;
        next[left] = next[right];
        if next[left] != NONE {
            previous[next[left]] = left;
            push(&mut heap, symbols, left, next[left]);
        }
        if previous[left] != NONE {
            push(&mut heap, symbols, previous[left], left);
        }
    }
    let mut at = 0;
    symbols.retain(|_| {
        at += 1;
        alive[at - 1]
    });
}
