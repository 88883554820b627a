//! From a cursor to a suggestion: plan, prompt, model, post-processing; or the index alone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use fovea_context::{
    Clock, Mode, NameCandidate, Plan, PlanRequest, Preset, PromptFormat, RenderedPrompt,
    TokenCounter, complete_from_index, finish, plan, render,
};
use fovea_indexer::{Cancel, Snapshot};
use serde::Serialize;

use super::{Options, protocol::Point, workspace::Workspace};

/// Time to collect context, as the editor's default has it.
const DEADLINE: Duration = Duration::from_millis(40);
/// Tokens of one line.
const MAX_TOKENS: usize = 48;

/// What writes the text behind a prompt.
pub trait Completer {
    /// Counts tokens as the model does.
    fn counter(&self) -> &dyn TokenCounter;

    /// The model's own prompt format; `None` without a model.
    fn format(&self) -> Option<&'static PromptFormat>;

    /// Continues `prompt` up to the end of the line. `names` may stand at the cursor.
    ///
    /// # Errors
    /// If the model fails; the caller reports it with the point.
    fn generate(
        &self,
        prompt: &RenderedPrompt,
        names: &[NameCandidate],
        max_tokens: usize,
    ) -> Result<String>;
}

/// No model: the plan is made, the suggestion comes from the index alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct IndexOnly(fovea_context::Estimate);

impl Completer for IndexOnly {
    fn counter(&self) -> &dyn TokenCounter {
        &self.0
    }

    fn format(&self) -> Option<&'static PromptFormat> {
        None
    }

    fn generate(&self, _: &RenderedPrompt, _: &[NameCandidate], _: usize) -> Result<String> {
        Ok(String::new())
    }
}

/// The answer to one point, as the line protocol writes it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Answer {
    pub id: String,
    pub completion: String,
    /// The prompt as the model read it, and below it the names that decoding was given.
    pub prompt: String,
    pub prompt_tokens: usize,
    /// Names from the index, best first.
    pub items: Vec<String>,
    /// Source, path, tokens and reason of each segment.
    pub segments: Vec<SegmentLine>,
    pub timings: Timings,
}

#[derive(Clone, Debug, Serialize)]
pub struct SegmentLine {
    pub source: &'static str,
    pub path: String,
    pub n_tokens: usize,
    pub score: f32,
    pub reason: String,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Timings {
    pub context_ms: f64,
    pub near_field_ms: f64,
    pub periphery_ms: f64,
    pub model_ms: f64,
}

/// Completes the line at `point`.
///
/// # Errors
/// If the model fails.
pub fn complete(
    workspace: &mut Workspace,
    point: &Point,
    options: &Options,
    completer: &dyn Completer,
) -> Result<Answer> {
    let text: Arc<str> = point.text.as_str().into();
    workspace.edited(&point.file, Arc::clone(&text))?;
    let snapshot = workspace.snapshot().clone();
    let format = completer.format().unwrap_or(options.format);
    let started = Instant::now();
    let request = PlanRequest {
        budget_tokens: point.budget_tokens.unwrap_or(options.budget_tokens),
        preset: options.preset,
        mode: Mode::Line,
        format,
        repository: match point.repo.is_empty() {
            true => workspace.name.clone(),
            false => point.repo.clone(),
        },
        cancel: Cancel::when(move || started.elapsed() > DEADLINE),
        clock: Clock::new(move || started.elapsed().as_micros() as u64),
        ..PlanRequest::new(point.file.as_str(), text, point.offset())
    };
    let plan = plan(&snapshot, completer.counter(), &request);
    let prompt = render(&plan, format);
    let context_ms = millis(started.elapsed());

    let started = Instant::now();
    let names = if options.use_names { plan.candidates.as_slice() } else { &[] };
    let (completion, items) = match completer.format() {
        Some(_) => {
            let raw = completer.generate(&prompt, names, MAX_TOKENS)?;
            (finish(&raw, &request, &snapshot).text, Vec::new())
        }
        None => from_index(&snapshot, &request),
    };
    let model_ms = millis(started.elapsed());
    Ok(Answer {
        id: point.id.clone(),
        completion,
        prompt: shown_prompt(&prompt, names),
        prompt_tokens: plan.n_tokens,
        items,
        timings: Timings { context_ms, model_ms, ..ring_times(&plan) },
        segments: segment_lines(&plan),
    })
}

/// The index's best suggestion, and the distinct names it offers.
fn from_index(snapshot: &Snapshot, request: &PlanRequest) -> (String, Vec<String>) {
    if request.preset == Preset::None {
        return Default::default();
    }
    let request = PlanRequest { cancel: Cancel::never(), ..request.clone() };
    let found = complete_from_index(snapshot, &request);
    let mut items: Vec<String> = Vec::new();
    for item in &found {
        if !item.name.is_empty() && !items.contains(&item.name) {
            items.push(item.name.clone());
        }
    }
    items.truncate(10);
    (found.first().map(|item| item.text.clone()).unwrap_or_default(), items)
}

/// Decoding candidates act outside the prompt; a reader of the answer sees them below it.
fn shown_prompt(prompt: &RenderedPrompt, names: &[NameCandidate]) -> String {
    let mut text = prompt.text();
    if names.is_empty() {
        return text;
    }
    text.push_str("\n[names given to decoding]\n");
    for candidate in names {
        text.push_str(candidate.signature.as_deref().unwrap_or(&candidate.name));
        text.push('\n');
    }
    text
}

fn segment_lines(plan: &Plan) -> Vec<SegmentLine> {
    plan.segments
        .iter()
        .map(|segment| SegmentLine {
            source: segment.source.name(),
            path: format!("{}:{}", segment.path, segment.lines.0 + 1),
            n_tokens: segment.n_tokens,
            score: if segment.is_volatile() { 0.0 } else { segment.score },
            reason: segment.reason.clone(),
        })
        .collect()
}

fn ring_times(plan: &Plan) -> Timings {
    let of = |ring| {
        let cost = plan.rings.iter().find(|cost| cost.ring == ring);
        cost.map_or(0.0, |cost| cost.micros as f64 / 1_000.0)
    };
    Timings {
        near_field_ms: of(fovea_context::Ring::NearField),
        periphery_ms: of(fovea_context::Ring::Periphery),
        ..Timings::default()
    }
}

fn millis(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1_000.0
}
