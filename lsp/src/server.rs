//! The method table: which message is handled where.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use fovea_api::{Answer, At, ErrorCode, Event, Method, ProgressView};
use tokio::sync::broadcast;
use tower_lsp_server::{
    Client, LanguageServer,
    jsonrpc::{Error, Result},
    ls_types::*,
};

use crate::{
    Connect, Disk,
    convert::{
        from_proto,
        to_proto::{self, Places},
    },
    documents::Documents,
    notifications,
    outbox::{CallError, Outbox},
    requests::{self, completion::LastList},
    session::{Feature, Session},
};

/// The daemon sends what it has by then.
const DEADLINE_MS: u64 = 5_000;

/// Progress events a slow client may lag behind; older ones are dropped.
const N_PROGRESS_EVENTS: usize = 64;

pub(crate) struct FoveaServer {
    pub(crate) client: Client,
    pub(crate) shared: Arc<Shared>,
}

/// What handlers and background tasks share.
pub(crate) struct Shared {
    pub(crate) documents: Documents,
    pub(crate) outbox: Outbox,
    pub(crate) progress: broadcast::Sender<ProgressView>,
    pub(crate) last_list: LastList,
    session: OnceLock<Session>,
    disk: Disk,
}

impl FoveaServer {
    pub(crate) fn new(client: Client, connect: impl Connect, disk: Disk) -> Self {
        let (progress, _) = broadcast::channel(N_PROGRESS_EVENTS);
        let events = progress.clone();
        let outbox = Outbox::new(connect, move |event| {
            if let Event::Progress(view) = event {
                // Nobody listens unless a root is being opened.
                let _ = events.send(view);
            }
        });
        let shared = Shared {
            documents: Documents::default(),
            outbox,
            progress,
            last_list: LastList::default(),
            session: OnceLock::new(),
            disk,
        };
        Self { client, shared: Arc::new(shared) }
    }
}

impl Shared {
    pub(crate) fn session(&self) -> &Session {
        self.session.get().expect("messages before `initialize` are refused by the transport")
    }

    /// Root and path of a document for which `feature` is on.
    pub(crate) fn locate(&self, feature: Feature, uri: &Uri) -> Option<(PathBuf, String)> {
        let session = self.session();
        let language = self.documents.with(uri, |document| document.language.clone());
        session.serves(feature, language.as_deref()).then(|| session.locate(uri)).flatten()
    }

    /// The daemon's word for a cursor.
    pub(crate) fn cursor(
        &self,
        feature: Feature,
        at: &TextDocumentPositionParams,
    ) -> Option<(PathBuf, At)> {
        let (root, path) = self.locate(feature, &at.text_document.uri)?;
        Some((root, from_proto::at(path, at.position, self.session().encoding)))
    }

    /// Waits for an answer about a document. If the document was changed meanwhile, the answer may be
    /// about the newer text, whose positions the client would take for those of the older.
    async fn unchanged<T>(&self, uri: Uri, answer: impl Future<Output = Result<T>>) -> Result<T> {
        let version = || self.documents.view(&uri).map(|document| document.version);
        let asked = version();
        let answer = answer.await?;
        if version() == asked { Ok(answer) } else { Err(Error::content_modified()) }
    }

    /// Asks the daemon. `Ok(None)` means that it has nothing to say about this file, which is no
    /// error to bother the user with.
    pub(crate) async fn ask(&self, root: PathBuf, method: Method) -> Result<Option<Answer>> {
        self.ask_within(root, DEADLINE_MS, method).await
    }

    pub(crate) async fn ask_within(
        &self,
        root: PathBuf,
        deadline_ms: u64,
        method: Method,
    ) -> Result<Option<Answer>> {
        match self.outbox.call(Some(root), Some(deadline_ms), method).await {
            Ok(answer) => Ok(Some(answer)),
            Err(err) => refusal(err).map_or(Ok(None), Err),
        }
    }

    /// Converts the locations of an answer. Texts may have to be read for that, so it runs on a
    /// blocking thread unless the columns are right as they are.
    pub(crate) async fn convert<T: Send + 'static>(
        self: &Arc<Self>,
        root: PathBuf,
        convert: impl FnOnce(&mut Places<'_>) -> T + Send + 'static,
    ) -> Result<T> {
        let (encoding, text_of) = (self.session().encoding, self.disk.text_of);
        if encoding == fovea_api::Encoding::Utf16 {
            return Ok(convert(&mut Places::new(root, encoding, &self.documents, text_of)));
        }
        let shared = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            convert(&mut Places::new(root, encoding, &shared.documents, text_of))
        })
        .await
        .map_err(|_| Error::internal_error())
    }
}

