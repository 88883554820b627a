//! `textDocument/references`.

use std::sync::Arc;

use fovea_api::{Answer, Method};
use tower_lsp_server::{
    jsonrpc::Result,
    ls_types::{Location, ReferenceParams},
};

use crate::{server::Shared, session::Feature};

pub(crate) async fn references(
    shared: &Arc<Shared>,
    params: ReferenceParams,
) -> Result<Option<Vec<Location>>> {
    let cursor = params.text_document_position;
    let Some((root, at)) = shared.cursor(Feature::References, &cursor) else { return Ok(None) };
    let include_definition = params.context.include_declaration;
    let method = Method::References { at, include_definition };
    let Some(Answer::References { references, .. }) = shared.ask(root.clone(), method).await?
    else {
        return Ok(None);
    };
    let locations = shared.convert(root, move |places| {
        references.iter().filter_map(|reference| places.location(&reference.location)).collect()
    });
    Ok(Some(locations.await?))
}
