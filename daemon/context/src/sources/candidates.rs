//! Names that can stand at the cursor, weighted: to bias decoding, to rank suggestions, and to
//! answer without a model.

use fovea_indexer::{SymbolId, facts::SymbolKind, graph::Certainty};
use rustc_hash::FxHashMap;

use super::{Scene, contracts};
use crate::{continuation::Continuation, lex, plan::NameCandidate};

/// Candidates with a signature; the rest are names alone.
const N_SIGNATURES: usize = 40;

/// The `limit` likeliest names at the cursor.
pub(crate) fn collect(
    scene: &Scene<'_>,
    continuations: &[Continuation],
    limit: usize,
) -> Vec<NameCandidate> {
    let partial = scene.offers.partial.slice(&scene.request.text);
    let is_member = scene.offers.is_member;
    let mut names: FxHashMap<String, NameCandidate> = FxHashMap::default();
    for offer in &scene.offers.items {
        if !offer.name.starts_with(partial) || offer.name == partial {
            continue;
        }
        let sure = match offer.certainty {
            Certainty::Exact => 1.0,
            Certainty::Inferred => 0.8,
            Certainty::NameOnly => 0.2,
        };
        let near = 1.0 / (1.0 + offer.distance as f32 * 0.3);
        let base = if is_member { 1.0 } else { 0.5 };
        let candidate = NameCandidate {
            name: offer.name.clone(),
            signature: None,
            symbol: offer.symbol,
            certainty: offer.certainty,
            weight: base * sure * near * habit(scene, &offer.name, offer.symbol),
        };
        names.entry(offer.name.clone()).or_insert(candidate);
    }
    // What followed the same tokens elsewhere is evidence of its own, whether or not the graph
    // knows the receiver's type.
    for continuation in continuations {
        let typed = format!("{partial}{}", continuation.text);
        let Some(name) = first_name(&typed, !partial.is_empty(), scene.language) else { continue };
        let evidence = 1.5 * continuation.weight * (continuation.n_tokens as f32 / 4.0).min(1.0);
        match names.get_mut(name) {
            Some(candidate) => candidate.weight += evidence,
            None if !is_member || scene.offers.receiver.is_empty() => {
                let candidate = NameCandidate {
                    name: name.to_owned(),
                    signature: None,
                    symbol: None,
                    certainty: Certainty::NameOnly,
                    weight: evidence * 0.6,
                };
                names.insert(name.to_owned(), candidate);
            }
            None => {}
        }
    }
    if !is_member {
        local_names(scene, partial, &mut names);
    }
    let mut names: Vec<NameCandidate> = names.into_values().collect();
    for candidate in &mut names {
        candidate.weight *= 1.0 + mentioned(scene, &candidate.name);
    }
    names.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.name.cmp(&b.name)));
    names.truncate(limit);
    // Weak evidence stays weak: the best of many guesses must not be favored like a known member.
    let best = names.first().map_or(1.0, |first| first.weight.max(1.0));
    for (index, candidate) in names.iter_mut().enumerate() {
        candidate.weight /= best;
        if index < N_SIGNATURES
            && let Some(symbol) = candidate.symbol
        {
            candidate.signature = signature(scene, symbol);
        }
    }
    names
}

/// The first identifier of a continuation that is a name; `glued` if it must begin at once.
fn first_name(text: &str, glued: bool, language: fovea_indexer::Language) -> Option<&str> {
    if glued {
        let end = text.find(|c| !lex::is_identifier(c)).unwrap_or(text.len());
        return Some(&text[..end]).filter(|name| !name.is_empty());
    }
    lex::identifiers(text).find(|name| !lex::is_keyword(language, name))
}

/// Identifiers of the last lines: locals that no graph needs to know.
fn local_names(scene: &Scene<'_>, partial: &str, names: &mut FxHashMap<String, NameCandidate>) {
    let lines = super::last_lines(scene.request, 60);
    let n_lines = lines.len();
    let line = scene.request.line_prefix();
    for (index, text) in lines.iter().enumerate() {
        let age = (n_lines - index) as f32;
        // The cursor's own unfinished word is no name.
        let text = if index + 1 == n_lines { &line[..line.len() - partial.len()] } else { text };
        for name in lex::identifiers(text) {
            if name.len() < 2
                || !name.starts_with(partial)
                || name == partial
                || lex::is_keyword(scene.language, name)
            {
                continue;
            }
            let weight = 0.5 / (1.0 + age * 0.08);
            let entry = names.entry(name.to_owned()).or_insert_with(|| NameCandidate {
                name: name.to_owned(),
                signature: None,
                symbol: None,
                certainty: Certainty::NameOnly,
                weight: 0.0,
            });
            entry.weight += weight * 0.4;
        }
    }
}

/// How usual it is to write this name: dunder methods, privates of others and tests are not.
fn habit(scene: &Scene<'_>, name: &str, symbol: Option<SymbolId>) -> f32 {
    let mut habit = 1.0;
    if name.starts_with("__") {
        habit *= 0.1;
    } else if name.starts_with('_') && scene.offers.is_member {
        habit *= 0.6;
    }
    if let Some(facts) = symbol.and_then(|symbol| scene.snapshot.graph().symbol(symbol)) {
        if facts.is_test && facts.kind == SymbolKind::Function {
            habit *= 0.1;
        }
        if facts.kind == SymbolKind::Impl || facts.kind == SymbolKind::TypeParameter {
            habit *= 0.2;
        }
    }
    habit
}

/// Words that the name shares with the last lines, and whether the name itself occurs there.
fn mentioned(scene: &Scene<'_>, name: &str) -> f32 {
    let shared = scene.query.n_shared(name) as f32;
    (0.25 * shared).min(1.0)
}

fn signature(scene: &Scene<'_>, symbol: SymbolId) -> Option<String> {
    let facts = scene.facts_of(symbol.file)?;
    let item = facts.symbols.get(symbol.index as usize)?;
    let text = scene.text(symbol.file)?;
    Some(contracts::signature(&text, item, facts.language)).filter(|line| !line.is_empty())
}