/// The error to answer with; `None` where an empty answer says the same.
fn refusal(err: CallError) -> Option<Error> {
    match err {
        CallError::Api(err) => match err.code {
            ErrorCode::NotFound | ErrorCode::Refused => None,
            ErrorCode::Cancelled => Some(Error::request_cancelled()),
            ErrorCode::Modified => Some(Error::content_modified()),
            ErrorCode::BadRequest => Some(Error::invalid_params(err.message)),
            ErrorCode::Unavailable | ErrorCode::Internal => Some(internal(err.message)),
        },
        CallError::Lost => Some(internal("the connection to the daemon was lost".to_owned())),
        CallError::Unreachable(why) => Some(internal(format!("no daemon: {why}"))),
    }
}

pub(crate) fn internal(message: String) -> Error {
    Error { message: message.into(), ..Error::internal_error() }
}

impl LanguageServer for FoveaServer {
    async fn initialize(&self, params: InitializeParams) -> Result<InitializeResult> {
        let session = Session::new(&params, self.shared.disk.project_of);
        let offered = session.offer_at_start();
        let capabilities = capabilities(session.encoding, |feature| offered.contains(&feature));
        if self.shared.session.set(session).is_err() {
            return Err(Error::invalid_request());
        }
        Ok(InitializeResult {
            capabilities,
            server_info: Some(ServerInfo {
                name: "fovea".to_owned(),
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            }),
            ..InitializeResult::default()
        })
    }

