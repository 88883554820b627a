//! `fovea daemon`.

use std::time::Duration;

use fovea_api::{Answer, Method};

use super::{Context, Local, ignore_events, status, unavailable, unexpected, unit};
use crate::{
    cli::{DaemonCommand, UnitKind},
    connect::{ConnectError, ConnectOptions, Connection},
    exit_codes::ExitCode,
    output::Failure,
    server::{self, DaemonError},
};

/// Rewriting a large index after files were excluded takes seconds.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(context: &mut Context, command: &DaemonCommand) -> Result<ExitCode, Failure> {
    match command {
        DaemonCommand::Start => start(context),
        DaemonCommand::Stop => stop(context),
        DaemonCommand::Status => show(context),
        DaemonCommand::Run => serve(context),
        DaemonCommand::Unit { kind } => unit(context, kind.unwrap_or_default()),
    }
}

fn unit(context: &mut Context, kind: UnitKind) -> Result<ExitCode, Failure> {
    let executable = std::env::current_exe().map_err(unavailable)?;
    let text = unit::text(kind, &executable);
    context.show_local(Local::Unit(text), |out, local| {
        if let Local::Unit(text) = local {
            out.text(text);
        }
    });
    Ok(ExitCode::Ok)
}

fn start(context: &mut Context) -> Result<ExitCode, Failure> {
    let connection = connect(context, true)?;
    match connection.call(None, None, Method::Status)?.0 {
        Answer::Status { daemon, .. } => {
            let text = format!("running, pid {}", daemon.pid);
            said(context, text);
            Ok(ExitCode::Ok)
        }
        other => Err(unexpected(&other)),
    }
}

fn stop(context: &mut Context) -> Result<ExitCode, Failure> {
    let connection = match connect(context, false) {
        Err(ConnectError::NotRunning) => {
            said(context, "not running".to_owned());
            return Ok(ExitCode::Nothing);
        }
        connection => connection?,
    };
    connection.call(None, None, Method::Shutdown)?;
    drop(connection);
    if !server::wait_until_ended(&context.dirs.daemon_lock(), STOP_PATIENCE) {
        let seconds = STOP_PATIENCE.as_secs();
        return Err(unavailable(format!(
            "the daemon still writes its indexes after {seconds} s and ends by itself; \
             the log says what it does"
        )));
    }
    said(context, "stopped".to_owned());
    Ok(ExitCode::Ok)
}

fn show(context: &mut Context) -> Result<ExitCode, Failure> {
    let connection = match connect(context, false) {
        Err(ConnectError::NotRunning) => {
            said(context, "not running".to_owned());
            return Ok(ExitCode::Nothing);
        }
        connection => connection?,
    };
    let answer = connection.call(None, None, Method::Status)?;
    context.show(answer, |out, answer| {
        if let Answer::Status { daemon, .. } = answer {
            status::daemon(out, daemon, false);
            for root in &daemon.roots {
                out.put(&format!("  {}\n", root.display()));
            }
        }
        true
    })
}

fn serve(context: &Context) -> Result<ExitCode, Failure> {
    match server::run(&context.dirs, &context.layers) {
        Ok(()) => Ok(ExitCode::Ok),
        Err(DaemonError::Config(err)) => Err(Failure::new(ExitCode::Config, err.to_string())),
        Err(err) => Err(unavailable(err)),
    }
}

pub(super) fn connect(context: &Context, start: bool) -> Result<Connection, ConnectError> {
    let options = ConnectOptions { no_daemon: false, start, ..context.connect_options() };
    Connection::open(&options, ignore_events)
}

pub(super) fn said(context: &mut Context, text: String) {
    context.show_local(Local::Daemon(text), |out, local| {
        if let Local::Daemon(text) = local {
            out.put("daemon ").put(text).line();
        }
    });
}
