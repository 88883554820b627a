//! Why a GGUF file was refused. Every variant names the field; a person can find it in a dump.

use std::path::PathBuf;

/// The file was refused before any byte of it was used as a weight or as a token.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    #[error("cannot read model file `{path}`: {source}; check that it exists and is readable")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("`{path}` is not a GGUF file: {reason}; fetch the model again or pick another file")]
    NotGguf { path: PathBuf, reason: String },
    #[error("GGUF file refused: {field}: {reason}; fetch the model again or pick another file")]
    Refused { field: String, reason: String },
    #[error(
        "GGUF metadata lacks `{key}`, which {needed_for} needs; this is not a usable model file"
    )]
    Missing { key: String, needed_for: &'static str },
    #[error("GGUF metadata `{key}` is {found}, expected {expected}")]
    Type { key: String, found: &'static str, expected: &'static str },
}

impl GgufError {
    pub(crate) fn refused(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Refused { field: field.into(), reason: reason.into() }
    }
}
