//! Text that the user edited or looked at a moment ago, unsaved text included.

use super::Scene;
use crate::{pack::Proposal, plan::Source};

/// Chunks that are looked at; older ones say little.
const MAX_CHUNKS: usize = 12;

/// Proposes recent chunks, newest and most related first.
pub(crate) fn propose(scene: &Scene<'_>) -> Vec<Proposal> {
    let chunks = scene.request.recent.iter().take(MAX_CHUNKS).enumerate();
    chunks
        .filter(|(_, chunk)| chunk.path != scene.request.path || !scene.shown.covers(chunk.range))
        .map(|(age, chunk)| {
            let n_shared = scene.query.n_shared(&chunk.text) as f32;
            let related = (0.3 + n_shared / 10.0).min(1.2);
            Proposal {
                source: Source::Recent,
                path: chunk.path.clone(),
                range: Some(chunk.range),
                lines: chunk.lines,
                reason: if chunk.edited { "edited lately" } else { "viewed lately" }.to_owned(),
                text: chunk.text.clone(),
                value: related * if chunk.edited { 1.0 } else { 0.6 } / (1.0 + age as f32 * 0.15),
            }
        })
        .collect()
}
