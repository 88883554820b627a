//! What the daemon says, in the protocol's types.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use fovea_api::{Encoding, Location, SymbolView};
use tower_lsp_server::ls_types::{self as lsp, Position, PositionEncodingKind, Range, Uri};

use crate::{
    TextOf,
    documents::{self, Documents},
};

pub(crate) fn encoding(encoding: Encoding) -> PositionEncodingKind {
    match encoding {
        Encoding::Utf8 => PositionEncodingKind::UTF8,
        Encoding::Utf16 => PositionEncodingKind::UTF16,
        Encoding::Utf32 => PositionEncodingKind::UTF32,
    }
}

pub(crate) fn uri(root: &Path, path: &str) -> Option<Uri> {
    Uri::from_file_path(root.join(path))
}

/// Converts the locations of one answer. The wire counts UTF-16 columns; for the other units the
/// text of the line is needed: from the open document, else from disk through the workspace's gate,
/// read once an answer.
pub(crate) struct Places<'a> {
    root: PathBuf,
    encoding: Encoding,
    documents: &'a Documents,
    text_of: TextOf,
    texts: HashMap<String, Option<Arc<str>>>,
}

impl<'a> Places<'a> {
    pub(crate) fn new(
        root: PathBuf,
        encoding: Encoding,
        documents: &'a Documents,
        text_of: TextOf,
    ) -> Self {
        Self { root, encoding, documents, text_of, texts: HashMap::new() }
    }

    pub(crate) fn location(&mut self, location: &Location) -> Option<lsp::Location> {
        Some(lsp::Location { uri: uri(&self.root, &location.path)?, range: self.range(location) })
    }

    pub(crate) fn range(&mut self, location: &Location) -> Range {
        Range {
            start: self.position(&location.path, location.start_line, location.start_column),
            end: self.position(&location.path, location.end_line, location.end_column),
        }
    }

    pub(crate) fn uri(&self, path: &str) -> Option<Uri> {
        uri(&self.root, path)
    }

    fn position(&mut self, path: &str, line: u32, utf16_column: u32) -> Position {
        if self.encoding == Encoding::Utf16 || utf16_column == 0 {
            return Position::new(line, utf16_column);
        }
        let Some(text) = self.text(path) else { return Position::new(line, utf16_column) };
        let content = documents::line(&text, line);
        let n_bytes = documents::column_bytes(content, utf16_column, Encoding::Utf16);
        Position::new(line, documents::columns(&content[..n_bytes], self.encoding))
    }

    fn text(&mut self, path: &str) -> Option<Arc<str>> {
        if let Some(text) = self.texts.get(path) {
            return text.clone();
        }
        let open = uri(&self.root, path).and_then(|uri| self.documents.view(&uri));
        let text = open.map(|document| document.text);
        let text = text.or_else(|| (self.text_of)(&self.root, path));
        self.texts.insert(path.to_owned(), text.clone());
        text
    }
}

pub(crate) fn symbol_kind(kind: &str) -> lsp::SymbolKind {
    match kind {
        "module" | "namespace" => lsp::SymbolKind::MODULE,
        "package" => lsp::SymbolKind::PACKAGE,
        "class" => lsp::SymbolKind::CLASS,
        "struct" | "union" => lsp::SymbolKind::STRUCT,
        "enum" => lsp::SymbolKind::ENUM,
        "enum-member" | "variant" => lsp::SymbolKind::ENUM_MEMBER,
        "trait" | "interface" | "protocol" => lsp::SymbolKind::INTERFACE,
        "method" => lsp::SymbolKind::METHOD,
        "constructor" => lsp::SymbolKind::CONSTRUCTOR,
        "property" => lsp::SymbolKind::PROPERTY,
        "field" => lsp::SymbolKind::FIELD,
        "constant" | "static" => lsp::SymbolKind::CONSTANT,
        "variable" | "parameter" => lsp::SymbolKind::VARIABLE,
        "type-parameter" => lsp::SymbolKind::TYPE_PARAMETER,
        "type" | "type-alias" | "impl" => lsp::SymbolKind::CLASS,
        "macro" | "function" => lsp::SymbolKind::FUNCTION,
        _ => lsp::SymbolKind::VARIABLE,
    }
}

