//! What the client told us at `initialize`, and where files belong.

use std::{
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use fovea_api::{Encoding, Preset};
use serde::Deserialize;
use tower_lsp_server::ls_types::{InitializeParams, MarkupKind, PositionEncodingKind, Uri};

use crate::{ProjectOf, convert::from_proto};

/// `initializationOptions`, and the `fovea` section of a configuration change.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Options {
    pub(crate) features: Features,
    pub(crate) preset: Preset,
    /// Context budget of a completion, in tokens; the preset's own if absent.
    pub(crate) budget_tokens: Option<usize>,
    /// Most tokens of one suggestion; the daemon's own limit if absent.
    pub(crate) max_tokens: Option<usize>,
}

/// What the server offers; each can be switched off, for clients that run another server beside.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Features {
    pub(crate) inline_completion: bool,
    pub(crate) workspace_symbol: bool,
    pub(crate) completion: bool,
    pub(crate) definition: bool,
    pub(crate) implementation: bool,
    pub(crate) references: bool,
    pub(crate) document_symbol: bool,
    pub(crate) hover: bool,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            inline_completion: true,
            workspace_symbol: true,
            completion: true,
            definition: true,
            implementation: true,
            references: true,
            document_symbol: true,
            hover: true,
        }
    }
}

/// Set once, by `initialize`.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) encoding: Encoding,
    /// The client shows `$/progress` that the server starts.
    pub(crate) work_done_progress: bool,
    /// The client accepts `documentSymbol` trees.
    pub(crate) hierarchical_symbols: bool,
    /// The client lets the server ask for file events.
    pub(crate) watches_files: bool,
    /// The client renders Markdown in hovers.
    pub(crate) markdown_hover: bool,
    options: RwLock<Options>,
    roots: RwLock<Vec<PathBuf>>,
    project_of: ProjectOf,
}

impl Session {
    pub(crate) fn new(params: &InitializeParams, project_of: ProjectOf) -> Self {
        let capabilities = &params.capabilities;
        let options =
            params.initialization_options.clone().map_or_else(Options::default, |options| {
                serde_json::from_value(options).unwrap_or_else(|err| {
                    tracing::warn!(%err, "initializationOptions ignored");
                    Options::default()
                })
            });
        Self {
            encoding: negotiate(
                capabilities.general.as_ref().and_then(|g| g.position_encodings.as_deref()),
            ),
            options: RwLock::new(options),
            work_done_progress: capabilities
                .window
                .as_ref()
                .and_then(|window| window.work_done_progress)
                .unwrap_or(false),
            hierarchical_symbols: capabilities
                .text_document
                .as_ref()
                .and_then(|t| t.document_symbol.as_ref())
                .and_then(|s| s.hierarchical_document_symbol_support)
                .unwrap_or(false),
            watches_files: capabilities
                .workspace
                .as_ref()
                .and_then(|w| w.did_change_watched_files.as_ref())
                .and_then(|w| w.dynamic_registration)
                .unwrap_or(false),
            markdown_hover: capabilities
                .text_document
                .as_ref()
                .and_then(|t| t.hover.as_ref())
                .and_then(|hover| hover.content_format.as_deref())
                .is_some_and(|formats| formats.contains(&MarkupKind::Markdown)),
            roots: RwLock::new(workspace_roots(params)),
            project_of,
        }
    }

    pub(crate) fn options(&self) -> Options {
        self.options.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_options(&self, options: Options) {
        *self.options.write().unwrap_or_else(PoisonError::into_inner) = options;
    }

    pub(crate) fn roots(&self) -> Vec<PathBuf> {
        self.roots.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True if `root` is new.
    pub(crate) fn add_root(&self, root: PathBuf) -> bool {
        let mut roots = self.roots.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = !roots.contains(&root);
        if is_new {
            roots.push(root);
        }
        is_new
    }

    pub(crate) fn remove_root(&self, root: &Path) {
        self.roots.write().unwrap_or_else(PoisonError::into_inner).retain(|r| r != root);
    }

    /// Root and `/`-separated path below it of a file: the innermost root that holds it, or else
    /// the project the file lies in. `None` for what is no file.
    pub(crate) fn locate(&self, uri: &Uri) -> Option<(PathBuf, String)> {
        let file = from_proto::path(uri)?;
        let roots = self.roots.read().unwrap_or_else(PoisonError::into_inner);
        let root = roots
            .iter()
            .filter(|root| file.starts_with(root))
            .max_by_key(|root| root.components().count())
            .cloned();
        drop(roots);
        let root = root.or_else(|| (self.project_of)(&file))?;
        let path = from_proto::relative(&root, &file)?;
        Some((root, path))
    }
}

/// The first unit the client names that we know, which is all of them; UTF-16 if it names none.
fn negotiate(offered: Option<&[PositionEncodingKind]>) -> Encoding {
    offered.unwrap_or_default().iter().find_map(from_proto::encoding).unwrap_or(Encoding::Utf16)
}

fn workspace_roots(params: &InitializeParams) -> Vec<PathBuf> {
    let folders = params.workspace_folders.iter().flatten().map(|folder| &folder.uri);
    let mut roots: Vec<PathBuf> = Vec::new();
    for root in folders.filter_map(from_proto::path) {
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    #[expect(deprecated, reason = "older clients send nothing else")]
    let fallback = params.root_uri.as_ref();
    if roots.is_empty() {
        roots.extend(fallback.and_then(from_proto::path));
    }
    roots
}
