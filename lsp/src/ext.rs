//! Our own methods; `docs/lsp-extensions.md` describes them for authors of clients.

use std::{path::PathBuf, sync::Arc};

use fovea_api::{
    Answer, CompletionSource, DaemonStatus, Method, PlanView, SearchHit, Suggestion, Timings,
    WorkspaceStatus,
};
use serde::{Deserialize, Serialize};
use tower_lsp_server::{
    jsonrpc::{Error, Result},
    ls_types::{
        ExecuteCommandParams, LSPAny, Location, Position, TextDocumentIdentifier,
        TextDocumentPositionParams,
    },
};

use crate::{
    convert::from_proto,
    documents,
    outbox::CallError,
    requests,
    server::{FoveaServer, Shared, internal},
};

pub(crate) const STATUS: &str = "fovea/status";
pub(crate) const EXPLAIN: &str = "fovea/explain";
pub(crate) const SEARCH: &str = "fovea/search";
pub(crate) const ACCEPTED: &str = "fovea/accepted";
pub(crate) const CURSOR: &str = "fovea/cursor";
/// Command that editors run after an inline completion was accepted; argument: the suggestion's id.
pub(crate) const ACCEPTED_COMMAND: &str = "fovea.accepted";

/// Command of a code lens, run by the client; arguments: URI, position, locations.
pub(crate) const SHOW_REFERENCES_COMMAND: &str = "fovea.showReferences";

const DEFAULT_SEARCH_LIMIT: usize = 50;

/// Result of `fovea/status`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusResult {
    /// `null` if there is no daemon; `error` then says why.
    daemon: Option<DaemonStatus>,
    workspaces: Vec<WorkspaceStatus>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SearchParams {
    query: String,
    limit: Option<usize>,
    /// Searches the root of this document only; else every root.
    text_document: Option<TextDocumentIdentifier>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SearchResult {
    query_kind: String,
    hits: Vec<LocatedHit>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LocatedHit {
    /// Where to go, in the client's own columns.
    place: Location,
    hit: SearchHit,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExplainParams {
    text_document: TextDocumentIdentifier,
    position: Position,
    /// Id of a suggestion that is shown; without it, the plan of a suggestion that would be asked
    /// for now.
    suggestion: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExplainResult {
    plan: PlanView,
    /// `null` if nothing is shown there.
    suggestion: Option<SuggestionView>,
}

/// A suggestion without its plan.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SuggestionView {
    id: u64,
    text: String,
    source: CompletionSource,
    notice: Option<String>,
    logprob: Option<f32>,
    timings: Timings,
}

impl From<Suggestion> for ExplainResult {
    fn from(suggestion: Suggestion) -> Self {
        let Suggestion { id, text, source, notice, logprob, plan, timings, .. } = suggestion;
        let suggestion = Some(SuggestionView { id, text, source, notice, logprob, timings });
        Self { plan, suggestion }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct AcceptedParams {
    suggestion: u64,
}

impl FoveaServer {
    pub(crate) async fn status(&self) -> Result<StatusResult> {
        let mut status = StatusResult { daemon: None, workspaces: Vec::new(), error: None };
        let roots = self.shared.session().roots();
        let roots: Vec<Option<PathBuf>> =
            if roots.is_empty() { vec![None] } else { roots.into_iter().map(Some).collect() };
        for root in roots {
            match self.shared.outbox.call(root, Some(5_000), Method::Status).await {
                Ok(Answer::Status { daemon, workspace }) => {
                    status.daemon = Some(daemon);
                    status.workspaces.extend(workspace);
                }
                Ok(_) => return Err(Error::internal_error()),
                Err(CallError::Api(err)) => status.error = Some(err.message),
                Err(CallError::Unreachable(why)) => status.error = Some(why),
                Err(CallError::Lost) => {
                    status.error = Some("the connection to the daemon was lost".to_owned());
                }
            }
        }
        Ok(status)
    }

    /// What a suggestion was conditioned on, or would be.
    pub(crate) async fn explain(&self, params: ExplainParams) -> Result<Option<ExplainResult>> {
        let session = self.shared.session();
        let uri = &params.text_document.uri;
        let shown = params.suggestion.and_then(|id| {
            let found = self.shared.documents.with(uri, |document| {
                let offset = documents::offset(&document.text, params.position, session.encoding);
                // A suggestion that was shown elsewhere says nothing about this place.
                let (shown, _) = document.inline.remaining(&document.text, offset)?;
                (shown == id).then(|| document.inline.suggestion(id)).flatten()
            });
            found.flatten()
        });
        let shown = shown.map(ExplainResult::from);
        if let Some(shown) = &shown
            && !shown.plan.segments.is_empty()
        {
            return Ok(Some(shown.clone()));
        }
        let Some((root, path)) = session.locate(uri) else { return Ok(None) };
        let options = session.options();
        let method = Method::Context {
            at: from_proto::at(path, params.position, session.encoding),
            preset: options.preset,
            budget_tokens: options.budget_tokens(),
        };
        match self.shared.ask(root, method).await? {
            // The index's own suggestion saw no code; what the model would see says more than nothing.
            Some(Answer::Plan(plan)) => Ok(Some(match shown {
                Some(shown) => {
                    let gate = shown.plan.gate.clone();
                    ExplainResult { plan: PlanView { gate, ..plan }, ..shown }
                }
                None => ExplainResult { plan, suggestion: None },
            })),
            _ => Ok(shown),
        }
    }

    pub(crate) async fn search(&self, params: SearchParams) -> Result<SearchResult> {
        let session = self.shared.session();
        let roots = match &params.text_document {
            Some(document) => {
                session.locate(&document.uri).into_iter().map(|(root, _)| root).collect()
            }
            None => session.roots(),
        };
        let limit = params.limit.unwrap_or(DEFAULT_SEARCH_LIMIT);
        let mut result = SearchResult { query_kind: String::new(), hits: Vec::new() };
        for root in roots {
            let method = Method::search(&params.query, limit);
            if let Some(Answer::Search(view)) = self.shared.ask(root.clone(), method).await? {
                result.query_kind = view.query_kind;
                let hits = self.shared.convert(root, move |places| {
                    let located = view.hits.into_iter().filter_map(|hit| {
                        Some(LocatedHit { place: places.location(&hit.at)?, hit })
                    });
                    located.collect::<Vec<_>>()
                });
                result.hits.extend(hits.await?);
            }
        }
        // Several roots: best first over all of them.
        result.hits.sort_by(|a, b| b.hit.score.total_cmp(&a.hit.score));
        result.hits.truncate(limit);
        Ok(result)
    }

    pub(crate) async fn cursor(&self, params: TextDocumentPositionParams) {
        let uri = params.text_document.uri;
        requests::inline_completion::prepare(&self.shared, uri, params.position);
    }

    pub(crate) async fn accepted(&self, params: AcceptedParams) {
        note_accepted(&self.shared, params.suggestion);
    }
}

pub(crate) fn execute_command(
    shared: &Arc<Shared>,
    params: ExecuteCommandParams,
) -> Result<Option<LSPAny>> {
    if params.command != ACCEPTED_COMMAND {
        return Err(internal(format!("unknown command `{}`", params.command)));
    }
    let Some(suggestion) = params.arguments.first().and_then(serde_json::Value::as_u64) else {
        return Err(Error::invalid_params("the suggestion's id is missing"));
    };
    note_accepted(shared, suggestion);
    Ok(None)
}

fn note_accepted(shared: &Arc<Shared>, suggestion: u64) {
    shared.outbox.tell(None, Method::Accepted { suggestion });
    requests::inline_completion::prefetch(shared, suggestion);
}
