//! What one file's text alone says: symbols, occurrences, imports, chunks. No paths, no ids of
//! other files, so facts are stored under the hash of the content and shared by branches,
//! worktrees and clones.

use serde::{Deserialize, Serialize};

use crate::{Language, names::Names, text::ByteRange};

/// Part of every facts key. Raise it when the meaning or the layout of [`FileFacts`] changes;
/// stored facts of another version are extracted anew.
pub const EXTRACTOR_VERSION: u32 = 3;

/// Everything derived from one file's text. Ranges are byte offsets into that text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FileFacts {
    pub language: Language,
    pub n_bytes: u32,
    pub n_lines: u32,
    /// Definitions in document order; a symbol's parent comes before it.
    pub symbols: Vec<SymbolFacts>,
    /// References (and definitions' own names) ordered by range start.
    pub occurrences: Vec<OccurrenceFacts>,
    /// The distinct names of the occurrences and aliases; `OccurrenceFacts::name` points here.
    pub names: Names,
    /// Imports that rename, as `(new name, old name)` into `names`.
    pub aliases: Vec<(u32, u32)>,
    /// Contiguous, non-overlapping, in order, together the whole file.
    pub chunks: Vec<ChunkFacts>,
    /// Syntax errors found; facts of broken code are best effort.
    pub n_syntax_errors: u32,
    /// True if extraction stopped at a stated limit (size, depth, time).
    pub cut: bool,
    /// Module documentation's first sentence, if any.
    pub doc: Option<String>,
    /// What only this language's resolver reads.
    pub resolver: ResolverFacts,
}

/// The private facts of a language's resolver.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub enum ResolverFacts {
    #[default]
    None,
    Rust(Box<crate::graph::rust::RustFacts>),
    Python(Box<crate::graph::python::PythonFacts>),
    /// A `Cargo.toml`, which the Rust resolver reads crates from.
    CargoManifest(Box<crate::graph::rust::manifest::CargoManifest>),
}

impl FileFacts {
    /// The name at an occurrence.
    #[must_use]
    pub fn name_of(&self, occurrence: &OccurrenceFacts) -> &str {
        self.names.get(occurrence.name as usize).unwrap_or_default()
    }

    /// The occurrence at or just before `offset`: a cursor behind a name still means it.
    #[must_use]
    pub fn occurrence_at(&self, offset: u32) -> Option<usize> {
        let behind = self.occurrences.partition_point(|o| o.range.start <= offset);
        self.occurrences[..behind]
            .last()
            .is_some_and(|o| o.range.touches(offset))
            .then(|| behind - 1)
    }

    /// The symbol whose name stands at `range`.
    #[must_use]
    pub fn symbol_named_at(&self, range: ByteRange) -> Option<u32> {
        self.symbols.iter().position(|s| s.name_range == range).map(|index| index as u32)
    }
}

/// One definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolFacts {
    pub name: String,
    pub kind: SymbolKind,
    /// The name alone.
    pub name_range: ByteRange,
    /// The whole item: attributes, decorators and doc comment included.
    pub enclosing_range: ByteRange,
    /// From the item's first keyword to where its body begins: what a contract shows.
    pub signature_range: ByteRange,
    /// Index of the enclosing symbol in the same facts.
    pub parent: Option<u32>,
    /// First sentence of the documentation, if any.
    pub doc: Option<String>,
    /// Visible outside its file by the language's rules or conventions.
    pub is_public: bool,
    /// A test, or inside one.
    pub is_test: bool,
}

impl SymbolFacts {
    /// A name that only code around it can see: parameters, type parameters, local variables.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self.kind {
            SymbolKind::Parameter | SymbolKind::TypeParameter => true,
            SymbolKind::Variable => self.parent.is_some(),
            _ => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SymbolKind {
    Module,
    Class,
    Struct,
    Enum,
    Variant,
    Union,
    Trait,
    Interface,
    /// A Rust `impl` block; named by its type.
    Impl,
    Function,
    Method,
    Field,
    Property,
    Constant,
    Static,
    Variable,
    Parameter,
    TypeAlias,
    TypeParameter,
    Macro,
    /// A Markdown heading.
    Heading,
}

impl SymbolKind {
    /// The word shown to people and in JSON, as serde writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Module => "module",
            Self::Class => "class",
            Self::Struct => "struct",
            Self::Enum => "enum",
            Self::Variant => "variant",
            Self::Union => "union",
            Self::Trait => "trait",
            Self::Interface => "interface",
            Self::Impl => "impl",
            Self::Function => "function",
            Self::Method => "method",
            Self::Field => "field",
            Self::Property => "property",
            Self::Constant => "constant",
            Self::Static => "static",
            Self::Variable => "variable",
            Self::Parameter => "parameter",
            Self::TypeAlias => "type-alias",
            Self::TypeParameter => "type-parameter",
            Self::Macro => "macro",
            Self::Heading => "heading",
        }
    }

    /// True for what an outline lists; locals and parameters are not.
    #[must_use]
    pub fn is_outline(self) -> bool {
        !matches!(self, Self::Parameter | Self::TypeParameter)
    }
}

/// One range where a name occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OccurrenceFacts {
    pub range: ByteRange,
    pub role: Role,
    /// The symbol that encloses it, if any: the caller, for a call.
    pub enclosing: Option<u32>,
    /// Index into [`FileFacts::names`].
    pub name: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Definition,
    /// A read or any mention that is not one of the others.
    Reference,
    Call,
    Import,
    /// In type position: annotation, base class, trait bound.
    Type,
    Write,
}

/// The unit that is indexed and embedded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkFacts {
    pub range: ByteRange,
    /// Zero-based first line, and the line behind the last.
    pub lines: (u32, u32),
    /// The symbol the chunk is the text of, or lies in.
    pub symbol: Option<u32>,
}
