//! `fovea status`, and `--why`, which says what became of one file.

use std::path::Path;

use fovea_api::{Answer, DaemonStatus, Method, RemoteState};

use super::{Context, print, target, unexpected};
use crate::{
    cli::StatusArgs,
    exit_codes::ExitCode,
    output::{Failure, Output, Style, bytes, count},
};

pub(super) fn run(context: &mut Context, args: &StatusArgs) -> Result<ExitCode, Failure> {
    if let Some(path) = &args.why {
        return why(context, path);
    }
    let workspace = context.open(&context.root(None)?)?;
    let answer = workspace.ask(Method::Status)?;
    if !matches!(answer.0, Answer::Status { .. }) {
        return Err(unexpected(&answer.0));
    }
    let is_in_process = workspace.connection.is_in_process();
    context.show(answer, |out, answer| {
        if let Answer::Status { daemon, workspace } = answer {
            if let Some(workspace) = workspace {
                print::workspace(out, workspace);
            }
            self::daemon(out, daemon, is_in_process);
        }
        true
    })
}

pub(super) fn daemon(out: &mut Output, status: &DaemonStatus, is_in_process: bool) {
    if is_in_process {
        out.put("no daemon: the engine ran in this process\n");
    } else {
        out.put(&format!(
            "daemon {}, pid {}, up {} s, {} of memory, {}, {}\n",
            status.build,
            status.pid,
            status.uptime_s,
            bytes(status.rss_bytes),
            count(status.n_clients, "client"),
            count(status.roots.len(), "workspace"),
        ));
    }
    if let Some(degraded) = &status.degraded {
        out.styled(Style::Warn, &format!("  {degraded}")).line();
    }
    let model = &status.model;
    out.put("model ");
    match &model.name {
        Some(name) => out.styled(Style::Name, name).put(&format!(", {}", model.state)),
        None => out.styled(Style::Warn, "none"),
    };
    if let Some(rss) = model.worker_rss_bytes {
        out.put(&format!(", {} of memory", bytes(rss)));
    }
    out.line();
    if let Some(sandbox) = &model.sandbox {
        out.styled(Style::Dim, &format!("  confined by {sandbox}")).line();
    }
    if let Some(hint) = &model.hint {
        out.styled(Style::Dim, &format!("  {hint}")).line();
    }
    if let Some(remote) = &model.remote {
        self::remote(out, remote);
    }
}

fn remote(out: &mut Output, remote: &RemoteState) {
    out.put("remote ").styled(Style::Name, &remote.origin).put(&format!(" ({}", remote.api));
    if !remote.model.is_empty() {
        out.put(&format!(", {}", remote.model));
    }
    out.put(&format!(
        "): {}, {} failed, {} sent, {} received\n",
        count(remote.n_requests as usize, "request"),
        remote.n_failed,
        bytes(remote.n_bytes_sent),
        bytes(remote.n_bytes_received)
    ));
    if let Some(problem) = &remote.problem {
        out.styled(Style::Warn, &format!("  {problem}")).line();
    }
}

fn why(context: &mut Context, path: &Path) -> Result<ExitCode, Failure> {
    let (root, path) = target::locate(context, path)?;
    let answer = context.open(&root)?.ask(Method::Why { path })?;
    context.show(answer, |out, answer| {
        let Answer::Path(outcome) = answer else { return false };
        out.styled(Style::Path, &outcome.path).put(": ").put(&outcome.outcome);
        if let Some(reason) = &outcome.reason {
            out.put(", ").put(reason);
        }
        if outcome.is_overlay {
            out.put(" (unsaved text of an editor)");
        }
        out.put(&format!(
            "; {}, {}\n",
            count(outcome.n_symbols, "symbol"),
            count(outcome.n_chunks, "chunk")
        ));
        true
    })
}
