//! Between plan and model: what the model is asked for a plan, and which of its answers is shown.
//! The editor's completions and the evaluation go through here, so that what is measured is what
//! people get.

use fovea_context::{
    self as context, Plan, PlanRequest, RenderedPrompt, Suggestion, finish::is_block,
};
use fovea_indexer::Snapshot;
use fovea_model::{GenerateRequest, Generated, NamePrior, Piece, Prompt, PromptSegment, Stop};
use serde::{Deserialize, Serialize};

/// How the plan acts on decoding. The defaults are the measured ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Decoding {
    /// Names that decoding favors, at most.
    pub n_names: usize,
    /// Weight of the index's own probabilities beside the model's, behind a `.` or `::`.
    pub member_weight: f32,
    /// The same where any name in scope may stand.
    pub scope_weight: f32,
    /// Added to every known member: above 0 favors known names over new ones.
    pub member_offset: f32,
    /// Added to every name in scope.
    pub scope_offset: f32,
    /// Place keys and values of context segments as if each was read alone; faster, a little less
    /// exact.
    pub join_segments: bool,
}

impl Default for Decoding {
    fn default() -> Self {
        Self {
            n_names: 24,
            member_weight: 0.35,
            scope_weight: 0.35,
            member_offset: 1.0,
            scope_offset: 1.0,
            join_segments: true,
        }
    }
}

/// The model's task for `plan`, rendered as `prompt`.
#[must_use]
pub fn task(
    plan: &Plan,
    prompt: &RenderedPrompt,
    request: &PlanRequest,
    decoding: &Decoding,
    max_tokens: usize,
) -> GenerateRequest {
    let (weight, offset) = match plan.is_member {
        true => (decoding.member_weight, decoding.member_offset),
        false => (decoding.scope_weight, decoding.scope_offset),
    };
    let rest = plan.rest.max(f32::MIN_POSITIVE).ln();
    let names = plan.candidates.iter().take(decoding.n_names).map(|candidate| NamePrior {
        name: candidate.name.clone(),
        prior: weight * (candidate.weight.max(f32::MIN_POSITIVE).ln() - rest) + offset,
    });
    GenerateRequest {
        prompt: to_model(prompt, decoding.join_segments),
        max_tokens,
        stop: Stop { at_newline: !is_block(request), ..Stop::default() },
        drafts: plan.context().map(|segment| segment.text.clone()).collect(),
        names: names.collect(),
        ..GenerateRequest::default()
    }
}

/// What is fit to insert of `generated`.
#[must_use]
pub fn choose(generated: &Generated, request: &PlanRequest, snapshot: &Snapshot) -> Suggestion {
    context::finish(&generated.text, request, snapshot)
}

/// The prompt in the model's types. With `join_segments` stable segments keep their keys.
#[must_use]
pub fn to_model(prompt: &RenderedPrompt, join_segments: bool) -> Prompt {
    let piece = |piece: &context::Piece| match piece {
        context::Piece::Special(token) => Piece::Special((*token).to_owned()),
        context::Piece::Text(text) => Piece::Text(text.clone()),
    };
    let segments = prompt.segments.iter().map(|segment| PromptSegment {
        key: segment.key.filter(|_| join_segments).map(|key| key.0),
        pieces: segment.pieces.iter().map(piece).collect(),
    });
    Prompt { segments: segments.collect() }
}
