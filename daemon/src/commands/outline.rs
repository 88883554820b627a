//! `fovea outline`: the map of the repository.

use fovea_api::{Answer, Method};

use super::{Context, target};
use crate::{
    cli::OutlineArgs,
    exit_codes::ExitCode,
    output::{Failure, Style},
};

pub(super) fn run(context: &mut Context, args: &OutlineArgs) -> Result<ExitCode, Failure> {
    let focus = args.focus.as_ref().map(|at| target::place(context, at, None)).transpose()?;
    let root = match &focus {
        Some(place) => place.root.clone(),
        None => context.root(None)?,
    };
    let method =
        Method::Outline { budget_tokens: args.budget_tokens, focus: focus.map(|place| place.at) };
    let answer = context.open(&root)?.ask(method)?;
    context.show(answer, |out, answer| {
        let Answer::Outline(outline) = answer else { return false };
        out.text(outline.text.trim_end()).line();
        let summary = format!(
            "{} tokens, {} of {} files",
            outline.n_tokens, outline.n_files_shown, outline.n_files
        );
        out.styled(Style::Dim, &summary).line();
        !outline.text.trim().is_empty()
    })
}
