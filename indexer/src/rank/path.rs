//! What a path says about a file: tests, documentation, examples, vendored and generated code.

use crate::Language;

/// Roles of a file by the conventions of its path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PathRole {
    pub(crate) is_test: bool,
    pub(crate) is_doc: bool,
    pub(crate) is_example: bool,
    /// Third-party or generated: nobody here wrote it.
    pub(crate) is_foreign: bool,
    /// Kept for old callers: compatibility layers, deprecated and superseded versions.
    pub(crate) is_legacy: bool,
    /// Gathers names that are defined elsewhere: `__init__.py`, `lib.rs` of a facade.
    pub(crate) is_index: bool,
    /// Below a folder or in a file that starts with `_`: not what others should call.
    pub(crate) is_private: bool,
    /// Neither code nor prose.
    pub(crate) is_data: bool,
}

impl PathRole {
    pub(crate) fn of(path: &str, language: Language) -> Self {
        let mut role = Self::default();
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        for folder in folders.split('/') {
            match folder {
                "test" | "tests" | "testdata" | "__tests__" | "spec" | "specs" | "fixtures" => {
                    role.is_test = true;
                }
                "doc" | "docs" | "docs_src" => role.is_doc = true,
                "example" | "examples" | "bench" | "benches" | "benchmark" | "benchmarks"
                | "demo" | "demos" | "samples" => role.is_example = true,
                "vendor" | "vendored" | "_vendor" | "third_party" | "third-party"
                | "node_modules" | "generated" | "dist" => role.is_foreign = true,
                "legacy" | "deprecated" | "_deprecated" | "compat" | "v1" => role.is_legacy = true,
                _ => {}
            }
        }
        let stem = name.split('.').next().unwrap_or(name);
        role.is_test |= stem.starts_with("test_")
            || stem.ends_with("_test")
            || stem.ends_with("_tests")
            || matches!(stem, "tests" | "conftest")
            || name.contains(".test.")
            || name.contains(".spec.");
        role.is_foreign |= name.ends_with("_pb2.py")
            || name.contains(".min.")
            || name.ends_with(".lock")
            || name.contains(".generated.");
        role.is_legacy |= matches!(stem, "compat" | "_compat" | "deprecated" | "legacy");
        role.is_index = matches!(name, "__init__.py" | "mod.rs" | "index.js" | "index.ts");
        let private = |part: &str| part.starts_with('_') && !part.starts_with("__");
        role.is_private = path.split('/').any(private);
        role.is_doc |= language == Language::Markdown;
        role.is_data = language == Language::Text;
        role
    }
}

/// Short forms that name files all over the world, with what they stand for (as stems).
const ABBREVIATIONS: &[(&str, &str)] = &[
    ("arg", "argument"),
    ("cert", "certificat"),
    ("cfg", "configur"),
    ("cli", "command"),
    ("cmd", "command"),
    ("conf", "configur"),
    ("conn", "connect"),
    ("ctx", "context"),
    ("db", "databas"),
    ("de", "deserializ"),
    ("env", "environ"),
    ("err", "error"),
    ("fs", "file"),
    ("io", "input"),
    ("msg", "messag"),
    ("param", "paramet"),
    ("req", "request"),
    ("resp", "respons"),
    ("ser", "serializ"),
    ("sync", "synchroniz"),
    ("ui", "interfac"),
];

/// The part of a path that names what the file is about: its stem, or the folder's name where the
/// stem says nothing (`mod.rs`).
pub(crate) fn subject(path: &str) -> &str {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = name.split('.').next().unwrap_or(name);
    let is_generic = matches!(stem, "mod" | "lib" | "main" | "index" | "__init__" | "");
    if is_generic && !folders.is_empty() {
        let folder = folders.rsplit('/').next().unwrap_or(folders);
        if folder != "src" {
            return folder;
        }
        return folders.trim_end_matches("/src").rsplit('/').next().unwrap_or(stem);
    }
    stem
}

/// How alike two stems are, in `0..=1`: equal, one the start of the other (`auth`,
/// `authentication`), or a known short form.
pub(crate) fn likeness(word: &str, term: &str) -> f32 {
    if word == term {
        return 1.0;
    }
    let shorter = word.len().min(term.len());
    if shorter >= 4 && (word.starts_with(term) || term.starts_with(word)) {
        return 0.8;
    }
    let stands_for = |short: &str, long: &str| ABBREVIATIONS.contains(&(short, long));
    if stands_for(word, term) || stands_for(term, word) { 0.8 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_and_short_forms() {
        assert_eq!(subject("src/click/formatting.py"), "formatting");
        assert_eq!(subject("serde_core/src/de/mod.rs"), "de");
        assert_eq!(subject("indexer/src/lib.rs"), "indexer");
        assert_eq!(likeness("auth", "authentic"), 0.8);
        assert_eq!(likeness("ctx", "context"), 0.8);
        assert_eq!(likeness("form", "format"), 0.8);
        assert_eq!(likeness("core", "cookie"), 0.0);
    }

    #[test]
    fn roles_by_convention() {
        let role =
            |path: &str| PathRole::of(path, Language::of_path(path).unwrap_or(Language::Text));
        assert!(role("tests/test_app.py").is_test);
        assert!(role("src/sync/tests/notify.rs").is_test);
        assert!(!role("src/click/testing.py").is_test);
        assert!(role("docs/api.rst").is_doc && role("README.md").is_doc);
        assert!(role("pydantic/v1/main.py").is_legacy);
        assert!(role("proto/a_pb2.py").is_foreign);
    }
}
