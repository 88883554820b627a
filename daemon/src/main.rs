//! Flags, settings, tracing, run; nothing else.

use std::process;

use clap::Parser;
use fovea_daemon::{
    cli::{Cli, Command, DaemonCommand},
    commands::{self, Context},
    exit_codes::ExitCode,
    logs,
};

fn main() -> process::ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Command::ModelWorker) {
        return model_worker();
    }
    let global = cli.global.clone();
    let context = match Context::new(global.clone()) {
        Ok(context) => context,
        Err(failure) => return commands::fail(&global, failure).into(),
    };
    let is_daemon = matches!(cli.command, Command::Daemon(DaemonCommand::Run));
    let _guard = logs::start(&context.dirs, &context.loaded.config.log, &global, is_daemon);
    commands::run(cli, context).into()
}

/// Knows no settings and no folders: it is told which file to load.
fn model_worker() -> process::ExitCode {
    // A client that is gone is how a worker ends.
    match fovea_model::worker::serve(std::io::stdin(), std::io::stdout()) {
        Ok(()) => ExitCode::Ok.into(),
        Err(_) => ExitCode::Unavailable.into(),
    }
}
