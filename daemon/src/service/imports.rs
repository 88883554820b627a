//! Names of other files that a completion can offer together with the line that imports them.

use std::collections::HashSet;

use fovea_api::{CompletionItem, ImportEdit, Location};
use fovea_indexer::{FileId, Language, SymbolId, facts::SymbolKind, graph::Certainty};

use super::{
    query::{Place, Query},
    views::one_line,
};

/// With fewer letters every name of the project would fit.
const MIN_TYPED: usize = 3;
/// Names offered with an import, at most.
const MAX_OFFERED: usize = 20;

impl Query<'_> {
    /// Public names of other files that begin with `typed` (in lower case) and are not `known` here.
    pub(super) fn importable(
        &self,
        file: FileId,
        place: &Place,
        typed: &str,
        known: &HashSet<String>,
        replace: &Location,
        room: usize,
    ) -> Vec<CompletionItem> {
        let Some(language) = self.snapshot.facts(file).map(|facts| facts.language) else {
            return Vec::new();
        };
        if typed.chars().count() < MIN_TYPED {
            return Vec::new();
        }
        let views = self.views();
        let mut seen = HashSet::new();
        let found = self.snapshot.symbols_matching(typed, MAX_OFFERED * 8);
        let items = found.into_iter().filter_map(|(id, _)| {
            let graph = self.snapshot.graph();
            let symbol = graph.symbol(id)?;
            let fits = symbol.name.to_lowercase().starts_with(typed)
                && id.file != file
                && symbol.is_public
                && !symbol.is_test
                && is_importable(symbol.kind)
                && !known.contains(&symbol.name);
            if !fits || !self.is_top_level(id) {
                return None;
            }
            let line = self.import_line(language, file, id, &symbol.name)?;
            if !seen.insert(line.clone()) {
                return None;
            }
            let view = views.symbol(id, Certainty::Inferred)?;
            Some(CompletionItem {
                label: symbol.name.clone(),
                kind: view.kind,
                detail: one_line(&view.signature),
                doc: view.doc,
                certainty: view.certainty,
                path: Some(view.location.path),
                replace: replace.clone(),
                import: Some(insertion(language, &place.text, line)),
            })
        });
        items.take(room.min(MAX_OFFERED)).collect()
    }

    fn is_top_level(&self, id: SymbolId) -> bool {
        let Some(facts) = self.snapshot.facts(id.file) else { return false };
        let Some(symbol) = facts.symbols.get(id.index as usize) else { return false };
        let parent = symbol.parent.and_then(|index| facts.symbols.get(index as usize));
        // The file itself may be a symbol without a name.
        parent.is_none_or(|parent| parent.name.is_empty() && parent.parent.is_none())
    }

    /// The import of `name`, defined at `id`, as `file` would write it.
    fn import_line(
        &self,
        language: Language,
        file: FileId,
        id: SymbolId,
        name: &str,
    ) -> Option<String> {
        let other = self.snapshot.facts(id.file)?.language;
        let (from, to) = (self.snapshot.path(file), self.snapshot.path(id.file));
        match (language, other) {
            (Language::Python, Language::Python) => {
                let module = python_module(to, |path| self.snapshot.file(path).is_some())?;
                Some(format!("from {module} import {name}"))
            }
            (Language::Rust, Language::Rust) => {
                let module = rust_module(from, to)?;
                Some(format!("use {module}::{name};"))
            }
            (Language::TypeScript, Language::TypeScript)
            | (Language::JavaScript, Language::JavaScript) => {
                Some(format!("import {{ {name} }} from '{}';", relative_module(from, to)))
            }
            _ => None,
        }
    }
}

fn is_importable(kind: SymbolKind) -> bool {
    use SymbolKind as K;
    matches!(
        kind,
        K::Class
            | K::Struct
            | K::Enum
            | K::Union
            | K::Trait
            | K::Interface
            | K::Function
            | K::Constant
            | K::Static
            | K::TypeAlias
    )
}

/// Dotted name of the module in `path`: from the outermost package that holds it.
fn python_module(path: &str, exists: impl Fn(&str) -> bool) -> Option<String> {
    let stem = path.strip_suffix(".py").or_else(|| path.strip_suffix(".pyi"))?;
    let parts: Vec<&str> = stem.split('/').collect();
    let is_package = |n: usize| exists(&format!("{}/__init__.py", parts[..n].join("/")));
    let mut first = parts.len() - 1;
    while first > 0 && is_package(first) {
        first -= 1;
    }
    if first == parts.len() - 1 && first > 0 {
        // No package at all: from the root, without the usual folder for sources.
        first = usize::from(matches!(parts[0], "src" | "lib"));
    }
    let mut parts = parts[first..].to_vec();
    if parts.last() == Some(&"__init__") {
        parts.pop();
    }
    let is_name =
        |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
    (!parts.is_empty() && parts.iter().all(is_name)).then(|| parts.join("."))
}

/// `crate::a::b` of the file `to`, if `from` is of the same crate.
fn rust_module(from: &str, to: &str) -> Option<String> {
    let (crate_of_from, _) = split_src(from)?;
    let (crate_of_to, below) = split_src(to)?;
    if crate_of_from != crate_of_to {
        return None;
    }
    let stem = below.strip_suffix(".rs")?;
    let mut parts: Vec<&str> = stem.split('/').collect();
    match parts.last() {
        Some(&"mod") => drop(parts.pop()),
        Some(&("lib" | "main")) if parts.len() == 1 => drop(parts.pop()),
        _ => {}
    }
    // Programs of their own.
    if parts.first() == Some(&"bin") {
        return None;
    }
    Some(std::iter::once("crate").chain(parts).collect::<Vec<_>>().join("::"))
}

