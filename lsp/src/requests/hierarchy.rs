//! Call and type hierarchies. An item is asked about by the position of its name, so nothing has to
//! be remembered between the requests.

use std::sync::Arc;

use fovea_api::{Answer, GraphEdgeView, HierarchyView, Method, SymbolView};
use tower_lsp_server::{
    jsonrpc::Result,
    ls_types::{
        CallHierarchyIncomingCall, CallHierarchyIncomingCallsParams, CallHierarchyItem,
        CallHierarchyOutgoingCall, CallHierarchyOutgoingCallsParams, CallHierarchyPrepareParams,
        Position, Range, TextDocumentIdentifier, TextDocumentPositionParams, TypeHierarchyItem,
        TypeHierarchyPrepareParams, TypeHierarchySubtypesParams, TypeHierarchySupertypesParams,
        Uri,
    },
};

use crate::{
    convert::to_proto::{self, Places},
    server::Shared,
    session::Feature,
};

pub(crate) async fn prepare_calls(
    shared: &Arc<Shared>,
    params: CallHierarchyPrepareParams,
) -> Result<Option<Vec<CallHierarchyItem>>> {
    let cursor = &params.text_document_position_params;
    let Some((root, at)) = shared.cursor(Feature::CallHierarchy, cursor) else { return Ok(None) };
    let Some(Answer::Definitions { symbols, .. }) =
        shared.ask(root.clone(), Method::Definition { at }).await?
    else {
        return Ok(None);
    };
    let items = shared.convert(root, move |places| {
        let callable = symbols.iter().filter(|symbol| is_callable(symbol));
        callable.filter_map(|symbol| call_item(places, symbol)).collect::<Vec<_>>()
    });
    let items = items.await?;
    Ok((!items.is_empty()).then_some(items))
}

pub(crate) async fn incoming_calls(
    shared: &Arc<Shared>,
    params: CallHierarchyIncomingCallsParams,
) -> Result<Option<Vec<CallHierarchyIncomingCall>>> {
    let item = params.item;
    let found = edges(shared, item.uri, item.selection_range.start, |at| Method::Callers { at });
    let calls = found.await?.map(|calls| {
        let calls = calls.into_iter();
        calls.map(|(from, from_ranges)| CallHierarchyIncomingCall { from, from_ranges }).collect()
    });
    Ok(calls)
}

pub(crate) async fn outgoing_calls(
    shared: &Arc<Shared>,
    params: CallHierarchyOutgoingCallsParams,
) -> Result<Option<Vec<CallHierarchyOutgoingCall>>> {
    let item = params.item;
    let found = edges(shared, item.uri, item.selection_range.start, |at| Method::Callees { at });
    let calls = found.await?.map(|calls| {
        let calls = calls.into_iter();
        calls.map(|(to, from_ranges)| CallHierarchyOutgoingCall { to, from_ranges }).collect()
    });
    Ok(calls)
}

/// The other ends of the edges at a definition, each once, with all places of the calls.
async fn edges(
    shared: &Arc<Shared>,
    uri: Uri,
    position: Position,
    method: impl FnOnce(fovea_api::At) -> Method,
) -> Result<Option<Vec<(CallHierarchyItem, Vec<Range>)>>> {
    let cursor = TextDocumentPositionParams::new(TextDocumentIdentifier::new(uri), position);
    let Some((root, at)) = shared.cursor(Feature::CallHierarchy, &cursor) else { return Ok(None) };
    let Some(Answer::Edges { edges, .. }) = shared.ask(root.clone(), method(at)).await? else {
        return Ok(None);
    };
    let calls = shared.convert(root, move |places| {
        let mut calls: Vec<(&GraphEdgeView, Vec<Range>)> = Vec::new();
        for edge in edges.iter().filter(|edge| edge.kind == "calls") {
            let range = edge.at.as_ref().map(|at| places.range(at));
            match calls.iter_mut().find(|(other, _)| same(&other.symbol, &edge.symbol)) {
                Some((_, ranges)) => ranges.extend(range),
                None => calls.push((edge, range.into_iter().collect())),
            }
        }
        let items = calls.into_iter();
        items
            .filter_map(|(edge, ranges)| Some((call_item(places, &edge.symbol)?, ranges)))
            .collect()
    });
    Ok(Some(calls.await?))
}

pub(crate) async fn prepare_types(
    shared: &Arc<Shared>,
    params: TypeHierarchyPrepareParams,
) -> Result<Option<Vec<TypeHierarchyItem>>> {
    let cursor = params.text_document_position_params;
    relatives(shared, cursor, |view| vec![view.of]).await
}

pub(crate) async fn supertypes(
    shared: &Arc<Shared>,
    params: TypeHierarchySupertypesParams,
) -> Result<Option<Vec<TypeHierarchyItem>>> {
    relatives(shared, name_of(params.item), |view| view.supers).await
}

pub(crate) async fn subtypes(
    shared: &Arc<Shared>,
    params: TypeHierarchySubtypesParams,
) -> Result<Option<Vec<TypeHierarchyItem>>> {
    relatives(shared, name_of(params.item), |view| view.subs).await
}

fn name_of(item: TypeHierarchyItem) -> TextDocumentPositionParams {
    let document = TextDocumentIdentifier::new(item.uri);
    TextDocumentPositionParams::new(document, item.selection_range.start)
}

async fn relatives(
    shared: &Arc<Shared>,
    cursor: TextDocumentPositionParams,
    which: impl FnOnce(HierarchyView) -> Vec<SymbolView>,
) -> Result<Option<Vec<TypeHierarchyItem>>> {
    let Some((root, at)) = shared.cursor(Feature::TypeHierarchy, &cursor) else { return Ok(None) };
    let Some(Answer::Hierarchy(Some(view))) =
        shared.ask(root.clone(), Method::Hierarchy { at }).await?
    else {
        return Ok(None);
    };
    let symbols = which(view);
    let items = shared.convert(root, move |places| {
        symbols.iter().filter_map(|symbol| type_item(places, symbol)).collect()
    });
    Ok(Some(items.await?))
}

fn same(one: &SymbolView, other: &SymbolView) -> bool {
    one.location == other.location
}

fn is_callable(symbol: &SymbolView) -> bool {
    matches!(symbol.kind.as_str(), "function" | "method" | "macro" | "class" | "struct")
}

fn call_item(places: &mut Places<'_>, symbol: &SymbolView) -> Option<CallHierarchyItem> {
    let (range, selection_range) = to_proto::item_ranges(places, symbol);
    Some(CallHierarchyItem {
        name: to_proto::name(symbol),
        kind: to_proto::symbol_kind(&symbol.kind),
        tags: None,
        detail: Some(detail(symbol)),
        uri: places.uri(&symbol.location.path)?,
        range,
        selection_range,
        data: None,
    })
}

fn type_item(places: &mut Places<'_>, symbol: &SymbolView) -> Option<TypeHierarchyItem> {
    let (range, selection_range) = to_proto::item_ranges(places, symbol);
    Some(TypeHierarchyItem {
        name: to_proto::name(symbol),
        kind: to_proto::symbol_kind(&symbol.kind),
        tags: None,
        detail: Some(detail(symbol)),
        uri: places.uri(&symbol.location.path)?,
        range,
        selection_range,
        data: None,
    })
}

/// Where it is, and how sure the edge to it is where it is not certain.
fn detail(symbol: &SymbolView) -> String {
    let path = &symbol.location.path;
    match symbol.certainty.as_str() {
        "exact" => path.clone(),
        certainty => format!("{path} ({certainty})"),
    }
}
