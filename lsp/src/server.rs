//! The method table: which message is handled where.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use fovea_api::{Answer, ErrorCode, Event, Method, ProgressView};
use tokio::sync::broadcast;
use tower_lsp_server::{
    Client, LanguageServer,
    jsonrpc::{Error, Result},
    ls_types::*,
};

use crate::{
    Connect, ProjectOf,
    convert::to_proto::{self, Places},
    documents::Documents,
    notifications,
    outbox::{CallError, Outbox},
    requests,
    session::Session,
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
    session: OnceLock<Session>,
    project_of: ProjectOf,
}

impl FoveaServer {
    pub(crate) fn new(client: Client, connect: impl Connect, project_of: ProjectOf) -> Self {
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
            session: OnceLock::new(),
            project_of,
        };
        Self { client, shared: Arc::new(shared) }
    }
}

impl Shared {
    pub(crate) fn session(&self) -> &Session {
        self.session.get().expect("messages before `initialize` are refused by the transport")
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
        let encoding = self.session().encoding;
        if encoding == fovea_api::Encoding::Utf16 {
            return Ok(convert(&mut Places::new(root, encoding, &self.documents)));
        }
        let shared = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            convert(&mut Places::new(root, encoding, &shared.documents))
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
        let session = Session::new(&params, self.shared.project_of);
        let capabilities = capabilities(&session);
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
        notifications::workspace::did_change_configuration(&self.shared, params);
    }

    async fn completion(&self, params: CompletionParams) -> Result<Option<CompletionResponse>> {
        requests::completion::completion(&self.shared, params).await
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
        requests::symbols::document(&self.shared, params).await
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

/// Everything is registered here, statically: Neovim ignores a later registration of inline
/// completion.
fn capabilities(session: &Session) -> ServerCapabilities {
    let features = session.options().features;
    let workspace = WorkspaceServerCapabilities {
        workspace_folders: Some(WorkspaceFoldersServerCapabilities {
            supported: Some(true),
            change_notifications: Some(OneOf::Left(true)),
        }),
        file_operations: None,
    };
    ServerCapabilities {
        position_encoding: Some(to_proto::encoding(session.encoding)),
        text_document_sync: Some(TextDocumentSyncCapability::Options(TextDocumentSyncOptions {
            open_close: Some(true),
            change: Some(TextDocumentSyncKind::INCREMENTAL),
            save: Some(TextDocumentSyncSaveOptions::SaveOptions(SaveOptions {
                include_text: Some(false),
            })),
            ..TextDocumentSyncOptions::default()
        })),
        inline_completion_provider: features
            .inline_completion
            .then(|| OneOf::Right(InlineCompletionOptions::default())),
        completion_provider: features.completion.then(|| CompletionOptions {
            trigger_characters: Some(vec![".".to_owned(), ":".to_owned()]),
            ..CompletionOptions::default()
        }),
        definition_provider: features.definition.then_some(OneOf::Left(true)),
        implementation_provider: features
            .implementation
            .then_some(ImplementationProviderCapability::Simple(true)),
        references_provider: features.references.then_some(OneOf::Left(true)),
        document_symbol_provider: features.document_symbol.then_some(OneOf::Left(true)),
        workspace_symbol_provider: features.workspace_symbol.then_some(OneOf::Left(true)),
        hover_provider: features.hover.then_some(HoverProviderCapability::Simple(true)),
        execute_command_provider: Some(ExecuteCommandOptions {
            commands: vec![crate::ext::ACCEPTED_COMMAND.to_owned()],
            ..ExecuteCommandOptions::default()
        }),
        workspace: Some(workspace),
        ..ServerCapabilities::default()
    }
}
