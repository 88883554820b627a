//! `textDocument/completion`: the names the index knows for this cursor.

use std::sync::Arc;

use fovea_api::{Answer, Method};
use tower_lsp_server::{
    jsonrpc::Result,
    ls_types::{
        self as lsp, CompletionItemLabelDetails, CompletionList, CompletionParams,
        CompletionResponse, CompletionTextEdit, Documentation, TextEdit,
    },
};

use crate::{
    convert::{
        from_proto,
        to_proto::{self, Places},
    },
    server::Shared,
};

/// More names than anybody scrolls through; with this many the client asks again as the user types.
const MAX_ITEMS: usize = 100;

pub(crate) async fn completion(
    shared: &Arc<Shared>,
    params: CompletionParams,
) -> Result<Option<CompletionResponse>> {
    let cursor = params.text_document_position;
    let session = shared.session();
    let Some((root, path)) = session.locate(&cursor.text_document.uri) else { return Ok(None) };
    let at = from_proto::at(path, cursor.position, session.encoding);
    let Some(Answer::Offers(offers)) =
        shared.ask(root.clone(), Method::Offers { at, limit: MAX_ITEMS }).await?
    else {
        return Ok(None);
    };
    let list = shared.convert(root, move |places| CompletionList {
        is_incomplete: offers.len() >= MAX_ITEMS,
        items: offers.iter().enumerate().map(|(rank, offer)| item(places, rank, offer)).collect(),
    });
    Ok(Some(CompletionResponse::List(list.await?)))
}

fn item(
    places: &mut Places<'_>,
    rank: usize,
    offer: &fovea_api::CompletionItem,
) -> lsp::CompletionItem {
    lsp::CompletionItem {
        label: offer.label.clone(),
        label_details: offer.path.as_ref().map(|path| CompletionItemLabelDetails {
            detail: None,
            description: Some(path.clone()),
        }),
        kind: Some(to_proto::completion_kind(&offer.kind)),
        detail: (!offer.detail.is_empty()).then(|| offer.detail.clone()),
        documentation: offer.doc.clone().map(Documentation::String),
        // The daemon's order is the order.
        sort_text: Some(format!("{rank:04}")),
        text_edit: Some(CompletionTextEdit::Edit(TextEdit {
            range: places.range(&offer.replace),
            new_text: offer.label.clone(),
        })),
        ..lsp::CompletionItem::default()
    }
}
