//! What agents write for a place: `FILE:LINE:COL`, `FILE:LINE`, or a symbol's name.

use std::path::Path;

use fovea_api::{Answer, At, Encoding, Location, Method, SymbolView};

use super::{
    engine::{Engine, Refusal},
    page::name,
};
use crate::commands::typed_position;

/// Names that are looked at for an exact match.
const N_CANDIDATES: usize = 64;

/// One call's view of the engine.
pub(super) struct Asking<'a> {
    pub(super) engine: &'a Engine,
    pub(super) is_unwanted: &'a dyn Fn() -> bool,
}

impl<'a> Asking<'a> {
    pub(super) fn ask(
        &self,
        root: &Path,
        method: Method,
    ) -> Result<super::engine::Answered, Refusal> {
        self.engine.ask(root, method, self.is_unwanted)
    }

    /// The cursor at `FILE:LINE:COL`; without a column, the end of the line.
    pub(super) fn cursor(
        &self,
        root: Option<&str>,
        typed: &str,
    ) -> Result<(&'a Path, At), Refusal> {
        let Some(position) = typed_position(typed) else {
            return Err(format!("`{}` is not a place; write FILE:LINE:COL from 1", name(typed)));
        };
        if position.line == 0 || position.column == Some(0) {
            return Err("lines and columns count from 1".to_owned());
        }
        let (root, path) = self.engine.locate(root, &position.file.to_string_lossy())?;
        let (column, encoding) = match position.column {
            Some(column) => (column - 1, Encoding::Utf32),
            // Too large a UTF-16 column is the end of the line.
            None => (u32::MAX, Encoding::Utf16),
        };
        Ok((root, At { path, line: position.line - 1, column, encoding }))
    }

    /// The symbol meant by `typed`: a place, the line of a definition, or a name. Of several of that
    /// name the best one; the others are returned beside it.
    pub(super) fn symbol(
        &self,
        root: Option<&str>,
        typed: &str,
    ) -> Result<(&'a Path, At, Vec<SymbolView>), Refusal> {
        if let Some(position) = typed_position(typed) {
            let (root, mut at) = self.cursor(root, typed)?;
            if position.column.is_none() {
                let symbols = self.ask(root, Method::DocumentSymbols { path: at.path.clone() })?.0;
                let Answer::Symbols(symbols) = symbols else { return Err(unexpected()) };
                let defined = symbols.iter().find(|symbol| symbol.location.start_line == at.line);
                let Some(symbol) = defined else {
                    return Err("no symbol is defined on that line; add a column".to_owned());
                };
                at = start_of(&symbol.location);
            }
            return Ok((root, at, Vec::new()));
        }
        let root = self.engine.root(root)?;
        let mut symbols = self.named(root, typed)?;
        if symbols.is_empty() {
            let similar = self.ask(root, Method::Symbols { query: typed.to_owned(), limit: 5 })?.0;
            let Answer::Symbols(similar) = similar else { return Err(unexpected()) };
            let similar: Vec<String> =
                similar.iter().map(|symbol| format!("`{}`", name(&symbol.name))).collect();
            let hint = if similar.is_empty() {
                "`search` finds words".to_owned()
            } else {
                format!("similar names: {}", similar.join(", "))
            };
            return Err(format!("no symbol is named `{}`; {hint}", name(typed)));
        }
        let best = symbols.remove(0);
        Ok((root, start_of(&best.location), symbols))
    }

    /// All definitions of a name, best first; `Type.method` and `module::function` narrow.
    pub(super) fn named(&self, root: &Path, typed: &str) -> Result<Vec<SymbolView>, Refusal> {
        let (container, last) = match typed.rfind(['.', ':']) {
            Some(at) => (typed[..at].trim_end_matches(':'), &typed[at + 1..]),
            None => ("", typed),
        };
        let method = Method::Symbols { query: last.to_owned(), limit: N_CANDIDATES };
        let Answer::Symbols(mut symbols) = self.ask(root, method)?.0 else {
            return Err(unexpected());
        };
        symbols.retain(|symbol| {
            symbol.name == last && (container.is_empty() || symbol.container.ends_with(container))
        });
        Ok(symbols)
    }
}

fn start_of(location: &Location) -> At {
    At {
        path: location.path.clone(),
        line: location.start_line,
        column: location.start_column,
        encoding: Encoding::Utf16,
    }
}

pub(super) fn unexpected() -> Refusal {
    "internal error: the daemon gave an answer of another kind".to_owned()
}
