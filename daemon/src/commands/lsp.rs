//! `fovea lsp`: the way from the LSP server to the daemon.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use super::{Context, unavailable};
use crate::{connect::Connection, exit_codes::ExitCode, guard, output::Failure, root};

/// Larger files have columns in UTF-16 units, whatever the editor counts in.
const MAX_TEXT_BYTES: u64 = 16 << 20;

pub(super) fn run(context: &mut Context) -> Result<ExitCode, Failure> {
    let options = context.connect_options();
    // An engine in this process ends with its connection, so the latest one is kept here.
    let current: Mutex<Option<Connection>> = Mutex::new(None);
    let connect = move |events: fovea_lsp::Events| {
        let mut current =
            current.lock().map_err(|_| io::Error::other("an earlier connect panicked"))?;
        // The index of a workspace has one owner: the old engine goes before the new one comes.
        *current = None;
        let connection = Connection::open(&options, events).map_err(io::Error::other)?;
        Ok(current.insert(connection).client().clone())
    };
    let is_orderly = fovea_lsp::serve_stdio(connect, fovea_lsp::Disk { project_of, text_of })
        .map_err(unavailable)?;
    // The protocol wants 1 after an `exit` without `shutdown`.
    Ok(if is_orderly { ExitCode::Ok } else { ExitCode::Nothing })
}

fn project_of(file: &Path) -> Option<PathBuf> {
    // A file may not be saved yet; its folder is there.
    let found = root::find(file).ok().or_else(|| root::find(file.parent()?).ok())?;
    for marker in &found.foreign {
        tracing::warn!("{marker}");
    }
    Some(found.root)
}

/// Through the gate. Overwriting secrets keeps what columns are counted in.
fn text_of(root: &Path, path: &str) -> Option<Arc<str>> {
    guard::read(root, path, MAX_TEXT_BYTES).ok().map(|guarded| guarded.text)
}
