//! Tests of the symbols at the cursor, and documentation that mentions them.

use fovea_indexer::{Language, rank::SearchQuery};

use super::Scene;
use crate::{pack::Proposal, plan::Source};

/// Names that the query is made of.
const N_NAMES: usize = 4;
/// Passages proposed of each kind.
const N_PROPOSALS: usize = 3;
/// Longer passages are cut at a line.
const MAX_BYTES: usize = 1_600;

/// Proposes tests of the symbols in focus.
pub(crate) fn tests(scene: &Scene<'_>) -> Vec<Proposal> {
    find(scene, "test:yes", Source::Tests, 0.5, |language| language == scene.language)
}

/// Proposes documentation passages about the symbols in focus.
pub(crate) fn docs(scene: &Scene<'_>) -> Vec<Proposal> {
    find(scene, "lang:markdown", Source::Docs, 0.3, |language| language == Language::Markdown)
}

fn find(
    scene: &Scene<'_>,
    filter: &str,
    source: Source,
    value: f32,
    fits: impl Fn(Language) -> bool,
) -> Vec<Proposal> {
    let names: Vec<&str> = scene.focus.iter().take(N_NAMES).map(|f| f.name.as_str()).collect();
    if names.is_empty() || scene.cancel().is_cancelled() {
        return Vec::new();
    }
    let query = SearchQuery {
        text: format!("{} {filter}", names.join(" ")),
        limit: N_PROPOSALS * 2,
        exclude: scene.file.into_iter().collect(),
        ..SearchQuery::default()
    };
    let Ok(results) = scene.snapshot.search(&query, scene.cancel()) else { return Vec::new() };
    let best = results.hits.first().map_or(1.0, |hit| hit.score.max(f32::MIN_POSITIVE));
    results
        .hits
        .iter()
        .filter(|hit| {
            scene.snapshot.facts(hit.chunk.file).is_some_and(|facts| fits(facts.language))
        })
        .take(N_PROPOSALS)
        .filter_map(|hit| {
            let text = scene.text(hit.chunk.file)?;
            let text = hit.range.slice(&text);
            let mut end = text.len().min(MAX_BYTES);
            if end < text.len() {
                end = text.as_bytes()[..end].iter().rposition(|&byte| byte == b'\n')?;
            }
            Some(Proposal {
                source,
                path: scene.snapshot.path(hit.chunk.file).to_owned(),
                range: Some(hit.range),
                lines: hit.lines,
                reason: format!("mentions {}", names.join(", ")),
                text: text[..end].to_owned(),
                value: value * hit.score / best,
            })
        })
        .collect()
}
