//! Roots, files that changed on disk, and settings.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use fovea_api::Method;
use tower_lsp_server::{
    Client,
    ls_types::{
        DidChangeConfigurationParams, DidChangeWatchedFilesParams,
        DidChangeWatchedFilesRegistrationOptions, DidChangeWorkspaceFoldersParams,
        FileSystemWatcher, GlobPattern, Registration,
    },
};

use super::progress;
use crate::{
    convert::from_proto,
    server::{FoveaServer, Shared, capabilities},
    session::Session,
};

pub(crate) async fn initialized(server: &FoveaServer) {
    for root in server.shared.session().roots() {
        open(server, root);
    }
    let session = server.shared.session();
    let mut registrations = late_registrations(session);
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
    register(&server.client, registrations).await;
}

async fn register(client: &Client, registrations: Vec<Registration>) {
    if !registrations.is_empty()
        && let Err(err) = client.register_capability(registrations).await
    {
        tracing::info!(%err, "the client refused a registration");
    }
}

/// For features that are on and that the client was not told of: what the reply to `initialize` would
/// have said.
fn late_registrations(session: &Session) -> Vec<Registration> {
    let late = session.offer_late();
    let offered = capabilities(session.encoding, |feature| late.contains(&feature));
    let offered = serde_json::to_value(offered).unwrap_or_default();
    let registrations = late.into_iter().map(|feature| {
        let mut options = match &offered[format!("{}Provider", feature.name())] {
            serde_json::Value::Object(options) => options.clone(),
            _ => serde_json::Map::new(),
        };
        options.insert("documentSelector".to_owned(), serde_json::Value::Null);
        Registration {
            id: format!("fovea-{}", feature.name()),
            method: feature.method(),
            register_options: Some(options.into()),
        }
    });
    registrations.collect()
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
/// request on. A feature that is switched off is answered with nothing; one that was off at
/// `initialize` is offered now, if the client takes that.
pub(crate) fn did_change_configuration(server: &FoveaServer, params: DidChangeConfigurationParams) {
    let mut settings = params.settings;
    if let Some(section) = settings.get_mut("fovea") {
        settings = section.take();
    }
    if settings.is_null() {
        return;
    }
    match serde_json::from_value(settings) {
        Ok(options) => {
            let session = server.shared.session();
            session.set_options(options);
            let late = late_registrations(session);
            if !late.is_empty() {
                let client = server.client.clone();
                tokio::spawn(async move { register(&client, late).await });
            }
        }
        Err(err) => tracing::warn!(%err, "settings ignored"),
    }
}

fn open(server: &FoveaServer, root: PathBuf) {
    server.shared.outbox.open_root(root.clone());
    tokio::spawn(progress::show_indexing(server.client.clone(), Arc::clone(&server.shared), root));
}
