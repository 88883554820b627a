//! `textDocument/hover`: signature, documentation, where it is defined and how sure that is.

use std::{path::Path, sync::Arc};

use fovea_api::{Answer, Method, SymbolView, clean};
use tower_lsp_server::{
    jsonrpc::Result,
    ls_types::{Hover, HoverContents, HoverParams, MarkupContent, MarkupKind},
};

use crate::{server::Shared, session::Feature};

pub(crate) async fn hover(shared: &Arc<Shared>, params: HoverParams) -> Result<Option<Hover>> {
    let cursor = params.text_document_position_params;
    let session = shared.session();
    let Some((root, at)) = shared.cursor(Feature::Hover, &cursor) else { return Ok(None) };
    let Some(Answer::Definitions { symbols, external }) =
        shared.ask(root, Method::Definition { at }).await?
    else {
        return Ok(None);
    };
    let text = match (symbols.first(), external) {
        (Some(symbol), _) => describe(symbol, symbols.len() - 1, session.markdown_hover),
        (None, Some(external)) => format!("{external} (defined outside this workspace)"),
        (None, None) => return Ok(None),
    };
    let kind = if session.markdown_hover { MarkupKind::Markdown } else { MarkupKind::PlainText };
    let contents = HoverContents::Markup(MarkupContent { kind, value: text });
    Ok(Some(Hover { contents, range: None }))
}

/// Repository text is shown in fences only: rendered as Markdown it could load images from the
/// network or offer links.
fn describe(symbol: &SymbolView, n_others: usize, markdown: bool) -> String {
    let place = format!("{}:{}", symbol.location.path, symbol.location.start_line + 1);
    let mut note = format!("{} · {} · {}", symbol.kind, symbol.certainty, place);
    if n_others > 0 {
        note.push_str(&format!(" · {n_others} more"));
    }
    let signature =
        if symbol.signature.is_empty() { symbol.name.as_str() } else { &symbol.signature };
    // What hides or reorders text is shown, in fences too.
    let (signature, note) = (&*clean(signature), clean(&note));
    let doc = &*clean(symbol.doc.as_deref().unwrap_or_default().trim());
    if !markdown {
        return [signature, doc, &note]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("\n\n");
    }
    let mut text = fence(language(&symbol.location.path), signature);
    if !doc.is_empty() {
        text.push_str(&fence("text", doc));
    }
    // The path is repository text as well.
    text.push_str(&format!("`{}`", note.replace(['`', '\n', '\r'], " ")));
    text
}

/// A fence that `content` cannot close.
fn fence(language: &str, content: &str) -> String {
    let longest = content.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let ticks = "`".repeat(longest.max(2) + 1);
    format!("{ticks}{language}\n{content}\n{ticks}\n")
}

fn language(path: &str) -> &'static str {
    match Path::new(path).extension().and_then(|extension| extension.to_str()) {
        Some("rs") => "rust",
        Some("py" | "pyi") => "python",
        Some("js" | "mjs" | "cjs" | "jsx") => "javascript",
        Some("ts" | "tsx" | "mts" | "cts") => "typescript",
        Some("go") => "go",
        Some("java") => "java",
        Some("c" | "h") => "c",
        Some("cc" | "cpp" | "cxx" | "hpp" | "hh") => "cpp",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::fence;

    #[test]
    fn content_cannot_close_its_fence() {
        assert_eq!(fence("text", "a\n```\n![](x)"), "````text\na\n```\n![](x)\n````\n");
        assert_eq!(fence("rust", "fn f()"), "```rust\nfn f()\n```\n");
    }
}