    async fn initialized(&self, _: InitializedParams) {
        notifications::workspace::initialized(self).await;
    }

    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }

    async fn did_open(&self, params: DidOpenTextDocumentParams) {
        notifications::text_sync::did_open(&self.shared, params);
    }

    async fn did_change(&self, params: DidChangeTextDocumentParams) {
        notifications::text_sync::did_change(&self.shared, params);
    }

    async fn did_close(&self, params: DidCloseTextDocumentParams) {
        notifications::text_sync::did_close(&self.shared, &params);
    }

    async fn did_save(&self, params: DidSaveTextDocumentParams) {
        notifications::text_sync::did_save(&self.shared, &params);
    }

    async fn did_change_watched_files(&self, params: DidChangeWatchedFilesParams) {
        notifications::workspace::did_change_watched_files(&self.shared, params);
    }

    async fn did_change_workspace_folders(&self, params: DidChangeWorkspaceFoldersParams) {
        notifications::workspace::did_change_workspace_folders(self, params);
    }

    async fn did_change_configuration(&self, params: DidChangeConfigurationParams) {
        notifications::workspace::did_change_configuration(self, params);
    }

    async fn completion(&self, params: CompletionParams) -> Result<Option<CompletionResponse>> {
        let uri = params.text_document_position.text_document.uri.clone();
        self.shared.unchanged(uri, requests::completion::completion(&self.shared, params)).await
    }

    async fn completion_resolve(&self, item: CompletionItem) -> Result<CompletionItem> {
        Ok(requests::completion::resolve(&self.shared, item))
    }

    async fn signature_help(&self, params: SignatureHelpParams) -> Result<Option<SignatureHelp>> {
        let uri = params.text_document_position_params.text_document.uri.clone();
        self.shared
            .unchanged(uri, requests::signature_help::signature_help(&self.shared, params))
            .await
    }

    async fn goto_declaration(
        &self,
        params: request::GotoDeclarationParams,
    ) -> Result<Option<request::GotoDeclarationResponse>> {
        requests::definition::declaration(&self.shared, params).await
    }

    async fn goto_type_definition(
        &self,
        params: request::GotoTypeDefinitionParams,
    ) -> Result<Option<request::GotoTypeDefinitionResponse>> {
        requests::definition::type_definition(&self.shared, params).await
    }

    async fn document_highlight(
        &self,
        params: DocumentHighlightParams,
    ) -> Result<Option<Vec<DocumentHighlight>>> {
        let uri = params.text_document_position_params.text_document.uri.clone();
        self.shared.unchanged(uri, requests::highlight::highlight(&self.shared, params)).await
    }

    async fn prepare_call_hierarchy(
        &self,
        params: CallHierarchyPrepareParams,
    ) -> Result<Option<Vec<CallHierarchyItem>>> {
        requests::hierarchy::prepare_calls(&self.shared, params).await
    }

    async fn incoming_calls(
        &self,
        params: CallHierarchyIncomingCallsParams,
    ) -> Result<Option<Vec<CallHierarchyIncomingCall>>> {
        requests::hierarchy::incoming_calls(&self.shared, params).await
    }

    async fn outgoing_calls(
        &self,
        params: CallHierarchyOutgoingCallsParams,
    ) -> Result<Option<Vec<CallHierarchyOutgoingCall>>> {
        requests::hierarchy::outgoing_calls(&self.shared, params).await
    }

    async fn prepare_type_hierarchy(
        &self,
        params: TypeHierarchyPrepareParams,
    ) -> Result<Option<Vec<TypeHierarchyItem>>> {
        requests::hierarchy::prepare_types(&self.shared, params).await
    }

    async fn supertypes(
        &self,
        params: TypeHierarchySupertypesParams,
    ) -> Result<Option<Vec<TypeHierarchyItem>>> {
        requests::hierarchy::supertypes(&self.shared, params).await
    }

    async fn subtypes(
        &self,
        params: TypeHierarchySubtypesParams,
    ) -> Result<Option<Vec<TypeHierarchyItem>>> {
        requests::hierarchy::subtypes(&self.shared, params).await
    }

    async fn prepare_rename(
        &self,
        params: TextDocumentPositionParams,
    ) -> Result<Option<PrepareRenameResponse>> {
        let uri = params.text_document.uri.clone();
        self.shared.unchanged(uri, requests::rename::prepare(&self.shared, params)).await
    }

    async fn rename(&self, params: RenameParams) -> Result<Option<WorkspaceEdit>> {
        let uri = params.text_document_position.text_document.uri.clone();
        self.shared.unchanged(uri, requests::rename::rename(&self.shared, params)).await
    }

    async fn folding_range(&self, params: FoldingRangeParams) -> Result<Option<Vec<FoldingRange>>> {
        let uri = params.text_document.uri.clone();
        self.shared.unchanged(uri, requests::ranges::folding(&self.shared, params)).await
    }

    async fn selection_range(
        &self,
        params: SelectionRangeParams,
    ) -> Result<Option<Vec<SelectionRange>>> {
        let uri = params.text_document.uri.clone();
        self.shared.unchanged(uri, requests::ranges::selection(&self.shared, params)).await
    }

    async fn semantic_tokens_full(
        &self,
        params: SemanticTokensParams,
    ) -> Result<Option<SemanticTokensResult>> {
        let uri = params.text_document.uri.clone();
        self.shared.unchanged(uri, requests::semantic_tokens::full(&self.shared, params)).await
    }

    async fn code_lens(&self, params: CodeLensParams) -> Result<Option<Vec<CodeLens>>> {
        let uri = params.text_document.uri.clone();
        self.shared.unchanged(uri, requests::code_lens::code_lens(&self.shared, params)).await
    }

    async fn code_lens_resolve(&self, lens: CodeLens) -> Result<CodeLens> {
        requests::code_lens::resolve(&self.shared, lens).await
    }

    async fn goto_definition(
        &self,
        params: GotoDefinitionParams,
    ) -> Result<Option<GotoDefinitionResponse>> {
        requests::definition::definition(&self.shared, params).await
    }

    async fn goto_implementation(
        &self,
        params: request::GotoImplementationParams,
    ) -> Result<Option<request::GotoImplementationResponse>> {
        requests::definition::implementation(&self.shared, params).await
    }

    async fn references(&self, params: ReferenceParams) -> Result<Option<Vec<Location>>> {
        requests::references::references(&self.shared, params).await
    }

    async fn document_symbol(
        &self,
        params: DocumentSymbolParams,
    ) -> Result<Option<DocumentSymbolResponse>> {
        let uri = params.text_document.uri.clone();
        self.shared.unchanged(uri, requests::symbols::document(&self.shared, params)).await
    }

    async fn symbol(
        &self,
        params: WorkspaceSymbolParams,
    ) -> Result<Option<WorkspaceSymbolResponse>> {
        requests::symbols::workspace(&self.shared, params).await
    }

    async fn hover(&self, params: HoverParams) -> Result<Option<Hover>> {
        requests::hover::hover(&self.shared, params).await
    }

    async fn execute_command(&self, params: ExecuteCommandParams) -> Result<Option<LSPAny>> {
        crate::ext::execute_command(&self.shared, params)
    }
}

