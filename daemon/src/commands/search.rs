//! `fovea search` and `fovea grep`.

use fovea_api::{Answer, HitState, Method, SearchHit, SearchView};

use super::{Context, note, print, target};
use crate::{
    cli::{GrepArgs, SearchArgs},
    exit_codes::ExitCode,
    output::{Failure, Output, Style},
};

const N_LINES_SHOWN: usize = 3;

pub(super) fn search(context: &mut Context, args: &SearchArgs) -> Result<ExitCode, Failure> {
    let place = |typed: &Option<String>| {
        typed.as_ref().map(|typed| target::place(context, typed, None)).transpose()
    };
    let (near, like) = (place(&args.near)?, place(&args.like)?);
    let root = match near.as_ref().or(like.as_ref()) {
        Some(place) => place.root.clone(),
        None => context.root(None)?,
    };
    if let (Some(near), Some(like)) = (&near, &like)
        && near.root != like.root
    {
        let message = "--near and --like name places in different workspaces";
        return Err(Failure::new(ExitCode::Usage, message));
    }
    let workspace = context.open(&root)?;
    let answer = workspace.ask(Method::Search {
        query: args.query.join(" "),
        limit: args.limit,
        offset: args.limit.saturating_mul(usize::from(args.more)),
        near: near.map(|place| place.at),
        like: like.map(|place| place.at),
        budget_tokens: args.budget,
    })?;
    let has_more = matches!(&answer.0, Answer::Search(view) if view.has_more);
    let is_for_people = !context.out.is_json();
    let code = context.show(answer, |out, answer| {
        let Answer::Search(view) = answer else { return false };
        show(out, view, args);
        !view.hits.is_empty()
    })?;
    if has_more && is_for_people {
        note(if args.budget.is_some() {
            "there are more hits: raise --budget or -n, or add --more"
        } else {
            "there are more hits: add --more, or raise -n"
        });
    }
    Ok(code)
}

fn show(out: &mut Output, view: &SearchView, args: &SearchArgs) {
    if args.explain {
        out.styled(Style::Dim, &format!("read as {}", view.query_kind)).line();
    }
    for hit in &view.hits {
        print::location(out, &hit.location);
        if let Some(symbol) = &hit.symbol {
            let kind = hit.symbol_kind.as_deref().unwrap_or_default();
            out.put("  ").styled(Style::Dim, kind).put(" ").styled(Style::Name, symbol);
        }
        out.styled(Style::Dim, &format!("  {:.2}", hit.score));
        state(out, hit);
        out.line();
        if args.explain {
            explain(out, hit);
        }
        if args.budget.is_some() {
            for line in hit.text.lines() {
                out.put("    ").put(line).line();
            }
            if hit.is_cut {
                out.styled(Style::Dim, "    … cut to fit the budget").line();
            }
        } else {
            print::excerpt(out, &hit.text, N_LINES_SHOWN);
        }
    }
}

/// What is worth knowing about the text; nothing if it is what is saved.
fn state(out: &mut Output, hit: &SearchHit) {
    let words = match hit.state {
        HitState::Saved => return,
        HitState::Unsaved => "  unsaved",
        HitState::Stale => "  changed on disk; `fovea sync`",
    };
    out.styled(Style::Warn, words);
}

fn explain(out: &mut Output, hit: &SearchHit) {
    out.styled(Style::Dim, &format!("    {}", hit.why)).line();
    let parts = hit.parts.iter().filter(|(_, value)| *value != 0.0);
    let parts: Vec<String> = parts.map(|(name, value)| format!("{name} {value:+.2}")).collect();
    out.styled(Style::Dim, &format!("    {}", parts.join("  "))).line();
}

pub(super) fn grep(context: &mut Context, args: &GrepArgs) -> Result<ExitCode, Failure> {
    let workspace = context.open(&context.root(None)?)?;
    let answer = workspace.ask(Method::Grep {
        pattern: args.pattern.clone(),
        regex: !args.fixed_strings,
        ignore_case: args.ignore_case,
        limit: args.limit,
        word: args.word,
        path: args.path.clone(),
    })?;
    let is_cut = matches!(&answer.0, Answer::Search(view) if view.has_more);
    let is_for_people = !context.out.is_json();
    let code = context.show(answer, |out, answer| {
        let Answer::Search(view) = answer else { return false };
        for hit in &view.hits {
            print::location(out, &hit.at);
            let line = hit.text.lines().next().unwrap_or_default();
            out.put(":").put(line).line();
        }
        !view.hits.is_empty()
    })?;
    if is_cut && is_for_people {
        note("there are more lines: raise -n");
    }
    Ok(code)
}
