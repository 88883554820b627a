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
        role.is_doc |= language == Language::Markdown;
        role.is_data = language == Language::Text;
        role
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
