//! `fovea complete`, and `fovea explain`, which shows what a completion is made of.

use std::io::Read;

use fovea_api::{Answer, CompletionSource, Freshness, Method, OutgoingView, Suggestion};

use super::{Context, Workspace, note, print, target, unavailable};
use crate::{
    cli::{CompleteArgs, CompletionArgs, ExplainArgs},
    exit_codes::ExitCode,
    output::{Failure, Output, Style, bytes},
};

pub(super) fn run(context: &mut Context, args: &CompleteArgs) -> Result<ExitCode, Failure> {
    let answer = complete(context, &args.at, &args.options)?;
    if let Answer::Suggestion(Some(suggestion)) = &answer.0 {
        say_what_is_missing(suggestion);
    }
    context.show(answer, |out, answer| {
        let Answer::Suggestion(Some(suggestion)) = answer else { return false };
        out.text(&suggestion.text).line();
        !suggestion.text.is_empty()
    })
}

pub(super) fn explain(context: &mut Context, args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let at = match &args.at {
        Some(at) if !args.outgoing => at,
        at => return outgoing(context, at.as_deref(), &args.options),
    };
    let answer = complete(context, at, &args.options)?;
    context.show_or(answer, None, |out, answer| {
        let Answer::Suggestion(Some(suggestion)) = answer else {
            out.put("nothing worth suggesting here").line();
            return false;
        };
        self::suggestion(out, suggestion);
        true
    })
}

/// What would be sent to the remote back end, or was sent last.
fn outgoing(
    context: &mut Context,
    at: Option<&str>,
    args: &CompletionArgs,
) -> Result<ExitCode, Failure> {
    let (root, at) = match at {
        None => (context.root(None)?, None),
        Some(at) => {
            let place = target::place(context, at, None)?;
            (place.root, Some(place.at))
        }
    };
    let (preset, budget_tokens) = (args.preset.into(), args.budget_tokens);
    let nothing = match at {
        None => "nothing was sent since the daemon started; give a cursor to see what would be",
        Some(_) => "no remote back end is named (remote.url), so nothing is sent",
    };
    let answer = context.open(&root)?.ask(Method::Outgoing { at, preset, budget_tokens })?;
    context.show_or(answer, Some(nothing), |out, answer| {
        let Answer::Outgoing(Some(view)) = answer else { return false };
        show_request(out, view);
        true
    })
}

fn show_request(out: &mut Output, view: &OutgoingView) {
    let what = match view.sent_ago_ms {
        Some(ms) => format!("sent {} s ago", ms / 1_000),
        None => "would be sent".to_owned(),
    };
    out.styled(Style::Heading, &what).put(&format!(
        " for {} in {}\n",
        view.path,
        view.root.display()
    ));
    out.styled(Style::Heading, "POST").put(&format!(" {} ({})\n", view.url, view.api));
    for (name, value) in &view.headers {
        out.styled(Style::Dim, &format!("{name}: {value}")).line();
    }
    out.styled(Style::Heading, "body").put(&format!(" {}\n", bytes(view.n_body_bytes as u64)));
    // As it is when it cannot be read as JSON; it always can.
    let pretty = serde_json::from_str::<serde_json::Value>(&view.body)
        .and_then(|value| serde_json::to_string_pretty(&value));
    for line in pretty.as_deref().unwrap_or(&view.body).lines() {
        out.put(line).line();
    }
    if view.sent_ago_ms.is_some() {
        let outcome = view.outcome.as_deref().unwrap_or("under way");
        out.styled(Style::Heading, "outcome").put(&format!(
            " {outcome}; {} sent, {} received\n",
            bytes(view.n_bytes_sent),
            bytes(view.n_bytes_received)
        ));
    }
}

fn complete(
    context: &Context,
    at: &str,
    args: &CompletionArgs,
) -> Result<(Answer, Option<Freshness>), Failure> {
    let text = if args.stdin { Some(read_stdin()?) } else { None };
    let place = target::place(context, at, text)?;
    let workspace = context.open(&place.root)?;
    if args.stdin {
        let path = place.at.path.clone();
        workspace.ask(Method::Edited { path, version: 1, text: place.text })?;
    }
    let path = place.at.path.clone();
    let answer = workspace.ask(Method::Complete {
        at: place.at,
        preset: args.preset.into(),
        budget_tokens: args.budget_tokens,
        max_tokens: args.max_tokens,
        with_context: !args.no_context,
        multi_line: !args.single_line,
        use_model: !args.no_model,
    });
    if args.stdin {
        close(&workspace, path);
    }
    answer
}

/// The overlay must not outlive the command, whatever became of the question.
fn close(workspace: &Workspace, path: String) {
    if let Err(failure) = workspace.ask(Method::Closed { path }) {
        tracing::debug!(message = failure.message, "not closed");
    }
}

fn read_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .read_to_string(&mut text)
        .map_err(|err| unavailable(format!("cannot read standard input as text: {err}")))?;
    Ok(text)
}

/// One line on standard error, so that the completion itself can be piped on.
pub(super) fn say_what_is_missing(suggestion: &Suggestion) {
    if let Some(notice) = &suggestion.notice {
        note(notice);
    }
}

fn suggestion(out: &mut Output, suggestion: &Suggestion) {
    let source = match suggestion.source {
        CompletionSource::Model => "the model",
        CompletionSource::Index => "the index alone",
        CompletionSource::Remote => "the remote back end",
    };
    out.styled(Style::Heading, "suggestion").put(&format!(" from {source}"));
    if let Some(logprob) = suggestion.logprob {
        out.styled(Style::Dim, &format!(", log-probability per token {logprob:.2}"));
    }
    out.line();
    for line in suggestion.text.lines() {
        out.put("    ").put(line).line();
    }
    if let Some(notice) = &suggestion.notice {
        out.styled(Style::Warn, &format!("  {notice}")).line();
    }
    out.styled(Style::Heading, "plan").line();
    print::plan(out, &suggestion.plan);
    let timings = &suggestion.timings;
    out.styled(Style::Heading, "time").put(&format!(
        " context {:.1} ms, prefill {:.1} ms, first token {:.1} ms, total {:.1} ms; \
         {} prompt tokens ({} reused), {} generated\n",
        timings.context_ms,
        timings.prefill_ms,
        timings.first_token_ms,
        timings.total_ms,
        timings.n_prompt_tokens,
        timings.n_reused_tokens,
        timings.n_generated_tokens,
    ));
}
