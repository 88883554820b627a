//! `fovea impact`, `tests`, `mentions`, `names`, `near`, `path` and `dead`.

use fovea_api::{Answer, Method, ReachedView};

use super::{
    Context,
    graph::{ask, edges},
    print, target,
};
use crate::{
    cli::{DeadArgs, LimitedArgs, PathArgs},
    exit_codes::ExitCode,
    output::{Failure, Output, Style},
};

pub(super) fn impact(context: &mut Context, args: &LimitedArgs) -> Result<ExitCode, Failure> {
    let limit = args.limit;
    let answer = ask(context, &args.target, |at| Method::Impact { at, limit })?;
    context.show(answer, |out, answer| {
        let Answer::Impact { reached, has_more, .. } = answer else { return false };
        for found in reached {
            steps(out, found);
            if found.is_test {
                out.styled(Style::Good, "test ");
            }
            print::symbol(out, &found.symbol);
        }
        more(out, *has_more);
        !reached.is_empty()
    })
}

pub(super) fn tests(context: &mut Context, args: &LimitedArgs) -> Result<ExitCode, Failure> {
    let limit = args.limit;
    let answer = ask(context, &args.target, |at| Method::Tests { at, limit })?;
    context.show(answer, |out, answer| {
        let Answer::Impact { reached, has_more, .. } = answer else { return false };
        for found in reached {
            steps(out, found);
            print::symbol(out, &found.symbol);
        }
        more(out, *has_more);
        !reached.is_empty()
    })
}

/// The symbol's own documentation, then where others write about it.
pub(super) fn mentions(context: &mut Context, target: &str) -> Result<ExitCode, Failure> {
    let answer = ask(context, target, |at| Method::Documents { at })?;
    context.show(answer, |out, answer| {
        let Answer::Edges { of: Some(of), .. } = answer else { return false };
        if let Some(doc) = &of.doc {
            print::symbol(out, of);
            print::excerpt(out, doc, 4);
        }
        edges(out, answer) || of.doc.is_some()
    })
}

pub(super) fn names(context: &mut Context, args: &LimitedArgs) -> Result<ExitCode, Failure> {
    let limit = args.limit;
    let is_cursor = target::parse(&args.target).is_some_and(|typed| typed.column.is_some());
    let answer = ask(context, &args.target, |at| match is_cursor {
        true => Method::Offers { at, limit, with_imports: false },
        false => Method::Members { at, limit },
    })?;
    context.show(answer, |out, answer| match answer {
        Answer::Offers(items) => {
            for item in items {
                out.styled(Style::Name, &item.label).put("  ").styled(Style::Dim, &item.kind);
                print::certainty(out, &item.certainty);
                if let Some(path) = &item.path {
                    out.put("  ").styled(Style::Path, path);
                }
                out.line();
            }
            !items.is_empty()
        }
        Answer::Members { members, has_more, .. } => {
            for member in members {
                match &member.symbol {
                    Some(symbol) => print::symbol(out, symbol),
                    None => {
                        out.styled(Style::Name, &member.name);
                        out.styled(Style::Dim, "  defined outside this workspace").line();
                    }
                }
            }
            more(out, *has_more);
            !members.is_empty()
        }
        _ => false,
    })
}

pub(super) fn near(context: &mut Context, args: &LimitedArgs) -> Result<ExitCode, Failure> {
    let limit = args.limit;
    let answer = ask(context, &args.target, |at| Method::Near { at, limit })?;
    context.show(answer, |out, answer| {
        let Answer::Near { symbols, .. } = answer else { return false };
        for near in symbols {
            out.styled(Style::Dim, &format!("{:.4} ", near.rank));
            print::symbol(out, &near.symbol);
        }
        !symbols.is_empty()
    })
}

pub(super) fn path(context: &mut Context, args: &PathArgs) -> Result<ExitCode, Failure> {
    let (workspace, from) = target::open(context, &args.from)?;
    let to = target::place_in(context, &workspace, &args.to)?;
    let answer = workspace.ask(Method::Path { from, to })?;
    let nothing =
        "no chain of uses connects the two; `fovea near` lists what is around one of them";
    context.show_or(answer, Some(nothing), |out, answer| {
        let Answer::Connection { from: Some(from), steps, .. } = answer else { return false };
        if steps.is_empty() {
            return false;
        }
        print::symbol(out, from);
        for step in steps {
            let arrow = if step.is_reverse { "<-" } else { "->" };
            out.put("  ").styled(Style::Dim, &format!("{arrow} {}", step.kind));
            if let Some(at) = &step.at {
                out.put(" at ");
                print::location(out, at);
            }
            print::certainty(out, &step.certainty);
            out.line();
            print::symbol(out, &step.symbol);
        }
        true
    })
}

pub(super) fn dead(context: &mut Context, args: &DeadArgs) -> Result<ExitCode, Failure> {
    let (path, limit) = (args.path.clone(), args.limit);
    let with_public = !args.private;
    let workspace = context.open(&context.root(None)?)?;
    let answer = workspace.ask(Method::Dead { path, limit, with_public })?;
    let nothing = match with_public {
        true => "every definition here is reached from somewhere",
        false => "every private definition here is reached from somewhere",
    };
    context.show_or(answer, Some(nothing), |out, answer| {
        let Answer::Dead { symbols, has_more } = answer else { return false };
        for dead in symbols {
            out.styled(Style::Dim, if dead.is_public { "public  " } else { "private " });
            print::symbol(out, &dead.symbol);
        }
        more(out, *has_more);
        !symbols.is_empty()
    })
}

fn steps(out: &mut Output, found: &ReachedView) {
    out.styled(Style::Dim, &format!("{:>2} ", found.n_steps));
}

fn more(out: &mut Output, has_more: bool) {
    if has_more {
        out.styled(Style::Dim, "   there is more; --limit shows it").line();
    }
}
