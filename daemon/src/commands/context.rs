//! `fovea context`: the prompt of a completion, as the model would see it.

use fovea_api::{Answer, Method};

use super::{Context, target};
use crate::{cli::ContextArgs, exit_codes::ExitCode, output::Failure};

pub(super) fn run(context: &mut Context, args: &ContextArgs) -> Result<ExitCode, Failure> {
    let place = target::place(context, &args.at, None)?;
    let method = Method::Context {
        at: place.at,
        preset: args.preset.into(),
        budget_tokens: args.budget_tokens,
    };
    let answer = context.open(&place.root)?.ask(method)?;
    context.show(answer, |out, answer| {
        let Answer::Plan(plan) = answer else { return false };
        out.text(&plan.prompt).line();
        !plan.prompt.is_empty()
    })
}
