//! `fovea def`, `refs`, `callers`, `callees`, `implementations` and `hierarchy`.

use fovea_api::{Answer, At, Freshness, Method};

use super::{Context, print, target};
use crate::{
    exit_codes::ExitCode,
    output::{Failure, Output, Style},
};

pub(super) fn definition(context: &mut Context, target: &str) -> Result<ExitCode, Failure> {
    // A name stands for all its definitions here.
    let answer = if target::parse(target).is_some() {
        ask(context, target, |at| Method::Definition { at })?
    } else {
        let workspace = context.open(&context.root(None)?)?;
        let symbols = target::named(&workspace, target)?;
        (Answer::Definitions { symbols, external: None }, None)
    };
    context.show(answer, |out, answer| {
        let Answer::Definitions { symbols, external } = answer else { return false };
        for symbol in symbols {
            print::symbol(out, symbol);
            if !symbol.signature.is_empty() {
                print::excerpt(out, &symbol.signature, 4);
            }
            if let Some(doc) = &symbol.doc {
                let first = doc.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
                out.styled(Style::Dim, &format!("    {}", first.trim())).line();
            }
        }
        if symbols.is_empty()
            && let Some(external) = external
        {
            out.put(external).styled(Style::Dim, "  defined outside this workspace").line();
        }
        !symbols.is_empty() || external.is_some()
    })
}

pub(super) fn references(context: &mut Context, target: &str) -> Result<ExitCode, Failure> {
    let method = |at| Method::References { at, include_definition: true };
    let answer = ask(context, target, method)?;
    context.show(answer, |out, answer| {
        let Answer::References { references, .. } = answer else { return false };
        for reference in references {
            print::location(out, &reference.location);
            out.put("  ").styled(Style::Dim, &reference.role);
            print::certainty(out, &reference.certainty);
            out.put("  ").put(reference.line_text.trim()).line();
        }
        !references.is_empty()
    })
}

pub(super) fn callers(context: &mut Context, target: &str) -> Result<ExitCode, Failure> {
    let answer = ask(context, target, |at| Method::Callers { at })?;
    context.show(answer, edges)
}

pub(super) fn callees(context: &mut Context, target: &str) -> Result<ExitCode, Failure> {
    let answer = ask(context, target, |at| Method::Callees { at })?;
    context.show(answer, edges)
}

pub(super) fn implementations(context: &mut Context, target: &str) -> Result<ExitCode, Failure> {
    let answer = ask(context, target, |at| Method::Implementations { at })?;
    context.show(answer, |out, answer| {
        let Answer::Definitions { symbols, .. } = answer else { return false };
        for symbol in symbols {
            print::symbol(out, symbol);
        }
        !symbols.is_empty()
    })
}

pub(super) fn hierarchy(context: &mut Context, target: &str) -> Result<ExitCode, Failure> {
    let answer = ask(context, target, |at| Method::Hierarchy { at })?;
    context.show(answer, |out, answer| {
        let Answer::Hierarchy(Some(found)) = answer else { return false };
        for symbol in &found.supers {
            out.styled(Style::Dim, "above ");
            print::symbol(out, symbol);
        }
        out.styled(Style::Dim, "here  ");
        print::symbol(out, &found.of);
        for symbol in &found.subs {
            out.styled(Style::Dim, "below ");
            print::symbol(out, symbol);
        }
        true
    })
}

pub(super) fn ask(
    context: &Context,
    target: &str,
    method: impl FnOnce(At) -> Method,
) -> Result<(Answer, Option<Freshness>), Failure> {
    let (workspace, at) = target::open(context, target)?;
    workspace.ask(method(at))
}

pub(super) fn edges(out: &mut Output, answer: &Answer) -> bool {
    let Answer::Edges { edges, .. } = answer else { return false };
    for edge in edges {
        print::symbol(out, &edge.symbol);
        if let Some(at) = &edge.at {
            out.put("    ").styled(Style::Dim, &edge.kind).put(" at ");
            print::location(out, at);
            print::certainty(out, &edge.certainty);
            out.line();
        }
    }
    !edges.is_empty()
}
