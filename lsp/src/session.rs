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
    /// Suggestions of the model below this mean probability of a token are not shown unasked.
    pub(crate) min_confidence: Option<f32>,
    /// Languages (ids as in `didOpen`) that another server of the client knows: their documents get
    /// ghost text and nothing else.
    pub(crate) peer_languages: Vec<String>,
}

/// What can be switched off, for clients that run another server beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    InlineCompletion,
    WorkspaceSymbol,
    Completion,
    Definition,
    Declaration,
    TypeDefinition,
    Implementation,
    References,
    DocumentHighlight,
    DocumentSymbol,
    Hover,
    SignatureHelp,
    CallHierarchy,
    TypeHierarchy,
    Rename,
    FoldingRange,
    SelectionRange,
    CodeLens,
}

/// Switches, in the client's words; absent means the default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Features {
    inline_completion: bool,
    workspace_symbol: bool,
    completion: bool,
    definition: bool,
    declaration: bool,
    type_definition: bool,
    implementation: bool,
    references: bool,
    document_highlight: bool,
    document_symbol: bool,
    hover: bool,
    signature_help: bool,
    call_hierarchy: bool,
    type_hierarchy: bool,
    rename: bool,
    folding_range: bool,
    selection_range: bool,
    code_lens: bool,
}

impl Features {
    pub(crate) fn has(&self, feature: Feature) -> bool {
        match feature {
            Feature::InlineCompletion => self.inline_completion,
            Feature::WorkspaceSymbol => self.workspace_symbol,
            Feature::Completion => self.completion,
            Feature::Definition => self.definition,
            Feature::Declaration => self.declaration,
            Feature::TypeDefinition => self.type_definition,
            Feature::Implementation => self.implementation,
            Feature::References => self.references,
            Feature::DocumentHighlight => self.document_highlight,
            Feature::DocumentSymbol => self.document_symbol,
            Feature::Hover => self.hover,
            Feature::SignatureHelp => self.signature_help,
            Feature::CallHierarchy => self.call_hierarchy,
            Feature::TypeHierarchy => self.type_hierarchy,
            Feature::Rename => self.rename,
            Feature::FoldingRange => self.folding_range,
            Feature::SelectionRange => self.selection_range,
            Feature::CodeLens => self.code_lens,
        }
    }
}

impl Default for Features {
    fn default() -> Self {
        Self {
            inline_completion: true,
            workspace_symbol: true,
            completion: true,
            definition: true,
            declaration: true,
            type_definition: true,
            implementation: true,
            references: true,
            document_highlight: true,
            document_symbol: true,
            hover: true,
            signature_help: true,
            call_hierarchy: true,
            type_hierarchy: true,
            rename: true,
            folding_range: true,
            selection_range: true,
            // A line of its own above every function is not for everybody.
            code_lens: false,
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
    /// The client lets the server offer type hierarchies later than at `initialize`.
    pub(crate) registers_type_hierarchy: bool,
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
            registers_type_hierarchy: capabilities
                .text_document
                .as_ref()
                .and_then(|t| t.type_hierarchy.as_ref())
                .and_then(|hierarchy| hierarchy.dynamic_registration)
                .unwrap_or(false),
            roots: RwLock::new(workspace_roots(params)),
            project_of,
        }
    }

    /// True if `feature` is on for documents of `language`.
    pub(crate) fn serves(&self, feature: Feature, language: Option<&str>) -> bool {
        let options = self.options.read().unwrap_or_else(PoisonError::into_inner);
        let has_peer =
            language.is_some_and(|language| options.peer_languages.iter().any(|l| l == language));
        let is_ours = matches!(feature, Feature::InlineCompletion | Feature::WorkspaceSymbol);
        options.features.has(feature) && (is_ours || !has_peer)
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
