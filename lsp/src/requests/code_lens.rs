//! `textDocument/codeLens`: references and tests of each definition, counted when a lens is shown.

use std::sync::Arc;

use fovea_api::{Answer, Method};
use serde::{Deserialize, Serialize};
use tower_lsp_server::{
    jsonrpc::{Error, Result},
    ls_types::{
        CodeLens, CodeLensParams, Command, Position, TextDocumentIdentifier,
        TextDocumentPositionParams, Uri,
    },
};

use crate::{ext, server::Shared, session::Feature};

/// What a lens needs to be resolved.
#[derive(Deserialize, Serialize)]
struct Data {
    uri: Uri,
    position: Position,
}

pub(crate) async fn code_lens(
    shared: &Arc<Shared>,
    params: CodeLensParams,
) -> Result<Option<Vec<CodeLens>>> {
    let uri = params.text_document.uri;
    let Some((root, path)) = shared.locate(Feature::CodeLens, &uri) else { return Ok(None) };
    let Some(Answer::Symbols(symbols)) =
        shared.ask(root.clone(), Method::DocumentSymbols { path }).await?
    else {
        return Ok(None);
    };
    let lenses = shared.convert(root, move |places| {
        let counted = symbols.iter().filter(|symbol| {
            matches!(
                symbol.kind.as_str(),
                "function" | "method" | "class" | "struct" | "enum" | "trait" | "interface"
            )
        });
        let lens = counted.map(|symbol| {
            let range = places.range(&symbol.location);
            let data = Data { uri: uri.clone(), position: range.start };
            CodeLens { range, command: None, data: serde_json::to_value(data).ok() }
        });
        lens.collect()
    });
    Ok(Some(lenses.await?))
}

pub(crate) async fn resolve(shared: &Arc<Shared>, lens: CodeLens) -> Result<CodeLens> {
    let data = lens.data.clone().and_then(|data| serde_json::from_value::<Data>(data).ok());
    let Some(Data { uri, position }) = data else {
        return Err(Error::invalid_params("this lens is not from this server"));
    };
    let cursor = TextDocumentPositionParams::new(TextDocumentIdentifier::new(uri), position);
    let mut references = Vec::new();
    let mut root = None;
    if let Some((at_root, at)) = shared.cursor(Feature::CodeLens, &cursor) {
        let method = Method::References { at, include_definition: false };
        if let Some(Answer::References { references: found, .. }) =
            shared.ask(at_root.clone(), method).await?
        {
            references = found;
        }
        root = Some(at_root);
    }
    let is_test = |path: &str| path.split('/').any(|part| part.starts_with("test"));
    let n_tests = references.iter().filter(|r| is_test(&r.location.path)).count();
    let n = references.len();
    let mut title = format!("{n} {}", if n == 1 { "reference" } else { "references" });
    if n_tests > 0 {
        title.push_str(&format!(", {n_tests} in tests"));
    }
    let places = match root {
        Some(root) => {
            let locations = shared.convert(root, move |places| {
                let located = references.iter().filter_map(|r| places.location(&r.location));
                located.collect::<Vec<_>>()
            });
            locations.await?
        }
        None => Vec::new(),
    };
    let arguments = [
        serde_json::to_value(&cursor.text_document.uri),
        serde_json::to_value(cursor.position),
        serde_json::to_value(places),
    ];
    let command = Command {
        title,
        command: ext::SHOW_REFERENCES_COMMAND.to_owned(),
        arguments: Some(arguments.into_iter().filter_map(std::result::Result::ok).collect()),
    };
    Ok(CodeLens { command: Some(command), ..lens })
}
