//! `textDocument/semanticTokens/full`: the names of definitions, by what they define. That is what the
//! index lists for a file at the price of its outline; what each use refers to would have to be resolved
//! one by one, and is left to servers of the language.

use std::sync::Arc;

use fovea_api::{Answer, Method, SymbolView};
use tower_lsp_server::{
    jsonrpc::Result,
    ls_types::{
        Position, Range, SemanticToken, SemanticTokenModifier, SemanticTokenType, SemanticTokens,
        SemanticTokensFullOptions, SemanticTokensLegend, SemanticTokensOptions,
        SemanticTokensParams, SemanticTokensResult, WorkDoneProgressOptions,
    },
};

use crate::{server::Shared, session::Feature};

/// Types in the order of their numbers on the wire.
const TYPES: [SemanticTokenType; 13] = [
    SemanticTokenType::NAMESPACE,
    SemanticTokenType::CLASS,
    SemanticTokenType::STRUCT,
    SemanticTokenType::ENUM,
    SemanticTokenType::ENUM_MEMBER,
    SemanticTokenType::INTERFACE,
    SemanticTokenType::TYPE_PARAMETER,
    SemanticTokenType::TYPE,
    SemanticTokenType::METHOD,
    SemanticTokenType::PROPERTY,
    SemanticTokenType::FUNCTION,
    SemanticTokenType::MACRO,
    SemanticTokenType::VARIABLE,
];
const MODIFIERS: [SemanticTokenModifier; 2] =
    [SemanticTokenModifier::DECLARATION, SemanticTokenModifier::READONLY];
const DECLARATION: u32 = 1;
const READONLY: u32 = 2;

pub(crate) fn options() -> SemanticTokensOptions {
    SemanticTokensOptions {
        work_done_progress_options: WorkDoneProgressOptions::default(),
        legend: SemanticTokensLegend {
            token_types: TYPES.to_vec(),
            token_modifiers: MODIFIERS.to_vec(),
        },
        range: None,
        full: Some(SemanticTokensFullOptions::Bool(true)),
    }
}

pub(crate) async fn full(
    shared: &Arc<Shared>,
    params: SemanticTokensParams,
) -> Result<Option<SemanticTokensResult>> {
    let uri = params.text_document.uri;
    let Some((root, path)) = shared.locate(Feature::SemanticTokens, &uri) else { return Ok(None) };
    let Some(Answer::Symbols(symbols)) =
        shared.ask(root.clone(), Method::DocumentSymbols { path }).await?
    else {
        return Ok(None);
    };
    let tokens = shared.convert(root, move |places| {
        let tokens = symbols.iter().filter_map(|symbol| {
            let (kind, modifiers) = kind(symbol)?;
            Some((places.range(&symbol.location), kind, modifiers))
        });
        encode(tokens.collect())
    });
    let tokens = SemanticTokens { result_id: None, data: tokens.await? };
    Ok(Some(SemanticTokensResult::Tokens(tokens)))
}

/// Number of the type, and modifiers; `None` for what has no word in the protocol.
fn kind(symbol: &SymbolView) -> Option<(u32, u32)> {
    let number = match symbol.kind.as_str() {
        "module" | "namespace" | "package" => 0,
        "class" => 1,
        "struct" | "union" => 2,
        "enum" => 3,
        "enum-member" | "variant" => 4,
        "trait" | "interface" | "protocol" => 5,
        "type-parameter" => 6,
        "type" | "type-alias" => 7,
        "method" | "constructor" => 8,
        "property" | "field" => 9,
        "function" => 10,
        "macro" => 11,
        "variable" | "constant" | "static" => 12,
        _ => return None,
    };
    let is_constant = matches!(symbol.kind.as_str(), "constant" | "static");
    Some((number, DECLARATION | if is_constant { READONLY } else { 0 }))
}

/// Relative to each other, as the protocol has them. A token has to lie on one line and must not
/// overlap the one before.
fn encode(mut tokens: Vec<(Range, u32, u32)>) -> Vec<SemanticToken> {
    tokens.retain(|(range, ..)| {
        range.start.line == range.end.line && range.start.character < range.end.character
    });
    tokens.sort_by_key(|(range, ..)| (range.start.line, range.start.character));
    let mut last = Position::new(0, 0);
    let mut free = Position::new(0, 0);
    let mut encoded = Vec::with_capacity(tokens.len());
    for (range, token_type, token_modifiers_bitset) in tokens {
        let start = range.start;
        if start < free {
            continue;
        }
        let is_same_line = start.line == last.line;
        encoded.push(SemanticToken {
            delta_line: start.line - last.line,
            delta_start: start.character - if is_same_line { last.character } else { 0 },
            length: range.end.character - start.character,
            token_type,
            token_modifiers_bitset,
        });
        last = start;
        free = range.end;
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_relative_in_order_and_never_overlap() {
        let at = |line, from, to| Range::new(Position::new(line, from), Position::new(line, to));
        let long = Range::new(Position::new(3, 0), Position::new(4, 1));
        let tokens = vec![
            (at(2, 4, 8), 10, 1),
            (at(0, 6, 9), 1, 1),
            (at(2, 10, 12), 12, 3),
            (at(2, 5, 7), 9, 1),
            (long, 1, 1),
            (at(5, 2, 2), 1, 1),
        ];
        let encoded: Vec<[u32; 5]> = encode(tokens)
            .into_iter()
            .map(|t| {
                [t.delta_line, t.delta_start, t.length, t.token_type, t.token_modifiers_bitset]
            })
            .collect();
        assert_eq!(encoded, [[0, 6, 3, 1, 1], [2, 4, 4, 10, 1], [0, 6, 2, 12, 3]]);
    }
}
