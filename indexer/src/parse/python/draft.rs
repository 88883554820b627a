//! From what the walk collected to facts that can be stored: everything sorted for lookup, symbols
//! in document order.

use super::*;

/// First sentence of a docstring literal: quotes and prefix taken off, at most one paragraph.
pub(super) fn first_sentence(literal: &str) -> Option<String> {
    let start = literal.find(['"', '\''])?;
    let body = &literal[start..];
    let body = match body.get(..3) {
        Some(quotes @ ("\"\"\"" | "'''")) => {
            let body = &body[3..];
            body.strip_suffix(quotes).unwrap_or(body)
        }
        _ => body[1..].strip_suffix(['"', '\'']).unwrap_or(&body[1..]),
    };
    let paragraph = body.trim().split("\n\n").next()?;
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    let text = words.join(" ");
    let end = text.find(". ").map_or(text.len(), |at| at + 1);
    let sentence: String = text[..end].chars().take(200).collect();
    (!sentence.is_empty()).then_some(sentence)
}

/// Sorts what lookups search, and hands the facts over.
pub(super) fn finish(mut walk: Walk<'_>) -> Extracted {
    order_symbols(&mut walk);
    let facts = &mut walk.facts;
    for scope in &mut facts.scopes {
        scope.bindings.sort_by_key(|binding| (binding.name, binding.at));
        scope.bindings.shrink_to_fit();
    }
    for class in &mut facts.classes {
        class.attributes.sort_by_key(|binding| (binding.name, binding.at));
    }
    facts.narrows.sort_by_key(|narrow| (narrow.key, narrow.range.start));
    let mut by_text: Vec<NameId> = (0..facts.names.len() as u32).map(NameId).collect();
    by_text.sort_unstable_by(|a, b| facts.names[a.0 as usize].cmp(&facts.names[b.0 as usize]));
    facts.by_text = by_text;
    facts.exprs.shrink_to_fit();
    Extracted {
        symbols: walk.symbols,
        occurrences: walk.occurrences,
        aliases: walk.aliases,
        doc: walk.doc,
        resolver: crate::facts::ResolverFacts::Python(Box::new(walk.facts)),
        n_syntax_errors: walk.n_syntax_errors,
        cut: false,
    }
}

/// Brings symbols and occurrences into document order; both nearly are.
fn order_symbols(walk: &mut Walk<'_>) {
    if !walk.occurrences.is_sorted_by_key(|occurrence| occurrence.range.start) {
        let mut order: Vec<usize> = (0..walk.occurrences.len()).collect();
        order.sort_by_key(|&index| walk.occurrences[index].range.start);
        walk.occurrences = order.iter().map(|&index| walk.occurrences[index]).collect();
        walk.facts.targets = order.iter().map(|&index| walk.facts.targets[index]).collect();
    }
    if walk.symbols.is_sorted_by_key(|symbol| symbol.name_range.start) {
        return;
    }
    let mut order: Vec<u32> = (0..walk.symbols.len() as u32).collect();
    order.sort_by_key(|&index| walk.symbols[index as usize].name_range.start);
    let mut moved = vec![0; order.len()];
    for (new, &old) in order.iter().enumerate() {
        moved[old as usize] = new as u32;
    }
    let renumber = |symbol: &mut u32| {
        if let Some(&new) = moved.get(*symbol as usize) {
            *symbol = new;
        }
    };
    walk.symbols = order.iter().map(|&old| walk.symbols[old as usize].clone()).collect();
    walk.facts.origins = order.iter().map(|&old| walk.facts.origins[old as usize]).collect();
    for symbol in &mut walk.symbols {
        symbol.parent.iter_mut().for_each(renumber);
    }
    for occurrence in &mut walk.occurrences {
        occurrence.enclosing.iter_mut().for_each(renumber);
    }
    for target in &mut walk.facts.targets {
        if let Target::Symbol(symbol) = target {
            renumber(symbol);
        }
    }
    for scope in &mut walk.facts.scopes {
        scope.bindings.iter_mut().for_each(|binding| renumber(&mut binding.symbol));
    }
    for class in &mut walk.facts.classes {
        renumber(&mut class.symbol);
        class.attributes.iter_mut().for_each(|binding| renumber(&mut binding.symbol));
    }
    for function in &mut walk.facts.functions {
        renumber(&mut function.symbol);
        function.params.iter_mut().for_each(|param| renumber(&mut param.symbol));
    }
}
