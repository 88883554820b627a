//! What of the plan before is good for this keystroke.
//!
//! A prompt is cheap where its beginning was read before: then the model reads only what was typed.
//! So while a word is being typed the context of the plan before stays as it is, and is collected
//! anew only when the cursor comes to another place: another line, another receiver, another call. A
//! segment whose file changed ends it at once.

use fovea_indexer::{ContentHash, FileId, Language, Snapshot};
use rustc_hash::FxHashSet;

use crate::{
    gate::GateDecision,
    lex,
    plan::Plan,
    ranking,
    request::PlanRequest,
    sources::{contracts, last_lines},
};

/// A cursor's place without the word that is being typed there: two keystrokes with the same anchor
/// share their context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Anchor(Option<ContentHash>);

impl Anchor {
    pub(crate) fn of(request: &PlanRequest, language: Language) -> Self {
        let line = request.line_prefix();
        let partial = lex::trailing_identifier(line);
        let receiver = ranking::receiver(&line[..line.len() - partial.len()]);
        let call = contracts::open_call(request.prefix(), language).unwrap_or("");
        let above = last_lines(request, request.tuning.query_lines);
        let above = &above[..above.len() - 1];
        let budgets = (request.budget_tokens, request.preset, request.format.name, request.tuning);
        let text = format!("{:?}", (&request.path, budgets, above, receiver, call));
        Self(Some(ContentHash::of(text.as_bytes())))
    }
}

/// Files that a plan was made of, as they were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sources(Vec<(FileId, ContentHash)>);

impl Sources {
    pub(crate) fn of(snapshot: &Snapshot, request: &PlanRequest, files: &[FileId]) -> Self {
        let own = snapshot.file(&request.path);
        let others = files.iter().filter(|file| Some(**file) != own);
        Self(others.filter_map(|file| Some((*file, snapshot.hash(*file)?))).collect())
    }

    fn are_unchanged(&self, snapshot: &Snapshot) -> bool {
        self.0.iter().all(|(file, hash)| snapshot.hash(*file) == Some(*hash))
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = FileId> {
        self.0.iter().map(|(file, _)| *file)
    }
}

/// The plan before, if its context serves this cursor as well.
pub(crate) fn kept<'a>(
    snapshot: &Snapshot,
    request: &'a PlanRequest,
    gate: &GateDecision,
    anchor: Anchor,
) -> Option<&'a Plan> {
    let previous = request.previous.as_deref()?;
    // Where nothing is worth collecting, what was read before costs nothing.
    let is_idle = !gate.near_field && !gate.periphery && previous.path == request.path;
    let is_wide_enough = previous.gate.near_field >= gate.near_field
        && previous.gate.periphery >= gate.periphery
        && previous.rings.iter().all(|ring| !ring.cut);
    let recent: FxHashSet<&str> = request.recent.iter().map(|chunk| chunk.text.as_str()).collect();
    let is_there = |segment: &crate::Segment| {
        let is_recent = segment.source == crate::Source::Recent;
        let is_own = segment.path == request.path;
        (!is_recent || recent.contains(segment.text.as_str()))
            && (!is_own || request.text.contains(segment.text.trim_end()))
    };
    let is_kept = (previous.anchor == anchor || is_idle)
        && is_wide_enough
        && previous.sources.are_unchanged(snapshot)
        && previous.context().all(is_there);
    is_kept.then_some(previous)
}
