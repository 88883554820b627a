//! `fovea schema`, `completions` and `man`: all from the definitions in the code.

use clap::CommandFactory;

use super::{Context, unavailable};
use crate::{
    cli::Cli,
    exit_codes::ExitCode,
    output::{Document, Failure},
};

pub(super) fn schema(context: &mut Context) -> ExitCode {
    let schema = schemars::schema_for!(Document);
    let text = serde_json::to_string_pretty(&schema).expect("a schema is plain data");
    context.out.raw(&text);
    context.out.raw("\n");
    ExitCode::Ok
}

pub(super) fn completions(context: &mut Context, shell: clap_complete::Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "fovea", &mut script);
    context.out.raw(&String::from_utf8_lossy(&script));
    ExitCode::Ok
}

pub(super) fn man(context: &mut Context) -> Result<ExitCode, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(unavailable)?;
    context.out.raw(&String::from_utf8_lossy(&page));
    Ok(ExitCode::Ok)
}
