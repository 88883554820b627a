//! Ghost text: plan, prompt, model, and what is fit to insert; or what the index alone can say.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use fovea_api::{
    Answer, ApiError, At, CompletionSource, Event, OutgoingView, PlanView, Suggestion, Timings,
};
use fovea_context::{self as context, Plan, PlanRequest};
use fovea_indexer::text::{ByteRange, LineIndex};
use fovea_model::{Generated, worker::Silent};

use super::{
    Running,
    plan::{PlanOptions, plan_view},
    query::{Place, Query},
    views::location,
};
use crate::{
    backend::{Backend, NoModel, Task, Writing, Written},
    complete,
    model_worker::ModelHost,
    remote::Remote,
};

/// What can write: the server that the user named, if any, before the model on this machine.
#[derive(Clone, Copy)]
pub(super) struct Backends<'a> {
    pub(super) remote: Option<&'a Arc<Remote>>,
    pub(super) local: &'a Arc<ModelHost>,
}

/// What the client wants beside the cursor.
#[derive(Clone, Copy, Debug)]
pub(super) struct CompleteOptions {
    pub(super) plan: PlanOptions,
    /// Id to answer with.
    pub(super) id: u64,
    pub(super) max_tokens: usize,
}

/// What a back end wrote, and the plan it wrote it for.
struct Wrote {
    source: CompletionSource,
    request: PlanRequest,
    plan: Arc<Plan>,
    generated: Generated,
    context_ms: f32,
    /// Why the back end before this one did not.
    notice: Option<String>,
}

impl Query<'_> {
    /// A model's suggestion, or the index's with a notice why.
    pub(super) fn complete(
        &self,
        at: &At,
        options: CompleteOptions,
        backends: Backends<'_>,
        running: &Running,
        events: &dyn Fn(Event),
    ) -> Result<Answer, ApiError> {
        let started = Instant::now();
        let place = self.place(at)?;
        let wrote = match self.write(at, &place, options, backends, running, events) {
            Ok(wrote) => wrote,
            Err(NoModel(notice)) => return self.complete_from_index(at, options, Some(notice)),
        };
        let Wrote { source, request, plan, generated, context_ms, notice } = wrote;
        let finished = complete::choose(&generated, &request, &self.snapshot);
        if finished.is_empty() {
            return Ok(Answer::Suggestion(None));
        }
        let n_tokens = generated.logprobs.len();
        let sum: f32 = generated.logprobs.iter().sum();
        let timings = generated.timings;
        let mut view = plan_view(&plan, &request, &finished.text);
        note_cached(&mut view, timings.n_prefill + timings.n_reused, &timings.computed);
        Ok(Answer::Suggestion(Some(Suggestion {
            id: options.id,
            plan: view,
            text: finished.text,
            replace: at_cursor(at, &place),
            source,
            notice,
            logprob: (n_tokens > 0).then(|| sum / n_tokens as f32),
            timings: Timings {
                context_ms,
                prefill_ms: timings.prefill_ms,
                first_token_ms: context_ms + timings.first_token_ms,
                total_ms: started.elapsed().as_secs_f32() * 1_000.0,
                n_prompt_tokens: timings.n_prefill + timings.n_reused,
                n_reused_tokens: timings.n_reused,
                n_generated_tokens: generated.tokens.len(),
            },
        })))
    }

    fn write(
        &self,
        at: &At,
        place: &Place,
        options: CompleteOptions,
        backends: Backends<'_>,
        running: &Running,
        events: &dyn Fn(Event),
    ) -> Result<Wrote, NoModel> {
        let write = |backend: &dyn Backend, notice| {
            self.write_with(backend, at, place, options, running, events)
                .map(|wrote| Wrote { notice, ..wrote })
        };
        let remote = backends.remote.and_then(|it| it.ready(&self.workspace.loaded().config));
        let notice = match remote.map(|ready| ready.and_then(|remote| write(&remote, None))) {
            Some(Ok(wrote)) => return Ok(wrote),
            Some(Err(NoModel(notice))) => Some(notice),
            None => None,
        };
        let is_over = running.cancel().is_cancelled();
        match notice {
            Some(notice) if is_over => Err(NoModel(notice)),
            // Both notices, if there are two.
            Some(notice) => match backends.local.backend(&running.cancel()) {
                Ok(local) => write(&local, Some(notice)),
                Err(NoModel(local)) => Err(NoModel(format!("{notice}; {local}"))),
            },
            None => write(&backends.local.backend(&running.cancel())?, None),
        }
    }

    fn write_with(
        &self,
        backend: &dyn Backend,
        at: &At,
        place: &Place,
        options: CompleteOptions,
        running: &Running,
        events: &dyn Fn(Event),
    ) -> Result<Wrote, NoModel> {
        let started = Instant::now();
        let plan_options = PlanOptions { format: backend.format(), ..options.plan };
        let request = self.plan_request(at, place, plan_options);
        let plan = Arc::new(context::plan(&self.snapshot, backend.counter(), &request));
        self.client.remember_plan(self.workspace.root(), Arc::clone(&plan));
        let prompt = context::render(&plan, request.format);
        let context_ms = started.elapsed().as_secs_f32() * 1_000.0;
        let (root, max_tokens) = (self.workspace.root(), options.max_tokens);
        let task = Task { root, plan: &plan, prompt: &prompt, request: &request, max_tokens };
        let writing = backend.start(&task)?;
        let canceller = writing.canceller();
        running.on_cancel(move || canceller());
        let Some(generated) = follow(writing, options.id, running, events)? else {
            let late = "the model did not answer in time, so this comes from the index alone";
            return Err(NoModel(late.to_owned()));
        };
        let source = backend.source();
        Ok(Wrote { source, request, plan, generated, context_ms, notice: None })
    }

    /// What a completion at `at` would send to the user's remote back end.
    pub(super) fn outgoing(
        &self,
        at: &At,
        options: CompleteOptions,
        remote: &Arc<Remote>,
    ) -> Result<OutgoingView, ApiError> {
        let place = self.place(at)?;
        let format = remote.format();
        let request = self.plan_request(at, &place, PlanOptions { format, ..options.plan });
        let plan = context::plan(&self.snapshot, &context::Estimate, &request);
        let prompt = context::render(&plan, format);
        let (root, max_tokens) = (self.workspace.root(), options.max_tokens);
        let task = Task { root, plan: &plan, prompt: &prompt, request: &request, max_tokens };
        Ok(remote.would_send(format, &task))
    }

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
        let found = context::complete_from_index(&self.snapshot, &request);
        let Some(best) = found.into_iter().find(|found| !found.text.trim().is_empty()) else {
            return Ok(Answer::Suggestion(None));
        };
        let ms = started.elapsed().as_secs_f32() * 1_000.0;
        let plan = PlanView {
            gate: best.reason,
            budget_tokens: request.budget_tokens,
            ..PlanView::default()
        };
        Ok(Answer::Suggestion(Some(Suggestion {
            id: options.id,
            text: best.text,
            replace: at_cursor(at, &place),
            source: CompletionSource::Index,
            notice,
            logprob: None,
            plan,
            timings: Timings { context_ms: ms, total_ms: ms, ..Timings::default() },
        })))
    }
}

