//! Places that use the symbols at the cursor, found through the graph.
//!
//! A small model copies usage better than it reads signatures: one call of the right function,
//! written elsewhere in the project, is worth more tokens than the function's contract.
//!
//! A common name stands in thousands of places and resolving one takes a tenth of a millisecond, so
//! places are ordered first, by the names around them, and only the most promising are resolved.

use fovea_indexer::{
    FileId, SymbolId,
    facts::{FileFacts, Role, SymbolKind},
    graph::{Certainty, Mention, Reference},
    text::ByteRange,
};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::{
    Scene,
    words::{Counts, WindowScorer},
};
use crate::{pack::Proposal, plan::Source};

/// Symbols whose uses are looked up.
const MAX_SYMBOLS: usize = 10;
/// Places that may be uses: those looked at for one symbol, and those resolved for all.
const MAX_MENTIONS: usize = 2_000;
const MAX_RESOLVED: usize = 200;
/// Uses that are scored.
const MAX_USES: usize = 100;
/// Names on each side of a mention that tell whether it is like the cursor's place.
const NAMES_AROUND: usize = 16;
/// Proposals of this source.
const N_PROPOSALS: usize = 10;
/// Lines shown before and behind a use.
const LINES_BEFORE: u32 = 6;
const LINES_BEHIND: u32 = 7;

/// What the search for uses found.
pub(crate) struct Found {
    pub(crate) proposals: Vec<Proposal>,
    /// Files with uses, most uses first: similar code is likely there too.
    pub(crate) files: Vec<FileId>,
}

/// Proposes windows around uses of the symbols in focus and of the members that fit at the cursor.
pub(crate) fn propose(scene: &Scene<'_>) -> Found {
    let wanted = wanted(scene);
    let mut mentions = promising(scene, &wanted);
    mentions.truncate(MAX_RESOLVED);
    let uses: Vec<(Reference, &str, f32)> = mentions
        .iter()
        .take_while(|_| !scene.cancel().is_cancelled())
        .filter_map(|found| {
            let (symbol, name, weight) = &wanted[found.wanted];
            let reference = scene.snapshot.graph().confirm(found.mention, *symbol)?;
            Some((reference, name.as_str(), weight * found.rarity))
        })
        .take(MAX_USES)
        .collect();
    let windows: Vec<(usize, ByteRange, (u32, u32), Counts)> = uses
        .iter()
        .enumerate()
        .filter_map(|(index, (reference, ..))| {
            let (range, lines, words) = window(scene, reference)?;
            Some((index, range, lines, words))
        })
        .collect();
    let scorer = WindowScorer::new(&scene.query, windows.iter().map(|(.., words)| words));
    let best = windows.iter().map(|(.., words)| scorer.score(words)).fold(0.1, f32::max);
    let mut proposals: Vec<Proposal> = windows
        .iter()
        .filter_map(|(index, range, lines, words)| {
            let (reference, name, weight) = &uses[*index];
            let text = scene.text(reference.at.file)?;
            let sure = if reference.certainty == Certainty::NameOnly { 0.6 } else { 1.0 };
            Some(Proposal {
                source: Source::Usage,
                path: scene.snapshot.path(reference.at.file).to_owned(),
                range: Some(*range),
                lines: *lines,
                reason: format!("uses `{name}`"),
                text: range.slice(&text).trim_end_matches('\n').to_owned(),
                value: sure * weight * (0.25 + 0.75 * scorer.score(words) / best),
            })
        })
        .collect();
    proposals.sort_by(|a, b| b.value.total_cmp(&a.value));
    let mut kept: Vec<Proposal> = Vec::new();
    for proposal in proposals {
        let clashes = kept.iter().any(|other| {
            other.path == proposal.path
                && other
                    .range
                    .zip(proposal.range)
                    .is_some_and(|(a, b)| a.start < b.end && b.start < a.end)
        });
        if !clashes {
            kept.push(proposal);
        }
        if kept.len() == N_PROPOSALS {
            break;
        }
    }
    let mut per_file: FxHashMap<FileId, u32> = FxHashMap::default();
    for (reference, ..) in &uses {
        *per_file.entry(reference.at.file).or_default() += 1;
    }
    let mut files: Vec<FileId> = per_file.keys().copied().collect();
    files.sort_by_key(|file| (std::cmp::Reverse(per_file[file]), *file));
    Found { proposals: kept, files }
}

/// A place that may be a use of one of the wanted symbols.
struct Promising {
    mention: Mention,
    /// Index of the symbol.
    wanted: usize,
    /// 0.5 to 1.5: a use says more where there are few.
    rarity: f32,
    score: f32,
}

