//! Names that can stand at the cursor, weighted: to bias decoding, to rank suggestions, and to
//! answer without a model.

use fovea_indexer::{SymbolId, graph::Certainty};
use rustc_hash::FxHashMap;

use super::{Scene, contracts};
use crate::{
    continuation::Continuation,
    lex,
    plan::NameCandidate,
    ranking::{Described, Evidence, Names, Observer, Weights},
};

/// Candidates with a signature; the rest are names alone.
const N_SIGNATURES: usize = 40;
/// Lines before the cursor whose names are candidates.
const N_NEARBY_LINES: usize = 60;

/// The likeliest names at one cursor, and how likely it is none of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Likeliest {
    pub(crate) names: Vec<NameCandidate>,
    pub(crate) rest: f32,
}

/// The `limit` likeliest names at the cursor; the first of them have signatures.
pub(crate) fn collect(
    scene: &Scene<'_>,
    continuations: &[Continuation],
    limit: usize,
) -> Likeliest {
    let mut likeliest = rank(scene, continuations, limit);
    for candidate in likeliest.names.iter_mut().take(N_SIGNATURES) {
        candidate.signature = candidate.symbol.and_then(|symbol| signature(scene, symbol));
    }
    likeliest
}

/// The `limit` likeliest names at the cursor, without signatures.
pub(crate) fn rank(scene: &Scene<'_>, continuations: &[Continuation], limit: usize) -> Likeliest {
    let found = describe(scene, continuations);
    let weights = Weights::shipped(found.is_member);
    let scores: Vec<f32> = found.names.iter().map(|n| weights.score(&n.features)).collect();
    let rest = weights.score_rest(&found.rest);
    let most = scores.iter().copied().fold(rest, f32::max);
    let sum: f32 =
        scores.iter().map(|score| (score - most).exp()).sum::<f32>() + (rest - most).exp();
    let mut names: Vec<NameCandidate> = found
        .names
        .into_iter()
        .zip(scores)
        .map(|(Described { name, evidence, .. }, score)| NameCandidate {
            name,
            signature: None,
            symbol: evidence.symbol,
            certainty: evidence.offered.map_or(Certainty::NameOnly, |(certainty, _)| certainty),
            weight: (score - most).exp() / sum,
        })
        .collect();
    names.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.name.cmp(&b.name)));
    names.truncate(limit);
    Likeliest { names, rest: (rest - most).exp() / sum }
}

/// Every name that can stand at the cursor, with its features; in the names' order.
pub(crate) fn describe(scene: &Scene<'_>, continuations: &[Continuation]) -> Names {
    let partial = scene.offers.partial.slice(&scene.request.text);
    let is_member = scene.offers.is_member;
    let mut names: FxHashMap<&str, Evidence> = FxHashMap::default();
    for offer in &scene.offers.items {
        if offer.name.starts_with(partial) && offer.name != partial {
            names.entry(&offer.name).or_insert(Evidence {
                symbol: offer.symbol,
                offered: Some((offer.certainty, offer.distance)),
                continuation: 0.0,
            });
        }
    }
    // What followed the same tokens elsewhere is evidence of its own, whether or not the graph
    // knows the receiver's type.
    let continued: Vec<(String, f32)> = continuations
        .iter()
        .filter_map(|continuation| {
            let typed = format!("{partial}{}", continuation.text);
            let name = first_name(&typed, !partial.is_empty(), scene.language)?.to_owned();
            let known = (continuation.n_tokens as f32 / 4.0).min(1.0);
            Some((name, 2.0 * continuation.weight * known))
        })
        .collect();
    let is_open = !is_member || scene.offers.receiver.is_empty();
    for (name, strength) in &continued {
        let is_name = name.starts_with(partial) && name != partial;
        if is_name && (is_open || names.contains_key(name.as_str())) {
            let evidence = names.entry(name).or_default();
            evidence.continuation = evidence.continuation.max(*strength);
        }
    }
    if is_open {
        for name in nearby_names(scene, partial, is_member) {
            names.entry(name).or_default();
        }
    }
    let observer = Observer::new(scene);
    let mut names: Vec<Described> = names
        .into_iter()
        .map(|(name, evidence)| {
            let features = observer.observe(name, &evidence);
            Described { name: name.to_owned(), features, evidence }
        })
        .collect();
    names.sort_by(|a, b| a.name.cmp(&b.name));
    Names { is_member, rest: observer.rest(names.len()), names }
}

/// The first identifier of a continuation that is a name; `glued` if it must begin at once.
fn first_name(text: &str, glued: bool, language: fovea_indexer::Language) -> Option<&str> {
    if glued {
        let end = text.find(|c| !lex::is_identifier(c)).unwrap_or(text.len());
        return Some(&text[..end]).filter(|name| !name.is_empty());
    }
    lex::identifiers(text).find(|name| !lex::is_keyword(language, name))
}

/// Identifiers of the last lines: locals that no graph needs to know, or members of a receiver
/// whose type is unknown.
fn nearby_names<'a>(scene: &Scene<'a>, partial: &str, is_member: bool) -> Vec<&'a str> {
    let text = scene.request.prefix();
    // The cursor's own unfinished word is no name.
    let text = &text[..text.len() - partial.len()];
    let start = text.rmatch_indices('\n').nth(N_NEARBY_LINES).map_or(0, |(at, _)| at);
    let is_candidate = |name: &&str| {
        let at = name.as_ptr() as usize - text.as_ptr() as usize;
        name.len() > 1
            && name.starts_with(partial)
            && *name != partial
            && !lex::is_keyword(scene.language, name)
            && (!is_member || text[..at].ends_with('.') || text[..at].ends_with("::"))
    };
    lex::identifiers(&text[start..]).filter(is_candidate).collect()
}

fn signature(scene: &Scene<'_>, symbol: SymbolId) -> Option<String> {
    let facts = scene.facts_of(symbol.file)?;
    let item = facts.symbols.get(symbol.index as usize)?;
    let text = scene.text(symbol.file)?;
    Some(contracts::signature(&text, item, facts.language)).filter(|line| !line.is_empty())
}
