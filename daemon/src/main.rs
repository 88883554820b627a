//! Flags, settings, tracing, run; nothing else.

use std::process;

use clap::Parser;
use fovea_daemon::{
    budget,
    cli::{Cli, Command, DaemonCommand, ModelWorkerArgs},
    commands::{self, Context},
    exit_codes::ExitCode,
    logs, output, sandbox,
};
use fovea_model::worker::Confinement;

fn main() -> process::ExitCode {
    // Whatever we write is the user's alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let cli = Cli::parse();
    if let Command::ModelWorker(args) = &cli.command {
        return model_worker(args);
    }
    budget::few_pools();
    let global = cli.global.clone();
    let context = match Context::new(global.clone()) {
        Ok(context) => context,
        Err(failure) => return commands::fail(&global, failure).into(),
    };
    let is_daemon = matches!(cli.command, Command::Daemon(DaemonCommand::Run));
    if is_daemon {
        sandbox::no_core_dumps();
    }
    let _guard = logs::start(&context.dirs, &context.loaded.config.log, &global, is_daemon);
    commands::run(cli, context).into()
}

/// Knows no settings and no folders: it is told which file to load, and may read no other.
fn model_worker(args: &ModelWorkerArgs) -> process::ExitCode {
    if args.probe {
        let report = sandbox::probe::run(&args.model);
        let text = serde_json::to_string(&report).expect("our types are plain data");
        output::write_out(text.as_bytes());
        return ExitCode::Ok.into();
    }
    let confinement =
        if args.unconfined { Confinement::off() } else { sandbox::confine(&args.model) };
    // A client that is gone is how a worker ends.
    match fovea_model::worker::serve(std::io::stdin(), std::io::stdout(), &confinement) {
        Ok(()) => ExitCode::Ok.into(),
        Err(_) => ExitCode::Unavailable.into(),
    }
}
