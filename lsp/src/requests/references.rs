//! `textDocument/references`.

use std::sync::Arc;

use fovea_api::{Answer, Method};
use tower_lsp_server::{
    jsonrpc::Result,
    ls_types::{Location, ReferenceParams},
};

use crate::{convert::from_proto, server::Shared};

pub(crate) async fn references(
    shared: &Arc<Shared>,
    params: ReferenceParams,
) -> Result<Option<Vec<Location>>> {
    let cursor = params.text_document_position;
    let session = shared.session();
    let Some((root, path)) = session.locate(&cursor.text_document.uri) else { return Ok(None) };
    let method = Method::References {
        at: from_proto::at(path, cursor.position, session.encoding),
        include_definition: params.context.include_declaration,
    };
    let Some(Answer::References { references, .. }) = shared.ask(root.clone(), method).await?
    else {
        return Ok(None);
    };
    let locations = shared.convert(root, move |places| {
        references.iter().filter_map(|reference| places.location(&reference.location)).collect()
    });
    Ok(Some(locations.await?))
}
