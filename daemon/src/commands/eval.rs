//! `fovea eval`: how much project context improves completions.

use std::io;

use super::{Context, unavailable};
use crate::{
    cli::EvalCommand,
    eval::{self, completer::IndexOnly},
    exit_codes::ExitCode,
    output::Failure,
};

pub(super) fn run(_: &mut Context, command: &EvalCommand) -> Result<ExitCode, Failure> {
    match command {
        EvalCommand::Serve { budget_tokens } => {
            let mut options = eval::Options::default();
            if let Some(budget_tokens) = budget_tokens {
                options.budget_tokens = *budget_tokens;
            }
            // The answers are the output; each is written when it is known.
            eval::serve(io::stdin().lock(), io::stdout().lock(), &options, &IndexOnly::default())
                .map_err(|err| unavailable(format!("{err:#}")))?;
        }
    }
    Ok(ExitCode::Ok)
}