pub(crate) fn completion_kind(kind: &str) -> lsp::CompletionItemKind {
    match kind {
        "module" | "namespace" | "package" => lsp::CompletionItemKind::MODULE,
        "class" | "type" | "type-alias" => lsp::CompletionItemKind::CLASS,
        "struct" | "union" => lsp::CompletionItemKind::STRUCT,
        "enum" => lsp::CompletionItemKind::ENUM,
        "enum-member" | "variant" => lsp::CompletionItemKind::ENUM_MEMBER,
        "trait" | "interface" | "protocol" => lsp::CompletionItemKind::INTERFACE,
        "method" => lsp::CompletionItemKind::METHOD,
        "constructor" => lsp::CompletionItemKind::CONSTRUCTOR,
        "property" => lsp::CompletionItemKind::PROPERTY,
        "field" => lsp::CompletionItemKind::FIELD,
        "constant" | "static" => lsp::CompletionItemKind::CONSTANT,
        "type-parameter" => lsp::CompletionItemKind::TYPE_PARAMETER,
        "macro" | "function" => lsp::CompletionItemKind::FUNCTION,
        "keyword" => lsp::CompletionItemKind::KEYWORD,
        _ => lsp::CompletionItemKind::VARIABLE,
    }
}

/// The tree of a file's symbols, from the list in document order with depths.
pub(crate) fn document_symbols(
    places: &mut Places<'_>,
    symbols: &[SymbolView],
) -> Vec<lsp::DocumentSymbol> {
    // Open nodes from the outside in; a symbol of depth d closes everything of depth d and more.
    let mut open: Vec<(u32, lsp::DocumentSymbol)> = Vec::new();
    let mut roots = Vec::new();
    let close = |open: &mut Vec<(u32, lsp::DocumentSymbol)>,
                 roots: &mut Vec<lsp::DocumentSymbol>| {
        if let Some((_, done)) = open.pop() {
            match open.last_mut() {
                Some((_, parent)) => parent.children.get_or_insert_default().push(done),
                None => roots.push(done),
            }
        }
    };
    for symbol in symbols {
        while open.last().is_some_and(|(depth, _)| *depth >= symbol.depth) {
            close(&mut open, &mut roots);
        }
        let (range, selection_range) = item_ranges(places, symbol);
        #[expect(deprecated, reason = "the type has the field and no constructor")]
        let node = lsp::DocumentSymbol {
            name: name(symbol),
            detail: (!symbol.signature.is_empty()).then(|| symbol.signature.clone()),
            kind: symbol_kind(&symbol.kind),
            tags: None,
            deprecated: None,
            range,
            selection_range,
            children: None,
        };
        open.push((symbol.depth, node));
    }
    while !open.is_empty() {
        close(&mut open, &mut roots);
    }
    roots
}

/// The range of the whole item and that of its name.
pub(crate) fn item_ranges(places: &mut Places<'_>, symbol: &SymbolView) -> (Range, Range) {
    let name = places.range(&symbol.location);
    let mut item = places.range(&symbol.enclosing);
    // Clients drop the whole answer if a name lies outside its item.
    item.start = item.start.min(name.start);
    item.end = item.end.max(name.end);
    (item, name)
}

/// The flat form, for clients without trees and for `workspace/symbol`.
pub(crate) fn symbol_information(
    places: &mut Places<'_>,
    symbol: &SymbolView,
) -> Option<lsp::SymbolInformation> {
    #[expect(deprecated, reason = "the type has the field and no constructor")]
    Some(lsp::SymbolInformation {
        name: name(symbol),
        kind: symbol_kind(&symbol.kind),
        tags: None,
        deprecated: None,
        location: places.location(&symbol.location)?,
        container_name: (!symbol.container.is_empty()).then(|| symbol.container.clone()),
    })
}

/// An empty name is not valid in the protocol.
pub(crate) fn name(symbol: &SymbolView) -> String {
    if symbol.name.trim().is_empty() { "<unnamed>".to_owned() } else { symbol.name.clone() }
}