/// Notes how many tokens of each ring the model had read before; `computed` are the others of the
/// prompt's `n_tokens`, as ranges.
fn note_cached(view: &mut PlanView, n_tokens: usize, computed: &[(usize, usize)]) {
    // What no segment has (the repository's name, the open file's header) stands in front of all
    // or of the last; segments are counted back from the end.
    let mut end = n_tokens;
    let mut cached: HashMap<&str, usize> = HashMap::new();
    for segment in view.segments.iter().rev() {
        let start = end.saturating_sub(segment.n_tokens);
        let n_computed: usize =
            computed.iter().map(|&(from, to)| to.min(end).saturating_sub(from.max(start))).sum();
        *cached.entry(segment.ring.as_str()).or_default() += (end - start) - n_computed;
        end = start;
    }
    for ring in &mut view.rings {
        ring.n_cached = Some(cached.get(ring.ring.as_str()).copied().unwrap_or(0));
    }
}

/// How often to look whether the answer is still wanted.
const CHECK: Duration = Duration::from_millis(50);
/// A model that was told to stop has this long to hand over what it has.
const GRACE: Duration = Duration::from_millis(500);
/// Nobody waits longer than this for the first word.
const MAX_SILENCE: Duration = Duration::from_secs(120);

/// Passes on what is written until it ends, or until the time is over; `None` if the model does not
/// even stop. It is left to itself then, and replaced when it turns out to hang.
fn follow(
    mut writing: Box<dyn Writing>,
    id: u64,
    running: &Running,
    events: &dyn Fn(Event),
) -> Result<Option<Generated>, NoModel> {
    let mut text = String::new();
    let deadline = running.deadline().unwrap_or_else(|| Instant::now() + MAX_SILENCE);
    let mut told = None;
    loop {
        match writing.next_within(CHECK) {
            Ok(Written::Text(more)) => {
                text.push_str(&more);
                events(Event::Partial { id, text: text.clone() });
            }
            Ok(Written::Done(result)) => return result.map(Some),
            Err(Silent) => {}
        }
        let is_over = running.is_cancelled() || Instant::now() >= deadline;
        match told {
            None if is_over => {
                writing.canceller()();
                told = Some(Instant::now());
            }
            Some(at) if Instant::now() >= at + GRACE => return Ok(None),
            _ => {}
        }
    }
}

/// The empty range at the cursor.
pub(super) fn at_cursor(at: &At, place: &Place) -> fovea_api::Location {
    let lines = LineIndex::new(&place.text);
    location(&at.path, &place.text, &lines, ByteRange::new(place.offset, place.offset))
}
