//! `textDocument/prepareRename` and `rename`: only where every reference is certain.

use std::{collections::HashMap, sync::Arc};

use fovea_api::{Answer, Method, RenameView};
use tower_lsp_server::{
    jsonrpc::{Error, ErrorCode, Result},
    ls_types::{
        PrepareRenameResponse, RenameParams, TextDocumentPositionParams, TextEdit, Uri,
        WorkspaceEdit,
    },
};

use crate::{server::Shared, session::Feature};

/// `RequestFailed` of the protocol: right as asked, and not possible. Clients show its message.
const REQUEST_FAILED: i64 = -32_803;

pub(crate) async fn prepare(
    shared: &Arc<Shared>,
    cursor: TextDocumentPositionParams,
) -> Result<Option<PrepareRenameResponse>> {
    let Some((root, at)) = shared.cursor(Feature::Rename, &cursor) else { return Ok(None) };
    let method = Method::Rename { at, new_name: None };
    let Some(Answer::Rename(Some(view))) = shared.ask(root.clone(), method).await? else {
        return Ok(None);
    };
    let view = checked(view)?;
    let placeholder = view.of.name;
    let range = shared.convert(root, move |places| places.range(&view.at)).await?;
    Ok(Some(PrepareRenameResponse::RangeWithPlaceholder { range, placeholder }))
}

pub(crate) async fn rename(
    shared: &Arc<Shared>,
    params: RenameParams,
) -> Result<Option<WorkspaceEdit>> {
    let cursor = &params.text_document_position;
    let Some((root, at)) = shared.cursor(Feature::Rename, cursor) else { return Ok(None) };
    let new_name = params.new_name;
    let method = Method::Rename { at, new_name: Some(new_name.clone()) };
    let Some(Answer::Rename(Some(view))) = shared.ask(root.clone(), method).await? else {
        return Ok(None);
    };
    let view = checked(view)?;
    let changes = shared.convert(root, move |places| {
        let mut changes: HashMap<Uri, Vec<TextEdit>> = HashMap::new();
        for edit in &view.edits {
            let location = places.location(edit)?;
            let edit = TextEdit::new(location.range, new_name.clone());
            changes.entry(location.uri).or_default().push(edit);
        }
        Some(changes)
    });
    // Half a rename is worse than none.
    let changes = changes.await?.ok_or_else(Error::internal_error)?;
    Ok(Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }))
}

fn checked(view: RenameView) -> Result<RenameView> {
    match view.refused {
        Some(why) => Err(Error {
            code: ErrorCode::ServerError(REQUEST_FAILED),
            message: why.into(),
            data: None,
        }),
        None => Ok(view),
    }
}
