//! `fovea index`, `fovea reindex` and `fovea sync`, and the way every other command opens its workspace.

use std::{
    io::IsTerminal,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use fovea_api::{Answer, Event, Method, WorkspaceStatus};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Context, print, unexpected};
use crate::{
    cli::{IndexArgs, ReindexArgs},
    connect::Connection,
    exit_codes::ExitCode,
    output::Failure,
};

pub(super) fn run(context: &mut Context, args: &IndexArgs) -> Result<ExitCode, Failure> {
    // A folder that is named is the workspace, wherever a repository begins.
    let root = match (&context.global.root, &args.path) {
        (None, Some(path)) => crate::root::check(path)?,
        _ => context.root(None)?,
    };
    let workspace = context.open(&root)?;
    let (status, freshness) = if args.force {
        workspace.ask(Method::Reindex)?
    } else {
        (Answer::Workspace(workspace.status.clone()), None)
    };
    context.show((status, freshness), |out, answer| {
        if let Answer::Workspace(status) = answer {
            print::workspace(out, status);
        }
        true
    })
}

pub(super) fn reindex(context: &mut Context, args: ReindexArgs) -> Result<ExitCode, Failure> {
    run(context, &IndexArgs { path: args.path, force: true })
}

pub(super) fn sync(context: &mut Context) -> Result<ExitCode, Failure> {
    let workspace = context.open(&context.root(None)?)?;
    let answer = workspace.ask(Method::Sync)?;
    context.show(answer, |out, answer| {
        if let Answer::Workspace(status) = answer {
            out.put(&status.summary).line();
        }
        true
    })
}

/// Connects and waits until `root` is indexed.
pub(super) fn open(
    context: &Context,
    root: &Path,
) -> Result<(Connection, WorkspaceStatus), Failure> {
    let bar = Bar::default();
    let events = bar.clone();
    let connection = Connection::open(&context.connect_options(), move |event| {
        if let Event::Progress(view) = event {
            events.show(&view.stage, view.n_done, view.n_total);
        }
    })?;
    let answer = connection.call(Some(root), None, Method::Open { wait: true });
    bar.clear();
    match answer?.0 {
        Answer::Workspace(status) => Ok((connection, status)),
        other => Err(unexpected(&other)),
    }
}

/// A progress bar on standard error; nothing where that is no terminal.
#[derive(Clone, Default)]
struct Bar(Arc<Mutex<Option<ProgressBar>>>);

impl Bar {
    fn show(&self, stage: &str, n_done: usize, n_total: usize) {
        let mut bar = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bar.get_or_insert_with(|| {
            let target = if std::io::stderr().is_terminal() {
                ProgressDrawTarget::stderr()
            } else {
                ProgressDrawTarget::hidden()
            };
            let bar = ProgressBar::with_draw_target(None, target);
            let style = ProgressStyle::with_template("{msg:10} [{wide_bar}] {pos}/{len} files")
                .expect("the template is a constant");
            bar.set_style(style.progress_chars("=> "));
            bar
        });
        bar.set_length(n_total as u64);
        bar.set_position(n_done as u64);
        bar.set_message(stage.to_owned());
    }

    fn clear(&self) {
        if let Some(bar) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}
