//! The language table: names, extensions, grammars. A further language is a row and a queries
//! folder; only Rust and Python have resolvers in code.

use serde::{Deserialize, Serialize};

/// A language that Fovea parses, or `Text` for what is searched but not parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    Rust,
    Python,
    JavaScript,
    TypeScript,
    Tsx,
    Go,
    C,
    Cpp,
    Java,
    /// Prose with headings: README files, docs.
    Markdown,
    /// TOML, YAML, plain text, unknown extensions that are valid UTF-8.
    Text,
}

/// How much the project graph knows of a language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Own resolver: imports, scopes and types are followed.
    Resolved,
    /// Tags query only: outline, chunks, search, `name-only` edges.
    Tags,
    /// Not parsed: chunks by lines or headings.
    Text,
}

struct Row {
    language: Language,
    name: &'static str,
    extensions: &'static [&'static str],
    file_names: &'static [&'static str],
    line_comment: &'static str,
    support: Support,
}

#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row { language: Language::Rust, name: "rust", extensions: &["rs"], file_names: &[], line_comment: "//", support: Support::Resolved },
    Row { language: Language::Python, name: "python", extensions: &["py", "pyi"], file_names: &[], line_comment: "#", support: Support::Resolved },
    Row { language: Language::JavaScript, name: "javascript", extensions: &["js", "mjs", "cjs", "jsx"], file_names: &[], line_comment: "//", support: Support::Tags },
    Row { language: Language::TypeScript, name: "typescript", extensions: &["ts", "mts", "cts"], file_names: &[], line_comment: "//", support: Support::Tags },
    Row { language: Language::Tsx, name: "tsx", extensions: &["tsx"], file_names: &[], line_comment: "//", support: Support::Tags },
    Row { language: Language::Go, name: "go", extensions: &["go"], file_names: &[], line_comment: "//", support: Support::Tags },
    Row { language: Language::C, name: "c", extensions: &["c", "h"], file_names: &[], line_comment: "//", support: Support::Tags },
    Row { language: Language::Cpp, name: "cpp", extensions: &["cc", "cpp", "cxx", "hpp", "hh", "hxx"], file_names: &[], line_comment: "//", support: Support::Tags },
    Row { language: Language::Java, name: "java", extensions: &["java"], file_names: &[], line_comment: "//", support: Support::Tags },
    Row { language: Language::Markdown, name: "markdown", extensions: &["md", "markdown", "rst"], file_names: &["README"], line_comment: "", support: Support::Text },
    Row { language: Language::Text, name: "text", extensions: &["toml", "yaml", "yml", "txt", "cfg", "ini", "json", "sh", "sql", "proto", "html", "css"], file_names: &["Makefile", "Dockerfile", "LICENSE"], line_comment: "#", support: Support::Text },
];

impl Language {
    /// All languages, in table order.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.language)
    }

    /// The language of a path by file name, then by extension; `None` if the table has neither.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let extension = name.rsplit_once('.').map(|(_, extension)| extension);
        TABLE
            .iter()
            .find(|row| row.file_names.contains(&name))
            .or_else(|| {
                TABLE.iter().find(|row| extension.is_some_and(|e| row.extensions.contains(&e)))
            })
            .map(|row| row.language)
    }

    /// The language called `name` (as [`Language::name`] prints it).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.language)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What starts a line comment; empty if the language has none.
    #[must_use]
    pub fn line_comment(self) -> &'static str {
        self.row().line_comment
    }

    #[must_use]
    pub fn support(self) -> Support {
        self.row().support
    }

    fn row(self) -> &'static Row {
        TABLE.iter().find(|row| row.language == self).expect("every language has a row")
    }
}
