//! `fovea complete`, and `fovea explain`, which shows what a completion is made of.

use std::io::Read;

use fovea_api::{Answer, CompletionSource, Freshness, Method, Suggestion};

use super::{Context, Workspace, note, print, target, unavailable};
use crate::{
    cli::CompleteArgs,
    exit_codes::ExitCode,
    output::{Failure, Output, Style},
};

pub(super) fn run(context: &mut Context, args: &CompleteArgs) -> Result<ExitCode, Failure> {
    let answer = complete(context, args)?;
    if let Answer::Suggestion(Some(suggestion)) = &answer.0 {
        say_what_is_missing(suggestion);
    }
    context.show(answer, |out, answer| {
        let Answer::Suggestion(Some(suggestion)) = answer else { return false };
        out.put(&suggestion.text).line();
        !suggestion.text.is_empty()
    })
}

pub(super) fn explain(context: &mut Context, args: &CompleteArgs) -> Result<ExitCode, Failure> {
    let answer = complete(context, args)?;
    context.show(answer, |out, answer| {
        let Answer::Suggestion(Some(suggestion)) = answer else {
            out.put("nothing worth suggesting here").line();
            return false;
        };
        self::suggestion(out, suggestion);
        true
    })
}

fn complete(
    context: &Context,
    args: &CompleteArgs,
) -> Result<(Answer, Option<Freshness>), Failure> {
    let text = if args.stdin { Some(read_stdin()?) } else { None };
    let place = target::place(context, &args.at, text)?;
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
    };
    out.styled(Style::Heading, "suggestion").put(&format!(" from {source}"));
    if let Some(logprob) = suggestion.logprob {
        out.styled(Style::Dim, &format!(", log-probability per token {logprob:.2}"));
    }
    out.line();
    for line in suggestion.text.lines() {
        out.put("    ").styled(Style::Name, line).line();
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
