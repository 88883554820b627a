//! `textDocument/completion`: the names the index knows for this cursor, names that would have to be
//! imported (with the import), and the suggestion that is shown as ghost text.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use fovea_api::{Answer, CompletionSource, Method};
use serde::{Deserialize, Serialize};
use tower_lsp_server::{
    jsonrpc::Result,
    ls_types::{
        self as lsp, CompletionItemLabelDetails, CompletionList, CompletionParams,
        CompletionResponse, CompletionTextEdit, Documentation, Position, Range, TextEdit,
    },
};

use crate::{
    convert::to_proto::{self, Places},
    documents,
    server::Shared,
    session::Feature,
};

/// More names than anybody scrolls through; with this many the client asks again as the user types.
const MAX_ITEMS: usize = 100;

/// The last list, so that documentation is sent for the items that are looked at alone.
#[derive(Default)]
pub(crate) struct LastList {
    next: AtomicU64,
    offers: Mutex<(u64, Vec<fovea_api::CompletionItem>)>,
}

/// Finds an item of the last list.
#[derive(Deserialize, Serialize)]
struct Data {
    list: u64,
    index: usize,
}

pub(crate) async fn completion(
    shared: &Arc<Shared>,
    params: CompletionParams,
) -> Result<Option<CompletionResponse>> {
    let cursor = params.text_document_position;
    let Some((root, at)) = shared.cursor(Feature::Completion, &cursor) else { return Ok(None) };
    let method = Method::Offers { at, limit: MAX_ITEMS, with_imports: true };
    let Some(Answer::Offers(offers)) = shared.ask(root.clone(), method).await? else {
        return Ok(None);
    };
    let list = shared.last_list.next.fetch_add(1, Ordering::Relaxed);
    let suggestion = suggestion_item(shared, &cursor);
    let items = shared.convert(root, {
        let offers = offers.clone();
        move |places| {
            let items = offers.iter().enumerate();
            items.map(|(index, offer)| item(places, list, index, offer)).collect::<Vec<_>>()
        }
    });
    let mut items = items.await?;
    let is_incomplete = offers.len() >= MAX_ITEMS || items.iter().any(imports);
    items.splice(0..0, suggestion);
    *shared.last_list.offers.lock().unwrap_or_else(PoisonError::into_inner) = (list, offers);
    Ok(Some(CompletionResponse::List(CompletionList { is_incomplete, items })))
}

/// Names to import are looked for once a few letters are there, so the client has to ask again.
fn imports(item: &lsp::CompletionItem) -> bool {
    item.additional_text_edits.is_some()
}

pub(crate) fn resolve(shared: &Shared, mut item: lsp::CompletionItem) -> lsp::CompletionItem {
    let data = item.data.clone().and_then(|data| serde_json::from_value::<Data>(data).ok());
    let last = shared.last_list.offers.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(Data { list, index }) = data
        && list == last.0
        && let Some(offer) = last.1.get(index)
        && offer.label == item.label
    {
        let place = offer.path.as_ref().map(|path| format!("{} · {path}", offer.certainty));
        let parts = [offer.doc.clone(), place];
        let text = parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n");
        // A plain string: repository text is never rendered.
        let text = fovea_api::clean(&text);
        item.documentation = (!text.is_empty()).then_some(Documentation::String(text));
    }
    item
}

fn item(
    places: &mut Places<'_>,
    list: u64,
    index: usize,
    offer: &fovea_api::CompletionItem,
) -> lsp::CompletionItem {
    let import = offer.import.as_ref().map(|import| {
        let at = Position::new(import.line, 0);
        vec![TextEdit::new(Range::new(at, at), import.text.clone())]
    });
    let description = match (&offer.path, &import) {
        (Some(path), Some(_)) => Some(format!("import from {path}")),
        (path, _) => path.clone(),
    };
    lsp::CompletionItem {
        label: offer.label.clone(),
        label_details: description.map(|description| CompletionItemLabelDetails {
            detail: None,
            description: Some(description),
        }),
        kind: Some(to_proto::completion_kind(&offer.kind)),
        detail: (!offer.detail.is_empty()).then(|| offer.detail.clone()),
        // The daemon's order is the order.
        sort_text: Some(format!("{:04}", index + 1)),
        text_edit: Some(CompletionTextEdit::Edit(TextEdit {
            range: places.range(&offer.replace),
            new_text: offer.label.clone(),
        })),
        additional_text_edits: import,
        data: serde_json::to_value(Data { list, index }).ok(),
        ..lsp::CompletionItem::default()
    }
}

/// What the model suggested for this very text, as the first item.
fn suggestion_item(
    shared: &Shared,
    cursor: &lsp::TextDocumentPositionParams,
) -> Option<lsp::CompletionItem> {
    let encoding = shared.session().encoding;
    let found = shared.documents.with(&cursor.text_document.uri, |document| {
        let offset = documents::offset(&document.text, cursor.position, encoding);
        let (id, left) = document.inline.remaining(&document.text, offset)?;
        let suggestion = document.inline.suggestion(id)?;
        let before = &document.text[..offset];
        let word = before.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_').len();
        (suggestion.source != CompletionSource::Index)
            .then(|| (before[word..].to_owned(), left, suggestion.logprob))
    });
    let (typed, left, logprob) = found.flatten()?;
    let new_text = format!("{typed}{left}");
    let label = new_text.lines().find(|line| !line.trim().is_empty())?.trim().to_owned();
    let n_typed = documents::columns(&typed, encoding);
    let start = Position::new(cursor.position.line, cursor.position.character - n_typed);
    let confidence = logprob.map(|logprob| format!("{:.0} %", logprob.exp() * 100.0));
    Some(lsp::CompletionItem {
        label,
        label_details: Some(CompletionItemLabelDetails {
            detail: None,
            description: Some(format!("suggestion {}", confidence.unwrap_or_default())),
        }),
        kind: Some(lsp::CompletionItemKind::SNIPPET),
        filter_text: (!typed.is_empty()).then_some(typed),
        sort_text: Some("0000".to_owned()),
        text_edit: Some(CompletionTextEdit::Edit(TextEdit {
            range: Range::new(start, cursor.position),
            new_text,
        })),
        ..lsp::CompletionItem::default()
    })
}
