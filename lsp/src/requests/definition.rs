//! `textDocument/definition` and `textDocument/implementation`.

use std::sync::Arc;

use fovea_api::{Answer, At, Method};
use tower_lsp_server::{
    jsonrpc::Result,
    ls_types::{GotoDefinitionParams, GotoDefinitionResponse},
};

use crate::{convert::from_proto, server::Shared};

pub(crate) async fn definition(
    shared: &Arc<Shared>,
    params: GotoDefinitionParams,
) -> Result<Option<GotoDefinitionResponse>> {
    locations(shared, params, |at| Method::Definition { at }).await
}

pub(crate) async fn implementation(
    shared: &Arc<Shared>,
    params: GotoDefinitionParams,
) -> Result<Option<GotoDefinitionResponse>> {
    locations(shared, params, |at| Method::Implementations { at }).await
}

async fn locations(
    shared: &Arc<Shared>,
    params: GotoDefinitionParams,
    method: impl FnOnce(At) -> Method,
) -> Result<Option<GotoDefinitionResponse>> {
    let cursor = params.text_document_position_params;
    let session = shared.session();
    let Some((root, path)) = session.locate(&cursor.text_document.uri) else { return Ok(None) };
    let at = from_proto::at(path, cursor.position, session.encoding);
    let Some(Answer::Definitions { symbols, .. }) = shared.ask(root.clone(), method(at)).await?
    else {
        return Ok(None);
    };
    let locations = shared.convert(root, move |places| {
        symbols.iter().filter_map(|symbol| places.location(&symbol.location)).collect()
    });
    Ok(Some(GotoDefinitionResponse::Array(locations.await?)))
}
