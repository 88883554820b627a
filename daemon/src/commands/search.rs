//! `fovea search` and `fovea grep`.

use fovea_api::{Answer, Method};

use super::{Context, print, target};
use crate::{
    cli::{GrepArgs, SearchArgs},
    exit_codes::ExitCode,
    output::{Failure, Style},
};

const N_LINES_SHOWN: usize = 3;

pub(super) fn search(context: &mut Context, args: &SearchArgs) -> Result<ExitCode, Failure> {
    let near = args.near.as_ref().map(|near| target::place(context, near, None)).transpose()?;
    let root = match &near {
        Some(place) => place.root.clone(),
        None => context.root(None)?,
    };
    let workspace = context.open(&root)?;
    let answer = workspace.ask(Method::Search {
        query: args.query.join(" "),
        limit: args.limit,
        near: near.map(|place| place.at),
    })?;
    context.show(answer, |out, answer| {
        let Answer::Search(view) = answer else { return false };
        for hit in &view.hits {
            print::location(out, &hit.location);
            if let Some(symbol) = &hit.symbol {
                let kind = hit.symbol_kind.as_deref().unwrap_or_default();
                out.put("  ").styled(Style::Dim, kind).put(" ").styled(Style::Name, symbol);
            }
            out.styled(Style::Dim, &format!("  {:.2}", hit.score)).line();
            if args.why {
                let parts: Vec<String> =
                    hit.parts.iter().map(|(name, value)| format!("{name} {value:+.2}")).collect();
                let matched = hit.matched.join(", ");
                out.styled(Style::Dim, &format!("    {}; matched: {matched}", parts.join(", ")));
                out.line();
            }
            print::excerpt(out, &hit.text, N_LINES_SHOWN);
        }
        !view.hits.is_empty()
    })
}

pub(super) fn grep(context: &mut Context, args: &GrepArgs) -> Result<ExitCode, Failure> {
    let workspace = context.open(&context.root(None)?)?;
    let answer = workspace.ask(Method::Grep {
        pattern: args.pattern.clone(),
        regex: !args.fixed_strings,
        ignore_case: args.ignore_case,
        limit: args.limit,
    })?;
    context.show(answer, |out, answer| {
        let Answer::Search(view) = answer else { return false };
        for hit in &view.hits {
            print::location(out, &hit.location);
            let line = hit.text.lines().next().unwrap_or_default();
            out.put(":").put(line).line();
        }
        !view.hits.is_empty()
    })
}