impl FoveaServer {
    pub(crate) async fn inline_completion(
        &self,
        params: InlineCompletionParams,
    ) -> Result<Option<InlineCompletionResponse>> {
        requests::inline_completion::inline_completion(&self.shared, params).await
    }
}

/// What is on at `initialize` is registered here, statically: Neovim ignores a later registration of
/// inline completion.
pub(crate) fn capabilities(
    encoding: fovea_api::Encoding,
    on: impl Fn(Feature) -> bool,
) -> ServerCapabilities {
    let workspace = WorkspaceServerCapabilities {
        workspace_folders: Some(WorkspaceFoldersServerCapabilities {
            supported: Some(true),
            change_notifications: Some(OneOf::Left(true)),
        }),
        file_operations: None,
    };
    ServerCapabilities {
        position_encoding: Some(to_proto::encoding(encoding)),
        text_document_sync: Some(TextDocumentSyncCapability::Options(TextDocumentSyncOptions {
            open_close: Some(true),
            change: Some(TextDocumentSyncKind::INCREMENTAL),
            save: Some(TextDocumentSyncSaveOptions::SaveOptions(SaveOptions {
                include_text: Some(false),
            })),
            ..TextDocumentSyncOptions::default()
        })),
        inline_completion_provider: on(Feature::InlineCompletion)
            .then(|| OneOf::Right(InlineCompletionOptions::default())),
        completion_provider: on(Feature::Completion).then(|| CompletionOptions {
            trigger_characters: Some(vec![".".to_owned(), ":".to_owned()]),
            resolve_provider: Some(true),
            ..CompletionOptions::default()
        }),
        signature_help_provider: on(Feature::SignatureHelp).then(|| SignatureHelpOptions {
            trigger_characters: Some(vec!["(".to_owned(), ",".to_owned()]),
            ..SignatureHelpOptions::default()
        }),
        definition_provider: on(Feature::Definition).then_some(OneOf::Left(true)),
        declaration_provider: on(Feature::Declaration)
            .then_some(DeclarationCapability::Simple(true)),
        type_definition_provider: on(Feature::TypeDefinition)
            .then_some(TypeDefinitionProviderCapability::Simple(true)),
        implementation_provider: on(Feature::Implementation)
            .then_some(ImplementationProviderCapability::Simple(true)),
        references_provider: on(Feature::References).then_some(OneOf::Left(true)),
        document_highlight_provider: on(Feature::DocumentHighlight).then_some(OneOf::Left(true)),
        document_symbol_provider: on(Feature::DocumentSymbol).then_some(OneOf::Left(true)),
        workspace_symbol_provider: on(Feature::WorkspaceSymbol).then_some(OneOf::Left(true)),
        hover_provider: on(Feature::Hover).then_some(HoverProviderCapability::Simple(true)),
        call_hierarchy_provider: on(Feature::CallHierarchy)
            .then_some(CallHierarchyServerCapability::Simple(true)),
        rename_provider: on(Feature::Rename).then(|| {
            OneOf::Right(RenameOptions {
                prepare_provider: Some(true),
                work_done_progress_options: WorkDoneProgressOptions::default(),
            })
        }),
        folding_range_provider: on(Feature::FoldingRange)
            .then_some(FoldingRangeProviderCapability::Simple(true)),
        selection_range_provider: on(Feature::SelectionRange)
            .then_some(SelectionRangeProviderCapability::Simple(true)),
        semantic_tokens_provider: on(Feature::SemanticTokens)
            .then(|| requests::semantic_tokens::options().into()),
        code_lens_provider: on(Feature::CodeLens)
            .then_some(CodeLensOptions { resolve_provider: Some(true) }),
        execute_command_provider: Some(ExecuteCommandOptions {
            commands: vec![crate::ext::ACCEPTED_COMMAND.to_owned()],
            ..ExecuteCommandOptions::default()
        }),
        workspace: Some(workspace),
        ..ServerCapabilities::default()
    }
}
