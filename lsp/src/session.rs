//! What the client told us at `initialize`, and where files belong.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, RwLock},
};

use fovea_api::Encoding;
use tower_lsp_server::ls_types::{
    ClientCapabilities, InitializeParams, MarkupKind, PositionEncodingKind, Uri,
};

pub(crate) use crate::settings::{Feature, Options};
use crate::{ProjectOf, convert::from_proto};

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
    /// Features that the client takes later than at `initialize`.
    late: HashSet<Feature>,
    /// Features that the client was told of.
    offered: Mutex<HashSet<Feature>>,
    options: RwLock<Options>,
    roots: RwLock<Vec<PathBuf>>,
    /// Files that the user opened, in the roots or not.
    opened: RwLock<HashSet<PathBuf>>,
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
            late: late(capabilities),
            offered: Mutex::default(),
            roots: RwLock::new(workspace_roots(params)),
            opened: RwLock::default(),
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

    /// The features that are offered in the reply to `initialize`.
    pub(crate) fn offer_at_start(&self) -> Vec<Feature> {
        // The types at hand have no word for type hierarchies there.
        self.unoffered(|feature| feature != Feature::TypeHierarchy)
    }

    /// The features that are on, were not offered yet, and can be now.
    pub(crate) fn offer_late(&self) -> Vec<Feature> {
        self.unoffered(|feature| self.late.contains(&feature))
    }

    fn unoffered(&self, can_be: impl Fn(Feature) -> bool) -> Vec<Feature> {
        let mut offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        let on = Feature::ALL.iter().copied().filter(|f| self.serves(*f, None) && can_be(*f));
        on.filter(|feature| offered.insert(*feature)).collect()
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

    /// True if `root` is new, and a folder of a project.
    pub(crate) fn add_root(&self, root: PathBuf) -> bool {
        if !is_project(&root) {
            return false;
        }
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

    /// The user opened a document.
    pub(crate) fn opened(&self, uri: &Uri) {
        let file = from_proto::path(uri);
        self.opened.write().unwrap_or_else(PoisonError::into_inner).extend(file);
    }

    /// The user closed a document.
    pub(crate) fn closed(&self, uri: &Uri) {
        if let Some(file) = from_proto::path(uri) {
            self.opened.write().unwrap_or_else(PoisonError::into_inner).remove(&file);
        }
    }

    /// Root and `/`-separated path below it of a file: the innermost root that holds it, or else, for
    /// a document that the user has open, the project it lies in. `None` for everything else, so that
    /// a client that is made to name a file cannot have a folder read that nobody opened.
    pub(crate) fn locate(&self, uri: &Uri) -> Option<(PathBuf, String)> {
        let file = from_proto::path(uri)?;
        let roots = self.roots.read().unwrap_or_else(PoisonError::into_inner);
        let root = roots
            .iter()
            .filter(|root| file.starts_with(root))
            .max_by_key(|root| root.components().count())
            .cloned();
        drop(roots);
        let is_open = || self.opened.read().unwrap_or_else(PoisonError::into_inner).contains(&file);
        let root = match root {
            Some(root) => root,
            None if is_open() => (self.project_of)(&file).filter(|root| is_project(root))?,
            None => return None,
        };
        let path = from_proto::relative(&root, &file)?;
        Some((root, path))
    }
}

fn late(capabilities: &ClientCapabilities) -> HashSet<Feature> {
    let Ok(capabilities) = serde_json::to_value(capabilities) else { return HashSet::new() };
    let all = Feature::ALL.iter().copied();
    all.filter(|feature| feature.can_come_late(&capabilities)).collect()
}

/// The first unit the client names that we know, which is all of them; UTF-16 if it names none.
fn negotiate(offered: Option<&[PositionEncodingKind]>) -> Encoding {
    offered.unwrap_or_default().iter().find_map(from_proto::encoding).unwrap_or(Encoding::Utf16)
}

fn workspace_roots(params: &InitializeParams) -> Vec<PathBuf> {
    let folders = params.workspace_folders.iter().flatten().map(|folder| &folder.uri);
    let mut roots: Vec<PathBuf> = Vec::new();
    for root in folders.filter_map(from_proto::path).filter(|root| is_project(root)) {
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    #[expect(deprecated, reason = "older clients send nothing else")]
    let fallback = params.root_uri.as_ref();
    if roots.is_empty() {
        roots.extend(fallback.and_then(from_proto::path).filter(|root| is_project(root)));
    }
    roots
}

/// The whole file system is none.
fn is_project(root: &Path) -> bool {
    root.parent().is_some()
}
