//! From a cursor to a suggestion: plan, prompt, model, post-processing; or the index alone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use fovea_context::{
    Clock, Mode, NameCandidate, Plan, PlanRequest, Preset, PromptFormat, RenderedPrompt,
    TokenCounter, complete_from_index, plan, render,
};
use fovea_indexer::{Cancel, Snapshot};
use fovea_model::{GenerateRequest, Generated, Stop};
use serde::Serialize;

use super::{Options, protocol::Point, typing, workspace::Workspace};
use crate::complete::{choose, task, to_model};

/// Tokens of one line.
const MAX_TOKENS: usize = 48;

/// What writes the text behind a prompt.
pub trait Completer {
    /// Counts tokens as the model does.
    fn counter(&self) -> &dyn TokenCounter;

    /// The model's own prompt format; `None` without a model.
    fn format(&self) -> Option<&'static PromptFormat>;

    /// Continues the prompt of `task`.
    ///
    /// # Errors
    /// If the model fails; the caller reports it with the point.
    fn generate(&self, task: &GenerateRequest) -> Result<Generated>;
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

    fn generate(&self, _: &GenerateRequest) -> Result<Generated> {
        Ok(Generated::default())
    }
}

/// The answer to one point, as the line protocol writes it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Answer {
    pub id: String,
    pub completion: String,
    /// The prompt as the model read it.
    pub prompt: String,
    pub prompt_tokens: usize,
    /// Names from the index, best first: what decoding was given, or what is offered without a
    /// model.
    pub items: Vec<String>,
    /// Members that the suggestion names and the graph is sure do not exist.
    pub unknown_members: Vec<String>,
    /// Members that were put in place of ones that do not exist.
    pub n_repairs: usize,
    /// Source, path, tokens and reason of each segment.
    pub segments: Vec<SegmentLine>,
    pub timings: Timings,
    /// The keystrokes that led here, if they were typed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub typed: Vec<typing::Keystroke>,
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
    let format = completer.format().unwrap_or(options.format());
    let (previous, typed) = match options.typed {
        true => typing::type_up_to(workspace, point, options, completer)?,
        false => Default::default(),
    };
    let text: Arc<str> = point.text.as_str().into();
    workspace.edited(&point.file, Arc::clone(&text))?;
    let snapshot = workspace.snapshot().clone();
    let started = Instant::now();
    let request = request(point, options, format, &workspace.name, started);
    let request = PlanRequest { previous, ..request };
    let plan = plan(&snapshot, completer.counter(), &request);
    let prompt = render(&plan, format);
    let context_ms = millis(started.elapsed());

    let mut answer = Answer {
        id: point.id.clone(),
        prompt_tokens: plan.n_tokens,
        items: plan.candidates.iter().map(|candidate| candidate.name.clone()).collect(),
        segments: segment_lines(&plan),
        typed,
        ..Answer::default()
    };
    let started = Instant::now();
    match completer.format() {
        Some(_) => {
            let task = task(&plan, &prompt, &request, &options.decoding, MAX_TOKENS);
            fill(&mut answer, &completer.generate(&task)?, &request, &snapshot);
        }
        None => (answer.completion, answer.items) = from_index(&snapshot, &request),
    }
    answer.prompt = shown_prompt(&prompt, &plan.candidates);
    let model_ms = millis(started.elapsed());
    answer.timings = Timings { context_ms, model_ms, ..ring_times(&plan) };
    Ok(answer)
}

/// The plan at `point`, and what the model answers to its task as `change` wants it.
pub(super) fn ask(
    workspace: &Workspace,
    point: &Point,
    options: &Options,
    completer: &dyn Completer,
    change: impl FnOnce(GenerateRequest) -> GenerateRequest,
) -> Result<(Plan, Generated)> {
    let format = completer.format().unwrap_or(options.format());
    let request = request(point, options, format, &workspace.name, Instant::now());
    let plan = plan(workspace.snapshot(), completer.counter(), &request);
    let prompt = render(&plan, format);
    let task = change(task(&plan, &prompt, &request, &options.decoding, MAX_TOKENS));
    let generated = completer.generate(&task)?;
    Ok((plan, generated))
}

/// The answer to a prompt that no plan was made for.
pub(super) fn write(
    prompt: &RenderedPrompt,
    request: &PlanRequest,
    snapshot: &Snapshot,
    completer: &dyn Completer,
) -> Result<Answer> {
    let mut answer = Answer { prompt: prompt.text(), ..Answer::default() };
    let task = GenerateRequest {
        prompt: to_model(prompt, false),
        max_tokens: MAX_TOKENS,
        stop: Stop { at_newline: true, ..Stop::default() },
        ..GenerateRequest::default()
    };
    fill(&mut answer, &completer.generate(&task)?, request, snapshot);
    Ok(answer)
}

fn fill(answer: &mut Answer, generated: &Generated, request: &PlanRequest, snapshot: &Snapshot) {
    let suggestion = choose(generated, request, snapshot);
    answer.completion = suggestion.text;
    answer.unknown_members = suggestion.unknown_members;
    answer.n_repairs = suggestion.repairs.len();
}

/// What is asked of the plan at `point`.
pub(super) fn request(
    point: &Point,
    options: &Options,
    format: &'static PromptFormat,
    name: &str,
    started: Instant,
) -> PlanRequest {
    let deadline = options.deadline_ms.map(Duration::from_millis);
    PlanRequest {
        budget_tokens: point.budget_tokens.unwrap_or(options.budget_tokens),
        preset: options.preset,
        mode: Mode::Line,
        format,
        repository: if point.repo.is_empty() { name.to_owned() } else { point.repo.clone() },
        tuning: options.tuning,
        cancel: Cancel::when(move || deadline.is_some_and(|time| started.elapsed() > time)),
        clock: Clock::new(move || started.elapsed().as_micros() as u64),
        ..PlanRequest::new(point.file.as_str(), point.text.as_str(), point.offset())
    }
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