/// Places that may be uses, most promising first: those among the names of the last lines.
fn promising(scene: &Scene<'_>, wanted: &[(SymbolId, String, f32)]) -> Vec<Promising> {
    let graph = scene.snapshot.graph();
    let mut weights: FxHashMap<FileId, Vec<f32>> = FxHashMap::default();
    let mut found: Vec<Promising> = Vec::new();
    for (index, (symbol, _, weight)) in wanted.iter().enumerate() {
        if scene.cancel().is_cancelled() {
            break;
        }
        let mentions = graph.mentions(*symbol, scene.cancel());
        let rarity = 0.5 + 1.0 / (1.0 + mentions.len() as f32 / 40.0);
        for mention in mentions.into_iter().take(MAX_MENTIONS) {
            let Some(facts) = scene.snapshot.facts(mention.file) else { continue };
            if !is_telling(scene, facts, mention) {
                continue;
            }
            let weights =
                weights.entry(mention.file).or_insert_with(|| vec![f32::NAN; facts.names.len()]);
            let weight_of = |name: u32| {
                let weight = &mut weights[name as usize];
                if weight.is_nan() {
                    *weight = scene.query.share_of(&facts.names[name as usize]);
                }
                *weight
            };
            let around = names_around(facts, mention, weight_of);
            let score = weight * rarity * (0.25 + around);
            found.push(Promising { mention, wanted: index, rarity, score });
        }
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.mention.cmp(&b.mention)));
    found
}

/// How much the names around a mention, within the same function, have in common with the last lines.
fn names_around(facts: &FileFacts, mention: Mention, mut weight_of: impl FnMut(u32) -> f32) -> f32 {
    let at = mention.occurrence as usize;
    let here = &facts.occurrences[at];
    let around = at.saturating_sub(NAMES_AROUND)..(at + NAMES_AROUND).min(facts.occurrences.len());
    let mut seen: SmallVec<[u32; 2 * NAMES_AROUND]> = SmallVec::new();
    let mut sum = 0.0;
    for occurrence in &facts.occurrences[around] {
        let is_new = occurrence.name != here.name && !seen.contains(&occurrence.name);
        if is_new && occurrence.enclosing == here.enclosing {
            seen.push(occurrence.name);
            sum += weight_of(occurrence.name);
        }
    }
    sum
}

/// Symbols to look up, with the name to show and a weight.
fn wanted(scene: &Scene<'_>) -> Vec<(SymbolId, String, f32)> {
    let graph = scene.snapshot.graph();
    let mut wanted: Vec<(SymbolId, String, f32)> = Vec::new();
    let mut add = |symbol: SymbolId, name: &str, weight: f32| {
        let is_local = graph.symbol(symbol).is_none_or(|facts| {
            matches!(facts.kind, SymbolKind::Parameter | SymbolKind::TypeParameter)
                || facts.kind == SymbolKind::Variable && facts.parent.is_some()
        });
        if !is_local && wanted.len() < MAX_SYMBOLS && wanted.iter().all(|(s, ..)| *s != symbol) {
            wanted.push((symbol, name.to_owned(), weight));
        }
    };
    for candidate in scene.offers.receiver.iter().take(2) {
        if let Some(symbol) = graph.symbol(candidate.symbol) {
            add(candidate.symbol, &symbol.name, 1.2);
        }
    }
    // A partly typed name, or a receiver with few members: uses of what can stand here.
    let partial = scene.offers.partial.slice(&scene.request.text);
    let fitting: Vec<_> = scene
        .offers
        .items
        .iter()
        .filter(|offer| offer.name.starts_with(partial) && offer.certainty > Certainty::NameOnly)
        .collect();
    if (partial.len() >= 2 || scene.offers.is_member) && fitting.len() <= 12 {
        for offer in fitting.into_iter().take(6) {
            if let Some(symbol) = offer.symbol {
                add(symbol, &offer.name, 1.1);
            }
        }
    }
    for focus in &scene.focus {
        let sure = if focus.certainty == Certainty::NameOnly { 0.5 } else { 1.0 };
        add(focus.symbol, &focus.name, focus.weight * sure);
    }
    wanted
}

/// Imports show nothing but the name; text in the window is there already.
fn is_telling(scene: &Scene<'_>, facts: &FileFacts, mention: Mention) -> bool {
    let occurrence = &facts.occurrences[mention.occurrence as usize];
    let is_shown = Some(mention.file) == scene.file && scene.shown.covers(occurrence.range);
    !matches!(occurrence.role, Role::Import | Role::Definition) && !is_shown
}

/// Lines around a use, within the function it lies in.
fn window(scene: &Scene<'_>, reference: &Reference) -> Option<(ByteRange, (u32, u32), Counts)> {
    let text = scene.text(reference.at.file)?;
    let lines = scene.lines(reference.at.file)?;
    let line = lines.line_of(reference.at.range.start);
    let (mut first, mut last) =
        (line.saturating_sub(LINES_BEFORE), (line + LINES_BEHIND + 1).min(lines.n_lines()));
    let item = reference
        .enclosing
        .and_then(|symbol| scene.facts_of(symbol.file)?.symbols.get(symbol.index as usize));
    if let Some(item) = item
        && matches!(item.kind, SymbolKind::Function | SymbolKind::Method)
    {
        first = first.max(lines.line_of(item.enclosing_range.start));
        last =
            last.min(lines.line_of(item.enclosing_range.end.saturating_sub(1)) + 1).max(line + 1);
    }
    let start = lines.line_range(first)?.start;
    let end = lines.line_range(last.checked_sub(1)?)?.end;
    let range = ByteRange::new(start, end);
    Some((range, (first, last), scene.query.count(range.slice(&text))))
}
