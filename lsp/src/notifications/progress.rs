//! `$/progress` while a root is indexed the first time.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use fovea_api::{Answer, Health, Method, ProgressView};
use tower_lsp_server::{
    Bounded, Client, NotCancellable, OngoingProgress,
    ls_types::{MessageType, ProgressToken},
};

use crate::{outbox::CallError, server::Shared};

static N_TOKENS: AtomicU32 = AtomicU32::new(0);

/// Waits until the daemon has indexed `root` and shows how far it is meanwhile. Nothing is shown
/// when the index is there already.
pub(crate) async fn show_indexing(client: Client, shared: Arc<Shared>, root: PathBuf) {
    let mut events = shared.progress.subscribe();
    let indexed = shared.outbox.call(Some(root.clone()), None, Method::Open { wait: true });
    tokio::pin!(indexed);
    let mut bar: Option<OngoingProgress<Bounded, NotCancellable>> = None;
    let answer = loop {
        tokio::select! {
            // Events were sent before the answer; show them before it.
            biased;
            event = events.recv() => {
                // Falling behind only means that some steps are not shown.
                let Ok(view) = event else { continue };
                if !shared.session().work_done_progress || !same_folder(&view.root, &root) {
                    continue;
                }
                if bar.is_none() {
                    bar = begin(&client, &root).await;
                }
                if let Some(bar) = &bar {
                    bar.report_with_message(message(&view), percentage(&view)).await;
                }
            }
            answer = &mut indexed => break answer,
        }
    };
    let summary = match answer {
        Ok(Answer::Workspace(status)) => {
            if status.health == Health::Error {
                client
                    .show_message(MessageType::WARNING, format!("Fovea: {}", status.summary))
                    .await;
            }
            status.summary
        }
        Ok(_) => String::new(),
        Err(err) => {
            let why = match err {
                CallError::Api(err) => err.message,
                CallError::Unreachable(why) => why,
                CallError::Lost => "the connection to the daemon was lost".to_owned(),
            };
            let text = format!("Fovea cannot index {}: {why}", root.display());
            client.show_message(MessageType::WARNING, text).await;
            why
        }
    };
    if let Some(bar) = bar {
        bar.finish_with_message(summary).await;
    }
}

async fn begin(client: &Client, root: &Path) -> Option<OngoingProgress<Bounded, NotCancellable>> {
    let number = N_TOKENS.fetch_add(1, Ordering::Relaxed);
    let token = ProgressToken::String(format!("fovea/index/{number}"));
    client.create_work_done_progress(token.clone()).await.ok()?;
    let name = root.file_name().unwrap_or(root.as_os_str()).to_string_lossy().into_owned();
    Some(client.progress(token, format!("Fovea: indexing {name}")).with_percentage(0).begin().await)
}

fn message(view: &ProgressView) -> String {
    if view.n_total == 0 {
        format!("{} {}", view.stage, view.n_done)
    } else {
        format!("{} {}/{}", view.stage, view.n_done, view.n_total)
    }
}

fn percentage(view: &ProgressView) -> u32 {
    let share = view.n_done.saturating_mul(100).checked_div(view.n_total).unwrap_or(0);
    share.min(100) as u32
}

/// The daemon reports the root with links resolved.
fn same_folder(one: &Path, other: &Path) -> bool {
    one == other || fs::canonicalize(other).is_ok_and(|other| other == one)
}
