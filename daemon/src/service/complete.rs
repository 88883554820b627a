//! Ghost text: plan, prompt, model, and what is fit to insert; or what the index alone can say.

use std::time::Instant;

use fovea_api::{Answer, ApiError, At, CompletionSource, PlanView, Suggestion, Timings};
use fovea_indexer::text::{ByteRange, LineIndex};

use super::{
    plan::PlanOptions,
    query::{Place, Query},
    views::location,
};

/// What the client wants beside the cursor.
#[derive(Clone, Copy, Debug)]
pub(super) struct CompleteOptions {
    pub(super) plan: PlanOptions,
    /// Id to answer with.
    pub(super) id: u64,
}

impl Query<'_> {
    /// The index's own suggestion; `notice` says why there is no model's.
    pub(super) fn complete_from_index(
        &self,
        at: &At,
        options: CompleteOptions,
        notice: Option<String>,
    ) -> Result<Answer, ApiError> {
        let started = Instant::now();
        let place = self.place(at)?;
        let request = self.plan_request(at, &place, options.plan);
        let offers =
            place.file.map(|file| self.snapshot.graph().offers(file, place.offset, &place.text));
        let offers = offers.unwrap_or_default();
        let typed = offers.partial.slice(&place.text);
        let continues = |name: &str| name.len() > typed.len() && name.starts_with(typed);
        let Some(best) = offers.items.iter().find(|offer| continues(&offer.name)) else {
            return Ok(Answer::Suggestion(None));
        };
        let ms = started.elapsed().as_secs_f32() * 1_000.0;
        let plan = PlanView {
            gate: "the index alone: a name that is in scope here".to_owned(),
            budget_tokens: request.budget_tokens,
            ..PlanView::default()
        };
        Ok(Answer::Suggestion(Some(Suggestion {
            id: options.id,
            text: best.name[typed.len()..].to_owned(),
            replace: at_cursor(at, &place),
            source: CompletionSource::Index,
            notice,
            logprob: None,
            plan,
            timings: Timings { context_ms: ms, total_ms: ms, ..Timings::default() },
        })))
    }
}

/// The empty range at the cursor.
pub(super) fn at_cursor(at: &At, place: &Place) -> fovea_api::Location {
    let lines = LineIndex::new(&place.text);
    location(&at.path, &place.text, &lines, ByteRange::new(place.offset, place.offset))
}
