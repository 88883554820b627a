//! `textDocument/documentSymbol` and `workspace/symbol`.

use std::sync::Arc;

use fovea_api::{Answer, Method};
use tower_lsp_server::{
    jsonrpc::Result,
    ls_types::{
        DocumentSymbolParams, DocumentSymbolResponse, WorkspaceSymbolParams,
        WorkspaceSymbolResponse,
    },
};

use crate::{convert::to_proto, server::Shared, session::Feature};

/// Symbols asked for per root.
const MAX_WORKSPACE_SYMBOLS: usize = 128;

pub(crate) async fn document(
    shared: &Arc<Shared>,
    params: DocumentSymbolParams,
) -> Result<Option<DocumentSymbolResponse>> {
    let session = shared.session();
    let uri = &params.text_document.uri;
    let Some((root, path)) = shared.locate(Feature::DocumentSymbol, uri) else { return Ok(None) };
    let Some(Answer::Symbols(symbols)) =
        shared.ask(root.clone(), Method::DocumentSymbols { path }).await?
    else {
        return Ok(None);
    };
    let as_tree = session.hierarchical_symbols;
    let response = shared.convert(root, move |places| {
        if as_tree {
            DocumentSymbolResponse::Nested(to_proto::document_symbols(places, &symbols))
        } else {
            DocumentSymbolResponse::Flat(
                symbols
                    .iter()
                    .filter_map(|symbol| to_proto::symbol_information(places, symbol))
                    .collect(),
            )
        }
    });
    Ok(Some(response.await?))
}

pub(crate) async fn workspace(
    shared: &Arc<Shared>,
    params: WorkspaceSymbolParams,
) -> Result<Option<WorkspaceSymbolResponse>> {
    if !shared.session().serves(Feature::WorkspaceSymbol, None) {
        return Ok(None);
    }
    let mut found = Vec::new();
    for root in shared.session().roots() {
        let method = Method::Symbols { query: params.query.clone(), limit: MAX_WORKSPACE_SYMBOLS };
        if let Some(Answer::Symbols(symbols)) = shared.ask(root.clone(), method).await? {
            let converted = shared.convert(root, move |places| {
                symbols
                    .iter()
                    .filter_map(|symbol| to_proto::symbol_information(places, symbol))
                    .collect::<Vec<_>>()
            });
            found.extend(converted.await?);
        }
    }
    Ok(Some(WorkspaceSymbolResponse::Flat(found)))
}
