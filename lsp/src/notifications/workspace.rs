//! Roots, files that changed on disk, and settings.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use fovea_api::Method;
use tower_lsp_server::ls_types::{
    DidChangeConfigurationParams, DidChangeWatchedFilesParams,
    DidChangeWatchedFilesRegistrationOptions, DidChangeWorkspaceFoldersParams, FileSystemWatcher,
    GlobPattern, Registration,
};

use super::progress;
use crate::{
    convert::from_proto,
    server::{FoveaServer, Shared},
    session::Feature,
};

pub(crate) async fn initialized(server: &FoveaServer) {
    for root in server.shared.session().roots() {
        open(server, root);
    }
    let session = server.shared.session();
    let mut registrations = Vec::new();
    // `initialize` cannot say it in the types at hand.
    if session.registers_type_hierarchy && session.serves(Feature::TypeHierarchy, None) {
        registrations.push(Registration {
            id: "fovea-type-hierarchy".to_owned(),
            method: "textDocument/prepareTypeHierarchy".to_owned(),
            register_options: Some(serde_json::json!({ "documentSelector": null })),
        });
    }
    if session.watches_files {
        let options = DidChangeWatchedFilesRegistrationOptions {
            watchers: vec![FileSystemWatcher {
                glob_pattern: GlobPattern::String("**/*".to_owned()),
                kind: None,
            }],
        };
        registrations.push(Registration {
            id: "fovea-files".to_owned(),
            method: "workspace/didChangeWatchedFiles".to_owned(),
            register_options: serde_json::to_value(options).ok(),
        });
    }
    if !registrations.is_empty()
        && let Err(err) = server.client.register_capability(registrations).await
    {
        tracing::info!(%err, "the client refused a registration");
    }
}

pub(crate) fn did_change_workspace_folders(
    server: &FoveaServer,
    params: DidChangeWorkspaceFoldersParams,
) {
    let session = server.shared.session();
    for root in params.event.removed.iter().filter_map(|folder| from_proto::path(&folder.uri)) {
        session.remove_root(&root);
        server.shared.outbox.close_root(root);
    }
    for root in params.event.added.iter().filter_map(|folder| from_proto::path(&folder.uri)) {
        if session.add_root(root.clone()) {
            open(server, root);
        }
    }
}

/// One message a root, however many files changed.
pub(crate) fn did_change_watched_files(shared: &Shared, params: DidChangeWatchedFilesParams) {
    let mut touched: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for change in params.changes {
        if let Some((root, path)) = shared.session().locate(&change.uri) {
            touched.entry(root).or_default().push(path);
        }
    }
    for (root, paths) in touched {
        shared.outbox.tell(Some(root), Method::Touched { paths });
    }
}

/// Takes the `fovea` section, or the settings themselves if there is none; they hold from the next
/// request on. A feature that was off at `initialize` was not offered and stays off.
pub(crate) fn did_change_configuration(shared: &Shared, params: DidChangeConfigurationParams) {
    let mut settings = params.settings;
    if let Some(section) = settings.get_mut("fovea") {
        settings = section.take();
    }
    if settings.is_null() {
        return;
    }
    match serde_json::from_value(settings) {
        Ok(options) => shared.session().set_options(options),
        Err(err) => tracing::warn!(%err, "settings ignored"),
    }
}

fn open(server: &FoveaServer, root: PathBuf) {
    server.shared.outbox.open_root(root.clone());
    tokio::spawn(progress::show_indexing(server.client.clone(), Arc::clone(&server.shared), root));
}
