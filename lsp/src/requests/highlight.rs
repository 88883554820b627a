//! `textDocument/documentHighlight`: the references in this file alone.

use std::sync::Arc;

use fovea_api::{Answer, Method};
use tower_lsp_server::{
    jsonrpc::Result,
    ls_types::{DocumentHighlight, DocumentHighlightKind, DocumentHighlightParams},
};

use crate::{server::Shared, session::Feature};

pub(crate) async fn highlight(
    shared: &Arc<Shared>,
    params: DocumentHighlightParams,
) -> Result<Option<Vec<DocumentHighlight>>> {
    let cursor = &params.text_document_position_params;
    let Some((root, at)) = shared.cursor(Feature::DocumentHighlight, cursor) else {
        return Ok(None);
    };
    let path = at.path.clone();
    let method = Method::References { at, include_definition: true };
    let Some(Answer::References { references, .. }) = shared.ask(root.clone(), method).await?
    else {
        return Ok(None);
    };
    let highlights = shared.convert(root, move |places| {
        let here = references.iter().filter(|reference| reference.location.path == path);
        let highlight = here.map(|reference| DocumentHighlight {
            range: places.range(&reference.location),
            kind: Some(match reference.role.as_str() {
                "write" | "definition" => DocumentHighlightKind::WRITE,
                _ => DocumentHighlightKind::READ,
            }),
        });
        highlight.collect()
    });
    Ok(Some(highlights.await?))
}
