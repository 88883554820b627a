//! `textDocument/definition`, `declaration`, `typeDefinition` and `implementation`.

use std::sync::Arc;

use fovea_api::{Answer, At, Method};
use tower_lsp_server::{
    jsonrpc::Result,
    ls_types::{GotoDefinitionParams, GotoDefinitionResponse},
};

use crate::{server::Shared, session::Feature};

pub(crate) async fn definition(
    shared: &Arc<Shared>,
    params: GotoDefinitionParams,
) -> Result<Option<GotoDefinitionResponse>> {
    locations(shared, params, Feature::Definition, |at| Method::Definition { at }).await
}

pub(crate) async fn declaration(
    shared: &Arc<Shared>,
    params: GotoDefinitionParams,
) -> Result<Option<GotoDefinitionResponse>> {
    locations(shared, params, Feature::Declaration, |at| Method::Declaration { at }).await
}

pub(crate) async fn type_definition(
    shared: &Arc<Shared>,
    params: GotoDefinitionParams,
) -> Result<Option<GotoDefinitionResponse>> {
    locations(shared, params, Feature::TypeDefinition, |at| Method::TypeDefinition { at }).await
}

pub(crate) async fn implementation(
    shared: &Arc<Shared>,
    params: GotoDefinitionParams,
) -> Result<Option<GotoDefinitionResponse>> {
    locations(shared, params, Feature::Implementation, |at| Method::Implementations { at }).await
}

async fn locations(
    shared: &Arc<Shared>,
    params: GotoDefinitionParams,
    feature: Feature,
    method: impl FnOnce(At) -> Method,
) -> Result<Option<GotoDefinitionResponse>> {
    let Some((root, at)) = shared.cursor(feature, &params.text_document_position_params) else {
        return Ok(None);
    };
    let Some(Answer::Definitions { symbols, .. }) = shared.ask(root.clone(), method(at)).await?
    else {
        return Ok(None);
    };
    let locations = shared.convert(root, move |places| {
        symbols.iter().filter_map(|symbol| places.location(&symbol.location)).collect()
    });
    Ok(Some(GotoDefinitionResponse::Array(locations.await?)))
}