fn split_src(path: &str) -> Option<(&str, &str)> {
    if let Some(below) = path.strip_prefix("src/") {
        return Some(("", below));
    }
    path.rsplit_once("/src/")
}

/// `./x` or `../a/x`, without the extension.
fn relative_module(from: &str, to: &str) -> String {
    let folders: Vec<&str> = from.split('/').collect();
    let target: Vec<&str> = to.split('/').collect();
    let (folders, n) = (&folders[..folders.len() - 1], target.len() - 1);
    let n_shared = folders.iter().zip(&target[..n]).take_while(|(a, b)| a == b).count();
    let up = "../".repeat(folders.len() - n_shared);
    let below = target[n_shared..].join("/");
    let stem = below.rsplit_once('.').map_or(below.as_str(), |(stem, _)| stem);
    let stem = stem.strip_suffix("/index").unwrap_or(stem);
    if up.is_empty() { format!("./{stem}") } else { format!("{up}{stem}") }
}

/// Puts `line` before the last import at the left margin, which is always a whole statement's start;
/// without one, behind the comments and documentation at the top.
fn insertion(language: Language, text: &str, line: String) -> ImportEdit {
    let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let is_import = |line: &str| match language {
        Language::Python => {
            (line.starts_with("import ") || line.starts_with("from "))
                && !line.starts_with("from __future__")
        }
        Language::Rust => line.starts_with("use "),
        _ => line.starts_with("import "),
    };
    let text_of = |gap: &str| format!("{line}{ending}{gap}");
    let mut last = None;
    let mut in_doc: Option<&str> = None;
    let mut behind_header = 0;
    let mut is_header = true;
    for (number, content) in text.lines().enumerate() {
        let trimmed = content.trim();
        if let Some(quotes) = in_doc {
            if trimmed.contains(quotes) {
                in_doc = None;
                behind_header = number + 1;
            }
            continue;
        }
        if is_header {
            let quotes = ["\"\"\"", "'''"].into_iter().find(|quotes| trimmed.starts_with(quotes));
            if let Some(quotes) = quotes {
                if !trimmed[3..].contains(quotes) {
                    in_doc = Some(quotes);
                }
                behind_header = number + 1;
                continue;
            }
            let is_comment = ["//", "#", "/*", "*"].iter().any(|mark| trimmed.starts_with(mark));
            if is_comment || trimmed.starts_with("from __future__") || trimmed == "'use strict';" {
                behind_header = number + 1;
                continue;
            }
            is_header = trimmed.is_empty();
        }
        if is_import(content) {
            last = Some(number);
        }
    }
    match last {
        Some(number) => ImportEdit { line: number as u32, text: text_of("") },
        None => ImportEdit { line: behind_header as u32, text: text_of(ending) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_named_as_their_language_names_them() {
        let exists =
            |path: &str| matches!(path, "src/larder/__init__.py" | "src/larder/a/__init__.py");
        assert_eq!(python_module("src/larder/a/b.py", exists).as_deref(), Some("larder.a.b"));
        assert_eq!(python_module("src/larder/__init__.py", exists).as_deref(), Some("larder"));
        assert_eq!(python_module("src/tool/x.py", |_| false).as_deref(), Some("tool.x"));
        assert_eq!(python_module("tool.py", |_| false).as_deref(), Some("tool"));
        assert_eq!(python_module("a-b/c.py", |_| false), None);

        assert_eq!(rust_module("src/main.rs", "src/a/b.rs").as_deref(), Some("crate::a::b"));
        assert_eq!(rust_module("x/src/c.rs", "x/src/a/mod.rs").as_deref(), Some("crate::a"));
        assert_eq!(rust_module("x/src/c.rs", "x/src/lib.rs").as_deref(), Some("crate"));
        assert_eq!(rust_module("x/src/c.rs", "y/src/a.rs"), None);
        assert_eq!(rust_module("tests/a.rs", "src/a.rs"), None);

        assert_eq!(relative_module("src/a/b.ts", "src/c/d.ts"), "../c/d");
        assert_eq!(relative_module("src/a.ts", "src/c/index.ts"), "./c");
    }

    fn check_insertion(language: Language, text: &str, line: u32, inserted: &str) {
        let edit = insertion(language, text, "LINE".to_owned());
        assert_eq!((edit.line, edit.text.as_str()), (line, inserted), "{text}");
    }

    #[test]
    fn imports_go_to_a_place_that_is_always_valid() {
        let python = "\"\"\"Doc\n\nof it.\"\"\"\nfrom __future__ import annotations\n\nimport a\nfrom b import (\n    c,\n)\n\nx = 1\n";
        check_insertion(Language::Python, python, 6, "LINE\n");
        check_insertion(Language::Python, "\"\"\"Doc.\"\"\"\nx = 1\n", 1, "LINE\n\n");
        check_insertion(Language::Python, "x = 1\n", 0, "LINE\n\n");
        check_insertion(Language::Python, "from __future__ import a\nx = 1\n", 1, "LINE\n\n");
        check_insertion(
            Language::Rust,
            "//! Doc.\r\n\r\nuse a::{\r\n    b,\r\n};\r\n",
            2,
            "LINE\r\n",
        );
    }
}
