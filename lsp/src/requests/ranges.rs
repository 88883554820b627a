//! `textDocument/foldingRange` and `selectionRange`.

use std::sync::Arc;

use fovea_api::{Answer, Method};
use tower_lsp_server::{
    jsonrpc::Result,
    ls_types::{
        FoldingRange, FoldingRangeKind, FoldingRangeParams, Range, SelectionRange,
        SelectionRangeParams,
    },
};

use crate::{convert::from_proto, server::Shared, session::Feature};

pub(crate) async fn folding(
    shared: &Arc<Shared>,
    params: FoldingRangeParams,
) -> Result<Option<Vec<FoldingRange>>> {
    let uri = &params.text_document.uri;
    let Some((root, path)) = shared.locate(Feature::FoldingRange, uri) else { return Ok(None) };
    let Some(Answer::Folds(folds)) = shared.ask(root, Method::Folds { path }).await? else {
        return Ok(None);
    };
    let folds = folds.into_iter().map(|fold| FoldingRange {
        start_line: fold.start_line,
        end_line: fold.end_line,
        kind: match fold.kind.as_str() {
            "comment" => Some(FoldingRangeKind::Comment),
            "imports" => Some(FoldingRangeKind::Imports),
            _ => None,
        },
        ..FoldingRange::default()
    });
    Ok(Some(folds.collect()))
}

pub(crate) async fn selection(
    shared: &Arc<Shared>,
    params: SelectionRangeParams,
) -> Result<Option<Vec<SelectionRange>>> {
    let uri = &params.text_document.uri;
    let Some((root, path)) = shared.locate(Feature::SelectionRange, uri) else { return Ok(None) };
    let encoding = shared.session().encoding;
    let positions = params.positions;
    let at = |position: &_| from_proto::at(path.clone(), *position, encoding);
    let cursors = positions.iter().map(at).collect();
    let Some(Answer::Around(around)) = shared.ask(root.clone(), Method::Around { cursors }).await?
    else {
        return Ok(None);
    };
    let selections = shared.convert(root, move |places| {
        let each = around.iter().zip(positions).map(|(ranges, position)| {
            // From the outside in: each holds the next.
            let outermost_first = ranges.iter().rev().map(|range| places.range(range));
            let nested = outermost_first.fold(None, |parent: Option<SelectionRange>, range| {
                Some(SelectionRange { range, parent: parent.map(Box::new) })
            });
            nested.unwrap_or(SelectionRange { range: Range::new(position, position), parent: None })
        });
        each.collect()
    });
    Ok(Some(selections.await?))
}
