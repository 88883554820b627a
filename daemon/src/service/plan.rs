//! From a cursor to an attention plan, and from a plan to what people and tools see.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fovea_api::{Answer, ApiError, At, PlanView, Preset, RingCost, SegmentView};
use fovea_context::{
    self as context, Clock, Estimate, Mode, Plan, PlanRequest, PromptFormat, RecentChunk,
    TokenCounter,
};
use fovea_indexer::{Cancel, text::LineIndex};

use super::query::{Place, Query};

/// Lines around the last edit of another document that count as recent.
const RECENT_LINES: u32 = 12;

/// What a completion may cost, by preset. The settings may say otherwise.
pub(super) fn budgets(preset: Preset) -> (usize, Duration) {
    match preset {
        Preset::Lean => (768, Duration::from_millis(30)),
        Preset::Balanced => (1_536, Duration::from_millis(80)),
        Preset::Deep => (3_072, Duration::from_millis(250)),
    }
}

/// What the caller chose.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlanOptions {
    pub(super) preset: Preset,
    pub(super) budget_tokens: Option<usize>,
    pub(super) with_context: bool,
    pub(super) mode: Mode,
    pub(super) format: &'static PromptFormat,
}

impl Query<'_> {
    /// The plan at a cursor as the tools show it.
    pub(super) fn context(
        &self,
        at: &At,
        options: PlanOptions,
        counter: Option<&dyn TokenCounter>,
    ) -> Result<Answer, ApiError> {
        let place = self.place(at)?;
        let request = self.plan_request(at, &place, options);
        let plan = context::plan(&self.snapshot, counter.unwrap_or(&Estimate), &request);
        Ok(Answer::Plan(plan_view(&plan, &request, "")))
    }

    pub(super) fn plan_request(&self, at: &At, place: &Place, options: PlanOptions) -> PlanRequest {
        let config = self.workspace.loaded().config.context.clone();
        let (tokens, time) = budgets(options.preset);
        let budget_tokens = match (options.budget_tokens, config.budget_tokens) {
            // The setting is a limit, whoever asks.
            (Some(asked), 0) => asked,
            (Some(asked), limit) => asked.min(limit),
            (None, 0) => tokens,
            (None, limit) => limit,
        };
        let time = match config.deadline_ms {
            0 => time,
            ms => Duration::from_millis(ms),
        };
        let started = Instant::now();
        let (deadline, outer) = (started + time, self.cancel.clone());
        let root = self.workspace.root();
        let repository = root.file_name().map(|name| name.to_string_lossy().into_owned());
        PlanRequest {
            budget_tokens,
            preset: match options.preset {
                _ if !options.with_context || !config.project => context::Preset::None,
                Preset::Lean => context::Preset::Lean,
                Preset::Balanced => context::Preset::Balanced,
                Preset::Deep => context::Preset::Deep,
            },
            mode: options.mode,
            format: options.format,
            repository: repository.unwrap_or_default(),
            recent: self.recent(&at.path),
            previous: self.client.plan(root, &at.path),
            cancel: Cancel::when(move || Instant::now() >= deadline || outer.is_cancelled()),
            clock: Clock::new(move || started.elapsed().as_micros() as u64),
            ..PlanRequest::new(at.path.clone(), Arc::clone(&place.text), place.offset as usize)
        }
    }

    /// The surroundings of the last edit of every other open document.
    fn recent(&self, path: &str) -> Vec<RecentChunk> {
        let documents = self.workspace.recent_documents();
        let others = documents.into_iter().filter(|document| document.path != path);
        others
            .filter_map(|document| {
                let lines = LineIndex::new(&document.text);
                let line = lines.line_of(document.edited_at.unwrap_or(0));
                let first = line.saturating_sub(RECENT_LINES);
                let last = (line + RECENT_LINES).min(lines.n_lines().saturating_sub(1));
                let range = fovea_indexer::text::ByteRange::new(
                    lines.line_range(first)?.start,
                    lines.line_range(last)?.end,
                );
                Some(RecentChunk {
                    text: range.slice(&document.text).to_owned(),
                    path: document.path,
                    range,
                    lines: (first, last + 1),
                    edited: document.edited_at.is_some(),
                })
            })
            .collect()
    }
}

/// `suggestion` is compared with the segments, to show what it was conditioned on.
pub(super) fn plan_view(plan: &Plan, request: &PlanRequest, suggestion: &str) -> PlanView {
    let shared = plan.shared_identifiers(suggestion);
    let segments = plan.segments.iter().enumerate().map(|(index, segment)| SegmentView {
        ring: segment.ring.name().to_owned(),
        source: segment.source.name().to_owned(),
        path: segment.path.clone(),
        lines: segment.lines,
        reason: segment.reason.clone(),
        n_tokens: segment.n_tokens,
        score: segment.score,
        text: segment.text.clone(),
        shared: shared
            .iter()
            .find(|(shared, _)| *shared == index)
            .map(|(_, names)| names.clone())
            .unwrap_or_default(),
    });
    let rings = plan.rings.iter().map(|cost| RingCost {
        ring: cost.ring.name().to_owned(),
        n_tokens: cost.n_tokens,
        ms: cost.micros as f32 / 1_000.0,
        n_cached: None,
    });
    PlanView {
        segments: segments.collect(),
        n_tokens: plan.n_tokens,
        budget_tokens: request.budget_tokens,
        gate: plan.gate.reason.clone(),
        rings: rings.collect(),
        candidates: plan.candidates.iter().map(|candidate| candidate.name.clone()).collect(),
        format: request.format.name.to_owned(),
        prompt: context::render(plan, request.format).text(),
    }
}
