//! Open documents. The text is updated here, synchronously, and goes to the daemon in order.

use std::sync::Arc;

use fovea_api::Method;
use tower_lsp_server::ls_types::{
    DidChangeTextDocumentParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams,
    DidSaveTextDocumentParams, Uri,
};

use crate::server::Shared;

pub(crate) fn did_open(shared: &Shared, params: DidOpenTextDocumentParams) {
    let document = params.text_document;
    let text = shared.documents.open(
        document.uri.clone(),
        document.version,
        document.language_id,
        document.text,
    );
    shared.session().opened(&document.uri);
    forward(shared, &document.uri, document.version, text);
}

pub(crate) fn did_change(shared: &Shared, params: DidChangeTextDocumentParams) {
    let document = params.text_document;
    let encoding = shared.session().encoding;
    let changed =
        shared.documents.change(&document.uri, document.version, params.content_changes, encoding);
    match changed {
        Some(text) => forward(shared, &document.uri, document.version, text),
        None => {
            tracing::warn!(uri = document.uri.as_str(), "change of a document that is not open")
        }
    }
}

pub(crate) fn did_close(shared: &Shared, params: &DidCloseTextDocumentParams) {
    let uri = &params.text_document.uri;
    if shared.documents.close(uri)
        && let Some((root, path)) = shared.session().locate(uri)
    {
        shared.outbox.closed(root, path);
    }
    shared.session().closed(uri);
}

pub(crate) fn did_save(shared: &Shared, params: &DidSaveTextDocumentParams) {
    if let Some((root, path)) = shared.session().locate(&params.text_document.uri) {
        shared.outbox.tell(Some(root), Method::Touched { paths: vec![path] });
    }
}

fn forward(shared: &Shared, uri: &Uri, version: i32, text: Arc<str>) {
    if let Some((root, path)) = shared.session().locate(uri) {
        shared.outbox.edited(root, path, i64::from(version), text);
    }
}
