//! Flags, settings, tracing, run; nothing else.

use std::process;

use clap::Parser;
use fovea_daemon::{
    cli::{Cli, Command, DaemonCommand},
    commands::{self, Context},
    logs,
};

fn main() -> process::ExitCode {
    let cli = Cli::parse();
    let global = cli.global.clone();
    let context = match Context::new(global.clone()) {
        Ok(context) => context,
        Err(failure) => return commands::fail(&global, failure).into(),
    };
    let is_daemon = matches!(cli.command, Command::Daemon(DaemonCommand::Run));
    let _guard = logs::start(&context.dirs, &context.loaded.config.log, &global, is_daemon);
    commands::run(cli, context).into()
}
